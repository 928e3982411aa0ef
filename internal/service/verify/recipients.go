package verify

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"postroad/internal/core/account"
	"postroad/internal/core/directory"
	"postroad/internal/core/facts"
	"postroad/internal/core/routing"
	"postroad/internal/obs"
)

// How long answers of a real server hold.
const (
	presentTTL = 7 * 24 * time.Hour  // that somebody is there
	presentMax = 31 * 24 * time.Hour // the same, while the server cannot be asked
	absentTTL  = time.Hour           // that somebody is not there
	absentMax  = 7 * 24 * time.Hour  // how long that puts mail off, while the server cannot be asked
	listTTL    = time.Minute         // what a list says is read again then, as it grows older
	silentTTL  = silenceTime         // that the server cannot be asked

	askTimeout = fetchTimeout - time.Second // what came of it is there before who waits gives up

	maxAnswers = 200_000 // in memory
	maxStored  = 20_000  // of a domain and presence, in the store
	maxAsking  = 2_000   // addresses that are asked about at once
	maxGreed   = 200     // of one domain
)

// recipients are the answers at hand.
type recipients struct {
	mu      sync.Mutex
	answers map[string]remembered // by address, the local part in lower case
	calls   map[string]*call      // by address
	greed   map[string]int        // calls by domain
	asking  sync.WaitGroup
}

// remembered is an answer that may be used until a time, as long as the domain's mail goes the same way.
type remembered struct {
	answer facts.RecipientAnswer
	way    string
	until  time.Time
}

// call is a question under way, for which others wait too.
type call struct{ done chan struct{} }

func (r *recipients) init() {
	r.answers, r.calls, r.greed = map[string]remembered{}, map[string]*call{}, map[string]int{}
}

// wayOf names the way on which a domain's answers were learned: whose domain it is, and who is asked; for a domain that
// goes by a list, the version of the configuration, of which the list is a part.
func wayOf(view *routing.View, dom *directory.Domain) string {
	if dom.Verification() == directory.RecipientsList {
		return fmt.Sprintf("%s list %d", dom.ID, view.Directory.Version())
	}
	return fmt.Sprintf("%s %s %d", dom.ID, routing.Onward(dom), routing.KeepFor(dom))
}

// addressKey is an address as it is remembered: real servers treat local parts without regard to case.
func addressKey(address string) (key, local string) {
	i := strings.LastIndexByte(address, '@')
	if i < 0 {
		return "", ""
	}
	local = directory.FoldLocal(address[:i])
	return local + address[i:], local
}

// Recipient implements routing.Facts.
func (s *Service) Recipient(domain, address string) (facts.RecipientAnswer, bool) {
	key, _ := addressKey(address)
	s.recipients.mu.Lock()
	k, ok := s.recipients.answers[key]
	s.recipients.mu.Unlock()
	if !ok || !time.Now().Before(k.until) {
		return facts.RecipientAnswer{}, false
	}
	view := s.o.Directory.View()
	dom, ours := view.Directory.Domain(domain)
	if !ours || k.way != wayOf(&view, dom) {
		return facts.RecipientAnswer{}, false
	}
	k.answer.Address = address
	return k.answer, true
}

// remember keeps an answer at hand until a time.
func (r *recipients) remember(key, way string, a facts.RecipientAnswer, until time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.answers) >= maxAnswers {
		drop := maxAnswers / 10 // any of them: they are read again from the store, or learned again
		for k := range r.answers {
			delete(r.answers, k)
			if drop--; drop == 0 {
				break
			}
		}
	}
	r.answers[key] = remembered{answer: a, way: way, until: until}
}

// fetchRecipient learns of an address. Who comes while it is being asked about waits for the same answer.
func (s *Service) fetchRecipient(ctx context.Context, domain, address string) {
	if s.o.Directory == nil || s.o.Hosts == nil || s.o.Store == nil {
		return
	}
	view := s.o.Directory.View()
	dom, ours := view.Directory.Domain(domain)
	key, local := addressKey(address)
	if !ours || local == "" {
		return
	}
	r := &s.recipients
	r.mu.Lock()
	c, under := r.calls[key]
	if !under {
		if len(r.calls) >= maxAsking || r.greed[domain] >= maxGreed {
			r.mu.Unlock()
			s.o.Metrics.VerifyProbes.WithLabelValues(resultLimited).Inc()
			return
		}
		c = &call{done: make(chan struct{})}
		r.calls[key] = c
		r.greed[domain]++
		// Others may wait for it when this client has gone.
		work, cancel := context.WithTimeout(context.WithoutCancel(ctx), askTimeout)
		r.asking.Go(func() {
			defer cancel()
			if way := wayOf(&view, dom); dom.Verification() == directory.RecipientsList {
				s.lookUp(work, dom, way, local)
			} else {
				s.learn(work, dom, way, local, address)
			}
			r.end(key, domain, c)
		})
	}
	r.mu.Unlock()
	select {
	case <-c.done:
	case <-ctx.Done():
	}
}

func (r *recipients) end(key, domain string, c *call) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.calls, key)
	if r.greed[domain]--; r.greed[domain] == 0 {
		delete(r.greed, domain)
	}
	close(c.done)
}

// lookUp makes a fact of what a domain's list says. Who is on it is there; that others are not is believed of a list
// that is not too old. What follows a plus sign in a local part counts no more than it does here.
func (s *Service) lookUp(ctx context.Context, dom *directory.Domain, way, local string) {
	l, err := s.o.Store.Listed(ctx, account.System(), dom.Name, []string{local, directory.Base(local), ""})
	if err != nil {
		s.o.Log.ErrorContext(ctx, "a list of recipients cannot be read", slog.String(obs.KeyDomain, dom.Name), slog.Any(obs.KeyError, err))
		return
	}
	now := time.Now()
	a := facts.RecipientAnswer{Presence: facts.Outdated, Origin: facts.Origin{Source: "there is no list", At: now, TTL: listTTL}}
	if l.There {
		a.Source, a.At = "list by "+l.Source, l.Learned
		switch {
		case l.Has:
			a.Presence = facts.Present
		case now.Sub(l.Learned) < l.From.MaxAge():
			a.Presence = facts.Absent
		}
	}
	s.recipients.remember(local+"@"+dom.Name, way, a, now.Add(listTTL))
}

// learn makes a fact of an address: of what is stored, else of what the real server says.
func (s *Service) learn(ctx context.Context, dom *directory.Domain, way, local, address string) {
	key := local + "@" + dom.Name
	old, known, err := s.o.Store.Answer(ctx, account.System(), dom.Name, local)
	if err != nil {
		s.o.Log.ErrorContext(ctx, "a stored answer about a recipient cannot be read", slog.String(obs.KeyDomain, dom.Name), slog.Any(obs.KeyError, err))
	}
	known = known && old.Way == way && time.Since(old.At) >= 0
	if known && time.Since(old.At) < lifetime(old.Presence) {
		s.recipients.remember(key, way, old.RecipientAnswer, old.At.Add(lifetime(old.Presence)))
		return
	}
	v := s.prober.ask(ctx, dom, way, address)
	s.o.Metrics.VerifyProbes.WithLabelValues(v.result).Inc()
	s.o.Log.DebugContext(ctx, "recipient asked for", slog.String(obs.KeyDomain, dom.Name), slog.String(obs.KeyRecipient, address),
		slog.String("result", v.result), slog.String(obs.KeyHost, v.host), slog.String(obs.KeyReason, v.detail))
	now := time.Now()
	a := facts.RecipientAnswer{Address: address, Presence: v.presence, Origin: facts.Origin{Source: v.host, At: now, Detail: v.detail}}
	switch {
	case v.presence == facts.Present, v.presence == facts.Absent:
		a.TTL = lifetime(v.presence)
		s.o.Store.KeepAnswer(account.System(), dom.Name, local, Answer{RecipientAnswer: a, Way: way}, s.kept)
		s.recipients.remember(key, way, a, a.Expires())
	case v.result == resultLimited:
		// No fact: who asks for too much is put off.
	default:
		a.TTL = silentTTL
		if known {
			a = whileSilent(old.RecipientAnswer, a)
		}
		s.recipients.remember(key, way, a, now.Add(silentTTL))
	}
}

// lifetime is how long an answer holds without a new question.
func lifetime(p facts.Presence) time.Duration {
	if p == facts.Present {
		return presentTTL
	}
	return absentTTL
}

// whileSilent is what an old answer is worth while the server cannot be asked: that somebody was there is believed;
// that somebody was not there puts mail off, which neither takes what would come back nor refuses a new mailbox.
func whileSilent(old, now facts.RecipientAnswer) facts.RecipientAnswer {
	switch age := old.Age(now.At); {
	case old.Presence == facts.Present && age < presentMax:
		old.Address = now.Address
		return old
	case old.Presence == facts.Absent && age < absentMax:
		old.Address, old.Presence = now.Address, facts.Outdated
		return old
	}
	return now
}

func (s *Service) kept(err error) {
	if err != nil {
		s.o.Log.Error("an answer about a recipient is not kept", slog.Any(obs.KeyError, err))
	}
}

// sweepTime is how often the store is rid of answers that are of no more use.
const sweepTime = time.Hour

// sweep does so until ctx ends.
func (s *Service) sweep(ctx context.Context) {
	tick := time.NewTicker(sweepTime)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		now := time.Now()
		if err := s.o.Store.ForgetAnswers(ctx, account.System(), now.Add(-presentMax), now.Add(-absentMax), maxStored); err != nil && ctx.Err() == nil {
			s.o.Log.ErrorContext(ctx, "old answers about recipients are not removed", slog.Any(obs.KeyError, err))
		}
	}
}
