// Package dkimsign signs the mail that is sent from here with the keys of its author's domain (RFC 6376).
//
// # Failure
//
// Mail that cannot be signed goes without a signature, and the log says why: a signature that is missing costs belief, a
// message that is refused costs the message.
package dkimsign

import (
	"bytes"
	"context"
	"crypto"
	"crypto/x509"
	"fmt"
	"log/slog"
	"maps"
	"sync"
	"time"

	"postroad/internal/core/account"
	"postroad/internal/core/dkimkey"
	"postroad/internal/proto/dkim"
)

// Store keeps the keys of domains.
type Store interface {
	// DKIM gives how a domain's mail is signed.
	DKIM(ctx context.Context, scope account.Scope, domain string) (dkimkey.Domain, error)
}

// Options are what the service is made of.
type Options struct {
	Store Store
	// Open gives a private key that was sealed for something.
	Open func(sealed []byte, what string) ([]byte, error)
	// Missing reports whether an error of Store says that a domain has no keys.
	Missing func(err error) bool
	// Needed is told of domains that have no keys and whose mail is to be signed; it must not wait. nil: nobody is.
	Needed func(domain string)
	Log    *slog.Logger
}

const (
	// fresh is how long keys are used without looking whether they are others by now: another node may have changed them.
	fresh = 30 * time.Second
	// most is how many domains' keys are remembered.
	most = 10_000
)

// Service signs. It is safe for concurrent use.
type Service struct {
	o Options

	mu         sync.Mutex
	known      map[string]*entry
	generation uint64 // grows when something is forgotten
}

// entry is the keys of a domain that sign.
type entry struct {
	read time.Time
	keys []key
}

// key is one of them, with what it was sealed as.
type key struct {
	dkim.Key

	sealed []byte
}

// New makes the service.
func New(o Options) *Service {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Service{o: o, known: map[string]*entry{}}
}

// Forget has the keys of domains read again.
func (s *Service) Forget(domains ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.generation++
	for _, d := range domains {
		if e := s.known[d]; e != nil {
			e.read = time.Time{} // what was read stays: parsing it again would cost more
		}
	}
}

// Sign gives the signature fields of a message by an author of a domain, an A-label: one for each key that signs, none
// where there is no key. body hashes the message's body by relaxed canonicalization; it is not called when nothing is signed.
func (s *Service) Sign(ctx context.Context, domain string, header []byte, body func() *dkim.Body) []byte {
	list := s.Keys(ctx, domain)
	if len(list) == 0 {
		return nil
	}
	fields, err := dkim.Sign(header, body(), list, dkim.Options{Header: dkim.Relaxed, Body: dkim.Relaxed, Time: time.Now()})
	if err != nil {
		s.o.Log.WarnContext(ctx, "message not signed", "domain", domain, "error", err)
		return nil
	}
	return fields
}

// Keys gives the keys of a domain, an A-label, that sign; none where there are none.
func (s *Service) Keys(ctx context.Context, domain string) []dkim.Key {
	keys, err := s.keys(ctx, domain)
	if err != nil {
		s.o.Log.ErrorContext(ctx, "DKIM keys not read", "domain", domain, "error", err)
	}
	list := make([]dkim.Key, len(keys))
	for i := range keys {
		list[i] = keys[i].Key
	}
	return list
}

// keys gives the keys of a domain that sign. With an error they are those that were known before.
func (s *Service) keys(ctx context.Context, domain string) ([]key, error) {
	s.mu.Lock()
	old, generation := s.known[domain], s.generation
	s.mu.Unlock()
	now := time.Now()
	if old == nil {
		old = &entry{}
	} else if now.Sub(old.read) < fresh {
		return old.keys, nil
	}
	found, err := s.o.Store.DKIM(ctx, account.System(), domain)
	if err != nil && !s.o.Missing(err) {
		return old.keys, err
	}
	if s.o.Needed != nil && (err != nil || !found.Off && len(found.Lacks()) > 0) {
		s.o.Needed(domain)
	}
	next := &entry{read: now, keys: s.open(ctx, &found, old.keys)}
	s.mu.Lock()
	defer s.mu.Unlock()
	if generation == s.generation {
		if len(s.known) >= most {
			maps.DeleteFunc(s.known, func(string, *entry) bool { return len(s.known) >= most-most/10 })
		}
		s.known[domain] = next
	}
	return next.keys, nil
}

// open opens the keys of a domain that sign, those that are open already left as they are.
func (s *Service) open(ctx context.Context, d *dkimkey.Domain, old []key) []key {
	var out []key
	signing := d.Signing()
next:
	for i := range signing {
		k := &signing[i]
		for j := range old {
			if old[j].Selector == k.Selector && bytes.Equal(old[j].sealed, k.Sealed) {
				out = append(out, old[j])
				continue next
			}
		}
		private, err := s.private(d.Name, k)
		if err != nil {
			s.o.Log.ErrorContext(ctx, "DKIM key cannot be used", "domain", d.Name, "selector", k.Selector, "error", err)
			continue
		}
		out = append(out, key{dkim.Key{Domain: d.Name, Selector: k.Selector, Signer: private}, k.Sealed})
	}
	return out
}

func (s *Service) private(domain string, k *dkimkey.Key) (crypto.Signer, error) {
	der, err := s.o.Open(k.Sealed, dkimkey.SealedFor(domain, k.Selector))
	if err != nil {
		return nil, err
	}
	parsed, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, err
	}
	signer, ok := parsed.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("a %T does not sign", parsed) //nolint:err113 // told to nobody but the operator
	}
	return signer, nil
}
