package routing

import (
	"strings"
	"time"

	"postroad/internal/core/directory"
	"postroad/internal/core/mail"
)

// HandedOn is the lane in which mail for a domain of this installation waits for the domain's real server; false for
// domains whose mail is not handed on for strangers: inert ones, local ones, and remote ones outside their leaving
// window.
func HandedOn(d *directory.Domain, now time.Time) (mail.Lane, bool) {
	switch d.Effective() {
	case directory.ModeSplit, directory.ModeBackup, directory.ModeRelay:
		return Onward(d), d.Proved
	case directory.ModeRemote:
		return Onward(d), d.Proved && now.Before(d.Leaving.Until)
	case directory.ModeLocal, directory.ModeAuto:
	}
	return "", false
}

// HandedOnAt lists the domains of a snapshot whose mail is handed on: the one of a name, and with below those of names
// below it too.
func HandedOnAt(s *directory.Snapshot, name string, below bool, now time.Time) []*directory.Domain {
	var out []*directory.Domain
	add := func(d *directory.Domain) {
		if _, ok := HandedOn(d, now); ok {
			out = append(out, d)
		}
	}
	if d, ok := s.Domain(name); ok {
		add(d)
	}
	if !below {
		return out
	}
	for d := range s.Domains() {
		if strings.HasSuffix(d.Name, "."+name) {
			add(d)
		}
	}
	return out
}

// AnyHandedOn reports whether mail of any domain is handed on.
func AnyHandedOn(s *directory.Snapshot, now time.Time) bool {
	for d := range s.Domains() {
		if _, ok := HandedOn(d, now); ok {
			return true
		}
	}
	return false
}
