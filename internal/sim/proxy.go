package sim

import (
	"context"
	"net"
	"slices"
	"sync"
	"testing"
	"time"
)

// Proxy stands between a client and a real TCP server and spoils the connection: in place of what the kernel of
// a test machine may lack (netem, nft).
type Proxy struct {
	target string

	mu       sync.Mutex
	address  string
	delay    time.Duration
	octets   bool
	hole     bool
	conns    map[net.Conn]struct{}
	accepted int
	listener net.Listener

	done    chan struct{}
	running sync.WaitGroup
}

// StartProxy listens on a free loopback port and passes everything on to target.
func StartProxy(tb testing.TB, target string) *Proxy {
	tb.Helper()
	var config net.ListenConfig
	listener, err := config.Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatalf("proxy: %v", err)
	}
	p := &Proxy{
		target: target, address: listener.Addr().String(), listener: listener,
		conns: map[net.Conn]struct{}{}, done: make(chan struct{}),
	}
	p.running.Go(p.accept)
	tb.Cleanup(p.stop)
	return p
}

// Addr is where the proxy listens.
func (p *Proxy) Addr() string { return p.address }

// Delay holds everything that passes, in both directions, for so long.
func (p *Proxy) Delay(d time.Duration) { p.set(func() { p.delay = d }) }

// OctetByOctet passes one octet at a time, each after the delay.
func (p *Proxy) OctetByOctet(on bool) { p.set(func() { p.octets = on }) }

// BlackHole swallows everything in both directions, without closing; new connections are accepted and silent.
// Switched off, what comes from then on passes.
func (p *Proxy) BlackHole(on bool) { p.set(func() { p.hole = on }) }

// Cut ends all connections by RST. New ones are accepted.
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for conn := range p.conns {
		if tcp, ok := conn.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0) // RST in place of FIN
		}
		_ = conn.Close() // that is the purpose
	}
}

// Accepted counts the connections so far.
func (p *Proxy) Accepted() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.accepted
}

func (p *Proxy) set(change func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change()
}

func (p *Proxy) stop() {
	close(p.done)
	_ = p.listener.Close() // the accept loop ends by it
	p.Cut()
	p.running.Wait()
}

func (p *Proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.running.Go(func() { p.join(client) })
	}
}

// join passes octets between a client and the target until either ends.
func (p *Proxy) join(client net.Conn) {
	defer p.keep(client)()
	var dialer net.Dialer
	server, err := dialer.DialContext(context.Background(), "tcp", p.target)
	if err != nil {
		return
	}
	defer p.keep(server)()
	p.set(func() { p.accepted++ })
	ended := make(chan struct{}, 2)
	for _, way := range [][2]net.Conn{{client, server}, {server, client}} {
		p.running.Go(func() {
			p.pass(way[0], way[1])
			ended <- struct{}{}
		})
	}
	<-ended
}

func (p *Proxy) keep(conn net.Conn) func() {
	p.set(func() {
		p.conns[conn] = struct{}{}
		select {
		case <-p.done:
			_ = conn.Close() // too late
		default:
		}
	})
	return func() {
		_ = conn.Close() // at its end anyway
		p.set(func() { delete(p.conns, conn) })
	}
}

// pass copies one direction.
func (p *Proxy) pass(from, to net.Conn) {
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		if err != nil {
			return
		}
		p.mu.Lock()
		delay, hole, size := p.delay, p.hole, n
		if p.octets {
			size = 1
		}
		p.mu.Unlock()
		if hole {
			continue
		}
		for part := range slices.Chunk(buffer[:n], size) {
			if delay > 0 && !p.pause(delay) {
				return
			}
			if _, err := to.Write(part); err != nil {
				return
			}
		}
	}
}

func (p *Proxy) pause(wait time.Duration) bool {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-p.done:
		return false
	}
}
