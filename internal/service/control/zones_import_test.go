package control_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"postroad/internal/service/control"
)

// zoneFile is a small zone with a serial and more lines.
func zoneFile(serial int, more ...string) string {
	return fmt.Sprintf("$TTL 1h\n@ SOA ns1.away.example. admin.away.example. (%d 7200 900 1209600 300)\n@ NS ns1.away.example.\n@ NS ns2.away.example.\n%s\n", serial, strings.Join(more, "\n"))
}

func (w *world) imported(text string) (control.Plan, error) {
	return w.PlanZoneImport(w.t.Context(), w.ann, control.ZoneText{Domain: "ann.example", Text: text})
}

func TestAZoneFileTakesThePlaceOfTheZone(t *testing.T) {
	t.Parallel()
	w := hosted(t)
	w.put("old", "A", "192.0.2.1", "")
	first := w.m.Answered["ann.example"].Serial
	p, err := w.imported(zoneFile(4_000_000_000, "www A 192.0.2.7", "@ MX 10 mail.away.example."))
	if err != nil || !p.Asks || !strings.Contains(strings.Join(p.Sentences, "\n"), "Removes A 192.0.2.1 from old.ann.example.") {
		t.Fatalf("%+v, %v", p, err)
	}
	w.by(w.ann, p, err)
	if got, want := answered(w, "ann.example"), "ann.example. NS ns1.away.example.\nann.example. NS ns2.away.example.\n"+
		"ann.example. SOA ns1.away.example. admin.away.example. 4000000000 7200 900 1209600 300\nann.example. MX 10 mail.away.example.\nwww.ann.example. A 192.0.2.7\n"; got != want {
		t.Errorf("answered:\n%s", got)
	}
	if d, _ := w.Directory().Domain("ann.example"); d.ExchangerSet != "" {
		t.Error("the domain still follows a set that its MX records are not of")
	}

	// The same again changes nothing; a serial that is behind is passed over, and said.
	if p, err := w.imported(zoneFile(4_000_000_000, "www A 192.0.2.7", "@ MX 10 mail.away.example.")); err != nil || !p.Empty() {
		t.Errorf("again: %+v, %v", p, err)
	}
	p, err = w.imported(zoneFile(3_000_000_000, "www A 192.0.2.8", "@ MX 10 mail.away.example."))
	if err != nil || !strings.Contains(strings.Join(p.Sentences, "\n"), "The serial in the file, 3000000000, is not ahead of 4000000000") {
		t.Fatalf("%+v, %v", p, err)
	}
	w.by(w.ann, p, err)
	if z := w.m.Answered["ann.example"]; z.Serial != 4_000_000_001 {
		t.Errorf("serial %d", z.Serial)
	}

	// Undo brings the content back, and the serial goes on.
	list, err := w.Audit(t.Context(), w.ann, "ann.example", 0, 10)
	if err != nil || list[0].Action != "zone set" || !list[0].CanUndo {
		t.Fatalf("%+v, %v", list, err)
	}
	p, err = w.PlanUndo(t.Context(), w.ann, list[0].ID)
	w.by(w.ann, p, err)
	if z := w.m.Answered["ann.example"]; z.Serial != 4_000_000_002 || !strings.Contains(answered(w, "ann.example"), "192.0.2.7") {
		t.Errorf("after undo: %d\n%s", z.Serial, answered(w, "ann.example"))
	}
	if list, err = w.Audit(t.Context(), w.ann, "ann.example", 0, 10); err != nil {
		t.Fatal(err)
	}
	for _, e := range list {
		if e.Action == "zone set" && strings.Contains(string(e.Before), fmt.Sprintf(`"serial":%d`, first)) {
			p, err = w.PlanUndo(t.Context(), w.ann, e.ID)
			w.by(w.ann, p, err)
		}
	}
	if z := w.m.Answered["ann.example"]; z.Serial != 4_000_000_003 || !strings.Contains(answered(w, "ann.example"), "old.ann.example. A 192.0.2.1\n") || strings.Contains(answered(w, "ann.example"), "away") {
		t.Errorf("after undo of the first import: %d\n%s", z.Serial, answered(w, "ann.example"))
	}
}

func TestWhatAZoneFileLeavesOut(t *testing.T) {
	t.Parallel()
	w := hosted(t)
	soa := strings.Split(answered(w, "ann.example"), "\n")[1]
	p, err := w.imported("$TTL 3600\n@ NS ns1.away.example.\n@ NS ns2.away.example.\nwww A 192.0.2.1\nwww A 192.0.2.1\nwww NSEC x.ann.example. A\n")
	if err != nil {
		t.Fatal(err)
	}
	said := strings.Join(p.Sentences, "\n")
	for _, want := range []string{"The file has no SOA record", "that signing makes is left out", "more than once"} {
		if !strings.Contains(said, want) {
			t.Errorf("nothing is said of %q:\n%s", want, said)
		}
	}
	w.by(w.ann, p, err)
	if got := answered(w, "ann.example"); !strings.Contains(got, strings.Fields(soa)[2]) || strings.Contains(got, "NSEC") {
		t.Errorf("answered:\n%s", got)
	}
}

func TestAZoneFileIsWrittenAsItIsRead(t *testing.T) {
	t.Parallel()
	w := hosted(t)
	p, err := w.imported(zoneFile(4_000_000_000, "www 60 A 192.0.2.7", `t TXT "a;b" "\"q\""`, "*.x CNAME www", `u TYPE65280 \# 2 00FF`))
	w.by(w.ann, p, err)
	f, err := w.ZoneFile(t.Context(), w.ann, "ann.example", false)
	if err != nil || f.Serial != 4_000_000_000 || f.Domain != "ann.example" {
		t.Fatalf("%+v, %v", f, err)
	}
	if p, err := w.imported(f.Text); err != nil || !p.Empty() {
		t.Errorf("%+v, %v of\n%s", p, err, f.Text)
	}
	if _, err := w.ZoneFile(t.Context(), w.bob, "ann.example", false); !errors.Is(err, control.ErrNotFound) {
		t.Errorf("bob: %v", err)
	}
}

func TestZoneFilesThatAreRefused(t *testing.T) {
	t.Parallel()
	w := hosted(t)
	before := answered(w, "ann.example")
	for what, c := range map[string]struct{ text, says string }{
		"include":   {"$INCLUDE /etc/passwd\n" + zoneFile(1), "Line 1: "},
		"generate":  {zoneFile(1) + "$GENERATE 1-9 a$ A 192.0.2.$\n", "$GENERATE"},
		"syntax":    {zoneFile(1, "www A 192.0.2.300"), "Line 5: "},
		"elsewhere": {zoneFile(1, "www.bob.example. A 192.0.2.1"), "Line 5: "},
		"alias":     {zoneFile(1, "www CNAME a.away.example.", "www A 192.0.2.1"), "CNAME"},
		"no NS":     {"@ 3600 SOA a. b. 1 7200 900 1209600 300\n", "NS"},
		"empty":     {"", ""},
	} {
		_, err := w.imported(c.text)
		if !errors.Is(err, control.ErrInvalid) || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "root:") {
			t.Errorf("%s: %v", what, err)
		}
	}
	if got := answered(w, "ann.example"); got != before {
		t.Errorf("answered:\n%s", got)
	}
}

func TestManyZonesAreImportedAsOneChange(t *testing.T) {
	t.Parallel()
	w := hosted(t)
	yes := true
	in := control.ZoneImport{Account: "ann", Proved: &yes, Zones: []control.ZoneText{
		{Domain: "one.example", Text: zoneFile(7, "www A 192.0.2.1")},
		{Domain: "Two.example.", Text: zoneFile(8)},
		{Domain: "bad.example", Text: zoneFile(9, "www A x")},
		{Domain: "ann.example", Text: zoneFile(4_000_000_000)},
		{Domain: "ONE.example", Text: zoneFile(9)},
		{Domain: "bob.example", Text: zoneFile(9)},
		{Domain: "no name", Text: zoneFile(9)},
	}}
	p, err := w.PlanZoneImports(t.Context(), control.Operator(), in)
	if err != nil || !p.Asks || len(p.Changes) != 4 {
		t.Fatalf("%+v, %v", p, err)
	}
	if len(p.Refused) != 4 || p.Refused[0].Entry != 3 || p.Refused[0].Line != 5 || p.Refused[0].Subject != "bad.example" || p.Refused[1].Entry != 5 || p.Refused[2].Entry != 6 || p.Refused[3].Entry != 7 {
		t.Errorf("refused: %+v", p.Refused)
	}
	version := w.Version()
	w.ok(p, err)
	if w.Version() != version+1 {
		t.Errorf("%d changes", w.Version()-version)
	}
	for domain, serial := range map[string]uint32{"one.example": 7, "two.example": 8, "ann.example": 4_000_000_000} {
		if z := w.m.Answered[domain]; z.Serial != serial || z.Pending || z.Account != w.annID {
			t.Errorf("%s: %+v", domain, z)
		}
		if d, ok := w.Directory().Domain(domain); !ok || !d.Proved || d.Account != w.annID || d.Zone != "hosted" || d.Mode != "local" {
			t.Errorf("%s: %+v", domain, d)
		}
	}
	if _, there := w.m.Answered["bad.example"]; there {
		t.Error("a zone that was refused is answered for")
	}
	// A customer makes inert domains of their own, and touches nobody else's.
	p, err = w.PlanZoneImports(t.Context(), w.bob, control.ZoneImport{Zones: []control.ZoneText{{Domain: "one.example", Text: zoneFile(99)}, {Domain: "three.example", Text: zoneFile(99)}}})
	if err != nil || len(p.Refused) != 1 || p.Refused[0].Subject != "one.example" || p.Asks {
		t.Fatalf("%+v, %v", p, err)
	}
	w.by(w.bob, p, err)
	if z := w.m.Answered["three.example"]; !z.Pending || z.Account != w.bobID {
		t.Errorf("%+v", z)
	}
	if _, err := w.PlanZoneImports(t.Context(), w.bob, control.ZoneImport{Account: "ann", Zones: in.Zones}); !errors.Is(err, control.ErrNotFound) {
		t.Errorf("bob for ann: %v", err)
	}
}

func TestZonesAreChecked(t *testing.T) {
	t.Parallel()
	w := hosted(t)
	w.put("w", "CNAME", "nowhere", "")
	found, err := w.CheckZone(t.Context(), w.ann, "ann.example", nil)
	i := -1
	for j, p := range found {
		if len(p.Records) == 1 && strings.HasPrefix(p.Records[0], "w.ann.example. 3600 IN CNAME") {
			i = j
		}
	}
	if err != nil || i < 0 || found[i].Severity != "warn" || found[i].Sentence == "" || found[i].Hint == "" {
		t.Errorf("%+v, %v", found, err)
	}
	text := zoneFile(1, "www CNAME a.away.example.", "www A 192.0.2.1")
	if found, err = w.CheckZone(t.Context(), w.ann, "ann.example", &text); err != nil || len(found) == 0 || found[0].Severity != "refuse" || found[0].Line == 0 {
		t.Errorf("%+v, %v", found, err)
	}
	text = "www A 192.0.2.1.1"
	if found, err = w.CheckZone(t.Context(), w.bob, "bob.example", &text); err != nil || len(found) != 1 || found[0].Line != 1 || found[0].Rule != "ZONE_FILE_SYNTAX" {
		t.Errorf("%+v, %v", found, err)
	}
	for _, domain := range []string{"ann.example", "none.example"} {
		if _, err := w.CheckZone(t.Context(), w.bob, domain, &text); !errors.Is(err, control.ErrNotFound) {
			t.Errorf("%s: %v", domain, err)
		}
	}
}
