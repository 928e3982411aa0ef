package sim

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// Script is the behaviour of a Peer. Each string is a step (see Close and the functions beside it): a reply, a
// misbehaviour, or "" for the usual positive reply. The zero Script takes every message.
type Script struct {
	// Name is the host name in the greeting; default "peer.sim".
	Name string
	// LMTP makes the peer speak RFC 2033: LHLO, and one reply for each recipient after the final dot.
	LMTP bool
	// Limit is the number of connections at the same time; more are greeted with 421. 0 is no limit.
	Limit int

	// Greeting, before anything was said.
	Greeting string
	// Hello is the reply to EHLO or LHLO; "" is 250 with the Extensions. Helo is the reply to HELO.
	Hello, Helo string
	// Extensions are the lines after the first of the reply to EHLO. Nil is PIPELINING, SIZE 52428800, 8BITMIME,
	// SMTPUTF8, CHUNKING, DSN, ENHANCEDSTATUSCODES, and STARTTLS where TLS is set; an empty list is none.
	Extensions []string
	// TLSExtensions are those of an EHLO under TLS. Nil is Extensions without STARTTLS.
	TLSExtensions []string

	// TLS is the configuration for STARTTLS; see CA. Without it STARTTLS is neither offered nor known.
	TLS *tls.Config
	// ImplicitTLS begins with the handshake, as on port 465.
	ImplicitTLS bool
	// StartTLS is the reply to STARTTLS. Handshake is what happens in place of the handshake after a 220:
	// Hang, Close, Reset, Garbage, Alert; "" is a handshake.
	StartTLS, Handshake string

	// Users are the passwords that AUTH takes, by name. Auth is the reply to the end of AUTH in place of 235
	// and 535.
	Users map[string]string
	Auth  string

	// Mail is the reply to MAIL.
	Mail string
	// Rcpt are the replies to RCPT by address; "@example.net" stands for a whole domain, "*" for all others.
	Rcpt map[string]string
	// Data is the reply to DATA, 354 as a rule.
	Data string
	// Dot is the reply to a whole message: after the final dot, or after BDAT LAST.
	Dot string
	// DotRcpt are the replies after the final dot by address, for LMTP; Dot stands for all others.
	DotRcpt map[string]string
	// Bdat is the reply to each chunk but the last.
	Bdat string
	// Rset, Noop, Vrfy and Quit are the replies to these.
	Rset, Noop, Vrfy, Quit string

	// Connection are whole scripts for single connections by their number, from 1 on, in place of this one.
	Connection map[int]Script
}

// Message is a complete message that reached a Peer: its final dot or last chunk was read.
type Message struct {
	// Connection is the number of the connection, from 1 on.
	Connection int
	// Client is the address of the client without the port; not valid over a unix socket.
	Client netip.Addr
	// Hello is the name given by EHLO, HELO or LHLO, "" without.
	Hello string
	// From is the reverse path without brackets; Parameters is the rest of the MAIL line.
	From, Parameters string
	// Recipients are all of them, the refused ones too, in order.
	Recipients []Recipient
	// Body is the content, octet for octet, dots unstuffed, with its line ends.
	Body []byte
	// Chunked: it came by BDAT.
	Chunked bool
	// TLS is the state of the connection, nil in clear.
	TLS *tls.ConnectionState
	// User is the name that logged in, "" for none.
	User string
	// At is when its end was read.
	At time.Time
	// Replies are what was answered after its end, code and text; one, or one for each accepted recipient by
	// LMTP. A reply that the script withholds is not among them.
	Replies []string
}

// Recipient is one RCPT.
type Recipient struct {
	// Address is the forward path without brackets; Parameters is the rest of the line.
	Address, Parameters string
	// Reply is what was answered.
	Reply string
}

// Accepted are the addresses that got a 2xx.
func (m Message) Accepted() []string {
	var accepted []string
	for _, r := range m.Recipients {
		if strings.HasPrefix(r.Reply, "2") {
			accepted = append(accepted, r.Address)
		}
	}
	return accepted
}

const awaitTime = 20 * time.Second

// Peer is a foreign SMTP or LMTP server that behaves by a Script. All methods may be called at any time.
type Peer struct {
	tb testing.TB

	mu          sync.Mutex
	script      Script
	turns       map[string]int
	messages    []Message
	commands    []string
	octets      map[int][]byte
	faults      []string
	connections int
	open        int
	peak        int
	address     string
	closers     map[interface{ Close() error }]struct{}
	changed     chan struct{}

	stopped bool
	done    chan struct{}
	running sync.WaitGroup
}

// NewPeer makes a peer without sockets: put it into a Network, or let it Listen.
func NewPeer(tb testing.TB, script Script) *Peer {
	tb.Helper()
	p := &Peer{
		tb: tb, script: script, turns: map[string]int{}, octets: map[int][]byte{},
		closers: map[interface{ Close() error }]struct{}{}, changed: make(chan struct{}), done: make(chan struct{}),
	}
	tb.Cleanup(p.stop)
	return p
}

// StartPeer makes a peer on a free loopback port; Addr tells which.
func StartPeer(tb testing.TB, script Script) *Peer {
	tb.Helper()
	p := NewPeer(tb, script)
	p.Listen("127.0.0.1:0")
	return p
}

// Listen serves a real address, for example 127.0.0.2:25, or the path of a unix socket; port 0 is a free port.
// It gives the address with the port that it got.
func (p *Peer) Listen(address string) string {
	p.tb.Helper()
	network := "tcp"
	if strings.HasPrefix(address, "/") {
		network = "unix"
	}
	var config net.ListenConfig
	listener, err := config.Listen(context.Background(), network, address)
	if err != nil {
		p.tb.Fatalf("peer on %s: %v", address, err)
	}
	p.keep(listener)
	p.mu.Lock()
	p.address = listener.Addr().String()
	p.mu.Unlock()
	p.running.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			p.meet(conn)
		}
	})
	return p.Addr()
}

// Addr is the address that the peer listens on, "" for none.
func (p *Peer) Addr() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.address
}

// Connect gives the client's end of a new connection inside the process.
func (p *Peer) Connect() net.Conn {
	near, far := Pipe(addrOf("192.0.2.1:20000"), addrOf("192.0.2.25:25"))
	p.meet(far)
	return near
}

// SetScript changes the behaviour for connections made from now on. Turns begin anew.
func (p *Peer) SetScript(script Script) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.script = script
	clear(p.turns)
}

// Messages gives the complete messages so far, in the order of their ends.
func (p *Peer) Messages() []Message {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.messages)
}

// Await waits until there are n complete messages and gives all there are; the last one's reply may be still to
// come.
// After 20 seconds, of the bubble's clock if there is one, the test ends with Fatal.
func (p *Peer) Await(n int) []Message {
	p.tb.Helper()
	timer := time.NewTimer(awaitTime)
	defer timer.Stop()
	for {
		p.mu.Lock()
		messages, changed := slices.Clone(p.messages), p.changed
		p.mu.Unlock()
		if len(messages) >= n {
			return messages
		}
		select {
		case <-changed:
		case <-timer.C:
			p.tb.Fatalf("the peer has %d messages after %v, want %d; its commands: %q", len(messages), awaitTime, n, p.Commands())
		}
	}
}

// Connections is how many there were, Open how many there are, Peak how many there were at the same time.
func (p *Peer) Connections() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.connections
}

// Open is the number of connections now.
func (p *Peer) Open() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.open
}

// Peak is the largest number of connections at the same time.
func (p *Peer) Peak() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.peak
}

// Commands gives all command lines of all connections in the order of their coming, without line ends.
func (p *Peer) Commands() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.commands)
}

// Octets gives all that a connection sent, from 1 on, after decryption.
func (p *Peer) Octets(connection int) []byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.octets[connection])
}

// Faults says what the clients did against the standard: bare CR or LF, octets sent ahead of the TLS handshake
// or of the greeting, commands out of order. Empty is what a good client leaves.
func (p *Peer) Faults() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.faults)
}

// CheckFaults fails the test for each of the Faults.
func (p *Peer) CheckFaults(tb testing.TB) {
	tb.Helper()
	for _, fault := range p.Faults() {
		tb.Errorf("the peer saw %s", fault)
	}
}

// Drop closes all connections that are open now.
func (p *Peer) Drop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.closers {
		if _, listening := c.(net.Listener); !listening {
			_ = c.Close() // the session ends by it
		}
	}
}

// Close ends the peer: its port refuses connections from then on. What it has got can still be read.
func (p *Peer) Close() { p.stop() }

func (p *Peer) stop() {
	p.mu.Lock()
	if p.stopped {
		p.mu.Unlock()
		return
	}
	close(p.done)
	p.stopped = true
	for c := range p.closers {
		_ = c.Close() // the loops end by it
	}
	p.mu.Unlock()
	p.running.Wait()
}

func (p *Peer) keep(c interface{ Close() error }) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closers[c] = struct{}{}
}

// meet begins to talk to a new client. Connections are numbered in the order of these calls.
func (p *Peer) meet(conn net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stopped {
		_ = conn.Close() // too late
		return
	}
	session := p.begin(conn)
	p.running.Go(func() {
		defer p.end(conn)
		session.talk()
	})
}

// begin counts a new connection and chooses its script. The peer is locked.
func (p *Peer) begin(conn net.Conn) *peerSession {
	p.connections++
	p.open++
	p.peak = max(p.peak, p.open)
	p.closers[conn] = struct{}{}
	script := p.script
	full := script.Limit > 0 && p.open > script.Limit
	if own, ok := script.Connection[p.connections]; ok {
		script = own
	}
	if script.Name == "" {
		script.Name = "peer.sim"
	}
	if full {
		script.Greeting = ThenClose("421 4.7.0 too many connections")
	}
	return &peerSession{peer: p, number: p.connections, script: script, raw: conn, conn: conn, recorded: -1}
}

func (p *Peer) end(conn net.Conn) {
	_ = conn.Close() // at its end anyway
	p.mu.Lock()
	defer p.mu.Unlock()
	p.open--
	delete(p.closers, conn)
}

// turn gives the step of InTurn that is next for a key.
func (p *Peer) turn(key string, steps []string) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := p.turns[key]
	p.turns[key]++
	if len(steps) == 0 {
		return ""
	}
	return steps[min(n, len(steps)-1)]
}

// addMessage records a message and gives its place.
func (p *Peer) addMessage(m Message) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.messages = append(p.messages, m)
	close(p.changed)
	p.changed = make(chan struct{})
	return len(p.messages) - 1
}

// addReply records what a message is answered. The slice is replaced, as others may read the old one.
func (p *Peer) addReply(place int, text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.messages[place].Replies = append(slices.Clip(p.messages[place].Replies), text)
}

func (p *Peer) addCommand(line string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.commands = append(p.commands, line)
}

func (p *Peer) addOctets(connection int, octets []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.octets[connection] = append(p.octets[connection], octets...)
}

func (p *Peer) addFault(connection int, format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.faults = append(p.faults, fmt.Sprintf("connection %d: %s", connection, fmt.Sprintf(format, args...)))
}
