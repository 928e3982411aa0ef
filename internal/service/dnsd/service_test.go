package dnsd

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"sync"
	"testing"
	"time"

	codec "github.com/miekg/dns"

	"postroad/internal/core/zone"
	"postroad/internal/obs"
	"postroad/internal/proto/dns"
	"postroad/internal/service/dnsd/answer"
)

// small is a zone of a few records.
func small(t testing.TB, domain, address string) *zone.Zone {
	t.Helper()
	z := &zone.Zone{Domain: domain, Serial: 1}
	for _, r := range [][3]string{{"@", "SOA", "ns1 host 1 3600 900 604800 300"}, {"@", "NS", "ns1"}, {"@", "MX", "10 mx1"}, {"mx1", "A", address}, {"ns1", "A", address}} {
		name, err := dns.Name(r[0], domain+".")
		if err != nil {
			t.Fatal(err)
		}
		kind, _ := dns.ParseType(r[1])
		data, err := dns.Data(kind, r[2], domain+".")
		if err != nil {
			t.Fatal(err)
		}
		z.Records = append(z.Records, dns.Record{Name: name, Type: kind, TTL: 300, Data: data})
	}
	return z
}

// running is a service on a free port of one address.
type running struct {
	*Service
	addr    string
	end     func() // at the end of the test at the latest
	metrics *obs.Metrics
	log     *bytes.Buffer
}

func start(t testing.TB, cfg Config, address string) *running {
	t.Helper()
	r := &running{metrics: obs.NewMetrics(), log: &bytes.Buffer{}}
	r.Service = New(cfg, r.metrics, slog.New(slog.NewTextHandler(r.log, nil)))
	var conns []*net.UDPConn
	var l net.Listener
	for range 20 { // another may have the port of UDP
		var err error
		if l, err = net.Listen("tcp", net.JoinHostPort(address, "0")); err != nil {
			t.Fatal(err)
		}
		if conns, err = ListenUDP(t.Context(), "udp", l.Addr().String()); err == nil {
			break
		}
		_ = l.Close()
	}
	if len(conns) == 0 {
		t.Fatal("no free port")
	}
	_, port, _ := net.SplitHostPort(l.Addr().String())
	r.addr = net.JoinHostPort("127.0.0.1", port)
	ended := make(chan error, 1+len(conns))
	go func() { ended <- r.ServeTCP(l) }()
	for _, c := range conns {
		go func() { ended <- r.ServeUDP(c) }()
	}
	r.end = sync.OnceFunc(func() {
		_ = l.Close()
		for _, c := range conns {
			_ = c.Close()
		}
		for range 1 + len(conns) {
			if err := <-ended; err != nil {
				t.Error(err)
			}
		}
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		r.Stop(ctx)
		if ctx.Err() != nil {
			t.Error("it did not stop")
		}
	})
	t.Cleanup(r.end)
	return r
}

// counted gives the metrics once all that was answered is counted: at the end, since an answer is on its way before that.
func (r *running) counted(t *testing.T) map[string]float64 {
	t.Helper()
	r.end()
	got, err := r.metrics.Gather()
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func (r *running) publish(t testing.TB, zones ...*zone.Zone) {
	t.Helper()
	for _, z := range zones {
		publish, err := r.Prepare(z)
		if err != nil {
			t.Fatal(err)
		}
		publish()
	}
}

// ask asks over a transport.
func (r *running) ask(t testing.TB, network, name string, kind uint16) *codec.Msg {
	t.Helper()
	m := new(codec.Msg)
	m.SetQuestion(name, kind)
	c := &codec.Client{Net: network, Timeout: 5 * time.Second}
	a, _, err := c.Exchange(m, r.addr)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func packed(t testing.TB, name string, kind uint16) []byte {
	t.Helper()
	m := new(codec.Msg)
	m.SetQuestion(name, kind)
	b, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func framed(messages ...[]byte) []byte {
	var b []byte
	for _, m := range messages {
		b = binary.BigEndian.AppendUint16(b, uint16(len(m)))
		b = append(b, m...)
	}
	return b
}

func TestZonesAreAnsweredOverUDPAndTCP(t *testing.T) {
	r := start(t, Config{}, "127.0.0.1")
	for _, network := range []string{"udp", "tcp"} {
		r.Withdraw("example.test")
		if a := r.ask(t, network, "example.test.", codec.TypeMX); a.Rcode != codec.RcodeRefused {
			t.Errorf("%s before: %v", network, a)
		}
		r.publish(t, small(t, "example.test", "192.0.2.1"))
		if a := r.ask(t, network, "example.test.", codec.TypeMX); len(a.Answer) != 1 || !a.Authoritative {
			t.Errorf("%s: %v", network, a)
		}
		r.publish(t, small(t, "example.test", "192.0.2.2"))
		if a := r.ask(t, network, "mx1.example.test.", codec.TypeA); a.Answer[0].(*codec.A).A.String() != "192.0.2.2" { //nolint:forcetypeassert // asked for
			t.Errorf("%s after a change: %v", network, a)
		}
		_ = r.ask(t, network, "x.example.test.", codec.TypeA)
	}
	r.publish(t, small(t, "example.test", "192.0.2.2"))
	if s, ok := r.Statistics("example.test"); !ok || s.Answers != 2 || s.NXDomain != 1 || s.Serial != 1 {
		t.Errorf("%+v, %v", s, ok)
	}
	if _, ok := r.Statistics("example.net"); ok {
		t.Error("statistics of a zone that is not there")
	}
	got := r.counted(t)
	if got["postroad_dns_queries_total"] != 8 || got["postroad_dns_answers_total"] != 8 || got["postroad_dns_zones"] != 1 {
		t.Errorf("%v", got)
	}
}

func TestZonesThatCannotBeCompiledChangeNothing(t *testing.T) {
	r := start(t, Config{}, "127.0.0.1")
	r.publish(t, small(t, "example.test", "192.0.2.1"))
	bad := small(t, "example.test", "192.0.2.2")
	bad.Records = bad.Records[1:]
	if _, err := r.Prepare(bad); err == nil {
		t.Error("a zone without SOA is taken")
	}
	if a := r.ask(t, "udp", "mx1.example.test.", codec.TypeA); a.Answer[0].(*codec.A).A.String() != "192.0.2.1" { //nolint:forcetypeassert // asked for
		t.Errorf("%v", a)
	}
}

func TestBothFamiliesAreAnsweredFromTheAddressAsked(t *testing.T) {
	r := start(t, Config{}, "::")
	r.publish(t, small(t, "example.test", "192.0.2.1"))
	_, port, _ := net.SplitHostPort(r.addr)
	for _, address := range []string{"127.0.0.1", "127.0.0.5", "127.9.9.9", "::1"} {
		conn, err := net.Dial("udp", net.JoinHostPort(address, port))
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conn.Close() }()
		_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
		in := make([]byte, 2048)
		for range 3 {
			if _, err := conn.Write(packed(t, "example.test.", codec.TypeMX)); err != nil {
				t.Fatal(err)
			}
			// The socket is connected: an answer from another address does not get here.
			if n, err := conn.Read(in); err != nil || n < 12 || in[7] != 1 {
				t.Errorf("%s: %d octets, %v", address, n, err)
			}
		}
	}
}

func TestManyQuestionsAtOnceByUDP(t *testing.T) {
	r := start(t, Config{}, "127.0.0.1")
	r.publish(t, small(t, "example.test", "192.0.2.1"))
	conn, err := net.Dial("udp", r.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
	want := map[uint16]bool{}
	in := make([]byte, 2048)
	for round := range 20 {
		for i := range 100 {
			b := packed(t, "example.test.", codec.TypeMX)
			id := uint16(round*100 + i)
			binary.BigEndian.PutUint16(b, id)
			want[id] = true
			if _, err := conn.Write(b); err != nil {
				t.Fatal(err)
			}
		}
		for range 100 {
			n, err := conn.Read(in)
			if err != nil {
				t.Fatal(err, len(want))
			}
			id := binary.BigEndian.Uint16(in)
			if !want[id] || n < 40 {
				t.Fatalf("answer %d of %d octets", id, n)
			}
			delete(want, id)
		}
	}
}

func TestQuestionsOnOneConnectionAreAnsweredInOrder(t *testing.T) {
	r := start(t, Config{}, "127.0.0.1")
	r.publish(t, small(t, "example.test", "192.0.2.1"))
	conn, err := net.Dial("tcp", r.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	var all [][]byte
	const n = 3000
	for i := range n {
		b := packed(t, "example.test.", codec.TypeMX)
		binary.BigEndian.PutUint16(b, uint16(i))
		all = append(all, b)
	}
	go func() {
		stream := framed(all...)
		for cut := 1; len(stream) > 0; cut = cut*7%1009 + 1 { // in pieces of many sizes
			size := min(cut, len(stream))
			if _, err := conn.Write(stream[:size]); err != nil {
				return
			}
			stream = stream[size:]
		}
	}()
	in := make([]byte, 2+65535)
	for i := range n {
		if _, err := io.ReadFull(conn, in[:2]); err != nil {
			t.Fatal(i, err)
		}
		size := int(binary.BigEndian.Uint16(in))
		if _, err := io.ReadFull(conn, in[:size]); err != nil || int(binary.BigEndian.Uint16(in)) != i || in[7] != 1 {
			t.Fatal(i, err)
		}
	}
}

func TestHalfSentMessagesBlockNobody(t *testing.T) {
	r := start(t, Config{}, "127.0.0.1")
	r.publish(t, small(t, "example.test", "192.0.2.1"))
	whole := framed(packed(t, "example.test.", codec.TypeMX))
	var first net.Conn
	for i := range maxStreamsPerNetwork + 50 {
		conn, err := net.Dial("tcp", r.addr)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conn.Close() }()
		if i == 0 {
			first = conn
		}
		if _, err := conn.Write(whole[:len(whole)/2]); err != nil {
			t.Fatal(err)
		}
		if i%50 == 0 {
			if a := r.ask(t, "tcp", "example.test.", codec.TypeMX); len(a.Answer) != 1 {
				t.Errorf("%v", a)
			}
		}
	}
	if a := r.ask(t, "tcp", "example.test.", codec.TypeMX); len(a.Answer) != 1 {
		t.Errorf("%v", a)
	}
	// The one that has been silent for the longest had to go.
	_ = first.SetDeadline(time.Now().Add(5 * time.Second))
	if _, err := first.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the oldest: %v", err)
	}
}

// echo is a Transfers that answers with what it was given.
type echo struct{ seen chan Packet }

func (e echo) Serve(_ context.Context, p Packet) {
	plain := p.Plain(packedSOA())
	_ = p.Send(append(bytes.Clone(p.Data[:2]), plain[2:]...))
	p.Data = bytes.Clone(p.Data)
	e.seen <- p
}

func packedSOA() []byte {
	m := new(codec.Msg)
	m.SetQuestion("example.test.", codec.TypeSOA)
	b, _ := m.Pack()
	return b
}

func TestTransfersAreHandedOver(t *testing.T) {
	e := echo{make(chan Packet, 10)}
	r := start(t, Config{Transfers: e}, "127.0.0.1")
	r.publish(t, small(t, "example.test", "192.0.2.1"))
	for _, network := range []string{"udp", "tcp"} {
		notify := new(codec.Msg)
		notify.SetNotify("example.test.")
		axfr := new(codec.Msg)
		axfr.SetQuestion("example.test.", codec.TypeAXFR)
		signed := new(codec.Msg)
		signed.SetQuestion("example.test.", codec.TypeSOA)
		signed.SetTsig("key.", codec.HmacSHA256, 300, time.Now().Unix())
		for _, m := range []*codec.Msg{notify, axfr, signed} {
			conn, err := codec.DialTimeout(network, r.addr, 5*time.Second)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = conn.Close() }()
			_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
			conn.TsigSecret = map[string]string{"key.": "c2VjcmV0"}
			if err := conn.WriteMsg(m); err != nil {
				t.Fatal(err)
			}
			p := <-e.seen
			if from := netip.MustParseAddrPort(conn.LocalAddr().String()); p.Client != from || p.TCP != (network == "tcp") {
				t.Errorf("%s: %v, want from %s", network, p, from)
			}
			conn.TsigSecret = nil
			b := make([]byte, 65535)
			n, err := conn.Read(b)
			a := new(codec.Msg)
			if err != nil || a.Unpack(b[:n]) != nil || a.Id != m.Id || len(a.Answer) != 1 {
				t.Errorf("%s: %v, %v", network, a, err)
			}
		}
		if a := r.ask(t, network, "example.test.", codec.TypeMX); len(a.Answer) != 1 {
			t.Errorf("%v", a)
		}
	}
}

// A fault costs the packet that met it, is counted and told, and the next one is answered.
func TestAFaultCostsOnePacket(t *testing.T) {
	r := start(t, Config{}, "127.0.0.1")
	r.publish(t, small(t, "example.test", "192.0.2.1"))
	w := r.newWorker()
	w.client.Addr = netip.MustParseAddr("192.0.2.1")
	w.responder = nil
	out, question := make([]byte, maxDatagram), packed(t, "example.test.", codec.TypeMX)
	if n, outcome := w.answer(out, question); n != 0 || outcome != answer.Dropped {
		t.Errorf("%d octets, outcome %d", n, outcome)
	}
	if n, outcome := w.answer(out, question); n == 0 || outcome != answer.Answered {
		t.Errorf("the next one: %d octets, outcome %d", n, outcome)
	}
	if got := r.counted(t); got["postroad_dns_panics_total"] != 1 || !bytes.Contains(r.log.Bytes(), []byte("a question could not be answered")) {
		t.Errorf("%v, %s", got["postroad_dns_panics_total"], r.log)
	}
}

// Many questions cost no memory each, from the socket and back to it.
func TestAnsweringOverUDPAllocatesNothing(t *testing.T) {
	r := start(t, Config{RateLimit: 1_000_000}, "127.0.0.1")
	r.publish(t, small(t, "example.test", "192.0.2.1"))
	conn, err := net.Dial("udp", r.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	question, in := packed(t, "example.test.", codec.TypeMX), make([]byte, 2048)
	exchange := func() {
		if _, err := conn.Write(question); err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Read(in); err != nil {
			t.Fatal(err)
		}
	}
	if n := testing.AllocsPerRun(2000, exchange); n != 0 {
		t.Errorf("%v allocations a question", n)
	}
}
