// Package sending counts what our own users send, and says when it is too much.
package sending

import (
	"fmt"
	"time"

	"postroad/internal/core/account"
)

// Kind is a kind of sender that is counted.
type Kind string

// The kinds, from the narrowest to the widest.
const (
	Login   Kind = "login"   // by its full address
	Domain  Kind = "domain"  // of the login, by its A-label
	Account Kind = "account" // by its id
)

// Kinds are all kinds in this order.
func Kinds() []Kind { return []Kind{Login, Domain, Account} }

// Limits are the most recipients of a kind of sender, in an hour and in a day of UTC. 0 is no limit.
type Limits struct {
	Hour, Day int64
}

// Key names a sender.
type Key struct {
	Kind Kind
	ID   string
}

// Tally is how many recipients a sender had in its last hour and its last day. Hours and days are those of UTC since 1970;
// counts of ones that are over mean nothing any more.
type Tally struct {
	Hour, Day           int64
	HourCount, DayCount int64
}

// At is the tally of nobody at a time.
func At(now time.Time) Tally {
	seconds := now.Unix()
	return Tally{Hour: seconds / 3600, Day: seconds / 86400}
}

// Plus gives the tally with another added: of the later hour and the later day.
func (t Tally) Plus(other Tally) Tally {
	t.Hour, t.HourCount = plus(t.Hour, t.HourCount, other.Hour, other.HourCount)
	t.Day, t.DayCount = plus(t.Day, t.DayCount, other.Day, other.DayCount)
	return t
}

func plus(window, count, otherWindow, otherCount int64) (later, sum int64) {
	switch {
	case window == otherWindow:
		return window, count + otherCount
	case window > otherWindow:
		return window, count
	}
	return otherWindow, otherCount
}

// Count is the tally of a sender.
type Count struct {
	Key
	Account account.ID // whose it is
	Tally
}

// Refuse says why a sender must not have another recipient now, as the text of a reply; empty: it may. The name is how
// the sender is called there.
func (l Limits) Refuse(kind Kind, name string, t Tally, now time.Time) string {
	t = At(now).Plus(t)
	until, reached := l.Until(t)
	if !reached {
		return ""
	}
	limit, window := l.Hour, "hour"
	if l.dayReached(t) {
		limit, window = l.Day, "day"
	}
	return fmt.Sprintf("the %s %s has reached its limit of %d recipients in one %s; it may send again from %s UTC", kind, name, limit, window, until.Format("2006-01-02 15:04"))
}

// Until is when a sender may have another recipient, whose limit is reached in the hour and the day of its tally.
func (l Limits) Until(t Tally) (at time.Time, reached bool) {
	switch {
	case l.dayReached(t):
		return time.Unix((t.Day+1)*86400, 0).UTC(), true
	case l.Hour > 0 && t.HourCount >= l.Hour:
		return time.Unix((t.Hour+1)*3600, 0).UTC(), true
	}
	return time.Time{}, false
}

func (l Limits) dayReached(t Tally) bool { return l.Day > 0 && t.DayCount >= l.Day }
