package dkim_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"postroad/internal/proto/dkim"
	"postroad/internal/proto/message"
)

// handmade signs Joe's message with the tags that a test wants, by the Ed25519 key, in relaxed form.
func handmade(t *testing.T, change func(tags []string) []string) string {
	t.Helper()
	msg := crlf(joesHeader + joesBody)
	header, content, _ := message.SplitHeader([]byte(msg))
	body := dkim.NewBody(dkim.Relaxed)
	_, _ = body.Write(content)
	sum, err := body.Sum(dkim.Relaxed)
	if err != nil {
		t.Fatal(err)
	}
	tags := change([]string{
		"v=1", "a=ed25519-sha256", "c=relaxed/relaxed", "d=football.example.com", "s=e1", "t=1700000000",
		"h=From:To:Subject", "bh=" + base64.StdEncoding.EncodeToString(sum), "b=",
	})
	covered := dkim.NewHeader(header).AppendCovered(nil, []string{"from", "to", "subject"}, dkim.Relaxed, -1)
	field, err := dkim.SignField("DKIM-Signature", tags, covered, dkim.Relaxed, edKey(t))
	if err != nil {
		t.Fatal(err)
	}
	return string(field) + msg
}

// with replaces tags by name, "l=" takes one away, and adds those that are new.
func with(changes ...string) func([]string) []string {
	return func(tags []string) []string {
		for _, change := range changes {
			name, value, _ := strings.Cut(change, "=")
			i := slices.IndexFunc(tags, func(tag string) bool { return strings.HasPrefix(tag, name+"=") })
			switch {
			case i < 0:
				tags = slices.Insert(tags, len(tags)-1, change)
			case value == "-":
				tags = slices.Delete(tags, i, i+1)
			default:
				tags[i] = change
			}
		}
		return tags
	}
}

func TestSignaturesThatDoNotPass(t *testing.T) {
	keys := ourKeys(t)[1:2]
	table := published(t, keys...)
	good := table["e1._domainkey.football.example.com"][0]
	_, p, _ := strings.Cut(good, "p=")
	const name = "e1._domainkey.football.example.com"
	key := func(texts ...string) map[string][]string { return map[string][]string{name: texts} }
	for _, test := range []struct {
		name    string
		tags    []string
		records map[string][]string
		word    dkim.Word
		reason  string
	}{
		{"nothing wrong", nil, table, dkim.Pass, "signed by"},
		{"unknown tags", []string{"zz=1"}, table, dkim.Pass, ""},
		{"names of fields with white space", []string{"h=From : To :\r\n Subject"}, table, dkim.Pass, ""},
		{"no t=", []string{"t=-"}, table, dkim.Pass, ""},
		{"q= as it should be", []string{"q=other:dns/txt"}, table, dkim.Pass, ""},
		{"i= below the domain", []string{"i=joe@mail.football.example.com"}, table, dkim.Pass, ""},
		{"capitals in d=", []string{"d=Football.EXAMPLE.com"}, table, dkim.Pass, ""},
		{"not ended", []string{"x=4000000000"}, table, dkim.Pass, ""},

		{"l=", []string{"l=10"}, table, dkim.Policy, "l= leaves the end"},
		{"ended", []string{"x=1700000001"}, table, dkim.Policy, "ended 2023-11-14"},
		{"SHA-1 (RFC 8301)", []string{"a=rsa-sha1"}, table, dkim.Policy, "SHA-1"},
		{"another version", []string{"v=2"}, table, dkim.Neutral, "v= is not 1"},
		{"no version", []string{"v=-"}, table, dkim.Neutral, "v= is not 1"},
		{"an algorithm that is not known", []string{"a=rsa-sha512"}, table, dkim.Neutral, "a=rsa-sha512"},
		{"no algorithm", []string{"a=-"}, table, dkim.Neutral, "a= is missing"},
		{"no domain", []string{"d=-"}, table, dkim.Neutral, "d= is missing"},
		{"an empty domain", []string{"d="}, table, dkim.Neutral, "d= is empty"},
		{"no name of DNS", []string{"d=a b"}, table, dkim.Neutral, "no name of DNS"},
		{"no selector", []string{"s=-"}, table, dkim.Neutral, "s= is missing"},
		{"a domain that is too long", []string{"d=" + strings.Repeat("a.", 118) + "example.com"}, table, dkim.Neutral, "too long"},
		{"no body hash", []string{"bh=-"}, table, dkim.Neutral, "bh= is missing"},
		{"a body hash that is none", []string{"bh=%%"}, table, dkim.Neutral, "no base64"},
		{"no list of fields", []string{"h=-"}, table, dkim.Neutral, "h= is missing"},
		{"a form that is not known", []string{"c=loose"}, table, dkim.Neutral, "c=loose"},
		{"a time that is none", []string{"t=yesterday"}, table, dkim.Neutral, "t= is no time"},
		{"a time too far", []string{"t=1234567890123"}, table, dkim.Neutral, "t= is no time"},
		{"ended before it was made", []string{"x=1"}, table, dkim.Neutral, "before"},
		{"a key that is somewhere else", []string{"q=http"}, table, dkim.Neutral, "q=http"},
		{"a tag twice", []string{"dd=1; dd=2"}, table, dkim.Neutral, "stands twice"},
		{"no tag", []string{"zz=1; what"}, table, dkim.Neutral, "is no tag"},
		{"an empty tag", []string{"zz=1;"}, table, dkim.Neutral, "empty tag"},
		{"From is not signed", []string{"h=To:Subject"}, table, dkim.PermError, "From is not signed"},
		{"i= of another domain", []string{"i=joe@example.com"}, table, dkim.PermError, "not in the domain"},
		{"i= of a domain that only ends alike", []string{"i=joe@americanfootball.example.com"}, table, dkim.PermError, "not in the domain"},
		{"i= without @", []string{"i=football.example.com"}, table, dkim.PermError, "not in the domain"},
		{"another body", []string{"bh=" + base64.StdEncoding.EncodeToString(sha256Of("no"))}, table, dkim.Fail, "body was changed"},
		{"other fields", []string{"h=From:To:Subject:Date"}, table, dkim.Fail, "header was changed"},

		{"no key", nil, nil, dkim.PermError, "there is no key at " + name},
		{"no texts", nil, key(), dkim.PermError, "there is no key at " + name},
		{"a revoked key", nil, key("v=DKIM1; k=ed25519; p="), dkim.PermError, "revoked"},
		{"a record without key", nil, key("v=DKIM1; k=ed25519"), dkim.PermError, "p= is missing"},
		{"a record of another version", nil, key("v=DKIM2; k=ed25519; p=" + p), dkim.PermError, "v=DKIM2"},
		{"no record at all", nil, key("hello"), dkim.PermError, "cannot be read"},
		{"another type", nil, published2(t, name), dkim.PermError, "of type rsa"},
		{"no RSA key", nil, key("p=" + p), dkim.PermError, "no RSA key"},
		{"a type that is not known", nil, key("k=x; p=" + p), dkim.PermError, "k=x"},
		{"a key that is cut", nil, key("k=ed25519; p=" + p[:20]), dkim.PermError, "p="},
		{"an RSA key that is cut", nil, key(published2(t, name)[name][0][:255]), dkim.PermError, "the key goes on after its end"},
		{"an RSA key that is cut elsewhere", nil, key(published2(t, name)[name][0][:258]), dkim.PermError, "the key goes on after its end"},
		{"a key that is no base64", nil, key("k=ed25519; p=!!"), dkim.PermError, "no base64"},
		{"a key for other hashes", nil, key("k=ed25519; h=sha1; p=" + p), dkim.PermError, "other hashes"},
		{"a key for other services", nil, key("k=ed25519; s=tlsrpt; p=" + p), dkim.PermError, "not for mail"},
		{"a key for mail", nil, key("k=ed25519; h=sha1:sha256; s=tlsrpt:email; n=note; p=" + p), dkim.Pass, ""},
		{"white space in the key, empty tags", nil, key("v=DKIM1;; k=ed25519 ; p=" + p[:9] + " \t" + p[9:] + ";;"), dkim.Pass, ""},
		{"another key", nil, key("k=ed25519; p=" + base64.StdEncoding.EncodeToString(make([]byte, 32))), dkim.Fail, "another key"},
		{"strict, and i= is the domain", nil, key("k=ed25519; t=s; p=" + p), dkim.Pass, ""},
		{"strict, and i= is below", []string{"i=@a.football.example.com"}, key("k=ed25519; t=s; p=" + p), dkim.PermError, "alone"},
		{"the second record is it", nil, key("v=spf1 -all", good), dkim.Pass, ""},
		{"the fourth record is not looked at", nil, key("a=1", "a=2", "a=3", good), dkim.PermError, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := verify(t, handmade(t, with(test.tags...)), records(test.records))
			if len(got) != 1 || got[0].Word != test.word || !strings.Contains(got[0].Reason, test.reason) {
				t.Errorf("got %+v, want %s: %s", got, test.word, test.reason)
			}
			if len(got) == 1 && (strings.ContainsAny(got[0].Reason, "\r\n") || got[0].Reason == "") {
				t.Errorf("no sentence: %q", got[0].Reason)
			}
		})
	}
}

// published2 has an RSA key at a name.
func published2(t *testing.T, name string) map[string][]string {
	text, err := dkim.MakeRecord(rsaKey(t).Public())
	if err != nil {
		t.Fatal(err)
	}
	return map[string][]string{name: {text}}
}

func TestWhatDNSDoesNotAnswerIsTemporary(t *testing.T) {
	msg := handmade(t, with())
	for _, answer := range []error{dkim.ErrTemporary, context.DeadlineExceeded, errors.New("anything")} {
		got := verify(t, msg, func(context.Context, string) ([]string, error) { return nil, fmt.Errorf("asking: %w", answer) })
		if got[0].Word != dkim.TempError || !strings.Contains(got[0].Reason, answer.Error()) {
			t.Errorf("%v: %+v", answer, got[0])
		}
	}
}

func TestTestingIsTold(t *testing.T) {
	table := published(t, ourKeys(t)[1])
	const name = "e1._domainkey.football.example.com"
	table[name][0] += "; t=y:s"
	if got := verify(t, handmade(t, with()), records(table)); got[0].Word != dkim.Pass || !got[0].Testing {
		t.Errorf("got %+v", got[0])
	}
	if got := verify(t, handmade(t, with("h=From")), records(table)); got[0].Word != dkim.Fail || !got[0].Testing {
		t.Errorf("got %+v", got[0])
	}
}

// Keys that RFC 8301 §3.2 calls too short count for nothing.
func TestShortKeys(t *testing.T) {
	weak := dkim.Key{Domain: "football.example.com", Selector: "r1", Signer: readKey(t, testShortRSA)}
	body := dkim.NewBody(dkim.Relaxed)
	if _, err := dkim.Sign([]byte("From: a@b.example\r\n"), body, []dkim.Key{weak}, dkim.Options{}); err == nil || !strings.Contains(err.Error(), "too short") {
		t.Errorf("signing with 1,016 bits: %v", err)
	}
	sum, err := body.Sum(dkim.Relaxed)
	if err != nil {
		t.Fatal(err)
	}
	// Whether the signature holds is not even computed: crypto/rsa does not sign with such keys any more.
	field := "DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=football.example.com; s=r1; h=From;" +
		" bh=" + base64.StdEncoding.EncodeToString(sum) + "; b=AAAA\r\n"
	header := "From: a@football.example.com\r\n"
	got := verify(t, field+header+"\r\n", records(published(t, weak)))
	if got[0].Word != dkim.Policy || got[0].Bits != 1016 {
		t.Errorf("got %+v", got[0])
	}
}

func TestFewSignaturesAreLookedAt(t *testing.T) {
	keys := slices.Repeat(ourKeys(t)[1:2], 3000)
	asked := 0
	lookup := records(published(t, keys[0]))
	one := sign(t, crlf(joesHeader+joesBody), keys[:1], dkim.Options{})
	field, rest, _ := strings.Cut(one, "From:")
	got := verify(t, strings.Repeat(field, 400)+"From:"+rest, func(ctx context.Context, name string) ([]string, error) {
		asked++
		return lookup(ctx, name)
	})
	if len(got) != dkim.MaxSignatures+1 || asked != 1 {
		t.Fatalf("%d results, %d look-ups", len(got), asked)
	}
	for i, r := range got {
		want := dkim.Pass
		if i == dkim.MaxSignatures {
			want = dkim.Policy
		}
		if r.Word != want {
			t.Errorf("signature %d: %+v", i, r)
		}
	}
	if !strings.Contains(got[dkim.MaxSignatures].Reason, "392 more") {
		t.Errorf("reason: %s", got[dkim.MaxSignatures].Reason)
	}
}

func TestNamesAndFormsAreKnownBeforeTheBody(t *testing.T) {
	header, _, _ := message.SplitHeader([]byte(crlf(twoSignatures)))
	s := dkim.Read(header)
	if got := s.KeyNames(); !slices.Equal(got, []string{"brisbane._domainkey.football.example.com", "test._domainkey.football.example.com"}) {
		t.Errorf("names: %q", got)
	}
	if got := s.Canonicalizations(); !slices.Equal(got, []dkim.Canonicalization{dkim.Relaxed}) {
		t.Errorf("forms: %v", got)
	}
	if s.Len() != 2 {
		t.Errorf("%d signatures", s.Len())
	}
	if none := dkim.Read([]byte(crlf(joesHeader))); none.Len() != 0 || len(none.Verify(t.Context(), dkim.NewBody(), nil, now)) != 0 {
		t.Error("signatures of an unsigned message")
	}
}

// Of several fields with one name, the lowest is signed first (RFC 6376 §5.4.2).
func TestFieldsAreTakenFromTheBottom(t *testing.T) {
	h := dkim.NewHeader([]byte("A: 1\r\nB: x\r\na: 2\r\nA : 3\r\nno field\r\n"))
	for _, test := range []struct {
		names []string
		self  int
		want  string
	}{
		{[]string{"a"}, -1, "a:3\r\n"},
		{[]string{"A", "b", "a", "a", "a", "c"}, -1, "a:3\r\nb:x\r\na:2\r\na:1\r\n"},
		{[]string{"a", "a", "a"}, 2, "a:3\r\na:1\r\n"},
		{[]string{"a"}, 3, "a:2\r\n"},
		{[]string{""}, -1, ""},
	} {
		if got := string(h.AppendCovered(nil, test.names, dkim.Relaxed, test.self)); got != test.want {
			t.Errorf("%q without %d: %q, want %q", test.names, test.self, got, test.want)
		}
	}
}

func TestWhatCannotBeSigned(t *testing.T) {
	body := dkim.NewBody(dkim.Relaxed)
	if _, err := dkim.Sign([]byte("To: a@b.example\r\n"), body, ourKeys(t), dkim.Options{}); !errors.Is(err, dkim.ErrNoFrom) {
		t.Errorf("without From: %v", err)
	}
	many := []byte("From: a@b.example\r\n" + strings.Repeat("Subject: x\r\n", 100))
	if _, err := dkim.Sign(many, body, ourKeys(t), dkim.Options{}); !errors.Is(err, dkim.ErrTooMany) {
		t.Errorf("100 subjects: %v", err)
	}
	if _, err := dkim.Sign([]byte("From: a@b.example\r\n"), body, ourKeys(t), dkim.Options{Body: dkim.Simple}); !errors.Is(err, dkim.ErrBodyHash) {
		t.Errorf("a body hashed otherwise: %v", err)
	}
}

func TestExpiryIsSigned(t *testing.T) {
	keys := ourKeys(t)[1:2]
	lookup := records(published(t, keys...))
	for until, want := range map[time.Time]dkim.Word{now.Add(time.Hour): dkim.Pass, now.Add(-time.Hour): dkim.Policy} {
		msg := sign(t, crlf(joesHeader+joesBody), keys, dkim.Options{Time: now.Add(-2 * time.Hour), Expires: until})
		if got := verify(t, msg, lookup); got[0].Word != want {
			t.Errorf("until %s: %+v", until, got[0])
		}
	}
}

// International domains are the same in both their forms (RFC 8616).
func TestInternationalDomains(t *testing.T) {
	table := published(t, dkim.Key{Domain: "xn--bcher-kva.example", Selector: "e1", Signer: edKey(t)})
	for _, tags := range [][]string{{"d=b\u00fccher.example"}, {"d=xn--bcher-kva.example", "i=@B\u00fccher.example"}, {"d=b\u00fccher.example", "i=\u00fc@post.xn--bcher-kva.example"}} {
		got := verify(t, handmade(t, with(tags...)), records(table))
		if got[0].Word != dkim.Pass || got[0].Domain != "xn--bcher-kva.example" {
			t.Errorf("%q: %+v", tags, got[0])
		}
	}
}
