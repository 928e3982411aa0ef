package judgebench

import (
	"bufio"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"postroad/internal/proto/dkim"
)

const (
	rounds   = 5
	turns    = 20  // of each server in a round
	messages = 250 // in a turn
	sessions = 10  // at once
	variants = 200 // of the message
)

// letters are signed messages, each with its own signature.
func letters(tb testing.TB, key *rsa.PrivateKey) [][]byte {
	tb.Helper()
	list := make([][]byte, variants)
	for n := range list {
		header := fmt.Sprintf("Received: from app.far.test (app.far.test [10.0.0.7])\r\n\tby mx.far.test with ESMTPS id %08x;\r\n\tSat, 28 Nov 2026 12:00:00 +0000\r\n"+
			"From: Bob of Far <bob@far.test>\r\nTo: Ann <ann@relay.example>\r\nSubject: number %d about the matter of the week\r\nDate: Sat, 28 Nov 2026 12:00:00 +0000\r\n"+
			"Message-ID: <%d.1@far.test>\r\nReply-To: <office@far.test>\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nX-Mailer: Far 1.0\r\nList-Unsubscribe: <https://far.test/u/%d>\r\n", n, n, n, n)
		text := []byte(strings.Repeat(fmt.Sprintf("Line of letter %4d, as people write them, one like another.\r\n", n), 155))
		body := dkim.NewBody(dkim.Relaxed)
		_, _ = body.Write(text)
		signature, err := dkim.Sign([]byte(header), body, []dkim.Key{{Domain: "far.test", Selector: "s1", Signer: key}}, dkim.Options{Header: dkim.Relaxed, Body: dkim.Relaxed, Time: time.Now()})
		if err != nil {
			tb.Fatal(err)
		}
		list[n] = slices.Concat(signature, []byte(header), []byte("\r\n"), text, []byte(".\r\n"))
	}
	return list
}

// send brings messages over several sessions at once.
func send(tb testing.TB, address string, list [][]byte) {
	tb.Helper()
	var running sync.WaitGroup
	for k := range sessions {
		running.Go(func() {
			conn, err := net.Dial("tcp", address)
			if err != nil {
				tb.Error(err)
				return
			}
			defer func() { _ = conn.Close() }()
			in := bufio.NewReader(conn)
			say := func(octets []byte, want byte) bool {
				if octets != nil {
					if _, err := conn.Write(octets); err != nil {
						tb.Error(err)
						return false
					}
				}
				for {
					line, err := in.ReadString('\n')
					if err != nil || len(line) < 4 || line[0] != want {
						tb.Errorf("%q, %v", line, err)
						return false
					}
					if line[3] == ' ' {
						return true
					}
				}
			}
			ok := say(nil, '2') && say([]byte("EHLO mx.far.test\r\n"), '2')
			for n := k; ok && n < messages; n += sessions {
				content := list[n%len(list)]
				ok = say(fmt.Appendf(nil, "MAIL FROM:<bob@far.test> SIZE=%d\r\n", len(content)), '2') && say([]byte("RCPT TO:<ann@relay.example>\r\n"), '2') &&
					say([]byte("DATA\r\n"), '3') && say(content, '2')
			}
		})
	}
	running.Wait()
}

// verify is one RSA operation of a key.
func verify(tb testing.TB, key *rsa.PrivateKey) func() {
	tb.Helper()
	sum := sha256.Sum256([]byte("x"))
	signature, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, sum[:])
	if err != nil {
		tb.Fatal(err)
	}
	return func() {
		if err := rsa.VerifyPKCS1v15(&key.PublicKey, crypto.SHA256, sum[:], signature); err != nil {
			tb.Error(err)
		}
	}
}

// median of some figures.
func median(list []float64) float64 {
	slices.Sort(list)
	return list[len(list)/2]
}

// BenchmarkJudgedRelay has a server that judges and one that does not relay the same messages in short turns, so that what
// else happens on the machine meets both alike. It tells the medians of the processor time per message, and by how much
// judging raises it beside the RSA operation.
func BenchmarkJudgedRelay(b *testing.B) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		b.Fatal(err)
	}
	record, err := dkim.MakeRecord(key.Public())
	if err != nil {
		b.Fatal(err)
	}
	binary, dns, list := build(b), world(b, record), letters(b, key)
	judging, plain := start(b, binary, dns, "enforce"), start(b, binary, dns, "off")
	turn := func(s *server) {
		send(b, s.smtp, list)
		s.relayed(b, messages)
	}
	operate := verify(b, key)
	turn(judging) // from here on DNS is known
	turn(plain)
	for b.Loop() {
		var with, without, alone, raised []float64
		for range rounds {
			rest(b, judging, plain)
			begun := [...]time.Duration{judging.spent(b), plain.spent(b)}
			var operations time.Duration
			for range turns {
				turn(judging)
				turn(plain)
				began := time.Now()
				for range messages {
					operate()
				}
				operations += time.Since(began)
			}
			rest(b, judging, plain)
			one := float64((judging.spent(b) - begun[0]).Microseconds()) / (turns * messages)
			other := float64((plain.spent(b) - begun[1]).Microseconds()) / (turns * messages)
			operation := float64(operations.Microseconds()) / (turns * messages)
			with, without, alone = append(with, one), append(without, other), append(alone, operation)
			raised = append(raised, 100*(one-other-operation)/other)
		}
		b.ReportMetric(median(with), "judged-us/message")
		b.ReportMetric(median(without), "plain-us/message")
		b.ReportMetric(median(alone), "rsa-us/message")
		b.ReportMetric(median(raised), "%raised")
	}
	for _, result := range []string{"dkim=pass", "spf=pass", "dmarc=pass"} {
		if one, other := judging.content(), plain.content(); !strings.Contains(one, result) || strings.Contains(other, result) {
			b.Errorf("%s:\n%s\n%s", result, one[:min(1500, len(one))], other[:min(1500, len(other))])
		}
	}
}
