package listen

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"sync"
	"time"

	"postroad/internal/obs"
)

// Patient is a listener that waits while no connection can be taken: the machine has no more files or memory for them. Its
// Accept fails once it is closed, with net.ErrClosed, and not before.
type Patient struct {
	net.Listener
	name string
	log  *slog.Logger
	told obs.Rarely

	closing sync.Once
	closed  chan struct{}
}

// How long is waited, twice as long each time.
const (
	firstWait   = 5 * time.Millisecond
	longestWait = time.Second
)

// NewPatient makes l patient, under a name for the log.
func NewPatient(l net.Listener, name string, log *slog.Logger) *Patient {
	return &Patient{Listener: l, name: name, log: log, closed: make(chan struct{})}
}

// Accept gives the next connection.
func (p *Patient) Accept() (net.Conn, error) {
	for wait := firstWait; ; wait = min(2*wait, longestWait) {
		conn, err := p.Listener.Accept()
		if err == nil || errors.Is(err, net.ErrClosed) {
			return conn, err
		}
		// Connections that end give their files back.
		p.told.Warn(context.Background(), p.log, "connections cannot be taken", "listener", p.name, "error", err)
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-p.closed:
			timer.Stop()
			return nil, net.ErrClosed
		}
	}
}

// Close ends Accept.
func (p *Patient) Close() error {
	p.closing.Do(func() { close(p.closed) })
	return p.Listener.Close()
}
