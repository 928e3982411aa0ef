package receive

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"postroad/internal/core/account"
	"postroad/internal/core/directory"
	"postroad/internal/core/facts"
	"postroad/internal/core/mail"
	"postroad/internal/core/routing"
	"postroad/internal/service/control/inspect"
	"postroad/internal/service/control/rights"
)

// casesVariable names the environment variable that says how many cases the property test tries.
const casesVariable = "POSTROAD_CASES"

var today = time.Date(2026, 12, 1, 12, 0, 0, 0, time.UTC)

// outside is what is known of the world by one side of the comparison. Some of it is known at once, some after it was
// fetched, and some never.
type outside struct {
	seed    uint64
	fetched map[routing.Need]bool
}

// chance is the same for the same thing, in whatever order things are asked for.
func (o *outside) chance(what string) *rand.Rand {
	h := uint64(14695981039346656037)
	for i := range len(what) {
		h = (h ^ uint64(what[i])) * 1099511628211
	}
	return rand.New(rand.NewPCG(o.seed, h))
}

func (o *outside) known(need routing.Need) bool {
	switch o.chance(fmt.Sprint("known", need)).IntN(4) {
	case 0:
		return false
	case 1:
		return true
	}
	return o.fetched[need]
}

func (o *outside) Fetch(_ context.Context, need routing.Need) { o.fetched[need] = true }

func (o *outside) Exchangers(domain string) (facts.ExchangersAnswer, bool) {
	return o.exchangers(domain), o.known(routing.Need{Kind: routing.NeedExchangers, Domain: domain})
}

func (o *outside) exchangers(domain string) facts.ExchangersAnswer {
	c := o.chance("mx" + domain)
	x := facts.ExchangersAnswer{MX: facts.MXAnswer{Name: domain, Status: facts.Found}, Addrs: map[string]facts.AddrAnswer{}}
	switch c.IntN(8) {
	case 0:
		x.MX.Status = facts.NXDomain
	case 1:
		x.MX.Status = facts.Temporary
	case 2:
		x.MX.Null = true
	case 3:
		x.MX.Status = facts.NoData
		x.Addrs[domain] = o.address(domain)
	default:
		for i := range 1 + c.IntN(3) {
			host := fmt.Sprint("mx", c.IntN(5), ".example")
			x.MX.Records = append(x.MX.Records, facts.MX{Preference: uint16(10 * i), Host: host})
			x.Addrs[host] = o.address(host)
		}
	}
	return x
}

func (o *outside) address(host string) facts.AddrAnswer {
	switch o.chance("a" + host).IntN(5) {
	case 0:
		return facts.AddrAnswer{Name: host, Status: facts.Found, Addrs: []netip.Addr{netip.MustParseAddr("192.0.2.1")}} // ours
	case 1:
		return facts.AddrAnswer{Name: host, Status: facts.Temporary}
	}
	return facts.AddrAnswer{Name: host, Status: facts.Found, Addrs: []netip.Addr{netip.MustParseAddr("198.51.100.7")}}
}

func (o *outside) MX(_ context.Context, name string) facts.MXAnswer      { return o.exchangers(name).MX }
func (o *outside) Addrs(_ context.Context, host string) facts.AddrAnswer { return o.address(host) }

func (o *outside) Recipient(domain, address string) (facts.RecipientAnswer, bool) {
	a := facts.RecipientAnswer{Address: address, Origin: facts.Origin{Source: "real.example", At: today}}
	a.Presence = facts.Presence(1 + o.chance("rcpt"+address).IntN(4))
	return a, o.known(routing.Need{Kind: routing.NeedRecipient, Domain: domain, Address: address})
}

// dice make one case.
type dice struct{ *rand.Rand }

func one[T any](d dice, from ...T) T { return from[d.IntN(len(from))] }

var hosted = []string{"mx.test.example", "a.example", "b.example", "c.example", "xn--bcher-kva.example"}

func (d dice) domain(name string) directory.Domain {
	out := directory.Domain{
		ID: name, Name: name, Account: account.ID(name[:1]), Proved: d.IntN(8) > 0,
		Mode:       one(d, directory.ModeLocal, directory.ModeLocal, directory.ModeSplit, directory.ModeBackup, directory.ModeRelay, directory.ModeRemote, directory.ModeAuto),
		Auto:       one(d, "", directory.ModeLocal, directory.ModeBackup, directory.ModeRemote),
		Recipients: one(d, "", directory.RecipientsAccept, directory.RecipientsList, directory.RecipientsProbe),
		Dual:       d.IntN(4) == 0, Unreachable: one(d, "", directory.UnreachableQueue, directory.UnreachableDefer),
	}
	switch d.IntN(4) {
	case 0:
		out.NextHops = []directory.NextHop{{Host: "h1.example", Port: 25}, {Host: "10.0.0.2", Port: 2525}}
	case 1:
		out.NextHops = []directory.NextHop{{Host: "/run/lmtp", LMTP: true, Operator: true}}
	}
	if d.IntN(4) == 0 {
		out.Gateways = []netip.Prefix{netip.MustParsePrefix("203.0.113.0/24")}
	}
	if d.IntN(4) == 0 {
		out.Onboarding = today.Add(time.Duration(d.IntN(3)-1) * time.Hour)
	}
	if d.IntN(3) == 0 {
		out.Leaving = directory.Leaving{Until: today.Add(time.Duration(d.IntN(3)-1) * time.Hour), From: directory.ModeLocal}
	}
	return out
}

func (d dice) directory() *directory.Snapshot {
	var domains []directory.Domain
	for _, name := range hosted {
		if d.IntN(6) > 0 {
			domains = append(domains, d.domain(name))
		}
	}
	boxes, rules := map[string]directory.Mailbox{}, map[string]directory.Rule{}
	for range 2 + d.IntN(6) {
		m := directory.Mailbox{Domain: one(d, hosted...), Local: one(d, "ann", "bob", "ann+x", "postmaster", strings.Repeat("long", 12))}
		m.Account, m.ID = account.ID(m.Domain[:1]), "box of "+m.Address()
		boxes[m.Address()] = m
	}
	for range d.IntN(7) {
		r := directory.Rule{
			Domain: one(d, hosted...), Local: one(d, "ann", "sales", "info", "postmaster", ""), Keep: d.IntN(2) == 0,
			Kind: one(d, directory.RuleAlias, directory.RuleForward, directory.RuleGroup),
		}
		if r.Local == "" {
			r.Kind = directory.RuleCatchAll
		}
		r.ID, r.Account = r.Address(), account.ID(r.Domain[:1])
		for range 1 + d.IntN(3) {
			r.Targets = append(r.Targets, one(d, "ann", "bob+y", "sales", "info", "nobody", "postmaster")+"@"+one(d, append(hosted, "far.example")...))
		}
		rules[r.Address()] = r
	}
	var list []directory.Mailbox
	for _, m := range boxes {
		list = append(list, m)
	}
	var ruled []directory.Rule
	for _, r := range rules {
		ruled = append(ruled, r)
	}
	var out []directory.Outbound
	if d.IntN(3) == 0 {
		out = append(out, directory.Outbound{ID: "o1", Hop: directory.HostPort{Host: "smart.example", Port: 587}, User: one(d, "", "u"), Operator: true})
	}
	if d.IntN(3) == 0 {
		out = append(out, directory.Outbound{ID: "o2", Domain: one(d, hosted...), Hop: directory.HostPort{Host: "own.example", Port: 25}})
	}
	return directory.NewSnapshot(1, domains, list, ruled, out)
}

func (d dice) address(s *directory.Snapshot) string {
	local := one(d, "ann", "ANN", "ann+news", "+ann", "bob", "sales", "info", "Postmaster", "nobody", "u%far.example", "far.example!u", `"ann b"`, strings.Repeat("long", 12))
	domain := one(d, append(hosted, "far.example", "sub.a.example", "[192.0.2.9]")...)
	if d.IntN(6) == 0 {
		domain = "in.mx.test.example"
		local = one(d, "ann", "bob", "nobody", "bob+y") + "=" + one(d, hosted...)
		for dom := range s.Domains() {
			for m := range s.Mailboxes(dom.Name) {
				if d.IntN(4) == 0 {
					local, _, _ = strings.Cut(routing.RoutingAddress(m, domain), "@")
				}
			}
		}
	}
	return local + "@" + domain
}

// client is who connects, for both sides.
type client struct {
	addr   string
	as     string // login
	of     account.ID
	sender string
}

func (d dice) client(s *directory.Snapshot) client {
	c := client{addr: one(d, "198.51.100.9", "203.0.113.5", "10.1.2.3"), sender: one(d, "", "x@far.example", "ann@a.example", "bob@b.example")}
	if d.IntN(3) > 0 {
		return c
	}
	for dom := range s.Domains() {
		if !dom.Proved { // nobody logs in
			continue
		}
		for m := range s.Mailboxes(dom.Name) {
			c.as, c.of, c.sender = m.Address(), m.Account, m.Address()
			if d.IntN(3) == 0 {
				return c
			}
		}
	}
	return c
}

// from is a tape of a certain client.
type from struct {
	*tape
	addr net.Addr
}

func (f from) RemoteAddr() net.Addr { return f.addr }

// TestExplainIsWhatReceiveDoes asks for random addresses in random installations, as explain does and as a client at
// RCPT, and holds both answers together: the reply, and the rows by which the message is queued. POSTROAD_CASES says
// how many cases there are; a case that fails names its seed.
func TestExplainIsWhatReceiveDoes(t *testing.T) {
	t.Parallel()
	cases := uint64(4_000)
	if text := os.Getenv(casesVariable); text != "" {
		n, err := strconv.ParseUint(text, 10, 32)
		if err != nil {
			t.Fatal(err)
		}
		cases = n
	}
	seen := map[string]int{}
	for seed := range cases {
		seen[explained(t, seed)]++
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
	for _, class := range []routing.Class{routing.ClassLocal, routing.ClassSplit, routing.ClassBackup, routing.ClassRelay, routing.ClassRemote, routing.ClassForeign} {
		for _, code := range []string{"250", "4", "5"} {
			if cases >= 4_000 && seen[string(class)+" "+code] == 0 && (class != routing.ClassForeign || code != "4") {
				t.Errorf("no case of class %s with reply %s: %v", class, code, seen)
			}
		}
	}
	t.Logf("%d cases: %v", cases, seen)
}

// explained tries one case and gives its class and reply.
func explained(t *testing.T, seed uint64) string {
	t.Helper()
	d := dice{rand.New(rand.NewPCG(seed, 1))}
	dir := d.directory()
	asker, address := d.client(dir), d.address(dir)
	trusted := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
	view := routing.View{Directory: dir, Now: today, Stale: d.IntN(16) == 0, Self: routing.Self{
		Hostname: "mx.test.example", RoutingDomain: "in.mx.test.example", Answers: func(a netip.Addr) bool { return a == netip.MustParseAddr("192.0.2.1") },
	}}

	mine := &outside{seed: seed, fetched: map[routing.Need]bool{}}
	explainer := inspect.Explainer{
		Resolver: mine, Facts: mine, DeliverPort: 25, TrustedNetworks: trusted,
		World: func(*directory.Snapshot) routing.View { v := view; v.Facts = mine; return v },
	}
	e, err := explainer.Explain(t.Context(), rights.Operator(), &rights.State{Directory: dir}, inspect.ExplainRequest{Address: address, Sender: asker.sender, Client: asker.addr, As: asker.as})
	if err != nil {
		t.Errorf("%s: explain: %v", address, err)
		return ""
	}

	theirs := &outside{seed: seed, fetched: map[routing.Need]bool{}}
	p := &post{view: view}
	p.view.Facts = theirs
	service := New(Config{Hostname: "mx.test.example", TrustedNetworks: trusted, Facts: theirs}, p, p, p, p, nil, slog.New(p))
	service.Stop(t.Context())
	conn := from{&tape{piece: readBuffer}, &net.TCPAddr{IP: net.ParseIP(asker.addr), Port: 4711}}
	author := cmp.Or(asker.sender, "x@far.example")
	conn.in.Reset([]byte("EHLO c.example\r\nMAIL FROM:<" + asker.sender + ">\r\nRCPT TO:<" + address + ">\r\nDATA\r\nFrom: " + author + "\r\n\r\nx\r\n.\r\nQUIT\r\n"))
	s := newSession(service, service.sessions.NewClient(&service.kinds[MX], conn), MX)
	if asker.as != "" {
		s.kind, s.login, s.loginOf = Submission, asker.as, asker.of
	}
	s.Run()
	_, said, found := strings.Cut(conn.out.String(), "sender ok\r\n")
	said, _, _ = strings.Cut(said, "\r\n")
	if want := fmt.Sprintf("%d %s %s", e.Reply.Code, e.Reply.Enhanced, e.Reply.Text); !found || said != want {
		t.Errorf("%s from %+v: RCPT says %q, explain %q, for\n%s", address, asker, said, want, sentences(e))
	}
	var rows, told []string
	if len(p.accepted) > 0 {
		for _, r := range p.accepted[0].Rows {
			rows = append(rows, string(r.Lane)+" "+r.Destination)
			explainedHops(t, &view, mine, &e, r.Lane)
		}
	}
	for _, to := range e.Destinations {
		told = append(told, to.Lane+" "+to.Address)
	}
	slices.Sort(rows)
	slices.Sort(told)
	if !slices.Equal(rows, slices.Compact(told)) {
		t.Errorf("%s from %+v: queued as %q, explained as %q, for\n%s", address, asker, rows, told, sentences(e))
	}
	code := "250"
	if e.Reply.Code != 250 {
		code = strconv.Itoa(e.Reply.Code / 100)
	}
	return e.Class + " " + code
}

// explainedHops holds what explain says of next hops against where delivery goes, which has the lane to go by: its
// hops, or the exchangers that are left of those in DNS.
func explainedHops(t *testing.T, view *routing.View, world *outside, e *inspect.Explanation, lane mail.Lane) {
	t.Helper()
	var want []string
	switch lane.Transport() {
	case mail.TransportLocal:
		if !e.DeliverHere {
			t.Errorf("delivered here, and explain does not say so")
		}
	case mail.TransportRelay, mail.TransportLMTP:
		hops, _, _ := routing.ParseHops(lane.Key())
		for _, h := range hops {
			want = append(want, h.Host)
		}
	case mail.TransportRemote:
		x, keep := world.exchangers(lane.Key()), routing.Better
		if d, ok := view.Directory.Domain(lane.Key()); ok && d.Proved {
			keep = routing.KeepFor(d)
		}
		if list, reply := routing.Candidates(x.MX); reply.Code == 0 {
			best, _ := routing.Exchangers(list, x.Addrs, view.Self.Answers, keep, func(int, func(int, int)) {})
			for _, b := range best {
				want = append(want, b.Host)
			}
		}
	}
	for _, host := range want {
		if !slices.ContainsFunc(e.NextHops, func(h inspect.ExplainHop) bool { return h.Host == host }) {
			t.Errorf("delivery goes to %s, explain tells of %v", host, e.NextHops)
		}
	}
}

func sentences(e inspect.Explanation) string {
	var out []string
	for _, r := range e.Reasons {
		out = append(out, r.Sentence)
	}
	return strings.Join(out, "\n")
}
