package judgebench

import (
	"bufio"
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"postroad/internal/proto/dkim"
	"postroad/internal/sim"
)

// sink takes mail and forgets it, but for the last message.
type sink struct {
	taken atomic.Int64
	last  atomic.Pointer[string]
}

// content is the last message.
func (k *sink) content() string {
	if last := k.last.Load(); last != nil {
		return *last
	}
	return ""
}

func (k *sink) listen(tb testing.TB) string {
	tb.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go k.take(conn)
		}
	}()
	return listener.Addr().String()
}

// take is one session, until its client leaves.
func (k *sink) take(conn net.Conn) {
	defer func() { _ = conn.Close() }()
	in := bufio.NewReaderSize(conn, 32<<10)
	answer := func(text string) { _, _ = conn.Write([]byte(text + "\r\n")) }
	answer("220 sink.example")
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		switch strings.ToUpper(line[:min(4, len(line))]) {
		case "EHLO":
			answer("250-sink.example\r\n250-PIPELINING\r\n250 8BITMIME")
		case "DATA":
			answer("354 go on")
			var content bytes.Buffer
			for {
				line, err := in.ReadSlice('\n')
				if err != nil {
					return
				}
				if string(line) == ".\r\n" {
					break
				}
				content.Write(line)
			}
			text := content.String()
			k.last.Store(&text)
			k.taken.Add(1)
			answer("250 taken")
		case "QUIT":
			answer("221 bye")
			return
		default:
			answer("250 ok")
		}
	}
}

// server is the program with the sink behind it.
type server struct {
	sink
	smtp string
	cmd  *exec.Cmd
}

// build makes the program.
func build(tb testing.TB) string {
	tb.Helper()
	binary := filepath.Join(tb.TempDir(), "postroad")
	build := exec.Command("go", "build", "-o", binary, "postroad/cmd/postroad")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		tb.Fatalf("build: %v\n%s", err, out)
	}
	return binary
}

// world is the DNS in which far.test has its policies, and the key whose record is given.
func world(tb testing.TB, key string) *sim.DNS {
	tb.Helper()
	const soa = "$TTL 86400\n@ SOA ns hostmaster 1 3600 600 604800 86400\n"
	return sim.StartDNS(tb, sim.Zones{
		"test": soa,
		"far.test": soa + "@ TXT \"v=spf1 include:_spf.far.test -all\"\n_spf TXT \"v=spf1 ip4:203.0.113.0/24 ip4:127.0.0.1 ~all\"\n" +
			"_dmarc TXT \"v=DMARC1; p=reject; rua=mailto:d@far.test\"\ns1._domainkey TXT " + dkim.Quote(dkim.SplitText(key)) + "\n",
	})
}

// start starts the program with a domain that it relays for, which wants mail judged or not.
func start(tb testing.TB, binary string, dns *sim.DNS, judging string) *server {
	tb.Helper()
	s := &server{smtp: sim.FreeAddress(tb)}
	dir := tb.TempDir()
	config, data := filepath.Join(dir, "postroad.toml"), filepath.Join(dir, "data")
	text := fmt.Sprintf("data_dir = %q\nhostname = \"mx.test.example\"\n[listen]\nsmtp = [%q]\nsubmission = []\nsubmissions = []\nhttp = []\nimap = []\nimaps = []\ndns = []\n"+
		"[resolver]\nservers = [%q]\nroots = [\"127.0.0.1:9\"]\n[deliver]\nallow = [\"127.0.0.0/8\"]\n", data, s.smtp, dns.Addr())
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		tb.Fatal(err)
	}
	s.cmd = exec.Command(binary, "serve", "--config", config)
	var out bytes.Buffer
	s.cmd.Stderr = &out
	if err := s.cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		_ = s.cmd.Process.Signal(os.Interrupt)
		_ = s.cmd.Wait()
		if tb.Failed() {
			tb.Log(out.String()[max(0, out.Len()-4000):])
		}
	})
	run := func(args ...string) ([]byte, error) {
		return exec.Command(binary, append([]string{"--data", data}, args...)...).CombinedOutput()
	}
	wait(tb, "the server", func() bool { _, err := run("domain", "list"); return err == nil })
	for _, args := range [][]string{
		{"domain", "add", "relay.example", "--mode", "relay", "--next-hop", s.listen(tb), "--recipients", "accept", "--proved"},
		{"domain", "set", "relay.example", "--judge", judging, "--yes"},
	} {
		if out, err := run(args...); err != nil {
			tb.Fatalf("%v: %v\n%s", args, err, out)
		}
	}
	return s
}

// wait waits until something holds.
func wait(tb testing.TB, what string, holds func() bool) {
	tb.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for range 12000 {
		if holds() {
			return
		}
		<-tick.C
	}
	tb.Fatalf("it took too long: %s", what)
}

// relayed waits until so many more messages have been taken behind the server.
func (s *server) relayed(tb testing.TB, messages int64) {
	tb.Helper()
	wait(tb, "relaying", func() bool { return s.taken.Load() >= messages || tb.Failed() })
	s.taken.Add(-messages)
}

// rest waits until servers have done what follows of messages: traces are written a second later.
func rest(tb testing.TB, list ...*server) {
	tb.Helper()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	var before time.Duration
	for still := 0; still < 12; still++ {
		<-tick.C
		var now time.Duration
		for _, s := range list {
			now += s.spent(tb)
		}
		if now-before > 20*time.Millisecond {
			still = 0
		}
		before = now
	}
}

// spent is the processor time of the server so far.
func (s *server) spent(tb testing.TB) time.Duration {
	tb.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", s.cmd.Process.Pid))
	if err != nil {
		tb.Fatal(err)
	}
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	const user, system, perSecond = 11, 12, 100
	ticks := 0
	for _, field := range []int{user, system} {
		n, err := strconv.Atoi(fields[field])
		if err != nil {
			tb.Fatal(err)
		}
		ticks += n
	}
	return time.Duration(ticks) * time.Second / perSecond
}
