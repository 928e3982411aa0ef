package routing_test

import (
	"strings"
	"testing"

	"postroad/internal/core/account"
	"postroad/internal/core/directory"
	"postroad/internal/core/facts"
	"postroad/internal/core/routing"
	"postroad/internal/proto/smtp"
)

// world is a small installation with a domain for each mode.
func world() routing.View {
	hop := []directory.NextHop{{Host: "mx.acme-own.example", Port: 25}, {Host: "10.0.0.2", Port: 2525}}
	domains := []directory.Domain{
		{Name: "mx.host.example", Account: account.Operator, Proved: true, Mode: directory.ModeLocal},
		{Name: "local.example", Account: "a", Proved: true, Mode: directory.ModeLocal},
		{Name: "all.example", Account: "a", Proved: true, Mode: directory.ModeLocal},
		{Name: "relay.example", Account: "a", Proved: true, Mode: directory.ModeRelay, NextHops: hop, Recipients: directory.RecipientsAccept},
		{Name: "lmtp.example", Account: "a", Proved: true, Mode: directory.ModeRelay, NextHops: []directory.NextHop{{Host: "10.0.0.3", Port: 24, LMTP: true}, {Host: "/run/lmtp", LMTP: true}}, Recipients: directory.RecipientsAccept},
		{Name: "own.example", Account: "a", Proved: true, Mode: directory.ModeRelay, NextHops: []directory.NextHop{{Host: "10.0.0.4", Port: 25, Operator: true}}, Recipients: directory.RecipientsAccept},
		{Name: "mixed.example", Account: "a", Proved: true, Mode: directory.ModeRelay, NextHops: []directory.NextHop{{Host: "10.0.0.4", Port: 25, Operator: true}, {Host: "10.0.0.5", Port: 25}}, Recipients: directory.RecipientsAccept},
		{Name: "remote.example", Account: "b", Proved: true, Mode: directory.ModeRemote},
		{Name: "pinned.example", Account: "b", Proved: true, Mode: directory.ModeRemote, NextHops: hop[:1]},
		{Name: "inert.example", Account: "b", Mode: directory.ModeLocal},
	}
	boxes := []directory.Mailbox{
		{ID: "box-pm", Account: account.Operator, Domain: "mx.host.example", Local: "postmaster"},
		{ID: "box-ann", Account: "a", Domain: "local.example", Local: "ann"},
		{ID: "box-bob", Account: "a", Domain: "local.example", Local: "bob"},
		{ID: "box-fwd", Account: "a", Domain: "local.example", Local: "kept"},
		{ID: "box-all", Account: "a", Domain: "all.example", Local: "info"},
		{ID: "box-rem", Account: "b", Domain: "remote.example", Local: "left"},
		{ID: "box-inert", Account: "b", Domain: "inert.example", Local: "eve"},
	}
	rule := func(domain, local string, kind directory.RuleKind, keep bool, targets ...string) directory.Rule {
		return directory.Rule{ID: domain + local, Account: "a", Domain: domain, Local: local, Kind: kind, Keep: keep, Targets: targets}
	}
	rules := []directory.Rule{
		rule("local.example", "sales", directory.RuleAlias, false, "ann@local.example"),
		rule("local.example", "team", directory.RuleGroup, false, "ann@local.example", "bob@local.example", "sales@local.example", "x@far.example"),
		rule("local.example", "away", directory.RuleForward, false, "ann@far.example"),
		rule("local.example", "kept", directory.RuleForward, true, "ann@far.example"),
		rule("local.example", "loop1", directory.RuleAlias, false, "loop2@local.example"),
		rule("local.example", "loop2", directory.RuleAlias, false, "loop1@local.example"),
		rule("local.example", "moved", directory.RuleForward, false, "u@relay.example", "u@remote.example", "eve@inert.example"),
		rule("all.example", "", directory.RuleCatchAll, false, "info@all.example"),
	}
	return routing.View{
		Directory: directory.NewSnapshot(1, domains, boxes, rules, nil),
		Self:      routing.Self{Hostname: "mx.host.example"},
		Facts:     known{exchangers: map[string]facts.ExchangersAnswer{"remote.example": mx("10 real")}},
	}
}

// show writes a decision the way an admin would note it: reply, then destinations.
func show(d routing.Decision) string {
	if !d.Accepted() {
		return d.Reply.Enhanced.String()
	}
	var out []string
	for _, to := range d.Destinations {
		switch {
		case to.Mailbox != "":
			out = append(out, to.Mailbox)
		default:
			out = append(out, string(to.Lane)+" "+to.Address)
		}
	}
	return strings.Join(out, ", ")
}

func TestDecideByModeRecipientAndSender(t *testing.T) {
	t.Parallel()
	const (
		denied  = "5.7.1"
		unknown = "5.1.1"
		relay   = "relay/mx.acme-own.example:25,10.0.0.2:2525 "
	)
	for _, c := range []struct {
		rcpt              string
		stranger, ownUser string
	}{
		// rcpt                        from outside          from our own user
		{"ann@local.example", "box-ann", "box-ann"},
		{"ANN@local.example", "box-ann", "box-ann"},
		{"ann+news@local.example", "box-ann", "box-ann"},
		{"+ann@local.example", unknown, unknown},
		{"nobody@local.example", unknown, unknown},
		{"sales@local.example", "box-ann", "box-ann"},
		{"sales+x@local.example", "box-ann", "box-ann"},
		{"team@local.example", "box-ann, box-bob, remote/far.example x@far.example", "box-ann, box-bob, remote/far.example x@far.example"},
		{"away@local.example", "remote/far.example ann@far.example", "remote/far.example ann@far.example"},
		{"kept@local.example", "remote/far.example ann@far.example, box-fwd", "remote/far.example ann@far.example, box-fwd"},
		{"loop1@local.example", unknown, unknown},
		{
			"moved@local.example", relay + "u@relay.example, remote/remote.example u@remote.example, remote/inert.example eve@inert.example",
			relay + "u@relay.example, remote/remote.example u@remote.example, remote/inert.example eve@inert.example",
		},
		{"postmaster@local.example", "box-pm", "box-pm"},
		{"Postmaster@all.example", "box-pm", "box-pm"},
		{"anything@all.example", "box-all", "box-all"},
		{"who@relay.example", relay + "who@relay.example", relay + "who@relay.example"},
		{"who@lmtp.example", "lmtp/10.0.0.3:24,/run/lmtp who@lmtp.example", "lmtp/10.0.0.3:24,/run/lmtp who@lmtp.example"},
		{"who@own.example", "relay/10.0.0.4:25! who@own.example", "relay/10.0.0.4:25! who@own.example"},
		{"who@mixed.example", "relay/10.0.0.4:25,10.0.0.5:25 who@mixed.example", "relay/10.0.0.4:25,10.0.0.5:25 who@mixed.example"},
		{"left@remote.example", denied, "remote/remote.example left@remote.example"},
		{"u@pinned.example", denied, "relay/mx.acme-own.example:25 u@pinned.example"},
		{"eve@inert.example", denied, "remote/inert.example eve@inert.example"},
		{"x@far.example", denied, "remote/far.example x@far.example"},
		{"x@sub.local.example", denied, "remote/sub.local.example x@sub.local.example"},
		{"far%other.example@local.example", denied, unknown},
		{"other.example!x@local.example", denied, unknown},
		{"x@[192.0.2.1]", denied, "remote/[192.0.2.1] x@[192.0.2.1]"},
	} {
		to, err := smtp.ParseAddress(c.rcpt, false)
		if err != nil {
			t.Fatalf("%s: %v", c.rcpt, err)
		}
		if got := show(routing.Decide(world(), routing.Session{Kind: routing.Stranger}, to)); got != c.stranger {
			t.Errorf("%s from outside: %s, want %s", c.rcpt, got, c.stranger)
		}
		if got := show(routing.Decide(world(), routing.Session{Kind: routing.Login, Login: "ann@local.example"}, to)); got != c.ownUser {
			t.Errorf("%s from our own user: %s, want %s", c.rcpt, got, c.ownUser)
		}
	}
}

func TestDecidePostmasterWithoutDomain(t *testing.T) {
	t.Parallel()
	if got := show(routing.Decide(world(), routing.Session{}, smtp.Address{Local: "postmaster"})); got != "box-pm" {
		t.Errorf("<postmaster> goes to %s", got)
	}
	if got := routing.Decide(world(), routing.Session{}, smtp.Address{Local: "root"}); got.Accepted() {
		t.Error("<root> without a domain was taken")
	}
}

func TestDecideGivesNoFinalRefusalFromAStaleView(t *testing.T) {
	t.Parallel()
	v := world()
	v.Stale = true
	for rcpt, want := range map[string]int{"nobody@local.example": 451, "x@far.example": 451, "ann@local.example": 250} {
		to, _ := smtp.ParseAddress(rcpt, false)
		if d := routing.Decide(v, routing.Session{}, to); d.Reply.Code != want {
			t.Errorf("%s: %s, want %d", rcpt, d.Reply, want)
		}
	}
}

func TestDecideThroughASmartHost(t *testing.T) {
	t.Parallel()
	v := world()
	v.Directory = v.Directory.With(directory.Delta{PutOutbounds: []directory.Outbound{
		{ID: "o1", Hop: directory.HostPort{Host: "smart.example", Port: 587}, User: "u", Password: "p"},
		{ID: "o2", Domain: "local.example", Hop: directory.HostPort{Host: "own.example", Port: 25}},
		{ID: "o3", Domain: "remote.example", Hop: directory.HostPort{Host: "own.example", Port: 25}, TLS: directory.TLSVerified, Operator: true},
	}})
	to, _ := smtp.ParseAddress("x@far.example", false)
	for sender, want := range map[string]string{
		"ann@local.example": "relay/own.example:25 x@far.example",
		"u@all.example":     "relay/smart.example:587#o1 x@far.example",
		"u@remote.example":  "relay/own.example:25!#o3 x@far.example",
	} {
		from, _ := smtp.ParseAddress(sender, false)
		if got := show(routing.Decide(v, routing.Session{Kind: routing.Login, Sender: from}, to)); got != want {
			t.Errorf("from %s: %s, want %s", sender, got, want)
		}
	}
	hops, operator, id := routing.ParseHops("smart.example:587,[2001:db8::1]:25!#o1")
	if id != "o1" || !operator || len(hops) != 2 || hops[1] != (routing.Hop{Host: "[2001:db8::1]", Port: 25}) {
		t.Errorf("ParseHops: %v %q", hops, id)
	}
	hops, operator, _ = routing.ParseHops("/run/lmtp,10.0.0.3:24")
	if operator || len(hops) != 2 || !hops[0].Socket() || hops[0] != (routing.Hop{Host: "/run/lmtp"}) || hops[1].Socket() {
		t.Errorf("ParseHops of a socket: %v", hops)
	}
}

func TestDecideFromAnAddress(t *testing.T) {
	t.Parallel()
	source := func(text string) directory.Source {
		s, ok := directory.ParseSource(text)
		if !ok {
			t.Fatal(text)
		}
		return s
	}
	from := func(v routing.View, sender, rcpt string) (way, reasons string) {
		to, _ := smtp.ParseAddress(rcpt, false)
		by, _ := smtp.ParseAddress(sender, false)
		d := routing.Decide(v, routing.Session{Kind: routing.Login, Sender: by}, to)
		for _, r := range d.Reasons {
			if r.Rule == routing.RuleSource {
				reasons += r.Fact
			}
		}
		return show(d), reasons
	}
	one := directory.Outbound{ID: "o1", Domain: "local.example", Source: source("192.0.2.7,2001:db8::7")}
	two := directory.Outbound{ID: "o2", Domain: "remote.example", Source: source("192.0.2.8")}
	all := directory.Outbound{ID: "o0", Hop: directory.HostPort{Host: "smart.example", Port: 25}, Operator: true, Source: source("192.0.2.1")}
	own := directory.Outbound{ID: "o3", Domain: "relay.example", Hop: directory.HostPort{Host: "own.example", Port: 25}}
	type want struct{ way, from string }
	for _, c := range []struct {
		name   string
		routes []directory.Outbound
		want   map[string]want
	}{
		{"of domains", []directory.Outbound{one, two}, map[string]want{
			"ann@local.example": {"remote/far.example#o1 x@far.example", "192.0.2.7,2001:db8::7"},
			"u@remote.example":  {"remote/far.example#o2 x@far.example", "192.0.2.8"},
			"u@all.example":     {"remote/far.example x@far.example", ""},
		}},
		{"of the installation and of domains", []directory.Outbound{all, one, own}, map[string]want{
			"ann@local.example": {"relay/smart.example:25!#o1 x@far.example", "192.0.2.7,2001:db8::7"},
			"u@relay.example":   {"relay/own.example:25#o3 x@far.example", "192.0.2.1"},
			"u@all.example":     {"relay/smart.example:25!#o0 x@far.example", "192.0.2.1"},
		}},
	} {
		v := world()
		v.Directory = v.Directory.With(directory.Delta{PutOutbounds: c.routes})
		for sender, want := range c.want {
			if way, reason := from(v, sender, "x@far.example"); way != want.way || reason != want.from {
				t.Errorf("%s, from %s: %s from %q, want %s from %q", c.name, sender, way, reason, want.way, want.from)
			}
		}
	}
	if domain, id := routing.ParseRemote("far.example#o1"); domain != "far.example" || id != "o1" {
		t.Errorf("ParseRemote: %q %q", domain, id)
	}
	if domain, id := routing.ParseRemote("far.example"); domain != "far.example" || id != "" {
		t.Errorf("ParseRemote without a route: %q %q", domain, id)
	}
}

func TestEveryReasonHasASentence(t *testing.T) {
	t.Parallel()
	for r := routing.RuleAddressForm; r <= routing.RuleSource; r++ {
		s := (routing.Reason{Rule: r, Fact: "FACT"}).Sentence()
		if r.String() == "none" || s == "FACT" || strings.Contains(s, "%!") {
			t.Errorf("rule %d: %q %q", r, r, s)
		}
	}
}

func BenchmarkDecideMailbox(b *testing.B) {
	v, to := world(), smtp.Address{Local: "ann", Domain: "local.example"}
	b.ReportAllocs()
	for b.Loop() {
		if d := routing.Decide(v, routing.Session{}, to); !d.Accepted() {
			b.Fatal(d.Reply)
		}
	}
}

func BenchmarkDecideRelay(b *testing.B) {
	v, to := world(), smtp.Address{Local: "who", Domain: "relay.example"}
	b.ReportAllocs()
	for b.Loop() {
		if d := routing.Decide(v, routing.Session{}, to); !d.Accepted() {
			b.Fatal(d.Reply)
		}
	}
}
