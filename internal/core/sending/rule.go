package sending

import (
	"fmt"
	"strings"
	"time"
)

// Rule is what was decided of one sender beside the limits of the installation. It stays with the address, the name or the id
// in the sender's account, whether or not there is such a mailbox or domain at the time: who removes it and adds it anew finds
// the same rule.
type Rule struct {
	Key
	Given Choice // by the operator, in place of the installation's limits
	Own   Choice // by the account, of what it is given
	Pause *Pause // nil: it may send. It is never written to
}

// Choice is limits that somebody has chosen, in recipients; nil: none is chosen, and 0 is no limit.
type Choice struct {
	Hour, Day *int64
}

// Same reports whether two choices are one.
func (c Choice) Same(other Choice) bool { return alike(c.Hour, other.Hour) && alike(c.Day, other.Day) }

func alike(a, b *int64) bool {
	if a == nil || b == nil {
		return a == b
	}
	return *a == *b
}

// Over gives limits with those that are chosen in their place.
func (c Choice) Over(l Limits) Limits {
	if c.Hour != nil {
		l.Hour = *c.Hour
	}
	if c.Day != nil {
		l.Day = *c.Day
	}
	return l
}

// Within gives limits with those that are chosen where these are less.
func (c Choice) Within(l Limits) Limits {
	return Limits{Hour: less(l.Hour, c.Hour), Day: less(l.Day, c.Day)}
}

func less(given int64, own *int64) int64 {
	if own == nil || *own == 0 || given > 0 && given < *own {
		return given
	}
	return *own
}

// Allowed are the limits that a sender is given: the operator's for it, else the installation's for its kind.
func (r *Rule) Allowed(installation Limits) Limits { return r.Given.Over(installation) }

// Limits are the limits of a sender: what it is given, or what its account has chosen where that is less.
func (r *Rule) Limits(installation Limits) Limits { return r.Own.Within(r.Allowed(installation)) }

// Empty reports whether nothing is decided of the sender.
func (r *Rule) Empty() bool { return r.Given == Choice{} && r.Own == Choice{} && r.Pause == nil }

// Pauser is who has paused a sender.
type Pauser string

// Those who pause senders.
const (
	ByOperator Pauser = "operator" // who alone may resume it
	ByOwner    Pauser = "owner"
	ByLimit    Pauser = "limit" // the program itself, for what the sender tried to send; the owner may resume it
)

// Pause is why a sender may send nothing for now.
type Pause struct {
	Since  time.Time `json:"since"`
	By     Pauser    `json:"by" enum:"operator,owner,limit" doc:"Who has paused it; what the operator has paused nobody else resumes"`
	Reason string    `json:"reason,omitempty"`
}

// Same reports whether two pauses are one; nil is none.
func (p *Pause) Same(other *Pause) bool {
	if p == nil || other == nil {
		return p == other
	}
	return p.Since.Equal(other.Since) && p.By == other.By && p.Reason == other.Reason
}

// StillPaused says why what is about to be added may send nothing, of a rule that pauses it.
func (r *Rule) StillPaused() string {
	by := "its owner"
	switch r.Pause.By {
	case ByOperator:
		by = "the operator"
	case ByLimit:
		by = "the program, for what it tried to send"
	case ByOwner:
	}
	return fmt.Sprintf("It may send nothing until it is resumed: the %s has been paused since %s UTC by %s.", r.Kind, r.Pause.Since.UTC().Format("2006-01-02 15:04"), by)
}

// DomainOf is the domain of a login.
func DomainOf(login string) string { return login[strings.LastIndexByte(login, '@')+1:] }
