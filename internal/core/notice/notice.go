// Package notice decides who is told of what happens to a domain's mail, and in which words.
//
// People are told of what holds for a while, once, and of the end of what they wait for; what comes and goes does not
// make a storm. Everything here is a function of what is seen and of what was told before.
package notice

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"postroad/internal/core/account"
	"postroad/internal/core/directory"
	"postroad/internal/core/finding"
)

// Event is what people are told of.
type Event string

// The events.
const (
	ModeSwitched      Event = "mode-switched"        // a domain of mode auto follows public DNS
	PrimaryDown       Event = "primary-down"         // a domain's own server takes no mail, and some is held here
	RoutingLoop       Event = "routing-loop"         // a domain's mail goes in circles
	GatewayBypassed   Event = "gateway-bypassed"     // somebody tries to deliver around a domain's filter
	StrandedMailboxes Event = "stranded-mailboxes"   // mailboxes here get no mail, which goes elsewhere
	ForwardFuse       Event = "forward-fuse"         // a forward gets more mail than it may send to other servers
	OwnershipLost     Event = "ownership-lost"       // what showed a domain's ownership is gone
	SendingPaused     Event = "sending-paused"       // a login tried to send more than it may, and is paused
	SendingNear       Event = "sending-near-limit"   // somebody has had nearly all recipients of an hour or a day
	CertExpiring      Event = "certificate-expiring" // a certificate runs out soon and was not renewed
)

// partly reports whether each part of an event's evidence is told by itself.
func (e Event) partly() bool { return e == SendingPaused || e == SendingNear }

// EventOf is the event that a finding is told as; empty for findings of which nobody is told.
func EventOf(name finding.Name) Event {
	switch name {
	case finding.RouteLoopSelf, finding.SplitLoop, finding.AliasLoop:
		return RoutingLoop
	case finding.GatewayBypassed:
		return GatewayBypassed
	case finding.ForwardFuse:
		return ForwardFuse
	case finding.StrandedMailboxes:
		return StrandedMailboxes
	case finding.OwnershipLost:
		return OwnershipLost
	case finding.SendingPaused:
		return SendingPaused
	case finding.CertExpiring:
		return CertExpiring
	}
	return ""
}

// Seen is something that holds of a domain now.
type Seen struct {
	Event    Event
	Domain   string
	Account  account.ID // the domain's
	Since    time.Time
	Evidence string
	Finding  finding.Name  // of findings
	Held     int64         // PrimaryDown: recipients whose mail waits
	Hold     time.Duration // PrimaryDown: how long it is kept
}

// Switch is one change of mode of a domain of mode auto.
type Switch struct {
	Domain   string
	Account  account.ID
	At       time.Time
	From, To directory.Mode // effective
	Evidence string
}

// Memory is what has to be remembered of a domain and an event until the next look. It is stored.
type Memory struct {
	Domain  string
	Event   Event
	Account account.ID
	Since   time.Time // when what holds began; zero while nothing does
	Told    time.Time // when people were told last that it had begun; zero: never
	Open    bool      // they were told that it had begun, and not that it has ended
	Held    int64     // PrimaryDown: the most that was held
	Detail  string    // ModeSwitched: what is still to be told, a line each; SendingPaused, SendingNear: what was told and holds
}

// Notice is one thing that one account is told.
type Notice struct {
	ID      string     // in the order in which they were made; given by the caller
	Account account.ID // who is told: the domain's, or the operator's
	Domain  string
	Event   Event
	Ended   bool      // it tells the end of the event
	At      time.Time // when it was made
	Due     time.Time // when it is to be sent: later for the operator's daily digest
	Subject string    // one line
	Text    string    // lines that end in LF
	Sent    time.Time // when it was handed to the queue, or given up; zero before
	To      []string  // the addresses that it was sent to
	Problem string    // why it was sent to nobody, one line
}

// Rules are how soon and how often people are told.
type Rules struct {
	Wait     time.Duration // how long something holds before people are told
	Interval time.Duration // the least time between two notices of one event of one domain that it has begun
	Digest   time.Duration // after midnight UTC: when the operator's daily digest is sent
}

// Result is what follows from a look.
type Result struct {
	Put    []Memory // new or changed
	Drop   []Memory // no longer needed
	Notice []Notice // without ids
}

// look is one look in progress.
type look struct {
	Rules
	now     time.Time
	owner   func(domain string) (account.ID, bool)
	old     map[key]Memory
	next    map[key]Memory
	notices []Notice
}

type key struct {
	domain string
	event  Event
}

// Look compares what is seen, and the switches since the last look, with what is remembered. owner gives the account of a
// domain; what is remembered of domains that are gone, or have another owner, is dropped.
func Look(r Rules, now time.Time, remembered []Memory, seen []Seen, switches []Switch, owner func(domain string) (account.ID, bool)) Result {
	l := &look{Rules: r, now: now, owner: owner, old: map[key]Memory{}, next: map[key]Memory{}}
	for _, m := range remembered {
		l.old[key{m.Domain, m.Event}] = m
		if id, there := owner(m.Domain); there && id == m.Account {
			l.next[key{m.Domain, m.Event}] = m
		}
	}
	holds := map[key]bool{}
	for _, s := range seen {
		k := key{s.Domain, s.Event}
		if id, there := owner(s.Domain); there && id == s.Account && !holds[k] {
			if holds[k] = true; k.event.partly() {
				l.parts(k, s)
			} else {
				l.holds(k, s)
			}
		}
	}
	for _, k := range l.keys() {
		if !holds[k] && k.event != ModeSwitched {
			l.ended(k)
		}
	}
	for _, s := range switches {
		if id, there := owner(s.Domain); there && id == s.Account {
			l.switched(s)
		}
	}
	for _, k := range l.keys() {
		if k.event == ModeSwitched {
			l.tellSwitches(k)
		}
	}
	return l.result()
}

// keys are those of all memories, in order.
func (l *look) keys() []key {
	out := make([]key, 0, len(l.next))
	for k := range l.next {
		out = append(out, k)
	}
	slices.SortFunc(out, func(a, b key) int { return cmp.Or(cmp.Compare(a.domain, b.domain), cmp.Compare(a.event, b.event)) })
	return out
}

// again reports whether people may be told of a beginning once more.
func (l *look) again(m *Memory) bool { return m.Told.IsZero() || l.now.Sub(m.Told) >= l.Interval }

// holds is about something that is so now.
func (l *look) holds(k key, s Seen) {
	m, there := l.next[k]
	if !there {
		m = Memory{Domain: s.Domain, Event: s.Event, Account: s.Account}
	}
	if m.Since.IsZero() {
		m.Since, m.Held = s.Since, 0
	}
	m.Held = max(m.Held, s.Held)
	if !m.Open && l.now.Sub(m.Since) >= l.Wait && l.again(&m) {
		m.Open, m.Told = true, l.now
		l.tell(s.Event, s.Domain, s.Account, false, false, begun(&s, m.Since))
	}
	l.next[k] = m
}

// parts is about something that is so of one or more now, each of which is told once. People are told of every login that is
// paused, once the first has been for a while; that somebody comes near a limit they are told at once, while they can do
// something, and not again and again.
func (l *look) parts(k key, s Seen) {
	m, there := l.next[k]
	if !there {
		m = Memory{Domain: s.Domain, Event: s.Event, Account: s.Account}
	}
	if m.Since.IsZero() {
		m.Since = s.Since
	}
	now := strings.Split(s.Evidence, finding.Between)
	told := slices.DeleteFunc(strings.Split(m.Detail, "\n"), func(part string) bool { return !slices.Contains(now, part) })
	fresh := slices.DeleteFunc(now, func(part string) bool { return slices.Contains(told, part) })
	ready, since := l.now.Sub(m.Since) >= l.Wait, m.Since
	if s.Event == SendingNear {
		ready = l.again(&m)
	}
	if len(fresh) > 0 && ready {
		if m.Open {
			since = l.now
		}
		m.Open, m.Told = true, l.now
		s.Evidence = strings.Join(fresh, finding.Between)
		l.tell(s.Event, s.Domain, s.Account, false, s.Event == SendingNear, begun(&s, since))
		told = append(told, fresh...)
	}
	m.Detail = strings.Join(told, "\n")
	l.next[k] = m
}

// ended is about something that is not so any more. The end is told only of what people wait for, and only if they were
// told of the beginning.
func (l *look) ended(k key) {
	m := l.next[k]
	if m.Open && m.Event == PrimaryDown {
		l.tell(m.Event, m.Domain, m.Account, true, false, back(&m, l.now))
	}
	m.Since, m.Open, m.Held, m.Detail = time.Time{}, false, 0, ""
	if l.again(&m) || m.Event == SendingPaused {
		delete(l.next, k)
		return
	}
	l.next[k] = m
}

// switched notes a change of mode that is to be told.
func (l *look) switched(s Switch) {
	k := key{s.Domain, ModeSwitched}
	m, there := l.next[k]
	if !there {
		m = Memory{Domain: s.Domain, Event: ModeSwitched, Account: s.Account}
	}
	if m.Detail == "" {
		m.Since = s.At
	}
	m.Detail = lastLines(m.Detail + switchLine(s) + "\n")
	l.next[k] = m
}

// tellSwitches tells the changes of mode of a domain, when it is time.
func (l *look) tellSwitches(k key) {
	m := l.next[k]
	switch {
	case !l.again(&m):
		return
	case m.Detail == "":
		delete(l.next, k)
		return
	}
	l.tell(m.Event, m.Domain, m.Account, false, true, modes(&m))
	m.Detail, m.Since, m.Told = "", time.Time{}, l.now
	l.next[k] = m
}

// tell makes the notices of the domain's account and of the operator, who is told in a digest where that is enough. An
// operator whose own domain it is is told once, at once.
func (l *look) tell(event Event, domain string, owner account.ID, end, digest bool, w words) {
	n := Notice{Account: owner, Domain: domain, Event: event, Ended: end, At: l.now, Due: l.now, Subject: w.subject, Text: w.text()}
	l.notices = append(l.notices, n)
	if owner == account.Operator {
		return
	}
	n.Account = account.Operator
	if digest {
		n.Due = l.nextDigest()
	}
	l.notices = append(l.notices, n)
}

// nextDigest is when the operator's daily digest is sent.
func (l *look) nextDigest() time.Time {
	at := l.now.UTC().Truncate(24 * time.Hour).Add(l.Digest)
	if !at.After(l.now) {
		at = at.Add(24 * time.Hour)
	}
	return at
}

func (l *look) result() Result {
	out := Result{Notice: l.notices}
	for _, k := range l.keys() {
		if m := l.next[k]; m != l.old[k] {
			out.Put = append(out.Put, m)
		}
	}
	for k, m := range l.old {
		if _, kept := l.next[k]; !kept {
			out.Drop = append(out.Drop, m)
		}
	}
	return out
}
