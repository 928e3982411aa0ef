package dnsd

import (
	"container/list"
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"sync"
	"time"

	"postroad/internal/service/dnsd/answer"
)

const (
	maxMessage = 65535
	// idleTime is how long a connection may go without a whole question (RFC 7766 §6.2.3), and an answer without being
	// taken.
	idleTime = 10 * time.Second
	// renewTime is how exact idleTime is kept.
	renewTime = time.Second
	// maxStreams and maxStreamsPerNetwork are the connections at a time, and those of one IPv4 address or IPv6 /56. One more
	// ends the one that has been silent for the longest.
	maxStreams           = 2000
	maxStreamsPerNetwork = 250
	firstBuffer          = 4096 // octets; it grows with what really comes
)

// streams are the connections that are open, those that were silent for longer before others.
type streams struct {
	mu       sync.Mutex
	closed   bool
	all      *list.List
	networks map[netip.Prefix]*list.List
}

type stream struct {
	conn    net.Conn
	network netip.Prefix
	all     *list.Element
	own     *list.Element
}

func (l *streams) init() {
	l.all, l.networks = list.New(), map[netip.Prefix]*list.List{}
}

// enter adds a connection and ends another when there are too many.
func (l *streams) enter(s *stream) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return false
	}
	own := l.networks[s.network]
	if own == nil {
		own = list.New()
		l.networks[s.network] = own
	}
	switch {
	case own.Len() >= maxStreamsPerNetwork:
		l.end(own.Front())
	case l.all.Len() >= maxStreams:
		l.end(l.all.Front())
	}
	if l.networks[s.network] == nil { // its last one was just ended
		l.networks[s.network] = own
	}
	s.all, s.own = l.all.PushBack(s), own.PushBack(s)
	return true
}

// end closes a connection and takes it off the lists; its goroutine notices.
func (l *streams) end(e *list.Element) {
	s, _ := e.Value.(*stream)
	_ = s.conn.Close()
	l.remove(s)
}

func (l *streams) remove(s *stream) {
	if s.all == nil {
		return
	}
	l.all.Remove(s.all)
	own := l.networks[s.network]
	own.Remove(s.own)
	if own.Len() == 0 {
		delete(l.networks, s.network)
	}
	s.all, s.own = nil, nil
}

func (l *streams) leave(s *stream) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.remove(s)
}

// touch says that a connection has asked something.
func (l *streams) touch(s *stream) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if s.all != nil {
		l.all.MoveToBack(s.all)
		l.networks[s.network].MoveToBack(s.own)
	}
}

func (l *streams) closeAll() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	for l.all.Len() > 0 {
		l.end(l.all.Front())
	}
}

// ServeTCP answers connections until the listener is closed, which is no error.
func (s *Service) ServeTCP(l net.Listener) error {
	for {
		conn, err := l.Accept()
		if err != nil {
			var temporary interface{ Temporary() bool }
			if errors.Is(err, net.ErrClosed) {
				return nil
			}
			if errors.As(err, &temporary) && temporary.Temporary() { // no more files: those that are silent give theirs
				s.log.Error("a connection could not be taken", "error", err)
				s.streams.endOldest()
				time.Sleep(10 * time.Millisecond)
				continue
			}
			return err
		}
		client := addrPort(conn.RemoteAddr())
		st := &stream{conn: conn, network: network(client.Addr())}
		if !s.streams.enter(st) {
			_ = conn.Close()
			continue
		}
		s.meter.streams.Inc()
		leave := func() {
			_ = conn.Close()
			s.streams.leave(st)
			s.meter.streams.Dec()
		}
		if !s.begin(func() {
			defer leave()
			s.converse(st, client)
		}) {
			leave()
		}
	}
}

func (l *streams) endOldest() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if e := l.all.Front(); e != nil {
		l.end(e)
	}
}

// addrPort gives the address of a peer.
func addrPort(a net.Addr) netip.AddrPort {
	if t, ok := a.(*net.TCPAddr); ok {
		ap := t.AddrPort()
		return netip.AddrPortFrom(ap.Addr().Unmap().WithZone(""), ap.Port())
	}
	return netip.AddrPort{}
}

// network is what one client is taken for.
func network(a netip.Addr) netip.Prefix {
	size := 32
	if a.Is6() {
		size = 56
	}
	p, _ := a.Prefix(size)
	return p
}

// converse answers what a connection asks, all whole questions that have come in one write (RFC 7766 §6.2.1.1).
func (s *Service) converse(st *stream, client netip.AddrPort) {
	buf := make([]byte, firstBuffer)
	have := 0
	var renewed time.Time
	for {
		if now := time.Now(); now.Sub(renewed) > renewTime {
			if st.conn.SetDeadline(now.Add(idleTime)) != nil {
				return
			}
			renewed = now
		}
		for !whole(buf[:have]) {
			if have == len(buf) {
				buf = append(buf, make([]byte, min(len(buf), 2+maxMessage-len(buf)))...)
			}
			n, err := st.conn.Read(buf[have:])
			if err != nil {
				return
			}
			have += n
		}
		used, err := s.answerAll(st.conn, buf[:have], client)
		if err != nil {
			return
		}
		have = copy(buf, buf[used:have])
		s.streams.touch(st)
	}
}

// whole reports whether a message is there, or one that is none.
func whole(b []byte) bool {
	return len(b) >= 2 && len(b) >= 2+int(binary.BigEndian.Uint16(b))
}

var errMalformed = errors.New("no message")

// answerAll answers the whole messages in data and gives how many octets they take.
func (s *Service) answerAll(conn net.Conn, data []byte, client netip.AddrPort) (used int, err error) {
	w, _ := s.workers.Get().(*worker)
	defer s.workers.Put(w)
	if w.out == nil {
		w.out = make([]byte, 2*(2+maxMessage))
	}
	w.client = answer.Client{Addr: client.Addr(), TCP: true, Now: time.Now().UnixNano()}
	defer func() { s.meter.transports[1].add(&w.responder.Counts) }()
	n := 0
	flush := func() error {
		if n == 0 {
			return nil
		}
		_, err := conn.Write(w.out[:n])
		n = 0
		return err
	}
	for whole(data[used:]) {
		size := int(binary.BigEndian.Uint16(data[used:]))
		packet := data[used+2 : used+2+size]
		used += 2 + size
		if size < 12 {
			return used, errMalformed
		}
		length, outcome := w.answer(w.out[n+2:n+2+maxMessage], packet)
		if outcome == answer.Handover {
			if err := flush(); err != nil {
				return used, err
			}
			s.handOver(packet, client, true, func(message []byte) error { return send(conn, message) })
			continue
		}
		if length == 0 {
			continue
		}
		binary.BigEndian.PutUint16(w.out[n:], uint16(length)) //nolint:gosec // at most maxMessage
		if n += 2 + length; n > maxMessage {
			if err := flush(); err != nil {
				return used, err
			}
		}
	}
	return used, flush()
}

// send writes one message of a transfer; the client has idleTime to take it.
func send(conn net.Conn, message []byte) error {
	if len(message) > maxMessage {
		return errMalformed
	}
	if err := conn.SetDeadline(time.Now().Add(idleTime)); err != nil {
		return err
	}
	b := make([]byte, 2, 2+len(message))
	binary.BigEndian.PutUint16(b, uint16(len(message))) //nolint:gosec // compared above
	_, err := conn.Write(append(b, message...))
	return err
}
