// Package forwarding makes mail that is forwarded to other servers believable there: it comes from a sender of the
// forwarding domain (SRS), so that SPF holds and bounces come back, and bears a seal over what was found out about it here
// (ARC, RFC 8617). The message itself is not changed, so that its DKIM signatures go on to hold.
//
// It counts what forwards send, and who brings mail that others have forwarded to domains here. What is counted is written
// every two seconds, by all nodes into one place: a crash forgets the last two seconds and nothing else, and other nodes know
// it as much later.
//
// # Failure
//
// Mail that cannot be rewritten or sealed is forwarded as it is, and the log says why: the next host may believe it less,
// and nothing is lost. While the store cannot be written, this node goes on counting for itself, and writes it all later.
package forwarding

import (
	"context"
	"crypto/rsa"
	"log/slog"
	"strconv"
	"strings"
	"time"

	"postroad/internal/core/facts"
	"postroad/internal/proto/arc"
	"postroad/internal/proto/dkim"
	"postroad/internal/proto/srs"
)

const (
	// lifetime is how long the secret of a domain is used for new senders. The one before it is still believed: senders
	// are good for 21 days.
	lifetime = 90 * 24 * time.Hour
	// lookTime bounds the look-ups of a chain's keys.
	lookTime = 5 * time.Second
)

// Options are what the service is made of.
type Options struct {
	// Hostname is the name under which Authentication-Results are written here.
	Hostname string
	// Derive gives a secret for a purpose: always the same one, and another for each purpose.
	Derive   func(what string) []byte
	Keys     Keys
	Resolver Resolver
	// PerHour is how many messages one forward may send to other servers in an hour; 0: 1,000.
	PerHour int
	Store   Store // of what is counted
	Log     *slog.Logger
}

// Service is safe for concurrent use.
type Service struct {
	o    Options
	c    counts
	stop chan struct{}
	done chan struct{}
}

// New makes the service; Start starts it.
func New(o Options) *Service {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.PerHour <= 0 {
		o.PerHour = 1000
	}
	return &Service{o: o, c: newCounts(), stop: make(chan struct{}), done: make(chan struct{})}
}

// rewriter has the secrets of a domain at a time: that of the current period and the one before.
func (s *Service) rewriter(domain string, now time.Time) srs.Rewriter {
	period := now.Unix() / int64(lifetime/time.Second)
	secret := func(n int64) []byte { return s.o.Derive("srs " + strconv.FormatInt(n, 10) + " " + domain) }
	return srs.Rewriter{Secrets: [][]byte{secret(period), secret(period - 1)}}
}

// Rewrite gives the sender for mail that a domain, an A-label, forwards; false when it has to stay what it is.
func (s *Service) Rewrite(sender, domain string, now time.Time) (string, bool) {
	r := s.rewriter(domain, now)
	out, err := r.Rewrite(sender, domain, now)
	if err != nil {
		s.o.Log.Info("sender not rewritten", "sender", sender, "domain", domain, "error", err)
		return "", false
	}
	return out, true
}

// Return implements routing.Returns. A clock that was set back across the end of a period loses nothing: the secret of
// the next one is believed too.
func (s *Service) Return(address string, now time.Time) (string, error) {
	domain := strings.ToLower(address[strings.LastIndexByte(address, '@')+1:])
	r := s.rewriter(domain, now)
	r.Secrets = append(r.Secrets, s.rewriter(domain, now.Add(lifetime)).Secrets[0])
	return r.Reverse(address, now)
}

// Seal makes the ARC set of a message that a domain forwards: over the Authentication-Results fields of this host among
// found. It is empty when there are none, when the domain has no key, or when the chain is at its end. body was hashed by
// both canonicalizations.
func (s *Service) Seal(ctx context.Context, domain string, header, found []byte, body *dkim.Body, now time.Time) []byte {
	results := arc.Results(found, s.o.Hostname)
	if results == "" {
		return nil
	}
	key, ok := choose(s.o.Keys.Keys(ctx, domain))
	if !ok {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, lookTime)
	defer cancel()
	chain := arc.Read(header)
	validated := chain.Validate(ctx, body, s.key)
	if !strings.Contains(results, "; arc=") {
		results += "; arc=" + string(validated.State)
	}
	fields, err := arc.Seal(chain, validated, body, results, key, now)
	if err != nil {
		s.o.Log.Warn("forwarded message not sealed", "domain", domain, "error", err)
		return nil
	}
	return fields
}

// choose takes an RSA key where there is one: not everybody knows the other kind.
func choose(keys []dkim.Key) (dkim.Key, bool) {
	for _, key := range keys {
		if _, ok := key.Signer.Public().(*rsa.PublicKey); ok {
			return key, true
		}
	}
	if len(keys) == 0 {
		return dkim.Key{}, false
	}
	return keys[0], true
}

// key fetches what DNS has at the name of a key.
func (s *Service) key(ctx context.Context, name string) ([]string, error) {
	answer := s.o.Resolver.TXT(ctx, name)
	switch answer.Status {
	case facts.Found:
		return answer.Records, nil
	case facts.NXDomain, facts.NoData:
		return nil, dkim.ErrNoRecord
	case facts.Temporary:
	}
	return nil, dkim.ErrTemporary
}
