package certs

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/mholt/acmez/v3"
	"github.com/mholt/acmez/v3/acme"

	"postroad/internal/core/cert"
	"postroad/internal/obs"
	"postroad/internal/proto/dns"
)

// What answers challenges lies in the vault, so that every node answers them, and so that what a crash leaves can be
// taken away.
const challenges = "challenge/"

// A challenge that nobody took away is old after abandoned.
const abandoned = 15 * time.Minute

// asked is a challenge as the vault keeps it.
type asked struct {
	Challenge acme.Challenge `json:"challenge"`
	Domain    string         `json:"domain,omitempty"` // dns-01: whose zone has the record
}

// challengeKey is where a challenge lies: by what its reader has when it comes.
func challengeKey(c *acme.Challenge) string {
	if c.Type == string(cert.HTTP01) {
		return challenges + c.Type + "/" + c.Token
	}
	return challenges + c.Type + "/" + c.Identifier.Value
}

func (s *Service) keepChallenge(ctx context.Context, c acme.Challenge, domain string) error {
	text, err := json.Marshal(asked{c, domain})
	if err != nil {
		return err
	}
	return s.vault.change(ctx, map[string][]byte{challengeKey(&c): text})
}

func (s *Service) challenge(ctx context.Context, kind cert.Challenge, name string) (asked, error) {
	var out asked
	text, at, err := s.vault.load(ctx, challenges+string(kind)+"/"+name)
	if err != nil {
		return out, err
	}
	if time.Since(at) > abandoned {
		return out, ErrMissing
	}
	return out, json.Unmarshal(text, &out)
}

// served is a way that the listeners of every node go by what lies in the vault.
func (s *Service) served(kind cert.Challenge) way {
	return way{
		kind:    kind,
		present: func(ctx context.Context, c acme.Challenge) error { return s.keepChallenge(ctx, c, "") },
		tidy:    func(ctx context.Context, c acme.Challenge) error { return s.vault.change(ctx, nil, challengeKey(&c)) },
	}
}

// challengePath is where http-01 is asked for (RFC 8555 §8.3).
const challengePath = "/.well-known/acme-challenge/"

// HTTP answers http-01, and leaves all else to another handler.
func (s *Service) HTTP(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token, ours := strings.CutPrefix(r.URL.Path, challengePath)
		if !ours {
			next.ServeHTTP(w, r)
			return
		}
		host := r.Host
		if h, _, err := net.SplitHostPort(host); err == nil {
			host = h
		}
		if r.Method != http.MethodGet && r.Method != http.MethodHead || !isToken(token) {
			http.NotFound(w, r)
			return
		}
		a, err := s.challenge(r.Context(), cert.HTTP01, token)
		if err != nil || !strings.EqualFold(a.Challenge.Identifier.Value, host) {
			if err != nil && !errors.Is(err, ErrMissing) {
				s.o.Log.WarnContext(r.Context(), "a challenge could not be answered", slog.Any(obs.KeyError, err))
			}
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Type", "application/octet-stream")
		_, _ = w.Write([]byte(a.Challenge.KeyAuthorization))
	})
}

// isToken reports whether a text can be the token of a challenge (RFC 8555 §8.1).
func isToken(s string) bool {
	return s != "" && len(s) <= 200 && !strings.ContainsFunc(s, func(r rune) bool {
		return r != '-' && r != '_' && (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z')
	})
}

// alpn gives the certificate that answers tls-alpn-01 (RFC 8737 §3).
func (s *Service) alpn(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	name := strings.ToLower(hello.ServerName)
	a, err := s.challenge(hello.Context(), cert.TLSALPN01, name)
	if err != nil {
		return nil, fmt.Errorf("no challenge is open for %q: %w", name, err)
	}
	return acmez.TLSALPN01ChallengeCert(a.Challenge)
}

// The world sees a new record when all name servers of the zone have it: they are asked every seen, and not waited for
// longer than seeTime.
const (
	seen    = 500 * time.Millisecond
	seeTime = time.Minute
)

// inZone is the way through a zone that is hosted here (RFC 8555 §8.4). The vault knows of the record before the zone has
// it: a crash leaves none behind that is not taken away.
func (s *Service) inZone(domain string) way {
	return way{
		kind: cert.DNS01,
		present: func(ctx context.Context, c acme.Challenge) error {
			if err := s.keepChallenge(ctx, c, domain); err != nil {
				return err
			}
			owner, text := strings.TrimSuffix(c.DNS01TXTRecordName(), "."), c.DNS01KeyAuthorization()
			if err := s.o.Configuration.PutText(ctx, domain, owner, text); err != nil {
				return err
			}
			return s.everywhere(ctx, domain, owner, text)
		},
		tidy: func(ctx context.Context, c acme.Challenge) error { return s.takeAway(ctx, asked{c, domain}) },
	}
}

// takeAway removes the record of a challenge from its zone, then the challenge.
func (s *Service) takeAway(ctx context.Context, a asked) error {
	if a.Challenge.Type == string(cert.DNS01) {
		if err := s.o.Configuration.DropText(ctx, a.Domain, strings.TrimSuffix(a.Challenge.DNS01TXTRecordName(), "."), a.Challenge.DNS01KeyAuthorization()); err != nil {
			return err
		}
	}
	return s.vault.change(ctx, nil, challengeKey(&a.Challenge))
}

// everywhere waits until every name server that the world asks for a zone has a record.
func (s *Service) everywhere(ctx context.Context, domain, owner, text string) error {
	ctx, cancel := context.WithTimeout(ctx, seeTime)
	defer cancel()
	delegation := s.o.World.Delegation(ctx, domain)
	if !delegation.Delegated() {
		return fmt.Errorf("the zone %s is hosted here, and the world is not led to it: %s", domain, delegation.Detail)
	}
	for {
		missing := ""
		for _, answer := range s.o.World.Everywhere(ctx, delegation.Servers, owner, dns.TypeTXT) {
			if !slices.Contains(answer.Texts(), text) {
				missing = answer.Server
			}
		}
		if missing == "" {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the name server %s of %s does not have the record of the challenge", missing, domain)
		case <-time.After(seen):
		}
	}
}

// sweep takes away the challenges that were abandoned: those that are older than age.
func (s *Service) sweep(ctx context.Context, age time.Duration) {
	list, err := s.o.Store.Assets(ctx, system, challenges)
	for i := range list {
		if time.Since(list[i].Modified) < age {
			continue
		}
		var a asked
		text, _, lost := s.vault.load(ctx, list[i].Key)
		switch {
		case errors.Is(lost, ErrMissing):
			continue
		case lost != nil || json.Unmarshal(text, &a) != nil:
			lost = s.vault.change(ctx, nil, list[i].Key) // what cannot be read answers nothing
		default:
			lost = s.takeAway(ctx, a)
		}
		err = errors.Join(err, lost)
	}
	if err != nil && ctx.Err() == nil {
		s.o.Log.WarnContext(ctx, "abandoned challenges could not be taken away", slog.Any(obs.KeyError, err))
	}
}

// blocks goes through the certificates of a PEM text.
func blocks(text []byte) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for {
			var b *pem.Block
			if b, text = pem.Decode(text); b == nil || b.Type == "CERTIFICATE" && !yield(b.Bytes) {
				return
			}
		}
	}
}
