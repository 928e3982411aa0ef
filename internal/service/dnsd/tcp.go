package dnsd

import (
	"container/list"
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"sync"
	"time"

	"postroad/internal/obs"
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
	// streamBuffer is what of questions is read at a time, in octets: none is longer.
	streamBuffer = 4096
	// maxAnswering is how many connections have answers made and written at a time, each in a buffer of its own: that is all
	// memory that answers take. When all of them wait for their clients, one that waits for longer than slowTime is ended.
	maxAnswering = 128
	slowTime     = 50 * time.Millisecond
	// fullAnswers is from how many octets on answers are written before more are made.
	fullAnswers = 16 << 10
)

// streams are the connections that are open, those that were silent for longer before others.
type streams struct {
	mu       sync.Mutex
	closed   bool
	all      *list.List
	networks map[netip.Prefix]*list.List
	writing  *list.List // those that are answered, the longest first
}

type stream struct {
	conn    net.Conn
	network netip.Prefix
	all     *list.Element
	own     *list.Element
	writing *list.Element
	since   time.Time // it is in writing
}

func (l *streams) init() {
	l.all, l.networks, l.writing = list.New(), map[netip.Prefix]*list.List{}, list.New()
}

// begin says that a connection is answered from now on.
func (l *streams) begin(s *stream) {
	l.mu.Lock()
	defer l.mu.Unlock()
	s.since, s.writing = time.Now(), l.writing.PushBack(s)
}

// done says that a connection has its answers.
func (l *streams) done(s *stream) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if s.writing != nil {
		l.writing.Remove(s.writing)
		s.writing = nil
	}
}

// endSlowest ends the connection that has taken the longest to take its answers, if that is too long.
func (l *streams) endSlowest() {
	l.mu.Lock()
	defer l.mu.Unlock()
	e := l.writing.Front()
	if e == nil {
		return
	}
	s, _ := e.Value.(*stream)
	if time.Since(s.since) < slowTime {
		return
	}
	l.writing.Remove(e)
	s.writing = nil
	l.end(e)
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

// Where no connection can be taken the next one is tried after acceptWait, which doubles up to longestWait.
const (
	acceptWait  = 5 * time.Millisecond
	longestWait = time.Second
)

// ServeTCP answers connections until the listener is closed, which is no error. While the machine has no more files or
// memory for them, those that were silent for the longest give theirs.
func (s *Service) ServeTCP(l net.Listener) error {
	wait := acceptWait
	var failures obs.Rarely
	for {
		conn, err := l.Accept()
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				return nil
			}
			failures.Warn(s.ctx, s.log, "connections cannot be taken", "listener", "dns", "error", err)
			s.streams.endOldest()
			s.pause(wait)
			wait = min(2*wait, longestWait)
			continue
		}
		wait = acceptWait
		s.take(conn)
	}
}

// pause waits, or ends with Stop.
func (s *Service) pause(d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-s.ctx.Done():
	}
}

// take begins to answer a connection.
func (s *Service) take(conn net.Conn) {
	client := addrPort(conn.RemoteAddr())
	st := &stream{conn: conn, network: network(client.Addr())}
	if !s.streams.enter(st) {
		_ = conn.Close()
		return
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
	buf := make([]byte, streamBuffer)
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
				return // longer than any question
			}
			n, err := st.conn.Read(buf[have:])
			if err != nil {
				return
			}
			have += n
		}
		used, transfer, err := s.answerSome(st, buf[:have], client)
		if err != nil {
			return
		}
		if transfer != nil {
			s.handOver(transfer, client, true, func(message []byte) error { return send(st.conn, message) })
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

// answerSome answers whole messages in data, as many as fill a buffer, and gives how many octets they take. The last of them
// is for Transfers where it gives one; the answers to those before it are written then.
func (s *Service) answerSome(st *stream, data []byte, client netip.AddrPort) (used int, transfer []byte, err error) {
	w := s.place()
	if w == nil {
		return 0, nil, net.ErrClosed
	}
	s.streams.begin(st)
	defer func() {
		s.meter.transports[1].add(&w.responder.Counts)
		s.streams.done(st)
		s.places <- w
	}()
	w.client = answer.Client{Addr: client.Addr(), TCP: true, Now: time.Now().UnixNano()}
	n := 0
	for n < fullAnswers && transfer == nil && whole(data[used:]) {
		size := int(binary.BigEndian.Uint16(data[used:]))
		packet := data[used+2 : used+2+size]
		used += 2 + size
		if size < 12 {
			return used, nil, errMalformed
		}
		length, outcome := w.answer(w.out[n+2:n+2+maxMessage], packet)
		if outcome == answer.Handover {
			transfer = packet
		}
		if length > 0 && outcome != answer.Handover {
			binary.BigEndian.PutUint16(w.out[n:], uint16(length)) //nolint:gosec // at most maxMessage
			n += 2 + length
		}
	}
	if n > 0 {
		_, err = st.conn.Write(w.out[:n])
	}
	return used, transfer, err
}

// place gives a worker with a buffer, once one is free; nil at the end of the service. While none is, those that keep
// theirs for too long are ended.
func (s *Service) place() *worker {
	for {
		var w *worker
		select {
		case w = <-s.places:
		default:
			s.streams.endSlowest()
			timer := time.NewTimer(slowTime)
			select {
			case w = <-s.places:
			case <-timer.C:
				continue
			case <-s.ctx.Done():
				timer.Stop()
				return nil
			}
			timer.Stop()
		}
		if w == nil {
			w = s.newWorker()
			w.out = make([]byte, fullAnswers+2+maxMessage)
		}
		return w
	}
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
