package control_test

import (
	"strings"
	"testing"

	"postroad/internal/core/directory"
	"postroad/internal/service/control"
)

// TestTrustedForwardersAreNarrow: names, addresses and small networks; the operator may name wider ones, within limits.
func TestTrustedForwardersAreNarrow(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, c := range []struct {
		forwarder       string
		owner, operator bool
		stored          string
	}{
		{"192.0.2.25", true, true, "192.0.2.25"},
		{"::ffff:192.0.2.25", true, true, "192.0.2.25"},
		{"2001:DB8::25", true, true, "2001:db8::25"},
		{"192.0.2.77/24", true, true, "192.0.2.0/24"},
		{"Mail.BÜCHER.example.", true, true, "mail.xn--bcher-kva.example"},
		{"192.0.2.0/23", false, true, "192.0.2.0/23"},
		{"2001:db8::/40", false, true, "2001:db8::/40"},
		{"10.0.0.0/8", false, false, ""},
		{"0.0.0.0/0", false, false, ""},
		{"2001:db8::/20", false, false, ""},
		{"localhost", false, false, ""},
		{"1.2.3", false, false, ""},
		{"fe80::1%eth0", false, false, ""},
		{"mail acme", false, false, ""},
		{"", false, false, ""},
	} {
		for _, who := range []struct {
			actor control.Actor
			may   bool
		}{{w.ann, c.owner}, {control.Operator(), c.operator}} {
			p, err := w.PlanForwarderAdd(t.Context(), who.actor, "ann.example", c.forwarder)
			if (err == nil) != who.may {
				t.Errorf("%q by %s: %v", c.forwarder, who.actor.Name, err)
				continue
			}
			if err == nil && (len(p.Tx.PutDomains) != 1 || p.Tx.PutDomains[0].Forwarders[0].String() != c.stored || !strings.Contains(strings.Join(p.Sentences, " "), "may forward mail")) {
				t.Errorf("%q: %+v %v", c.forwarder, p.Tx.PutDomains, p.Sentences)
			}
		}
	}
	if _, err := w.PlanForwarderRemove(t.Context(), w.ann, "ann.example", "192.0.2.25"); err == nil {
		t.Error("a forwarder that is none was removed")
	}
}

// TestHowMailIsJudgedIsChosen: the settings fit together, and are taken back as any other.
func TestHowMailIsJudgedIsChosen(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	set := func(judge, spf, unchecked string) error {
		var s control.DomainSettings
		for text, at := range map[*string]**string{&judge: &s.Judge, &spf: &s.SPFFail, &unchecked: &s.Unchecked} {
			if *text != "" {
				*at = text
			}
		}
		p, err := w.PlanDomainSet(t.Context(), w.ann, "ann.example", s)
		if err == nil && !p.Empty() {
			_, err = w.Apply(t.Context(), w.ann, p)
		}
		return err
	}
	for _, c := range []struct {
		judge, spf, unchecked string
		good                  bool
	}{
		{"loud", "", "", false},
		{"", "450", "", false},
		{"", "", "reject", false},
		{"note", "reject", "", false},
		{"enforce", "reject", "450", true},
		{"off", "", "", true},
		{"", "quarantine", "", false},
		{"enforce", "quarantine", "accept", true},
	} {
		if err := set(c.judge, c.spf, c.unchecked); (err == nil) != c.good {
			t.Errorf("%+v: %v", c, err)
		}
	}
	d, _ := w.Directory().Domain("ann.example")
	if d.Judging.Effective() != (directory.Judging{Mode: directory.JudgeEnforce, SPFFail: directory.SeverityQuarantine, Unchecked: directory.SeverityAccept}) {
		t.Errorf("%+v", d.Judging)
	}
}
