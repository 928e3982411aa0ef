package receive_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"sync"
	"testing"

	"postroad/internal/proto/dkim"
	"postroad/internal/proto/message"
	"postroad/internal/service/receive"
)

// signer signs for domains by writing what it was given into a field.
type signer struct {
	mu      sync.Mutex
	domains []string
	headers []string
	hashes  []string
	none    bool
}

func (s *signer) Sign(_ context.Context, domain string, header []byte, body func() *dkim.Body) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.domains = append(s.domains, domain)
	if s.none {
		return nil
	}
	sum, err := body().Sum(dkim.Relaxed)
	if err != nil {
		return []byte("X-Signed: " + err.Error() + "\r\n")
	}
	s.headers = append(s.headers, string(header))
	s.hashes = append(s.hashes, base64.StdEncoding.EncodeToString(sum))
	return []byte("X-Signed: " + domain + "\r\n")
}

// bodyHash is the hash of a message's body by another way: all of it at once.
func bodyHash(t *testing.T, content string) string {
	t.Helper()
	_, body, _ := message.SplitHeader([]byte(content))
	b := dkim.NewBody(dkim.Relaxed)
	_, _ = b.Write(body)
	sum, err := b.Sum(dkim.Relaxed)
	if err != nil {
		t.Fatal(err)
	}
	return base64.StdEncoding.EncodeToString(sum)
}

func TestOwnUsersMailIsSigned(t *testing.T) {
	t.Parallel()
	line := strings.Repeat("x", 70) + "\r\n"
	for name, content := range map[string]string{
		"small":                  "From: ann@local.example\r\nSubject: x\r\n\r\nbody  \r\n\r\n\r\n",
		"no body":                "From: ann@local.example\r\nSubject: x\r\n",
		"empty body":             "From: ann@local.example\r\n\r\n",
		"a file":                 "From: ann@local.example\r\n\r\n" + strings.Repeat(line, 5000),
		"a header over the file": "From: ann@local.example\r\nX-Long: " + strings.Repeat(" "+line, 1500) + "\r\n" + strings.Repeat(line, 2000),
	} {
		for _, chunked := range []bool{false, true} {
			t.Run(fmt.Sprint(name, chunked), func(t *testing.T) {
				t.Parallel()
				s := &signer{}
				w, _ := newSubmission(t, receive.Submissions, &logins{}, func(c *receive.Config) { c.Signer = s })
				c := w.dial(t).secured()
				c.play("S: 220\nC: EHLO c\nS: 250\nC: AUTH PLAIN " + plain("", ann, secret) + "\nS: 235\n" +
					"C: MAIL FROM:<ann@local.example>\nS: 250\nC: RCPT TO:<bob@local.example>\nS: 250\nC: RCPT TO:<x@far.example>\nS: 250")
				if chunked {
					for rest := content; rest != ""; {
						n := min(len(rest), 1001)
						last := ""
						if n == len(rest) {
							last = " LAST"
						}
						_, _ = io.WriteString(c, fmt.Sprintf("BDAT %d%s\r\n%s", n, last, rest[:n]))
						c.play("S: 250")
						rest = rest[n:]
					}
				} else {
					c.play("C: DATA\nS: 354")
					_, _ = io.WriteString(c, content+".\r\n")
					c.play("S: 250 2.0.0 queued")
				}
				if len(s.hashes) != 1 || s.domains[0] != "local.example" || s.hashes[0] != bodyHash(t, w.contents[0]) || !strings.Contains(s.headers[0], "From: ann@local.example\r\n") {
					t.Fatalf("signed for %v: %q", s.domains, s.hashes)
				}
				for _, r := range w.accepted[0].Rows {
					if string(r.Head) != "X-Signed: local.example\r\n" {
						t.Errorf("row %+v", r)
					}
				}
				if len(w.accepted[0].Rows) != 2 || strings.Contains(w.contents[0], "X-Signed") {
					t.Errorf("rows %+v, content %q", w.accepted[0].Rows, w.contents[0])
				}
			})
		}
	}
}

func TestWhoseKeySigns(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ from, want string }{
		{"ann@local.example", "local.example"},
		{"ANN <Ann@LOCAL.example>", "local.example"},
		{"ann@m\u00fcller.example", "xn--mller-kva.example"},
		{"info@local.example, ann@xn--mller-kva.example", "local.example"},
	} {
		s := &signer{none: true}
		w, _ := newSubmission(t, receive.Submissions, &logins{}, func(c *receive.Config) { c.Signer = s })
		cl := w.dial(t).secured()
		cl.play("S: 220\nC: EHLO c\nS: 250\nC: AUTH PLAIN " + plain("", ann, secret) + "\nS: 235\n" +
			"C: MAIL FROM:<ann@local.example> SMTPUTF8\nS: 250\nC: RCPT TO:<bob@local.example>\nS: 250\nC: DATA\nS: 354\nC: Resent-From: info@local.example\nC: From: " + c.from + "\nC:\nC: x\nC: .\nS: 250")
		if got := strings.Join(s.domains, " "); got != c.want || w.accepted[0].Rows[0].Head != nil {
			t.Errorf("%s: signed by %q, head %q", c.from, got, w.accepted[0].Rows[0].Head)
		}
	}
}

func TestStrangersMailIsNotSigned(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		trusted      bool
		sender, from string
		want         string
	}{
		{false, "ann@local.example", "ann@local.example", ""},
		{true, "ann@local.example", "ann@local.example", "local.example"},
		{true, "ann@local.example", "x@far.example", ""},
		{true, "x@far.example", "ann@local.example", ""},
		{true, "", "ann@local.example", ""},
	} {
		s := &signer{}
		w := newWorld(t, func(cfg *receive.Config) {
			cfg.Signer = s
			if c.trusted {
				cfg.TrustedNetworks = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
			}
		})
		w.dial(t).play("S: 220\nC: EHLO c\nS: 250\nC: MAIL FROM:<" + c.sender + ">\nS: 250\nC: RCPT TO:<ann@local.example>\nS: 250\nC: DATA\nS: 354\nC: From: " + c.from + "\nC:\nC: x\nC: .\nS: 250")
		if got := strings.Join(s.domains, " "); got != c.want {
			t.Errorf("%+v: signed by %q", c, got)
		}
	}
}
