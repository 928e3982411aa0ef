package dnsd

import (
	"bytes"
	"context"
	"errors"
	"net"
	"net/netip"
	"runtime"
	"syscall"
	"time"

	"postroad/internal/obs"
	"postroad/internal/service/dnsd/answer"
)

const (
	maxDatagram  = 1232    // octets of an answer
	socketBuffer = 1 << 20 // octets of packets that wait, so that a short burst is not lost
	maxQuestion  = 2048    // octets of a packet that are read; what is longer is no question
)

// ListenUDP opens the sockets of one address: one per processor, among which the kernel spreads clients, where the system
// can do that, else one. The caller closes them.
func ListenUDP(ctx context.Context, network, address string) ([]*net.UDPConn, error) {
	var conns []*net.UDPConn
	number := 1
	config := net.ListenConfig{}
	// The scheduler may have more processors than the machine; a socket more brings nothing.
	if n := min(runtime.NumCPU(), runtime.GOMAXPROCS(0)); batches && n > 1 {
		number = n
		config.Control = reusePort
	}
	for range number {
		c, err := config.ListenPacket(ctx, network, address)
		if err != nil {
			for _, open := range conns {
				_ = open.Close()
			}
			return nil, err
		}
		u, _ := c.(*net.UDPConn)
		_ = u.SetReadBuffer(socketBuffer) // as much as the system allows
		conns = append(conns, u)
		address = c.LocalAddr().String() // the port, where the system chose it
	}
	return conns, nil
}

// ServeUDP answers what comes to a socket until it is closed, which is no error.
func (s *Service) ServeUDP(conn *net.UDPConn) error {
	w := s.newWorker()
	if local, ok := conn.LocalAddr().(*net.UDPAddr); ok && batches {
		return closed(w.serveBatches(conn, local.IP.IsUnspecified()))
	}
	return closed(w.serveOne(conn))
}

func closed(err error) error {
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// failing is a socket that gives errors in the place of packets.
type failing struct {
	next time.Duration
	told obs.Rarely
}

// wait waits before the socket is asked again, longer each time.
func (f *failing) wait(s *Service, err error) {
	f.told.Warn(s.ctx, s.log, "packets cannot be read", "listener", "dns", "error", err)
	f.next = min(max(acceptWait, 2*f.next), longestWait)
	s.pause(f.next)
}

// over says that the socket gives packets again.
func (f *failing) over() { f.next = 0 }

// serveOne answers one packet after the other.
func (w *worker) serveOne(conn *net.UDPConn) error {
	in, out := make([]byte, maxQuestion), make([]byte, maxDatagram)
	var failures failing
	for {
		n, client, err := conn.ReadFromUDPAddrPort(in)
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				return err
			}
			if !errors.Is(err, syscall.ECONNREFUSED) { // an ICMP message about an answer
				failures.wait(w.s, err)
			}
			continue
		}
		failures.over()
		w.client = answer.Client{Addr: client.Addr().Unmap().WithZone(""), Now: time.Now().UnixNano()}
		length, outcome := w.answer(out, in[:n])
		switch {
		case outcome == answer.Handover:
			w.handOverUDP(in[:n], client, func(message []byte) error {
				_, err := conn.WriteToUDPAddrPort(message, client)
				return err
			})
		case length > 0:
			_, _ = conn.WriteToUDPAddrPort(out[:length], client)
		}
		w.s.meter.transports[0].add(&w.responder.Counts)
	}
}

// handOverUDP has Transfers answer a packet while others go on. When there are too many of them, or Stop has begun, it is
// dropped. Errors are what anybody can have sent to a forged address: they are limited as those of all questions are.
func (w *worker) handOverUDP(packet []byte, client netip.AddrPort, send func([]byte) error) {
	select {
	case w.s.busy <- struct{}{}:
	default:
		w.responder.Counts.Dropped++
		return
	}
	packet = bytes.Clone(packet)
	client = netip.AddrPortFrom(client.Addr().Unmap().WithZone(""), client.Port())
	limited := func(message []byte) error {
		l := w.s.options.Limiter
		if l != nil && len(message) > 3 && message[3]&15 != 0 && !l.AllowError(client.Addr(), int(message[3]&15), time.Now().UnixNano()) {
			w.s.meter.transports[0].limited.Inc()
			return nil
		}
		return send(message)
	}
	if !w.s.begin(func() {
		defer func() { <-w.s.busy }()
		w.s.handOver(packet, client, false, limited)
	}) {
		<-w.s.busy
		w.responder.Counts.Dropped++
	}
}
