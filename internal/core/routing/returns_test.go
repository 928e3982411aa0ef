package routing_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"postroad/internal/core/directory"
	"postroad/internal/core/routing"
	"postroad/internal/proto/smtp"
	"postroad/internal/proto/srs"
)

// returns finds senders by a table.
type returns map[string]error

var errOld = errors.New("old")

func (r returns) Return(address string, _ time.Time) (string, error) {
	if err, known := r[address]; known {
		return "", err
	}
	parts := strings.Split(address[:strings.LastIndexByte(address, '@')], "=")
	return parts[len(parts)-1] + "@" + parts[len(parts)-2], nil
}

func TestReportsAboutForwardedMailGoBack(t *testing.T) {
	snap := directory.NewSnapshot(1, []directory.Domain{
		{Name: "here.example", Mode: directory.ModeLocal, Proved: true},
		{Name: "inert.example", Mode: directory.ModeLocal},
		{Name: "gone.example", Mode: directory.ModeRemote, Proved: true},
	}, []directory.Mailbox{
		{ID: "1", Local: "ann", Domain: "here.example"}, {ID: "2", Local: "srs0=odd=name", Domain: "here.example"},
	}, []directory.Rule{
		{Kind: directory.RuleForward, Local: "fan", Domain: "here.example", Targets: []string{"x@far.example", "ann@here.example", "y@gone.example"}},
		{Kind: directory.RuleCatchAll, Domain: "here.example", Targets: []string{"ann@here.example"}},
	}, nil)
	view := routing.View{Directory: snap, Now: time.Date(2026, 11, 28, 0, 0, 0, 0, time.UTC), Returns: returns{
		"SRS0=old=x=far.example=bob@here.example": errOld, "SRS0=forged=x=far.example=bob@here.example": srs.ErrForged,
	}}
	for _, test := range []struct {
		rcpt, sender string
		code         int
		to           string
	}{
		{"SRS0=h=t=far.example=bob@here.example", "", 250, "remote/far.example bob@far.example"},
		{"SRS0=h=t=here.example=ann@here.example", "", 250, "local/mailboxes ann@here.example"},
		{"SRS0=h=t=far.example=bob@here.example", "x@y.example", 550, ""},
		{"SRS0=old=x=far.example=bob@here.example", "", 550, ""},
		{"SRS0=forged=x=far.example=bob@here.example", "", 250, "local/mailboxes ann@here.example"}, // to the catch-all
		{"srs0=odd=name@here.example", "x@y.example", 250, "local/mailboxes srs0=odd=name@here.example"},
		{"SRS0=h=t=far.example=bob@inert.example", "", 550, ""},
		{"SRS0=h=t=far.example=bob@far.example", "", 550, ""},
	} {
		s := routing.Session{Kind: routing.Stranger}
		if local, domain, ok := strings.Cut(test.sender, "@"); ok {
			s.Sender = smtp.Address{Local: local, Domain: domain}
		}
		at := strings.LastIndexByte(test.rcpt, '@')
		d := routing.Decide(view, s, smtp.Address{Local: test.rcpt[:at], Domain: test.rcpt[at+1:]})
		var to []string
		for _, x := range d.Destinations {
			to = append(to, string(x.Lane)+" "+x.Address)
		}
		if d.Reply.Code != test.code || strings.Join(to, ", ") != test.to {
			t.Errorf("%s from <%s>: %s to %q", test.rcpt, test.sender, d.Reply, to)
		}
		for _, r := range d.Reasons {
			if strings.Contains(r.Sentence(), "%!") || r.Rule.String() == "none" {
				t.Errorf("%s: reason %q", test.rcpt, r.Sentence())
			}
		}
	}
	// What leaves by a rule is marked with it.
	d := routing.Decide(view, routing.Session{Kind: routing.Stranger}, smtp.Address{Local: "fan", Domain: "here.example"})
	marks := map[string]string{}
	for _, r := range d.Rows("fan@here.example", 0, "") {
		marks[r.Destination] = r.Forward
	}
	want := map[string]string{"x@far.example": "fan@here.example", "ann@here.example": "", "y@gone.example": "fan@here.example"}
	for address, rule := range want {
		if got, there := marks[address]; !there || got != rule {
			t.Errorf("%s is marked %q, want %q (%v)", address, got, rule, marks)
		}
	}
}

func TestArchiveCopiesHaveTheNullSender(t *testing.T) {
	snap := directory.NewSnapshot(1, []directory.Domain{{Name: "here.example", Mode: directory.ModeLocal, Proved: true}}, []directory.Mailbox{
		{ID: "1", Local: "ann", Domain: "here.example"}, {ID: "2", Local: "store", Domain: "here.example"},
	}, []directory.Rule{
		{Kind: directory.RuleForward, Local: "ann", Domain: "here.example", Keep: true, Archive: true, Targets: []string{"all@here.example", "a@far.example"}},
		{Kind: directory.RuleGroup, Local: "all", Domain: "here.example", Targets: []string{"store@here.example", "b@far.example", "ann@here.example"}},
		{Kind: directory.RuleGroup, Local: "both", Domain: "here.example", Targets: []string{"ann@here.example", "a@far.example", "store@here.example"}},
	}, nil)
	view := routing.View{Directory: snap}
	for local, want := range map[string]map[string]bool{
		"ann":  {"store@here.example": true, "b@far.example": true, "ann@here.example": false, "a@far.example": true},
		"both": {"store@here.example": false, "b@far.example": true, "ann@here.example": false, "a@far.example": false},
	} {
		d := routing.Decide(view, routing.Session{Kind: routing.Stranger}, smtp.Address{Local: local, Domain: "here.example"})
		rows := d.Rows(local+"@here.example", smtp.NotifySuccess, "rfc822;x@y.example")
		if len(rows) != len(want) {
			t.Errorf("%s leads to %d destinations: %+v", local, len(rows), rows)
		}
		for _, r := range rows {
			silent := r.Rewritten && r.Sender == "" && r.Notify == smtp.NotifyNever && r.ORcpt == ""
			if archive, there := want[r.Destination]; !there || silent != archive || r.Rewritten != archive {
				t.Errorf("%s to %s: archive copy %t, want %t", local, r.Destination, silent, archive)
			}
		}
	}
}
