package dkim_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"strings"
	"testing"

	"postroad/internal/proto/dkim"
)

func TestRecordsAreMadeAndRead(t *testing.T) {
	for _, key := range ourKeys(t)[:2] {
		text, err := dkim.MakeRecord(key.Signer.Public())
		if err != nil {
			t.Fatal(err)
		}
		r, err := dkim.ParseRecord(text)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		algorithm, bits, err := dkim.KeyAlgorithm(r.Public)
		if err != nil || bits != r.Bits || !strings.HasPrefix(string(algorithm), r.Type) {
			t.Errorf("%s: %s %d bits, %v", text, algorithm, bits, err)
		}
		parts := dkim.SplitText(text)
		if strings.Join(parts, "") != text {
			t.Errorf("%q is not %s", parts, text)
		}
		for _, part := range parts {
			if len(part) > 255 {
				t.Errorf("a string of %d octets", len(part))
			}
		}
		if r.Type == "rsa" && (len(parts) != 2 || !strings.Contains(dkim.Quote(parts), `" "`)) {
			t.Errorf("a key of 2,048 bits in %d strings", len(parts))
		}
	}
	if got := dkim.Quote([]string{`a"b`, `c\d`}); got != `"a\"b" "c\\d"` {
		t.Errorf("quoted %s", got)
	}
	if got := dkim.SplitText(""); len(got) != 1 {
		t.Errorf("an empty text has %d strings", len(got))
	}
	other, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := dkim.MakeRecord(other.Public()); err == nil {
		t.Error("a record for an elliptic curve that DKIM does not know")
	}
	if _, _, err := dkim.KeyAlgorithm(other.Public()); err == nil {
		t.Error("an algorithm for it")
	}
	// The other form of an RSA key that is in use (RFC 6376 §3.6.1 names RSAPublicKey).
	der := x509.MarshalPKCS1PublicKey(rsaKey(t).Public().(*rsa.PublicKey))
	if r, err := dkim.ParseRecord("p=" + base64.StdEncoding.EncodeToString(der)); err != nil || r.Bits != 2048 {
		t.Errorf("RSAPublicKey: %+v, %v", r, err)
	}
}

func TestCompareNamesTheDifference(t *testing.T) {
	want, err := dkim.MakeRecord(rsaKey(t).Public())
	if err != nil {
		t.Fatal(err)
	}
	ed, err := dkim.MakeRecord(edKey(t).Public())
	if err != nil {
		t.Fatal(err)
	}
	_, p, _ := strings.Cut(want, "p=")
	if !strings.Contains(p, "+") {
		t.Fatal("the key of this test has no plus sign")
	}
	const name = "r1._domainkey.mail.example.com"
	elsewhere := func(place string, texts ...string) []dkim.Place { return []dkim.Place{{Name: place, Texts: texts}} }
	for _, test := range []struct {
		name      string
		texts     []string
		elsewhere []dkim.Place
		state     dkim.Publication
		problem   string
	}{
		{"as it should be", []string{want}, nil, dkim.Published, ""},
		{"with other tags", []string{"k=rsa; n=ours; p=" + p + ";"}, nil, dkim.Published, ""},
		{"white space within", []string{want[:100] + "  " + want[100:]}, nil, dkim.Published, ""},
		{"beside another text", []string{"v=spf1 -all", want}, nil, dkim.Published, ""},
		{"beside another key", []string{ed, want}, nil, dkim.Several, "2 key records"},
		{"cut at 255", []string{want[:255]}, nil, dkim.Truncated, "ends after 237 of 392"},
		{"cut by one", []string{want[:len(want)-1]}, nil, dkim.Truncated, "ends after 391 of 392"},
		{"no semicolons", []string{strings.ReplaceAll(want, ";", "")}, nil, dkim.Damaged, "lacks semicolons"},
		{"escaped", []string{strings.ReplaceAll(want, ";", `\;`)}, nil, dkim.Damaged, "backslashes"},
		{"quoted twice", []string{dkim.Quote(dkim.SplitText(want))}, nil, dkim.Damaged, "quotation marks"},
		{"small letters", []string{strings.Replace(want, p, strings.ToLower(p), 1)}, nil, dkim.Damaged, "capitals"},
		{"plus signs lost", []string{strings.ReplaceAll(want, "+", " ")}, nil, dkim.Damaged, "plus signs"},
		{"another key", []string{ed}, nil, dkim.OtherKey, "ed25519, 256 bits"},
		{"taken back", []string{"v=DKIM1; k=rsa; p="}, nil, dkim.Revoked, "takes the key back"},
		{"for another service", []string{"s=tlsrpt; p=" + p}, nil, dkim.Damaged, "not for mail"},
		{"nonsense", []string{"v=DKIM1; p=&&&"}, nil, dkim.Damaged, "no base64"},
		{"nothing", nil, nil, dkim.Unpublished, "no key record at " + name},
		{"other texts alone", []string{"hello"}, nil, dkim.Unpublished, "no key record"},
		{"at the domain", nil, elsewhere("mail.example.com", "v=spf1", want), dkim.Misplaced, "stands at mail.example.com"},
		{"another key elsewhere", nil, elsewhere("mail.example.com", ed), dkim.Unpublished, "no key record"},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := dkim.Compare(want, dkim.Place{Name: name, Texts: test.texts}, test.elsewhere)
			if got.State != test.state || !strings.Contains(got.Problem, test.problem) || (got.Problem == "") != (got.State == dkim.Published) {
				t.Errorf("got %+v, want %s: %s", got, test.state, test.problem)
			}
		})
	}
	if got := dkim.Compare(want, dkim.Place{Name: name, Texts: []string{want + "; t=y"}}, nil); !got.Testing {
		t.Error("t=y is not told")
	}
	places := dkim.WrongPlaces("r1", "mail.example.com")
	for _, place := range []string{name + ".mail.example.com", "r1._domainkey.example.com", "mail.example.com"} {
		if !strings.Contains(strings.Join(places, " ")+" ", place+" ") {
			t.Errorf("%s is not looked at: %q", place, places)
		}
	}
	if got := len(dkim.WrongPlaces("r1", "example.com")); got != 4 {
		t.Errorf("%d places: a record at a top-level domain is nobody's", got)
	}
}
