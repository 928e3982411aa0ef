package clientsetup_test

import (
	"strings"
	"testing"

	"postroad/internal/core/account"
	"postroad/internal/core/clientsetup"
	"postroad/internal/core/directory"
	"postroad/internal/core/zone"
	"postroad/internal/proto/dns"
)

func text(records []dns.Record) string {
	var lines []string
	for _, r := range records {
		lines = append(lines, strings.ReplaceAll(r.String(), "\t", " "))
	}
	return strings.Join(lines, "\n")
}

func records(t *testing.T, s clientsetup.Service) []dns.Record {
	t.Helper()
	out, err := s.Records("acme.example")
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestRecords(t *testing.T) {
	whole := clientsetup.Service{Host: "mail.host.example", IMAPS: 993, IMAP: 143, Submissions: 465, Submission: 587, HTTPS: 443}
	want := `_imaps._tcp.acme.example. 3600 IN SRV 0 1 993 mail.host.example.
_imap._tcp.acme.example. 3600 IN SRV 10 1 143 mail.host.example.
_submissions._tcp.acme.example. 3600 IN SRV 0 1 465 mail.host.example.
_submission._tcp.acme.example. 3600 IN SRV 10 1 587 mail.host.example.
_autodiscover._tcp.acme.example. 3600 IN SRV 0 1 443 mail.host.example.
autoconfig.acme.example. 3600 IN CNAME mail.host.example.
autodiscover.acme.example. 3600 IN CNAME mail.host.example.`
	if got := text(records(t, whole)); got != want {
		t.Errorf("got\n%s", got)
	}
	if got := text(records(t, clientsetup.Service{Host: "mail.host.example", IMAPS: 993, Submissions: 465})); strings.Count(got, "\n") != 1 || strings.Contains(got, "CNAME") {
		t.Errorf("of two services: %s", got)
	}
	for name, s := range map[string]clientsetup.Service{"no mail to read": {Host: "h.example", Submission: 587}, "no mail to send": {Host: "h.example", IMAPS: 993}, "no host": {IMAPS: 993, Submission: 587}} {
		if got := records(t, s); got != nil {
			t.Errorf("%s: %s", name, text(got))
		}
	}
}

func TestServes(t *testing.T) {
	for _, c := range []struct {
		d             directory.Domain
		serves, leads bool
	}{
		{directory.Domain{Proved: true, Mode: directory.ModeLocal}, true, true},
		{directory.Domain{Proved: true, Mode: directory.ModeSplit}, true, true},
		{directory.Domain{Proved: false, Mode: directory.ModeLocal}, false, true},
		{directory.Domain{Proved: true, Mode: directory.ModeRelay}, false, false},
		{directory.Domain{Proved: true, Mode: directory.ModeBackup}, false, false},
		{directory.Domain{Proved: true, Mode: directory.ModeRemote}, false, false},
		{directory.Domain{Proved: true, Mode: directory.ModeAuto}, true, false},
		{directory.Domain{Proved: true, Mode: directory.ModeAuto, Auto: directory.ModeRemote}, false, false},
	} {
		if got := clientsetup.Serves(&c.d); got != c.serves {
			t.Errorf("%+v: serves %v", c.d, got)
		}
		if got := clientsetup.Leads(&c.d); got != c.leads {
			t.Errorf("%+v: leads %v", c.d, got)
		}
	}
}

// What somebody wrote stays, and records come and go without a trace.
func TestAddAndRemove(t *testing.T) {
	wanted := records(t, clientsetup.Service{Host: "mail.host.example", IMAPS: 993, Submissions: 465, HTTPS: 443})
	z, err := zone.Fresh("acme.example", account.Operator, []string{"ns.host.example"}, nil, 1)
	if err != nil {
		t.Fatal(err)
	}
	before := text(z.Records)
	full, added := clientsetup.Add(z, wanted)
	if len(added) != len(wanted) {
		t.Fatalf("added %s", text(added))
	}
	for _, r := range wanted {
		if clientsetup.Look(&full, r) != clientsetup.Present || clientsetup.Look(&z, r) != clientsetup.Missing {
			t.Errorf("%s: %v", text([]dns.Record{r}), clientsetup.Look(&full, r))
		}
	}
	if again, more := clientsetup.Add(full, wanted); len(more) != 0 || text(again.Records) != text(full.Records) {
		t.Errorf("added again: %s", text(more))
	}
	if back, removed := clientsetup.Remove(full, wanted); len(removed) != len(wanted) || text(back.Records) != before {
		t.Errorf("after removal: %s", text(back.Records))
	}

	own := func(name string, ty dns.Type, data string) dns.Record {
		t.Helper()
		raw, err := dns.Data(ty, data, "")
		if err != nil {
			t.Fatal(err)
		}
		return dns.Record{Name: name + ".acme.example.", Type: ty, TTL: 60, Data: raw}
	}
	z.Records = zone.Add(z.Records, own("_imaps._tcp", dns.TypeSRV, "5 5 993 other.example."), own("autoconfig", dns.TypeA, "192.0.2.1"))
	mixed, added := clientsetup.Add(z, wanted)
	if len(added) != len(wanted)-2 || clientsetup.Look(&mixed, wanted[0]) != clientsetup.Other {
		t.Errorf("beside others: added %s", text(added))
	}
	if back, _ := clientsetup.Remove(mixed, wanted); text(back.Records) != text(z.Records) {
		t.Errorf("others were removed: %s", text(back.Records))
	}
}
