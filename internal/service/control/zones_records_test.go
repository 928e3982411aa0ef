package control_test

import (
	"errors"
	"strings"
	"testing"

	"postroad/internal/service/control"
)

// records is what is answered for ann.example besides what every zone begins with.
func records(w *world) string {
	var out []string
	for line := range strings.Lines(answered(w, "ann.example")) {
		if !strings.Contains(line, " SOA ") && !strings.Contains(line, " NS ") && line != "ann.example. MX 10 mx.host.example.\n" && line != "ann.example. TXT \"v=spf1 mx ~all\"\n" {
			out = append(out, strings.TrimSpace(line))
		}
	}
	return strings.Join(out, "\n")
}

// hosted is a world in which ann.example is hosted.
func hosted(t *testing.T) *world {
	t.Helper()
	w := newWorld(t)
	w.ok(hosting(w, "ann.example", "hosted"))
	return w
}

func (w *world) record(owner, typ, data, ttl string) (control.Plan, error) {
	return w.PlanRecordAdd(w.t.Context(), w.ann, "ann.example", control.RecordSpec{Owner: owner, Type: typ, Data: data, TTL: ttl})
}

func (w *world) put(owner, typ, data, ttl string) {
	w.t.Helper()
	p, err := w.record(owner, typ, data, ttl)
	w.by(w.ann, p, err)
}

func TestRecordsAsPeopleTypeThem(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ owner, typ, data, want string }{
		{"www", "A", "192.0.2.1", "www.ann.example. A 192.0.2.1"},
		{"@", "aaaa", "2001:DB8::1", "ann.example. AAAA 2001:db8::1"},
		{"", "A", "192.0.2.1", "ann.example. A 192.0.2.1"},
		{"ann.example.", "A", "192.0.2.1", "ann.example. A 192.0.2.1"},
		{"WWW.Ann.Example.", "A", "192.0.2.1", "www.ann.example. A 192.0.2.1"},
		{"bücher", "A", "192.0.2.1", "xn--bcher-kva.ann.example. A 192.0.2.1"},
		{"*.dyn", "A", "192.0.2.1", "*.dyn.ann.example. A 192.0.2.1"},
		{"_dmarc", "TXT", "v=DMARC1; p=none", `_dmarc.ann.example. TXT "v=DMARC1; p=none"`},
		{"t", "TXT", `say "hi" \o/`, `t.ann.example. TXT "say \"hi\" \\o/"`},
		{"t", "TXT", `"one" "two"`, `t.ann.example. TXT "one" "two"`},
		{"t", "TXT", strings.Repeat("x", 300), `t.ann.example. TXT "` + strings.Repeat("x", 255) + `" "` + strings.Repeat("x", 45) + `"`},
		{"w", "CNAME", "www", "w.ann.example. CNAME www.ann.example."},
		{"w", "CNAME", "host.away.example", "w.ann.example. CNAME host.away.example."},
		{"w", "CNAME", "host.away.example.", "w.ann.example. CNAME host.away.example."},
		{"m", "MX", "10 mail", "m.ann.example. MX 10 mail.ann.example."},
		{"m", "MX", "0 mail.away.example", "m.ann.example. MX 0 mail.away.example."},
		{"m", "MX", "0 .", "m.ann.example. MX 0 ."},
		{"_imaps._tcp", "SRV", "0 1 993 imap.away.example", "_imaps._tcp.ann.example. SRV 0 1 993 imap.away.example."},
		{"@", "CAA", `0 issue "ca.away.example"`, `ann.example. CAA 0 issue "ca.away.example"`},
		{"x", "TYPE65280", `\# 2 0aFF`, `x.ann.example. TYPE65280 \# 2 0AFF`},
	} {
		w := hosted(t)
		p, err := w.record(c.owner, c.typ, c.data, "")
		if err != nil {
			t.Errorf("%s %s %s: %v", c.owner, c.typ, c.data, err)
			continue
		}
		w.by(w.ann, p, err)
		if got := records(w); got != c.want {
			t.Errorf("%s %s %s: %s, want %s", c.owner, c.typ, c.data, got, c.want)
		}
	}
}

func TestRecordsThatMakeNoSense(t *testing.T) {
	t.Parallel()
	w := hosted(t)
	w.put("www", "A", "192.0.2.1", "")
	for _, c := range []struct{ owner, typ, data, ttl, says string }{
		{"www.ann.example", "A", "192.0.2.1", "", "would become www.ann.example.ann.example."},
		{"ann.example", "A", "192.0.2.1", "", "write @"},
		{"www.bob.example.", "A", "192.0.2.1", "", "does not lie in the zone"},
		{"a..b", "A", "192.0.2.1", "", "no name"},
		{strings.Repeat("a", 64), "A", "192.0.2.1", "", "no name"},
		{"x", "A", "192.0.2.256", "", "such as 192.0.2.1"},
		{"x", "A", "192.0.2.1 192.0.2.2", "", "such as 192.0.2.1"},
		{"x", "A", "192.0.2.1\ny A 192.0.2.1", "", "no data"},
		{"x", "TXT", "a\nb", "", "no data"},
		{"x", "B", "192.0.2.1", "", "no record type"},
		{"x", "AXFR", "192.0.2.1", "", "no type of stored records"},
		{"x", "RRSIG", "x", "", "made by signing"},
		{"x", "SOA", "a b 1 2 3 4 5", "", "one SOA record"},
		{"@", "MX", "10 192.0.2.1", "", "192.0.2.1"},
		{"@", "MX", "70000 mail", "", "70000"},
		{"x", "A", "192.0.2.1", "1s", "at least 30s"},
		{"x", "A", "192.0.2.1", "long", "no TTL"},
		{"www", "A", "192.0.2.1", "", "already"},
		{"www", "CNAME", "away.example", "", "CNAME"},
		{"@", "MX", "0 .", "", "NULL_MX_NOT_ALONE"},
	} {
		if _, err := w.record(c.owner, c.typ, c.data, c.ttl); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s %s %s: %v", c.owner, c.typ, c.data, err)
		}
	}
	for _, domain := range []string{"bob.example", "none.example"} {
		if _, err := w.PlanRecordAdd(t.Context(), w.ann, domain, control.RecordSpec{Type: "A", Data: "192.0.2.1"}); !errors.Is(err, control.ErrNotFound) {
			t.Errorf("%s: %v", domain, err)
		}
	}
	if _, err := w.PlanRecordAdd(t.Context(), w.bob, "bob.example", control.RecordSpec{Type: "A", Data: "192.0.2.1"}); !errors.Is(err, control.ErrInvalid) || !strings.Contains(err.Error(), "--zone hosted") {
		t.Errorf("an external zone: %v", err)
	}
}

func TestRecordsAreEditedAndRemoved(t *testing.T) {
	t.Parallel()
	w := hosted(t)
	for _, data := range []string{"192.0.2.1", "192.0.2.2"} {
		w.put("www", "A", data, "2h")
	}
	w.put("keep", "TXT", "left alone", "")
	serial := w.m.Answered["ann.example"].Serial
	edit := func(old string, spec control.RecordSpec) (control.Plan, error) {
		return w.PlanRecordEdit(t.Context(), w.ann, "ann.example", old, spec)
	}
	p, err := edit("192.0.2.1", control.RecordSpec{Owner: "www", Type: "A", Data: "192.0.2.9"})
	if err != nil || !p.Asks || len(p.Sentences) != 2 {
		t.Fatalf("%+v, %v", p, err)
	}
	done := w.by(w.ann, p, err)
	if len(done.Zones) != 1 || done.Zones[0].Serial != serial+1 || done.Zones[0].Domain != "ann.example" {
		t.Errorf("applied: %+v", done)
	}
	const keep = "keep.ann.example. TXT \"left alone\"\n"
	if got, want := records(w), keep+"www.ann.example. A 192.0.2.2\nwww.ann.example. A 192.0.2.9"; got != want {
		t.Errorf("after edit:\n%s", got)
	}
	detail, err := w.Zone(t.Context(), w.ann, "ann.example")
	if err != nil || detail.Serial != serial+1 || detail.Signed || detail.Pending || !detail.Served || detail.Changed.IsZero() {
		t.Fatalf("%+v, %v", detail, err)
	}
	last := detail.Records[len(detail.Records)-1]
	if last.Owner != "www" || last.Name != "www.ann.example." || last.TTL != 7200 || last.Data != "192.0.2.9" {
		t.Errorf("shown: %+v", last)
	}
	p, err = edit(last.ID, control.RecordSpec{Owner: "www", Type: "A", TTL: "60"})
	w.by(w.ann, p, err)
	if detail, err = w.Zone(t.Context(), w.ann, "ann.example"); err != nil || detail.Records[len(detail.Records)-1].TTL != 60 || detail.Records[len(detail.Records)-2].TTL != 60 {
		t.Errorf("%+v, %v", detail, err)
	}

	// The SOA's own numbers, but not its serial.
	p, err = edit("", control.RecordSpec{Type: "SOA", Data: "ns.away.example. ann.away.example. 4000000000 60 60 60 60"})
	w.by(w.ann, p, err)
	if z := w.m.Answered["ann.example"]; z.Serial != serial+3 || !strings.Contains(answered(w, "ann.example"), "ns.away.example. ann.away.example. ") {
		t.Errorf("after the SOA: %+v", z)
	}

	remove := func(spec control.RecordSpec) (control.Plan, error) {
		return w.PlanRecordRemove(t.Context(), w.ann, "ann.example", spec)
	}
	p, err = remove(control.RecordSpec{Owner: "www", Type: "A", Data: "192.0.2.2"})
	w.by(w.ann, p, err)
	p, err = remove(control.RecordSpec{Owner: "www", Type: "A"})
	if !p.Asks {
		t.Error("a removal does not ask")
	}
	w.by(w.ann, p, err)
	if got := records(w) + "\n"; got != keep {
		t.Errorf("after removals:\n%s", got)
	}
	for what, plan := range map[string]func() (control.Plan, error){
		"remove what is not there": func() (control.Plan, error) { return remove(control.RecordSpec{Owner: "www", Type: "A"}) },
		"remove other data":        func() (control.Plan, error) { return remove(control.RecordSpec{Owner: "keep", Type: "TXT", Data: "x"}) },
		"edit what is not there": func() (control.Plan, error) {
			return edit("192.0.2.1", control.RecordSpec{Owner: "www", Type: "A", Data: "192.0.2.9"})
		},
	} {
		if _, err := plan(); !errors.Is(err, control.ErrNotFound) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, err := remove(control.RecordSpec{Type: "SOA"}); !errors.Is(err, control.ErrInvalid) {
		t.Errorf("remove the SOA: %v", err)
	}
	if _, err := edit("", control.RecordSpec{Owner: "keep", Type: "TXT"}); !errors.Is(err, control.ErrInvalid) {
		t.Errorf("edit nothing: %v", err)
	}
}

func TestChangesOfRecordsAreUndone(t *testing.T) {
	t.Parallel()
	w := hosted(t)
	w.put("www", "A", "192.0.2.1", "2h")
	w.put("www", "A", "192.0.2.2", "")
	before, serial := records(w), w.m.Answered["ann.example"].Serial
	p, err := w.PlanRecordEdit(t.Context(), w.ann, "ann.example", "192.0.2.1", control.RecordSpec{Owner: "www", Type: "A", Data: "192.0.2.9", TTL: "1h"})
	w.by(w.ann, p, err)
	w.put("other", "TXT", "later", "")
	list, err := w.Audit(t.Context(), w.ann, "ann.example", 0, 10)
	if err != nil || list[1].Action != "record set" || list[1].Subject != "www.ann.example A" || !list[1].CanUndo || list[0].Action != "record add" {
		t.Fatalf("%+v, %v", list, err)
	}
	if text := string(list[1].Before) + string(list[1].After); strings.Contains(text, "SOA") || !strings.Contains(text, "www.ann.example. 7200 IN A 192.0.2.1") {
		t.Errorf("entry: %s", text)
	}
	p, err = w.PlanUndo(t.Context(), w.ann, list[1].ID)
	w.by(w.ann, p, err)
	if got, want := records(w), "other.ann.example. TXT \"later\"\n"+before; got != want {
		t.Errorf("after undo:\n%s\nwant\n%s", got, want)
	}
	if z := w.m.Answered["ann.example"]; z.Serial != serial+3 {
		t.Errorf("serial %d, was %d", z.Serial, serial)
	}
	// Twice is once too often, but the undoing can be undone.
	if _, err := w.PlanUndo(t.Context(), w.ann, list[1].ID); !errors.Is(err, control.ErrInUse) {
		t.Errorf("again: %v", err)
	}
	if list, err = w.Audit(t.Context(), w.ann, "ann.example", 0, 10); err != nil || list[0].Action != "zone set" || !list[0].CanUndo || list[2].CanUndo {
		t.Fatalf("%+v, %v", list, err)
	}
	if list, err := w.Audit(t.Context(), w.bob, "ann.example", 0, 10); err != nil || len(list) != 0 {
		t.Errorf("bob sees %+v, %v", list, err)
	}
	p, err = w.PlanUndo(t.Context(), w.ann, list[0].ID)
	w.by(w.ann, p, err)
	if got := records(w); !strings.Contains(got, "192.0.2.9") {
		t.Errorf("after undo of undo:\n%s", got)
	}
}

func TestAZoneComesBackWithItsDomain(t *testing.T) {
	t.Parallel()
	w := hosted(t)
	w.put("www", "A", "192.0.2.1", "2h")
	before, serial := records(w), w.m.Answered["ann.example"].Serial
	w.ok(w.PlanDomainRemove(t.Context(), control.Operator(), "ann.example"))
	list, err := w.Audit(t.Context(), control.Operator(), "ann.example", 0, 1)
	if err != nil || !list[0].CanUndo {
		t.Fatalf("%+v, %v", list, err)
	}
	w.ok(w.PlanUndo(t.Context(), control.Operator(), list[0].ID))
	if got := records(w); got != before {
		t.Errorf("after undo:\n%s", got)
	}
	if z := w.m.Answered["ann.example"]; z.Serial <= serial {
		t.Errorf("serial %d, was %d", z.Serial, serial)
	}
}
