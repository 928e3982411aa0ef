package acceptance

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"postroad/internal/sim"
)

// signedBy is what `dnssec show --json` tells.
type signedBy struct {
	Signed bool   `json:"signed"`
	Denial string `json:"denial"`
	Keys   []struct {
		Tag         int
		Role, State string
	} `json:"keys"`
	DS []struct {
		Record string `json:"record"`
		DNSKEY string `json:"dnskey"`
	} `json:"ds"`
	Parent struct{ State, Finding string } `json:"parent"`
	Next   string                          `json:"next"`
}

// safe is an installation at 127.1.3.1 in the tree, the name server of the zone safe.example.
type safe struct {
	*instance
	tree *tree
	dns  string
}

const safeAddress = "127.1.3.1"

func newSafe(t *testing.T) *safe {
	t.Helper()
	w := newTree(t)
	i := prepareInstance(t, t.TempDir(), w.config())
	s := &safe{instance: i, tree: w, dns: net.JoinHostPort(safeAddress, w.dnsPort)}
	i.env = append(i.env, "POSTROAD_LISTEN_DNS="+s.dns)
	i.start()
	w.hand("safe.example", [2]string{"ns.safe.example", safeAddress})
	i.run("domain", "add", "safe.example", "--zone", "hosted", "--proved")
	for _, r := range []string{
		"www A 192.0.2.1", "*.any A 192.0.2.2", "sub NS ns.sub.safe.example", "ns.sub A 192.0.2.3", "a.b.deep TXT hello", "alias CNAME www", "@ TXT apex",
	} {
		i.run(append([]string{"record", "add", "--yes", "safe.example"}, strings.Fields(r)...)...)
	}
	return s
}

// digAt asks a server and gives flags, status and answer.
func digAt(t *testing.T, server string, args ...string) string {
	t.Helper()
	host, port, err := net.SplitHostPort(server)
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("dig", append([]string{"@" + host, "-p", port, "+time=3", "+tries=2"}, args...)...).CombinedOutput()
	if err != nil {
		return fmt.Sprintf("dig: %v\n%s", err, out)
	}
	return string(out)
}

// validating starts unbound as a resolver that goes by a DS of safe.example.
func (s *safe) validating(ds string) string {
	s.t.Helper()
	dir := s.t.TempDir()
	address := sim.FreeAddress(s.t)
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		s.t.Fatal(err)
	}
	conf := filepath.Join(dir, "unbound.conf")
	text := fmt.Sprintf(`server:
  interface: %s@%s
  do-daemonize: no
  use-syslog: no
  logfile: ""
  chroot: ""
  username: ""
  directory: %q
  pidfile: ""
  do-not-query-localhost: no
  module-config: "validator iterator"
  trust-anchor: %q
stub-zone:
  name: "safe.example"
  stub-addr: %s@%s
remote-control:
  control-enable: no
`, host, port, dir, ds, safeAddress, s.tree.dnsPort)
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
	cmd := exec.Command("unbound", "-d", "-c", conf)
	var log output
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
		if s.t.Failed() {
			s.t.Logf("unbound:\n%s", log.String())
		}
	})
	eventually(s.t, "unbound answers", func() bool { return strings.Contains(digAt(s.t, address, "localhost", "A"), "status:") })
	return address
}

func (s *safe) shown() signedBy { return ask[signedBy](s.instance, "dnssec", "show", "safe.example") }

func TestDNSSECIsBelievedByValidatingResolvers(t *testing.T) {
	t.Parallel()
	s := newSafe(t)
	for _, denial := range []string{"nsec", "nsec3"} {
		s.run("dnssec", "on", "safe.example", "--denial", denial)
		shown := s.shown()
		if !shown.Signed || shown.Denial != denial || len(shown.DS) != 2 || len(shown.Keys) != 1 {
			t.Fatalf("%+v", shown)
		}
		resolver := s.validating(shown.DS[0].Record)
		for _, c := range [][]string{
			{"www.safe.example", "A", "NOERROR", "192.0.2.1"},
			{"x.any.safe.example", "A", "NOERROR", "192.0.2.2"},
			{"alias.safe.example", "A", "NOERROR", "192.0.2.1"},
			{"nowhere.safe.example", "A", "NXDOMAIN", "SOA"},
			{"a.nowhere.safe.example", "A", "NXDOMAIN", "SOA"},
			{"www.safe.example", "AAAA", "NOERROR", "SOA"},
			{"x.any.safe.example", "AAAA", "NOERROR", "SOA"},
			{"b.deep.safe.example", "A", "NOERROR", "SOA"},
			{"sub.safe.example", "DS", "NOERROR", "SOA"},
			{"safe.example", "DNSKEY", "NOERROR", "DNSKEY"},
			{"safe.example", "TXT", "NOERROR", "apex"},
		} {
			out := digAt(t, resolver, "+dnssec", c[0], c[1])
			if !strings.Contains(out, "status: "+c[2]) || !strings.Contains(out, " ad") || !strings.Contains(out, c[3]) {
				t.Errorf("%s: %s %s is not believed:\n%s", denial, c[0], c[1], out)
			}
		}
		// The check checks: by the DS of another key nothing is believed.
		if denial == "nsec" {
			wrong := strings.Fields(shown.DS[0].Record)
			wrong[len(wrong)-1] = strings.Repeat("0", 64)
			if out := digAt(t, s.validating(strings.Join(wrong, " ")), "www.safe.example", "A"); !strings.Contains(out, "SERVFAIL") {
				t.Errorf("believed by a wrong DS:\n%s", out)
			}
		}
		// delv, from our name server directly.
		fields := strings.Fields(shown.DS[0].DNSKEY)
		anchors := filepath.Join(t.TempDir(), "anchors")
		text := fmt.Sprintf("trust-anchors { %q static-key %s %s %s %q; };\n", fields[0], fields[4], fields[5], fields[6], strings.Join(fields[7:], ""))
		if err := os.WriteFile(anchors, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"www.safe.example", "none.safe.example", "y.any.safe.example"} {
			out, err := exec.Command("delv", "@"+safeAddress, "-p", s.tree.dnsPort, "-a", anchors, "+root=safe.example", name, "A").CombinedOutput()
			if err != nil || !strings.Contains(string(out), "fully validated") {
				t.Errorf("%s: delv %s: %v\n%s", denial, name, err, out)
			}
		}
	}
}

func TestDNSSEC_DS_STALEStandsInTheWay(t *testing.T) {
	t.Parallel()
	s := newSafe(t)
	s.run("dnssec", "on", "safe.example")
	if shown := s.shown(); shown.Parent.State != "none" || !strings.Contains(shown.Next, "may be entered at the registrar from") {
		t.Errorf("without a DS: %+v", shown)
	}
	ds := func(record string) {
		s.tree.top.SetZone("example", s.tree.topText+record+"\n")
	}
	record := s.shown().DS[0].Record
	ds(record)
	if shown := s.shown(); shown.Parent.State != "matches" {
		t.Errorf("with its DS: %+v", shown)
	}
	s.refuses([]string{"dnssec", "off", "safe.example"}, "DNSSEC_DS_STALE", "the order is")
	fields := strings.Fields(record)
	fields[4] = "1"
	fields[len(fields)-1] = strings.Repeat("0", 64)
	ds(strings.Join(fields, " "))
	if shown := s.shown(); shown.Parent.State != "stale" || shown.Parent.Finding != "DNSSEC_DS_STALE" {
		t.Errorf("with another DS: %+v", shown)
	}
	ds("")
	s.run("dnssec", "off", "safe.example", "--yes")
	if out := digAt(t, s.dns, "+dnssec", "www.safe.example", "A"); strings.Contains(out, "RRSIG") || !strings.Contains(out, "192.0.2.1") {
		t.Errorf("switched off:\n%s", out)
	}
	ds(strings.Join(fields, " "))
	s.refuses([]string{"dnssec", "on", "safe.example"}, "DNSSEC_DS_STALE")
	if err := s.kill(syscall.SIGKILL); err == nil {
		t.Error("it ended by itself")
	}
	s.start()
	eventually(t, "the finding of a DS above an unsigned zone", func() bool { return strings.Contains(s.run("domain", "show", "safe.example"), "DNSSEC_DS_STALE") })
}

func TestS1_4NameServersDoNotChangeUnderAnotherDS(t *testing.T) {
	t.Parallel()
	s := newSafe(t)
	s.run("account", "add", "customer")
	token := ask[struct{ Secret string }](s.instance, "token", "add", "theirs", "--account", "customer").Secret
	as := func(args ...string) []string {
		return append([]string{"--server", "http://" + s.http, "--token", token}, args...)
	}
	s.run("domain", "add", "moved.example", "--account", "customer", "--proved")
	s.tree.hand("moved.example", [2]string{"ns1.moved.example", "127.1.1.1"})
	ds := func(record string) {
		s.tree.top.SetZone("example", s.tree.topText+record+"\n")
	}
	stranger := "moved.example. 3600 IN DS 4711 13 2 " + strings.Repeat("0", 64)
	ds(stranger)
	refused := func(args ...string) {
		t.Helper()
		s.refuses(as(append(args, "--yes")...), "DNSSEC_DS_STALE", "or ask the operator")
	}
	refused("domain", "set", "moved.example", "--zone", "hosted")
	ds("")
	s.run(as("domain", "set", "moved.example", "--zone", "hosted", "--yes")...)
	ds(stranger)
	refused("record", "add", "moved.example", "@", "NS", "ns.far.example.")
	ds("")
	s.run(as("record", "add", "moved.example", "@", "NS", "ns.far.example.", "--yes")...)

	s.run(as("dnssec", "on", "moved.example")...)
	own := ask[signedBy](s.instance, "dnssec", "show", "moved.example").DS[0].Record
	s.tree.hand("moved.example", [2]string{"ns.moved.example", safeAddress})
	ds(own)
	s.run(as("record", "remove", "moved.example", "@", "NS", "ns.far.example.", "--yes")...)
	refused("domain", "set", "moved.example", "--zone", "external")
	s.refuses([]string{"domain", "set", "moved.example", "--zone", "external"}, "DNSSEC_DS_STALE", "--yes overrides it")
	s.run("domain", "set", "moved.example", "--zone", "external", "--yes")
	if out := s.run("audit", "--domain", "moved.example", "--json"); !strings.Contains(out, "DNSSEC_DS_STALE") {
		t.Errorf("the override is not recorded:\n%s", out)
	}
}

func TestS5_20ASignedZoneComesBackWithItsKeys(t *testing.T) {
	t.Parallel()
	s := newSafe(t)
	s.run("dnssec", "on", "safe.example", "--denial", "nsec3")
	record := s.shown().DS[0].Record
	verified := func(what string) {
		t.Helper()
		if got := s.shown(); !got.Signed || got.DS[0].Record != record {
			t.Errorf("%s: %+v, want the DS %s", what, got, record)
		}
		file := filepath.Join(t.TempDir(), "safe.example.zone")
		if err := os.WriteFile(file, []byte(s.run("zone", "export", "safe.example", "--signed")), 0o600); err != nil {
			t.Fatal(err)
		}
		if out, err := exec.Command("dnssec-verify", "-o", "safe.example", "-z", file).CombinedOutput(); err != nil {
			t.Errorf("%s: dnssec-verify: %v\n%s", what, err, out)
		}
	}
	verified("signed")
	for _, line := range []string{"dnssec off safe.example --yes", "domain remove safe.example --yes"} {
		s.run(strings.Fields(line)...)
		if out := digAt(t, s.dns, "+dnssec", "www.safe.example", "A"); strings.Contains(out, "RRSIG") {
			t.Errorf("%s: it is signed still:\n%s", line, out)
		}
		if strings.HasPrefix(line, "dnssec") {
			s.refuses([]string{"zone", "export", "safe.example", "--signed"}, "is not signed")
		}
		s.run("undo", fmt.Sprint(ask[entries](s.instance, "audit", "--limit", "1")[0].ID), "--yes")
		verified("after " + line + " was undone")
		if out := digAt(t, s.dns, "+dnssec", "www.safe.example", "A"); !strings.Contains(out, "RRSIG") || !strings.Contains(out, "192.0.2.1") {
			t.Errorf("%s: after it was undone:\n%s", line, out)
		}
	}
}

func TestDNSSECWithoutItsKeyIsAnsweredAsItWas(t *testing.T) {
	t.Parallel()
	s := newSafe(t)
	s.run("dnssec", "on", "safe.example")
	before := digAt(t, s.dns, "+dnssec", "+short", "safe.example", "SOA")
	if err := s.kill(syscall.SIGKILL); err == nil {
		t.Error("it ended by itself")
	}
	secret := filepath.Join(s.data, "keys.secret")
	if info, err := os.Stat(secret); err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("%v, %v", info, err)
	}
	if err := os.WriteFile(secret, []byte(strings.Repeat("ab", 32)+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s.start()
	if out := digAt(t, s.dns, "+dnssec", "+short", "safe.example", "SOA"); out != before || len(strings.Split(out, "\n")) < 2 {
		t.Errorf("answered:\n%s\nbefore:\n%s", out, before)
	}
	s.refuses([]string{"record", "add", "safe.example", "more", "A", "192.0.2.9"}, "cannot be signed", "what was published before stays")
	eventually(t, "the finding", func() bool { return strings.Contains(s.run("domain", "show", "safe.example"), "DNSSEC_KEY_UNUSABLE") })
	if out := digAt(t, s.dns, "+dnssec", "more.safe.example", "A"); !strings.Contains(out, "NXDOMAIN") || !strings.Contains(out, "RRSIG") {
		t.Errorf("answered:\n%s", out)
	}
	for _, words := range [][]string{{"dnssec", "show", "safe.example", "--json"}, {"domain", "show", "safe.example", "--json"}, {"audit", "--json"}} {
		out, _, _ := s.try(words...)
		if strings.Contains(strings.ToLower(out), "sealed") || strings.Contains(out, "PRIVATE") {
			t.Errorf("%v shows a private part:\n%s", words, out)
		}
	}
}

func TestDNSSECOfAllZonesInSeconds(t *testing.T) {
	t.Parallel()
	s := newSafe(t)
	for i := range 40 {
		s.run("domain", "add", fmt.Sprintf("z%d.example", i), "--zone", "hosted", "--proved")
	}
	begin := time.Now()
	s.run("dnssec", "on", "--all", "--yes")
	if took := time.Since(begin); took > 5*time.Second {
		t.Errorf("it took %v", took)
	}
	for _, i := range []int{0, 20, 39} {
		if out := digAt(t, s.dns, "+dnssec", fmt.Sprintf("z%d.example", i), "SOA"); !strings.Contains(out, "RRSIG") {
			t.Errorf("z%d is not signed:\n%s", i, out)
		}
	}
}
