package dnsd

import (
	"bytes"
	"context"
	"io"
	"net"
	"testing"
	"time"

	codec "github.com/miekg/dns"
)

func TestNothingIsHandedOverOnceStopped(t *testing.T) {
	e := echo{make(chan Packet, 10)}
	r := start(t, Config{Transfers: e}, "127.0.0.1")
	r.publish(t, small(t, "example.test", "192.0.2.1"))
	r.Stop(t.Context())
	conn, err := net.Dial("udp", r.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	notify := new(codec.Msg)
	notify.SetNotify("example.test.")
	told, err := notify.Pack()
	if err != nil {
		t.Fatal(err)
	}
	for _, packet := range [][]byte{told, packed(t, "example.test.", codec.TypeMX)} {
		if _, err := conn.Write(packet); err != nil {
			t.Fatal(err)
		}
	}
	// One socket hears both, in order.
	_ = conn.SetReadDeadline(time.Now().Add(5 * time.Second))
	in := make([]byte, 512)
	if n, err := conn.Read(in); err != nil || n < 12 || in[7] != 1 {
		t.Errorf("the question: %x, %v", in[:n], err)
	}
	if got := r.hears(t); got != "EOF" {
		t.Errorf("a new connection: %s", got)
	}
	if got := r.counted(t)["postroad_dns_dropped_total"]; got != 1 {
		t.Errorf("%v packets were dropped", got)
	}
}

// hears asks by TCP and tells what comes.
func (r *running) hears(t *testing.T) string {
	t.Helper()
	conn, err := net.Dial("tcp", r.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
	if _, err := io.ReadFull(conn, make([]byte, 2)); err != nil {
		return err.Error()
	}
	return "an answer"
}

// refusing is a Transfers that refuses, but for what has an odd ID.
type refusing struct{}

func (refusing) Serve(_ context.Context, p Packet) {
	answer := bytes.Clone(p.Data)
	answer[2] |= 0x80
	if answer[1]&1 == 0 {
		answer[3] = answer[3]&0xF0 | 5
	}
	_ = p.Send(answer)
}

// What is handed over has no way around the limit: errors for forged addresses are limited as those of all questions are.
func TestErrorsOfTransfersAreLimited(t *testing.T) {
	r := start(t, Config{Transfers: refusing{}, RateLimit: 5}, "127.0.0.1")
	conn, err := net.Dial("udp", r.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	refused, answered := 0, 0
	in := make([]byte, 512)
	for i := range 100 {
		notify := new(codec.Msg)
		notify.SetNotify("example.test.")
		for _, id := range []uint16{uint16(2 * i), uint16(2*i + 1)} { // what is not refused comes back always
			notify.Id = id
			told, err := notify.Pack()
			if err != nil {
				t.Fatal(err)
			}
			if _, err := conn.Write(told); err != nil {
				t.Fatal(err)
			}
		}
		for {
			_ = conn.SetReadDeadline(time.Now().Add(5 * time.Second))
			n, err := conn.Read(in)
			if err != nil || n < 12 {
				t.Fatal(n, err)
			}
			if in[3]&15 == 0 {
				answered++
				break
			}
			refused++
		}
	}
	limited := r.counted(t)["postroad_dns_dropped_total"]
	if answered != 100 || refused > 50 || limited < 50 {
		t.Errorf("%d answers, %d refusals, %v held back", answered, refused, limited)
	}
}
