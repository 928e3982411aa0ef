package acceptance

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// hostile makes packets that no client means well with, the same ones from the same seed.
type hostile struct {
	*rand.Rand
	zone []byte // its name on the wire
}

func newHostile(seed uint64, zone string) *hostile {
	return &hostile{rand.New(rand.NewPCG(seed, 53)), wireName(zone)} //nolint:gosec // repeatable on purpose
}

func wireName(name string) []byte {
	var b []byte
	for label := range strings.SplitSeq(name, ".") {
		b = append(append(b, byte(len(label))), label...)
	}
	return append(b, 0)
}

// question is a good question for the zone's name, of a type that is often asked for.
func (h *hostile) question() []byte {
	q := binary.BigEndian.AppendUint16(nil, uint16(h.Uint32()))
	q = append(append(q, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0), h.zone...)
	return append(q, 0, []byte{1, 2, 6, 15, 16, 28, 48, 255}[h.IntN(8)], 0, 1)
}

func (h *hostile) octets(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(h.Uint32())
	}
	return b
}

// record appends a record with any data to a message, whose header says so.
func (h *hostile) record(q []byte, section int, kind byte, size int) []byte {
	q[section]++
	q = append(q, 0, 0, kind)
	q = append(q, h.octets(6)...)
	q = binary.BigEndian.AppendUint16(q, uint16(size)) //nolint:gosec // small
	return append(q, h.octets(size)...)
}

// hostileKind is a kind of packet, made of a good question; its name is for what a failure says.
type hostileKind struct {
	name string
	make func(h *hostile, q []byte) []byte
}

// theAnswer is the kind of what nobody may answer.
const theAnswer = 0

var hostileKinds = []hostileKind{
	theAnswer: {"an answer", func(_ *hostile, q []byte) []byte { q[2] |= 0x80; return q }},
	{"octets by chance", func(h *hostile, _ []byte) []byte { return h.octets(h.IntN(600)) }},
	{"a question with bits turned", func(h *hostile, q []byte) []byte {
		for range 1 + h.IntN(8) {
			q[h.IntN(len(q))] ^= 1 << h.IntN(8)
		}
		return q
	}},
	{"a question cut off", func(h *hostile, q []byte) []byte { return q[:h.IntN(len(q))] }},
	{"octets behind a question", func(h *hostile, q []byte) []byte { return append(q, h.octets(1+h.IntN(300))...) }},
	{"a pointer to itself", func(h *hostile, q []byte) []byte {
		return append(q[:12], 0xC0, byte(12+2*h.IntN(2)), 0xC0, 12, 0, 15, 0, 1)
	}},
	{"a pointer ahead", func(h *hostile, q []byte) []byte {
		return append(q[:12], 3, 'w', 'w', 'w', 0xC0|byte(h.IntN(64)), byte(h.Uint32()), 0, 1, 0, 1)
	}},
	{"a label of no type", func(h *hostile, q []byte) []byte { q[12] = byte(64 + h.IntN(192)); return q }},
	{"a name of about 255 octets", func(h *hostile, q []byte) []byte {
		q = q[:12]
		for range 124 + h.IntN(8) - len(h.zone)/2 {
			q = append(q, 1, byte(h.Uint32()))
		}
		return append(append(q, h.zone...), 0, 15, 0, 1)
	}},
	{"counts by chance", func(h *hostile, q []byte) []byte { copy(q[4+2*h.IntN(4):], h.octets(2)); return q }},
	{"no question or several", func(h *hostile, q []byte) []byte {
		n := h.IntN(100)
		one := bytes.Clone(q[12:])
		q = append(q[:12], bytes.Repeat(one, n)...)
		q[5] = byte(n)
		return q
	}},
	{"another opcode", func(h *hostile, q []byte) []byte { q[2] = byte(1+h.IntN(15)) << 3; return q }},
	{"all flags", func(h *hostile, q []byte) []byte { q[2], q[3] = 0x07, byte(h.Uint32()); return q }},
	{"another class", func(h *hostile, q []byte) []byte { copy(q[len(q)-2:], h.octets(2)); return q }},
	{"OPT records with any options", func(h *hostile, q []byte) []byte {
		for range 1 + h.IntN(3) {
			q = h.record(q, 7+2*h.IntN(3), 41, h.IntN(40))
		}
		return q
	}},
	{"a cookie of any length", func(h *hostile, q []byte) []byte {
		n := h.IntN(60)
		q[11] = 1
		q = append(q, 0, 0, 41, 4, 0xD0, 0, 0, 0, 0, 0, byte(4+n), 0, 10, 0, byte(n))
		return append(q, h.octets(n)...)
	}},
	{"AXFR and IXFR", func(h *hostile, q []byte) []byte {
		q[len(q)-3] = byte(251 + h.IntN(2))
		return h.record(q, 9, 6, h.IntN(60))
	}},
	{"NOTIFY with records", func(h *hostile, q []byte) []byte {
		q[2], q[len(q)-3] = 4<<3, 6
		return h.record(q, 7, 6, h.IntN(60))
	}},
	{"UPDATE", func(h *hostile, q []byte) []byte { q[2] = 5 << 3; return h.record(q, 9, 15, h.IntN(100)) }},
	{"a signature that is none", func(h *hostile, q []byte) []byte { return h.record(q, 11, 250, h.IntN(80)) }},
	{"nothing", func(*hostile, []byte) []byte { return nil }},
	{"a large packet", func(h *hostile, q []byte) []byte { return append(q, h.octets(1400+h.IntN(8000))...) }},
}

// attack sends packets of all kinds by UDP and judges all that comes back: nothing without QR, nothing for an answer, and
// nothing larger than 1,232 octets. Meanwhile good questions are answered.
func (n *named) attack(h *hostile, packets int) {
	n.t.Helper()
	var conns []net.Conn
	for range hostileKinds {
		conn, err := net.Dial("udp", n.dns)
		if err != nil {
			n.t.Fatal(err)
		}
		defer conn.Close()
		conns = append(conns, conn)
	}
	in := make([]byte, 65536)
	hear := func(kind int, wait time.Duration) bool {
		_ = conns[kind].SetReadDeadline(time.Now().Add(wait))
		size, err := conns[kind].Read(in)
		if err != nil {
			return false
		}
		if size < 12 || size > 1232 || in[2]&0x80 == 0 || kind == theAnswer {
			n.t.Fatalf("%s: %d octets came back: %x", hostileKinds[kind].name, size, in[:min(size, 40)])
		}
		return true
	}
	for i := range packets {
		kind := i % len(hostileKinds)
		packet := hostileKinds[kind].make(h, h.question())
		if len(packet) > 2 && packet[2]&0x80 != 0 { // by chance: all answers go one way, where none may come back
			kind = theAnswer
		}
		_, _ = conns[kind].Write(packet) // an error of before
		if i%(20*len(hostileKinds)) == 0 {
			for kind := range conns {
				for hear(kind, time.Millisecond) {
				}
			}
			n.isAnswered("udp", h)
		}
	}
	for kind := range conns {
		for hear(kind, 20*time.Millisecond) {
		}
	}
}

// isAnswered asks for the zone's exchangers and wants them; of UDP three times, as the machine may drop packets of a flood.
func (n *named) isAnswered(network string, h *hostile) {
	n.t.Helper()
	question := append(append([]byte{0, 7, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0}, h.zone...), 0, 15, 0, 1)
	for range 3 {
		conn, err := net.Dial(network, n.dns)
		if err != nil {
			n.t.Fatal(err)
		}
		_ = conn.SetDeadline(time.Now().Add(2 * time.Second))
		in := make([]byte, 512)
		if network == "tcp" {
			_, _ = conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(question))), question...)) //nolint:gosec // short
			if _, err = io.ReadFull(conn, in[:2]); err == nil {
				in = in[:binary.BigEndian.Uint16(in)]
				_, err = io.ReadFull(conn, in)
			}
		} else {
			_, _ = conn.Write(question)
			_, err = conn.Read(in)
		}
		_ = conn.Close()
		if err == nil && in[1] == 7 && in[2]&0x80 != 0 && in[3]&15 == 0 && in[7] > 0 {
			return
		}
	}
	n.t.Fatalf("a good question by %s is not answered", network)
}

// junk opens connections that send what is no DNS, or read no answers, and ends them in all ways.
func (n *named) junk(h *hostile, connections int) {
	n.t.Helper()
	for i := range connections {
		conn, err := net.Dial("tcp", n.dns)
		if err != nil {
			n.t.Fatal(err)
		}
		_ = conn.SetDeadline(time.Now().Add(50 * time.Millisecond))
		kind := hostileKinds[h.IntN(len(hostileKinds))]
		packet := kind.make(h, h.question())
		framed := append(binary.BigEndian.AppendUint16(nil, uint16(len(packet))), packet...) //nolint:gosec // at most some thousand
		switch i % 7 {
		case 0:
			_, _ = conn.Write(h.octets(h.IntN(4000)))
		case 1: // more is announced than comes
			_, _ = conn.Write(append([]byte{0xFF, 0xFF}, packet...))
		case 2: // messages of no length
			_, _ = conn.Write(make([]byte, 2*(1+h.IntN(200))))
		case 3: // then a reset
			_, _ = conn.Write(framed)
			if t, ok := conn.(*net.TCPConn); ok {
				_ = t.SetLinger(0)
			}
		case 4: // thousands of questions, and nobody reads
			_, _ = conn.Write(bytes.Repeat(append([]byte{0, byte(16 + len(h.zone))}, h.question()...), 2000))
		case 5:
			_, _ = conn.Write([]byte{0})
		case 6: // the largest message
			_, _ = conn.Write(append(append([]byte{0xFF, 0xFF}, h.question()...), h.octets(65535-16-len(h.zone))...))
		}
		_ = conn.Close()
		if i%100 == 0 {
			n.isAnswered("tcp", h)
		}
	}
	for range 200 { // half messages, held
		conn, err := net.Dial("tcp", n.dns)
		if err != nil {
			n.t.Fatal(err)
		}
		defer conn.Close()
		if _, err := conn.Write([]byte{0, 40, 1}); err != nil {
			n.t.Fatal(err)
		}
	}
	n.isAnswered("tcp", h)
	n.isAnswered("udp", h)
}

// size gives the program's memory in octets, and its open files.
func (n *named) size() (memory, files int) {
	n.t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", n.cmd.Process.Pid))
	if err != nil {
		n.t.Fatal(err)
	}
	pages, err := strconv.Atoi(strings.Fields(string(status))[1])
	if err != nil {
		n.t.Fatal(err)
	}
	open, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", n.cmd.Process.Pid))
	if err != nil {
		n.t.Fatal(err)
	}
	return pages * os.Getpagesize(), len(open)
}

// Malformed packets of 22 kinds, connections with junk and half-sent messages, twice: good questions are answered meanwhile,
// no answer is answered, what the second round takes of memory and files the first one took, and at last it ends well.
// POSTROAD_HOSTILE_PACKETS says how many packets are sent, and a fortieth as many connections; POSTROAD_HOSTILE_SEED says which.
func TestTheNameServerBearsHostileTraffic(t *testing.T) {
	t.Parallel()
	packets, seed := 20_000, uint64(1)
	if text := os.Getenv("POSTROAD_HOSTILE_PACKETS"); text != "" {
		var err error
		if packets, err = strconv.Atoi(text); err != nil {
			t.Fatal(err)
		}
	}
	if text := os.Getenv("POSTROAD_HOSTILE_SEED"); text != "" {
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	n := serving(t, "POSTROAD_DNS_RATE_LIMIT=0", "GOMEMLIMIT=256MiB")
	var memory, files [2]int
	for round := range 2 {
		h := newHostile(seed+uint64(round), "acme.example") //nolint:gosec // 0 or 1
		n.attack(h, packets/2)
		n.junk(h, packets/80)
		eventually(t, "connections end", func() bool { return n.metric("postroad_dns_connections") == "postroad_dns_connections 0\n" })
		memory[round], files[round] = n.size()
	}
	if memory[1] > memory[0]+32<<20 || files[1] > files[0]+8 {
		t.Errorf("memory %d, then %d octets; open files %d, then %d", memory[0], memory[1], files[0], files[1])
	}
	if shown := n.metric("postroad_dns_panics_total"); shown != "postroad_dns_panics_total 0\n" {
		t.Errorf("a packet made the program fail: %s", shown)
	}
	if size := len(n.log.String()); size > 200_000 {
		t.Errorf("the log has %d octets:\n%.2000s", size, n.log.String())
	}
	n.isAnswered("tcp", newHostile(seed, "acme.example"))
	n.endsUnderLoad(newHostile(seed+2, "acme.example"))
}

// endsUnderLoad has the program end while packets come, what is handed over to transfers among them.
func (n *named) endsUnderLoad(h *hostile) {
	n.t.Helper()
	conn, err := net.Dial("udp", n.dns)
	if err != nil {
		n.t.Fatal(err)
	}
	defer conn.Close()
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
				packet := h.question()
				if i%2 == 0 {
					packet[2], packet[len(packet)-3] = 4<<3, 6 // NOTIFY
				}
				_, _ = conn.Write(packet) // refused once it has ended
			}
		}
	}()
	err = n.kill(syscall.SIGTERM)
	close(stop)
	<-stopped
	if err != nil {
		n.t.Errorf("it ended badly: %v", err)
	}
}
