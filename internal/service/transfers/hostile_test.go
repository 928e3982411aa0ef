package transfers

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"postroad/internal/core/transfer"
	"postroad/internal/obs"
	"postroad/internal/proto/dns"
)

// Whoever invents names of keys fills neither the log nor the memory.
func TestInventedKeysFillNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		var log bytes.Buffer
		w.Service = New(Options{Store: w, Names: w, Domains: w, Box: w, Dialer: w, Log: slog.New(slog.NewTextHandler(&log, nil))})
		w.start()
		w.host("ann.example", 1)
		for i := range 1000 {
			request, err := dns.TransferRequest(9, "ann.example.", dns.TypeAXFR, nil)
			if err != nil {
				t.Fatal(err)
			}
			if request, err = keyNamed(fmt.Sprintf("key%d", i)).Begin().Sign(request, time.Now()); err != nil {
				t.Fatal(err)
			}
			if answers := w.ask(client, true, request); len(answers) != 1 || answers[0][3]&15 != rcodeNotAuth {
				t.Fatalf("%x", answers)
			}
		}
		if lines := strings.Count(log.String(), obs.KeyReason+"="); lines != 1 || !strings.Contains(log.String(), obs.KeyTSIG+"=key0") {
			t.Errorf("%d lines:\n%.1000s", lines, log.String())
		}
		if n := len(w.quiet.last) + len(w.quiet.left); n > 2 {
			t.Errorf("%d entries are kept", n)
		}
	})
}

// The primary of a domain that nobody has shown to be his is silent: what is below its name is not answered with SERVFAIL.
func TestAZoneThatIsNotProvedExpiresToNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, home := fed(t)
		home.host("ann.example", 1)
		w.proved["ann.example"] = false
		w.start()
		w.settle(time.Second)
		if got, there := w.answered["ann.example"]; there || w.copies["ann.example"].Serial != 1 {
			t.Fatalf("answered %v, kept %v", got, w.copies)
		}
		w.server("tcp", primaryAt, nil)
		w.settle(24*time.Hour + 10*time.Second)
		if _, there := w.answered["ann.example"]; there || w.expired["ann.example"] {
			t.Errorf("answered %v, expired %v", w.answered, w.expired)
		}
		again := newWorld(t) // a start
		again.settings, again.copies, again.proved = w.settings, w.copies, w.proved
		again.start()
		w.settle(time.Second)
		if _, there := again.answered["ann.example"]; there || again.expired["ann.example"] {
			t.Errorf("a start: answered %v, expired %v", again.answered, again.expired)
		}
		w.mu.Lock()
		w.proved["ann.example"] = true
		w.mu.Unlock()
		if err := w.Reload(t.Context()); err != nil || !w.expired["ann.example"] {
			t.Errorf("once it is proved: %v, expired %v", err, w.expired)
		}
	})
}

// Clients of one account's zones that take what they asked for slowly keep no other's waiting.
func TestSlowReadersTakeTheirOwnPlaces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.start()
		w.host("ann.example", 1)
		w.host("bob.example", 1)
		key := keyNamed("ann-key")
		stop := make(chan struct{})
		var slow sync.WaitGroup
		for range 2 * maxOut {
			request, err := dns.TransferRequest(9, "ann.example.", dns.TypeAXFR, nil)
			if err != nil {
				t.Fatal(err)
			}
			if request, err = key.Begin().Sign(request, time.Now()); err != nil {
				t.Fatal(err)
			}
			slow.Go(func() {
				w.Serve(t.Context(), Packet{Data: request, Client: client, TCP: true, Send: func(msg []byte) error {
					if msg[3]&15 == 0 {
						<-stop
					}
					return nil
				}})
			})
		}
		synctest.Wait()
		if got, err := w.transfer(client, "bob.example", dns.TypeAXFR, 1, keyNamed("bob-key")); err != nil || len(got.Records) != 3 {
			t.Errorf("another account's: %v, %v", got, err)
		}
		close(stop)
		slow.Wait()
		if len(w.out) != 0 || len(w.outOf["ann"]) != 0 {
			t.Error("places were not given back")
		}
	})
}

// IXFR over UDP, whose sender may be forged, reads no zone; one that names no version is malformed.
func TestIXFROverUDPReadsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.settings.Peers = []transfer.Peer{{Account: "ann", Zone: "ann.example", Networks: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}}}
		w.start()
		z := w.host("ann.example", 7)
		soa, _, _ := content(z.Records, z.Apex())
		request, err := dns.TransferRequest(1, z.Apex(), dns.TypeIXFR, &soa)
		if err != nil {
			t.Fatal(err)
		}
		before := w.reads.Load()
		answers := w.ask(client, false, request)
		if len(answers) != 1 || !bytes.Equal(answers[0][:12], []byte{0, 1, 0x84, 0, 0, 1, 0, 1, 0, 0, 0, 0}) {
			t.Fatalf("%x", answers)
		}
		got, _, end, err := dns.ReadRecord(answers[0], headerSize+len("\x03ann\x07example\x00")+4)
		if serial, _ := dns.SerialOf(&got); err != nil || serial != 7 || end != len(answers[0]) || dns.Type(binary.BigEndian.Uint16(answers[0][25:])) != dns.TypeIXFR {
			t.Errorf("%v, %v: %x", got, err, answers[0])
		}
		if n := w.reads.Load() - before; n != 0 {
			t.Errorf("the zone was read %d times", n)
		}
		// EDNS is answered with EDNS (RFC 6891 §6.1.1), in refusals too.
		opt := []byte{0, 0, 41, 4, 0xD0, 0, 0, 0, 0, 0, 0}
		asking := append(bytes.Clone(request), opt...)
		asking[11] = 1
		if got := w.ask(client, false, asking); len(got) != 1 || !bytes.Equal(got[0][6:12], []byte{0, 1, 0, 0, 0, 1}) || !bytes.HasSuffix(got[0], opt) {
			t.Errorf("with EDNS: %x", got)
		}
		if got := w.ask(netip.MustParseAddrPort("198.51.100.1:53"), true, asking); len(got) != 1 || got[0][3]&15 != rcodeRefused || got[0][11] != 1 || !bytes.HasSuffix(got[0], opt) {
			t.Errorf("refused with EDNS: %x", got)
		}
		request = bytes.Clone(request[:headerSize+len("\x03ann\x07example\x00")+4])
		request[9] = 0
		if answers := w.ask(client, true, request); len(answers) != 1 || answers[0][3]&15 != rcodeForm {
			t.Errorf("without a version: %x", answers)
		}
	})
}
