package certs

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/caddyserver/certmagic"

	"postroad/internal/core/cert"
	"postroad/internal/obs"
)

// fromFile is the server's certificate as it is configured.
type fromFile struct {
	pair  tls.Certificate
	stamp string // of both files, when they were read
}

// stamp tells whether files have changed.
func stamp(files ...string) (string, error) {
	var out strings.Builder
	for _, name := range files {
		info, err := os.Stat(name)
		if err != nil {
			return "", err
		}
		out.WriteString(fmt.Sprint(info.ModTime().UnixNano(), " ", info.Size(), " "))
	}
	return out.String(), nil
}

func readFile(certFile, keyFile string) (*fromFile, error) {
	mark, err := stamp(certFile, keyFile)
	if err != nil {
		return nil, fmt.Errorf("certificate: %w", err)
	}
	pair, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		return nil, fmt.Errorf("certificate: %w", err)
	}
	return &fromFile{pair: pair, stamp: mark}, nil
}

// reread takes up configured files that have changed. Those that cannot be read, or do not fit, leave all as it is.
func (s *Service) reread(ctx context.Context) {
	old := s.file.Load()
	if old == nil {
		return
	}
	mark, err := stamp(s.o.CertFile, s.o.KeyFile)
	if err == nil && mark == old.stamp {
		return
	}
	next, err := readFile(s.o.CertFile, s.o.KeyFile)
	if err != nil {
		s.o.Log.WarnContext(ctx, "the configured certificate has changed and cannot be used; the one before is", slog.Any(obs.KeyError, err))
		return
	}
	s.file.Store(next)
	s.o.Log.InfoContext(ctx, "the configured certificate was read again", slog.Time("until", next.pair.Leaf.NotAfter))
}

// show has the certificates shown that are in the store now.
func (s *Service) show(ctx context.Context, list []cert.Certificate) {
	old := *s.shown.Load()
	next := make(map[string]*own, len(list))
	same := len(old) == len(list)
	for i := range list {
		c := &list[i]
		if c.Source == cert.Refused || c.NotAfter.IsZero() {
			continue
		}
		if is, there := old[c.Name.Name]; there && is.status.Given.Equal(c.Given) && is.status.NotAfter.Equal(c.NotAfter) {
			next[c.Name.Name] = is
			continue
		}
		same = false
		pair, err := s.pair(ctx, c.Name.Name)
		if err != nil {
			if ctx.Err() == nil && !s.useless[c.Name.Name] {
				s.useless[c.Name.Name] = true
				s.o.Log.ErrorContext(ctx, "the certificate of a name cannot be used", slog.String("name", c.Name.Name), slog.Any(obs.KeyError, err))
			}
			if is, there := old[c.Name.Name]; there {
				next[c.Name.Name] = is
			}
			continue
		}
		delete(s.useless, c.Name.Name)
		next[c.Name.Name] = &own{status: c.Status, pair: pair}
	}
	if !same || len(next) != len(old) {
		s.shown.Store(&next)
	}
}

// pair reads the certificate of a name with its key.
func (s *Service) pair(ctx context.Context, name string) (*tls.Certificate, error) {
	chain, _, err := s.vault.load(ctx, certmagic.StorageKeys.SiteCert(issuerKey, name))
	if err != nil {
		return nil, err
	}
	key, _, err := s.vault.load(ctx, certmagic.StorageKeys.SitePrivateKey(issuerKey, name))
	if err != nil {
		return nil, err
	}
	pair, err := tls.X509KeyPair(chain, key)
	if err != nil {
		return nil, err
	}
	if err := pair.Leaf.VerifyHostname(name); err != nil {
		return nil, err
	}
	return &pair, nil
}

// holds reports whether the configured files have a certificate for a name that holds.
func (s *Service) holds(name string, now time.Time) bool {
	f := s.file.Load()
	return f != nil && f.pair.Leaf.VerifyHostname(name) == nil && now.Before(f.pair.Leaf.NotAfter)
}

// stored is what a name's certificate in the vault says of itself; ErrMissing without one.
func (s *Service) stored(ctx context.Context, name string) (cert.Status, error) {
	pair, err := s.pair(ctx, name)
	if err != nil {
		return cert.Status{}, err
	}
	issuer := pair.Leaf.Issuer.CommonName
	if len(pair.Leaf.Issuer.Organization) > 0 {
		issuer = pair.Leaf.Issuer.Organization[0] + ", " + issuer
	}
	return cert.Status{NotBefore: pair.Leaf.NotBefore, NotAfter: pair.Leaf.NotAfter, Issuer: issuer}, nil
}

// drop forgets the certificates of names that are wanted no more.
func (s *Service) drop(ctx context.Context, names ...string) error {
	var all error
	for _, name := range names {
		all = errors.Join(all, s.vault.change(ctx, nil, certmagic.StorageKeys.CertsSitePrefix(issuerKey, name)))
	}
	return all
}
