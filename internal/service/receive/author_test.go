package receive_test

import (
	"io"
	"strings"
	"testing"
	"time"

	"postroad/internal/core/directory"
	"postroad/internal/service/receive"
)

// TestTheRouteIsTheAuthors: what is known of the author only when the content has come decides by which route it leaves.
func TestTheRouteIsTheAuthors(t *testing.T) {
	t.Parallel()
	w, _ := newSubmission(t, receive.Submissions, &logins{}, nil)
	identity := func(id, address string) directory.Identity {
		return directory.Identity{ID: id, Account: "a", Domain: "local.example", Mailbox: "1", Address: address, Proof: directory.ProvedByMail, Expires: time.Now().Add(time.Hour)}
	}
	w.view.Directory = w.view.Directory.With(directory.Delta{
		PutRules:      []directory.Rule{{ID: "8", Account: "a", Domain: "local.example", Local: "team", Kind: directory.RuleGroup, Targets: []string{"bob@local.example", "y@far.example"}}},
		PutIdentities: []directory.Identity{identity("i1", "ann@acme.example"), identity("i2", "ann@other.example")},
		PutOutbounds: []directory.Outbound{
			{ID: "o1", Account: "a", Identity: "acme.example", Hop: directory.HostPort{Host: "mail.acme.example", Port: 587}},
			{ID: "o2", Account: "b", Identity: "other.example", Hop: directory.HostPort{Host: "mail.other.example", Port: 587}},
		},
	})
	c := w.dial(t).secured()
	c.play("S: 220\nC: EHLO c\nS: 250\nC: AUTH PLAIN " + plain("", ann, secret) + "\nS: 235 2.7.0")
	const relay, mx = "relay/mail.acme.example:587#o1", "remote/far.example"
	for _, tt := range []struct{ sender, from, want string }{
		{"ann@local.example", "ann@local.example", mx},
		{"ann@acme.example", "ann@acme.example", relay},
		{"ann@local.example", "Ann <ann@ACME.example>", relay},
		{"", "ann@acme.example", relay},
		{"ann@acme.example", "ann@local.example", relay},
		{"ann@acme.example", "ann@acme.example, info@local.example", relay},
		{"ann@local.example", "ann@other.example", mx}, // the route is another account's
	} {
		c.play("C: MAIL FROM:<" + tt.sender + ">\nS: 250\nC: RCPT TO:<x@far.example> NOTIFY=NEVER\nS: 250\nC: RCPT TO:<team@local.example>\nS: 250\nC: RCPT TO:<kim@tenant.example>\nS: 250\nC: DATA\nS: 354")
		_, _ = io.WriteString(c, "From: "+tt.from+"\r\n\r\nbody\r\n.\r\n")
		c.play("S: 250 2.0.0")
		var got []string
		for _, r := range w.accepted[len(w.accepted)-1].Rows {
			got = append(got, r.Destination+" "+string(r.Lane)+" "+r.Notify.String())
		}
		want := []string{
			"x@far.example " + tt.want + " NEVER", "bob@local.example local/mailboxes ", "y@far.example " + tt.want + " ", "kim@tenant.example local/mailboxes ",
		}
		if text := strings.Join(got, "\n"); text != strings.Join(want, "\n") {
			t.Errorf("from <%s>, %s:\n%s\nwant\n%s", tt.sender, tt.from, text, strings.Join(want, "\n"))
		}
	}
}
