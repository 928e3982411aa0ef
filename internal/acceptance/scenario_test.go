package acceptance

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"postroad/internal/sim"
)

// TestScenarios plays the files in testdata/scenarios: whole stories in the words of a mail administrator, through the
// program, a DNS and other mail servers. A line is one step; the words:
//
//	dns ZONE                     the zone is what the indented lines below say; {NAME} stands for a host's address
//	host NAME [knows A B …]      starts a mail server; with "knows" it refuses all other recipients
//	stops NAME, starts NAME      its port refuses connections, takes them again
//	run COMMAND                  a postroad command that must succeed
//	refused "TEXT" COMMAND       one that must not, and says TEXT
//	shows "TEXT" COMMAND         its output has TEXT, perhaps after a moment
//	mail FROM -> TO = CODE       a stranger's message; CODE is the reply to RCPT or, for 250, to the whole message
//	own FROM -> TO = CODE        one of our own users' (a client in trusted_networks)
//	forwards NAME ADDRESS -> TO  the host hands on to us, as TO, what it has got for ADDRESS
//	mailbox ADDRESS has N        a mailbox here holds exactly N messages, perhaps after a moment
//	NAME has N [for ADDRESS]     a host holds exactly N, perhaps after a moment
func TestScenarios(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/scenarios/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scenarios: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			t.Parallel()
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			newStory(t).play(file, string(text))
		})
	}
}

// story is one scenario being played.
type story struct {
	*outside
	i     *instance
	hosts map[string]*host
	sent  int
}

// host is a mail server of a story.
type host struct {
	addr  string
	peer  *sim.Peer // nil while it is down
	knows []string
	all   bool
	had   []sim.Message // of earlier lives
}

// Addresses of a story on loopback: the server's own, from which strangers and our own users come, and the hosts'.
const (
	storyUs        = "127.0.7.1"
	storyStrangers = "127.0.8.1"
	storyOwn       = "127.0.9.1"
)

func newStory(t *testing.T) *story {
	t.Helper()
	o := newOutside(t)
	s := &story{outside: o, hosts: map[string]*host{}}
	s.i = newInstance(t, fmt.Sprintf(
		"addresses = [%q]\n[resolver]\nservers = [%q]\n[deliver]\nport = %s\nallow = [\"127.0.0.0/8\"]\n[receive]\ntrusted_networks = [\"127.0.9.0/24\"]\n[queue]\nretry = [\"1s\", \"2s\"]\n",
		storyUs, o.dns.Addr(), o.port))
	return s
}

// play carries out a scenario's lines.
func (s *story) play(file, text string) {
	s.t.Helper()
	lines := strings.Split(text, "\n")
	for n := 0; n < len(lines); n++ {
		line := strings.TrimSpace(lines[n])
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		at := fmt.Sprintf("%s:%d: %s", filepath.Base(file), n+1, line)
		word, rest, _ := strings.Cut(line, " ")
		if word == "dns" {
			var records []string
			for n+1 < len(lines) && strings.HasPrefix(lines[n+1], "  ") {
				n++
				records = append(records, strings.TrimSpace(lines[n]))
			}
			s.zone(rest, "$TTL 1\n"+s.named(strings.Join(records, "\n"))+"\n")
			continue
		}
		s.step(at, word, rest)
		if s.t.Failed() {
			return
		}
	}
}

// named puts addresses in the place of hosts' names in braces.
func (s *story) named(text string) string {
	text = strings.ReplaceAll(text, "{us}", storyUs)
	for name, h := range s.hosts {
		text = strings.ReplaceAll(text, "{"+name+"}", h.addr)
	}
	return strings.ReplaceAll(text, "{port}", s.port)
}

func (s *story) step(at, word, rest string) {
	s.t.Helper()
	switch word {
	case "host":
		s.host(rest)
	case "stops":
		s.hosts[rest].stop()
	case "starts":
		s.hosts[rest].start(s)
	case "run":
		if out, errs, code := s.i.try(s.words(rest)...); code != 0 {
			s.t.Errorf("%s: exit %d\n%s%s", at, code, out, errs)
		}
	case "refused", "shows":
		want, command, _ := strings.Cut(strings.TrimPrefix(rest, `"`), `" `)
		s.says(at, word, s.named(want), s.words(command))
	case "mail", "own":
		from, to, code := arrow(rest)
		if got := s.send(word, from, to, ""); !strings.HasPrefix(got, code) {
			s.t.Errorf("%s: answered %s", at, got)
		}
	case "forwards":
		name, way, _ := strings.Cut(rest, " ")
		address, to, _ := strings.Cut(way, " -> ")
		s.forward(at, s.hosts[name], address, to)
	case "mailbox":
		address, number, _ := strings.Cut(rest, " has ")
		s.counts(at, number, func() int { return len(ask[[]message](s.i, "mailbox", "messages", address)) })
	default:
		h, ok := s.hosts[word]
		number, has := strings.CutPrefix(rest, "has ")
		if !ok || !has {
			s.t.Fatalf("%s: no such step", at)
		}
		number, address, _ := strings.Cut(number, " for ")
		s.counts(at, number, func() int { return h.holds(address) })
	}
}

// words splits a command; a quoted text is one word.
func (s *story) words(command string) []string {
	var out []string
	for i, part := range strings.Split(s.named(command), "'") {
		if i%2 == 1 {
			out = append(out, part)
			continue
		}
		out = append(out, strings.Fields(part)...)
	}
	return out
}

func arrow(text string) (from, to, code string) {
	way, code, _ := strings.Cut(text, " = ")
	from, to, _ = strings.Cut(way, " -> ")
	return strings.Trim(strings.TrimSpace(from), "<>"), strings.TrimSpace(to), strings.TrimSpace(code)
}

// says checks what a command answers.
func (s *story) says(at, word, want string, command []string) {
	s.t.Helper()
	if word == "refused" {
		out, errs, code := s.i.try(command...)
		if code != 1 || !strings.Contains(out+errs, want) {
			s.t.Errorf("%s: exit %d\n%s%s", at, code, out, errs)
		}
		return
	}
	last := ""
	if !soon(func() bool {
		out, errs, _ := s.i.try(command...)
		last = out + errs
		return strings.Contains(last, want)
	}) {
		s.t.Errorf("%s: it says\n%s", at, last)
	}
}

// counts waits until there are exactly so many, and sees that no more come.
func (s *story) counts(at, number string, count func() int) {
	s.t.Helper()
	want := 0
	if _, err := fmt.Sscan(number, &want); err != nil {
		s.t.Fatalf("%s: %v", at, err)
	}
	if !soon(func() bool { return count() >= want }) || count() != want {
		s.t.Errorf("%s: it is %d", at, count())
	}
}

// soon asks until it is so, for 15 seconds.
func soon(is func() bool) bool {
	deadline := time.After(15 * time.Second)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for !is() {
		select {
		case <-deadline:
			return false
		case <-tick.C:
		}
	}
	return true
}

func (s *story) host(text string) {
	name, knows, some := strings.Cut(text, " knows ")
	h := &host{addr: fmt.Sprintf("127.0.10.%d", len(s.hosts)+1), knows: strings.Fields(knows), all: !some}
	s.hosts[name] = h
	h.start(s)
}

func (h *host) start(s *story) {
	script := sim.Script{}
	if !h.all {
		script.Rcpt = map[string]string{"*": "550 5.1.1 no such user"}
		for _, address := range h.knows {
			script.Rcpt[address] = ""
		}
	}
	h.peer = sim.NewPeer(s.t, script)
	h.peer.Listen(h.addr + ":" + s.port)
}

func (h *host) stop() {
	h.had = append(h.had, h.peer.Messages()...)
	h.peer.Close()
	h.peer = nil
}

// messages are all that the host has ever taken.
func (h *host) messages() []sim.Message {
	if h.peer == nil {
		return h.had
	}
	return append(h.had[:len(h.had):len(h.had)], h.peer.Messages()...)
}

// holds counts what the host has taken, for one address or for all.
func (h *host) holds(address string) int {
	n := 0
	for _, m := range h.messages() {
		for _, to := range m.Accepted() {
			if address == "" || strings.EqualFold(to, address) {
				n++
			}
		}
	}
	return n
}

// send hands a message in and gives the reply that decided: to RCPT, or to the content.
func (s *story) send(who, from, to, header string) string {
	s.t.Helper()
	local := storyStrangers
	if who == "own" {
		local = storyOwn
	}
	conn, err := (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(local)}}).Dial("tcp", s.i.smtp)
	if err != nil {
		s.t.Fatal(err)
	}
	defer conn.Close() //nolint:errcheck // everything has been answered
	_ = conn.SetDeadline(time.Now().Add(time.Minute))
	c := &talk{t: s.t, Conn: conn, r: bufio.NewReader(conn)}
	c.expect("220")
	c.say("EHLO client.example", "250")
	c.say("MAIL FROM:<"+from+">", "250")
	if _, err := io.WriteString(c, "RCPT TO:<"+to+">\r\n"); err != nil {
		s.t.Fatal(err)
	}
	if reply := c.read(); !strings.HasPrefix(reply, "250") {
		return reply
	}
	c.say("DATA", "354")
	s.sent++
	if _, err := io.WriteString(c, header+text(fmt.Sprintf("story-%d", s.sent))+".\r\n"); err != nil {
		s.t.Fatal(err)
	}
	return c.read()
}

// forward hands on to us what a host holds for an address, with its own Received field on top, as a mail server does.
func (s *story) forward(at string, h *host, address, to string) {
	s.t.Helper()
	for _, m := range h.messages() {
		for _, got := range m.Accepted() {
			if !strings.EqualFold(got, address) {
				continue
			}
			header, _, _ := strings.Cut(string(m.Body), "\r\n\r\n")
			header = header[:strings.Index(header, "From: ")]
			if reply := s.send("mail", m.From, to, "Received: from a by b; Sat, 28 Nov 2026 10:00:00 +0000\r\n"+header); !strings.HasPrefix(reply, "250") {
				s.t.Errorf("%s: answered %s", at, reply)
			}
			return
		}
	}
	s.t.Errorf("%s: the host has nothing for %s", at, address)
}
