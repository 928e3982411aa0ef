package smtp

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

func TestAsk(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, ehlo, to     string
		script             map[string]string // by verb
		wantMail, wantRcpt int
		wantErr            error
		lines              []string
	}{
		{name: "taken", to: "a@b.example", wantMail: 250, wantRcpt: 250, lines: []string{"MAIL FROM:<>", "RCPT TO:<a@b.example>"}},
		{name: "refused", to: "a@b.example", script: map[string]string{"RCPT": "550 5.1.1 who?\r\n"}, wantMail: 250, wantRcpt: 550, lines: []string{"MAIL FROM:<>", "RCPT TO:<a@b.example>"}},
		{name: "sender refused", to: "a@b.example", script: map[string]string{"MAIL": "550 5.7.1 no reports\r\n"}, wantMail: 550, lines: []string{"MAIL FROM:<>"}},
		{name: "UTF-8", ehlo: "SMTPUTF8", to: "ä@b.example", wantMail: 250, wantRcpt: 250, lines: []string{"MAIL FROM:<> SMTPUTF8", "RCPT TO:<ä@b.example>"}},
		{name: "no UTF-8", to: "ä@b.example", wantErr: ErrUnsendable},
		{name: "smuggled command", to: "a>\r\nDATA@b.example", wantErr: ErrUnsendable},
		{name: "nobody", wantErr: ErrUnsendable},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			c, p, _ := newPeer(t, false, tc.ehlo, func(line string) string {
				verb, _, _ := strings.Cut(line, " ")
				return tc.script[verb]
			})
			sender, recipient, err := c.Ask(tc.to)
			p.stop(c)
			if sender.Code != tc.wantMail || recipient.Code != tc.wantRcpt || !errors.Is(err, tc.wantErr) {
				t.Errorf("%v, %v, %v", sender, recipient, err)
			}
			if want := slices.Concat([]string{"EHLO client.example"}, tc.lines, []string{"QUIT"}); !slices.Equal(p.lines, want) {
				t.Errorf("the peer heard %q, want %q", p.lines, want)
			}
		})
	}
}

func TestAskEndsTheTransactionBefore(t *testing.T) {
	t.Parallel()
	c, p, _ := newPeer(t, false, "", nil)
	for range 2 {
		if _, recipient, err := c.Ask("a@b.example"); recipient.Code != 250 || err != nil {
			t.Fatal(recipient, err)
		}
	}
	p.stop(c)
	want := []string{"EHLO client.example", "MAIL FROM:<>", "RCPT TO:<a@b.example>", "RSET", "MAIL FROM:<>", "RCPT TO:<a@b.example>", "QUIT"}
	if !slices.Equal(p.lines, want) {
		t.Errorf("the peer heard %q", p.lines)
	}
	if _, _, err := c.Ask("a@b.example"); !errors.Is(err, ErrClosed) {
		t.Errorf("after the end: %v", err)
	}
}
