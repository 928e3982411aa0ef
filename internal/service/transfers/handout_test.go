package transfers

import (
	"errors"
	"fmt"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"postroad/internal/core/transfer"
	"postroad/internal/core/zone"
	"postroad/internal/proto/dns"
)

// The cases of docs/threats.md: nobody but a peer has a zone (RFC 5936 §5).
func TestStrangersAreRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.start()
		w.host("ann.example", 1, "www A 192.0.2.1")
		w.host("bob.example", 1)
		pending := zoneOf(t, "ann.example", 1)
		elsewhere := netip.MustParseAddrPort("198.51.100.1:5353")
		wrong := keyNamed("ann-key")
		wrong.Secret = []byte("another secret")
		if got, err := w.transfer(client, "ann.example", dns.TypeAXFR, 1, keyNamed("ann-key")); err != nil || len(got.Records) != 4 {
			t.Fatalf("who may have it: %v, %v", got, err)
		}
		for _, c := range []struct {
			name string
			from netip.AddrPort
			zone string
			kind dns.Type
			key  *dns.TSIGKey
			want dns.RefusedError
		}{
			{"no key", client, "ann.example", dns.TypeAXFR, nil, rcodeRefused},
			{"a wrong secret", client, "ann.example", dns.TypeAXFR, wrong, rcodeNotAuth},
			{"a key that nobody knows", client, "ann.example", dns.TypeAXFR, keyNamed("other"), rcodeNotAuth},
			{"a wrong address", elsewhere, "ann.example", dns.TypeAXFR, keyNamed("ann-key"), rcodeRefused},
			{"the key of another zone", client, "ann.example", dns.TypeAXFR, keyNamed("bob-key"), rcodeRefused},
			{"IXFR by a stranger", client, "ann.example", dns.TypeIXFR, nil, rcodeRefused},
			{"a zone that is not here", client, "carol.example", dns.TypeAXFR, keyNamed("ann-key"), rcodeRefused},
		} {
			var refusal dns.RefusedError
			if got, err := w.transfer(c.from, c.zone, c.kind, 0, c.key); !errors.As(err, &refusal) || refusal != c.want {
				t.Errorf("%s: %v, %v; want %v", c.name, got, err, c.want)
			}
		}
		pending.Pending = true
		w.Published(&pending)
		if got, err := w.transfer(client, "ann.example", dns.TypeAXFR, 1, keyNamed("ann-key")); err == nil {
			t.Errorf("a zone whose ownership is not shown: %v", got)
		}
		pending.Pending = false
		w.Published(&pending)
		// A key of another account with the name that a peer goes by opens nothing.
		w.settings.Keys[0].Account = "bob"
		if err := w.Reload(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got, err := w.transfer(client, "ann.example", dns.TypeAXFR, 1, keyNamed("ann-key")); err == nil {
			t.Errorf("under another account's key: %v", got)
		}
		w.settings.Peers = nil
		if err := w.Reload(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got, err := w.transfer(client, "bob.example", dns.TypeAXFR, 1, keyNamed("bob-key")); err == nil {
			t.Errorf("without a peer: %v", got)
		}
	})
}

func TestDifferencesAreHandedOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.start()
		key := keyNamed("ann-key")
		lines := []string{}
		for i := range 500 {
			lines = append(lines, fmt.Sprintf("h%d A 192.0.2.7", i))
		}
		one := w.host("ann.example", 1, lines...)
		w.host("ann.example", 2, append(lines, "two A 192.0.2.2")...)
		three := w.host("ann.example", 3, append(lines[1:], "three A 192.0.2.3")...)
		got, err := w.transfer(client, "ann.example", dns.TypeIXFR, 1, key)
		if err != nil || len(got.Steps) != 2 {
			t.Fatalf("%d steps, %v", len(got.Steps), err)
		}
		records := one.Content()
		for _, step := range got.Steps {
			if records, err = step.Apply(records); err != nil {
				t.Fatal(err)
			}
		}
		if !same(records, three.Content()) {
			t.Error("the differences lead elsewhere")
		}
		if got, err := w.transfer(client, "ann.example", dns.TypeIXFR, 3, key); err != nil || !got.Current {
			t.Errorf("nothing newer: %v, %v", got, err)
		}
		if got, err := w.transfer(client, "ann.example", dns.TypeIXFR, 99, key); err != nil || !got.Current {
			t.Errorf("ahead of us: %v, %v", got, err)
		}
		if got, err := w.transfer(client, "ann.example", dns.TypeIXFR, 0, key); err != nil || !same(got.Records, three.Content()) {
			t.Errorf("a version that nobody knows: %d records, %v", len(got.Records), err)
		}
		w.host("ann.example", 4)
		if got, err := w.transfer(client, "ann.example", dns.TypeIXFR, 3, key); err != nil || got.Records == nil {
			t.Errorf("the differences are larger than the zone: %v, %v", got, err)
		}
		// Over UDP the SOA record comes alone.
		soa, _, _ := content(one.Records, one.Apex())
		request, err := dns.TransferRequest(1, "ann.example.", dns.TypeIXFR, &soa)
		if err != nil {
			t.Fatal(err)
		}
		if request, err = key.Begin().Sign(request, time.Now()); err != nil {
			t.Fatal(err)
		}
		if answers := w.ask(client, false, request); len(answers) != 1 || answers[0][3]&15 != 0 || answers[0][7] != 1 {
			t.Errorf("over UDP: %x", answers)
		}
	})
}

// A copy of another server's zone is handed on by differences as well.
func TestDifferencesOfCopiesAreHandedOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, home := fed(t)
		w.settings.Peers = []transfer.Peer{{Account: "ann", Zone: "ann.example", Key: "ann-key"}}
		key := keyNamed("ann-key")
		lines := []string{}
		for i := range 100 {
			lines = append(lines, fmt.Sprintf("h%d A 192.0.2.7", i))
		}
		one := home.host("ann.example", 1, lines...)
		w.start()
		w.settle(time.Second)
		told := func(z zone.Zone) {
			t.Helper()
			if rcode := w.notify(primaryPeer, key); rcode != rcodeOK {
				t.Fatalf("RCODE %d", rcode)
			}
			w.settle(2 * time.Second)
			if got := w.answered["ann.example"]; got.Serial != z.Serial {
				t.Fatalf("serial %d is here, want %d", got.Serial, z.Serial)
			}
		}
		told(home.host("ann.example", 2, append(lines, "two A 192.0.2.2")...))
		three := home.host("ann.example", 3, append(lines[1:], "three A 192.0.2.3")...)
		told(three)
		got, err := w.transfer(client, "ann.example", dns.TypeIXFR, 1, key)
		if err != nil || len(got.Steps) != 2 {
			t.Fatalf("%d steps, %v", len(got.Steps), err)
		}
		records := one.Content()
		for _, step := range got.Steps {
			if records, err = step.Apply(records); err != nil {
				t.Fatal(err)
			}
		}
		if !same(records, three.Content()) {
			t.Error("the differences lead elsewhere")
		}
		// What another node has fetched leads nowhere, and what comes after it does again.
		four := zoneOf(t, "ann.example", 4, lines...)
		w.mu.Lock()
		w.copies["ann.example"] = transfer.Copy{Refreshed: time.Now(), Serial: 4, Records: four.Records}
		w.mu.Unlock()
		if err := w.catchUp(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got, err := w.transfer(client, "ann.example", dns.TypeIXFR, 3, key); err != nil || !same(got.Records, four.Content()) {
			t.Errorf("after another node: %d records, %v", len(got.Records), err)
		}
		told(home.host("ann.example", 5, append(lines, "five A 192.0.2.5")...))
		if got, err := w.transfer(client, "ann.example", dns.TypeIXFR, 4, key); err != nil || len(got.Steps) != 1 {
			t.Errorf("%d steps, %v", len(got.Steps), err)
		}
	})
}

func TestStepsOfCopiesAreBounded(t *testing.T) {
	z := &copied{}
	step := func(from uint32, records int) *transfer.Step {
		return &transfer.Step{From: from, To: from + 1, Difference: dns.Difference{Added: make([]dns.Record, records)}}
	}
	for i := range uint32(100) {
		z.remember(step(i, 1))
	}
	if len(z.steps) != maxSteps || z.steps[maxSteps-1].To != 100 {
		t.Errorf("%d steps", len(z.steps))
	}
	z.remember(step(100, maxStepRecords-5))
	if len(z.steps) != 6 {
		t.Errorf("%d steps", len(z.steps))
	}
	if z.remember(step(101, maxStepRecords+1)); len(z.steps) != 0 {
		t.Errorf("%d steps after one that is too large", len(z.steps))
	}
	z.remember(step(7, 1))
	if z.remember(step(200, 1)); len(z.steps) != 1 {
		t.Errorf("%d steps after a gap", len(z.steps))
	}
}

// Servers that transfer sign their questions for SOA too: the answer is signed.
func TestSignedQuestionsAreAnsweredSigned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.start()
		w.host("ann.example", 7)
		question, err := dns.TransferRequest(5, "ann.example.", dns.TypeSOA, nil)
		if err != nil {
			t.Fatal(err)
		}
		exchange := keyNamed("bob-key").Begin() // any key will do for what everybody is told
		signed, err := exchange.Sign(question, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		answers := w.ask(client, false, signed)
		if len(answers) != 1 {
			t.Fatalf("%d answers", len(answers))
		}
		bare, err := exchange.Verify(answers[0], time.Now())
		if err != nil {
			t.Fatal(err)
		}
		if soa, err := dns.ReadSOA(question, bare); err != nil || soa.Name != "ann.example." {
			t.Errorf("%v, %v", soa, err)
		}
		late, err := keyNamed("bob-key").Begin().Sign(question, time.Now().Add(-time.Hour))
		if err != nil {
			t.Fatal(err)
		}
		for name, request := range map[string][]byte{"late": late, "no question": append(append([]byte{}, question[:5]...), append([]byte{0}, question[6:]...)...), "an opcode that is not served": append([]byte{0, 1, 5 << 3}, question[3:]...)} {
			if answers := w.ask(client, false, request); len(answers) != 1 || answers[0][3]&15 == 0 || answers[0][2]&0x80 == 0 {
				t.Errorf("%s: %x", name, answers)
			}
		}
		if answers := w.ask(client, false, append([]byte{0, 1, 0x80}, question[3:]...)); answers != nil {
			t.Errorf("an answer is answered: %x", answers)
		}
	})
}

// A domain goes before a catalog of its name.
func TestADomainHasTheNameOfACatalog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.settings.Catalogs = []transfer.Catalog{{Name: "ann.example", Account: "operator", Every: true}}
		w.start()
		z := w.host("ann.example", 7)
		publish, err := w.Prepare(&z)
		if err != nil {
			t.Fatal(err)
		}
		publish()
		w.settle(5 * time.Second)
		if got := w.answered["ann.example"]; got.Serial != 7 {
			t.Errorf("answered: %v", got)
		}
		w.settings.Catalogs = nil
		if err := w.Reload(t.Context()); err != nil || w.answered["ann.example"].Serial != 7 {
			t.Errorf("after the catalog's end: %v, %v", w.answered, err)
		}
	})
}

func TestCatalogsListWhatIsHosted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.settings.Catalogs = []transfer.Catalog{{Name: "all.invalid", Account: "operator", Every: true}, {Name: "ann.invalid", Account: "ann"}}
		w.settings.Peers = append(w.settings.Peers, transfer.Peer{Account: "ann", Zone: "ann.invalid", Key: "ann-key"}, transfer.Peer{Account: "operator", Zone: "all.invalid", Networks: []netip.Prefix{netip.MustParsePrefix("203.0.113.0/24")}})
		w.start()
		w.host("ann.example", 1)
		w.host("bob.example", 1)
		w.settle(2 * time.Second)
		operator := netip.MustParseAddrPort("203.0.113.9:53")
		members := func(from netip.AddrPort, name string, key *dns.TSIGKey) (list []string, serial uint32) {
			t.Helper()
			got, err := w.transfer(from, name, dns.TypeAXFR, 0, key)
			if err != nil {
				t.Fatal(err)
			}
			version := false
			for _, r := range got.Records {
				if r.Type == dns.TypePTR {
					list = append(list, r.Text())
				}
				version = version || r.Name == "version."+name+"." && r.Type == dns.TypeTXT && r.Text() == `"2"`
			}
			if !version {
				t.Errorf("%s: no version 2 (RFC 9432 §4.2.1)", name)
			}
			serial, err = dns.SerialOf(&got.SOA)
			if err != nil {
				t.Fatal(err)
			}
			return list, serial
		}
		list, first := members(operator, "all.invalid", nil)
		if len(list) != 2 {
			t.Errorf("%v", list)
		}
		if list, _ := members(client, "ann.invalid", keyNamed("ann-key")); len(list) != 1 || list[0] != "ann.example." {
			t.Errorf("%v", list)
		}
		// Who has the catalog may have what it lists, and nothing else.
		if _, err := w.transfer(operator, "bob.example", dns.TypeAXFR, 0, nil); err != nil {
			t.Errorf("a member: %v", err)
		}
		if _, err := w.transfer(client, "bob.example", dns.TypeAXFR, 0, keyNamed("ann-key")); err == nil {
			t.Error("a zone that the account's catalog does not list")
		}
		if z := w.answered["all.invalid"]; len(z.Records) != 2 || !z.Pending {
			t.Errorf("everybody is answered %v", z)
		}
		w.Withdrawn("bob.example")
		carol := zoneOf(t, "carol.example", 1)
		carol.Pending = true
		w.Published(&carol)
		w.settle(2 * time.Second)
		list, second := members(operator, "all.invalid", nil)
		if len(list) != 1 || second <= first {
			t.Errorf("%v, serial %d after %d", list, second, first)
		}
		w.settings.Catalogs = nil
		if err := w.Reload(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, err := w.transfer(operator, "all.invalid", dns.TypeAXFR, 0, nil); err == nil || len(w.answered) != 0 {
			t.Errorf("after its end: %v, %v", err, w.answered)
		}
	})
}
