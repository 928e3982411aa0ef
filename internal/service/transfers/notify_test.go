package transfers

import (
	"bytes"
	"context"
	"net"
	"net/netip"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"postroad/internal/core/transfer"
)

// overUDP answers datagrams by f; nil is silence.
func overUDP(f func(request []byte) []byte) func(conn net.Conn) {
	return func(conn net.Conn) {
		defer func() { _ = conn.Close() }()
		buf := make([]byte, 4096)
		for {
			n, err := conn.Read(buf)
			if err != nil {
				return
			}
			if answer := f(buf[:n]); answer != nil {
				if _, err := conn.Write(answer); err != nil {
					return
				}
			}
		}
	}
}

// Servers are told once of changes that come together, and again and again when they are silent (RFC 1996 §3.6).
func TestSecondariesAreTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		signed, silent := "192.0.2.10:53", "192.0.2.11:53"
		w.settings.Peers = append(w.settings.Peers,
			transfer.Peer{Account: "ann", Zone: "ann.example", Notify: netip.MustParseAddrPort(signed), Key: "ann-key", Operator: true},
			transfer.Peer{Account: "ann", Zone: "ann.example", Notify: netip.MustParseAddrPort(silent), Operator: true})
		var told, tries atomic.Int32
		var hears atomic.Bool
		w.server("udp", signed, overUDP(func(request []byte) []byte {
			x := keyNamed("ann-key").Begin()
			bare, err := x.Verify(request, time.Now())
			if err != nil || bare[2]>>3 != opcodeNotify {
				t.Errorf("NOTIFY %x: %v", request, err)
				return nil
			}
			told.Add(1)
			bare[2] |= 0x80
			answer, err := x.Sign(bare, time.Now())
			if err != nil {
				t.Error(err)
			}
			return answer
		}))
		w.server("udp", silent, overUDP(func(request []byte) []byte {
			tries.Add(1)
			if !hears.Load() {
				return nil
			}
			request[2] |= 0x80
			request[3] = rcodeNotAuth
			return request
		}))
		w.start()
		for serial := range 10 {
			w.host("ann.example", serial+1)
		}
		w.settle(time.Second)
		if told.Load() != 1 {
			t.Errorf("told %d times of what came together", told.Load())
		}
		w.settle(10 * time.Minute)
		if n := tries.Load(); n < 6 || n > 12 {
			t.Errorf("%d tries in ten minutes", n)
		}
		hears.Store(true)
		w.settle(10 * time.Minute)
		n := tries.Load()
		w.settle(time.Hour)
		if tries.Load() != n || len(w.told) != 0 || len(w.down) != 0 {
			t.Errorf("%d tries after the answer, %v, %v", tries.Load()-n, w.told, w.down)
		}
		w.host("ann.example", 11)
		w.settle(time.Second)
		if told.Load() != 2 || tries.Load() != n+1 {
			t.Errorf("the next change: %d, %d", told.Load(), tries.Load()-n)
		}
	})
}

// A server that answers for some zones alone hears of these, whatever it does about the others.
func TestAZoneThatAServerDoesNotKnowHoldsUpNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.settings.Catalogs = []transfer.Catalog{{Name: "all.invalid", Account: "operator", Every: true}}
		w.settings.Keys[0].Account = "operator"
		w.settings.Peers = []transfer.Peer{
			{Account: "operator", Zone: "all.invalid", Notify: netip.MustParseAddrPort("192.0.2.11:53"), Operator: true},
			{Account: "operator", Zone: "all.invalid", Notify: netip.MustParseAddrPort("192.0.2.12:53"), Key: "ann-key", Operator: true},
		}
		var told atomic.Int32
		w.server("udp", "192.0.2.11:53", overUDP(func(request []byte) []byte {
			if bytes.Contains(request, []byte("ann")) {
				return nil // silent about this one
			}
			told.Add(1)
			request[2] |= 0x80
			return request
		}))
		w.server("udp", "192.0.2.12:53", overUDP(func(request []byte) []byte { // unsigned
			return append([]byte{request[0], request[1], 0x80 | opcodeNotify<<3, rcodeNotAuth}, make([]byte, 8)...)
		}))
		w.host("ann.example", 1)
		w.host("bob.example", 1)
		w.host("carol.example", 1)
		w.start()
		w.settle(30 * time.Second)
		if told.Load() != 3 { // with the catalog
			t.Errorf("told %d times", told.Load())
		}
		if len(w.told) != 1 {
			t.Errorf("still to be told: %v", w.told)
		}
	})
}

// A server that is away costs one try at a time, however many zones it is to be told of, and an hour.
func TestAServerThatIsAwayIsTriedSeldom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.settings.Catalogs = []transfer.Catalog{{Name: "all.invalid", Account: "operator", Every: true}}
		w.settings.Peers = []transfer.Peer{{Account: "operator", Zone: "all.invalid", Notify: netip.MustParseAddrPort("192.0.2.11:53"), Operator: true}}
		var tries atomic.Int32
		w.server("udp", "192.0.2.11:53", overUDP(func([]byte) []byte { tries.Add(1); return nil }))
		w.start()
		for _, name := range []string{"ann", "bob", "carol", "dave", "eve"} {
			w.host(name+".example", 1)
		}
		w.settle(2 * time.Hour)
		if n := tries.Load(); n < 10 || n > 30 || len(w.told) != 0 {
			t.Errorf("%d tries, %d still to be told", n, len(w.told))
		}
	})
}

func TestTheScheduleDoesNothingTwiceAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var running, most, done atomic.Int32
		s := newSchedule(nil)
		s.do = func(_ context.Context, _ task) {
			most.Store(max(most.Load(), running.Add(1)))
			<-time.After(time.Second)
			running.Add(-1)
			done.Add(1)
		}
		ctx, cancel := context.WithCancel(t.Context())
		go s.run(ctx)
		one := task{taskCheck, "one"}
		s.set(one, time.Now())
		settle(time.Millisecond)
		for range 5 {
			s.set(one, time.Now())
		}
		settle(10 * time.Second)
		if most.Load() != 1 || done.Load() != 2 {
			t.Errorf("%d at once, %d in all", most.Load(), done.Load())
		}
		s.set(one, time.Now().Add(time.Second))
		s.drop(one)
		settle(10 * time.Second)
		if done.Load() != 2 || len(s.tasks) != 0 {
			t.Errorf("dropped: %d in all, %v", done.Load(), s.tasks)
		}
		cancel()
		synctest.Wait()
	})
}
