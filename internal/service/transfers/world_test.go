package transfers

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"postroad/internal/core/account"
	"postroad/internal/core/finding"
	"postroad/internal/core/transfer"
	"postroad/internal/core/zone"
	"postroad/internal/proto/dns"
	"postroad/internal/sim"
)

// world is the service over memory: what is stored, what is answered for, and servers that are dialled.
type world struct {
	*Service
	t *testing.T

	mu       sync.Mutex
	settings transfer.Settings
	zones    map[string]zone.Zone
	journal  map[string][]transfer.Step
	copies   map[string]transfer.Copy
	found    map[string]string // evidence of findings, by domain
	answered map[string]zone.Zone
	expired  map[string]bool
	proved   map[string]bool
	servers  map[string]func(conn net.Conn) // by network and address
	reads    atomic.Int64                   // of zones from the store
	settled  int                            // how often
}

var client = netip.MustParseAddrPort("192.0.2.53:5353")

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{
		t: t, zones: map[string]zone.Zone{}, journal: map[string][]transfer.Step{}, copies: map[string]transfer.Copy{}, found: map[string]string{},
		answered: map[string]zone.Zone{}, expired: map[string]bool{}, proved: map[string]bool{"ann.example": true, "bob.example": true}, servers: map[string]func(net.Conn){},
	}
	w.settings = transfer.Settings{
		Keys: []transfer.Key{
			{Account: "ann", Name: "ann-key", Algorithm: dns.HMACSHA256, Sealed: []byte("secret of ann-key")},
			{Account: "bob", Name: "bob-key", Algorithm: dns.HMACSHA256, Sealed: []byte("secret of bob-key")},
		},
		Peers: []transfer.Peer{
			{Account: "ann", Zone: "ann.example", Key: "ann-key", Networks: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}},
			{Account: "bob", Zone: "bob.example", Key: "bob-key"},
		},
	}
	w.Service = New(Options{Store: w, Names: w, Domains: w, Box: w, Dialer: w})
	return w
}

// start runs the service until the test ends.
func (w *world) start() {
	w.t.Helper()
	ctx, cancel := context.WithCancel(w.t.Context())
	stop, err := w.Start(ctx)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { cancel(); stop() })
}

// host stores a version of a zone, with its journal, and answers for it.
func (w *world) host(domain string, serial int, lines ...string) zone.Zone {
	w.t.Helper()
	z := zoneOf(w.t, domain, serial, lines...)
	w.mu.Lock()
	if old, there := w.zones[domain]; there {
		w.journal[domain] = append(w.journal[domain], transfer.Step{From: old.Serial, To: z.Serial, Difference: dns.Differ(old.Content(), z.Content())})
	}
	w.zones[domain] = z
	w.mu.Unlock()
	w.Published(&z)
	return z
}

func zoneOf(t *testing.T, domain string, serial int, lines ...string) zone.Zone {
	t.Helper()
	z := zone.Zone{Domain: domain, Account: account.ID(strings.Split(domain, ".")[0]), Serial: uint32(serial)} //nolint:gosec // a test's
	lines = append(lines, fmt.Sprintf("@ SOA ns1 host %d 3600 600 86400 60", serial), "@ NS ns1", "ns1 A 192.0.2.1")
	for _, line := range lines {
		f := strings.SplitN(line, " ", 3)
		kind, err := dns.ParseType(f[1])
		if err != nil {
			t.Fatal(err)
		}
		name, err := dns.Name(f[0], domain+".")
		if err != nil {
			t.Fatal(err)
		}
		data, err := dns.Data(kind, f[2], domain+".")
		if err != nil {
			t.Fatal(err)
		}
		z.Records = append(z.Records, dns.Record{Name: name, Type: kind, TTL: 300, Data: data})
	}
	slices.SortFunc(z.Records, dns.Compare)
	return z
}

// ask sends a request and gives the messages of the answer.
func (w *world) ask(from netip.AddrPort, tcp bool, request []byte) [][]byte {
	var out [][]byte
	w.Serve(w.t.Context(), Packet{
		Data: request, Client: from, TCP: tcp,
		Plain: func(q []byte) []byte {
			answer := bytes.Clone(q[:])
			answer[2] |= 0x84
			name, n, _ := dns.ReadName(q[headerSize:])
			w.mu.Lock()
			z, there := w.answered[strings.TrimSuffix(name, ".")]
			if !there {
				z, there = w.zones[strings.TrimSuffix(name, ".")]
			}
			w.mu.Unlock()
			soa, _, ok := content(z.Content(), name)
			if !there || !ok {
				answer[3] |= rcodeRefused
				return answer
			}
			answer = append(answer[:headerSize+n+4], 0xC0, headerSize, 0, 6, 0, 1, 0, 0, 1, 44)
			answer[7] = 1
			answer = binary.BigEndian.AppendUint16(answer, uint16(len(soa.Data)))
			return append(answer, soa.Data...)
		},
		Send: func(msg []byte) error { out = append(out, bytes.Clone(msg)); return nil },
	})
	return out
}

// transfer asks for a zone and gives what comes, or the RCODE as an error.
func (w *world) transfer(from netip.AddrPort, name string, kind dns.Type, serial int, key *dns.TSIGKey) (dns.Received, error) {
	w.t.Helper()
	z := zoneOf(w.t, name, serial)
	soa, _, _ := content(z.Records, z.Apex())
	request, err := dns.TransferRequest(9, z.Apex(), kind, &soa)
	if err != nil {
		w.t.Fatal(err)
	}
	var exchange *dns.Exchange
	if key != nil {
		exchange = key.Begin()
		if request, err = exchange.Sign(request, time.Now()); err != nil {
			w.t.Fatal(err)
		}
	}
	in := dns.NewInbound(9, z.Apex(), kind, uint32(serial), dns.Limits{Octets: 1 << 24, Records: 100_000}) //nolint:gosec // a test's
	for _, msg := range w.ask(from, true, request) {
		if exchange != nil && msg[3]&15 == 0 {
			if msg, err = exchange.Verify(msg, time.Now()); err != nil {
				return dns.Received{}, err
			}
		}
		done, err := in.Read(msg)
		if err != nil {
			return dns.Received{}, err
		}
		if done {
			return in.Result(), nil
		}
	}
	return dns.Received{}, io.ErrUnexpectedEOF
}

func keyNamed(name string) *dns.TSIGKey {
	return &dns.TSIGKey{Name: name + ".", Algorithm: dns.HMACSHA256, Secret: []byte("secret of " + name)}
}

func same(a, b []dns.Record) bool {
	return slices.EqualFunc(a, b, func(a, b dns.Record) bool { return dns.Compare(a, b) == 0 && a.TTL == b.TTL })
}

// Transfers implements Store.
func (w *world) Transfers(context.Context, account.Scope) (transfer.Settings, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.settings, nil
}

// Zone implements Store.
func (w *world) Zone(_ context.Context, _ account.Scope, domain string) (zone.Zone, error) {
	w.reads.Add(1)
	w.mu.Lock()
	defer w.mu.Unlock()
	z, there := w.zones[domain]
	if !there {
		return z, errors.New("no such zone")
	}
	return z, nil
}

// Journal implements Store.
func (w *world) Journal(_ context.Context, _ account.Scope, domain string) ([]transfer.Step, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.journal[domain], nil
}

// Copy implements Store.
func (w *world) Copy(_ context.Context, _ account.Scope, domain string) (transfer.Copy, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.copies[domain], nil
}

// CopySerials implements Store.
func (w *world) CopySerials(context.Context, account.Scope) (map[string]uint32, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := map[string]uint32{}
	for domain, c := range w.copies {
		out[domain] = c.Serial
	}
	return out, nil
}

// KeepCopy implements Store.
func (w *world) KeepCopy(_ context.Context, _ account.Scope, of transfer.Secondary, c transfer.Copy) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(c.Records) == 0 {
		kept := w.copies[of.Domain]
		kept.Refreshed = c.Refreshed
		c = kept
	}
	w.copies[of.Domain] = c
	return nil
}

// Find implements Store.
func (w *world) Find(_ context.Context, _ account.Scope, f finding.Finding, gone bool) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.found[f.Domain] = f.Evidence; gone {
		delete(w.found, f.Domain)
	}
	return nil
}

// Prepare implements Names.
func (w *world) Prepare(z *zone.Zone) (func(), error) {
	kept := *z
	return func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.answered[kept.Domain] = kept
		delete(w.expired, kept.Domain)
	}, nil
}

// Withdraw implements Names.
func (w *world) Withdraw(domain string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.answered, domain)
	delete(w.expired, domain)
}

// Expire implements Names.
func (w *world) Expire(domain string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.answered, domain)
	w.expired[domain] = true
}

// Proved implements Domains.
func (w *world) Proved(domain string) (proved, there bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	proved, there = w.proved[domain]
	return proved, there
}

// Open implements Box: the secrets are not sealed.
func (w *world) Open(sealed []byte, what string) ([]byte, error) {
	if !strings.HasPrefix(what, "tsig-key ") {
		return nil, errors.New("sealed for something else")
	}
	return sealed, nil
}

// DialContext implements Dialer: a pipe to the server at the address.
func (w *world) DialContext(_ context.Context, network, address string) (net.Conn, error) {
	w.mu.Lock()
	serve := w.servers[network+" "+address]
	w.mu.Unlock()
	if serve == nil {
		return nil, errors.New("connection refused")
	}
	if network != "tcp" {
		here, there := net.Pipe() // one Write, one Read: datagrams
		go serve(there)
		return here, nil
	}
	here, there := sim.Pipe(&net.TCPAddr{}, &net.TCPAddr{})
	go serve(there)
	return here, nil
}

// serve has a server at an address.
func (w *world) server(network, address string, serve func(conn net.Conn)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.servers[network+" "+address] = serve
}

// overTCP answers the framed requests of a connection by f, until f gives nothing.
func overTCP(f func(request []byte) [][]byte) func(conn net.Conn) {
	return func(conn net.Conn) {
		defer func() { _ = conn.Close() }()
		for {
			var size [2]byte
			if _, err := io.ReadFull(conn, size[:]); err != nil {
				return
			}
			request := make([]byte, binary.BigEndian.Uint16(size[:]))
			if _, err := io.ReadFull(conn, request); err != nil {
				return
			}
			answers := f(request)
			if answers == nil {
				return
			}
			for _, msg := range answers {
				if msg == nil { // the end, in the middle
					return
				}
				if _, err := conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(msg))), msg...)); err != nil { //nolint:gosec // a message
					return
				}
			}
		}
	}
}

// settle is settle after what the test has looked at in the world so far.
func (w *world) settle(d time.Duration) {
	w.mu.Lock()
	w.settled++
	w.mu.Unlock()
	settle(d)
}

// settle lets everything happen that is due in the time, which is the bubble's.
func settle(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}
