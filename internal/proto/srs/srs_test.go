package srs_test

import (
	"errors"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"postroad/internal/proto/srs"
)

var (
	now   = time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	ours  = srs.Rewriter{Secrets: [][]byte{[]byte("a secret of thirty-two octets ok")}}
	first = srs.Rewriter{Secrets: [][]byte{[]byte("the first forwarder's own secret")}}
)

func rewrite(t *testing.T, r *srs.Rewriter, sender, domain string) string {
	t.Helper()
	out, err := r.Rewrite(sender, domain, now)
	if err != nil {
		t.Fatalf("%s: %v", sender, err)
	}
	return out
}

func TestRewrittenSendersComeBack(t *testing.T) {
	for _, sender := range []string{"ann@example.org", "a=b+c@example.org", "Ann.Lee@example.org", "srs0@example.org", "SRS2=x@example.org", "J\u00f6@example.org", "\u00fc@xn--bcher-kva.example"} {
		out := rewrite(t, &ours, sender, "fwd.example")
		if !srs.Is(out) || !strings.HasSuffix(out, "@fwd.example") {
			t.Errorf("%s became %s", sender, out)
		}
		if back, err := ours.Reverse(out, now.Add(20*24*time.Hour)); err != nil || back != sender {
			t.Errorf("%s came back as %s, %v", out, back, err)
		}
	}
}

// The form of libsrs2 and postsrsd: the prefix, a hash, the day modulo 1,024 in base 32, the domain and the local part.
func TestFormOfOthers(t *testing.T) {
	out := rewrite(t, &ours, "ann@example.org", "fwd.example")
	form := regexp.MustCompile(`^SRS0=([A-Z2-7]{8})=([A-Z2-7]{2})=example\.org=ann@fwd\.example$`)
	parts := form.FindStringSubmatch(out)
	if parts == nil {
		t.Fatalf("%s has another form", out)
	}
	const base = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
	day := strings.IndexByte(base, parts[2][0])<<5 | strings.IndexByte(base, parts[2][1])
	if want := int(now.Unix() / 86400 % 1024); day != want {
		t.Errorf("day %d, want %d", day, want)
	}
}

func TestForwardersAfterTheFirst(t *testing.T) {
	// What the first one writes is opaque to us, in whatever form of libsrs2.
	for _, sender := range []string{rewrite(t, &first, "ann@example.org", "one.example"), "SRS0+ab12+xy+example.org+ann@one.example", "srs0=ab12=xy=example.org=ann@one.example", "SRS0-X=Y=Z@one.example"} {
		second := rewrite(t, &ours, sender, "two.example")
		if !regexp.MustCompile(`^SRS1=[A-Z2-7]{8}=one\.example=[=+-]`).MatchString(second) {
			t.Errorf("%s became %s", sender, second)
		}
		back, err := ours.Reverse(second, now)
		if err != nil || !strings.EqualFold(back, sender) {
			t.Errorf("%s came back as %s, %v", second, back, err)
		}
		// A third one takes the second out of the way: it would send to the first straight.
		third := rewrite(t, &first, second, "three.example")
		if !strings.HasPrefix(third, "SRS1=") || strings.Contains(third, "two.example") || len(third) > len(second)+2 {
			t.Errorf("%s became %s", second, third)
		}
		if back, err := first.Reverse(third, now); err != nil || !strings.EqualFold(back, sender) {
			t.Errorf("%s came back as %s, %v", third, back, err)
		}
	}
	// Names that only look like it are ordinary senders.
	for _, sender := range []string{"SRS1=x@one.example", "SRS1=x=@one.example", "SRS1==@one.example"} {
		if out := rewrite(t, &ours, sender, "two.example"); !strings.HasPrefix(out, "SRS0=") {
			t.Errorf("%s became %s", sender, out)
		}
	}
}

func TestHostsThatChangeCase(t *testing.T) {
	out := rewrite(t, &ours, "Ann@example.org", "fwd.example")
	for _, changed := range []string{strings.ToLower(out), strings.ToUpper(out)} {
		if back, err := ours.Reverse(changed, now); err != nil || !strings.EqualFold(back, "ann@example.org") {
			t.Errorf("%s came back as %s, %v", changed, back, err)
		}
	}
}

func TestNothingElseIsRead(t *testing.T) {
	out := rewrite(t, &ours, "ann@example.org", "fwd.example")
	for address, want := range map[string]error{
		"ann@example.org":     srs.ErrNotSRS,
		"":                    srs.ErrNotSRS,
		"SRS":                 srs.ErrNotSRS,
		"SRS0":                srs.ErrNotSRS,
		"SRS0=":               srs.ErrForged,
		"SRS0=x@fwd.example":  srs.ErrForged,
		"SRS1==x@fwd.example": srs.ErrForged,
		strings.Replace(out, "=ann@", "=bob@", 1):            srs.ErrForged,
		strings.Replace(out, "example.org", "evil.org", 1):   srs.ErrForged,
		strings.Replace(out, "SRS0", "SRS1", 1):              srs.ErrForged,
		"SRS0=AAAAAAAA" + out[13:]:                           srs.ErrForged,
		out[:5] + out[6:]:                                    srs.ErrForged,
		rewrite(t, &first, "ann@example.org", "fwd.example"): srs.ErrForged,
	} {
		if back, err := ours.Reverse(address, now); !errors.Is(err, want) || back != "" {
			t.Errorf("%s: %s, %v, want %v", address, back, err, want)
		}
	}
	none := srs.Rewriter{}
	if _, err := none.Reverse(out, now); !errors.Is(err, srs.ErrForged) {
		t.Errorf("without a secret: %v", err)
	}
	if _, err := none.Rewrite("ann@example.org", "fwd.example", now); !errors.Is(err, srs.ErrUnfit) {
		t.Errorf("rewriting without a secret: %v", err)
	}
}

func TestRewrittenSendersAgeAndSecretsChange(t *testing.T) {
	out := rewrite(t, &ours, "ann@example.org", "fwd.example")
	day := 24 * time.Hour
	for age, want := range map[time.Duration]error{-day: nil, 0: nil, 21 * day: nil, 22 * day: srs.ErrExpired, 500 * day: srs.ErrExpired, -2 * day: srs.ErrExpired} {
		if _, err := ours.Reverse(out, now.Add(age)); !errors.Is(err, want) {
			t.Errorf("after %s: %v, want %v", age, err, want)
		}
	}
	next := srs.Rewriter{Secrets: [][]byte{[]byte("a new secret of thirty-two octet"), ours.Secrets[0]}}
	if back, err := next.Reverse(out, now); err != nil || back != "ann@example.org" {
		t.Errorf("after a change of the secret: %s, %v", back, err)
	}
	if rewrite(t, &next, "ann@example.org", "fwd.example") == out {
		t.Error("the old secret is used for new senders")
	}
}

func TestSendersThatCannotBeRewritten(t *testing.T) {
	for sender, want := range map[string]error{
		"":                                       srs.ErrUnfit,
		"ann":                                    srs.ErrUnfit,
		"a@b@example.org":                        srs.ErrUnfit,
		"@example.org":                           srs.ErrUnfit,
		"ann@":                                   srs.ErrUnfit,
		`"a b"@example.org`:                      srs.ErrUnfit,
		"a\r\nb@example.org":                     srs.ErrUnfit,
		"ann@exa=mple.org":                       srs.ErrUnfit,
		strings.Repeat("a", 64) + "@example.org": srs.ErrTooLong,
		"ann@" + strings.Repeat("long.", 10) + "example":                                       srs.ErrTooLong,
		rewrite(t, &first, "a.name.that.is.long@example.org", "a.domain.that.is.long.example"): srs.ErrTooLong,
	} {
		if out, err := ours.Rewrite(sender, "fwd.example", now); !errors.Is(err, want) || out != "" {
			t.Errorf("%s: %s, %v, want %v", sender, out, err, want)
		}
	}
	// The longest that fits.
	for n := 1; n < 64; n++ {
		out, err := ours.Rewrite(strings.Repeat("a", n)+"@example.org", "fwd.example", now)
		if fits := n+len("SRS0=HHHHHHHH=TT=example.org=") <= srs.MaxLocal; (err == nil) != fits {
			t.Errorf("%d octets: %s, %v", n, out, err)
		}
	}
	if _, err := ours.Rewrite("ann@example.org", strings.Repeat("x", 230), now); !errors.Is(err, srs.ErrTooLong) {
		t.Errorf("a long domain: %v", err)
	}
}

// Nothing but what was made is read, and what was made always is.
func FuzzReverse(f *testing.F) {
	f.Add("ann@example.org")
	f.Add("SRS0=AAAAAAAA=AA=example.org=ann@fwd.example")
	f.Add("SRS1=AAAAAAAA=one.example==x=y@fwd.example")
	f.Fuzz(func(t *testing.T, address string) {
		if back, err := ours.Reverse(address, now); err == nil {
			t.Errorf("%s was read as %s", strconv.Quote(address), strconv.Quote(back))
		}
		out, err := ours.Rewrite(address, "fwd.example", now)
		if err != nil {
			return
		}
		back, err := ours.Reverse(out, now)
		if err != nil || len(out) > srs.MaxLocal+len("@fwd.example") {
			t.Errorf("%q became %q, and came back as %q, %v", address, out, back, err)
		}
		local, _, _ := strings.Cut(back, "@")
		if !srs.Is(address) && !strings.HasPrefix(address, local+"@") {
			t.Errorf("%q came back as %q", address, back)
		}
	})
}
