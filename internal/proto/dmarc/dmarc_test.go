package dmarc_test

import (
	"context"
	"errors"
	"reflect"
	"strings"
	"testing"

	"postroad/internal/proto/dmarc"
)

// zone is a DNS of TXT records: an empty text is a name without one, "ERR" is no answer. It notes what was asked.
type zone struct {
	texts map[string][]string
	asked []string
}

func (z *zone) TXT(_ context.Context, name string) ([]string, error) {
	z.asked = append(z.asked, name)
	texts, ok := z.texts[name]
	switch {
	case !ok:
		return nil, dmarc.ErrNoSuchName
	case texts[0] == "ERR":
		return nil, errors.New("timeout")
	case texts[0] == "":
		return nil, dmarc.ErrNotFound
	}
	return texts, nil
}

func dns(lines string) *zone {
	z := &zone{texts: map[string][]string{}}
	for line := range strings.Lines(lines) {
		name, text, ok := strings.Cut(strings.TrimSpace(line), " ")
		if name != "" {
			if !ok {
				text = ""
			}
			z.texts[name] = append(z.texts[name], text)
		}
	}
	return z
}

// TestParse reads records as RFC 9989 §4.7 and §4.8 have it, and those of RFC 7489 leniently.
func TestParse(t *testing.T) {
	type record = dmarc.Record
	for text, want := range map[string]record{
		"v=DMARC1; p=none; rua=mailto:dmarc-feedback@example.com": {P: "none", PSD: "u", FO: "0", RUA: []string{"mailto:dmarc-feedback@example.com"}},
		"v=DMARC1; p=none; rua=mailto:a@example.com,mailto:tld-test@thirdparty.example.net!10m; ruf=mailto:auth-reports@example.com; fo=d:s": {
			P: "none", PSD: "u", FO: "d:s", RUA: []string{"mailto:a@example.com", "mailto:tld-test@thirdparty.example.net"}, RUF: []string{"mailto:auth-reports@example.com"},
		},
		"v=DMARC1;p=quarantine;sp=reject;np=reject;adkim=s;aspf=s;psd=n;t=y": {
			P: "quarantine", SP: "reject", NP: "reject", PSD: "n", Testing: true, StrictDKIM: true, StrictSPF: true, FO: "0",
		},
		"v = DMARC1 ; P = Reject ; psd=Y;":             {P: "reject", PSD: "y", FO: "0"},
		"v=DMARC1; p=reject; pct=0; rf=afrf; ri=86400": {P: "reject", PSD: "u", Testing: true, FO: "0"},
		"v=DMARC1; p=reject; pct=25; unknown=x; =; ;;": {P: "reject", PSD: "u", FO: "0"},
		"v=DMARC1":                 {P: "none", PSD: "u", FO: "0", Void: true},
		"v=DMARC1; p=rejekt":       {P: "none", PSD: "u", FO: "0", Void: true},
		"v=DMARC1; p=reject; sp=x": {P: "none", PSD: "u", FO: "0", Void: true},
		"v=DMARC1; p=rejekt; sp=reject; rua=mailto:a@example.com": {P: "none", PSD: "u", FO: "0", RUA: []string{"mailto:a@example.com"}},
		"v=DMARC1; sp=reject; rua=mailto:a@example.com":           {P: "none", SP: "reject", PSD: "u", FO: "0", RUA: []string{"mailto:a@example.com"}},
		"v=DMARC1; p=reject; p=none":                              {P: "reject", PSD: "u", FO: "0"},
		"v=DMARC1; p=reject; adkim=x; psd=x; t=x; fo=x; rua=x,y":  {P: "reject", PSD: "u", FO: "0"},
		"v=DMARC1; p=reject; fo=1":                                {P: "reject", PSD: "u", FO: "0"},
	} {
		got, err := dmarc.Parse(text)
		if err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		want.Text = text
		if !reflect.DeepEqual(*got, want) {
			t.Errorf("%q:\n got %+v\nwant %+v", text, *got, want)
		}
	}
	for _, text := range []string{"", "v=dmarc1; p=none", "v=DMARC2; p=none", "p=none; v=DMARC1", "V=DMARC1; p=none", "v=DMARC1 p=none", "DMARC1", "v=spf1 -all"} {
		if _, err := dmarc.Parse(text); !errors.Is(err, dmarc.ErrNotRecord) {
			t.Errorf("%q: error %v", text, err)
		}
	}
}

// TestTreeWalk: eight questions at most, and the organizational domain of the examples of RFC 9989 §4.10.
func TestTreeWalk(t *testing.T) {
	for _, c := range []struct {
		name, zone, author string
		at, organization   string
		queries            int
	}{
		{"long names skip labels", "", "a.b.c.d.e.f.g.h.i.j.mail.example.com", "", "a.b.c.d.e.f.g.h.i.j.mail.example.com", 8},
		{"eight labels", "", "a.b.c.d.e.mail.example.com", "", "a.b.c.d.e.mail.example.com", 8},
		{"two records below the top", "_dmarc.mail.example.com v=DMARC1; p=none\n_dmarc.example.com v=DMARC1; p=reject", "a.mail.example.com", "example.com", "example.com", 4},
		{"a public suffix alone", "_dmarc.com v=DMARC1; p=reject; psd=y", "a.mail.example.com", "com", "example.com", 4},
		{"an own record", "_dmarc.a.example.com v=DMARC1; p=none\n_dmarc.example.com v=DMARC1; p=reject", "a.example.com", "a.example.com", "example.com", 3},
		{"psd=n ends the walk", "_dmarc.a.example.com v=DMARC1; p=none; psd=n\n_dmarc.example.com v=DMARC1; p=reject", "x.a.example.com", "a.example.com", "a.example.com", 2},
		{"a record between organization and suffix", "_dmarc.b.example.bank v=DMARC1; p=none\n_dmarc.bank v=DMARC1; p=reject; psd=y", "a.b.example.bank", "bank", "example.bank", 4},
		{"the suffix itself", "_dmarc.bank v=DMARC1; p=reject; psd=y", "bank", "bank", "bank", 1},
		{"several records are none", "_dmarc.example.com v=DMARC1; p=none\n_dmarc.example.com v=DMARC1; p=reject", "example.com", "", "example.com", 2},
		{"a policy that cannot be read", "_dmarc.example.com v=DMARC1; p=rejekt", "example.com", "", "example.com", 2},
		{"other texts do not count", "_dmarc.example.com hello\n_dmarc.example.com v=DMARC1; p=reject", "example.com", "example.com", "example.com", 2},
	} {
		z := dns(c.zone)
		got := dmarc.Discover(t.Context(), z, c.author)
		if got.At != c.at || got.Organization != c.organization || got.Queries != c.queries || len(z.asked) != c.queries || got.Err != nil {
			t.Errorf("%s: at %q, organization %q, %d questions %v, %v", c.name, got.At, got.Organization, got.Queries, z.asked, got.Err)
		}
	}
	z := dns("")
	dmarc.Discover(t.Context(), z, "a.b.c.d.e.f.g.h.i.j.mail.example.com")
	want := "_dmarc.a.b.c.d.e.f.g.h.i.j.mail.example.com _dmarc.g.h.i.j.mail.example.com _dmarc.h.i.j.mail.example.com _dmarc.i.j.mail.example.com " +
		"_dmarc.j.mail.example.com _dmarc.mail.example.com _dmarc.example.com _dmarc.com"
	if got := strings.Join(z.asked, " "); got != want {
		t.Errorf("asked %s\nwant  %s", got, want)
	}
}

// TestPolicy: p for the record's own domain, sp and np below it, one level milder while it is tested.
func TestPolicy(t *testing.T) {
	for _, c := range []struct {
		record, author string
		policy         dmarc.Policy
		applied        dmarc.Policy
		tag            string
	}{
		{"p=reject; sp=quarantine; np=none", "example.com", "reject", "reject", "p"},
		{"p=reject; sp=quarantine; np=none", "there.example.com", "quarantine", "quarantine", "sp"},
		{"p=none; sp=quarantine; np=reject", "gone.example.com", "reject", "reject", "np"},
		{"p=none; sp=quarantine", "gone.example.com", "quarantine", "quarantine", "sp"},
		{"p=quarantine", "gone.example.com", "quarantine", "quarantine", "p"},
		{"p=none; np=reject", "there.example.com", "none", "none", "p"},
		{"p=reject; t=y", "example.com", "reject", "quarantine", "p"},
		{"p=quarantine; t=y", "example.com", "quarantine", "none", "p"},
		{"p=reject; pct=0", "example.com", "reject", "quarantine", "p"},
	} {
		z := dns("_dmarc.example.com v=DMARC1; " + c.record + "\nthere.example.com\nexample.com")
		got := dmarc.Discover(t.Context(), z, c.author)
		if got.Policy != c.policy || got.Applied != c.applied || got.Tag != c.tag {
			t.Errorf("%s for %s: %s by %s, applied %s", c.record, c.author, got.Policy, got.Tag, got.Applied)
		}
	}
}

// TestAlignment has the examples of RFC 9989 appendix B.1, and what else may be aligned or not.
func TestAlignment(t *testing.T) {
	pass := func(m dmarc.Method, domain string) dmarc.Identifier {
		return dmarc.Identifier{Method: m, Domain: domain, Pass: true}
	}
	later := func(m dmarc.Method, domain string) dmarc.Identifier {
		return dmarc.Identifier{Method: m, Domain: domain, Temporary: true}
	}
	const relaxed, strict = "v=DMARC1; p=reject", "v=DMARC1; p=reject; adkim=s; aspf=s"
	for _, c := range []struct {
		name, record, author string
		ids                  []dmarc.Identifier
		want                 dmarc.Result
	}{
		{"B.1.1 example 1", relaxed, "example.com", []dmarc.Identifier{pass(dmarc.SPF, "example.com")}, dmarc.Pass},
		{"B.1.1 example 2", relaxed, "example.com", []dmarc.Identifier{pass(dmarc.SPF, "child.example.com")}, dmarc.Pass},
		{"B.1.1 example 3", relaxed, "child.example.com", []dmarc.Identifier{pass(dmarc.SPF, "example.net")}, dmarc.Fail},
		{"B.1.2 example 1", relaxed, "example.com", []dmarc.Identifier{pass(dmarc.DKIM, "example.com")}, dmarc.Pass},
		{"B.1.2 example 2", relaxed, "child.example.com", []dmarc.Identifier{pass(dmarc.DKIM, "example.com")}, dmarc.Pass},
		{"B.1.2 example 3", relaxed, "child.example.com", []dmarc.Identifier{pass(dmarc.DKIM, "sample.net")}, dmarc.Fail},
		{"a top level domain", relaxed, "example.com", []dmarc.Identifier{pass(dmarc.DKIM, "com")}, dmarc.Fail},
		{"strict, the same", strict, "example.com", []dmarc.Identifier{pass(dmarc.DKIM, "example.com")}, dmarc.Pass},
		{"strict, a child", strict, "example.com", []dmarc.Identifier{pass(dmarc.SPF, "child.example.com")}, dmarc.Fail},
		{"one of several", relaxed, "example.com", []dmarc.Identifier{pass(dmarc.SPF, "list.test"), pass(dmarc.DKIM, "a.example.com")}, dmarc.Pass},
		{"an organization of its own below", relaxed, "example.com", []dmarc.Identifier{pass(dmarc.DKIM, "own.example.com")}, dmarc.Fail},
		{"no more than the name's end", relaxed, "example.com", []dmarc.Identifier{pass(dmarc.DKIM, "evilexample.com")}, dmarc.Fail},
		{"SPF to be checked later", relaxed, "example.com", []dmarc.Identifier{later(dmarc.SPF, "example.com")}, dmarc.TempError},
		{"a stranger to be checked later", relaxed, "example.com", []dmarc.Identifier{later(dmarc.DKIM, "evil.test")}, dmarc.Fail},
		{"later and passed", relaxed, "example.com", []dmarc.Identifier{later(dmarc.SPF, "example.com"), pass(dmarc.DKIM, "example.com")}, dmarc.Pass},
		{"nothing", relaxed, "example.com", nil, dmarc.Fail},
		{"DNS down below", relaxed, "example.com", []dmarc.Identifier{pass(dmarc.DKIM, "down.example.com")}, dmarc.TempError},
		{"no policy", "hello", "example.com", []dmarc.Identifier{pass(dmarc.DKIM, "example.com")}, dmarc.None},
		{"DNS down", "ERR", "example.com", []dmarc.Identifier{pass(dmarc.DKIM, "example.com")}, dmarc.TempError},
	} {
		z := dns("_dmarc.example.com " + c.record + "\n_dmarc.own.example.com v=DMARC1; p=none; psd=n\n_dmarc.down.example.com ERR")
		got := dmarc.Evaluate(t.Context(), z, dmarc.Discover(t.Context(), z, c.author), c.ids)
		if got.Result != c.want || (got.Problem != "") != (c.want == dmarc.None || c.want == dmarc.TempError) {
			t.Errorf("%s: %s (%s), want %s", c.name, got.Result, got.Problem, c.want)
		}
	}
}

// TestTheWalkBreaksOff: an author domain's own record holds though DNS says nothing above it.
func TestTheWalkBreaksOff(t *testing.T) {
	for _, c := range []struct {
		policy string
		id     dmarc.Identifier
		want   dmarc.Result
	}{
		{"p=reject", dmarc.Identifier{}, dmarc.Fail},
		{"p=reject", dmarc.Identifier{Method: dmarc.SPF, Domain: "a.example.com", Pass: true}, dmarc.Pass},
		{"p=reject", dmarc.Identifier{Method: dmarc.DKIM, Domain: "example.com", Pass: true}, dmarc.TempError},
		{"p=reject", dmarc.Identifier{Method: dmarc.DKIM, Domain: "example.net", Pass: true}, dmarc.Fail},
		{"p=reject; adkim=s", dmarc.Identifier{Method: dmarc.DKIM, Domain: "example.com", Pass: true}, dmarc.Fail},
	} {
		z := dns("_dmarc.a.example.com v=DMARC1; " + c.policy + "\n_dmarc.example.com ERR")
		got := dmarc.Evaluate(t.Context(), z, dmarc.Discover(t.Context(), z, "a.example.com"), []dmarc.Identifier{c.id})
		if got.Result != c.want || got.Applied != dmarc.PolicyReject {
			t.Errorf("%s, %+v: %s, %s", c.policy, c.id, got.Result, got.Applied)
		}
	}
	z := dns("_dmarc.example.com v=DMARC1; p=reject\n_dmarc.com ERR")
	if got := dmarc.Evaluate(t.Context(), z, dmarc.Discover(t.Context(), z, "a.example.com"), nil); got.Result != dmarc.TempError {
		t.Errorf("whether the organization's record applies is not known: %s", got.Result)
	}
}

// TestExistenceUnknown: whether a domain exists is not guessed.
func TestExistenceUnknown(t *testing.T) {
	z := dns("_dmarc.example.com v=DMARC1; p=none; np=reject\nx.example.com ERR")
	got := dmarc.Evaluate(t.Context(), z, dmarc.Discover(t.Context(), z, "x.example.com"), nil)
	if got.Result != dmarc.TempError {
		t.Errorf("%s", got.Result)
	}
}

// FuzzParse: whatever stands in DNS, a record that is read holds only what its type allows.
func FuzzParse(f *testing.F) {
	f.Add("v=DMARC1; p=reject; sp=none; np=quarantine; psd=y; t=y; rua=mailto:a@b.c!5m,https://x; fo=d:s")
	f.Add("v=DMARC1;;;=;p==reject;\tadkim = s")
	f.Fuzz(func(t *testing.T, text string) {
		r, err := dmarc.Parse(text)
		if err != nil {
			if !errors.Is(err, dmarc.ErrNotRecord) {
				t.Fatal(err)
			}
			return
		}
		for _, p := range []dmarc.Policy{r.P, r.SP, r.NP} {
			if p != "" && p != dmarc.PolicyNone && p != dmarc.PolicyQuarantine && p != dmarc.PolicyReject || r.P == "" {
				t.Fatalf("%q: policies %q %q %q", text, r.P, r.SP, r.NP)
			}
		}
		if len(r.RUA) > 20 || len(r.RUF) > 20 {
			t.Fatalf("%q: %d URIs", text, len(r.RUA))
		}
	})
}
