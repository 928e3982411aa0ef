package settings

import (
	"slices"
	"time"

	"postroad/internal/core/directory"
	"postroad/internal/core/mail"
)

// FollowDNS gives a domain of mode auto the mode that public DNS says. One that becomes remote has a leaving window, by
// the TTL of its records.
func FollowDNS(d *directory.Domain, mode directory.Mode, ttl time.Duration, at time.Time) {
	before := d.Effective()
	d.Auto, d.AutoSince = mode, at.Truncate(time.Second)
	if !d.AutoSince.After(d.ModeSince) {
		d.AutoSince = d.ModeSince.Add(time.Second) // it counts as observed
	}
	switch {
	case mode != directory.ModeRemote:
		d.Leaving = directory.Leaving{}
	case before != directory.ModeRemote:
		d.Leaving = directory.Leaving{Until: at.Add(directory.LeavingFor(ttl)).Truncate(time.Second), From: before}
	}
}

// Rerouted tells whether, and how, undelivered mail is to be decided anew when a domain is changed; old is nil for a new
// one.
func Rerouted(old, d *directory.Domain) (r mail.Rerouted, moved bool) {
	if old == nil {
		old = &directory.Domain{}
	}
	r = mail.Rerouted{Domain: d.Name, Gone: old.Proved && !d.Proved}
	same := old.Effective() == d.Effective() && slices.Equal(old.NextHops, d.NextHops) && old.Dual == d.Dual
	r.Moved = d.Proved && (!old.Proved || !same)
	if d.Hold != old.Hold {
		r.Kept, r.Hold = true, d.Hold
	}
	return r, r.Gone || r.Moved || r.Kept
}
