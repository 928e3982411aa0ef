package dnsd

import (
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	codec "github.com/miekg/dns"

	"postroad/internal/service/dnsd/zonetest"
)

// other is another name server with the same zones.
type other struct {
	name string
	addr string
}

// startPeer starts a Debian daemon in a folder of its own and ends it with the test.
func startPeer(t *testing.T, name, addr, probe string, program string, args ...string) other {
	t.Helper()
	var out strings.Builder
	c := exec.Command(program, args...)
	c.Stdout, c.Stderr = &out, &out
	if err := c.Start(); err != nil {
		t.Fatalf("%s: %v (scripts/install-test-deps installs it)", program, err)
	}
	ended := make(chan struct{})
	go func() { _ = c.Wait(); close(ended) }()
	t.Cleanup(func() {
		_ = c.Process.Signal(os.Interrupt)
		select {
		case <-ended:
		case <-time.After(5 * time.Second):
			_ = c.Process.Kill()
			<-ended
		}
	})
	p := other{name, addr}
	m := new(codec.Msg)
	m.SetQuestion(probe, codec.TypeSOA)
	client := &codec.Client{Timeout: 100 * time.Millisecond}
	for begin := time.Now(); ; {
		if a, _, err := client.Exchange(m, addr); err == nil && len(a.Answer) == 1 {
			return p
		}
		select {
		case <-ended:
			t.Fatalf("%s ended:\n%s", program, out.String())
		default:
		}
		if time.Since(begin) > 10*time.Second {
			t.Fatalf("%s does not answer:\n%s", program, out.String())
		}
	}
}

func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().(*net.TCPAddr).Port //nolint:forcetypeassert // it is
}

// startNSD and startKnot serve zone files named after their zones.
func startNSD(t *testing.T, dir string, domains []string) other {
	t.Helper()
	port := freePort(t)
	own := t.TempDir()
	var text strings.Builder
	text.WriteString(fmt.Sprintf(`server:
  server-count: 1
  ip-address: 127.0.0.1@%d
  do-ip6: no
  username: ""
  chroot: ""
  zonesdir: %q
  database: ""
  pidfile: "%[3]s/pid"
  xfrdfile: "%[3]s/xfrd"
  xfrdir: "%[3]s"
  zonelistfile: "%[3]s/list"
  rrl-ratelimit: 0
remote-control:
  control-enable: no
`, port, dir, own))
	for _, d := range domains {
		fmt.Fprintf(&text, "zone:\n  name: %s\n  zonefile: %[1]s\n", d)
	}
	conf := filepath.Join(own, "conf")
	if err := os.WriteFile(conf, []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	return startPeer(t, "nsd", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)), domains[0]+".", "/usr/sbin/nsd", "-d", "-c", conf)
}

func startKnot(t *testing.T, dir string, domains []string) other {
	t.Helper()
	port := freePort(t)
	own := t.TempDir()
	var text strings.Builder
	text.WriteString(fmt.Sprintf(`server:
  listen: 127.0.0.1@%d
  rundir: %q
  udp-workers: 1
  tcp-workers: 1
  background-workers: 1
database:
  storage: %[2]q
log:
  - target: stderr
    any: warning
template:
  - id: default
    storage: %[3]q
    file: "%%s"
    semantic-checks: off
    zonefile-sync: -1
    journal-content: none
zone:
`, port, own, dir))
	for _, d := range domains {
		text.WriteString("  - domain: " + d + "\n")
	}
	conf := filepath.Join(own, "conf")
	if err := os.WriteFile(conf, []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	return startPeer(t, "knot", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)), domains[0]+".", "/usr/sbin/knotd", "-c", conf)
}

// said is an answer as it is compared: records as text, in order, in lower case.
type said struct {
	code              string
	aa                bool
	answer, authority []string
	glue              []string
}

// compared takes out of an answer what servers may do as they like: the name servers of a zone beside what was asked for
// (RFC 1034 §4.3.2, RFC 2181 §9 call for them "if useful"), and addresses that are no glue.
func compared(a *codec.Msg) said {
	s := said{code: codec.RcodeToString[a.Rcode], aa: a.Authoritative}
	referral := len(a.Ns) > 0 && !slices.ContainsFunc(a.Ns, func(rr codec.RR) bool { return rr.Header().Rrtype == codec.TypeSOA }) && (len(a.Answer) == 0 || !a.Authoritative)
	cut := ""
	for _, rr := range a.Answer {
		s.answer = append(s.answer, text(rr))
	}
	for _, rr := range a.Ns {
		if rr.Header().Rrtype == codec.TypeNS && referral {
			cut = rr.Header().Name
		}
		sig, _ := rr.(*codec.RRSIG)
		if referral || rr.Header().Rrtype != codec.TypeNS && (sig == nil || sig.TypeCovered != codec.TypeNS) {
			s.authority = append(s.authority, text(rr))
		}
	}
	for _, rr := range a.Extra {
		if cut != "" && codec.IsSubDomain(cut, rr.Header().Name) && rr.Header().Rrtype != codec.TypeOPT {
			s.glue = append(s.glue, text(rr))
		}
	}
	for _, list := range [][]string{s.answer, s.authority, s.glue} {
		slices.Sort(list)
	}
	return s
}

// once is the same without repetitions.
func (s said) once() said {
	s.answer = slices.Compact(slices.Clone(s.answer))
	return s
}

func text(rr codec.RR) string { return strings.ToLower(strings.ReplaceAll(rr.String(), "\t", " ")) }

func (s said) String() string {
	return fmt.Sprintf("%s aa=%v\n  answer %s\n  authority %s\n  glue %s", s.code, s.aa, strings.Join(s.answer, "\n    "), strings.Join(s.authority, "\n    "), strings.Join(s.glue, "\n    "))
}

// asker asks one server over a socket of its own, and by TCP what was truncated.
type asker struct {
	conn *codec.Conn
	addr string
}

func newAsker(t *testing.T, addr string) *asker {
	t.Helper()
	c, err := codec.DialTimeout("udp", addr, time.Second)
	if err != nil {
		t.Fatal(err)
	}
	c.UDPSize = 4096
	t.Cleanup(func() { _ = c.Close() })
	return &asker{c, addr}
}

func (a *asker) send(m *codec.Msg) error { return a.conn.WriteMsg(m) }

func (a *asker) receive(m *codec.Msg) (*codec.Msg, error) {
	for {
		_ = a.conn.SetReadDeadline(time.Now().Add(5 * time.Second))
		got, err := a.conn.ReadMsg()
		if err != nil || got.Id == m.Id {
			return got, err
		}
	}
}

func (a *asker) again(m *codec.Msg) (*codec.Msg, error) {
	c := &codec.Client{Net: "tcp", Timeout: 5 * time.Second}
	got, _, err := c.Exchange(m, a.addr)
	return got, err
}

// pairs is how many questions the differential tests ask.
func pairs(t *testing.T, usual int) int {
	t.Helper()
	if v := os.Getenv("POSTROAD_PAIRS"); v != "" {
		n, err := strconv.Atoi(v)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	return usual
}

// chance is always the same, unless POSTROAD_SEED has another number.
func chance(t *testing.T) *rand.Rand {
	t.Helper()
	seed := uint64(4)
	if v := os.Getenv("POSTROAD_SEED"); v != "" {
		var err error
		if seed, err = strconv.ParseUint(v, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	return rand.New(rand.NewPCG(seed, 18)) //nolint:gosec // zones, no secrets
}

// world is random zones on all servers.
type world struct {
	zones   []*zonetest.Random
	domains []string
	askers  []*asker
	names   []string
	rand    *rand.Rand
}

func newWorld(t *testing.T, r *rand.Rand, number int, sign func(i int, domain, text string) string) *world {
	t.Helper()
	dir := t.TempDir()
	w := &world{rand: r}
	var others []string
	for i := range number {
		others = append(others, fmt.Sprintf("a.z%d.test.", i))
	}
	others = append(others, "far.away.example.")
	service := start(t, Config{}, "127.0.0.1")
	add := func(z *zonetest.Random) {
		signed := sign(len(w.zones), z.Domain, z.Text)
		if err := os.WriteFile(filepath.Join(dir, z.Domain), []byte("$TTL 300\n$ORIGIN "+z.Domain+".\n"+signed), 0o600); err != nil {
			t.Fatal(err)
		}
		service.publish(t, zonetest.Read(t, z.Domain, signed))
		w.zones = append(w.zones, z)
		w.domains = append(w.domains, z.Domain)
	}
	for i := range number {
		z := zonetest.NewRandom(r, fmt.Sprintf("z%d.test", i), others)
		add(z)
		if len(z.Cuts) > 0 && r.IntN(3) == 0 {
			add(zonetest.NewRandom(r, strings.TrimSuffix(z.Cuts[0], "."), others))
		}
	}
	for _, p := range []other{{"postroad", service.addr}, startNSD(t, dir, w.domains), startKnot(t, dir, w.domains)} {
		w.names = append(w.names, p.name)
		w.askers = append(w.askers, newAsker(t, p.addr))
	}
	return w
}

// ask asks all servers one question and gives what they said.
func (w *world) ask(t *testing.T, name, kind string, do bool) []said {
	t.Helper()
	m := new(codec.Msg)
	m.SetQuestion(name, 0)
	if n, ok := codec.StringToType[kind]; ok {
		m.Question[0].Qtype = n
	} else {
		m.Question[0].Qtype = 65400
	}
	m.RecursionDesired = false
	m.SetEdns0(4096, do)
	m.Id = uint16(w.rand.Uint32()) //nolint:gosec // any
	for i, a := range w.askers {
		if err := a.send(m); err != nil {
			t.Fatal(w.names[i], err)
		}
	}
	var all []said
	var truncated bool
	for i, a := range w.askers {
		got, err := a.receive(m)
		if err != nil {
			t.Fatalf("%s, asked for %s %s: %v", w.names[i], name, kind, err)
		}
		truncated = truncated || got.Truncated
		all = append(all, compared(got))
	}
	if truncated {
		all = all[:0]
		for i, a := range w.askers {
			got, err := a.again(m)
			if err != nil {
				t.Fatal(w.names[i], err)
			}
			all = append(all, compared(got))
		}
	}
	return all
}

func (w *world) compare(t *testing.T, number int, do bool) {
	t.Helper()
	allowed := map[string]int{}
	wrong := 0
	for range number {
		z := w.zones[w.rand.IntN(len(w.zones))]
		name, kind := z.Question()
		all := w.ask(t, name, kind, do)
		for i := 1; i < len(all); i++ {
			if all[0].String() == all[i].String() {
				continue
			}
			if all[0].String() == all[i].once().String() {
				allowed[w.names[i]+": a circle of aliases is told more than once; no record is twice in a set (RFC 2181 §5)"]++
				continue
			}
			if why := w.reason(w.names[i], name, all[0], all[i]); why != "" {
				allowed[w.names[i]+": "+why]++
				continue
			}
			t.Errorf("%s %s\npostroad %s\n%s %s\nzone %s\n%s", name, kind, all[0], w.names[i], all[i], z.Domain, z.Text)
			z.Text = "as above"
			wrong++
		}
		if wrong > 5 {
			break
		}
	}
	for why, n := range allowed {
		t.Logf("%d answers differ: %s", n, why)
	}
}

// reason says why a peer may have said something else, "" when it may not.
func (w *world) reason(peer, name string, ours, theirs said) string {
	zone := w.zoneOf(name)
	inner := slices.ContainsFunc(w.domains, func(d string) bool { return zone != d+"." && codec.IsSubDomain(d+".", zone) })
	left := slices.ContainsFunc(ours.answer, func(record string) bool {
		words := strings.Fields(record)
		return words[3] == "cname" && w.zoneOf(words[4]) != zone && w.zoneOf(words[4]) != ""
	})
	missing := !subset(ours.answer, theirs.answer)
	same := ours.code == theirs.code && ours.aa && theirs.aa && slices.Equal(ours.answer, theirs.answer)
	switch {
	case peer == "knot" && same && ours.code == "NOERROR" && subset(theirs.authority, ours.authority):
		return "Knot does not prove that a wildcard that is an empty non-terminal has no data (RFC 4035 §3.1.3.4)"
	case ours.code == theirs.code && ours.optOut() && w.aboveCut(name) && slices.Equal(ours.answer, theirs.answer):
		return "with opt-out an empty non-terminal above delegations may have no NSEC3 record (RFC 5155 §7.1): no proof beside it is whole, and each server takes another"
	case ours.endless() && ours.code == "NOERROR" && theirs.code == "NOERROR" && len(ours.authority) == 0 && (subset(ours.answer, theirs.answer) || subset(theirs.answer, ours.answer)):
		return "a DNAME record that leads below itself is followed a different number of times (RFC 1034 §3.6.2 wants a limit)"
	case left && !missing && ours.code == "NOERROR" && ours.aa && subset(ours.authority, theirs.authority):
		return "it follows an alias into another zone, or refers to that; here that zone may be another customer's, and whoever asks goes on himself (RFC 1034 §3.6.2)"
	case peer == "nsd" && same && (strings.Contains(name, "*") || strings.Contains(strings.Join(ours.answer, " "), "*")) && subset(ours.authority, theirs.authority):
		return "NSD proves the closest encloser too where a wildcard is asked for itself or stands in a name; it exists as every name does (RFC 4592 §2.1.1)"
	case peer == "nsd" && same && strings.Contains(strings.Join(ours.answer, "\n"), " in dname "):
		return "NSD proves other names than the one that a DNAME record leads to, where a wildcard stands in for it (RFC 4035 §3.1.3.4)"
	case peer == "nsd" && inner && ours.aa && theirs.aa:
		return "NSD has one tree for all zones, so that names of a parent's glue exist in its child's zone too, and stop wildcards there; zones are apart (RFC 1034 §4.2)"
	}
	return ""
}

// optOut reports whether an NSEC3 record with opt-out is in the answer.
func (s said) optOut() bool {
	return slices.ContainsFunc(s.authority, func(record string) bool { return strings.Contains(record, " in nsec3 1 1 ") })
}

// aboveCut reports whether a delegation lies below one of the names above a name, the apex left out.
func (w *world) aboveCut(name string) bool {
	for _, z := range w.zones {
		for _, cut := range z.Cuts {
			if n := codec.CompareDomainName(cut, name); n > codec.CountLabel(z.Domain) && n < codec.CountLabel(cut) {
				return true
			}
		}
	}
	return false
}

// endless reports whether a DNAME record was used twice on the way.
func (s said) endless() bool {
	used := map[string]int{}
	for _, record := range s.answer {
		owner := strings.Fields(record)
		for _, other := range s.answer {
			if words := strings.Fields(other); owner[3] == "dname" && words[3] == "cname" && words[0] != owner[0] && codec.IsSubDomain(owner[0], words[0]) {
				used[owner[0]]++
			}
		}
	}
	for _, n := range used {
		if n > 1 {
			return true
		}
	}
	return false
}

// subset reports whether all of a are in b.
func subset(a, b []string) bool {
	return !slices.ContainsFunc(a, func(record string) bool { return !slices.Contains(b, record) })
}

// zoneOf gives the zone that answers for a name, "" for none.
func (w *world) zoneOf(name string) string {
	longest := ""
	for _, d := range w.domains {
		if codec.IsSubDomain(d+".", name) && len(d) >= len(longest) {
			longest = d + "."
		}
	}
	return longest
}

func TestAnswersAreThoseOfOtherServers(t *testing.T) {
	w := newWorld(t, chance(t), 60, func(_ int, _, text string) string { return text })
	w.compare(t, pairs(t, 3000), false)
}

func TestSignedAnswersAreThoseOfOtherServers(t *testing.T) {
	how := [][]string{nil, {"-3", "-"}, {"-3", "0a1b", "-H", "3"}, {"-3", "-", "-A"}}
	w := newWorld(t, chance(t), 12, func(i int, domain, text string) string {
		return zonetest.Sign(t, domain, text, how[i%len(how)]...)
	})
	w.compare(t, pairs(t, 3000), true)
}
