package sim

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"
)

const (
	answerLoops = 16  // aliases followed for one answer
	classicSize = 512 // octets of a UDP answer without EDNS (RFC 1035 §4.2.1)
)

// Zones is zone text by origin: {"example.net": "@ MX 10 mx\nmx A 192.0.2.25"}.
type Zones map[string]string

// DNS is a server that knows all zones of the test world and answers as a recursive server would. Names outside
// every zone do not exist. Answers larger than the asker allows are truncated.
type DNS struct {
	tb testing.TB

	mu      sync.Mutex
	zones   map[string]*zone
	scripts map[scriptKey]*dnsScript
	asked   []Question
	address string
	noTCP   bool
	servant bool // it answers as a zone's own name server
	gives   bool // and gives its zones away
	stopped bool
	open    map[io.Closer]struct{}

	done    chan struct{}
	running sync.WaitGroup
}

// Question is one that reached the server.
type Question struct {
	// Name as it was asked, in the case it was asked, without the last dot.
	Name string
	// Type in words: "MX".
	Type string
	// TCP: it came by TCP.
	TCP bool
	// At is when.
	At time.Time
}

type scriptKey struct{ name, kind string }

type dnsScript struct {
	replies []DNSReply
	used    int
}

// NewDNS makes a server without sockets: put it into a Network, or let it Listen.
func NewDNS(tb testing.TB, zones Zones) *DNS {
	tb.Helper()
	d := &DNS{
		tb: tb, zones: map[string]*zone{}, scripts: map[scriptKey]*dnsScript{},
		open: map[io.Closer]struct{}{}, done: make(chan struct{}),
	}
	for origin, text := range zones {
		d.SetZone(origin, text)
	}
	tb.Cleanup(d.stop)
	return d
}

// StartDNS makes a server on a free loopback port, by UDP and TCP; Addr tells which.
func StartDNS(tb testing.TB, zones Zones) *DNS {
	tb.Helper()
	d := NewDNS(tb, zones)
	d.Listen("127.0.0.1:0")
	return d
}

// SetZone puts a zone in place of the one of that origin, if there is one.
func (d *DNS) SetZone(origin, text string) {
	d.tb.Helper()
	z, err := parseZone(origin, text, d.servant)
	if err != nil {
		d.tb.Fatalf("%v", err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.zones[z.origin] = z
}

// RemoveZone makes the names of a zone not exist.
func (d *DNS) RemoveZone(origin string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.zones, dns.CanonicalName(origin))
}

// Script says how questions for a name and type are answered: the first by the first reply, the second by the
// second, and so on; the last one stays. "*" as name or type means all that have no script of their own. No
// replies at all take the script away.
func (d *DNS) Script(name, kind string, replies ...DNSReply) {
	d.tb.Helper()
	if _, known := dns.StringToType[kind]; !known && kind != "*" {
		d.tb.Fatalf("DNS script for %s: no type %q", name, kind)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	key := scriptKey{plainName(name), kind}
	if len(replies) == 0 {
		delete(d.scripts, key)
		return
	}
	d.scripts[key] = &dnsScript{replies: replies}
}

// Asked counts the questions for a name and type, "*" for all, by UDP and TCP together.
func (d *DNS) Asked(name, kind string) int {
	count := 0
	for _, q := range d.Questions() {
		if (name == "*" || strings.EqualFold(q.Name, plainName(name))) && (kind == "*" || q.Type == kind) {
			count++
		}
	}
	return count
}

// Questions gives all questions in the order of their coming.
func (d *DNS) Questions() []Question {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.asked)
}

// Addr is the address given to Listen, with the port that it got; "" before.
func (d *DNS) Addr() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.address
}

// RefuseTCP closes the TCP side, so that connecting to it is refused.
func (d *DNS) RefuseTCP() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.noTCP = true
	for c := range d.open {
		if listener, ok := c.(net.Listener); ok {
			_ = listener.Close() // the accept loop ends by it
		}
	}
}

// Listen serves an address by UDP and TCP, for example 127.0.53.1:53; port 0 is a free port.
func (d *DNS) Listen(address string) string {
	d.tb.Helper()
	stream, packets, err := listenBoth(address)
	if err != nil {
		d.tb.Fatalf("DNS on %s: %v", address, err)
	}
	d.mu.Lock()
	d.address = stream.Addr().String()
	d.open[stream], d.open[packets] = struct{}{}, struct{}{}
	d.mu.Unlock()
	d.run(func() { d.servePackets(packets) })
	d.run(func() { d.serveListener(stream) })
	return d.Addr()
}

func (d *DNS) stop() {
	close(d.done)
	d.mu.Lock()
	d.stopped = true
	for c := range d.open {
		_ = c.Close() // the loops end by it
	}
	d.mu.Unlock()
	d.running.Wait()
}

// run starts a goroutine that stop waits for; after stop it does nothing.
func (d *DNS) run(task func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.stopped {
		d.running.Go(task)
	}
}

// keep notes a connection for stop; it is gone when the returned function is called.
func (d *DNS) keep(c io.Closer) func() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.open[c] = struct{}{}
	if d.stopped {
		_ = c.Close() // too late
	}
	return func() {
		_ = c.Close() // at its end anyway
		d.mu.Lock()
		defer d.mu.Unlock()
		delete(d.open, c)
	}
}

func (d *DNS) servePackets(packets net.PacketConn) {
	buffer := make([]byte, dns.MaxMsgSize)
	for {
		n, from, err := packets.ReadFrom(buffer)
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				return
			}
			continue
		}
		query := slices.Clone(buffer[:n])
		d.run(func() {
			d.reply(query, false, func(packet []byte) {
				_, _ = packets.WriteTo(packet, from) // the asker may be gone
			})
		})
	}
}

func (d *DNS) serveListener(listener net.Listener) {
	for {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		d.run(func() { d.serveStream(conn) })
	}
}

// serveStream answers one TCP connection, question by question.
func (d *DNS) serveStream(conn net.Conn) {
	defer d.keep(conn)()
	for {
		var size [2]byte
		if _, err := io.ReadFull(conn, size[:]); err != nil {
			return
		}
		query := make([]byte, binary.BigEndian.Uint16(size[:]))
		if _, err := io.ReadFull(conn, query); err != nil {
			return
		}
		stay := d.reply(query, true, func(packet []byte) {
			framed := binary.BigEndian.AppendUint16(nil, uint16(len(packet)))
			_, _ = conn.Write(append(framed, packet...)) // the asker may be gone
		})
		if !stay {
			return
		}
	}
}

// serveDatagrams answers an in-process connection on which each Read is a datagram.
func (d *DNS) serveDatagrams(conn net.Conn) {
	defer d.keep(conn)()
	buffer := make([]byte, dns.MaxMsgSize)
	for {
		n, err := conn.Read(buffer)
		if err != nil {
			return
		}
		query := slices.Clone(buffer[:n])
		d.run(func() {
			d.reply(query, false, func(packet []byte) {
				_, _ = conn.Write(packet) // the asker may be gone
			})
		})
	}
}

// answer is what the zones say about a question.
func (d *DNS) answer(query *dns.Msg) *dns.Msg {
	if d.servant {
		return d.answerAsServant(query)
	}
	reply := new(dns.Msg)
	reply.SetReply(query)
	reply.RecursionAvailable = true
	asked := query.Question[0]
	owner := dns.CanonicalName(asked.Name)
	d.mu.Lock()
	defer d.mu.Unlock()
	for range answerLoops {
		z := d.zoneOf(owner)
		if z == nil {
			reply.Rcode = dns.RcodeNameError
			if soa, err := dns.NewRR("." + strings.TrimPrefix(soaText, "%s")); err == nil {
				reply.Ns = append(reply.Ns, soa)
			}
			return reply
		}
		records, exists := z.at(owner)
		var alias *dns.CNAME
		matched := false
		for _, rr := range records {
			if cname, ok := rr.(*dns.CNAME); ok {
				alias = cname
			}
			if rr.Header().Rrtype == asked.Qtype {
				reply.Answer = append(reply.Answer, rr)
				matched = true
			}
		}
		if matched {
			return reply
		}
		if alias == nil {
			if !exists {
				reply.Rcode = dns.RcodeNameError
			}
			reply.Ns = append(reply.Ns, z.soa)
			return reply
		}
		reply.Answer = append(reply.Answer, alias)
		owner = dns.CanonicalName(alias.Target)
	}
	return reply
}

func (d *DNS) zoneOf(owner string) *zone {
	var best *zone
	for origin, z := range d.zones {
		if dns.IsSubDomain(origin, owner) && (best == nil || len(origin) > len(best.origin)) {
			best = z
		}
	}
	return best
}

func plainName(name string) string { return strings.ToLower(strings.TrimSuffix(name, ".")) }
