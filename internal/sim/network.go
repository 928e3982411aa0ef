package sim

import (
	"context"
	"errors"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Network is the world's addresses inside the process: a dialler that leads each address:port to a Peer, to a
// DNS, to a real address, or nowhere. Addresses that nobody put here refuse the connection.
type Network struct {
	mu     sync.Mutex
	places map[string]*place
	dials  []string
	ports  int
	ends   map[net.Conn]struct{}
	done   chan struct{} // closed when the test ends: nobody is left waiting
}

// place is what stands at an address.
type place struct {
	peer    *Peer
	dns     *DNS
	serve   func(net.Conn)
	forward string
	err     error // what dialling it gives
	silent  bool
	delay   time.Duration
}

// NewNetwork makes an empty world. At the end of the test the connections still open are closed and dials fail, so
// that nothing is left waiting in a bubble.
func NewNetwork(tb testing.TB) *Network {
	tb.Helper()
	n := &Network{places: map[string]*place{}, ends: map[net.Conn]struct{}{}, done: make(chan struct{})}
	tb.Cleanup(func() {
		close(n.done)
		n.mu.Lock()
		defer n.mu.Unlock()
		for end := range n.ends {
			_ = end.Close() // nobody reads any more
		}
	})
	return n
}

// Peer puts a peer at an address:port.
func (n *Network) Peer(address string, p *Peer) { n.put(address, func(at *place) { at.peer = p }) }

// DNS puts a name server at an address:port, by UDP and TCP.
func (n *Network) DNS(address string, d *DNS) { n.put(address, func(at *place) { at.dns = d }) }

// Serve puts any server at an address:port; it gets each connection in a goroutine of its own and closes it.
func (n *Network) Serve(address string, serve func(net.Conn)) {
	n.put(address, func(at *place) { at.serve = serve })
}

// Listen is as a net.ListenConfig has it: who dials the address from then on is accepted. The listener refuses
// connections once it is closed.
func (n *Network) Listen(_ context.Context, network, address string) (net.Listener, error) {
	l := &listener{network: n, address: address, addr: addrOf(address), arrived: make(chan net.Conn), closed: make(chan struct{})}
	if network == "unix" {
		l.addr = &net.UnixAddr{Name: address, Net: network}
	}
	n.Serve(address, l.take)
	return l, nil
}

// listener accepts what is dialled within the process.
type listener struct {
	network *Network
	address string
	addr    net.Addr
	arrived chan net.Conn
	closed  chan struct{}
	once    sync.Once
}

func (l *listener) take(conn net.Conn) {
	select {
	case l.arrived <- conn:
	case <-l.closed:
		_ = conn.Close() // nobody will accept it
	case <-l.network.done:
		_ = conn.Close() // nor is anybody left
	}
}

// Accept waits for the next connection.
func (l *listener) Accept() (net.Conn, error) {
	select {
	case conn := <-l.arrived:
		return conn, nil
	case <-l.closed:
	case <-l.network.done:
	}
	return nil, &net.OpError{Op: "accept", Net: l.addr.Network(), Addr: l.addr, Err: net.ErrClosed}
}

// Close takes no further connections.
func (l *listener) Close() error {
	l.once.Do(func() {
		close(l.closed)
		l.network.Refuse(l.address)
	})
	return nil
}

// Addr is the address that was asked for.
func (l *listener) Addr() net.Addr { return l.addr }

// Forward leads an address:port to a real one, for example to a program on a loopback port.
func (n *Network) Forward(address, to string) { n.put(address, func(at *place) { at.forward = to }) }

// Refuse makes dialling an address:port fail at once with ECONNREFUSED.
func (n *Network) Refuse(address string) {
	n.put(address, func(at *place) { at.err = syscall.ECONNREFUSED })
}

// Unreachable makes dialling an address:port fail at once with ENETUNREACH.
func (n *Network) Unreachable(address string) {
	n.put(address, func(at *place) { at.err = syscall.ENETUNREACH })
}

// BlackHole makes dialling an address:port wait until the dialler gives up.
func (n *Network) BlackHole(address string) { n.put(address, func(at *place) { at.silent = true }) }

// Slow makes dialling an address:port take a while; what stands there stays.
func (n *Network) Slow(address string, delay time.Duration) {
	n.mu.Lock()
	defer n.mu.Unlock()
	at, ok := n.places[address]
	if !ok {
		at = &place{err: syscall.ECONNREFUSED}
		n.places[address] = at
	}
	at.delay = delay
}

// Dials gives every address:port that was dialled, in order, successful or not.
func (n *Network) Dials() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.dials)
}

// Dialled counts how often an address:port was dialled.
func (n *Network) Dialled(address string) int {
	count := 0
	for _, dialled := range n.Dials() {
		if dialled == address {
			count++
		}
	}
	return count
}

func (n *Network) put(address string, set func(*place)) {
	n.mu.Lock()
	defer n.mu.Unlock()
	at := &place{}
	if before, ok := n.places[address]; ok {
		at.delay = before.delay
	}
	set(at)
	n.places[address] = at
}

// DialContext connects like a net.Dialer does. The network is tcp or udp, with or without 4 or 6.
func (n *Network) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	n.mu.Lock()
	n.dials = append(n.dials, address)
	at := n.places[address]
	n.ports++
	client := &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 20000 + n.ports%40000}
	n.mu.Unlock()
	if at == nil {
		at = &place{err: syscall.ECONNREFUSED}
	}
	if err := n.await(ctx, at); err != nil {
		return nil, &net.OpError{Op: "dial", Net: network, Addr: addrOf(address), Err: err}
	}
	if at.forward != "" {
		var dialer net.Dialer
		return dialer.DialContext(ctx, network, at.forward)
	}
	if at.dns != nil && strings.HasPrefix(network, "udp") {
		near, far := net.Pipe() // one Write, one Read: datagrams
		at.dns.run(func() { at.dns.serveDatagrams(far) })
		return n.keep(near), nil
	}
	return n.connect(client, address, network, at)
}

// await lets a dial take its time and fail if it has to.
func (n *Network) await(ctx context.Context, at *place) error {
	if isClosed(n.done) {
		return net.ErrClosed
	}
	var arrived <-chan time.Time
	if !at.silent {
		if at.delay == 0 {
			return at.err
		}
		timer := time.NewTimer(at.delay)
		defer timer.Stop()
		arrived = timer.C
	}
	select {
	case <-arrived:
		return at.err
	case <-n.done:
		return net.ErrClosed
	case <-ctx.Done():
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			return os.ErrDeadlineExceeded
		}
		return ctx.Err()
	}
}

// connect joins a caller and what stands at an address by a pipe.
func (n *Network) connect(client *net.TCPAddr, address, network string, at *place) (net.Conn, error) {
	near, far := Pipe(client, addrOf(address))
	switch {
	case at.peer != nil:
		at.peer.meet(far)
	case at.dns != nil:
		at.dns.mu.Lock()
		refused := at.dns.noTCP
		at.dns.mu.Unlock()
		if refused {
			return nil, &net.OpError{Op: "dial", Net: network, Addr: addrOf(address), Err: syscall.ECONNREFUSED}
		}
		at.dns.run(func() { at.dns.serveStream(far) })
	case at.serve != nil:
		go at.serve(far)
	}
	return n.keep(near), nil
}

// keep makes sure that a connection is closed with the test.
func (n *Network) keep(near net.Conn) net.Conn {
	n.mu.Lock()
	defer n.mu.Unlock()
	if isClosed(n.done) {
		_ = near.Close() // too late
		return near
	}
	n.ends[near] = struct{}{}
	return &placedConn{near, n}
}

// placedConn is a connection that the network forgets when it is closed.
type placedConn struct {
	net.Conn
	network *Network
}

// Close closes the connection.
func (c *placedConn) Close() error {
	c.network.mu.Lock()
	delete(c.network.ends, c.Conn)
	c.network.mu.Unlock()
	return c.Conn.Close()
}
