package forwarding_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"strings"
	"testing"
	"time"

	"postroad/internal/core/facts"
	"postroad/internal/core/seal"
	"postroad/internal/proto/arc"
	"postroad/internal/proto/dkim"
	"postroad/internal/proto/message"
	"postroad/internal/proto/srs"
	"postroad/internal/service/forwarding"
)

var now = time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)

const day = 24 * time.Hour

// world has keys of domains, and their records in DNS.
type world struct {
	keys map[string][]dkim.Key
	down bool
}

func (w *world) Keys(_ context.Context, domain string) []dkim.Key { return w.keys[domain] }

func (w *world) TXT(_ context.Context, name string) facts.TXTAnswer {
	if w.down {
		return facts.TXTAnswer{Status: facts.Temporary}
	}
	for _, list := range w.keys {
		for _, k := range list {
			if dkim.KeyName(k.Selector, k.Domain) == name {
				text, _ := dkim.MakeRecord(k.Signer.Public())
				return facts.TXTAnswer{Status: facts.Found, Records: []string{text}}
			}
		}
	}
	return facts.TXTAnswer{Status: facts.NXDomain}
}

func (w *world) lookup(ctx context.Context, name string) ([]string, error) {
	if a := w.TXT(ctx, name); a.Status == facts.Found {
		return a.Records, nil
	}
	return nil, dkim.ErrNoRecord
}

func newWorld(t *testing.T) *world {
	t.Helper()
	big, err := rsa.GenerateKey(rand.Reader, dkim.MinSignBits)
	if err != nil {
		t.Fatal(err)
	}
	small := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{1}, 32))
	return &world{keys: map[string][]dkim.Key{
		"here.example": {{Domain: "here.example", Selector: "e", Signer: small}, {Domain: "here.example", Selector: "r", Signer: big}},
		"two.example":  {{Domain: "two.example", Selector: "e", Signer: small}},
	}}
}

func service(t *testing.T, w *world, octet byte) *forwarding.Service {
	t.Helper()
	box, err := seal.New(bytes.Repeat([]byte{octet}, seal.SecretSize))
	if err != nil {
		t.Fatal(err)
	}
	return forwarding.New(forwarding.Options{Hostname: "mx.here.example", Derive: box.Derive, Keys: w, Resolver: w})
}

func TestRewrittenSendersOutliveTheirSecret(t *testing.T) {
	s := service(t, newWorld(t), 1)
	// A period ends somewhere in these hundred days: every sender is read for 21 days, by whichever secret.
	for n := range 100 {
		then := now.Add(time.Duration(n) * day)
		out, ok := s.Rewrite("bob@away.example", "here.example", then)
		if !ok {
			t.Fatal("not rewritten")
		}
		for _, age := range []time.Duration{-time.Hour, 0, 20 * day} {
			if back, err := s.Return(strings.ToUpper(out), then.Add(age)); err != nil || !strings.EqualFold(back, "bob@away.example") {
				t.Fatalf("day %d, after %s: %s, %v", n, age, back, err)
			}
		}
		if _, err := s.Return(out, then.Add(200*day)); err == nil {
			t.Fatalf("day %d: read after 200 days", n)
		}
	}
}

func TestSecretsAreOfOneDomainAndInstallation(t *testing.T) {
	w := newWorld(t)
	s, other := service(t, w, 1), service(t, w, 2)
	out, _ := s.Rewrite("bob@away.example", "here.example", now)
	if _, err := s.Return(strings.Replace(out, "@here.example", "@two.example", 1), now); !errors.Is(err, srs.ErrForged) {
		t.Errorf("by another domain's secret: %v", err)
	}
	if _, err := other.Return(out, now); !errors.Is(err, srs.ErrForged) {
		t.Errorf("by another installation: %v", err)
	}
	if out, ok := s.Rewrite("\"b b\"@away.example", "here.example", now); ok {
		t.Errorf("a quoted sender became %s", out)
	}
}

const letter = "From: bob@away.example\r\nSubject: x\r\n\r\nhi\r\n"

// sealed hands a message through a domain and gives it with what was put on top.
func sealed(t *testing.T, s *forwarding.Service, domain, msg, found string) string {
	t.Helper()
	header, content, _ := message.SplitHeader([]byte(msg))
	body := dkim.NewBody(dkim.Relaxed, dkim.Simple)
	_, _ = body.Write(content)
	return string(s.Seal(t.Context(), domain, header, []byte(found), body, now)) + found + msg
}

func (w *world) judge(t *testing.T, msg string) arc.Result {
	t.Helper()
	header, content, _ := message.SplitHeader([]byte(msg))
	chain := arc.Read(header)
	body := dkim.NewBody(chain.Canonicalizations()...)
	_, _ = body.Write(content)
	return chain.Validate(t.Context(), body, w.lookup)
}

func TestForwardedMailIsSealed(t *testing.T) {
	w := newWorld(t)
	s := service(t, w, 1)
	const found = "Authentication-Results: mx.here.example; spf=pass smtp.mailfrom=away.example;\r\n\tdkim=pass header.d=away.example\r\n"
	one := sealed(t, s, "here.example", letter, found)
	if !strings.HasPrefix(one, "ARC-Seal: i=1; a=rsa-sha256; cv=none; d=here.example; s=r;") || !strings.HasSuffix(one, found+letter) {
		t.Errorf("sealed as\n%s", one)
	}
	got := w.judge(t, one)
	if got.State != arc.Pass || got.Sets[0].Results != "mx.here.example; spf=pass smtp.mailfrom=away.example;\tdkim=pass header.d=away.example; arc=none" {
		t.Errorf("judged %+v", got)
	}
	two := sealed(t, s, "two.example", one, "Authentication-Results: mx.here.example; arc=pass; dkim=pass\r\n")
	if got := w.judge(t, two); got.State != arc.Pass || len(got.Sets) != 2 || got.Sets[1].Results != "mx.here.example; arc=pass; dkim=pass" {
		t.Errorf("a second seal: %+v", got)
	}
}

func TestWhatIsNotSealed(t *testing.T) {
	w := newWorld(t)
	s := service(t, w, 1)
	const found = "Authentication-Results: mx.here.example; dkim=pass\r\n"
	for name, got := range map[string]string{
		"nothing was found out":     sealed(t, s, "here.example", letter, ""),
		"by somebody else":          sealed(t, s, "here.example", letter, "Authentication-Results: mx.evil.example; dkim=pass\r\n"),
		"a domain without a key":    sealed(t, s, "three.example", letter, found),
		"fields that say otherwise": sealed(t, s, "here.example", letter, "DKIM-Signature: v=1\r\n"),
	} {
		if strings.Contains(got, "ARC-") {
			t.Errorf("%s:\n%s", name, got)
		}
	}
	one := sealed(t, s, "here.example", letter, found)
	w.down = true
	if two := sealed(t, s, "two.example", one, found); strings.Contains(two, "i=2") {
		t.Errorf("sealed while DNS was down:\n%s", two)
	}
}
