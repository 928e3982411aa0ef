package dkim_test

import (
	"strings"
	"testing"

	"postroad/internal/proto/dkim"
	"postroad/internal/proto/message"
)

// tenKilobytes is an ordinary message.
func tenKilobytes() string {
	return crlf(joesHeader) + "\r\n" + strings.Repeat("The quick brown fox jumps over the lazy dog, and so on and on.\r\n", 160)
}

func BenchmarkBody(b *testing.B) {
	_, content, _ := message.SplitHeader([]byte(tenKilobytes()))
	for _, c := range []dkim.Canonicalization{dkim.Simple, dkim.Relaxed} {
		b.Run(c.String(), func(b *testing.B) {
			b.SetBytes(int64(len(content)))
			for b.Loop() {
				body := dkim.NewBody(c)
				_, _ = body.Write(content)
				if _, err := body.Sum(c); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkSign(b *testing.B) {
	header, content, _ := message.SplitHeader([]byte(tenKilobytes()))
	for i, name := range []string{"rsa-2048", "ed25519"} {
		keys := ourKeys(b)[i : i+1]
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				body := dkim.NewBody(dkim.Relaxed)
				_, _ = body.Write(content)
				if _, err := dkim.Sign(header, body, keys, dkim.Options{Time: now}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkVerify(b *testing.B) {
	for i, name := range []string{"rsa-2048", "ed25519"} {
		keys := ourKeys(b)[i : i+1]
		lookup := records(published(b, keys...))
		header, content, _ := message.SplitHeader([]byte(sign(b, tenKilobytes(), keys, dkim.Options{Time: now})))
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				s := dkim.Read(header)
				body := dkim.NewBody(s.Canonicalizations()...)
				_, _ = body.Write(content)
				if got := s.Verify(b.Context(), body, lookup, now); got[0].Word != dkim.Pass {
					b.Fatal(got)
				}
			}
		})
	}
}
