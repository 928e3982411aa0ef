package routing_test

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"postroad/internal/core/account"
	"postroad/internal/core/directory"
	"postroad/internal/core/facts"
	"postroad/internal/core/routing"
	"postroad/internal/proto/smtp"
)

// known are facts for tests: exchangers by domain, recipients by address.
type known struct {
	exchangers map[string]facts.ExchangersAnswer
	recipients map[string]facts.Presence
}

func (k known) Exchangers(domain string) (facts.ExchangersAnswer, bool) {
	x, ok := k.exchangers[domain]
	return x, ok
}

func (k known) Recipient(_, address string) (facts.RecipientAnswer, bool) {
	p, ok := k.recipients[address]
	return facts.RecipientAnswer{Address: address, Presence: p, Origin: facts.Origin{Source: "mx.real.example"}}, ok
}

const (
	ourAddr  = "192.0.2.1"
	realAddr = "198.51.100.1"
)

// mx makes an MX answer from "10 real, 20 us": the hosts real and us have the addresses above.
func mx(list string) facts.ExchangersAnswer {
	x := facts.ExchangersAnswer{MX: facts.MXAnswer{Status: facts.Found}, Addrs: map[string]facts.AddrAnswer{}}
	switch list {
	case "nxdomain":
		x.MX.Status = facts.NXDomain
		return x
	case "null":
		x.MX.Null = true
		return x
	case "servfail":
		x.MX.Status = facts.Temporary
		return x
	}
	for part := range strings.SplitSeq(list, ", ") {
		pref, host, _ := strings.Cut(part, " ")
		p := map[string]uint16{"0": 0, "10": 10, "20": 20, "30": 30}[pref]
		x.MX.Records = append(x.MX.Records, facts.MX{Preference: p, Host: host})
		addr := realAddr
		if strings.HasPrefix(host, "us") {
			addr = ourAddr
		}
		x.Addrs[host] = facts.AddrAnswer{Status: facts.Found, Addrs: []netip.Addr{netip.MustParseAddr(addr)}}
	}
	return x
}

var noon = time.Date(2026, 12, 1, 12, 0, 0, 0, time.UTC)

// modes is an installation with a domain for each mode and arrangement, in each the mailbox ann and nobody else.
func modes() routing.View {
	hop := []directory.NextHop{{Host: "real.example", Port: 25}}
	gate := []netip.Prefix{netip.MustParsePrefix("203.0.113.0/24")}
	domains := []directory.Domain{
		{Name: "split.example", Mode: directory.ModeSplit},
		{Name: "splithop.example", Mode: directory.ModeSplit, NextHops: hop, Unreachable: directory.UnreachableQueue},
		{Name: "splitself.example", Mode: directory.ModeSplit, Recipients: directory.RecipientsAccept},
		{Name: "backup.example", Mode: directory.ModeBackup},
		{Name: "backupall.example", Mode: directory.ModeBackup, Recipients: directory.RecipientsAccept},
		{Name: "backupworse.example", Mode: directory.ModeBackup, Recipients: directory.RecipientsAccept},
		{Name: "backup450.example", Mode: directory.ModeBackup, Unreachable: directory.UnreachableDefer},
		{Name: "relay.example", Mode: directory.ModeRelay, NextHops: hop},
		{Name: "remote.example", Mode: directory.ModeRemote},
		{Name: "left.example", Mode: directory.ModeRemote, Leaving: directory.Leaving{Until: noon.Add(time.Hour), From: directory.ModeLocal}},
		{Name: "gone.example", Mode: directory.ModeRemote, Leaving: directory.Leaving{Until: noon, From: directory.ModeLocal}},
		{Name: "coming.example", Mode: directory.ModeLocal, Onboarding: noon.Add(time.Hour)},
		{Name: "came.example", Mode: directory.ModeLocal, Onboarding: noon},
		{Name: "splitcoming.example", Mode: directory.ModeSplit, Onboarding: noon.Add(time.Hour)},
		{Name: "dual.example", Mode: directory.ModeLocal, Dual: true},
		{Name: "dualalone.example", Mode: directory.ModeLocal, Dual: true},
		{Name: "gated.example", Mode: directory.ModeLocal, Gateways: gate},
		{Name: "autonew.example", Mode: directory.ModeAuto},
		{Name: "autobackup.example", Mode: directory.ModeAuto, Auto: directory.ModeBackup},
		{Name: "autoremote.example", Mode: directory.ModeAuto, Auto: directory.ModeRemote},
	}
	var boxes []directory.Mailbox
	var rules []directory.Rule
	for i := range domains {
		domains[i].Account, domains[i].Proved = "a", true
		boxes = append(boxes, directory.Mailbox{ID: "box", Account: "a", Domain: domains[i].Name, Local: "ann"})
	}
	rules = append(rules,
		directory.Rule{ID: "all", Account: "a", Domain: "split.example", Kind: directory.RuleCatchAll, Targets: []string{"ann@split.example"}},
		directory.Rule{ID: "sales", Account: "a", Domain: "split.example", Local: "sales", Kind: directory.RuleAlias, Targets: []string{"ann@split.example", "bob@split.example"}})
	domains = append(domains,
		directory.Domain{Name: "mx.host.example", Account: account.Operator, Proved: true, Mode: directory.ModeLocal},
		directory.Domain{Name: "inert.example", Account: "b", Mode: directory.ModeSplit, NextHops: hop})
	boxes = append(boxes, directory.Mailbox{ID: "inert", Account: "b", Domain: "inert.example", Local: "ann"},
		directory.Mailbox{ID: "long", Account: "a", Domain: "dual.example", Local: strings.Repeat("x", 60)})
	facts := known{exchangers: map[string]facts.ExchangersAnswer{}, recipients: map[string]facts.Presence{}}
	for name, list := range map[string]string{
		"split.example": "10 us, 20 real", "splitself.example": "10 us, 20 us2", "splitcoming.example": "10 real",
		"backup.example": "10 real, 20 us", "backupall.example": "10 real, 20 us", "backupworse.example": "10 us, 20 real", "backup450.example": "10 real, 20 us",
		"remote.example": "10 real", "left.example": "10 real", "gone.example": "nxdomain", "dual.example": "10 real, 20 us", "dualalone.example": "10 us",
		"autobackup.example": "servfail", "autoremote.example": "10 real",
	} {
		facts.exchangers[name] = mx(list)
	}
	for i := range domains {
		facts.recipients["bob@"+domains[i].Name] = 1
		facts.recipients["nobody@"+domains[i].Name] = 2
		facts.recipients["maybe@"+domains[i].Name] = 3
		facts.recipients["old@"+domains[i].Name] = 4
	}
	return routing.View{
		Directory: directory.NewSnapshot(1, domains, boxes, rules, nil),
		Self: routing.Self{Hostname: "mx.host.example", RoutingDomain: "in.mx.host.example", Answers: func(a netip.Addr) bool {
			return a.String() == ourAddr
		}},
		Now: noon, Facts: facts,
	}
}

// TestModesByRecipientAndSender is the table of docs/routing.md: what happens to mail by mode, by what is known of the
// recipient, and by who sends it. ann has a mailbox here, bob exists at the real server, nobody does not, maybe cannot
// be asked about, old is missing from a list that is out of date, unasked has not been asked about.
func TestModesByRecipientAndSender(t *testing.T) {
	t.Parallel()
	const (
		denied   = "5.7.1"
		unknown  = "5.1.1"
		later    = "4.4.1"
		mxRoute  = "remote/"
		hopRoute = "relay/real.example:25 "
	)
	out := func(address string) string {
		return mxRoute + address[strings.IndexByte(address, '@')+1:] + " " + address
	}
	for _, c := range []struct{ rcpt, stranger, ownUser string }{
		// split: here first, else the real server, which is asked
		{"ann@split.example", "box", "box"},
		{"ann+x@split.example", "box", "box"},
		{"sales@split.example", "box, " + out("bob@split.example"), "box, " + out("bob@split.example")},
		{"bob@split.example", out("bob@split.example"), out("bob@split.example")},
		{"nobody@split.example", unknown, unknown},
		{"maybe@split.example", later, later},
		{"unasked@split.example", "need unasked@split.example", "need unasked@split.example"},
		{"bob@splithop.example", hopRoute + "bob@splithop.example", hopRoute + "bob@splithop.example"},
		{"maybe@splithop.example", hopRoute + "maybe@splithop.example", hopRoute + "maybe@splithop.example"},
		{"bob@splitself.example", "4.4.6", "4.4.6"},
		{"nobody@splitcoming.example", "4.2.1", "4.2.1"},
		// backup: never here, only to better exchangers, queued when nothing can be learned
		{"ann@backup.example", out("ann@backup.example"), out("ann@backup.example")},
		{"bob@backup.example", out("bob@backup.example"), out("bob@backup.example")},
		{"nobody@backup.example", unknown, unknown},
		{"maybe@backup.example", out("maybe@backup.example"), out("maybe@backup.example")},
		{"old@backup.example", later, later},
		{"maybe@backup450.example", later, later},
		{"who@backupall.example", out("who@backupall.example"), out("who@backupall.example")},
		{"who@backupworse.example", "4.4.6", "4.4.6"},
		// relay: the explicit server, whatever is here
		{"ann@relay.example", hopRoute + "ann@relay.example", hopRoute + "ann@relay.example"},
		{"bob@relay.example", hopRoute + "bob@relay.example", hopRoute + "bob@relay.example"},
		{"nobody@relay.example", unknown, unknown},
		{"maybe@relay.example", later, later},
		// remote: strangers only within the leaving window
		{"ann@remote.example", denied, out("ann@remote.example")},
		{"nobody@remote.example", denied, out("nobody@remote.example")},
		{"ann@left.example", out("ann@left.example"), out("ann@left.example")},
		{"bob@left.example", out("bob@left.example"), out("bob@left.example")},
		{"nobody@left.example", unknown, out("nobody@left.example")},
		{"maybe@left.example", later, out("maybe@left.example")},
		{"ann@gone.example", denied, "4.4.3"},
		// local with its windows and its second copy
		{"nobody@coming.example", "4.2.1", "4.2.1"},
		{"nobody@came.example", unknown, unknown},
		{"ann@dual.example", "box, copy " + out("ann@dual.example"), "box, copy " + out("ann@dual.example")},
		{"nobody@dual.example", unknown, unknown},
		{"ann@dualalone.example", "box", "box"},
		{"ann@gated.example", "4.7.1", "box"},
		// auto follows what was observed
		{"ann@autonew.example", "box", "box"},
		{"ann@autobackup.example", out("ann@autobackup.example"), out("ann@autobackup.example")},
		{"bob@autoremote.example", denied, out("bob@autoremote.example")},
		// an unproved domain is nobody's
		{"ann@inert.example", denied, out("ann@inert.example")},
		// routing addresses reach existing mailboxes and nothing else
		{"ann=split.example@in.mx.host.example", "box", "box"},
		{"Ann+x=remote.example@in.mx.host.example", "box", "box"},
		{"bob=split.example@in.mx.host.example", unknown, unknown},
		{"sales=split.example@in.mx.host.example", unknown, unknown},
		{"x=far.example@in.mx.host.example", unknown, unknown},
		{"ann=inert.example@in.mx.host.example", unknown, unknown},
		{"postmaster@in.mx.host.example", unknown, unknown},
	} {
		to, err := smtp.ParseAddress(c.rcpt, false)
		if err != nil {
			t.Fatalf("%s: %v", c.rcpt, err)
		}
		stranger := routing.Session{Kind: routing.Stranger, Client: netip.MustParseAddr("192.0.2.77")}
		if got := shown(routing.Decide(modes(), stranger, to)); got != c.stranger {
			t.Errorf("%s from outside: %s, want %s", c.rcpt, got, c.stranger)
		}
		if got := shown(routing.Decide(modes(), routing.Session{Kind: routing.Login, Login: "u@d.example"}, to)); got != c.ownUser {
			t.Errorf("%s from our own user: %s, want %s", c.rcpt, got, c.ownUser)
		}
	}
}

// shown is show, with what is needed and which destinations are copies.
func shown(d routing.Decision) string {
	if d.Need != nil {
		return strings.TrimSpace("need " + d.Need.Address)
	}
	text := show(d)
	for _, to := range d.Destinations {
		if to.Copy {
			text = strings.Replace(text, string(to.Lane), "copy "+string(to.Lane), 1)
		}
	}
	return text
}

// TestADepartedDomainIsHandedOnForAWhile: senders who remember a removed domain lose nothing, and nobody else is touched.
func TestADepartedDomainIsHandedOnForAWhile(t *testing.T) {
	t.Parallel()
	v := modes()
	split, _ := v.Directory.Domain("split.example")
	left, kept := v.Directory.Depart(split, "departed", noon, time.Minute)
	if !kept || !left.Leaving.Until.Equal(noon.Add(48*time.Hour)) || left.Leaving.From != directory.ModeSplit {
		t.Fatalf("%+v", left)
	}
	long, _ := v.Directory.Depart(split, "departed", noon, 72*time.Hour)
	if !long.Leaving.Until.Equal(noon.Add(72 * time.Hour)) {
		t.Errorf("records that live for three days are remembered until %s", long.Leaving.Until)
	}
	inert, _ := v.Directory.Domain("inert.example")
	if _, kept := v.Directory.Depart(inert, "departed", noon, 0); kept {
		t.Error("a domain that was never proved is kept")
	}
	gone, _ := v.Directory.Domain("gone.example")
	if left, kept := v.Directory.Depart(gone, "departed", noon, 0); !kept || noon.Before(left.Leaving.Until) || !left.Reserved(noon) || left.Over(noon) {
		t.Errorf("a domain that took no mail any more: its name alone is to be kept: %+v", left)
	}
	if at := noon.Add(directory.Tombstone); left.Reserved(at) || !left.Over(at) || !left.Reserved(at.Add(-time.Second)) {
		t.Error("a name is kept for a while only")
	}
	removed := directory.Delta{Version: 2, RemoveDomains: []string{"split.example"}, PutDeparted: []directory.Departed{left}}
	v.Directory = v.Directory.With(removed)
	if _, there := v.Directory.Domain("split.example"); there {
		t.Error("it is a domain still")
	}
	if d := routing.Decide(v, routing.Session{}, smtp.Address{Local: "ann", Domain: "split.example"}); shown(d) != "4.4.6" {
		t.Errorf("while public DNS names us still: %s", shown(d))
	}
	v.Facts.(known).exchangers["split.example"] = mx("10 real")
	out := "remote/split.example "
	for _, c := range []struct{ rcpt, stranger, ownUser, queued string }{
		{"ann", out + "ann@split.example", out + "ann@split.example", out + "ann@split.example"},
		{"Ann+x", out + "Ann+x@split.example", out + "Ann+x@split.example", out + "Ann+x@split.example"},
		{"sales", out + "sales@split.example", out + "sales@split.example", out + "sales@split.example"},
		{"bob", out + "bob@split.example", out + "bob@split.example", out + "bob@split.example"},
		{"nobody", "5.1.1", out + "nobody@split.example", out + "nobody@split.example"},
		{"unasked", "need unasked@split.example", out + "unasked@split.example", out + "unasked@split.example"},
	} {
		to := smtp.Address{Local: c.rcpt, Domain: "split.example"}
		for _, s := range []struct {
			kind routing.SessionKind
			want string
		}{{routing.Stranger, c.stranger}, {routing.Login, c.ownUser}, {routing.Accepted, c.queued}} {
			d := routing.Decide(v, routing.Session{Kind: s.kind}, to)
			if got := shown(d); got != s.want {
				t.Errorf("%s from %s: %s, want %s", c.rcpt, s.kind, got, s.want)
			}
			if foreign := s.kind == routing.Login; foreign != (d.Class == routing.ClassForeign) || foreign != (d.Account == "") {
				t.Errorf("%s from %s: class %s, account %q", c.rcpt, s.kind, d.Class, d.Account)
			}
		}
	}
	after := v
	after.Now = left.Leaving.Until
	if d := routing.Decide(after, routing.Session{}, smtp.Address{Local: "ann", Domain: "split.example"}); shown(d) != "5.7.1" {
		t.Errorf("after the window: %s", shown(d))
	}
	// An unproved domain of that name changes nothing for senders; a proved one takes its place.
	for proved, want := range map[bool]string{false: out + "ann@split.example", true: "5.1.1"} {
		again := v
		again.Directory = v.Directory.With(directory.Delta{PutDomains: []directory.Domain{{Name: "split.example", Account: "b", Proved: proved, Mode: directory.ModeLocal}}})
		if d := routing.Decide(again, routing.Session{}, smtp.Address{Local: "ann", Domain: "split.example"}); shown(d) != want {
			t.Errorf("added again, proved %v: %s, want %s", proved, shown(d), want)
		}
	}
	forgotten := v
	forgotten.Directory = v.Directory.With(directory.Delta{RemoveDeparted: []string{"split.example"}})
	if d := routing.Decide(forgotten, routing.Session{}, smtp.Address{Local: "ann", Domain: "split.example"}); shown(d) != "5.7.1" {
		t.Errorf("forgotten: %s", shown(d))
	}
}

func TestAGatewayMayDeliver(t *testing.T) {
	t.Parallel()
	to := smtp.Address{Local: "ann", Domain: "gated.example"}
	if d := routing.Decide(modes(), routing.Session{Client: netip.MustParseAddr("::ffff:203.0.113.9")}, to); !d.Accepted() {
		t.Errorf("the gateway is answered %s", d.Reply)
	}
}

func TestACopyTellsNobody(t *testing.T) {
	t.Parallel()
	d := routing.Decide(modes(), routing.Session{}, smtp.Address{Local: "ann", Domain: "dual.example"})
	rows := d.Rows("ann@dual.example", smtp.NotifySuccess|smtp.NotifyFailure, "rfc822;ann@dual.example")
	if len(rows) != 2 || rows[0].Notify == smtp.NotifyNever || rows[1].Notify != smtp.NotifyNever || rows[1].ORcpt != "" {
		t.Errorf("rows %+v", rows)
	}
}

func TestALongRoutingAddressIsAToken(t *testing.T) {
	t.Parallel()
	v := modes()
	for local, long := range map[string]bool{"ann": false, strings.Repeat("x", 60): true} {
		box, ok := v.Directory.Mailbox("dual.example", local)
		if !ok {
			t.Fatal("no mailbox")
		}
		text := routing.RoutingAddress(box, "in.mx.host.example")
		to, err := smtp.ParseAddress(text, false)
		if err != nil || strings.HasPrefix(text, "r-") != long {
			t.Fatalf("%s: %v", text, err)
		}
		if d := routing.Decide(v, routing.Session{}, to); !d.Accepted() || d.Destinations[0].Mailbox != box.ID {
			t.Errorf("%s leads to %s", text, show(d))
		}
	}
	gone := v
	gone.Directory = v.Directory.With(directory.Delta{RemoveMailboxes: []string{strings.Repeat("x", 60) + "@dual.example"}})
	box, _ := v.Directory.Mailbox("dual.example", strings.Repeat("x", 60))
	if d := routing.Decide(gone, routing.Session{}, smtp.Address{Local: box.Token(), Domain: "in.mx.host.example"}); d.Accepted() {
		t.Error("a token outlives its mailbox")
	}
}

// TestQueuedMailIsNeverRefusedByDNS: what was accepted is decided anew without facts and never for good.
func TestQueuedMailIsNeverRefusedByDNS(t *testing.T) {
	t.Parallel()
	v := modes()
	v.Facts = nil
	for _, rcpt := range []string{"bob@split.example", "who@backup.example", "who@backupworse.example", "bob@left.example", "bob@remote.example", "ann@dual.example"} {
		to, _ := smtp.ParseAddress(rcpt, false)
		if d := routing.Decide(v, routing.Session{Kind: routing.Accepted}, to); !d.Accepted() || d.Need != nil {
			t.Errorf("%s: %s", rcpt, shown(d))
		}
	}
}

func TestExchangersBehindUsAreKeptForSplit(t *testing.T) {
	t.Parallel()
	x := mx("10 real, 20 us, 20 b, 30 c")
	ours := func(a netip.Addr) bool { return a.String() == ourAddr }
	for keep, want := range map[routing.Keep]int{routing.Better: 1, routing.Others: 3} {
		list, _ := routing.Exchangers(x.MX.Records, x.Addrs, ours, keep, func(int, func(int, int)) {})
		if len(list) != want {
			t.Errorf("keep %d: %v", keep, list)
		}
	}
}
