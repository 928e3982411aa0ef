package routing_test

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"postroad/internal/core/account"
	"postroad/internal/core/directory"
	"postroad/internal/core/facts"
	"postroad/internal/core/routing"
	"postroad/internal/proto/smtp"
)

// noted writes alterations the way an admin would note them.
func noted(list []routing.Alteration) []string {
	var out []string
	for _, a := range list {
		who := a.Local + "@" + a.Domain
		switch a.Whose {
		case routing.WhoseAddress:
		case routing.WhoseOthers:
			who = "others@" + a.Domain
		case routing.WhoseForeign:
			who = "foreign from " + a.Domain
		}
		if a.Presence != 0 {
			who += " if " + a.Presence.String()
		}
		var from []string
		for bit, name := range map[routing.Senders]string{routing.FromStrangers: "strangers", routing.FromGateways: "gateways", routing.FromOwn: "own"} {
			if a.Senders&bit != 0 {
				from = append(from, name)
			}
		}
		slices.Sort(from)
		out = append(out, fmt.Sprintf("%s (%s) %s: %s -> %s", who, strings.Join(from, ","), a.Harm, show(a.Before), show(a.After)))
	}
	return out
}

func TestWhatIfTellsWhatAChangeAlters(t *testing.T) {
	t.Parallel()
	const real = "relay/real.example:25 "
	hop := []directory.NextHop{{Host: "real.example", Port: 25}}
	v := routing.View{
		Now:  noon,
		Self: routing.Self{Hostname: "mx.host.example", RoutingDomain: "in.mx.host.example"},
		Directory: directory.NewSnapshot(1, []directory.Domain{
			{Name: "mx.host.example", Account: account.Operator, Proved: true, Mode: directory.ModeLocal},
			{Name: "acme.example", Account: "a", Proved: true, Mode: directory.ModeLocal},
			{Name: "split.example", Account: "a", Proved: true, Mode: directory.ModeSplit, NextHops: hop},
			{Name: "other.example", Account: "b", Proved: true, Mode: directory.ModeLocal},
		}, []directory.Mailbox{
			{ID: "box-pm", Account: account.Operator, Domain: "mx.host.example", Local: "postmaster"},
			{ID: "box-ann", Account: "a", Domain: "acme.example", Local: "ann"},
			{ID: "box-kim", Account: "a", Domain: "split.example", Local: "kim"},
			{ID: "box-zoe", Account: "b", Domain: "other.example", Local: "zoe"},
		}, []directory.Rule{
			{ID: "r1", Account: "a", Domain: "acme.example", Local: "sales", Kind: directory.RuleAlias, Targets: []string{"ann@acme.example"}},
			{ID: "r2", Account: "b", Domain: "other.example", Local: "friends", Kind: directory.RuleGroup, Targets: []string{"zoe@other.example", "sales+x@acme.example"}},
			{ID: "r3", Account: "b", Domain: "other.example", Local: "away", Kind: directory.RuleForward, Targets: []string{"u@far.example"}},
		}, nil),
	}
	acme := func(change func(d *directory.Domain)) directory.Delta {
		d, _ := v.Directory.Domain("acme.example")
		next := *d
		change(&next)
		return directory.Delta{PutDomains: []directory.Domain{next}}
	}
	for _, c := range []struct {
		name   string
		change directory.Delta
		scope  account.Scope
		want   []string
	}{
		{"nothing that routes", acme(func(d *directory.Domain) { d.Hold, d.Zone = time.Hour, directory.ZoneHosted }), account.System(), nil},
		{
			"a mailbox goes",
			directory.Delta{RemoveMailboxes: []string{"ann@acme.example"}},
			account.System(),
			[]string{
				"ann@acme.example (own,strangers) stops being received: box-ann -> 5.1.1",
				"sales@acme.example (own,strangers) stops being received: box-ann -> 5.1.1",
				"ann=acme.example@in.mx.host.example (own,strangers) stops being received: box-ann -> 5.1.1",
				"friends@other.example (own,strangers) goes elsewhere: box-zoe, box-ann -> box-zoe",
			},
		},
		{
			"the same, as its owner sees it",
			directory.Delta{RemoveMailboxes: []string{"zoe@other.example"}},
			account.Of("b"),
			[]string{
				"zoe=other.example@in.mx.host.example (own,strangers) stops being received: box-zoe -> 5.1.1",
				"zoe@other.example (own,strangers) stops being received: box-zoe -> 5.1.1",
				"friends@other.example (own,strangers) goes elsewhere: box-zoe, box-ann -> box-ann",
			},
		},
		{
			"remote", acme(func(d *directory.Domain) { d.Mode = directory.ModeRemote }), account.Of("a"),
			[]string{
				"ann@acme.example (strangers) stops being received: box-ann -> 5.7.1",
				"postmaster@acme.example (strangers) stops being received: box-pm -> 5.7.1",
				"sales@acme.example (strangers) stops being received: box-ann -> 5.7.1",
				"ann@acme.example (own) goes elsewhere: box-ann -> remote/acme.example ann@acme.example",
				"postmaster@acme.example (own) goes elsewhere: box-pm -> remote/acme.example postmaster@acme.example",
				"sales@acme.example (own) goes elsewhere: box-ann -> remote/acme.example sales@acme.example",
				"others@acme.example (own) is newly received: 5.1.1 -> remote/acme.example any-other-address@acme.example",
			},
		},
		{
			"onboarding", acme(func(d *directory.Domain) { d.Onboarding = noon.Add(time.Hour) }), account.System(),
			[]string{"others@acme.example (own,strangers) is refused for now only, no longer for good: 5.1.1 -> 4.2.1"},
		},
		{
			"gateways", acme(func(d *directory.Domain) { d.Gateways = []netip.Prefix{netip.MustParsePrefix("203.0.113.0/24")} }), account.Of("a"),
			[]string{
				"ann@acme.example (strangers) is delayed: box-ann -> 4.7.1",
				"postmaster@acme.example (strangers) is delayed: box-pm -> 4.7.1",
				"sales@acme.example (strangers) is delayed: box-ann -> 4.7.1",
				"others@acme.example (strangers) is refused for now only, no longer for good: 5.1.1 -> 4.7.1",
			},
		},
		{
			"a catch-all",
			directory.Delta{PutRules: []directory.Rule{{ID: "c", Account: "a", Domain: "acme.example", Kind: directory.RuleCatchAll, Targets: []string{"ann@acme.example"}}}},
			account.System(),
			[]string{"others@acme.example (own,strangers) is newly received: 5.1.1 -> box-ann"},
		},
		{
			"a foreign domain comes here",
			directory.Delta{PutDomains: []directory.Domain{{Name: "far.example", Account: "c", Proved: true, Mode: directory.ModeLocal}}},
			account.Of("b"),
			[]string{"away@other.example (own,strangers) stops being received: remote/far.example u@far.example -> 5.1.1"},
		},
		{
			"the same for its new owner",
			directory.Delta{PutDomains: []directory.Domain{{Name: "far.example", Account: "c", Proved: true, Mode: directory.ModeLocal}}},
			account.Of("c"),
			[]string{
				"others@far.example (own) is no longer sent out, but refused: remote/far.example any-other-address@far.example -> 5.1.1",
				"postmaster@far.example (own) goes elsewhere: remote/far.example postmaster@far.example -> box-pm",
				"postmaster@far.example (strangers) is newly received: 5.7.1 -> box-pm",
			},
		},
		{
			"a smart host of the installation",
			directory.Delta{PutOutbounds: []directory.Outbound{{ID: "o", Hop: directory.HostPort{Host: "smart.example", Port: 25}}}},
			account.System(),
			[]string{
				"foreign from  (own) goes elsewhere: remote/foreign.invalid any@foreign.invalid -> relay/smart.example:25 any@foreign.invalid",
				"away@other.example (own,strangers) goes elsewhere: remote/far.example u@far.example -> relay/smart.example:25 u@far.example",
			},
		},
		{
			"a smart host of one domain",
			directory.Delta{PutOutbounds: []directory.Outbound{{ID: "o", Domain: "acme.example", Hop: directory.HostPort{Host: "smart.example", Port: 25}}}},
			account.System(),
			[]string{"foreign from acme.example (own) goes elsewhere: remote/foreign.invalid any@foreign.invalid -> relay/smart.example:25 any@foreign.invalid"},
		},
		{
			"the installation's postmaster goes",
			directory.Delta{RemoveMailboxes: []string{"postmaster@mx.host.example"}},
			account.Of("b"),
			[]string{"postmaster@other.example (own,strangers) stops being received: box-pm -> 5.1.1"},
		},
		{
			"split becomes local",
			directory.Delta{PutDomains: []directory.Domain{{Name: "split.example", Account: "a", Proved: true, Mode: directory.ModeLocal}}},
			account.System(),
			[]string{
				"others@split.example if present (own,strangers) stops being received: " + real + "any-other-address@split.example -> 5.1.1",
				"others@split.example if unreachable (own,strangers) is refused for good, no longer for now only: 4.4.1 -> 5.1.1",
				"postmaster@split.example if present (own,strangers) goes elsewhere: " + real + "postmaster@split.example -> box-pm",
				"postmaster@split.example if absent (own,strangers) is newly received: 5.1.1 -> box-pm",
				"postmaster@split.example if unreachable (own,strangers) is newly received: 4.4.1 -> box-pm",
			},
		},
	} {
		got := routing.WhatIf(v, c.change, c.scope, 0)
		if lines := noted(got.List); !slices.Equal(lines, c.want) {
			t.Errorf("%s:\n%s\nwant\n%s", c.name, strings.Join(lines, "\n"), strings.Join(c.want, "\n"))
		}
	}
	few := routing.WhatIf(v, acme(func(d *directory.Domain) { d.Mode = directory.ModeRemote }), account.Of("a"), 2)
	if few.Count != 4 || few.Stops != 3 || few.Ours != 4 || len(few.List) != 2 {
		t.Errorf("%d altered, %d stop, %d were ours, %d listed of at most 2", few.Count, few.Stops, few.Ours, len(few.List))
	}
}

func TestWhatIfTheInstallationsSmartHostCompletesADomainsAddress(t *testing.T) {
	t.Parallel()
	source, _ := directory.ParseSource("192.0.2.7")
	v := routing.View{
		Now: noon, Self: routing.Self{Hostname: "mx.host.example"},
		Directory: directory.NewSnapshot(1, []directory.Domain{{Name: "other.example", Account: "b", Proved: true, Mode: directory.ModeLocal}}, nil,
			[]directory.Rule{{ID: "r", Account: "b", Domain: "other.example", Local: "away", Kind: directory.RuleForward, Targets: []string{"u@far.example"}}},
			[]directory.Outbound{{ID: "o1", Account: "b", Domain: "other.example", Source: source}}),
	}
	change := directory.Delta{PutOutbounds: []directory.Outbound{{ID: "o", Hop: directory.HostPort{Host: "smart.example", Port: 25}}}}
	want := []string{"away@other.example (own,strangers) goes elsewhere: remote/far.example#o1 u@far.example -> relay/smart.example:25#o1 u@far.example"}
	if got := noted(routing.WhatIf(v, change, account.Of("b"), 0).List); !slices.Equal(got, want) {
		t.Errorf("%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// chance makes small installations in which everything leads to everything.
type chance struct{ *rand.Rand }

func pick[T any](c chance, from ...T) T { return from[c.IntN(len(from))] }

var (
	someDomains = []string{"mx.host.example", "a.example", "b.example", "c.example", "far.example"}
	someLocals  = []string{"ann", "bob", "ann+x", "postmaster", "sales", ""}
)

func (c chance) domain(name string) directory.Domain {
	d := directory.Domain{
		Name: name, Account: account.ID(name[:1]), Proved: c.IntN(8) > 0,
		Mode:       pick(c, directory.ModeLocal, directory.ModeLocal, directory.ModeSplit, directory.ModeBackup, directory.ModeRelay, directory.ModeRemote, directory.ModeAuto),
		Recipients: pick(c, "", directory.RecipientsAccept, directory.RecipientsList), Dual: c.IntN(4) == 0,
		Unreachable: pick(c, "", directory.UnreachableQueue, directory.UnreachableDefer),
	}
	if c.IntN(3) == 0 {
		d.NextHops = []directory.NextHop{{Host: pick(c, "h1", "h2"), Port: 25}}
	}
	if c.IntN(4) == 0 {
		d.Gateways = []netip.Prefix{netip.MustParsePrefix(pick(c, "203.0.113.0/24", "198.51.100.0/24", "203.0.113.128/25"))}
	}
	if c.IntN(4) == 0 {
		d.Onboarding = noon.Add(time.Hour)
	}
	if c.IntN(4) == 0 {
		d.Leaving.Until = noon.Add(time.Hour)
	}
	return d
}

func (c chance) mailbox() directory.Mailbox {
	return directory.Mailbox{ID: fmt.Sprint("box", c.IntN(20)), Domain: pick(c, someDomains...), Local: pick(c, someLocals[:5]...)}
}

func (c chance) rule() directory.Rule {
	r := directory.Rule{Domain: pick(c, someDomains...), Local: pick(c, someLocals...), Kind: directory.RuleGroup, Keep: c.IntN(2) == 0}
	r.ID = r.Address()
	for range 1 + c.IntN(2) {
		r.Targets = append(r.Targets, pick(c, "ann", "bob+y", "Sales", "nobody", "postmaster", "ann+x")+"@"+pick(c, someDomains...))
	}
	return r
}

func (c chance) outbound() directory.Outbound {
	domain := pick(c, "", "a.example", "b.example")
	source, _ := directory.ParseSource(pick(c, "", "192.0.2.7", "192.0.2.8"))
	out := directory.Outbound{ID: "out" + domain, Domain: domain, Hop: directory.HostPort{Host: pick(c, "s1", "s2"), Port: 25}, Source: source}
	if !source.IsZero() && c.IntN(2) == 0 {
		out.Hop = directory.HostPort{}
	}
	return out
}

func (c chance) snapshot() *directory.Snapshot {
	var domains []directory.Domain
	for _, name := range someDomains {
		if c.IntN(5) > 0 {
			domains = append(domains, c.domain(name))
		}
	}
	boxes := map[string]directory.Mailbox{}
	for range c.IntN(8) {
		m := c.mailbox()
		boxes[m.Address()] = m
	}
	rules := map[string]directory.Rule{}
	for range c.IntN(8) {
		r := c.rule()
		rules[r.Address()] = r
	}
	var outbounds []directory.Outbound
	if c.IntN(3) == 0 {
		outbounds = append(outbounds, c.outbound())
	}
	return directory.NewSnapshot(1, domains, values(boxes), values(rules), outbounds)
}

func values[K comparable, V any](m map[K]V) []V {
	var out []V
	for _, v := range m {
		out = append(out, v)
	}
	return out
}

func (c chance) delta(s *directory.Snapshot) directory.Delta {
	var d directory.Delta
	for range 1 + c.IntN(2) {
		switch c.IntN(8) {
		case 0, 1:
			d.PutDomains = append(d.PutDomains, c.domain(pick(c, someDomains...)))
		case 2:
			d.RemoveDomains = append(d.RemoveDomains, pick(c, someDomains...))
		case 3:
			d.PutMailboxes = append(d.PutMailboxes, c.mailbox())
		case 4:
			m := c.mailbox()
			d.RemoveMailboxes = append(d.RemoveMailboxes, m.Address())
		case 5:
			d.PutRules = append(d.PutRules, c.rule())
		case 6:
			r := c.rule()
			d.RemoveRules = append(d.RemoveRules, r.Address())
		case 7:
			if old := s.Outbounds(); len(old) > 0 && c.IntN(2) == 0 {
				d.RemoveOutbounds = append(d.RemoveOutbounds, old[0].ID)
			} else {
				d.PutOutbounds = append(d.PutOutbounds, c.outbound())
			}
		}
	}
	return d
}

// everyone is every address of every domain, asked for one after the other: what WhatIf has to find without asking.
func everyone(before, after routing.View) map[string]bool {
	altered := map[string]bool{}
	ask := func(key string, s routing.Session, to smtp.Address, p facts.Presence) {
		b, a := before, after
		b.Facts, a.Facts = assuming(p), assuming(p)
		x, y := routing.Decide(b, s, to), routing.Decide(a, s, to)
		if x.Reply.Code/100 != y.Reply.Code/100 || x.Accepted() && sorted(x) != sorted(y) {
			altered[key] = true
		}
	}
	gate := []string{"", "203.0.113.1", "203.0.113.200", "198.51.100.1"}
	for _, name := range someDomains {
		_, was := before.Directory.Domain(name)
		_, is := after.Directory.Domain(name)
		if !was && !is {
			continue
		}
		for _, local := range someLocals {
			whole := local
			if local == "" {
				whole = "none-of-these"
			}
			for _, p := range []facts.Presence{facts.Present, facts.Absent, facts.Unreachable} {
				for _, client := range gate {
					s := routing.Session{}
					if client != "" {
						s.Client = netip.MustParseAddr(client)
					}
					ask(local+"@"+name, s, smtp.Address{Local: whole, Domain: name}, p)
				}
				ask(local+"@"+name, routing.Session{Kind: routing.Login}, smtp.Address{Local: whole, Domain: name}, p)
			}
			ask(local+"="+name, routing.Session{}, smtp.Address{Local: local + "=" + name, Domain: "in.mx.host.example"}, facts.Present)
		}
		ask("from "+name, routing.Session{Kind: routing.Login, Sender: smtp.Address{Local: "u", Domain: name}}, smtp.Address{Local: "u", Domain: "foreign.invalid"}, facts.Present)
	}
	ask("from ", routing.Session{Kind: routing.Login}, smtp.Address{Local: "u", Domain: "foreign.invalid"}, facts.Present)
	return altered
}

// assuming is a world in which every recipient is the same and no exchangers are known.
type assuming facts.Presence

func (assuming) Exchangers(domain string) (facts.ExchangersAnswer, bool) {
	return facts.ExchangersAnswer{MX: facts.MXAnswer{Name: domain, Status: facts.Temporary}}, true
}

func (p assuming) Recipient(_, address string) (facts.RecipientAnswer, bool) {
	return facts.RecipientAnswer{Address: address, Presence: facts.Presence(p)}, true
}

func sorted(d routing.Decision) string {
	var out []string
	for _, to := range d.Destinations {
		out = append(out, fmt.Sprint(to.Mailbox, to.Lane, to.Address, to.Copy))
	}
	slices.Sort(out)
	return strings.Join(out, " ")
}

// TestWhatIfFindsWhatAskingForEveryAddressFinds compares WhatIf with the long way, over random installations and
// changes.
func TestWhatIfFindsWhatAskingForEveryAddressFinds(t *testing.T) {
	t.Parallel()
	altered := 0
	for seed := range uint64(5_000) {
		c := chance{rand.New(rand.NewPCG(seed, 7))}
		v := routing.View{Now: noon, Directory: c.snapshot(), Self: routing.Self{Hostname: "mx.host.example", RoutingDomain: "in.mx.host.example"}}
		change := c.delta(v.Directory)
		after := v
		after.Directory = v.Directory.With(change)
		want := everyone(v, after)
		got := map[string]bool{}
		for _, a := range routing.WhatIf(v, change, account.System(), 0).List {
			switch {
			case a.Whose == routing.WhoseForeign:
				got["from "+a.Domain] = true
			case a.Domain == "in.mx.host.example":
				got[a.Local] = true
			default:
				got[a.Local+"@"+a.Domain] = true
			}
		}
		altered += len(want)
		for key := range want {
			// What goes by the installation's route is told once: from senders without a route of their own, and to
			// domains that nobody has proved.
			told := got["from "] && (strings.HasPrefix(key, "from ") || inert(v, key) && inert(after, key))
			if !got[key] && !told && knownAddress(v, after, key) {
				t.Fatalf("seed %d: %s is altered and not found; change %+v", seed, key, change)
			}
		}
		for key := range got {
			if !want[key] {
				t.Fatalf("seed %d: %s is found and not altered; change %+v", seed, key, change)
			}
		}
	}
	if altered < 5_000 {
		t.Fatalf("only %d routes were altered in all", altered)
	}
}

func inert(v routing.View, key string) bool {
	d, ok := v.Directory.Domain(key[strings.LastIndexByte(key, '@')+1:])
	return !ok || !d.Proved
}

// knownAddress reports whether somebody was named for an address, before or after; all others are told as one.
func knownAddress(before, after routing.View, key string) bool {
	i := strings.LastIndexAny(key, "@=")
	if i <= 0 {
		return true
	}
	local, domain := key[:i], key[i+1:]
	for _, s := range []*directory.Snapshot{before.Directory, after.Directory} {
		if _, ok := s.Mailbox(domain, local); ok {
			return true
		}
		if _, ok := s.Rule(domain, local); ok && key[i] == '@' {
			return true
		}
	}
	return key[i] == '@' && local == "postmaster"
}

// largeView is 10,000 domains with 1,000,000 addresses, of which big.example has 100,000; every tenth is an alias, and
// one domain in ten forwards into big.example.
func largeView() routing.View {
	var domains []directory.Domain
	var boxes []directory.Mailbox
	var rules []directory.Rule
	fill := func(name string, n int) {
		domains = append(domains, directory.Domain{ID: name, Name: name, Account: "a", Proved: true, Mode: directory.ModeLocal})
		for i := range n {
			local := fmt.Sprint("user", i)
			if i%10 > 0 {
				boxes = append(boxes, directory.Mailbox{ID: local + "@" + name, Account: "a", Domain: name, Local: local})
				continue
			}
			rules = append(rules, directory.Rule{ID: local + "@" + name, Account: "a", Domain: name, Local: local, Kind: directory.RuleAlias, Targets: []string{fmt.Sprint("user", i+1, "@", name)}})
		}
	}
	fill("big.example", 100_000)
	for i := range 9_999 {
		name := fmt.Sprintf("d%d.example", i)
		fill(name, 90)
		if i%10 == 0 {
			rules = append(rules, directory.Rule{ID: "f" + name, Account: "a", Domain: name, Local: "fwd", Kind: directory.RuleForward, Targets: []string{"user1@big.example"}})
		}
	}
	return routing.View{
		Now: noon, Directory: directory.NewSnapshot(1, domains, boxes, rules, nil),
		Self: routing.Self{Hostname: "mx.host.example", RoutingDomain: "in.mx.host.example"},
	}
}

// The bar: at most 1 s each, on one core.
func BenchmarkWhatIfOfALargeDomain(b *testing.B) {
	v := largeView()
	benchmarkWhatIf(b, v, directory.Delta{PutDomains: []directory.Domain{{ID: "big.example", Name: "big.example", Account: "a", Proved: true, Mode: directory.ModeRemote}}}, 101_000)
}

func BenchmarkWhatIfOfASmallDomain(b *testing.B) {
	v := largeView()
	benchmarkWhatIf(b, v, directory.Delta{PutDomains: []directory.Domain{{ID: "d5.example", Name: "d5.example", Account: "a", Proved: true, Mode: directory.ModeRemote}}}, 90)
}

func BenchmarkWhatIfOfOneMailbox(b *testing.B) {
	v := largeView()
	benchmarkWhatIf(b, v, directory.Delta{RemoveMailboxes: []string{"user1@big.example"}}, 1_000)
}

func benchmarkWhatIf(b *testing.B, v routing.View, change directory.Delta, least int) {
	b.Helper()
	b.ReportAllocs()
	for b.Loop() {
		if got := routing.WhatIf(v, change, account.System(), 100); got.Count < least || len(got.List) > 100 {
			b.Fatal(got.Count, len(got.List))
		}
	}
}
