// Package cert is the certificates of names: whose they are, where each of them stands, when it is renewed, and what keeps
// one from being given (RFC 8555, RFC 8659).
package cert

import (
	"strings"
	"time"

	"postroad/internal/core/account"
)

// Source says why a name is to have a certificate.
type Source string

// The sources.
const (
	// Server: the installation itself goes by this name.
	Server Source = "server"
	// Added: a person has asked for it.
	Added Source = "added"
	// Automatic: a name of the usual ones under a domain whose mail is taken here, which points here.
	Automatic Source = "automatic"
	// Refused: it was an automatic one, and a person has removed it: it does not come back by itself.
	Refused Source = "refused"
)

// Name is a name that is to have a certificate, or by Refused is not to have one.
type Name struct {
	Name    string // A-label, lower case
	Account account.ID
	Domain  string // in which the name lies; empty for a name of the server
	Source  Source
	Created time.Time
	Asked   time.Time // when a person asked for a new certificate last; zero: never
}

// Status is how far it has come.
type Status struct {
	NotBefore time.Time // of the certificate that is there; zero: there is none
	NotAfter  time.Time
	Issuer    string    // who has given it, for people
	By        Challenge // by which the name was shown to be ours
	Given     time.Time // when it came
	Problem   Problem   // of the last attempt; empty when it went well, and before the first one
	Detail    string    // what was seen, one sentence
	Tried     time.Time // the last attempt
	Next      time.Time // the next one; zero: now
	Failures  int       // in a row
	Advice    Advice    // of the authority, for the certificate that is there
}

// Certificate is a name with its status.
type Certificate struct {
	Name
	Status
}

// There reports whether there is a certificate that holds.
func (c *Certificate) There(now time.Time) bool {
	return !c.NotAfter.IsZero() && now.Before(c.NotAfter)
}

// renewalFraction is the part of a lifetime that is left when a certificate is renewed: a third, as certificate
// authorities advise.
const renewalFraction = 3

// RenewAt is when the certificate is to be renewed: when its authority would like that, else with a third of its life left.
func (s *Status) RenewAt() time.Time {
	if !s.Advice.From.IsZero() {
		return s.heed()
	}
	return s.NotAfter.Add(-s.NotAfter.Sub(s.NotBefore) / renewalFraction)
}

// Alarm is how long before the end of a certificate people are told that it was not renewed: 14 days, and of one that
// lives shortly a quarter of its life.
func (s *Status) Alarm() time.Duration {
	return min(14*24*time.Hour, s.NotAfter.Sub(s.NotBefore)/4)
}

// Expiring reports whether a certificate that is there runs out soon, or has run out, and was not renewed.
func (c *Certificate) Expiring(now time.Time) bool {
	return c.Source != Refused && !c.NotAfter.IsZero() && c.NotAfter.Sub(now) < c.Alarm()
}

// Due reports whether it is time for an attempt: to get a first certificate, or to renew the one that is there.
func (c *Certificate) Due(now time.Time) bool {
	if c.Source == Refused {
		return false
	}
	if c.Asked.After(c.Tried) {
		return true
	}
	if c.There(now) && now.Before(c.RenewAt()) {
		return false
	}
	return !now.Before(c.Next)
}

// backoff are the waits after attempts that the authority has refused. They stay below what authorities allow of failures
// for a name in an hour and in a week.
func backoff(failures int) time.Duration {
	waits := [...]time.Duration{15 * time.Minute, time.Hour, 3 * time.Hour, 6 * time.Hour, 12 * time.Hour}
	if failures < 1 {
		return waits[0]
	}
	if failures > len(waits) {
		return 24 * time.Hour
	}
	return waits[failures-1]
}

// lookAgain is the wait after an attempt that did not get as far as the authority: a look at DNS costs nobody anything.
const lookAgain = 10 * time.Minute

// Failed is the status after an attempt that came to nothing. asked says that the authority was asked, whose patience is
// limited; until is when it may be asked again, zero where it says nothing of that.
func (s Status) Failed(p Problem, detail string, asked bool, now, until time.Time) Status {
	s.Problem, s.Detail, s.Tried = p, detail, now
	s.Failures++
	wait := backoff(s.Failures)
	if !asked {
		wait = min(lookAgain<<min(s.Failures-1, 5), 6*time.Hour)
	}
	s.Next = now.Add(wait)
	if until.After(s.Next) || p == RateLimited && until.After(now) {
		s.Next = until
	}
	return s
}

// Challenge is a way to show that a name is ours (RFC 8555 §8).
type Challenge string

// The challenges.
const (
	HTTP01    Challenge = "http-01"     // RFC 8555 §8.3
	DNS01     Challenge = "dns-01"      // RFC 8555 §8.4
	TLSALPN01 Challenge = "tls-alpn-01" // RFC 8737
)

// Challenges are all of them, in the order in which they are tried when nothing else is said.
func Challenges() []Challenge { return []Challenge{HTTP01, TLSALPN01, DNS01} }

// Under reports whether a name is a domain or lies below it.
func Under(name, domain string) bool {
	return name == domain || strings.HasSuffix(name, "."+domain)
}
