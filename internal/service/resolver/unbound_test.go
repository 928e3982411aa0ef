package resolver

import (
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"postroad/internal/core/facts"
	"postroad/internal/proto/dns"
	"postroad/internal/sim"
)

// signedZone makes a zone file, signed when it is to be, and gives it with the DNSKEY record to trust.
func signedZone(t *testing.T, dir, zone string, sign bool) (file, anchor string) {
	t.Helper()
	file = filepath.Join(dir, zone)
	text := "$TTL 300\n@ SOA ns x 1 3600 600 604800 60\n@ NS ns\nns A 127.0.0.1\n@ MX 10 mx\nmx A 192.0.2.25\n"
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil { //nolint:gosec // unbound reads it
		t.Fatal(err)
	}
	if !sign {
		return file, ""
	}
	run := func(name string, args ...string) string {
		cmd := exec.Command(name, args...)
		cmd.Dir = dir
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v\n%s", name, err, out)
		}
		return string(out)
	}
	key := strings.Fields(run("dnssec-keygen", "-q", "-a", "ECDSAP256SHA256", "-f", "KSK", zone))[0]
	run("dnssec-signzone", "-q", "-z", "-S", "-o", zone, "-f", file+".signed", file)
	record, err := os.ReadFile(filepath.Join(dir, key+".key"))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(record)) {
		if !strings.HasPrefix(line, ";") {
			anchor = strings.TrimSpace(line)
		}
	}
	return file + ".signed", anchor
}

// startUnbound runs a validating resolver that knows three zones: one signed, one not, and one whose signatures fail.
func startUnbound(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	address := sim.FreeAddress(t)
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	var conf, zones strings.Builder
	fmt.Fprintf(&conf, "server:\n username: \"\"\n chroot: \"\"\n directory: %q\n pidfile: \"\"\n use-syslog: no\n interface: %s\n port: %s\n do-daemonize: no\n module-config: \"validator iterator\"\n local-zone: \"test.\" nodefault\n", dir, host, port)
	for _, zone := range []string{"signed.test", "bogus.test", "plain.test"} {
		file, anchor := signedZone(t, dir, zone, zone != "plain.test")
		if anchor != "" {
			fmt.Fprintf(&conf, " trust-anchor: %q\n", anchor)
		}
		if zone == "bogus.test" {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(file, []byte(strings.Replace(string(text), "10 mx.bogus.test.", "20 mx.bogus.test.", 1)), 0o644); err != nil { //nolint:gosec // unbound reads it
				t.Fatal(err)
			}
		}
		fmt.Fprintf(&zones, "auth-zone:\n name: %s\n zonefile: %q\n for-downstream: no\n for-upstream: yes\n fallback-enabled: no\n", zone, file)
	}
	conf.WriteString("remote-control:\n control-enable: no\n" + zones.String())
	path := filepath.Join(dir, "unbound.conf")
	if err := os.WriteFile(path, []byte(conf.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("unbound", "-d", "-c", path)
	var log strings.Builder
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-ended
		if t.Failed() {
			t.Logf("%s\n%s", conf.String(), log.String())
		}
	})
	deadline := time.Now().Add(20 * time.Second)
	for time.Now().Before(deadline) {
		conn, err := net.Dial("tcp", address)
		if err == nil {
			_ = conn.Close()
			return address
		}
		<-time.After(20 * time.Millisecond)
	}
	t.Fatalf("unbound does not answer:\n%s", log.String())
	return ""
}

// unbound says what is signed and validates, what is not signed, and what does not validate.
func TestSecurityByUnbound(t *testing.T) {
	t.Parallel()
	s := New(Config{Servers: []string{startUnbound(t)}}, slog.New(slog.DiscardHandler))
	for _, c := range []struct {
		zone string
		want facts.Security
	}{{"signed.test", facts.Secure}, {"bogus.test", facts.Bogus}, {"plain.test", facts.Insecure}} {
		got, answer := s.Security(t.Context(), c.zone, dns.TypeMX)
		if got != c.want {
			t.Errorf("%s: %v (%s), want %v", c.zone, got, answer.Detail, c.want)
		}
		if a := s.Recursive(t.Context(), c.zone, dns.TypeMX); (a.Status == facts.Found) != (c.want != facts.Bogus) {
			t.Errorf("%s: %+v", c.zone, a)
		}
	}
}
