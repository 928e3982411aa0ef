package certs

import (
	"context"
	"crypto/x509"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/mholt/acmez/v3/acme"

	"postroad/internal/core/cert"
	"postroad/internal/obs"
)

// The authority is asked about a certificate as often as it says, within bounds, and where it says nothing, or cannot be
// asked, usually (RFC 9773 §4.3).
const (
	askOften   = time.Minute
	askUsually = 6 * time.Hour
	askRarely  = 24 * time.Hour

	askTime   = time.Minute // for one certificate
	askAtOnce = 20          // certificates, one after the other
)

// consult asks the authority when it would like the certificates that are there to be renewed, and records what it says.
func (s *Service) consult(ctx context.Context, list []cert.Certificate, jobs *sync.WaitGroup) {
	now := time.Now()
	shown := *s.shown.Load()
	s.working.Lock()
	defer s.working.Unlock()
	if s.consulting || now.Before(s.pause) || now.Before(s.unasked) {
		return
	}
	type question struct {
		c    cert.Certificate
		leaf *x509.Certificate
	}
	var due []question
	for i := range list {
		c := &list[i]
		own, there := shown[c.Name.Name]
		if !there || !own.status.NotAfter.Equal(c.NotAfter) || !c.There(now) || now.Before(c.Advice.Again) || !s.wanted(c, now) {
			continue
		}
		if due = append(due, question{*c, own.pair.Leaf}); len(due) == askAtOnce {
			break
		}
	}
	if len(due) == 0 {
		return
	}
	s.consulting = true
	jobs.Go(func() {
		moved := false
		for i := range due {
			moved = s.hear(ctx, &due[i].c, due[i].leaf) || moved
		}
		s.working.Lock()
		s.consulting = false
		s.working.Unlock()
		if moved {
			s.again()
		}
	})
}

// hear asks about one certificate, and reports whether its time to be renewed has changed.
func (s *Service) hear(ctx context.Context, c *cert.Certificate, leaf *x509.Certificate) bool {
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	advice, err := s.ca.advise(ctx, leaf)
	now := time.Now().UTC()
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		return false
	case errors.Is(err, acme.ErrUnsupported):
		advice = cert.Advice{Again: now.Add(askRarely)}
	case err != nil:
		advice = c.Advice // what it said before holds
		advice.Again = now.Add(askUsually)
		s.o.Log.DebugContext(ctx, "the certificate authority does not say when a certificate is to be renewed", slog.String("name", c.Name.Name), slog.Any(obs.KeyError, err))
	case advice.Again.IsZero():
		advice.Again = now.Add(askUsually)
	default:
		advice.Again = now.Add(min(max(advice.Again.Sub(now), askOften), askRarely))
	}
	before := c.RenewAt()
	c.Advice = advice
	if err := s.o.Store.AdviseCertificate(ctx, system, c.Name.Name, c.NotAfter, advice); err != nil {
		s.o.Log.WarnContext(ctx, "when a certificate is to be renewed could not be recorded", slog.String("name", c.Name.Name), slog.Any(obs.KeyError, err))
		s.working.Lock()
		s.unasked = now.Add(leftAlone)
		s.working.Unlock()
		return false
	}
	if at := c.RenewAt(); at.Before(before) && !now.Before(at) {
		s.o.Log.InfoContext(ctx, "the certificate authority would like a certificate to be renewed now", slog.String("name", c.Name.Name), slog.String("why", advice.Page))
		return true
	}
	return false
}

// advise asks when the authority would like a certificate to be renewed (RFC 9773 §4.1); acme.ErrUnsupported where it never
// says.
func (a *authority) advise(ctx context.Context, leaf *x509.Certificate) (cert.Advice, error) {
	info, err := a.client.GetRenewalInfo(ctx, leaf)
	if err != nil {
		return cert.Advice{}, err
	}
	out := cert.Advice{From: info.SuggestedWindow.Start.UTC(), Until: info.SuggestedWindow.End.UTC()}
	if page := clean(info.ExplanationURL); strings.HasPrefix(page, "https://") || strings.HasPrefix(page, "http://") {
		out.Page = page
	}
	if info.RetryAfter != nil {
		out.Again = info.RetryAfter.UTC()
	}
	return out, nil
}

// predecessor is how the authority knows the certificate whose place a new one takes, where it has said something of it
// (RFC 9773 §5): such an order may be free of its limits.
func (s *Service) predecessor(c *cert.Certificate) string {
	own, there := (*s.shown.Load())[c.Name.Name]
	if c.Advice.From.IsZero() || !there {
		return ""
	}
	id, err := acme.ARIUniqueIdentifier(own.pair.Leaf)
	if err != nil {
		return ""
	}
	return id
}

// newOrder orders a certificate for a name. Where the authority does not take it as the successor of another one, it is an
// order like any other.
func (a *authority) newOrder(ctx context.Context, account acme.Account, name, replaces string) (acme.Order, error) {
	wish := acme.Order{Identifiers: []acme.Identifier{{Type: "dns", Value: name}}, Replaces: replaces}
	order, err := a.client.NewOrder(ctx, account, wish)
	if is := problem(err); replaces != "" && is != "" && is != "rateLimited" && is != "accountDoesNotExist" {
		wish.Replaces = ""
		order, err = a.client.NewOrder(ctx, account, wish)
	}
	return order, said(err)
}
