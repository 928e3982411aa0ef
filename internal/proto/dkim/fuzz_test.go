package dkim_test

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"time"

	"postroad/internal/proto/dkim"
	"postroad/internal/proto/message"
)

// Whatever a message holds, every signature has a result that can be shown.
func FuzzVerify(f *testing.F) {
	f.Add([]byte(crlf(exampleHeader+joesBody)), exampleKey)
	f.Add([]byte(crlf(twoSignatures)), footballKeys["brisbane._domainkey.football.example.com"][0])
	f.Add([]byte("DKIM-Signature: v=1;b=\r\nDKIM-Signature:b\n\n"), "v=DKIM1; p=")
	f.Fuzz(func(t *testing.T, msg []byte, record string) {
		header, content, _ := message.SplitHeader(msg)
		s := dkim.Read(header)
		body := dkim.NewBody(s.Canonicalizations()...)
		_, _ = body.Write(content)
		lookup := func(context.Context, string) ([]string, error) { return []string{record, record}, nil }
		results := s.Verify(t.Context(), body, lookup, now)
		if len(results) != min(s.Len(), dkim.MaxSignatures+1) {
			t.Errorf("%d results of %d signatures", len(results), s.Len())
		}
		for _, r := range results {
			if r.Word == "" || r.Reason == "" || strings.ContainsAny(r.Reason+r.Domain+r.Selector, "\r\n\x00") || len(r.Value) > 8 {
				t.Errorf("result %+v", r)
			}
			if r.Word == dkim.Pass && (r.Bits < 256 || r.Domain == "") {
				t.Errorf("passed: %+v", r)
			}
		}
	})
}

// What is signed is verified, whatever it is, and the message below the signature is untouched.
func FuzzSign(f *testing.F) {
	f.Add([]byte(crlf(joesHeader+joesBody)), true, false)
	f.Add([]byte("From : a@b.example\n\x00: x\r\nfrom:\r\n\r\n \r\n\r"), false, true)
	keys := ourKeys(f)[1:2]
	lookup := records(published(f, keys...))
	f.Fuzz(func(t *testing.T, msg []byte, simpleHeader, simpleBody bool) {
		header, content, ok := message.SplitHeader(msg)
		if !ok || !bytes.HasSuffix(header, []byte("\r\n")) {
			return
		}
		o := dkim.Options{Time: now}
		if simpleHeader {
			o.Header = dkim.Simple
		}
		if simpleBody {
			o.Body = dkim.Simple
		}
		body := dkim.NewBody(o.Body)
		_, _ = body.Write(content)
		fields, err := dkim.Sign(header, body, keys, o)
		if err != nil {
			return
		}
		// What was no field before stays none, but it may continue the field that is put above it.
		if header[0] == ' ' || header[0] == '\t' {
			return
		}
		results := dkim.Verify(t.Context(), append(fields, header...), body, lookup, now.Add(time.Second))
		if len(results) == 0 || results[0].Word != dkim.Pass && results[0].Word != dkim.Policy {
			t.Errorf("%+v, of %q", results, msg)
		}
	})
}

func FuzzRecord(f *testing.F) {
	f.Add(exampleKey, "v=DKIM1; k=ed25519; p=AAAA")
	f.Add("p=", "p= p")
	f.Fuzz(func(t *testing.T, want, text string) {
		r, err := dkim.ParseRecord(text)
		if (err == nil) != (r.Public != nil) {
			t.Errorf("%+v, %v", r, err)
		}
		c := dkim.Compare(want, dkim.Place{Name: "s._domainkey.example", Texts: []string{text}}, nil)
		if c.State == "" || (c.Problem == "") != (c.State == dkim.Published) || strings.ContainsAny(c.Problem, "\r\n") {
			t.Errorf("%+v", c)
		}
		if strings.Join(dkim.SplitText(text), "") != text {
			t.Errorf("%q is not divided", text)
		}
	})
}
