package certs

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"postroad/internal/core/account"
	"postroad/internal/core/cert"
	"postroad/internal/core/directory"
	"postroad/internal/core/finding"
	"postroad/internal/obs"
)

// Names that could have a certificate by themselves are looked up again after lookEvery, so many at once.
const (
	lookEvery   = 6 * time.Hour
	looksAtOnce = 8
	// sweepEvery is how often what belongs to no name is looked for.
	sweepEvery = time.Hour
)

// look is when a name was looked up last, and whether it pointed here.
type look struct {
	at   time.Time
	here bool
}

// candidate is a name that gets a certificate if it points here.
type candidate struct {
	name   string
	domain *directory.Domain
}

// look has the names follow what is hosted here: those of the server, and those under domains whose mail is taken here
// that point here. Without agreement all stays as it is.
func (s *Service) look(ctx context.Context, list []cert.Certificate, jobs *sync.WaitGroup) {
	if !s.o.Agreed {
		return
	}
	now := time.Now().UTC()
	s.working.Lock()
	s.found = false
	s.working.Unlock()
	there := make(map[string]*cert.Certificate, len(list))
	for i := range list {
		there[list[i].Name.Name] = &list[i]
	}
	var put []cert.Name
	var drop []string
	server := s.servers(now)
	for _, name := range server {
		if c, known := there[name]; !known || c.Source == cert.Automatic {
			put = append(put, cert.Name{Name: name, Account: account.Operator, Source: cert.Server, Created: now})
		}
	}
	snap := s.o.Configuration.Directory()
	candidates := s.candidates(snap)
	for i := range list {
		c := &list[i]
		_, candidate := candidates[c.Name.Name]
		switch c.Source {
		case cert.Server:
			if !slices.Contains(server, c.Name.Name) {
				drop = append(drop, c.Name.Name)
			}
		case cert.Automatic:
			gone := (c.Problem == cert.Elsewhere || c.Problem == cert.NoAddress) && !c.There(now)
			if (!candidate || gone) && !slices.Contains(server, c.Name.Name) {
				drop = append(drop, c.Name.Name)
				s.remember(c.Name.Name, false, now)
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(candidates)) {
		c := candidates[name]
		if _, known := there[name]; !known && s.here(name) && !slices.Contains(server, name) {
			put = append(put, cert.Name{Name: name, Account: c.domain.Account, Domain: c.domain.Name, Source: cert.Automatic, Created: now})
		}
	}
	if len(put)+len(drop) > 0 {
		if err := s.o.Configuration.KeepCertificates(ctx, put, drop); err != nil && ctx.Err() == nil {
			s.o.Log.WarnContext(ctx, "the names that are to have certificates could not be brought up to date", slog.Any(obs.KeyError, err))
			return
		}
		s.again()
	}
	s.forget(ctx, there, now)
	s.lookUp(ctx, candidates, there, now, jobs)
}

// servers are the names of the server that can have a certificate: those with a domain, which no configured file has.
func (s *Service) servers(now time.Time) []string {
	var out []string
	for _, name := range append([]string{s.o.Hostname}, s.o.Names()...) {
		if strings.Contains(name, ".") && !slices.Contains(out, name) && !s.holds(name, now) {
			out = append(out, name)
		}
	}
	return out
}

// candidates are the names that get a certificate by themselves if they point here: labels below domains whose ownership
// is shown and whose mailboxes are here. A name that lies in another domain that is known here is left to that.
func (s *Service) candidates(snap *directory.Snapshot) map[string]candidate {
	out := map[string]candidate{}
	for d := range snap.Domains() {
		mode := d.Effective()
		if !d.Proved || mode != directory.ModeLocal && mode != directory.ModeSplit {
			continue
		}
		for _, label := range s.o.Labels {
			name := label + "." + d.Name
			if _, other := snap.Domain(name); !other && len(name) <= 253 {
				out[name] = candidate{name: name, domain: d}
			}
		}
	}
	return out
}

func (s *Service) remember(name string, here bool, now time.Time) {
	s.working.Lock()
	defer s.working.Unlock()
	s.looked[name] = look{at: now, here: here}
}

// here reports whether a name pointed here when it was looked up last.
func (s *Service) here(name string) bool {
	s.working.Lock()
	defer s.working.Unlock()
	return s.looked[name].here
}

// lookUp looks up candidates whose turn it is, some at a time.
func (s *Service) lookUp(ctx context.Context, candidates map[string]candidate, there map[string]*cert.Certificate, now time.Time, jobs *sync.WaitGroup) {
	var due []string
	s.working.Lock()
	for name := range s.looked {
		if _, still := candidates[name]; !still {
			delete(s.looked, name)
		}
	}
	for name := range candidates {
		l, known := s.looked[name]
		if _, has := there[name]; !has && (!known || now.Sub(l.at) >= lookEvery) {
			due = append(due, name)
		}
	}
	if s.looking {
		due = nil
	}
	s.looking = s.looking || len(due) > 0
	s.working.Unlock()
	if len(due) == 0 {
		return
	}
	jobs.Go(func() {
		turns := make(chan string)
		var all sync.WaitGroup
		for range looksAtOnce {
			all.Go(func() {
				for name := range turns {
					answer := s.o.World.Addrs(ctx, name)
					s.remember(name, s.points(&answer) == nil, time.Now())
				}
			})
		}
		for _, name := range due {
			if ctx.Err() != nil {
				break
			}
			turns <- name
		}
		close(turns)
		all.Wait()
		s.working.Lock()
		s.looking, s.found = false, true
		s.working.Unlock()
		s.again()
	})
}

// forget removes from the vault what belongs to names that are not there any more.
func (s *Service) forget(ctx context.Context, there map[string]*cert.Certificate, now time.Time) {
	if now.Sub(s.forgot) < sweepEvery {
		return
	}
	s.forgot = now
	const prefix = "certificates/" + issuerKey + "/"
	assets, err := s.o.Store.Assets(ctx, system, prefix)
	last := ""
	for i := range assets {
		name, _, _ := strings.Cut(strings.TrimPrefix(assets[i].Key, prefix), "/")
		if c, known := there[name]; known && c.Source != cert.Refused || name == last || now.Sub(assets[i].Modified) < sweepEvery {
			continue
		}
		last = name
		if err = s.drop(ctx, name); err != nil {
			break
		}
	}
	if err != nil && ctx.Err() == nil {
		s.o.Log.WarnContext(ctx, "keys of names that are gone could not be removed", slog.Any(obs.KeyError, err))
	}
}

// alarm is a finding that stands.
type alarm struct{ evidence string }

// raise records which domains have names whose certificates run out and were not renewed, and forgets what is over.
func (s *Service) raise(ctx context.Context, list []cert.Certificate, now time.Time) {
	snap := s.o.Configuration.Directory()
	next := map[string]alarm{}
	note := func(domain, evidence string) {
		if domain == "" {
			domain = s.o.Hostname
		}
		if _, there := snap.Domain(domain); !there {
			return
		}
		if a, more := next[domain]; more {
			evidence = a.evidence + "; " + evidence
		}
		next[domain] = alarm{evidence}
	}
	for i := range list {
		c := &list[i]
		if !c.Expiring(now) || !s.wanted(c, now) {
			continue
		}
		evidence := fmt.Sprintf("the certificate of %s runs out on %s and was not renewed", c.Name.Name, c.NotAfter.UTC().Format(time.DateOnly))
		if c.Detail != "" {
			evidence += ": " + c.Detail
		}
		note(c.Domain, evidence)
	}
	if f := s.file.Load(); f != nil {
		leaf := f.pair.Leaf
		c := cert.Certificate{Status: cert.Status{NotBefore: leaf.NotBefore, NotAfter: leaf.NotAfter}}
		if c.Expiring(now) {
			note("", fmt.Sprintf("the certificate in %s runs out on %s", s.o.CertFile, leaf.NotAfter.UTC().Format(time.DateOnly)))
		}
	}
	if s.alarmed == nil { // what an earlier run has found
		known, err := s.o.Findings.Findings(ctx, "")
		if err != nil {
			return
		}
		s.alarmed = map[string]alarm{}
		for _, f := range known {
			if f.Name == finding.CertExpiring {
				s.alarmed[f.Domain] = alarm{f.Evidence}
			}
		}
	}
	for domain, a := range next {
		a.evidence = clean(a.evidence)
		next[domain] = a
		if s.alarmed[domain] != a {
			s.find(ctx, finding.Finding{Name: finding.CertExpiring, Domain: domain, Evidence: a.evidence, Since: now.UTC()}, false)
		}
	}
	for domain := range s.alarmed {
		if _, still := next[domain]; !still {
			s.find(ctx, finding.Finding{Name: finding.CertExpiring, Domain: domain}, true)
		}
	}
	s.alarmed = next
}

func (s *Service) find(ctx context.Context, f finding.Finding, gone bool) {
	if err := s.o.Findings.Find(ctx, f, gone); err != nil && ctx.Err() == nil {
		s.o.Log.WarnContext(ctx, "a finding about certificates could not be recorded", slog.String(obs.KeyDomain, f.Domain), slog.Any(obs.KeyError, err))
	}
}
