package arc_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"postroad/internal/proto/arc"
	"postroad/internal/proto/dkim"
	"postroad/internal/proto/message"
)

var now = time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)

// hosts is a way that a message takes: each host has a key, and DNS has all of them.
type hosts struct {
	keys  []dkim.Key
	table map[string][]string
}

func newHosts(t testing.TB, n int) *hosts {
	t.Helper()
	h := &hosts{table: make(map[string][]string)}
	big, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	for i := range n {
		key := dkim.Key{Domain: fmt.Sprintf("h%d.example", i+1), Selector: "s1", Signer: big}
		if i%2 == 1 {
			_, key.Signer, err = ed25519.GenerateKey(rand.Reader)
			if err != nil {
				t.Fatal(err)
			}
		}
		text, err := dkim.MakeRecord(key.Signer.Public())
		if err != nil {
			t.Fatal(err)
		}
		h.keys = append(h.keys, key)
		h.table[dkim.KeyName(key.Selector, key.Domain)] = []string{text}
	}
	return h
}

func (h *hosts) lookup(_ context.Context, name string) ([]string, error) {
	if texts, ok := h.table[name]; ok {
		return texts, nil
	}
	return nil, dkim.ErrNoRecord
}

// judge reads and validates a message.
func judge(t testing.TB, msg []byte, lookup dkim.Lookup) (*arc.Chain, *dkim.Body, arc.Result) {
	t.Helper()
	header, content, _ := message.SplitHeader(msg)
	chain := arc.Read(header)
	body := dkim.NewBody(append(chain.Canonicalizations(), dkim.Relaxed)...)
	_, _ = body.Write(content)
	return chain, body, chain.Validate(t.Context(), body, lookup)
}

// pass hands a message through the host with the given number.
func (h *hosts) pass(t testing.TB, msg []byte, n int) []byte {
	t.Helper()
	chain, body, validated := judge(t, msg, h.lookup)
	results := fmt.Sprintf("h%d.example; arc=%s; spf=pass smtp.mailfrom=a@b.example", n, validated.State)
	fields, err := arc.Seal(chain, validated, body, results, h.keys[n-1], now)
	if err != nil {
		t.Fatal(err)
	}
	return append(fields, msg...)
}

const letter = "DKIM-Signature: v=1; a=x; b=y\r\nReceived: from a by b\r\nFrom: a@b.example\r\nTo: c@d.example\r\n" +
	"Subject: hello\r\nDate: Sat, 28 Nov 2026 12:00:00 +0000\r\n\r\nHello.\r\n"

func TestChainGrowsToItsLimit(t *testing.T) {
	h := newHosts(t, arc.MaxSets+1)
	msg := []byte(letter)
	for n := 1; n <= arc.MaxSets; n++ {
		below := msg
		msg = h.pass(t, msg, n)
		if !bytes.HasSuffix(msg, below) {
			t.Fatal("what came was changed")
		}
		chain, _, got := judge(t, msg, h.lookup)
		if got.State != arc.Pass || len(got.Sets) != n || chain.Len() != n || len(chain.KeyNames()) != n {
			t.Fatalf("after %d hosts: %+v", n, got)
		}
		want := arc.Set{Instance: n, Domain: fmt.Sprintf("h%d.example", n), Selector: "s1"}
		last := got.Sets[n-1]
		if !strings.HasPrefix(last.Results, want.Domain+"; arc=") {
			t.Errorf("results of %d: %q", n, last.Results)
		}
		if last.Results = ""; last != want {
			t.Errorf("set %d: %+v", n, last)
		}
	}
	if again := h.pass(t, msg, arc.MaxSets+1); !bytes.Equal(again, msg) {
		t.Error("a full chain was sealed")
	}
	first, _, _ := strings.Cut(string(msg), "\r\n")
	if !strings.HasPrefix(first, "ARC-Seal: i=50;") {
		t.Errorf("the seal begins with %q (RFC 8617 §4.1.3: the instance first)", first)
	}
}

func TestChangesBreakTheChain(t *testing.T) {
	h := newHosts(t, 3)
	msg := letter
	for n := 1; n <= 3; n++ {
		msg = string(h.pass(t, []byte(msg), n))
	}
	for _, test := range []struct{ name, old, changed string }{
		{"the body", "Hello.", "Hello!"},
		{"a field that is signed", "Subject: hello", "Subject: hallo"},
		{"a field that is signed as not there", "Subject: hello", "Subject: hello\r\nReply-To: e@f.example"},
		{"the DKIM signature", "DKIM-Signature: v=1", "DKIM-Signature: v=2"},
		{"results of the first host", "h1.example; arc=none; spf=pass", "h1.example; arc=none; spf=fail"},
		{"results of the last host", "h3.example; arc=pass", "h3.example; arc=none"},
		{"the second seal", "cv=pass; d=h2.example", "cv=pass; d=h2.example;"},
		{"the instance of a seal", "ARC-Seal: i=2", "ARC-Seal: i=1"},
		{"a seal that is renamed", "ARC-Seal: i=2", "X-ARC-Seal: i=2"},
		{"a fourth seal without a set", "ARC-Seal: i=3", "ARC-Seal: i=4; a=rsa-sha256; cv=pass; d=x.example; s=s; b=AAAA\r\nARC-Seal: i=3"},
		{"a seal that cannot be read", "ARC-Seal: i=3", "ARC-Seal: nonsense\r\nARC-Seal: i=3"},
		{"the domain of a seal", "cv=pass; d=h2.example", "cv=pass; d=h1.example"},
		{"cv=", "cv=none; d=h1.example", "cv=pass; d=h1.example"},
		{"l=", "ARC-Message-Signature: i=3;", "ARC-Message-Signature: i=3; l=1;"},
	} {
		t.Run(test.name, func(t *testing.T) {
			changed := strings.Replace(msg, test.old, test.changed, 1)
			if changed == msg {
				t.Fatal("nothing was changed")
			}
			chain, body, got := judge(t, []byte(changed), h.lookup)
			if got.State != arc.Fail || got.Temporary || got.Reason == "" || got.Sets != nil {
				t.Errorf("got %+v", got)
			}
			// The next host says so, and after it nobody adds anything.
			fields, err := arc.Seal(chain, got, body, "h1.example; arc=fail", h.keys[0], now)
			if err != nil || !bytes.Contains(fields, []byte("cv=fail")) {
				t.Fatalf("sealed with %q, %v", fields, err)
			}
			chain, body, again := judge(t, append(fields, changed...), h.lookup)
			if again.State != arc.Fail {
				t.Errorf("sealed as broken, and then %+v", again)
			}
			if more, err := arc.Seal(chain, again, body, "h2.example; arc=fail", h.keys[1], now); err != nil || more != nil {
				t.Errorf("a chain that ended goes on: %q, %v", more, err)
			}
		})
	}
	// What hosts on the way add above, and what nobody signs, breaks nothing.
	if _, _, got := judge(t, []byte("Received: x\r\nAuthentication-Results: y\r\n"+msg+"\r\n\r\n"), h.lookup); got.State != arc.Pass {
		t.Errorf("with new trace fields: %+v", got)
	}
}

func TestLongChainsFailUnseen(t *testing.T) {
	asked := 0
	lookup := func(context.Context, string) ([]string, error) { asked++; return nil, dkim.ErrTemporary }
	many := strings.Repeat("ARC-Seal: i=1; a=rsa-sha256; cv=none; d=x.example; s=s; b=AAAA\r\n", 51) + letter
	chain, body, got := judge(t, []byte(many), lookup)
	if got.State != arc.Fail || got.Temporary || asked != 0 || chain.KeyNames() != nil {
		t.Errorf("51 seals: %+v after %d look-ups", got, asked)
	}
	key := newHosts(t, 1).keys[0]
	if fields, err := arc.Seal(chain, got, body, "h1.example; arc=fail", key, now); fields != nil || err != nil {
		t.Errorf("sealed: %q, %v", fields, err)
	}
}

func TestDNSThatDoesNotAnswerEndsNoChain(t *testing.T) {
	h := newHosts(t, 2)
	msg := h.pass(t, []byte(letter), 1)
	down := func(context.Context, string) ([]string, error) { return nil, dkim.ErrTemporary }
	chain, body, got := judge(t, msg, down)
	if got.State != arc.Fail || !got.Temporary {
		t.Errorf("got %+v", got)
	}
	if fields, err := arc.Seal(chain, got, body, "h2.example; arc=fail", h.keys[1], now); fields != nil || err != nil {
		t.Errorf("sealed: %q, %v", fields, err)
	}
	// A key that is gone is no accident.
	delete(h.table, "s1._domainkey.h1.example")
	if _, _, got := judge(t, msg, h.lookup); got.State != arc.Fail || got.Temporary || !strings.Contains(got.Reason, "there is no key") {
		t.Errorf("got %+v", got)
	}
}

func TestWhatCannotBeSealed(t *testing.T) {
	h := newHosts(t, 1)
	chain, body, none := judge(t, []byte(letter), h.lookup)
	if none.State != arc.None || none.Reason == "" {
		t.Errorf("an unsealed message: %+v", none)
	}
	if _, err := arc.Seal(chain, none, body, " ; ", h.keys[0], now); !errors.Is(err, arc.ErrResults) {
		t.Errorf("without results: %v", err)
	}
	if _, err := arc.Seal(chain, none, body, "h1.example; x=\r\ny", h.keys[0], now); err == nil {
		t.Error("results with a line end were sealed")
	}
	small, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	weak := dkim.Key{Domain: "h1.example", Selector: "s1", Signer: small}
	if _, err := arc.Seal(chain, none, body, "h1.example; arc=none", weak, now); err == nil || !strings.Contains(err.Error(), "too short") {
		t.Errorf("with 1,024 bits: %v", err)
	}
	if _, err := arc.Seal(chain, none, dkim.NewBody(), "h1.example; arc=none", h.keys[0], now); !errors.Is(err, dkim.ErrBodyHash) {
		t.Errorf("without a body hash: %v", err)
	}
	many := strings.Repeat("Subject: x\r\n", 200) + letter
	chain, body, none = judge(t, []byte(many), h.lookup)
	if _, err := arc.Seal(chain, none, body, "h1.example; arc=none", h.keys[0], now); !errors.Is(err, dkim.ErrTooMany) {
		t.Errorf("200 subjects: %v", err)
	}
}

func TestResultsOfOneHost(t *testing.T) {
	header := "Authentication-Results: h1.example 1; spf=pass\r\n smtp.mailfrom=a;\r\nAuthentication-Results: evil.example; dmarc=pass\r\n" +
		"authentication-results: H1.Example;dkim=none\r\nAuthentication-Results: h1.example; \r\nAuthentication-Results: \r\n"
	if got, want := arc.Results([]byte(header), "h1.example"), "h1.example; spf=pass smtp.mailfrom=a; dkim=none"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := arc.Results([]byte(header), "h2.example"); got != "" {
		t.Errorf("of a host without results: %q", got)
	}
}

// dkimpyJudges prints what dkimpy says of each chain.
const dkimpyJudges = `
import dkim, json, sys
asked = json.load(sys.stdin)
def txt(name, timeout=5):
    texts = asked["dns"].get(name.decode().rstrip("."))
    return texts[0].encode() if texts else None
json.dump([dkim.arc_verify(m.encode(), dnsfunc=txt)[0].decode() for m in asked["messages"]], sys.stdout)
`

// A second program believes our chains, and finds broken what is broken. It knows RSA seals alone.
func TestOursToDkimpy(t *testing.T) {
	h := newHosts(t, 5)
	h.keys = slices.DeleteFunc(h.keys, func(k dkim.Key) bool { _, ok := k.Signer.(ed25519.PrivateKey); return ok })
	messages := []string{letter}
	want := []string{"none"}
	for n := 1; n <= len(h.keys); n++ {
		messages = append(messages, string(h.pass(t, []byte(messages[n-1]), n)))
		want = append(want, "pass")
	}
	messages = append(messages, strings.Replace(messages[len(h.keys)], "Hello.", "Hello!", 1))
	want = append(want, "fail")
	in, err := json.Marshal(map[string]any{"dns": h.table, "messages": messages})
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "/usr/bin/python3", "-c", dkimpyJudges)
	cmd.Stdin = bytes.NewReader(in)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("dkimpy: %v", err)
	}
	var got []string
	if err := json.Unmarshal(out, &got); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(got, want) {
		t.Errorf("dkimpy says %q, want %q", got, want)
	}
}

// Whatever a header holds, the chain has a state that can be shown, and sealing adds three fields or none.
func FuzzChain(f *testing.F) {
	h := &hosts{table: make(map[string][]string)}
	for n := range 2 {
		key := dkim.Key{Domain: fmt.Sprintf("h%d.example", n+1), Selector: "s1", Signer: ed25519.NewKeyFromSeed(make([]byte, 32))}
		text, err := dkim.MakeRecord(key.Signer.Public())
		if err != nil {
			f.Fatal(err)
		}
		h.keys = append(h.keys, key)
		h.table[dkim.KeyName(key.Selector, key.Domain)] = []string{text}
	}
	sealed := h.pass(f, []byte(letter), 1)
	f.Add(sealed)
	f.Add(h.pass(f, sealed, 2))
	f.Add([]byte("ARC-Seal: i=1\nARC-Authentication-Results: i=50;\r\n\r\n"))
	f.Fuzz(func(t *testing.T, msg []byte) {
		chain, body, got := judge(t, msg, h.lookup)
		if got.State == "" || got.Reason == "" || strings.ContainsAny(got.Reason, "\r\n\x00") || (got.State == arc.Pass) != (got.Sets != nil) {
			t.Errorf("%+v", got)
		}
		fields, err := arc.Seal(chain, got, body, "h2.example; arc="+string(got.State), h.keys[1], now)
		if err != nil && !errors.Is(err, dkim.ErrTooMany) {
			t.Error(err)
		}
		n := 0
		for field := range message.Fields(fields) {
			if !strings.HasPrefix(field.Name, "ARC-") {
				t.Errorf("field %q", field.Raw)
			}
			n++
		}
		if n != 0 && n != 3 {
			t.Errorf("%d fields", n)
		}
	})
}
