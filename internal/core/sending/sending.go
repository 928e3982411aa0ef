// Package sending counts what our own users send, and says when it is too much.
package sending

import (
	"fmt"
	"strings"
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

// Key names a sender. What one account has sent as a domain says nothing of another that has the domain later.
type Key struct {
	Account account.ID // whose it is
	Kind    Kind
	ID      string
}

// KeysOf are a login, its domain and its account, as senders. Addresses are compared in lower case, as the directory does.
func KeysOf(owner account.ID, login string) [3]Key {
	login = strings.ToLower(login)
	return [3]Key{{owner, Login, login}, {owner, Domain, DomainOf(login)}, {owner, Account, string(owner)}}
}

// KeyOfDomain is a domain as a sender.
func KeyOfDomain(owner account.ID, name string) Key { return Key{owner, Domain, name} }

// KeyOfAccount is an account as a sender.
func KeyOfAccount(owner account.ID) Key { return Key{owner, Account, string(owner)} }

// Domain is the domain of a sender; empty for an account.
func (k Key) Domain() string {
	switch k.Kind {
	case Login:
		return DomainOf(k.ID)
	case Domain:
		return k.ID
	case Account:
	}
	return ""
}

// Label names a sender as logs do.
func (k Key) Label() string { return string(k.Kind) + " " + k.ID }

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

// nearly is the part of a limit that is nearly all of it, in percent.
const nearly = 80

// Near says of which limit a sender has used nearly all, as one line that stays the same until the hour or the day is over;
// empty: of none. The name is how the sender is called there.
func (l Limits) Near(kind Kind, name string, t Tally, now time.Time) string {
	t = At(now).Plus(t)
	near := func(limit, count int64) bool { return limit > 0 && count >= (limit*nearly+99)/100 }
	switch {
	case near(l.Day, t.DayCount):
		return fmt.Sprintf("the %s %s has had %d %% or more of its %d recipients of the day %s", kind, name, nearly, l.Day, now.UTC().Format(time.DateOnly))
	case near(l.Hour, t.HourCount):
		return fmt.Sprintf("the %s %s has had %d %% or more of its %d recipients of the hour from %s UTC on", kind, name, nearly, l.Hour, now.UTC().Truncate(time.Hour).Format("2006-01-02 15:04"))
	}
	return ""
}
