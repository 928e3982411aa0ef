package routing

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"
	"time"

	"postroad/internal/core/account"
	"postroad/internal/core/directory"
	"postroad/internal/core/facts"
	"postroad/internal/proto/smtp"
)

// Harm is what an altered route means for those who write to the address. Greater values harm less.
type Harm uint8

// The harms, worst first.
const (
	HarmStops     Harm = iota + 1 // was taken, is refused for good
	HarmUnsent                    // of a domain that was not ours: was sent out for our own users, is refused
	HarmDelays                    // was taken, is refused for now
	HarmRefuses                   // was refused for now, is refused for good
	HarmElsewhere                 // is taken as before, and goes elsewhere
	HarmDefers                    // was refused for good, is refused for now
	HarmReceives                  // was refused, is taken
)

// String is the harm in words that follow an address.
func (h Harm) String() string {
	if int(h) < len(harmWords) && h > 0 {
		return harmWords[h]
	}
	return "is as before"
}

var harmWords = [...]string{
	HarmStops: "stops being received", HarmUnsent: "is no longer sent out, but refused", HarmDelays: "is delayed", HarmRefuses: "is refused for good, no longer for now only",
	HarmElsewhere: "goes elsewhere", HarmDefers: "is refused for now only, no longer for good", HarmReceives: "is newly received",
}

// Whose says which addresses an alteration is about.
type Whose uint8

// The groups of addresses.
const (
	WhoseAddress Whose = iota + 1 // the address itself
	WhoseOthers                   // every address of the domain that nobody here was named for
	WhoseForeign                  // every address of domains that are not ours or not proved, for senders of Domain
)

// Senders says who writes; several may be set.
type Senders uint8

// The senders.
const (
	FromStrangers Senders = 1 << iota // anybody at the MX listener, of no gateway
	FromGateways                      // a client in the domain's gateways, before or after the change
	FromOwn                           // our own users
)

// Alteration is a route that a change alters.
type Alteration struct {
	Whose   Whose
	Domain  string
	Local   string // for WhoseAddress; else empty
	Senders Senders
	Client  netip.Addr // for FromGateways: the gateway
	Harm    Harm
	// Presence is what the domain's real server has to know of the address for this to be so; 0: whatever it knows.
	Presence facts.Presence
	// Before and After are the decisions; no fact is lacking for them (see WhatIf).
	Before, After Decision
}

// Alterations is what a change alters, worst first.
type Alterations struct {
	Count int // addresses and groups of addresses whose route is altered
	Stops int // of these, those that stop being received from somebody
	Ours  int // of all, those that were addresses of proved domains here before
	List  []Alteration
}

// WhatIf finds every address whose route a change alters, for strangers, for gateways and for our own users: the
// addresses that it touches, those whose mail is led to them, and per domain all that nobody was named for. Both
// sides are decided by Decide and compared by effect: the class of the reply, and where accepted mail goes. Of what
// lies out of scope nothing is told. limit bounds List (0: everything is listed), not the counts.
//
// What the view's facts do not know is the same on both sides: exchangers that are not known are there, and where a
// decision hangs on what the domain's real server knows of a recipient it is made for each that it may know. A
// gateway's networks are judged by their first and last address.
func WhatIf(v View, change directory.Delta, scope account.Scope, limit int) Alterations {
	change.Version = v.Directory.Version()
	v.Stale = false
	after := v
	after.Directory = v.Directory.With(change)
	w := whatIf{before: v, after: after, assumed: assumed{facts: v.Facts}, scope: scope, touched: map[string]*touched{}}
	w.before.Facts, w.after.Facts = &w.assumed, &w.assumed
	w.touch(change)
	w.follow()
	for name, t := range w.touched {
		w.domain(name, t)
	}
	w.foreign()
	return w.result(limit)
}

// whatIf is one comparison.
type whatIf struct {
	before, after View
	assumed       assumed
	scope         account.Scope
	touched       map[string]*touched
	fresh         []string // domains touched since the rules were last searched
	senders       []string // domains whose outbound route changes
	installation  bool     // so does that of everybody else
	postmasters   bool     // everybody's postmaster has been touched
	found         []alteration
	room          [3][]outcome
	count, stops  int
	ours          int
}

// touched is what of a domain may route otherwise.
type touched struct {
	all    bool
	locals map[string]bool // the empty one: all that nobody was named for
}

// alteration is an Alteration without its decisions.
type alteration struct {
	whose   Whose
	domain  string       // for WhoseForeign the senders'
	to      smtp.Address // the address, or one that stands for its group
	senders Senders
	session *Session // of one of the senders
	harm    Harm

	presence facts.Presence
}

// assumed knows every fact: of recipients that facts says nothing of, what presence says; exchangers that it says
// nothing of are there and not known.
type assumed struct {
	facts    Facts
	presence facts.Presence
	group    bool // the address stands for others: nothing is known of it itself
	asked    bool // the presence was asked for
}

func (a *assumed) Exchangers(domain string) (facts.ExchangersAnswer, bool) {
	if a.facts != nil {
		if x, ok := a.facts.Exchangers(domain); ok {
			return x, true
		}
	}
	return facts.ExchangersAnswer{MX: facts.MXAnswer{Name: domain, Status: facts.Temporary}}, true
}

func (a *assumed) Recipient(domain, address string) (facts.RecipientAnswer, bool) {
	if a.facts != nil && !a.group {
		if r, ok := a.facts.Recipient(domain, address); ok {
			return r, true
		}
	}
	a.asked = true
	return facts.RecipientAnswer{Address: address, Presence: a.presence, Origin: facts.Origin{Source: "assumed"}}, true
}

// decide decides on both sides.
func (w *whatIf) decide(as *Session, to smtp.Address) (before, after Decision) {
	s := *as
	s.UTF8 = to.NeedsUTF8()
	return Decide(w.before, s, to), Decide(w.after, s, to)
}

// harm compares two decisions by effect; 0 when they are alike.
func harm(before, after *Decision) Harm {
	switch b, a := before.Reply.Code/100, after.Reply.Code/100; {
	case b == 2 && a == 2:
		if sameDestinations(before.Destinations, after.Destinations) {
			return 0
		}
		return HarmElsewhere
	case b == a:
		return 0
	case a == 2:
		return HarmReceives
	case b == 2 && a == 5 && before.Class == ClassForeign:
		return HarmUnsent
	case b == 2 && a == 5:
		return HarmStops
	case b == 2:
		return HarmDelays
	case a == 5:
		return HarmRefuses
	}
	return HarmDefers
}

// sameDestinations reports whether mail goes to the same places, in whatever order.
func sameDestinations(a, b []Destination) bool {
	if len(a) != len(b) {
		return false
	}
	alike := func(x, y *Destination) bool {
		return x.Mailbox == y.Mailbox && x.Lane == y.Lane && x.Address == y.Address && x.Copy == y.Copy
	}
	i := 0
	for i < len(a) && alike(&a[i], &b[i]) {
		i++
	}
	for ; i < len(a); i++ {
		if !slices.ContainsFunc(b, func(y Destination) bool { return alike(&a[i], &y) }) {
			return false
		}
	}
	return true
}

// sameEffect reports whether two decisions differ in nothing that a sender or a reader would notice.
func sameEffect(a, b *Decision) bool { return a.Reply == b.Reply && harm(a, b) == 0 }

// outcome is how a route is altered for one kind of sender.
type outcome struct {
	alteration
	before, after Decision
}

// judge judges one address, or the group that it stands for.
func (w *whatIf) judge(whose Whose, domain string, to smtp.Address, sessions []sender) {
	w.assumed.group, w.assumed.asked = whose == WhoseOthers, false
	present := w.suppose(0, facts.Present, to, sessions)
	if !w.assumed.asked {
		w.record(present, whose, domain, 0)
		return
	}
	absent, unreachable := w.suppose(1, facts.Absent, to, sessions), w.suppose(2, facts.Unreachable, to, sessions)
	alike := func(a, b outcome) bool {
		return a.senders == b.senders && a.harm == b.harm && sameEffect(&a.before, &b.before) && sameEffect(&a.after, &b.after)
	}
	if slices.EqualFunc(present, absent, alike) && slices.EqualFunc(present, unreachable, alike) {
		w.record(present, whose, domain, 0)
		return
	}
	w.record(present, whose, domain, facts.Present)
	w.record(absent, whose, domain, facts.Absent)
	w.record(unreachable, whose, domain, facts.Unreachable)
}

// suppose asks for one address as every sender, and joins senders for whom it is altered alike. What it gives holds
// until it is asked for the same place again.
func (w *whatIf) suppose(place int, p facts.Presence, to smtp.Address, sessions []sender) []outcome {
	w.assumed.presence = p
	out := w.room[place][:0]
	for i := range sessions {
		s := &sessions[i]
		before, after := w.decide(&s.session, to)
		h := harm(&before, &after)
		if h == 0 {
			continue
		}
		like := slices.IndexFunc(out, func(o outcome) bool {
			return o.harm == h && sameEffect(&o.before, &before) && sameEffect(&o.after, &after)
		})
		if like >= 0 {
			out[like].senders |= s.from
			continue
		}
		out = append(out, outcome{alteration: alteration{to: to, senders: s.from, session: &s.session, harm: h}, before: before, after: after})
	}
	w.room[place] = out
	return out
}

// record takes what was found of one address or group.
func (w *whatIf) record(list []outcome, whose Whose, domain string, p facts.Presence) {
	if len(list) == 0 {
		return
	}
	w.count++
	if slices.ContainsFunc(list, func(o outcome) bool { return o.harm == HarmStops }) {
		w.stops++
	}
	if slices.ContainsFunc(list, func(o outcome) bool { return o.before.Class != ClassForeign }) {
		w.ours++
	}
	for _, o := range list {
		o.whose, o.domain, o.presence = whose, domain, p
		w.found = append(w.found, o.alteration)
	}
}

// sender is a session to ask as.
type sender struct {
	from    Senders
	session Session
}

// sessions are those that may fare differently in a domain.
func (w *whatIf) sessions(domain string) []sender {
	out := []sender{{FromStrangers, Session{Kind: Stranger}}, {FromOwn, Session{Kind: Login}}}
	before, _ := w.before.Directory.Domain(domain)
	after, _ := w.after.Directory.Domain(domain)
	type admission struct{ before, after bool }
	seen := map[admission]bool{{}: true}
	for _, d := range []*directory.Domain{before, after} {
		if d == nil {
			continue
		}
		for _, p := range d.Gateways {
			for _, client := range []netip.Addr{p.Masked().Addr(), last(p)} {
				a := admission{before != nil && before.Admits(client), after != nil && after.Admits(client)}
				if !seen[a] {
					seen[a] = true
					out = append(out, sender{FromGateways, Session{Kind: Stranger, Client: client}})
				}
			}
		}
	}
	return out
}

// last is the last address of a network.
func last(p netip.Prefix) netip.Addr {
	b := p.Masked().Addr().AsSlice()
	for i := p.Bits(); i < len(b)*8; i++ {
		b[i/8] |= 0x80 >> (i % 8)
	}
	a, _ := netip.AddrFromSlice(b)
	return a
}

// sees reports whether a domain is in scope, before or after the change.
func (w *whatIf) sees(domain string) bool {
	for _, v := range []*View{&w.before, &w.after} {
		if d, ok := v.Directory.Domain(domain); ok && w.scope.Has(d.Account) {
			return true
		}
	}
	return false
}

// domain judges what is touched of a domain.
func (w *whatIf) domain(name string, t *touched) {
	if !w.sees(name) {
		return
	}
	sessions := w.sessions(name)
	one := func(local string) {
		w.judge(WhoseAddress, name, smtp.Address{Local: local, Domain: name}, sessions)
	}
	if !t.all {
		for local := range t.locals {
			if local != "" {
				one(local)
			}
			w.routingAddress(name, local)
		}
		if t.locals[""] {
			w.judge(WhoseOthers, name, w.standIn(name), sessions)
		}
		return
	}
	old, next := w.before.Directory, w.after.Directory
	for m := range old.Mailboxes(name) {
		one(m.Local)
		w.routingAddress(name, m.Local)
	}
	for m := range next.Mailboxes(name) {
		if _, done := old.Mailbox(name, m.Local); !done {
			one(m.Local)
			w.routingAddress(name, m.Local)
		}
	}
	postmaster := false
	rules := func(snap *directory.Snapshot, done ...*directory.Snapshot) {
		for r := range snap.Rules(name) {
			ruled := func(s *directory.Snapshot) bool { _, ok := s.Rule(name, r.Local); return ok }
			postmaster = postmaster || r.Local == "postmaster"
			if r.Local != "" && !boxed(old, name, r.Local) && !boxed(next, name, r.Local) && !slices.ContainsFunc(done, ruled) {
				one(r.Local)
			}
		}
	}
	rules(old)
	rules(next, old)
	if !postmaster && !boxed(old, name, "postmaster") && !boxed(next, name, "postmaster") {
		one("postmaster")
	}
	w.judge(WhoseOthers, name, w.standIn(name), sessions)
}

func boxed(s *directory.Snapshot, domain, local string) bool {
	_, ok := s.Mailbox(domain, local)
	return ok
}

// routingAddress judges the routing addresses of a mailbox, which is there before, after, or both.
func (w *whatIf) routingAddress(domain, local string) {
	if w.before.Self.RoutingDomain == "" {
		return
	}
	var asked string
	for _, v := range []*View{&w.before, &w.after} {
		box, ok := v.Directory.Mailbox(domain, local)
		if !ok {
			continue
		}
		text := RoutingAddress(box, v.Self.RoutingDomain)
		if text == asked {
			continue
		}
		asked = text
		to := smtp.Address{Local: text[:strings.LastIndexByte(text, '@')], Domain: v.Self.RoutingDomain}
		w.judge(WhoseAddress, to.Domain, to, []sender{{FromStrangers | FromOwn, Session{Kind: Stranger}}})
	}
}

// standIn is an address of a domain that nobody was named for, before or after.
func (w *whatIf) standIn(domain string) smtp.Address {
	to := smtp.Address{Local: "any-other-address", Domain: domain}
	for d := (&directory.Domain{Name: domain}); w.before.knows(d, to.Local) || w.after.knows(d, to.Local); {
		to.Local += "-"
	}
	return to
}

// foreign judges what our own users send to domains that are not ours, where the route of a sender's domain changes.
func (w *whatIf) foreign() {
	to := smtp.Address{Local: "any", Domain: "foreign.invalid"}
	for known(w.before.Directory, to.Domain) || known(w.after.Directory, to.Domain) {
		to.Domain = "x" + to.Domain
	}
	judge := func(domain string, from smtp.Address) {
		w.judge(WhoseForeign, domain, to, []sender{{FromOwn, Session{Kind: Login, Sender: from}}})
	}
	if w.installation && w.scope.Has(account.Operator) {
		judge("", smtp.Address{})
	}
	for _, domain := range w.senders {
		if w.sees(domain) {
			judge(domain, smtp.Address{Local: "any", Domain: domain})
		}
	}
}

func known(s *directory.Snapshot, domain string) bool {
	_, ok := s.Domain(domain)
	return ok
}

// result sorts what was found and decides again what is listed.
func (w *whatIf) result(limit int) Alterations {
	slices.SortFunc(w.found, func(a, b alteration) int {
		return cmp.Or(cmp.Compare(a.harm, b.harm), cmp.Compare(b.whose, a.whose), strings.Compare(a.domain, b.domain), strings.Compare(a.to.Local, b.to.Local), cmp.Compare(a.presence, b.presence), cmp.Compare(a.senders, b.senders))
	})
	out := Alterations{Count: w.count, Stops: w.stops, Ours: w.ours}
	n := len(w.found)
	if limit > 0 {
		n = min(n, limit)
	}
	out.List = make([]Alteration, 0, n)
	for _, f := range w.found[:n] {
		a := Alteration{Whose: f.whose, Domain: f.domain, Senders: f.senders, Client: f.session.Client, Harm: f.harm, Presence: f.presence}
		if f.whose == WhoseAddress {
			a.Local = f.to.Local
		}
		w.assumed.presence, w.assumed.group = f.presence, f.whose == WhoseOthers
		a.Before, a.After = w.decide(f.session, f.to)
		out.List = append(out.List, a)
	}
	return out
}

// routes is a domain without what has no bearing on routes.
func routes(d *directory.Domain) directory.Domain {
	out := *d
	out.Zone, out.Hold, out.Created, out.ModeSince, out.AutoSince = "", 0, time.Time{}, time.Time{}, time.Time{}
	return out
}
