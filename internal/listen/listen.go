// Package listen takes connections for services that hold sessions with their clients: so many in all and of each customer,
// each in a goroutine of its own, and all of them ended in order.
//
// A service gives a Kind for each of its listeners, which begins a Session for a Client. What is said in a session is the
// service's alone; when it ends, this package closes the connection, under TLS or not, and frees its place.
//
// # Failure
//
// While the machine has no files or memory for another connection, taking them is tried again, at first soon and then each
// second, and told of rarely. A panic ends its session and nothing else.
//
// # Known limits
//
// Clients that are turned away in clear are told so by whoever takes connections: the text must fit into the buffer that
// the kernel has for a new one.
package listen

import (
	"container/list"
	"context"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"postroad/internal/core/budget"
	"postroad/internal/core/reach"
)

// Session is the dialogue with one client, as its service holds it.
type Session interface {
	// Run holds the session to its end. It may give it up before, with again, and is then called by another goroutine: one
	// that has worked has a large stack, and a session that waits for long needs none. After the Client's Rest that one comes
	// only when there is something to do. The connection is closed after it.
	Run() (again bool)
	// End has the session end, by whatever interrupts its Run. It is called by other goroutines, at any time from Run on,
	// more than once and even after the end, under a lock: it must not wait, nor call
	// the Client's methods other than Rouse.
	End(why Cause)
}

// Cause is why a session is to end.
type Cause uint8

const (
	// Stopping is the end of the service: what the client has begun to hand over should get its answer first.
	Stopping Cause = iota
	// Crowded gives the place of a session that has not been settled to another one, at once.
	Crowded
)

// Kind is what a listener is for.
type Kind struct {
	Name  string                // in the log and as a label of metrics
	Full  []byte                // what a client is told that is turned away; nil where TLS would come first
	Begin func(*Client) Session // makes the session of a client, and must not wait
}

// Config says how many sessions there may be. There is no default of a limit.
type Config struct {
	Sessions    int  // at once on all listeners
	PerCustomer int  // of them from one IPv4 address or one IPv6 /64
	Strangers   bool // up to half of them are held by those who are not settled, and the oldest of these make room for others
	Memory      *budget.Budget
	TLSBuffers  int64 // octets of Memory that a session under TLS is counted with
	Meters      Meters
}

// Meters are the metrics of a service's sessions.
type Meters struct {
	Now        *prometheus.GaugeVec   // sessions, by kind
	Total      *prometheus.CounterVec // by kind
	Refused    *prometheus.CounterVec // by kind and reason: "limit" or "stopping"
	Handshakes *prometheus.CounterVec // by result: "ok" or "failed"
	Panics     prometheus.Counter
}

// Sessions are those of one service, on any number of listeners.
type Sessions struct {
	cfg  Config
	log  *slog.Logger
	live func() context.Context // ends with Stop
	halt context.CancelFunc

	watch watch // of clients that rest

	mu        sync.Mutex
	clients   map[*Client]struct{}
	customers map[netip.Addr]int
	strangers *list.List // of *Client, oldest first
	evicted   int        // of clients, those that end because others came
	listeners []net.Listener
	stopping  bool
	running   sync.WaitGroup
}

// New makes Sessions without a listener.
func New(cfg Config, log *slog.Logger) *Sessions {
	live, halt := context.WithCancel(context.Background())
	return &Sessions{
		cfg: cfg, log: log, live: func() context.Context { return live }, halt: halt,
		clients: map[*Client]struct{}{}, customers: map[netip.Addr]int{}, strangers: list.New(),
	}
}

// Live ends with Stop: a context for what sessions wait for.
func (s *Sessions) Live() context.Context { return s.live() }

// Serve takes connections until the listener is closed, which is no error; Stop closes it.
func (s *Sessions) Serve(l net.Listener, kind *Kind) error {
	l = NewPatient(l, kind.Name, s.log)
	s.mu.Lock()
	if s.stopping {
		s.mu.Unlock()
		return l.Close()
	}
	s.listeners = append(s.listeners, l)
	s.mu.Unlock()
	for {
		conn, err := l.Accept()
		if err != nil {
			return nil // it is closed
		}
		s.Admit(conn, kind)
	}
}

// Admit begins a session, or turns the client away when there are too many.
func (s *Sessions) Admit(conn net.Conn, kind *Kind) {
	c := s.NewClient(kind, conn)
	c.customer = reach.Customer(c.Addr)
	c.session = kind.Begin(c)
	s.mu.Lock()
	refused := s.enter(c)
	s.mu.Unlock()
	if refused != "" {
		s.cfg.Meters.Refused.WithLabelValues(kind.Name, refused).Inc()
		turnAway(conn, kind)
		return
	}
	s.cfg.Meters.Total.WithLabelValues(kind.Name).Inc()
	s.cfg.Meters.Now.WithLabelValues(kind.Name).Inc()
	go c.run()
}

// enter gives a client a place, or says why it has none. The caller has the lock.
func (s *Sessions) enter(c *Client) (refused string) {
	const limit = "limit"
	switch {
	case s.stopping:
		return "stopping"
	case s.customers[c.customer] >= s.cfg.PerCustomer:
		return limit
	case s.full() && !s.evict():
		return limit
	}
	s.clients[c] = struct{}{}
	s.customers[c.customer]++
	if s.cfg.Strangers {
		c.stranger = s.strangers.PushBack(c)
	}
	s.running.Add(1)
	return ""
}

// full tells whether another session has a place only where one makes room. The caller has the lock.
func (s *Sessions) full() bool {
	return len(s.clients)-s.evicted >= s.cfg.Sessions || s.cfg.Strangers && s.strangers.Len() >= (s.cfg.Sessions+1)/2
}

// evict ends the session that has been without a login for longest; false when there is none. The caller has the lock.
func (s *Sessions) evict() bool {
	oldest := s.strangers.Front()
	if oldest == nil {
		return false
	}
	c, _ := oldest.Value.(*Client)
	s.settle(c)
	c.evicted = true
	s.evicted++
	c.end(Crowded)
	return true
}

// settle takes a client off the list of strangers. The caller has the lock.
func (s *Sessions) settle(c *Client) {
	if c.stranger != nil {
		s.strangers.Remove(c.stranger)
		c.stranger = nil
	}
}

// turnAway tells a client that there is no place, if that can be done at once, and closes.
func turnAway(conn net.Conn, kind *Kind) {
	if kind.Full != nil {
		_ = conn.SetWriteDeadline(time.Now().Add(time.Second))
		_, _ = conn.Write(kind.Full)
	}
	_ = conn.Close()
}

// leave frees the place of a session that has ended.
func (s *Sessions) leave(c *Client) {
	s.mu.Lock()
	delete(s.clients, c)
	if s.customers[c.customer]--; s.customers[c.customer] <= 0 {
		delete(s.customers, c.customer)
	}
	s.settle(c)
	if c.evicted {
		s.evicted--
	}
	s.mu.Unlock()
	s.cfg.Meters.Now.WithLabelValues(c.kind.Name).Dec()
	s.running.Done()
}

// All gives the sessions that are held at this moment.
func (s *Sessions) All() []Session {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]Session, 0, len(s.clients))
	for c := range s.clients {
		all = append(all, c.session)
	}
	return all
}

// Stop takes no new connections and ends all sessions, as each of them sees fit. It returns when the last one has ended, or
// closes the connections of those that have not when ctx ends.
func (s *Sessions) Stop(ctx context.Context) {
	s.halt()
	s.mu.Lock()
	s.stopping = true
	for _, l := range s.listeners {
		_ = l.Close()
	}
	for c := range s.clients {
		c.end(Stopping)
	}
	s.mu.Unlock()
	done := make(chan struct{})
	go func() { s.running.Wait(); close(done) }()
	defer s.watch.stop()
	select {
	case <-done:
		return
	case <-ctx.Done():
	}
	s.mu.Lock()
	for c := range s.clients {
		_ = c.Conn.Close()
		c.Rouse()
	}
	s.mu.Unlock()
}
