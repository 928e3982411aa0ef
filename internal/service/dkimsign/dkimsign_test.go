package dkimsign_test

import (
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"postroad/internal/core/account"
	"postroad/internal/core/dkimkey"
	"postroad/internal/proto/dkim"
	"postroad/internal/service/dkimsign"
)

var (
	errMissing = errors.New("no keys")
	errStore   = errors.New("store")
	errSealed  = errors.New("sealed")
)

// store keeps the keys of domains in memory; what is sealed is the key behind its purpose.
type store struct {
	mu      sync.Mutex
	domains map[string]dkimkey.Domain
	asked   int
	opened  int
	fail    bool
	needed  []string
	reading func() // called while keys are read
}

func (s *store) DKIM(_ context.Context, _ account.Scope, domain string) (dkimkey.Domain, error) {
	s.mu.Lock()
	s.asked++
	d, ok := s.domains[domain]
	fail, reading := s.fail, s.reading
	s.reading = nil
	s.mu.Unlock()
	if reading != nil {
		reading()
	}
	switch {
	case fail:
		return dkimkey.Domain{}, errStore
	case !ok:
		return dkimkey.Domain{}, errMissing
	}
	return d, nil
}

func (s *store) open(sealed []byte, what string) ([]byte, error) {
	s.opened++
	plain, ok := strings.CutPrefix(string(sealed), what+"|")
	if !ok {
		return nil, errSealed
	}
	return []byte(plain), nil
}

func (s *store) service() *dkimsign.Service {
	return dkimsign.New(dkimsign.Options{
		Store: s, Open: s.open, Missing: func(err error) bool { return errors.Is(err, errMissing) },
		Needed: func(domain string) { s.needed = append(s.needed, domain) },
	})
}

// key makes a key of a domain in a state.
func key(t *testing.T, domain, selector string, a dkimkey.Algorithm, state dkimkey.State) dkimkey.Key {
	t.Helper()
	var private crypto.Signer
	var err error
	if a == dkimkey.RSA {
		private, err = rsa.GenerateKey(rand.Reader, 2048)
	} else {
		_, private, err = ed25519.GenerateKey(rand.Reader)
	}
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	record, err := dkim.MakeRecord(private.Public())
	if err != nil {
		t.Fatal(err)
	}
	return dkimkey.Key{
		Selector: selector, Algorithm: a, Record: record, State: state, Sealed: append([]byte(dkimkey.SealedFor(domain, selector)+"|"), der...),
	}
}

const (
	header = "From: ann@acme.example\r\nSubject: hello\r\n"
	body   = "a  line\r\n\r\n"
)

// sign signs and gives the selectors whose signatures verify by their records.
func sign(t *testing.T, s *dkimsign.Service, d dkimkey.Domain) string {
	t.Helper()
	fields := s.Sign(t.Context(), d.Name, []byte(header), func() *dkim.Body {
		b := dkim.NewBody(dkim.Relaxed)
		_, _ = b.Write([]byte(body))
		return b
	})
	whole := append(fields, header...)
	signatures := dkim.Read(whole)
	b := dkim.NewBody(signatures.Canonicalizations()...)
	_, _ = b.Write([]byte(body))
	lookup := func(_ context.Context, name string) ([]string, error) {
		for i := range d.Keys {
			if name == d.Keys[i].Owner(d.Name) {
				return []string{d.Keys[i].Record}, nil
			}
		}
		return nil, dkim.ErrNoRecord
	}
	var out []string
	for _, r := range signatures.Verify(t.Context(), b, lookup, time.Now()) {
		out = append(out, r.Selector+" "+string(r.Word))
	}
	return strings.Join(out, ", ")
}

func TestMailIsSignedWithAllKeysThatSign(t *testing.T) {
	t.Parallel()
	const name = "acme.example"
	d := dkimkey.Domain{Name: name, Algorithms: dkimkey.Both(), Keys: []dkimkey.Key{
		key(t, name, "old", dkimkey.RSA, dkimkey.Retired), key(t, name, "r", dkimkey.RSA, dkimkey.Active), key(t, name, "e", dkimkey.Ed25519, dkimkey.Active),
		key(t, name, "next", dkimkey.RSA, dkimkey.Published),
	}}
	st := &store{domains: map[string]dkimkey.Domain{name: d}}
	s := st.service()
	for range 3 {
		if got := sign(t, s, d); got != "r pass, e pass" {
			t.Errorf("signed by %s", got)
		}
	}
	if st.asked != 1 || st.opened != 2 || len(st.needed) != 0 {
		t.Errorf("asked %d times, opened %d keys, needed %v", st.asked, st.opened, st.needed)
	}
	d.Off = true
	st.domains[name] = d
	s.Forget("other.example", name)
	if got := sign(t, s, d); got != "" || len(st.needed) != 0 {
		t.Errorf("switched off: signed by %q, needed %v", got, st.needed)
	}
}

func TestKeysAreReadAgainAndOpenedOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const name = "acme.example"
		d := dkimkey.Domain{Name: name, Algorithms: []dkimkey.Algorithm{dkimkey.Ed25519}, Keys: []dkimkey.Key{key(t, name, "a", dkimkey.Ed25519, dkimkey.Active)}}
		st := &store{domains: map[string]dkimkey.Domain{name: d}}
		s := st.service()
		sign(t, s, d)
		time.Sleep(time.Minute)
		sign(t, s, d)
		if st.asked != 2 || st.opened != 1 {
			t.Errorf("asked %d times, opened %d keys", st.asked, st.opened)
		}
		st.fail = true
		time.Sleep(time.Minute)
		if got := sign(t, s, d); got != "a pass" {
			t.Errorf("without the store: %q", got)
		}
		st.fail = false
		// Another key takes its place while the old ones are being read.
		next := d.Clone()
		next.Keys[0] = key(t, name, "b", dkimkey.Ed25519, dkimkey.Active)
		st.reading = func() {
			st.domains[name] = next
			s.Forget(name)
		}
		sign(t, s, d)
		if got := sign(t, s, next); got != "b pass" {
			t.Errorf("after a change: %q", got)
		}
	})
}

func TestDomainsWithoutKeysNeedThem(t *testing.T) {
	t.Parallel()
	st := &store{domains: map[string]dkimkey.Domain{
		"half.example": {Name: "half.example", Algorithms: dkimkey.Both(), Keys: []dkimkey.Key{key(t, "half.example", "e", dkimkey.Ed25519, dkimkey.Active)}},
		"none.example": {Name: "none.example", Off: true, Algorithms: dkimkey.Both()},
	}}
	s := st.service()
	for _, name := range []string{"new.example", "half.example", "none.example", "new.example"} {
		want := map[string]string{"half.example": "e pass"}[name]
		if got := sign(t, s, st.domains["half.example"]); name == "half.example" && got != want {
			t.Errorf("%s: %q", name, got)
		}
		s.Sign(t.Context(), name, []byte(header), func() *dkim.Body { return dkim.NewBody(dkim.Relaxed) })
	}
	if got := strings.Join(st.needed, " "); got != "half.example new.example" {
		t.Errorf("needed %s", got)
	}
}

func TestKeysThatCannotBeOpenedSignNothing(t *testing.T) {
	t.Parallel()
	const name = "acme.example"
	d := dkimkey.Domain{Name: name, Algorithms: dkimkey.Both(), Keys: []dkimkey.Key{key(t, name, "a", dkimkey.RSA, dkimkey.Active), key(t, name, "b", dkimkey.Ed25519, dkimkey.Active)}}
	d.Keys[0].Sealed = []byte("broken")
	s := (&store{domains: map[string]dkimkey.Domain{name: d}}).service()
	if got := sign(t, s, d); got != "b pass" {
		t.Errorf("signed by %q", got)
	}
	if fields := s.Sign(t.Context(), name, []byte("Subject: no author\r\n"), func() *dkim.Body { return dkim.NewBody(dkim.Relaxed) }); fields != nil {
		t.Errorf("%q", fields)
	}
}
