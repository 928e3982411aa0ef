package judge_test

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"time"

	"postroad/internal/core/mail"
	"postroad/internal/core/policy"
	"postroad/internal/core/routing"
	"postroad/internal/proto/dkim"
	"postroad/internal/service/judge"
)

// view is a directory that is made once.
type view routing.View

func (v view) View() routing.View { return routing.View(v) }

// BenchmarkJudge judges a signed message of 10 KB whose DNS is known: SPF, one RSA signature, DMARC. What the RSA operation
// itself takes is BenchmarkRSA.
func BenchmarkJudge(b *testing.B) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		b.Fatal(err)
	}
	body := []byte(strings.Repeat("A line of an ordinary message, as people write them.\r\n", 190))
	hashed := dkim.NewBody(dkim.Relaxed)
	_, _ = hashed.Write(body)
	field, err := dkim.Sign([]byte(header), hashed, []dkim.Key{{Domain: "far.test", Selector: "s1", Signer: key}}, dkim.Options{Header: dkim.Relaxed, Body: dkim.Relaxed, Time: time.Now()})
	if err != nil {
		b.Fatal(err)
	}
	record, err := dkim.MakeRecord(key.Public())
	if err != nil {
		b.Fatal(err)
	}
	w := dns(zones)
	w.records["s1._domainkey.far.test"] = []string{"TXT " + record}
	s := judge.New(judge.Config{Hostname: "mx.postroad.example", Known: w}, w, view(ours.View()), nil, slog.New(slog.DiscardHandler))
	signed := append(field, header...)
	rows := []mail.Recipient{{Original: "u@plain.example", Destination: "u@plain.example"}}
	b.ReportAllocs()
	for b.Loop() {
		j := s.Begin(policy.Arrival{Client: netip.MustParseAddr("203.0.113.5"), Helo: "mx.far.test", Sender: "bob@far.test", Recipient: rows[0].Original})
		j.Header(signed, rows)
		_, _ = j.Write(body)
		r := j.Judge(rows)
		j.End()
		if r[0].Action != policy.Accept || !strings.Contains(string(r[0].Field), "dkim=pass") {
			b.Fatalf("%s", r[0].Field)
		}
	}
}

// BenchmarkRSA is the verification of one signature alone.
func BenchmarkRSA(b *testing.B) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		b.Fatal(err)
	}
	sum := sha256.Sum256([]byte("x"))
	signature, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, sum[:])
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if err := rsa.VerifyPKCS1v15(&key.PublicKey, crypto.SHA256, sum[:], signature); err != nil {
			b.Fatal(err)
		}
	}
}
