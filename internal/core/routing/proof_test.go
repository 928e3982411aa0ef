package routing_test

import (
	"strings"
	"testing"
	"time"

	"postroad/internal/core/directory"
	"postroad/internal/core/facts"
	"postroad/internal/core/mail"
	"postroad/internal/core/routing"
	"postroad/internal/proto/smtp"
)

// lost is an installation with one domain whose proof was lost at noon, and with what DNS says of its exchangers.
func lost(mode directory.Mode, proved bool, exchangers string, at time.Time) routing.View {
	v := modes()
	v.Now = at
	v.Directory = v.Directory.With(directory.Delta{
		PutDomains: []directory.Domain{{
			ID: "lost", Account: "a", Name: "lost.example", Mode: mode, Proved: proved, NextHops: []directory.NextHop{{Host: "real.example", Port: 25}},
			Proof: directory.Proof{By: directory.ProofTXT, At: noon.Add(-30 * 24 * time.Hour), Lost: noon},
		}},
		PutMailboxes: []directory.Mailbox{{ID: "box", Account: "a", Domain: "lost.example", Local: "ann"}},
	})
	f := v.Facts.(known)
	if exchangers != "unknown" {
		f.exchangers["lost.example"] = mx(exchangers)
	}
	return v
}

// docs/routing.md, Proof lost: a grace period in which all is as before; then 450 while public DNS still names us; then
// as any foreign domain.
func TestProofLost(t *testing.T) {
	t.Parallel()
	const day = 24 * time.Hour
	for _, c := range []struct {
		name       string
		mode       directory.Mode
		proved     bool // the background check has not ended it yet
		at         time.Duration
		exchangers string
		as         routing.SessionKind
		code       int
		enhanced   string
		rule       routing.Rule
		class      routing.Class
	}{
		{"grace, stranger", directory.ModeLocal, true, 0, "10 us", routing.Stranger, 250, "2.1.5", routing.RuleProofGrace, routing.ClassLocal},
		{"grace, own user", directory.ModeLocal, true, 6 * day, "10 us", routing.Login, 250, "2.1.5", routing.RuleProofGrace, routing.ClassLocal},
		{"grace, relay", directory.ModeRelay, true, 6 * day, "10 us", routing.Stranger, 250, "2.1.5", routing.RuleProofGrace, routing.ClassRelay},
		{"grace, longer since nobody could be asked", directory.ModeLocal, true, 20 * day, "10 us", routing.Stranger, 250, "2.1.5", routing.RuleProofGrace, routing.ClassLocal},

		{"DNS names us, stranger", directory.ModeLocal, false, 7 * day, "10 us", routing.Stranger, 450, "4.7.1", routing.RuleProofLost, routing.ClassForeign},
		{"DNS names us, relay", directory.ModeRelay, false, 7 * day, "10 us", routing.Stranger, 450, "4.7.1", routing.RuleProofLost, routing.ClassForeign},
		{"DNS names us as a backup", directory.ModeLocal, false, 7 * day, "10 real, 20 us", routing.Stranger, 450, "4.7.1", routing.RuleProofLost, routing.ClassForeign},
		{"DNS names us, own user", directory.ModeLocal, false, 7 * day, "10 us", routing.Login, 450, "4.7.1", routing.RuleProofLost, routing.ClassForeign},
		{"DNS names us, trusted", directory.ModeLocal, false, 7 * day, "10 us", routing.Trusted, 450, "4.7.1", routing.RuleProofLost, routing.ClassForeign},
		{"DNS names us, to the last moment", directory.ModeLocal, false, 14*day - time.Second, "10 us", routing.Stranger, 450, "4.7.1", routing.RuleProofLost, routing.ClassForeign},
		{"DNS fails", directory.ModeLocal, false, 8 * day, "servfail", routing.Stranger, 450, "4.7.1", routing.RuleProofLost, routing.ClassForeign},
		{"DNS was not asked", directory.ModeLocal, false, 8 * day, "unknown", routing.Stranger, 451, "4.4.3", routing.RuleNeeded, routing.ClassForeign},

		{"DNS names others, stranger", directory.ModeLocal, false, 7 * day, "10 real", routing.Stranger, 550, "5.7.1", routing.RuleRelayDenied, routing.ClassForeign},
		{"DNS names others, own user", directory.ModeLocal, false, 7 * day, "10 real", routing.Login, 250, "2.1.5", routing.RuleByMX, routing.ClassForeign},
		{"the name is gone, stranger", directory.ModeLocal, false, 8 * day, "nxdomain", routing.Stranger, 550, "5.7.1", routing.RuleRelayDenied, routing.ClassForeign},
		{"null MX, stranger", directory.ModeLocal, false, 8 * day, "null", routing.Stranger, 550, "5.7.1", routing.RuleRelayDenied, routing.ClassForeign},

		{"over, stranger", directory.ModeLocal, false, 14 * day, "10 us", routing.Stranger, 550, "5.7.1", routing.RuleRelayDenied, routing.ClassForeign},
		{"over, own user", directory.ModeLocal, false, 14 * day, "10 us", routing.Login, 250, "2.1.5", routing.RuleByMX, routing.ClassForeign},
		{"over, relay", directory.ModeRelay, false, 14 * day, "10 us", routing.Stranger, 550, "5.7.1", routing.RuleRelayDenied, routing.ClassForeign},
		{"a report of ours", directory.ModeLocal, false, 8 * day, "10 us", routing.Local, 250, "2.1.5", routing.RuleByMX, routing.ClassForeign},
	} {
		v := lost(c.mode, c.proved, c.exchangers, noon.Add(c.at))
		d := routing.Decide(v, routing.Session{Kind: c.as, Login: "ann@split.example"}, smtp.Address{Local: "ann", Domain: "lost.example"})
		if int(d.Reply.Code) != c.code || d.Reply.Enhanced.String() != c.enhanced || d.Class != c.class {
			t.Errorf("%s: %v %s", c.name, d.Reply, d.Class)
		}
		var rules []string
		found := false
		for _, r := range d.Reasons {
			rules, found = append(rules, r.Rule.String()), found || r.Rule == c.rule
			if strings.Contains(r.Sentence(), "%!") {
				t.Errorf("%s: %s", c.name, r.Sentence())
			}
		}
		if !found {
			t.Errorf("%s: %v is not because of %v", c.name, rules, c.rule)
		}
		if delivered := len(d.Destinations) > 0 && d.Destinations[0].Mailbox != ""; delivered != (c.proved && c.mode == directory.ModeLocal) {
			t.Errorf("%s: delivered here: %v", c.name, d.Destinations)
		}
	}
}

// One address that could not be learned may be ours.
func TestProofLostWhileAnAddressIsNotKnown(t *testing.T) {
	t.Parallel()
	v := lost(directory.ModeLocal, false, "10 real, 20 far", noon.Add(8*24*time.Hour))
	x := v.Facts.(known).exchangers["lost.example"]
	x.Addrs["far"] = facts.AddrAnswer{Status: facts.Temporary}
	d := routing.Decide(v, routing.Session{Kind: routing.Stranger}, smtp.Address{Local: "ann", Domain: "lost.example"})
	if d.Reply.Code != 450 {
		t.Errorf("%v", d.Reply)
	}
}

// Queued mail of a domain that became inert is held and goes nowhere.
func TestProofLostHoldsWhatIsQueued(t *testing.T) {
	t.Parallel()
	v := lost(directory.ModeLocal, false, "10 us", noon.Add(8*24*time.Hour))
	r := mail.Recipient{Row: mail.Row{ID: "x"}, Account: "a", Destination: "ann@lost.example", Original: "ann@lost.example", Lane: routing.LocalLane, Mailbox: "box"}
	if got := routing.DecideAnew(v, &r); got.Stays || len(got.To) != 0 || got.Domain != "lost.example" {
		t.Errorf("%+v", got)
	}
}

func TestProofLostAndRoutingAddresses(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		proved bool
		at     time.Duration
		code   int
	}{{true, 0, 250}, {false, 8 * 24 * time.Hour, 450}, {false, 14 * 24 * time.Hour, 550}} {
		v := lost(directory.ModeLocal, c.proved, "10 us", noon.Add(c.at))
		d := routing.Decide(v, routing.Session{Kind: routing.Stranger}, smtp.Address{Local: "ann=lost.example", Domain: v.Self.RoutingDomain})
		if int(d.Reply.Code) != c.code {
			t.Errorf("after %v: %v", c.at, d.Reply)
		}
	}
}
