package acceptance

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"postroad/internal/sim"
)

// answering is an instance that answers questions.
type answering struct {
	*instance
	dns string // host:port
}

func newAnswering(t *testing.T) *answering {
	t.Helper()
	a := &answering{instance: prepareInstance(t, t.TempDir(), ""), dns: sim.FreeAddress(t)}
	a.env = append(a.env, "POSTROAD_LISTEN_DNS="+a.dns)
	a.start()
	return a
}

// host adds a proved domain with a zone.
func (a *answering) host(name string) {
	a.t.Helper()
	a.run("domain", "add", name, "--proved", "--zone", "hosted", "--yes")
}

// key makes a TSIG key and gives its secret.
func (a *answering) key(name string) string {
	a.t.Helper()
	return ask[struct{ Secret string }](a.instance, "tsig-key", "add", name).Secret
}

// nameServer is one of Debian's, in a folder of its own.
type nameServer struct {
	t    *testing.T
	name string
	dir  string
	addr string // host:port
	cmd  *exec.Cmd
	log  output
}

// port is that of an address.
func port(t *testing.T, addr string) string {
	t.Helper()
	_, p, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func newNameServer(t *testing.T, name string) *nameServer {
	t.Helper()
	dir, err := os.MkdirTemp("", "postroad-"+name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) }) // what a server writes at its end may come late
	return &nameServer{t: t, name: name, dir: dir, addr: sim.FreeAddress(t)}
}

func (n *nameServer) write(file, text string) string {
	n.t.Helper()
	path := filepath.Join(n.dir, file)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		n.t.Fatal(err)
	}
	return path
}

// start runs the server in the foreground until the test ends.
func (n *nameServer) start(words ...string) {
	n.t.Helper()
	n.cmd = exec.Command(words[0], words[1:]...)
	n.cmd.Dir, n.cmd.Stdout, n.cmd.Stderr = n.dir, &n.log, &n.log
	n.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := n.cmd.Start(); err != nil {
		n.t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { _ = n.cmd.Wait(); close(ended) }() // by a signal
	n.t.Cleanup(func() {
		_ = n.cmd.Process.Signal(syscall.SIGTERM) // it may have ended
		select {
		case <-ended:
		case <-time.After(5 * time.Second):
			_ = n.cmd.Process.Kill()
			<-ended
		}
		if n.t.Failed() {
			n.t.Logf("log of %s:\n%s", n.name, tail(n.log.String(), 4000))
		}
	})
}

// feed is what a server goes by: its zones, the server that they come from or go to, and the key.
type feed struct {
	peer        string // host:port
	key, secret string
	zones       []string // zones that come from the peer
	catalog     string
	own         map[string]string // zones that have their home at the server: text of the zone file
	sign        bool              // Knot signs its own
}

// knot starts Knot.
func (n *nameServer) knot(f feed) {
	n.t.Helper()
	var b strings.Builder
	fmt.Fprintf(&b, "server:\n  rundir: %q\n  listen: 127.0.0.1@%s\n  tcp-workers: 1\n  udp-workers: 1\n  background-workers: 1\nlog:\n  - target: stderr\n    any: info\ndatabase:\n  storage: %q\n", n.dir, port(n.t, n.addr), n.dir)
	fmt.Fprintf(&b, "control:\n  listen: %q\n", filepath.Join(n.dir, "knot.sock"))
	keyed := ""
	if f.key != "" {
		fmt.Fprintf(&b, "key:\n  - id: %s\n    algorithm: hmac-sha256\n    secret: %s\n", f.key, f.secret)
		keyed = "    key: " + f.key + "\n"
	}
	fmt.Fprintf(&b, "remote:\n  - id: peer\n    address: 127.0.0.1@%s\n%s", port(n.t, f.peer), keyed)
	fmt.Fprintf(&b, "acl:\n  - id: peer\n    address: 127.0.0.1\n%s    action: [notify, transfer]\n  - id: test\n    address: 127.0.0.1\n    action: transfer\n", keyed)
	fmt.Fprintf(&b, "template:\n  - id: default\n    storage: %q\n    zonefile-sync: -1\n    journal-content: all\n    zonefile-load: none\n    acl: [peer, test]\n", n.dir)
	fmt.Fprintf(&b, "  - id: fed\n    storage: %q\n    zonefile-sync: -1\n    journal-content: all\n    zonefile-load: none\n    master: peer\n    acl: [peer, test]\n", n.dir)
	b.WriteString("zone:\n")
	for _, z := range f.zones {
		fmt.Fprintf(&b, "  - domain: %s\n    template: fed\n", z)
	}
	if f.catalog != "" {
		fmt.Fprintf(&b, "  - domain: %s\n    template: fed\n    catalog-role: interpret\n    catalog-template: fed\n", f.catalog)
	}
	for z, text := range f.own {
		n.write(z+".zone", text)
		fmt.Fprintf(&b, "  - domain: %s\n    file: %s.zone\n    zonefile-load: difference\n    journal-content: changes\n    notify: peer\n", z, z)
		if f.sign {
			b.WriteString("    dnssec-signing: on\n")
		}
	}
	n.start("/usr/sbin/knotd", "-c", n.write("knot.conf", b.String()))
}

// nsd starts NSD.
func (n *nameServer) nsd(f feed) {
	n.t.Helper()
	var b strings.Builder
	fmt.Fprintf(&b, "server:\n  ip-address: 127.0.0.1\n  port: %s\n  username: \"\"\n  zonesdir: %q\n  database: \"\"\n  xfrdfile: %q\n  zonelistfile: %q\n  pidfile: %q\n  xfrdir: %q\n  server-count: 1\n  verbosity: 2\n  xfrd-reload-timeout: 0\n  zonefiles-write: 0\nremote-control:\n  control-enable: no\n",
		port(n.t, n.addr), n.dir, filepath.Join(n.dir, "xfrd"), filepath.Join(n.dir, "list"), filepath.Join(n.dir, "pid"), n.dir)
	key := "NOKEY"
	if f.key != "" {
		fmt.Fprintf(&b, "key:\n  name: %s\n  algorithm: hmac-sha256\n  secret: %s\n", f.key, f.secret)
		key = f.key
	}
	for _, z := range f.zones {
		fmt.Fprintf(&b, "zone:\n  name: %s\n  zonefile: %s.zone\n  request-xfr: 127.0.0.1@%s %s\n  allow-notify: 127.0.0.1 %s\n  provide-xfr: 127.0.0.1 NOKEY\n", z, z, port(n.t, f.peer), key, key)
	}
	for z, text := range f.own {
		n.write(z+".zone", text)
		fmt.Fprintf(&b, "zone:\n  name: %s\n  zonefile: %s.zone\n  notify: 127.0.0.1@%s %s\n  provide-xfr: 127.0.0.1 %s\n  provide-xfr: 127.0.0.1 NOKEY\n", z, z, port(n.t, f.peer), key, key)
	}
	n.start("/usr/sbin/nsd", "-d", "-c", n.write("nsd.conf", b.String()))
}

// bind starts BIND.
func (n *nameServer) bind(f feed) {
	n.t.Helper()
	var b strings.Builder
	keyed := ""
	if f.key != "" {
		fmt.Fprintf(&b, "key %q { algorithm hmac-sha256; secret %q; };\n", f.key, f.secret)
		keyed = " key " + f.key
	}
	primaries := fmt.Sprintf("{ 127.0.0.1 port %s%s; }", port(n.t, f.peer), keyed)
	fmt.Fprintf(&b, "options { directory %q; listen-on port %s { 127.0.0.1; }; listen-on-v6 { none; }; recursion no; pid-file \"pid\"; session-keyfile \"session\"; lock-file none; allow-transfer { 127.0.0.1; }; dnssec-validation no; notify no; ixfr-from-differences yes; serial-query-rate 100; notify-delay 0;\n", n.dir, port(n.t, n.addr))
	if f.catalog != "" {
		fmt.Fprintf(&b, "catalog-zones { zone %q default-masters %s in-memory yes min-update-interval 1; };\n", f.catalog, primaries)
		f.zones = append(slices.Clone(f.zones), f.catalog)
	}
	b.WriteString("};\ncontrols {};\n")
	for _, z := range f.zones {
		fmt.Fprintf(&b, "zone %q { type secondary; primaries %s; file %q; };\n", z, primaries, z+".copy")
	}
	for z, text := range f.own {
		n.write(z+".zone", text)
		fmt.Fprintf(&b, "zone %q { type primary; file %q; notify explicit; also-notify %s; };\n", z, z+".zone", primaries)
	}
	n.start("/usr/sbin/named", "-g", "-n", "1", "-c", n.write("named.conf", b.String()))
}

// dig asks a server.
func dig(t *testing.T, server string, args ...string) string {
	t.Helper()
	host, p, err := net.SplitHostPort(server)
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("dig", append([]string{"@" + host, "-p", p, "+time=2", "+tries=1", "+noidnin", "+noidnout"}, args...)...).CombinedOutput()
	if err != nil && cmdCode(err) < 0 {
		t.Fatal(err)
	}
	return string(out)
}

// cmdCode is the exit code of a command; below zero when it did not run.
func cmdCode(err error) int {
	if exit, ok := err.(*exec.ExitError); ok { //nolint:errorlint // as Run gives it
		return exit.ExitCode()
	}
	return -1
}

// content is a zone as a server hands it out, its lines in order.
func content(t *testing.T, server, zone string) string {
	t.Helper()
	var lines []string
	for line := range strings.Lines(dig(t, server, zone, "AXFR", "+nocmd", "+nostats", "+nocomments")) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, ";") {
			lines = append(lines, strings.Join(strings.Fields(line), " "))
		}
	}
	slices.Sort(lines)
	return strings.Join(slices.Compact(lines), "\n")
}

// serial is the version of a zone that a server answers with; "" when it does not.
func serial(t *testing.T, server, zone string) string {
	t.Helper()
	f := strings.Fields(dig(t, server, zone, "SOA", "+short"))
	if len(f) != 7 {
		return ""
	}
	return f[2]
}

// A domain has two name servers, ours and one that is fed by ours: whichever is down, the other answers.
func TestS1_6TheZoneAnswersWhileOneServerIsDown(t *testing.T) {
	t.Parallel()
	a := newAnswering(t)
	a.host("acme.example")
	a.run("record", "add", "acme.example", "www", "A", "192.0.2.1", "--yes")
	second := newNameServer(t, "knot")
	secret := a.key("ns2.acme.example")
	a.run("transfer", "allow", "acme.example", "--key", "ns2.acme.example", "--yes")
	a.run("transfer", "notify", "acme.example", second.addr, "--key", "ns2.acme.example", "--yes")
	second.knot(feed{peer: a.dns, key: "ns2.acme.example", secret: secret, zones: []string{"acme.example"}})
	www := func(server string) string {
		return strings.TrimSpace(dig(t, server, "www.acme.example", "A", "+short"))
	}
	eventually(t, "the second server", func() bool { return www(second.addr) == "192.0.2.1" })
	a.run("record", "edit", "acme.example", "www", "A", "192.0.2.1", "192.0.2.2", "--yes")
	eventually(t, "the change at the second server", func() bool { return www(second.addr) == "192.0.2.2" })
	_ = a.kill(syscall.SIGTERM) // it ends by a signal
	if got := www(second.addr); got != "192.0.2.2" {
		t.Errorf("with ours down: %q", got)
	}
	a.start()
	if err := second.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if got := www(a.dns); got != "192.0.2.2" {
		t.Errorf("with the other one down: %q", got)
	}
}

// NSD, Knot and BIND as secondaries of ours: they fetch, hear of changes, fetch what has changed, and have the same; two of
// them take up new domains from the catalog.
func TestSecondariesHaveWhatWeHave(t *testing.T) {
	t.Parallel()
	a := newAnswering(t)
	a.host("acme.example")
	for i := range 6 {
		a.run("record", "add", "acme.example", fmt.Sprintf("h%d", i%3), "TXT", fmt.Sprintf("v%d", i), "--yes")
	}
	const key = "feed.acme.example"
	f := feed{peer: a.dns, key: key, secret: a.key(key), zones: []string{"acme.example"}}
	a.run("transfer", "allow", "acme.example", "--key", key, "--yes")
	a.run("transfer", "allow", "acme.example", "--from", "127.0.0.1", "--yes") // the test's own
	a.run("catalog", "on", "catalog.invalid", "--yes")
	a.run("transfer", "allow", "catalog.invalid", "--key", key, "--yes")
	servers := map[string]*nameServer{}
	for _, name := range []string{"nsd", "knot", "bind"} {
		n := newNameServer(t, name)
		servers[name] = n
		zone := "catalog.invalid"
		if name == "nsd" {
			zone = "acme.example"
		}
		a.run("transfer", "notify", zone, n.addr, "--key", key, "--yes")
	}
	servers["nsd"].nsd(f)
	f.catalog, f.zones = "catalog.invalid", nil
	servers["knot"].knot(f)
	servers["bind"].bind(f)
	same := func(what string) {
		t.Helper()
		want := content(t, a.dns, "acme.example")
		if !strings.Contains(want, "IN SOA") || !strings.Contains(want, "IN TXT") {
			t.Fatalf("we hand out\n%s", want)
		}
		version := serial(t, a.dns, "acme.example")
		for name, n := range servers {
			begin := time.Now()
			eventually(t, what+" at "+name, func() bool { return serial(t, n.addr, "acme.example") == version })
			t.Logf("%s at %s after %v", what, name, time.Since(begin).Round(time.Millisecond))
			if got := content(t, n.addr, "acme.example"); got != want {
				t.Errorf("%s: %s has\n%s\nwe have\n%s", what, name, got, want)
			}
		}
	}
	same("the zone")
	a.run("record", "add", "acme.example", "new", "A", "192.0.2.7", "--yes")
	a.run("record", "remove", "acme.example", "h1", "TXT", "--yes")
	same("the change")
	a.run("dnssec", "on", "acme.example", "--yes")
	same("the signatures")
	a.run("record", "add", "acme.example", "signed", "A", "192.0.2.8", "--yes")
	same("the change of a signed zone")
	if got := dig(t, servers["nsd"].addr, "signed.acme.example", "A", "+dnssec"); !strings.Contains(got, "RRSIG") {
		t.Errorf("nsd answers without signatures:\n%s", got)
	}
	if log := a.log.String(); !strings.Contains(log, "operation=ixfr") || !strings.Contains(log, "operation=axfr") || !strings.Contains(log, "tsig_key="+key) {
		t.Error("the log does not tell of AXFR and IXFR, and of the key")
	}
	a.host("late.example")
	for _, name := range []string{"knot", "bind"} {
		eventually(t, "a new domain at "+name, func() bool { return serial(t, servers[name].addr, "late.example") != "" })
	}
	a.run("domain", "remove", "late.example", "--yes")
	for _, name := range []string{"knot", "bind"} {
		eventually(t, "the end of a domain at "+name, func() bool { return serial(t, servers[name].addr, "late.example") == "" })
	}
	if got := dig(t, a.dns, "x.zones.catalog.invalid", "PTR"); !strings.Contains(got, "REFUSED") {
		t.Errorf("everybody may ask what is in the catalog:\n%s", got)
	}
}

// Strangers get no zone, and no reason: the cases of docs/threats.md.
func TestAZoneGoesToItsPeersAlone(t *testing.T) {
	t.Parallel()
	a := newAnswering(t)
	a.host("acme.example")
	a.host("other.example")
	secret, others := a.key("ns2.acme.example"), a.key("ns2.other.example")
	a.run("transfer", "allow", "acme.example", "--key", "ns2.acme.example", "--from", "127.0.0.0/8", "--yes")
	a.run("transfer", "allow", "other.example", "--key", "ns2.other.example", "--from", "192.0.2.1", "--yes")
	signed := func(name, secret string) []string { return []string{"-y", "hmac-sha256:" + name + ":" + secret} }
	if got := dig(t, a.dns, append(signed("ns2.acme.example", secret), "acme.example", "AXFR")...); strings.Count(got, "\tSOA\t") != 2 {
		t.Errorf("who may have it:\n%s", got)
	}
	for name, args := range map[string][]string{
		"no key":               {"acme.example", "AXFR"},
		"a wrong secret":       append(signed("ns2.acme.example", others), "acme.example", "AXFR"),
		"a wrong address":      append(signed("ns2.other.example", others), "other.example", "AXFR"),
		"another zone's key":   append(signed("ns2.other.example", others), "acme.example", "AXFR"),
		"IXFR by a stranger":   {"acme.example", "IXFR=1", "+tcp"},
		"a zone that is not":   append(signed("ns2.acme.example", secret), "nothing.example", "AXFR"),
		"a key that is not":    append(signed("ns3.acme.example", secret), "acme.example", "AXFR"),
		"the catalog's absent": {"catalog.invalid", "AXFR"},
	} {
		if got := dig(t, a.dns, args...); strings.Contains(got, "\tSOA\t") || strings.Contains(got, "\tNS\t") {
			t.Errorf("%s:\n%s", name, got)
		}
	}
	a.run("transfer", "deny", "acme.example", "--yes")
	if got := dig(t, a.dns, append(signed("ns2.acme.example", secret), "acme.example", "AXFR")...); strings.Contains(got, "\tSOA\t") {
		t.Errorf("taken back:\n%s", got)
	}
	if !strings.Contains(a.log.String(), "a request about a zone was refused") {
		t.Error("the log does not tell of what was refused")
	}
}

// zoneText is a zone file.
func zoneText(serial int, records ...string) string {
	return fmt.Sprintf("$TTL 300\n@ SOA ns1 host %d 3600 600 86400 60\n@ NS ns1\nns1 A 127.0.0.1\n", serial) + strings.Join(records, "\n") + "\n"
}

// NSD, Knot and BIND as primaries: we fetch their zones, hear of changes, and have the same.
func TestWeHaveWhatOurPrimariesHave(t *testing.T) {
	t.Parallel()
	a := newAnswering(t)
	const key = "xfr.example"
	secret := a.key(key)
	many := []string{"www A 192.0.2.1", "@ MX 10 mail.elsewhere.example.", "*.w CNAME www", "_x._tcp SRV 1 2 3 www", "t TXT \"a\" \"b c\"", "c CAA 0 issue \"ca.example\"", "u TYPE65400 \\# 3 010203", "h HTTPS 1 . alpn=h2"}
	for i := range 40 {
		many = append(many, fmt.Sprintf("h%d A 192.0.2.%d", i, i))
	}
	servers := map[string]*nameServer{}
	for _, name := range []string{"nsd", "knot", "bind"} {
		n, zone := newNameServer(t, name), name+".example"
		servers[name] = n
		f := feed{peer: a.dns, key: key, secret: secret, own: map[string]string{zone: zoneText(1, many...)}}
		switch name {
		case "nsd":
			n.nsd(f)
		case "knot":
			n.knot(f)
		case "bind":
			n.bind(f)
		}
		eventually(t, name, func() bool { return serial(t, n.addr, zone) == "1" })
		a.run("domain", "add", zone, "--proved", "--yes")
		a.run("transfer", "allow", zone, "--from", "127.0.0.1", "--yes") // the test's own
		a.run("secondary", "set", zone, n.addr, "--key", key, "--yes")
	}
	same := func(version string) {
		t.Helper()
		for name, n := range servers {
			zone := name + ".example"
			eventually(t, "version "+version+" from "+name, func() bool { return serial(t, a.dns, zone) == version })
			if got, want := content(t, a.dns, zone), content(t, n.addr, zone); got != want || !strings.Contains(got, "TYPE65400") {
				t.Errorf("from %s we have\n%s\nit has\n%s", name, got, want)
			}
		}
	}
	same("1")
	for name, n := range servers {
		n.write(name+".example.zone", zoneText(2, append(many[1:], "new A 192.0.2.200")...))
		if err := n.cmd.Process.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
	}
	same("2")
	if log := a.log.String(); strings.Count(log, "operation=ixfr") < 2 {
		t.Errorf("Knot and BIND were not asked for what has changed alone:\n%s", tail(log, 3000))
	}
	if _, errs, code := a.try("record", "add", "knot.example", "x", "A", "192.0.2.1", "--yes"); code != 1 || !strings.Contains(errs, "has its home at "+servers["knot"].addr) {
		t.Errorf("a record of a zone whose home is elsewhere: %d %s", code, errs)
	}
	list := ask[[]struct {
		Domain string
		Serial uint32
	}](a.instance, "secondary", "list")
	if len(list) != 3 || list[0].Serial != 2 {
		t.Errorf("%v", list)
	}
	a.run("secondary", "remove", "nsd.example", "--yes")
	if got := dig(t, a.dns, "nsd.example", "SOA"); !strings.Contains(got, "REFUSED") {
		t.Errorf("given up:\n%s", got)
	}
}

// What the primary has signed is served as it was signed, and holds.
func TestASignedZoneIsServedAsItWasSigned(t *testing.T) {
	t.Parallel()
	a := newAnswering(t)
	knot := newNameServer(t, "knot")
	const zone = "signed.example"
	knot.knot(feed{peer: a.dns, sign: true, own: map[string]string{zone: zoneText(1, "www A 192.0.2.1", "*.w TXT \"x\"")}})
	eventually(t, "Knot", func() bool { return strings.Contains(dig(t, knot.addr, zone, "DNSKEY"), "DNSKEY\t257") })
	a.run("domain", "add", zone, "--proved", "--yes")
	a.run("secondary", "set", zone, knot.addr, "--yes")
	a.run("transfer", "allow", zone, "--from", "127.0.0.1", "--yes")
	eventually(t, "the zone", func() bool {
		return serial(t, a.dns, zone) != "" && serial(t, a.dns, zone) == serial(t, knot.addr, zone)
	})
	got := content(t, a.dns, zone)
	if want := content(t, knot.addr, zone); got != want || !strings.Contains(got, "IN RRSIG") {
		t.Errorf("we have\n%s\nKnot has\n%s", got, want)
	}
	file := filepath.Join(t.TempDir(), "zone")
	if err := os.WriteFile(file, []byte(got+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("dnssec-verify", "-o", zone, file).CombinedOutput(); err != nil {
		t.Errorf("dnssec-verify: %v\n%s", err, out)
	}
	if got := dig(t, a.dns, "a.w."+zone, "TXT", "+dnssec"); !strings.Contains(got, "RRSIG\tTXT") || !strings.Contains(got, "NSEC") {
		t.Errorf("a wildcard's answer and its proof:\n%s", got)
	}
}
