package transfers

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"postroad/internal/core/transfer"
	"postroad/internal/proto/dns"
)

const primaryAt = "192.0.2.100:53"

var primaryPeer = netip.MustParseAddrPort("192.0.2.100:40000")

// fed is a world that is a secondary of ann.example, whose primary is another world.
func fed(t *testing.T) (secondary, home *world) {
	t.Helper()
	home = newWorld(t)
	home.start()
	secondary = newWorld(t)
	secondary.settings.Peers = nil
	secondary.settings.Secondaries = []transfer.Secondary{{Domain: "ann.example", Account: "ann", Primary: netip.MustParseAddrPort(primaryAt), Key: "ann-key", Operator: true}}
	secondary.server("tcp", primaryAt, overTCP(func(request []byte) [][]byte { return home.ask(client, true, request) }))
	return secondary, home
}

// notify has somebody tell of a change, and gives the RCODE of the answer.
func (w *world) notify(from netip.AddrPort, key *dns.TSIGKey) byte {
	w.t.Helper()
	request, err := dns.NotifyRequest(3, "ann.example.")
	if err != nil {
		w.t.Fatal(err)
	}
	if key != nil {
		if request, err = key.Begin().Sign(request, time.Now()); err != nil {
			w.t.Fatal(err)
		}
	}
	answers := w.ask(from, false, request)
	if len(answers) != 1 {
		w.t.Fatalf("%d answers to NOTIFY", len(answers))
	}
	return answers[0][3] & 15
}

func TestASecondaryFollowsItsPrimary(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, home := fed(t)
		z := home.host("ann.example", 1, "www A 192.0.2.1", "a TXT b", "b TXT b", "c TXT c", "d TXT d", "e TXT e")
		w.start()
		w.settle(time.Second)
		if got := w.answered["ann.example"]; !same(got.Content(), z.Content()) || got.Serial != 1 || got.Account != "ann" {
			t.Fatalf("first: %v", got)
		}
		z = home.host("ann.example", 2, "www A 192.0.2.2", "a TXT b", "b TXT b", "c TXT c", "d TXT d", "e TXT e")
		w.settle(2 * time.Second)
		if w.answered["ann.example"].Serial != 1 {
			t.Error("nobody has told, and it was fetched")
		}
		// From the primary alone, under its key (RFC 1996 §3.10).
		for name, rcode := range map[string]byte{
			"a stranger": w.notify(client, keyNamed("ann-key")), "unsigned": w.notify(primaryPeer, nil), "another key": w.notify(primaryPeer, keyNamed("bob-key")),
		} {
			if rcode != rcodeRefused {
				t.Errorf("%s: RCODE %d", name, rcode)
			}
		}
		w.settle(2 * time.Second)
		if w.answered["ann.example"].Serial != 1 {
			t.Error("a stranger has told, and it was fetched")
		}
		if rcode := w.notify(primaryPeer, keyNamed("ann-key")); rcode != rcodeOK {
			t.Errorf("the primary: RCODE %d", rcode)
		}
		w.settle(2 * time.Second)
		if got := w.answered["ann.example"]; !same(got.Content(), z.Content()) {
			t.Errorf("by IXFR: %v", got)
		}
		// Nobody tells: by the zone's refresh time.
		z = home.host("ann.example", 3)
		w.settle(3601 * time.Second)
		if got := w.answered["ann.example"]; !same(got.Content(), z.Content()) {
			t.Errorf("by refresh: %v", got)
		}
		if kept := w.copies["ann.example"]; kept.Serial != 3 || len(w.found) != 0 {
			t.Errorf("kept %v, found %v", kept, w.found)
		}
	})
}

func TestAZoneExpiresAndComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, home := fed(t)
		home.host("ann.example", 1)
		w.start()
		w.settle(time.Second)
		working := w.servers["tcp "+primaryAt]
		w.server("tcp", primaryAt, nil)
		w.settle(24*time.Hour - 10*time.Second)
		if w.expired["ann.example"] || w.answered["ann.example"].Serial != 1 || !strings.Contains(w.found["ann.example"], "refused") {
			t.Errorf("before its time: %v, %v", w.expired, w.found)
		}
		w.settle(20 * time.Second)
		if !w.expired["ann.example"] {
			t.Fatal("it did not expire")
		}
		if _, err := w.transfer(client, "ann.example", dns.TypeAXFR, 0, nil); err == nil {
			t.Error("it is handed out")
		}
		// A start finds it expired as well.
		again := newWorld(t)
		again.settings, again.copies = w.settings, w.copies
		again.start()
		w.settle(time.Second)
		if !again.expired["ann.example"] {
			t.Error("a start answers for it")
		}
		w.server("tcp", primaryAt, working)
		w.settle(15 * time.Minute)
		if w.expired["ann.example"] || w.answered["ann.example"].Serial != 1 || len(w.found) != 0 {
			t.Errorf("the primary is back: %v, %v", w.expired, w.found)
		}
	})
}

func TestAStartAnswersForWhatIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		z := zoneOf(t, "ann.example", 5)
		w.copies["ann.example"] = transfer.Copy{Refreshed: time.Now().Add(-time.Hour), Serial: 5, Records: z.Records}
		w.settings.Secondaries = []transfer.Secondary{{Domain: "ann.example", Account: "ann", Primary: netip.MustParseAddrPort(primaryAt)}}
		w.proved["ann.example"] = false
		w.start()
		if got, there := w.answered["ann.example"]; there {
			t.Errorf("before the proof %v", got)
		}
		w.mu.Lock()
		w.proved["ann.example"] = true
		w.mu.Unlock()
		if err := w.Reload(t.Context()); err != nil || w.answered["ann.example"].Serial != 5 || w.answered["ann.example"].Pending {
			t.Errorf("proved: %v, %v", w.answered["ann.example"], err)
		}
		w.settle(time.Second)
		if !strings.Contains(w.found["ann.example"], "without the operator's leave") { // documentation's address
			t.Errorf("found %v", w.found)
		}
		w.mu.Lock()
		w.settings.Secondaries = nil
		w.mu.Unlock()
		if err := w.Reload(t.Context()); err != nil || len(w.answered) != 0 {
			t.Errorf("given up: %v, %v", w.answered, err)
		}
	})
}

// A primary that is away is dialled once for all of its zones.
func TestAPrimaryThatIsAwayIsDialledSeldom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		for i := range 40 {
			name := fmt.Sprintf("z%d.example", i)
			w.proved[name] = true
			w.settings.Secondaries = append(w.settings.Secondaries, transfer.Secondary{Domain: name, Account: "ann", Primary: netip.MustParseAddrPort(primaryAt), Operator: true})
		}
		w.settings.Secondaries = append(w.settings.Secondaries, transfer.Secondary{Domain: "ann.example", Account: "ann", Primary: netip.MustParseAddrPort(primaryAt), Operator: true})
		w.start()
		w.settle(time.Second)
		refused, spared := 0, 0
		for _, evidence := range w.found {
			if strings.Contains(evidence, "connection refused") {
				refused++
			}
			if strings.Contains(evidence, "a moment ago") {
				spared++
			}
		}
		if refused < 1 || refused > atOnce || refused+spared != 41 {
			t.Errorf("found %v", w.found)
		}
		z := zoneOf(t, "ann.example", 1)
		w.server("tcp", primaryAt, overTCP(func(request []byte) [][]byte {
			if request[len(request)-3] == byte(dns.TypeSOA) {
				return stream(t, request, nil, 65535, soaRecord(t, z.Records))
			}
			return stream(t, request, z.Content(), 65535)
		}))
		w.settle(5 * time.Minute)
		if w.answered["ann.example"].Serial != 1 {
			t.Errorf("it is back: %v", w.found)
		}
	})
}

// Whatever a primary sends that is not the zone by the rules, the last good version stays.
func TestABadPrimaryCostsNothing(t *testing.T) {
	good := zoneOf(t, "ann.example", 1, "www A 192.0.2.1")
	next := zoneOf(t, "ann.example", 2, "www A 192.0.2.2")
	cases := map[string]struct {
		want  string
		serve func(w *world, request []byte) [][]byte
	}{
		"a stream that ends in the middle": {"connection ended", func(w *world, request []byte) [][]byte {
			msgs := stream(w.t, request, next.Content(), 120)
			return append(msgs[:len(msgs)-1], nil)
		}},
		"another zone": {"another question", func(w *world, request []byte) [][]byte {
			other := zoneOf(w.t, "bob.example", 2)
			r, _ := dns.TransferRequest(1, "bob.example.", dns.TypeAXFR, nil)
			copy(r, request[:2])
			return stream(w.t, r, other.Content(), 65535)
		}},
		"another class": {"of class 3", func(w *world, request []byte) [][]byte {
			msgs := stream(w.t, request, next.Content(), 65535)
			at := bytes.Index(msgs[0], []byte{0, 6, 0, 1})
			msgs[0][at+3] = 3
			return msgs
		}},
		"records that are too large for their messages": {"wire", func(w *world, request []byte) [][]byte {
			msgs := stream(w.t, request, next.Content(), 65535)
			at := bytes.Index(msgs[0], []byte{0, 6, 0, 1})
			msgs[0][at+8] = 0xFF
			return msgs
		}},
		"a zone that breaks a rule": {"breaks a rule", func(w *world, request []byte) [][]byte {
			bad := zoneOf(w.t, "ann.example", 2, "www CNAME a", "www A 192.0.2.2")
			return stream(w.t, request, bad.Content(), 65535)
		}},
		"an old version": {"serial 1", func(w *world, request []byte) [][]byte { return stream(w.t, request, good.Content(), 65535) }},
		"REFUSED": {"REFUSED", func(_ *world, request []byte) [][]byte {
			msg := bytes.Clone(request)
			msg[2], msg[3] = 0x84, rcodeRefused
			return [][]byte{msg}
		}},
		"silence": {"i/o timeout", func(*world, []byte) [][]byte { return [][]byte{} }},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.settings.Secondaries = []transfer.Secondary{{Domain: "ann.example", Account: "ann", Primary: netip.MustParseAddrPort(primaryAt), Operator: true}}
				var bad atomic.Bool
				w.server("tcp", primaryAt, overTCP(func(request []byte) [][]byte {
					z := good
					if bad.Load() {
						z = next
					}
					if request[len(request)-3] == byte(dns.TypeSOA) && request[9] == 0 {
						return stream(t, request, z.Records[:0], 65535, soaRecord(t, z.Records))
					}
					if bad.Load() {
						return c.serve(w, request)
					}
					return stream(t, request, z.Content(), 65535)
				}))
				w.start()
				w.settle(time.Second)
				if w.answered["ann.example"].Serial != 1 {
					t.Fatal("the first version did not come")
				}
				bad.Store(true)
				if rcode := w.notify(primaryPeer, nil); rcode != rcodeOK {
					t.Errorf("RCODE %d", rcode)
				}
				w.settle(10 * time.Minute)
				if got := w.answered["ann.example"]; !same(got.Content(), good.Content()) || w.copies["ann.example"].Serial != 1 {
					t.Errorf("answered: %v", got)
				}
				if !strings.Contains(w.found["ann.example"], c.want) {
					t.Errorf("found %q, want %q", w.found["ann.example"], c.want)
				}
			})
		})
	}
}

// An endless stream is cut off by the limit on records.
func TestAnEndlessStreamEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.o.Limits.Records = 100
		z := zoneOf(t, "ann.example", 1)
		w.settings.Secondaries = []transfer.Secondary{{Domain: "ann.example", Account: "ann", Primary: netip.MustParseAddrPort(primaryAt), Operator: true}}
		w.server("tcp", primaryAt, func(conn net.Conn) {
			overTCP(func(request []byte) [][]byte {
				if request[len(request)-3] == byte(dns.TypeSOA) {
					return stream(t, request, nil, 65535, soaRecord(t, z.Records))
				}
				msgs := stream(t, request, z.Content(), 65535)
				msgs[0][7]--
				msgs[0] = msgs[0][:bytes.LastIndex(msgs[0], []byte{0xC0, headerSize, 0, 6})]
				more := stream(t, request, nil, 65535, z.Records[0])
				for range 1000 {
					msgs = append(msgs, more[0])
				}
				return msgs
			})(conn)
		})
		w.start()
		w.settle(time.Minute)
		if len(w.answered) != 0 || !strings.Contains(w.found["ann.example"], "more than 802 records") {
			t.Errorf("%v, found %v", w.answered, w.found)
		}
	})
}

func soaRecord(t *testing.T, records []dns.Record) dns.Record {
	t.Helper()
	soa, _, ok := content(records, "ann.example.")
	if !ok {
		t.Fatal(errors.New("no SOA record"))
	}
	return soa
}

// stream writes a zone as the answer to AXFR, or with records those alone.
func stream(t *testing.T, request []byte, zone []dns.Record, limit int, records ...dns.Record) [][]byte {
	t.Helper()
	var out [][]byte
	s, err := dns.NewStream(request, limit, func(msg []byte) error { out = append(out, bytes.Clone(msg)); return nil })
	if err != nil {
		t.Fatal(err)
	}
	if records == nil {
		name := ""
		for _, r := range zone {
			if r.Type == dns.TypeSOA {
				name = r.Name
			}
		}
		soa, rest, _ := content(zone, name)
		records = append(append([]dns.Record{soa}, rest...), soa)
	}
	for i := range records {
		if err := s.Add(&records[i]); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Flush(); err != nil {
		t.Fatal(err)
	}
	return out
}
