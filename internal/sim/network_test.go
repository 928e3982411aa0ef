package sim

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"reflect"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

func TestNetworkPlaces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := NewNetwork(t)
		n.Peer("192.0.2.25:25", NewPeer(t, Script{Name: "mx.example.net"}))
		n.Peer("[2001:db8::25]:25", NewPeer(t, Script{Name: "six.example.net"}))
		n.Slow("192.0.2.25:25", 3*time.Second)
		n.Refuse("192.0.2.26:25")
		n.Unreachable("192.0.2.27:25")
		n.BlackHole("192.0.2.28:25")
		n.Serve("192.0.2.29:25", func(conn net.Conn) { _ = conn.Close() })
		for _, c := range []struct {
			address string
			err     error
			after   time.Duration
		}{
			{"192.0.2.25:25", nil, 3 * time.Second},
			{"[2001:db8::25]:25", nil, 0},
			{"192.0.2.25:26", syscall.ECONNREFUSED, 0},
			{"192.0.2.26:25", syscall.ECONNREFUSED, 0},
			{"192.0.2.27:25", syscall.ENETUNREACH, 0},
			{"192.0.2.28:25", os.ErrDeadlineExceeded, 30 * time.Second},
			{"192.0.2.29:25", nil, 0},
		} {
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			begun := time.Now()
			conn, err := n.DialContext(ctx, "tcp", c.address)
			if !errors.Is(err, c.err) || time.Since(begun) != c.after {
				t.Errorf("%s: %v after %v, want %v after %v", c.address, err, time.Since(begun), c.err, c.after)
			}
			if errors.Is(c.err, os.ErrDeadlineExceeded) {
				var timeout net.Error
				if !errors.As(err, &timeout) || !timeout.Timeout() {
					t.Errorf("%s: %v is no timeout", c.address, err)
				}
			}
			if conn != nil {
				if got := conn.RemoteAddr().String(); got != c.address {
					t.Errorf("%s: remote address %s", c.address, got)
				}
				_ = conn.Close()
			}
			cancel()
		}
		if got := n.Dials(); len(got) != 7 || got[2] != "192.0.2.25:26" || n.Dialled("192.0.2.28:25") != 1 {
			t.Errorf("dialled %v", got)
		}
	})
}

func TestNetworkForwards(t *testing.T) {
	peer := StartPeer(t, Script{Name: "real"})
	n := NewNetwork(t)
	n.Forward("192.0.2.25:25", peer.Addr())
	conn, err := n.DialContext(t.Context(), "tcp", "192.0.2.25:25")
	if err != nil {
		t.Fatal(err)
	}
	talk(t, conn).says("", "220 real")
}

func TestProxy(t *testing.T) {
	peer := StartPeer(t, Script{})
	proxy := StartProxy(t, peer.Addr())
	dial := func() net.Conn {
		conn, err := net.Dial("tcp", proxy.Addr())
		if err != nil {
			t.Fatal(err)
		}
		return conn
	}
	d := talk(t, dial())
	d.says("", "220", "EHLO c", "250")
	proxy.OctetByOctet(true)
	d.says("NOOP", "250 2.0.0 ok")
	proxy.OctetByOctet(false)
	proxy.Delay(20 * time.Millisecond)
	begun := time.Now()
	if d.says("NOOP", "250"); time.Since(begun) < 40*time.Millisecond {
		t.Errorf("there and back in %v", time.Since(begun))
	}
	proxy.BlackHole(true)
	d.send("NOOP\r\n")
	_ = d.conn.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
	if _, err := d.in.ReadByte(); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("out of the black hole came %v", err)
	}
	_ = d.conn.SetReadDeadline(time.Time{})
	proxy.Cut()
	if _, err := d.in.ReadByte(); !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, io.EOF) {
		t.Errorf("after the cut: %v", err)
	}
	if proxy.Accepted() != 1 {
		t.Errorf("%d connections", proxy.Accepted())
	}
}

func TestSteps(t *testing.T) {
	steps := []string{"", `250 "x" y`, After(time.Second, "250-a\n250 b"), InTurn("a", "b")}
	got, err := splitTurn(InTurn(steps...)[len(stepTurn):])
	if err != nil || !reflect.DeepEqual(got, steps) {
		t.Errorf("in turn %q, %v", got, err)
	}
	for _, bad := range []string{"x", "250 no quotes"} {
		if _, err := splitTurn(bad); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
	if _, _, err := splitTimed("1s 250"); err == nil {
		t.Error("a step without | is taken")
	}
}
