package directory

import (
	"slices"
	"time"

	"postroad/internal/core/account"
)

// MinLeaving is the least length of a leaving window.
const MinLeaving = 48 * time.Hour

// Window is the leaving window that begins now: the larger of MinLeaving and the largest lifetime of the DNS records by
// which senders may remember that the mail is here.
func Window(now time.Time, from Mode, ttl time.Duration) Leaving {
	return Leaving{Until: now.Add(max(MinLeaving, ttl)).Truncate(time.Second), From: from}
}

// Tombstone is how long a removed domain's name is not for others to take without a proof of ownership.
const Tombstone = 30 * 24 * time.Hour

// Departed is a domain that was removed: senders may still remember that its mail was here, and DNS that its zone was.
// It is no domain of this installation any more; only mail from strangers is still taken for it, until its window ends,
// and handed on.
type Departed struct {
	ID          string     // random, never reused
	Account     account.ID // whose it was
	Name        string     // A-label, lower case
	Leaving     Leaving
	Recipients  RecipientPolicy
	Unreachable UnreachablePolicy
	Former      []string // folded local parts that had a mailbox or a rule, sorted
	// Removed is when; for a while after it the name is its former owner's to take again, and nobody else's without a proof.
	Removed time.Time

	domain *Domain // made once by a Snapshot
}

// Reserved reports whether the name is not for another account to take without a proof of ownership.
func (d *Departed) Reserved(now time.Time) bool {
	return !d.Removed.IsZero() && now.Before(d.Removed.Add(Tombstone))
}

// Over reports whether nothing is left to be remembered.
func (d *Departed) Over(now time.Time) bool { return !now.Before(d.Leaving.Until) && !d.Reserved(now) }

// Depart gives what is kept of a domain that is removed, and false when nothing is: its ownership was never shown. Its
// leaving window may be over: then nobody looks here for its mail.
func (s *Snapshot) Depart(d *Domain, id string, now time.Time, ttl time.Duration) (Departed, bool) {
	left := Departed{
		ID: id, Account: d.Account, Name: d.Name, Recipients: d.Recipients, Unreachable: d.Unreachable, Leaving: Window(now, d.Effective(), ttl),
		Removed: now.Truncate(time.Second),
	}
	if d.Effective() == ModeRemote {
		left.Leaving = d.Leaving
	}
	if !d.Proved {
		return Departed{}, false
	}
	for m := range s.Mailboxes(d.Name) {
		left.Former = append(left.Former, m.Local)
	}
	for r := range s.Rules(d.Name) {
		if r.Local != "" {
			left.Former = append(left.Former, r.Local)
		}
	}
	slices.Sort(left.Former)
	left.Former = slices.Compact(left.Former)
	return left, true
}

// Knew reports whether an address had a mailbox or a rule here, itself or without its plus-suffix.
func (d *Departed) Knew(local string) bool {
	folded := FoldLocal(local)
	_, found := slices.BinarySearch(d.Former, folded)
	if !found {
		_, found = slices.BinarySearch(d.Former, Base(folded))
	}
	return found
}

func (d *Departed) key() string { return d.Name }

// Domain is the domain as it is routed until the window ends: in mode remote.
func (d *Departed) Domain() *Domain {
	if d.domain != nil {
		return d.domain
	}
	return &Domain{
		Account: d.Account, Name: d.Name, Proved: true, Mode: ModeRemote, Leaving: d.Leaving, Recipients: d.Recipients, Unreachable: d.Unreachable,
	}
}

// Departed finds a removed domain by its name. Whoever asks judges its window by the time.
func (s *Snapshot) Departed(name string) (*Departed, bool) { return s.departed.get(name) }

// AllDeparted lists the removed domains in no particular order.
func (s *Snapshot) AllDeparted() []*Departed {
	var out []*Departed
	for _, d := range s.departed.all() {
		out = append(out, d)
	}
	return out
}

// withDeparted gives the table after a change. Of two of one name the one whose window is longer counts.
func (s *Snapshot) withDeparted(put []Departed, drop []string) *table[*Departed] {
	if len(put) == 0 && len(drop) == 0 {
		return s.departed
	}
	fresh := make(map[string]*Departed, len(put))
	for i := range put {
		d := put[i]
		if old, ok := fresh[d.Name]; ok && old.Leaving.Until.After(d.Leaving.Until) {
			continue
		}
		d.domain = d.Domain()
		fresh[d.Name] = &d
	}
	return s.departed.with(fresh, drop)
}
