package sim

import (
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

const pipeBuffer = 64 << 10 // octets each way, like a socket's

// Pipe is a connection inside the process: a pair of ends with a buffer each way, deadlines and addresses.
// Unlike net.Pipe a writer need not meet its reader, so that pipelining works as over TCP. Waiting on it is
// durable in a synctest bubble.
func Pipe(client, server net.Addr) (*PipeEnd, *PipeEnd) {
	up, down := newStream(), newStream()
	return &PipeEnd{in: down, out: up, local: client, remote: server, reads: newDeadline(), writes: newDeadline()},
		&PipeEnd{in: up, out: down, local: server, remote: client, reads: newDeadline(), writes: newDeadline()}
}

// PipeEnd is one end of a Pipe; a net.Conn.
type PipeEnd struct {
	in, out       *stream
	local, remote net.Addr
	reads, writes *deadline
}

var _ net.Conn = (*PipeEnd)(nil)

// Read gives what the other end has written: io.EOF after its Close, ECONNRESET after its Reset.
func (p *PipeEnd) Read(b []byte) (int, error) {
	n, err := p.in.read(b, p.reads)
	return n, p.wrap("read", err)
}

// Write keeps b for the other end, waiting while the buffer is full.
func (p *PipeEnd) Write(b []byte) (int, error) {
	n, err := p.out.write(b, p.writes)
	return n, p.wrap("write", err)
}

// Close lets the other end read what is left, then io.EOF.
func (p *PipeEnd) Close() error {
	p.out.end(io.EOF)
	p.in.end(syscall.EPIPE)
	return nil
}

// Reset is Close by RST: the other end loses what it has not read.
func (p *PipeEnd) Reset() {
	p.out.reset()
	p.in.end(syscall.EPIPE)
}

// LocalAddr is this end's address.
func (p *PipeEnd) LocalAddr() net.Addr { return p.local }

// RemoteAddr is the other end's address.
func (p *PipeEnd) RemoteAddr() net.Addr { return p.remote }

// SetDeadline sets both deadlines.
func (p *PipeEnd) SetDeadline(t time.Time) error {
	p.reads.set(t)
	p.writes.set(t)
	return nil
}

// SetReadDeadline ends reads at t; the zero time means never.
func (p *PipeEnd) SetReadDeadline(t time.Time) error {
	p.reads.set(t)
	return nil
}

// SetWriteDeadline ends writes at t; the zero time means never.
func (p *PipeEnd) SetWriteDeadline(t time.Time) error {
	p.writes.set(t)
	return nil
}

func (p *PipeEnd) wrap(op string, err error) error {
	if err == nil || err == io.EOF { //nolint:errorlint // io.EOF is never wrapped by a reader
		return err
	}
	return &net.OpError{Op: op, Net: "tcp", Source: p.local, Addr: p.remote, Err: err}
}

// stream is one direction.
type stream struct {
	mu       sync.Mutex
	buffer   []byte
	ended    error         // what a reader gets when the buffer is empty
	unread   error         // what a writer gets when nobody will read
	changed  chan struct{} // closed at each change
	finished bool
}

func newStream() *stream { return &stream{changed: make(chan struct{})} }

func (s *stream) touch() {
	close(s.changed)
	s.changed = make(chan struct{})
}

func (s *stream) read(b []byte, limit *deadline) (int, error) {
	for {
		expired := limit.wait()
		s.mu.Lock()
		if isClosed(expired) {
			s.mu.Unlock()
			return 0, os.ErrDeadlineExceeded
		}
		if s.unread != nil {
			s.mu.Unlock()
			return 0, net.ErrClosed
		}
		if len(s.buffer) > 0 {
			n := copy(b, s.buffer)
			s.buffer = s.buffer[n:]
			if len(s.buffer) == 0 {
				s.buffer = nil
			}
			s.touch()
			s.mu.Unlock()
			return n, nil
		}
		if s.ended != nil || len(b) == 0 {
			err := s.ended
			s.mu.Unlock()
			return 0, err
		}
		changed := s.changed
		s.mu.Unlock()
		select {
		case <-changed:
		case <-expired:
		}
	}
}

func (s *stream) write(b []byte, limit *deadline) (int, error) {
	written := 0
	for {
		expired := limit.wait()
		s.mu.Lock()
		switch {
		case isClosed(expired):
			s.mu.Unlock()
			return written, os.ErrDeadlineExceeded
		case s.finished:
			s.mu.Unlock()
			return written, net.ErrClosed
		case s.unread != nil:
			s.mu.Unlock()
			return written, s.unread
		}
		if n := min(len(b)-written, pipeBuffer-len(s.buffer)); n > 0 {
			s.buffer = append(s.buffer, b[written:written+n]...)
			written += n
			s.touch()
		}
		if written == len(b) {
			s.mu.Unlock()
			return written, nil
		}
		changed := s.changed
		s.mu.Unlock()
		select {
		case <-changed:
		case <-expired:
		}
	}
}

// end closes the stream from its writer's side with io.EOF, from its reader's side with any other error.
func (s *stream) end(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err == io.EOF { //nolint:errorlint // said by Close itself
		s.finished = true
		if s.ended == nil {
			s.ended = io.EOF
		}
	} else if s.unread == nil {
		s.unread = err
		s.buffer = nil
	}
	s.touch()
}

func (s *stream) reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.finished, s.ended, s.buffer = true, syscall.ECONNRESET, nil
	s.touch()
}

// deadline is a moment that can be moved.
type deadline struct {
	mu      sync.Mutex
	timer   *time.Timer
	expired chan struct{}
}

func newDeadline() *deadline { return &deadline{expired: make(chan struct{})} }

// wait gives the channel that is closed when the deadline passes.
func (d *deadline) wait() chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.expired
}

func (d *deadline) set(t time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.timer != nil {
		d.timer.Stop()
		d.timer = nil
	}
	if isClosed(d.expired) {
		d.expired = make(chan struct{})
	}
	if t.IsZero() {
		return
	}
	left := time.Until(t)
	if left <= 0 {
		close(d.expired)
		return
	}
	current := d.expired
	d.timer = time.AfterFunc(left, func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		if d.expired == current && !isClosed(current) {
			close(current)
		}
	})
}

func isClosed(c chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
