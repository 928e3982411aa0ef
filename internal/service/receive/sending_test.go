package receive_test

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"

	"postroad/internal/core/account"
	"postroad/internal/core/directory"
	"postroad/internal/core/sending"
	"postroad/internal/service/receive"
)

// sent takes so many recipients and notes whose.
type sent struct {
	room int
	by   []string
}

func (s *sent) Take(login string, owner account.ID) string {
	if len(s.by) == s.room {
		return "enough is enough"
	}
	s.by = append(s.by, fmt.Sprint(login, " ", owner))
	return ""
}

// Only recipients that are taken count, and only those of logins.
func TestWhatALoginSendsIsHeldAgainstLimits(t *testing.T) {
	t.Parallel()
	s := &sent{room: 2}
	w, _ := newSubmission(t, receive.Submissions, &logins{}, func(c *receive.Config) { c.Sending = s })
	w.dial(t).secured().play("S: 220\nC: EHLO c\nS: 250\nC: AUTH PLAIN " + plain("", ann, secret) + "\nS: 235\n" +
		"C: MAIL FROM:<ann@local.example>\nS: 250\nC: RCPT TO:<nobody@local.example>\nS: 550\nC: RCPT TO:<bob@local.example>\nS: 250\nC: RCPT TO:<x@far.example>\nS: 250\n" +
		"C: RCPT TO:<y@far.example>\nS: 450 4.7.1 enough is enough\nC: DATA\nS: 354\nC: From: ann@local.example\nC: \nC: .\nS: 250\nC: QUIT\nS: 221")
	if len(w.accepted) != 1 || len(w.accepted[0].Rows) != 2 {
		t.Errorf("accepted %+v", w.accepted)
	}
	if len(s.by) != 2 || slices.ContainsFunc(s.by, func(who string) bool { return who != s.by[0] }) || s.by[0][:len(ann)] != ann {
		t.Errorf("counted %q", s.by)
	}

	none := &sent{}
	w = newWorld(t, func(c *receive.Config) { c.Sending = none })
	w.dial(t).play("S: 220\nC: EHLO c\nS: 250\nC: MAIL FROM:<x@far.example>\nS: 250\nC: RCPT TO:<bob@local.example>\nS: 250\nC: QUIT\nS: 221")
}

// A login that is paused, by itself or with its domain or its account, is known by its password, and sends nothing.
func TestAPausedLoginSendsNothing(t *testing.T) {
	t.Parallel()
	for _, key := range sending.KeysOf("a", ann) {
		t.Run(string(key.Kind), func(t *testing.T) { sendsNothing(t, key) })
	}
}

func sendsNothing(t *testing.T, key sending.Key) {
	t.Parallel()
	w, _ := newSubmission(t, receive.Submissions, &logins{}, nil)
	w.mu.Lock()
	w.view.Directory = w.view.Directory.WithSenders([]sending.Rule{{Key: key, Pause: &sending.Pause{By: sending.ByOwner, Reason: "told to nobody"}}})
	w.mu.Unlock()
	w.dial(t).secured().play("S: 220\nC: EHLO c\nS: 250\nC: AUTH PLAIN " + plain("", ann, secret) + "\nS: 235\n" +
		"C: MAIL FROM:<ann@local.example>\nS: 450 4.7.1 the login ann@local.example is paused: it reads its mail, and sends none until whoever manages its domain resumes it\n" +
		"C: MAIL FROM:<>\nS: 450 4.7.1\nC: RCPT TO:<bob@local.example>\nS: 503\nC: QUIT\nS: 221")
}

// Nobody sends as an address that is paused, or of a domain that is: no other login that has it as an alias, in the envelope or
// in the header, and no trusted network.
func TestNobodySendsAsAPausedAddress(t *testing.T) {
	t.Parallel()
	for _, key := range []sending.Key{sending.KeysOf("a", "old@other.example")[0], sending.KeyOfDomain("a", "other.example")} {
		t.Run(string(key.Kind), func(t *testing.T) {
			t.Parallel()
			w, _ := newSubmission(t, receive.Submissions, &logins{}, nil)
			w.mu.Lock()
			w.view.Directory = w.view.Directory.With(directory.Delta{
				PutDomains: []directory.Domain{{ID: "o", Account: "a", Name: "other.example", Proved: true, Mode: directory.ModeLocal}},
				PutRules:   []directory.Rule{{ID: "al", Account: "a", Domain: "other.example", Local: "old", Kind: directory.RuleAlias, Targets: []string{ann}}},
				PutSenders: []sending.Rule{{Key: key, Pause: &sending.Pause{By: sending.ByOperator}}},
			})
			w.mu.Unlock()
			w.dial(t).secured().play("S: 220\nC: EHLO c\nS: 250\nC: AUTH PLAIN " + plain("", ann, secret) + "\nS: 235\n" +
				"C: MAIL FROM:<Old@other.example>\nS: 450 4.7.1 nothing is sent as <Old@other.example> for now: it is paused\nC: MAIL FROM:<old+x@other.example>\nS: 450\n" +
				"C: MAIL FROM:<" + ann + ">\nS: 250\nC: RCPT TO:<bob@local.example>\nS: 250\nC: DATA\nS: 354\nC: From: old@other.example\nC: \nC: .\nS: 450 4.7.1\n" +
				"C: MAIL FROM:<" + ann + ">\nS: 250\nC: RCPT TO:<bob@local.example>\nS: 250\nC: DATA\nS: 354\nC: From: " + ann + "\nC: \nC: .\nS: 250\nC: QUIT\nS: 221")
			if len(w.accepted) != 1 {
				t.Errorf("accepted %+v", w.accepted)
			}
			trusted := newWorld(t, func(c *receive.Config) {
				c.TrustedNetworks = []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("::/0")}
			})
			trusted.mu.Lock()
			trusted.view.Directory = w.view.Directory
			trusted.mu.Unlock()
			trusted.dial(t).play("S: 220\nC: EHLO c\nS: 250\nC: MAIL FROM:<old@other.example>\nS: 450 4.7.1\nC: MAIL FROM:<ann@local.example>\nS: 250\nC: QUIT\nS: 221")
		})
	}
}
