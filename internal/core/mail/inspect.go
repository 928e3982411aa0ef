package mail

import (
	"cmp"
	"time"
)

// Filter selects rows for a listing or a change; empty fields select all.
type Filter struct {
	IDs       []ID
	Domain    string // of the destination
	Host      string // key of the lane, whole or its host part
	States    []State
	OlderThan time.Time // received before; zero for any
	Login     string    // that sent the message; empty for any
	Reply     string    // last reply or reason, as it stands in the row; empty for any
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

// Rerouted is a domain, or a login, whose undelivered mail is to be decided anew.
type Rerouted struct {
	Domain string        `json:"domain"`
	Moved  bool          `json:"moved,omitempty"` // it goes another way
	Gone   bool          `json:"gone,omitempty"`  // it is no domain of this installation any more, or inert
	Kept   bool          `json:"kept,omitempty"`  // it is kept for another time: Hold
	Hold   time.Duration `json:"hold,omitempty"`  // 0: the installation's
	Login  string        `json:"login,omitempty"` // it is what this login has sent, which was paused or resumed; nothing else is set
}

// Key is what two changes have in common that concern the same mail.
func (r *Rerouted) Key() string { return cmp.Or(r.Login, r.Domain) }

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
