package mail

import (
	"strings"
	"time"

	"postroad/internal/core/account"
)

// Filter selects rows for a listing or a change; empty fields select all.
type Filter struct {
	IDs       []ID
	Domain    string // of the destination
	Host      string // key of the lane, whole or its host part
	States    []State
	OlderThan time.Time // received before; zero for any
	Sent      Sent      // by our own users
}

// Sent selects what our own users have sent. The zero value selects what anybody has.
type Sent struct {
	Account account.ID // whose users
	Login   string     // a full address; empty for all of them
	Domain  string     // of the logins; empty for any
	Halted  bool       // only rows that are held because their login is paused
}

// Has reports whether a message is selected; Halted says nothing of messages.
func (s Sent) Has(m *Message) bool {
	login := m.Client.Login
	return s.Account == "" && s.Login == "" && s.Domain == "" ||
		login != "" && (s.Account == "" || s.Account == m.Account) && (s.Login == "" || s.Login == login) && (s.Domain == "" || strings.HasSuffix(login, "@"+s.Domain))
}

// Listed is a message in a listing with those of its rows that the filter selects.
type Listed struct {
	Message Message
	Rows    []Recipient
}

// Counts are totals over the queue.
type Counts struct {
	Messages   int64
	Recipients int64
	Due        int64 // scheduled rows whose time has come
	Held       int64 // held, quarantined and dead rows
}

// Action is what an operator does to queued rows.
type Action uint8

// The actions of a queue change.
const (
	Expedite Action = iota + 1 // make due now
	Hold                       // keep until released
	Release                    // held, quarantined or dead rows back to waiting
	Drop                       // remove without a report
)

// String is the action's verb in commands.
func (a Action) String() string {
	switch a {
	case Expedite:
		return "retry"
	case Hold:
		return "hold"
	case Release:
		return "release"
	case Drop:
		return "drop"
	}
	return "none"
}

// Rerouted is a domain, or a sender of ours, whose undelivered mail is to be decided anew.
type Rerouted struct {
	Domain string        `json:"domain"`
	Moved  bool          `json:"moved,omitempty"` // it goes another way
	Gone   bool          `json:"gone,omitempty"`  // it is no domain of this installation any more, or inert
	Kept   bool          `json:"kept,omitempty"`  // it is kept for another time: Hold
	Hold   time.Duration `json:"hold,omitempty"`  // 0: the installation's

	// It is what users have sent who were paused or resumed, and nothing of the above is set.
	SentBy account.ID `json:"sent_by,omitempty"` // whose users; empty where an earlier program has written it
	Login  string     `json:"login,omitempty"`   // that one; else all of Logins
	Logins string     `json:"logins,omitempty"`  // those of this domain; else all of the account
}

// Sent is what users have sent of whom it tells; false where it tells of a domain's mail.
func (r *Rerouted) Sent() (Sent, bool) {
	s := Sent{Account: r.SentBy, Login: r.Login, Domain: r.Logins}
	return s, s != Sent{}
}

// Key is what two changes have in common that concern the same mail.
func (r *Rerouted) Key() string {
	if s, sent := r.Sent(); sent {
		return string(s.Account) + " " + s.Login + "@" + s.Domain
	}
	return r.Domain
}

// Paused is why mail of a login is held that may not send: the last reply of its rows.
func Paused(login string) string { return "the login " + login + " is paused" }

// Waiting is the mail for a domain that lies in a lane, and how the lane stands.
type Waiting struct {
	Recipients int64
	Since      time.Time // when the oldest of it came; zero without any
	Next       time.Time // when the lane is tried next; zero when nothing is scheduled
	Failures   int       // of the lane in a row
	Reason     string    // of the last one
	Host       string    // who gave it
}
