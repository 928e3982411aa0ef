package dkim_test

import (
	"bytes"
	"crypto"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	msgauth "github.com/emersion/go-msgauth/dkim"

	"postroad/internal/proto/dkim"
)

// mails makes messages of many shapes: folded and odd fields, repeated ones, bodies of all kinds.
func mails(n int) []string {
	chance := rand.New(rand.NewPCG(8301, 1))
	pick := func(from ...string) string { return from[chance.IntN(len(from))] }
	all := make([]string, n)
	for i := range all {
		var b strings.Builder
		fmt.Fprintf(&b, "Received: from a.example (a.example [192.0.2.%d])\r\n\tby b.example with ESMTPS id %d;\r\n\t%s\r\n", i%250, i, now.Format(time.RFC1123Z))
		fmt.Fprintf(&b, "From: %s <u%d@football.example.com>\r\n", pick("Joe", `"Six, Pack"`, "=?utf-8?q?J=C3=B6?=", "J\u00f6"), i)
		b.WriteString(pick("To: a@example.net\r\n", "To: a@example.net,\r\n b@example.net,\r\n\t\"c  d\" <c@example.net>\r\n", "to:a@example.net\r\n", ""))
		b.WriteString(pick("Subject: hi\r\n", "Subject:  two  words \r\n", "Subject:\r\n", "Subject: "+strings.Repeat("long ", 30)+"\r\n folded\r\n", "SUBJECT : odd\r\n"))
		b.WriteString(pick("", "Cc: x@example.org\r\n", "Reply-To: x@example.org\r\nList-Unsubscribe: <https://example.org/u?a=b:c;d>\r\n"))
		fmt.Fprintf(&b, "Message-ID: <%d@football.example.com>\r\n", i)
		b.WriteString(pick("", "X-Empty:\r\n", "MIME-Version: 1.0\r\nContent-Type: text/plain;\r\n\tcharset=utf-8\r\n"))
		b.WriteString("\r\n")
		for range chance.IntN(12) {
			b.WriteString(pick("text\r\n", "\r\n", " indented  text\t\r\n", "trailing  \r\n", strings.Repeat("y", 990)+"\r\n", ".\r\n", "J\u00f6\r\n", "\t\r\n"))
		}
		b.WriteString(pick("", "", "the end\r\n", "\r\n\r\n"))
		all[i] = b.String()
	}
	return all
}

// What we sign, another program verifies.
func TestOursToMsgauth(t *testing.T) {
	keys := ourKeys(t)
	table := published(t, keys...)
	options := allOptions()
	for i, msg := range mails(200) {
		signed := sign(t, msg, keys, options[i%len(options)])
		found, err := msgauth.VerifyWithOptions(strings.NewReader(signed), &msgauth.VerifyOptions{
			LookupTXT: func(name string) ([]string, error) { return table[name], nil },
		})
		if err != nil || len(found) != len(keys) {
			t.Fatalf("%d results, %v, of\n%s", len(found), err, signed)
		}
		for _, v := range found {
			if v.Err != nil {
				t.Fatalf("%v, of\n%s", v.Err, signed)
			}
		}
	}
}

// What another program signs, we verify.
func TestMsgauthToOurs(t *testing.T) {
	keys := ourKeys(t)
	lookup := records(published(t, keys...))
	for i, msg := range mails(200) {
		key, o := keys[i%len(keys)], allOptions()[i%4]
		var signed bytes.Buffer
		err := msgauth.Sign(&signed, strings.NewReader(msg), &msgauth.SignOptions{
			Domain: key.Domain, Selector: key.Selector, Signer: key.Signer, Hash: crypto.SHA256,
			HeaderCanonicalization: msgauth.Canonicalization(o.Header.String()), BodyCanonicalization: msgauth.Canonicalization(o.Body.String()),
			Expiration: time.Now().Add(time.Hour),
		})
		if err != nil {
			t.Fatal(err)
		}
		if got := verify(t, signed.String(), lookup); len(got) != 1 || got[0].Word != dkim.Pass {
			t.Fatalf("%+v, of\n%s", got, signed.String())
		}
	}
}
