// Package primary is the mail system that the users of a domain have elsewhere: the forwards by which it is to send their
// mail here, and the messages that tell which of these forwards work, and whether mail comes through them unchanged.
//
// A probe is a small message to an address at the primary. It bears a token (Token) that nobody else can make and that is
// good for one address and some days; by it the probe is known when it comes back.
package primary

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"postroad/internal/core/account"
	"postroad/internal/core/directory"
	"postroad/internal/core/mail"
	"postroad/internal/proto/smtp"
)

// Forward is one that the primary has to make.
type Forward struct {
	Address string // of the mailbox, alias or group here; lower case
	From    string // at the primary
	To      string // where mail for From is forwarded to: Address, or the mailbox's routing address where From is the same
}

// List gives the forwards of a domain, by address. A domain that is its own primary has some for its mailboxes alone, to the
// routing addresses that routed gives; none where it is nil. Every domain has its own postmaster.
func List(snap *directory.Snapshot, d *directory.Domain, routed func(*directory.Mailbox) string) []Forward {
	at := d.UsersAt()
	var out []Forward
	add := func(local, to string) {
		if local != "" && local != "postmaster" {
			out = append(out, Forward{Address: local + "@" + d.Name, From: smtp.Address{Local: local, Domain: at}.String(), To: to})
		}
	}
	for box := range snap.Mailboxes(d.Name) {
		switch {
		case at != d.Name:
			add(box.Local, smtp.Address{Local: box.Local, Domain: d.Name}.String())
		case routed != nil:
			add(box.Local, routed(box))
		}
	}
	if at != d.Name {
		for r := range snap.Rules(d.Name) {
			if _, box := snap.Mailbox(d.Name, r.Local); !box && r.Kind != directory.RuleCatchAll {
				add(r.Local, smtp.Address{Local: r.Local, Domain: d.Name}.String())
			}
		}
	}
	slices.SortFunc(out, func(a, b Forward) int { return cmp.Compare(a.Address, b.Address) })
	return out
}

// State is where a probe stands that has not come to its end.
type State string

// The states.
const (
	StateNone    State = ""        // no probe is under way
	StateSending State = "sending" // it is about to be queued
	StateSent    State = "sent"    // it is in the queue, or was
)

// Verdict is what the last probe of a forward that came to its end has told.
type Verdict string

// The verdicts.
const (
	Unprobed  Verdict = ""
	Intact    Verdict = "intact"    // it came back as it was sent
	Rewritten Verdict = "rewritten" // it came back, and signatures of senders do not survive that
	Refused   Verdict = "refused"   // the primary, or a server behind it, did not take it or gave it back
	Missing   Verdict = "missing"   // the primary took it, or does not answer, and it has not come back
)

// Fails reports whether mail for the address does not reach us.
func (v Verdict) Fails() bool { return v == Refused || v == Missing }

// Probe is what is known of one forward: the probe under way or sent last, and what the last one has told.
type Probe struct {
	Account account.ID
	Domain  string
	Forward
	Serial string // of the last token
	State  State
	Queue  mail.ID       // under which it was queued
	Sent   time.Time     // when it was made
	Within time.Duration // in which it is to come back, from when the primary took it
	Left   time.Time     // when it was seen to have left the queue; zero before

	Verdict Verdict
	Judged  time.Time     // when that was found; zero for none
	After   time.Duration // after which it came back
	Hop     string        // who brought it back
	Detail  string        // what is wrong, one sentence
	Since   time.Time     // since when mail does not come through, or not unchanged; zero while it does
}

// Judge gives the probe with what it has told, and who brought that; hop and detail become one line each, of a length that fits
// into listings.
func (p Probe) Judge(v Verdict, now time.Time, hop, detail string) Probe {
	if v == Intact {
		p.Since = time.Time{}
	} else if p.Since.IsZero() || p.Verdict.Fails() != v.Fails() {
		p.Since = now
	}
	p.State, p.Verdict, p.Judged, p.Hop, p.Detail, p.After = StateNone, v, now, line(hop), line(detail), 0
	return p
}

// maxDetail bounds what is kept of a detail, in octets.
const maxDetail = 500

// line is a text on one line, cut.
func line(text string) string {
	text = strings.Join(strings.FieldsFunc(strings.ToValidUTF8(text, "?"), func(r rune) bool { return r <= ' ' || r == 0x7f }), " ")
	if len(text) > maxDetail {
		text = strings.ToValidUTF8(text[:maxDetail], "") + "…"
	}
	return text
}
