package receive_test

import (
	"errors"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"testing"

	"postroad/internal/core/mail"
	"postroad/internal/core/policy"
	"postroad/internal/core/trace"
	"postroad/internal/proto/smtp"
	"postroad/internal/service/receive"
)

// bench is a judge whose verdict is the recipient's local part; it remembers what it was shown.
type bench struct {
	mu      sync.Mutex
	begun   []policy.Arrival
	headers []string
	bodies  []string
	ended   int
}

type sitting struct {
	bench        *bench
	header, body string
	ended        bool
}

func (b *bench) Begin(a policy.Arrival) receive.Judgement {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.begun = append(b.begun, a)
	return &sitting{bench: b}
}

func (s *sitting) Header(header []byte, _ []mail.Recipient) { s.header += string(header) }

func (s *sitting) Write(p []byte) (int, error) {
	s.body += string(p)
	return len(p), nil
}

func (s *sitting) Judge(rows []mail.Recipient) []policy.Ruling {
	s.bench.mu.Lock()
	defer s.bench.mu.Unlock()
	s.bench.headers, s.bench.bodies = append(s.bench.headers, s.header), append(s.bench.bodies, s.body)
	out := make([]policy.Ruling, len(rows))
	for i := range rows {
		local, _, _ := strings.Cut(rows[i].Original, "@")
		word, _, _ := strings.Cut(local, "+")
		r := policy.Ruling{Field: []byte("Authentication-Results: mx.test.example; x=" + word + "\r\n"), Checks: []policy.Check{{Method: "spf", Result: "fail", Sentence: "SPF fail."}}}
		r.Reasons = []string{"Because."}
		switch word {
		case "bob", "reject":
			r.Action, r.Reply = policy.Reject, smtp.Reply{Code: 550, Enhanced: smtp.Enhanced{5, 7, 26}, Text: "no"}
		case "defer":
			r.Action, r.Reply = policy.Defer, smtp.Reply{Code: 451, Enhanced: smtp.Enhanced{4, 4, 3}, Text: "later"}
		default:
			r.Action, r.Untold = policy.Accept, word == "untold"
		}
		out[i] = r
	}
	return out
}

func (s *sitting) End() {
	s.bench.mu.Lock()
	defer s.bench.mu.Unlock()
	if !s.ended {
		s.ended = true
		s.bench.ended++
	}
}

func judged(t *testing.T) (*world, *bench, *told) {
	t.Helper()
	b, r := &bench{}, &told{}
	return newWorld(t, func(c *receive.Config) { c.Judge, c.Recorder = b, r }), b, r
}

const envelope = `
	C: MAIL FROM:<x@far.example>
	S: 250`

func (c *client) message(to []string, content string, want string) {
	c.t.Helper()
	c.play(envelope)
	for _, r := range to {
		c.play("C: RCPT TO:<" + r + "> NOTIFY=FAILURE\nS: 250")
	}
	c.play("C: DATA\nS: 354\nR: " + content + "\nC: .\nS: " + want)
}

func TestAJudgedMessageThatIsNotStoredIsToldOfToo(t *testing.T) {
	t.Parallel()
	w, _, r := judged(t)
	w.fail = errors.New("disk on fire")
	c := w.dial(t)
	c.play("S: 220\nC: EHLO client.example\nS: 250")
	c.message([]string{"ann@local.example"}, `From: x@far.example\r\n\r\nbody\r\n`, "451 4.3.0")
	if len(r.events) != 1 || r.events[0].Kind != trace.Refused || len(r.events[0].Checks) != 1 {
		t.Errorf("%+v", r.events)
	}
}

// TestVerdictsOfSeveralRecipients is routing.md, Policy with several recipients.
func TestVerdictsOfSeveralRecipients(t *testing.T) {
	t.Parallel()
	w, b, r := judged(t)
	c := w.dial(t)
	c.play("S: 220\nC: EHLO client.example\nS: 250")
	const content = `From: x@far.example\r\n\r\nbody\r\n`
	c.message([]string{"bob@local.example", "reject@relay.example"}, content, "550 5.7.26 no")
	c.message([]string{"defer@relay.example"}, content, "451 4.4.3 later")
	c.message([]string{"ann@local.example", "bob@local.example", "reject@relay.example", "defer@relay.example", "untold@relay.example", "fine@relay.example"}, content, "250")
	if len(w.accepted) != 1 || len(b.begun) != 3 || b.ended != 3 || b.begun[0].Client.String() != "127.0.0.1" || b.begun[0].Helo != "client.example" || b.begun[0].Recipient != "bob@local.example" {
		t.Fatalf("%d accepted, %+v, %d ended", len(w.accepted), b.begun, b.ended)
	}
	for i, want := range []struct {
		state  mail.State
		junk   bool
		notify smtp.Notify
	}{
		{"", false, smtp.NotifyFailure},
		{"", true, smtp.NotifyNever},
		{mail.StateQuarantined, true, smtp.NotifyNever},
		{mail.StateQuarantined, true, smtp.NotifyNever},
		{"", false, smtp.NotifyNever},
		{"", false, smtp.NotifyFailure},
	} {
		row := w.accepted[0].Rows[i]
		word, _, _ := strings.Cut(row.Original, "@")
		if row.State != want.state || row.Junk != want.junk || row.Notify != want.notify || string(row.Head) != "Authentication-Results: mx.test.example; x="+word+"\r\n" {
			t.Errorf("%s: %+v", row.Original, row)
		}
	}
	kinds := map[string]int{}
	for i := range r.events {
		e := &r.events[i]
		kinds[e.Kind.String()+" "+e.Word]++
		if e.Kind != trace.Accepted && (len(e.Checks) != 1 || e.Note == "" || e.Owner != "a") {
			t.Errorf("%s for %s: %+v", e.Kind, e.Recipient, e.Step)
		}
	}
	if kinds["refused "] != 3 || kinds["accepted "] != 1 || kinds["judged accept"] != 3 || kinds["judged quarantine"] != 3 {
		t.Errorf("events %v", kinds)
	}
}

func TestResultsInTheNamesOfOtherNodesAreRemoved(t *testing.T) {
	t.Parallel()
	const ours, nodes, others = `Authentication-Results: mx.test.example; none\r\n`, `Authentication-Results: MX2.test.example; spf=pass\r\n`, `Authentication-Results: mx3.test.example; spf=pass\r\n`
	raw := strings.NewReplacer(`\r`, "\r", `\n`, "\n")
	for names, want := range map[string]string{"mx.test.example": nodes + others, "mx.test.example mx2.test.example": others} {
		w := newWorld(t, func(c *receive.Config) { c.Names = func() []string { return strings.Fields(names) } })
		c := w.dial(t)
		c.play("S: 220\nC: EHLO client.example\nS: 250")
		c.message([]string{"ann@local.example"}, ours+nodes+others+`From: a@b\r\n\r\nbody\r\n`, "250")
		if _, stored, _ := strings.Cut(w.contents[0], " +0000\r\n"); stored != raw.Replace(want+`From: a@b\r\n\r\nbody\r\n`) {
			t.Errorf("as %s: stored %q", names, stored)
		}
	}
}

// TestResultsInOurNameAreRemoved: what a stranger says in our name is not stored, byte for byte the rest is, and the judge
// sees the message as it came.
func TestResultsInOurNameAreRemoved(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, header, body, stored string }{
		{
			"ours and another's", `Authentication-Results: mx.test.example;\r\n dkim=pass\r\nX: 1\r\nauthentication-results :  "MX.test.example"; none\r\nAuthentication-Results: other.example; spf=pass\r\nbroken line\r\nFrom: a@b\r\n`, `body\r\n`,
			`X: 1\r\nAuthentication-Results: other.example; spf=pass\r\nbroken line\r\nFrom: a@b\r\n`,
		},
		{"not readable", `Authentication-Results: (\r\nFrom: a@b\r\n`, `body\r\n`, `From: a@b\r\n`},
		{"none", `From: a@b\r\nX:   y \r\n`, `\r\n.. body\r\n`, `From: a@b\r\nX:   y \r\n`},
		{"all header", `From: a@b\r\nAuthentication-Results: mx.test.example; none\r\n`, "", `From: a@b\r\n`},
		{"no header", "", `body\r\n`, ""},
		{"large", `Authentication-Results: mx.test.example; none\r\nFrom: a@b\r\n`, strings.Repeat("x", 900) + `\r\n` + strings.Repeat(strings.Repeat("y", 100)+`\r\n`, 900), `From: a@b\r\n`},
	} {
		for _, chunks := range []bool{false, true} {
			w, b, _ := judged(t)
			raw := strings.NewReplacer(`\r`, "\r", `\n`, "\n")
			blank := `\r\n`
			if c.body == "" {
				blank = ""
			}
			sent := raw.Replace(c.header + blank + c.body)
			d := w.dial(t)
			d.play("S: 220\nC: EHLO client.example\nS: 250" + envelope + "\nC: RCPT TO:<ann@local.example>\nS: 250")
			if chunks {
				half := len(sent) / 2
				d.play("C: BDAT " + strconv.Itoa(half))
				_, _ = d.Write([]byte(sent[:half]))
				d.play("S: 250\nC: BDAT " + strconv.Itoa(len(sent)-half) + " LAST")
				_, _ = d.Write([]byte(sent[half:]))
				d.play("S: 250")
			} else {
				d.play("C: DATA\nS: 354")
				_, _ = d.Write([]byte(strings.ReplaceAll(sent, "\r\n.", "\r\n..") + ".\r\n"))
				d.play("S: 250")
			}
			_, stored, _ := strings.Cut(w.contents[0], " +0000\r\n")
			if want := raw.Replace(c.stored + blank + c.body); stored != want {
				t.Errorf("%s, in chunks %v: stored %.200q, want %.200q", c.name, chunks, stored, want)
			}
			if b.headers[0] != raw.Replace(c.header) || b.bodies[0] != raw.Replace(c.body) {
				t.Errorf("%s, in chunks %v: judged by %.200q and %.200q", c.name, chunks, b.headers[0], b.bodies[0])
			}
			if st := w.accepted[0]; st.Message.Size != int64(len(w.contents[0])) {
				t.Errorf("%s: size %d of %d", c.name, st.Message.Size, len(w.contents[0]))
			}
		}
	}
}

var loopback = netip.MustParsePrefix("127.0.0.0/8")

// TestWhoIsNotJudged: trusted networks are not, nor is a transaction without a recipient; one that is given up is forgotten.
func TestWhoIsNotJudged(t *testing.T) {
	t.Parallel()
	w, b, _ := judged(t)
	c := w.dial(t)
	c.play("S: 220\nC: EHLO client.example\nS: 250" + envelope + "\nC: RCPT TO:<nobody@local.example>\nS: 550\nC: RSET\nS: 250")
	if len(b.begun) != 0 {
		t.Errorf("%+v", b.begun)
	}
	c.play(envelope[1:] + "\nC: RCPT TO:<ann@local.example>\nS: 250\nC: RSET\nS: 250")
	c.play(envelope[1:] + "\nC: RCPT TO:<ann@local.example>\nS: 250\nC: QUIT\nS: 221\nS: closed")
	w.stop(t)
	if len(b.begun) != 2 || b.ended != 2 {
		t.Errorf("%d begun, %d ended", len(b.begun), b.ended)
	}
	bench := &bench{}
	w = newWorld(t, func(cfg *receive.Config) {
		cfg.Judge = bench
		cfg.TrustedNetworks = append(cfg.TrustedNetworks, loopback)
	})
	c = w.dial(t)
	c.play("S: 220\nC: EHLO client.example\nS: 250\nC: MAIL FROM:<ann@local.example>\nS: 250\nC: RCPT TO:<reject@relay.example>\nS: 250\nC: DATA\nS: 354\nC: .\nS: 250")
	if len(bench.begun) != 0 || len(w.accepted) != 1 || len(w.accepted[0].Rows[0].Head) != 0 {
		t.Errorf("a trusted network was judged: %+v", bench.begun)
	}
}
