package routing

import (
	"strings"

	"postroad/internal/core/directory"
	"postroad/internal/core/mail"
	"postroad/internal/proto/smtp"
)

// Anew is what a decision made anew says of an undelivered row.
type Anew struct {
	Stays  bool          // the row goes where it went
	To     []Destination // where it goes now; none for a row that stays, or is held
	Domain string        // of a row that is held: the domain of this installation that it is for, if there still is one
	Why    string        // of a row that is held: the reason, one line
}

// held keeps a row for a person.
func held(domain, why string) Anew { return Anew{Domain: domain, Why: why} }

var stays = Anew{Stays: true}

// DecidePaused holds what a login has sent that may send nothing for now, whatever its way.
func DecidePaused(v View, m *mail.Message) (way Anew, paused bool) {
	if m.Client.Login == "" || !v.Directory.Paused(m.Account, m.Client.Login) {
		return Anew{}, false
	}
	return held("", mail.Paused(m.Client.Login)), true
}

// DecideAnew decides by the view of this moment where an undelivered row goes (docs/durability.md, Rows). Only the next
// hop may change: addresses were expanded when the message was taken, and are expanded again only where the domain of a
// row's destination has been handed on until now. What would be refused for a domain of this installation is held and
// never returned. It allocates nothing for rows that stay without a decision: those for foreign domains, and those
// for mailboxes of a domain that is delivered here.
func DecideAnew(v View, r *mail.Recipient) Anew {
	local := r.Lane == LocalLane
	at := strings.LastIndexByte(r.Destination, '@')
	dom, ours := v.Directory.Domain(r.Destination[at+1:])
	switch {
	case at <= 0:
		return stays
	case !ours && local:
		return held("", "the domain is no longer here")
	case !ours:
		return stays
	case !dom.Proved && local:
		return held(dom.Name, "the domain's ownership is no longer shown")
	case !dom.Proved: // it goes as mail for any foreign domain does
		return stays
	case local && v.belongs(r, dom):
		return stays
	}
	return v.again(r, dom)
}

// belongs reports whether a row for a mailbox stays in it: the domain is delivered here, or this mailbox of it, or the
// sender has used the mailbox's routing address, which nothing leads away.
func (v *View) belongs(r *mail.Recipient, dom *directory.Domain) bool {
	if dom.Effective() == directory.ModeLocal {
		return true
	}
	given := r.Original[strings.LastIndexByte(r.Original, '@')+1:]
	if v.Self.RoutingDomain != "" && strings.EqualFold(given, v.Self.RoutingDomain) {
		return true
	}
	if dom.Effective() != directory.ModeSplit {
		return false
	}
	box, ok := v.Directory.Mailbox(dom.Name, r.Destination[:strings.LastIndexByte(r.Destination, '@')])
	return ok && box.ID == r.Mailbox
}

// again decides for a row whose domain is proved here.
func (v *View) again(r *mail.Recipient, dom *directory.Domain) Anew {
	to, err := smtp.ParseAddress(r.Destination, true)
	if err != nil {
		return stays // what was taken cannot be worse now
	}
	d := Decide(*v, Session{Kind: Accepted}, to)
	switch {
	case !d.Accepted() && v.Stale:
		return stays
	case !d.Accepted():
		return held(dom.Name, r.Destination+": "+d.Reply.Text)
	}
	for i := range d.Destinations {
		if to := &d.Destinations[i]; to.Copy == r.Copy && to.Lane == r.Lane && to.Mailbox == r.Mailbox && strings.EqualFold(to.Address, r.Destination) {
			return stays
		}
	}
	if !r.Copy {
		return Anew{To: d.Destinations}
	}
	for i := range d.Destinations {
		if d.Destinations[i].Copy {
			return Anew{To: d.Destinations[i : i+1]}
		}
	}
	return stays // the message was delivered here, and its copy is on its way
}

// putAside is said of a row that policy has put aside for a mailbox, and that would leave by now.
const putAside = "it was put aside, and would leave this installation now: it goes on when it is released"

// RowsAnew makes the rows that a row becomes whose destinations were decided anew: the first in its place, and one more
// for each further destination. What was to go into a mailbox's folder for junk and leaves now is quarantined, as it would
// have been at first; what somebody has let go before is not stopped again.
func RowsAnew(r *mail.Recipient, to []Destination) []mail.Recipient {
	rows := make([]mail.Recipient, len(to))
	for i := range to {
		rows[i] = *r
		rows[i].Lane, rows[i].Mailbox, rows[i].Destination = to[i].Lane, to[i].Mailbox, to[i].Address
		if to[i].Account != "" {
			rows[i].Account = to[i].Account
		}
		if to[i].Copy && !r.Copy {
			rows[i].Copy, rows[i].Notify, rows[i].ORcpt = true, smtp.NotifyNever, ""
		}
		if r.Junk && r.Lane.Transport() == mail.TransportLocal && to[i].Lane.Transport() != mail.TransportLocal {
			rows[i].State, rows[i].LastReply, rows[i].LastHost = mail.StateQuarantined, putAside, ""
		}
	}
	return rows
}
