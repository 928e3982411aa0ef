package dkim_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"postroad/internal/proto/dkim"
	"postroad/internal/proto/message"
)

// now is when the tests verify.
var now = time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)

// records answers look-ups from a table; a name that is not there has no records.
func records(table map[string][]string) dkim.Lookup {
	return func(_ context.Context, name string) ([]string, error) {
		if texts, ok := table[name]; ok {
			return texts, nil
		}
		return nil, dkim.ErrNoRecord
	}
}

// verify verifies a whole message.
func verify(t *testing.T, msg string, lookup dkim.Lookup) []dkim.Result {
	t.Helper()
	header, content, _ := message.SplitHeader([]byte(msg))
	signatures := dkim.Read(header)
	body := dkim.NewBody(signatures.Canonicalizations()...)
	if _, err := body.Write(content); err != nil {
		t.Fatal(err)
	}
	return signatures.Verify(t.Context(), body, lookup, now)
}

// crlf gives text of a test the line ends of mail.
func crlf(text string) string { return strings.ReplaceAll(text, "\n", "\r\n") }

// The example of RFC 6376 appendix A, and its key of appendix C.
const (
	exampleHeader = `DKIM-Signature: v=1; a=rsa-sha256; s=brisbane; d=example.com;
      c=simple/simple; q=dns/txt; i=joe@football.example.com;
      h=Received : From : To : Subject : Date : Message-ID;
      bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;
      b=AuUoFEfDxTDkHlLXSZEpZj79LICEps6eda7W3deTVFOk4yAUoqOB
      4nujc7YopdG5dWLSdNg6xNAZpOPr+kHxt1IrE+NahM6L/LbvaHut
      KVdkLLkpVaVVQPzeRDI009SO2Il5Lu7rDNH6mZckBdrIx0orEtZV
      4bmp/YzhwvcubU4=;
Received: from client1.football.example.com  [192.0.2.1]
      by submitserver.example.com with SUBMISSION;
      Fri, 11 Jul 2003 21:01:54 -0700 (PDT)
` + joesHeader
	joesHeader = `From: Joe SixPack <joe@football.example.com>
To: Suzie Q <suzie@shopping.example.net>
Subject: Is dinner ready?
Date: Fri, 11 Jul 2003 21:00:37 -0700 (PDT)
Message-ID: <20030712040037.46341.5F8J@football.example.com>
`
	joesBody = `
Hi.

We lost the game. Are you hungry yet?

Joe.
`
	exampleKey = "v=DKIM1; p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDwIRP/UC3SBsEmGqZ9ZJW3/DkMoGeLnQg1fWn7/zYt" +
		"IxN2SnFCjxOCKG9v3b4jYfcTNh5ijSsq631uBItLa7od+v/RtdC2UzJ1lWT947qR+Rcac2gbto/NMqJ0fzfVjH4OuKhi" +
		"tdY9tf6mcwGjaNBcWToIMmPSPDdQPNUYckcQ2QIDAQAB"
)

func TestExampleOfRFC6376(t *testing.T) {
	lookup := records(map[string][]string{"brisbane._domainkey.example.com": {exampleKey}})
	got := verify(t, crlf(exampleHeader+joesBody), lookup)
	want := dkim.Result{
		Word: dkim.Pass, Domain: "example.com", Selector: "brisbane", Algorithm: dkim.RSA, Identity: "joe@football.example.com",
		Bits: 1024, Reason: "signed by example.com", Value: "AuUoFEfD",
	}
	if len(got) != 1 || got[0] != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	// Simple canonicalization forgives nothing.
	for old, changed := range map[string]string{"lost the game": "won the game", "Is dinner": "is dinner", "To: Suzie": "To:  Suzie", "\nJoe.": "\nJoe!"} {
		got := verify(t, crlf(strings.Replace(exampleHeader+joesBody, old, changed, 1)), lookup)
		if len(got) != 1 || got[0].Word != dkim.Fail {
			t.Errorf("%q changed to %q: %+v", old, changed, got)
		}
	}
}

// The two signatures of RFC 8463 appendix A.
const twoSignatures = `DKIM-Signature: v=1; a=ed25519-sha256; c=relaxed/relaxed;
 d=football.example.com; i=@football.example.com;
 q=dns/txt; s=brisbane; t=1528637909; h=from : to :
 subject : date : message-id : from : subject : date;
 bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;
 b=/gCrinpcQOoIfuHNQIbq4pgh9kyIK3AQUdt9OdqQehSwhEIug4D11Bus
 Fa3bT3FY5OsU7ZbnKELq+eXdp1Q1Dw==
DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed;
 d=football.example.com; i=@football.example.com;
 q=dns/txt; s=test; t=1528637909; h=from : to : subject :
 date : message-id : from : subject : date;
 bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;
 b=F45dVWDfMbQDGHJFlXUNB2HKfbCeLRyhDXgFpEL8GwpsRe0IeIixNTe3
 DhCVlUrSjV4BwcVcOF6+FF3Zo9Rpo1tFOeS9mPYQTnGdaSGsgeefOsk2Jz
 dA+L10TeYt9BgDfQNZtKdN1WO//KgIqXP7OdEFE4LjFYNcUxZQ4FADY+8=
` + joesHeader + joesBody

var footballKeys = map[string][]string{
	"brisbane._domainkey.football.example.com": {"v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="},
	"test._domainkey.football.example.com": {"v=DKIM1; k=rsa; p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDkHlOQoBTzWRiGs5V6NpP3id" +
		"Y6Wk08a5qhdR6wy5bdOKb2jLQiY/J16JYi0Qvx/byYzCNb3W91y3FutACDfzwQ/BC/e/8uBsCR+yz1Lx" +
		"j+PL6lHvqMKrM3rG4hstT5QjvHO9PzoxZyVYLzBfO2EeC3Ip3G+2kryOTIKT+l/K4w3QIDAQAB"},
}

func TestExampleOfRFC8463(t *testing.T) {
	got := verify(t, crlf(twoSignatures), records(footballKeys))
	if len(got) != 2 || got[0].Word != dkim.Pass || got[0].Algorithm != dkim.Ed25519 || got[0].Bits != 256 ||
		got[1].Word != dkim.Pass || got[1].Algorithm != dkim.RSA || !got[1].Time.Equal(time.Unix(1528637909, 0)) {
		t.Errorf("got %+v", got)
	}
}

// canonical is what a hash was made of, by a slow reading of the standard: the whole body at once.
func canonicalBody(body string, c dkim.Canonicalization) string {
	lines := strings.Split(body, "\r\n")
	if c == dkim.Relaxed {
		for i, line := range lines {
			words := strings.FieldsFunc(line, func(r rune) bool { return r == ' ' || r == '\t' })
			head := ""
			if strings.HasPrefix(line, " ") || strings.HasPrefix(line, "\t") {
				head = " "
			}
			lines[i] = strings.TrimRight(head+strings.Join(words, " "), " ")
		}
	}
	for len(lines) > 0 && lines[len(lines)-1] == "" {
		lines = lines[:len(lines)-1]
	}
	if len(lines) == 0 && c == dkim.Relaxed {
		return ""
	}
	return strings.Join(lines, "\r\n") + "\r\n"
}

func TestBodyHasTheCanonicalForm(t *testing.T) {
	for _, test := range []struct{ name, body, simple, relaxed string }{
		{"empty", "", "\r\n", ""},
		{"one empty line", "\r\n", "\r\n", ""},
		{"empty lines", "\r\n\r\n\r\n", "\r\n", ""},
		{"no CRLF at the end", "a", "a\r\n", "a\r\n"},
		{"empty lines at the end", "a\r\n\r\n\r\n", "a\r\n", "a\r\n"},
		{"empty lines at the beginning", "\r\n\r\na\r\n", "\r\n\r\na\r\n", "\r\n\r\na\r\n"},
		{"white space at the end of lines", "a \t\r\n b\r\n", "a \t\r\n b\r\n", "a\r\n b\r\n"},
		{"white space in a line", "a \t b\r\n", "a \t b\r\n", "a b\r\n"},
		{"lines of white space at the end", "a\r\n \r\n\t\r\n", "a\r\n \r\n\t\r\n", "a\r\n"},
		{"the example of RFC 6376 §3.4.5", " C \r\nD \t E\r\n\r\n\r\n", " C \r\nD \t E\r\n", " C\r\nD E\r\n"},
		{"a bare CR", "a\rb\r\n\r", "a\rb\r\n\r\r\n", "a\rb\r\n\r\r\n"},
		{"a bare LF", "a\nb \n\r\n", "a\nb \n\r\n", "a\nb \n\r\n"},
		{"CR before CRLF", "a\r\r\n", "a\r\r\n", "a\r\r\n"},
		{"a CR after white space", "a \r b\r\n", "a \r b\r\n", "a \r b\r\n"},
		{"NUL and octets over 127", "\x00 \xff\x80\r\n", "\x00 \xff\x80\r\n", "\x00 \xff\x80\r\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			for c, want := range map[dkim.Canonicalization]string{dkim.Simple: test.simple, dkim.Relaxed: test.relaxed} {
				if slow := canonicalBody(test.body, c); slow != want {
					t.Errorf("%s: the slow reading gives %q, want %q", c, slow, want)
				}
				body := dkim.NewBody(c)
				_, _ = body.Write([]byte(test.body))
				if sum, err := body.Sum(c); err != nil || !bytes.Equal(sum, sha256Of(want)) {
					t.Errorf("%s: not the hash of %q (%v)", c, want, err)
				}
			}
		})
	}
}

// A body is the same in whatever pieces it comes.
func TestBodyInPieces(t *testing.T) {
	chance := rand.New(rand.NewPCG(6376, 0))
	parts := []string{"\r\n", "\r\n", "\r", "\n", " ", "\t", "a", "bc", "\r\n\r\n", " \r\n", "\x00", strings.Repeat("x", 5000)}
	for range 3000 {
		var text strings.Builder
		for range chance.IntN(24) {
			text.WriteString(parts[chance.IntN(len(parts))])
		}
		whole := text.String()
		body := dkim.NewBody(dkim.Relaxed, dkim.Simple, dkim.Relaxed)
		for rest := whole; rest != ""; {
			n := 1 + chance.IntN(min(len(rest), 1+chance.IntN(4000)))
			if m, err := body.Write([]byte(rest[:n])); m != n || err != nil {
				t.Fatalf("wrote %d of %d: %v", m, n, err)
			}
			rest = rest[n:]
		}
		if body.Len() != int64(len(whole)) {
			t.Fatalf("%d octets counted of %d", body.Len(), len(whole))
		}
		for _, c := range []dkim.Canonicalization{dkim.Simple, dkim.Relaxed} {
			if sum, err := body.Sum(c); err != nil || !bytes.Equal(sum, sha256Of(canonicalBody(whole, c))) {
				t.Fatalf("%s of %q: another hash in pieces (%v)", c, whole, err)
			}
		}
	}
}

func TestBodyIsHashedForWhatIsWanted(t *testing.T) {
	body := dkim.NewBody(dkim.Simple)
	if _, err := body.Sum(dkim.Relaxed); err == nil {
		t.Error("a hash that nobody wanted")
	}
	if _, err := body.Sum(dkim.Simple); err != nil {
		t.Error(err)
	}
	if _, err := body.Write([]byte("more")); err == nil {
		t.Error("a body goes on after its hash was taken")
	}
}

func TestFieldHasTheCanonicalForm(t *testing.T) {
	for _, test := range []struct{ raw, simple, relaxed string }{
		{"A: X\r\n", "A: X\r\n", "a:X\r\n"},
		{"B : Y\t\r\n\tZ  \r\n", "B : Y\t\r\n\tZ  \r\n", "b:Y Z\r\n"},
		{"Subject:\r\n", "Subject:\r\n", "subject:\r\n"},
		{"Subject: \r\n \r\n", "Subject: \r\n \r\n", "subject:\r\n"},
		{"X-Y:a:b : c\r\n", "X-Y:a:b : c\r\n", "x-y:a:b : c\r\n"},
		{"X: \xc3\xa9  \x00\r\n", "X: \xc3\xa9  \x00\r\n", "x:\xc3\xa9 \x00\r\n"},
		{"X: no line end", "X: no line end\r\n", "x:no line end\r\n"},
	} {
		if got := string(dkim.AppendField(nil, []byte(test.raw), dkim.Simple)); got != test.simple {
			t.Errorf("simple %q: %q, want %q", test.raw, got, test.simple)
		}
		if got := string(dkim.AppendField([]byte("before\r\n"), []byte(test.raw), dkim.Relaxed)); got != "before\r\n"+test.relaxed {
			t.Errorf("relaxed %q: %q, want %q", test.raw, got, test.relaxed)
		}
	}
}

// rsaKey is a key of 2,048 bits for tests alone.
func rsaKey(t testing.TB) *rsa.PrivateKey { return readKey(t, testRSA).(*rsa.PrivateKey) }

// edKey is the key of RFC 8463 appendix A.2.
func edKey(testing.TB) ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed([]byte{
		0x9d, 0x61, 0xb1, 0x9d, 0xef, 0xfd, 0x5a, 0x60, 0xba, 0x84, 0x4a, 0xf4, 0x92, 0xec, 0x2c, 0xc4,
		0x44, 0x49, 0xc5, 0x69, 0x7b, 0x32, 0x69, 0x19, 0x70, 0x3b, 0xac, 0x03, 0x1c, 0xae, 0x7f, 0x60,
	})
}

func readKey(t testing.TB, text string) crypto.Signer {
	t.Helper()
	block, _ := pem.Decode([]byte(text))
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return key.(crypto.Signer)
}

// published is what the tests' keys look like in DNS.
func published(t testing.TB, keys ...dkim.Key) map[string][]string {
	t.Helper()
	table := make(map[string][]string)
	for _, key := range keys {
		text, err := dkim.MakeRecord(key.Signer.Public())
		if err != nil {
			t.Fatal(err)
		}
		table[dkim.KeyName(key.Selector, key.Domain)] = []string{text}
	}
	return table
}

func ourKeys(t testing.TB) []dkim.Key {
	return []dkim.Key{
		{Domain: "football.example.com", Selector: "r1", Signer: rsaKey(t)},
		{Domain: "football.example.com", Selector: "e1", Signer: edKey(t)},
		{Domain: "other.example", Selector: "e1", Signer: edKey(t)},
	}
}

// sign gives a message with the signatures of all keys on top.
func sign(t testing.TB, msg string, keys []dkim.Key, o dkim.Options) string {
	t.Helper()
	header, content, _ := message.SplitHeader([]byte(msg))
	body := dkim.NewBody(o.Body)
	_, _ = body.Write(content)
	fields, err := dkim.Sign(header, body, keys, o)
	if err != nil {
		t.Fatal(err)
	}
	return string(fields) + msg
}

func TestSignedIsVerified(t *testing.T) {
	keys := ourKeys(t)
	lookup := records(published(t, keys...))
	for _, o := range allOptions() {
		msg := sign(t, crlf(joesHeader+joesBody), keys, o)
		results := verify(t, msg, lookup)
		if len(results) != len(keys) {
			t.Fatalf("%d results of %d signatures", len(results), len(keys))
		}
		for i, r := range results {
			if r.Word != dkim.Pass || r.Domain != keys[i].Domain || r.Selector != keys[i].Selector || !r.Time.Equal(o.Time) {
				t.Errorf("%s/%s: %+v", o.Header, o.Body, r)
			}
		}
		for line := range strings.SplitSeq(msg, "\r\n") {
			if len(line) > 78 {
				t.Errorf("a line of %d octets: %s", len(line), line)
			}
		}
		// What is signed cannot be changed, taken away or added to.
		for old, changed := range map[string]string{
			"dinner": "supper", "Suzie Q": "Suzie R", "the game": "a game", "Date: Fri": "Date: Thu",
			"From: Joe": "From: eve@example.net\r\nFrom: Joe", "Subject: Is": "Subject: Pay now\r\nSubject: Is",
			"To: Suzie": "Reply-To: eve@example.net\r\nTo: Suzie", "Date: Fri, 11 Jul 2003 21:00:37 -0700 (PDT)\r\n": "",
		} {
			for _, r := range verify(t, strings.Replace(msg, old, changed, 1), lookup) {
				if r.Word != dkim.Fail {
					t.Errorf("%s/%s: %q changed to %q: %+v", o.Header, o.Body, old, changed, r)
				}
			}
		}
	}
}

// What relaxed canonicalization lets pass, and simple does not.
func TestRelaxedForgivesForm(t *testing.T) {
	keys := ourKeys(t)[1:2]
	lookup := records(published(t, keys...))
	for _, o := range allOptions() {
		msg := sign(t, crlf(joesHeader+joesBody), keys, o)
		for _, test := range []struct {
			old, changed string
			c            dkim.Canonicalization
		}{
			{"Subject: Is dinner", "SUBJECT:Is\r\n  dinner", o.Header},
			{"We lost the game.", "We  lost \tthe game. \t", o.Body},
		} {
			want := dkim.Pass
			if test.c == dkim.Simple {
				want = dkim.Fail
			}
			if got := verify(t, strings.Replace(msg, test.old, test.changed, 1), lookup); got[0].Word != want {
				t.Errorf("%s/%s, %q: %+v, want %s", o.Header, o.Body, test.changed, got[0], want)
			}
		}
		if got := verify(t, msg+"\r\n\r\n", lookup); got[0].Word != dkim.Pass {
			t.Errorf("%s/%s: empty lines at the end: %+v", o.Header, o.Body, got[0])
		}
	}
}

func allOptions() []dkim.Options {
	var all []dkim.Options
	for _, header := range []dkim.Canonicalization{dkim.Relaxed, dkim.Simple} {
		for _, body := range []dkim.Canonicalization{dkim.Relaxed, dkim.Simple} {
			all = append(all, dkim.Options{Header: header, Body: body, Time: now.Add(-time.Hour)})
		}
	}
	return all
}
