// Package imapd lets users read their mail: IMAP4rev2 and IMAP4rev1 (RFC 9051, RFC 3501) over the mailboxes of
// service/mailstore.
//
// A session is one goroutine and one loop; groups of commands have a file of their own. It sees its selected folder as
// an index that never changes, and takes the next one over, telling its client, where the protocol allows it. While it
// idles it holds no buffers, and whoever changes the folder starts a goroutine that tells the client.
//
// A session reaches the mailbox of its login and nothing else: every call of the store has the scope of that mailbox's
// account, and the mailbox's id comes from the login alone.
//
// # Failure
//
// A panic ends its session with BYE and nothing else. Trouble with storage is NO [UNAVAILABLE], and what was not told
// because of it is told later.
package imapd

import (
	"container/list"
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"runtime"
	"sync"
	"time"

	"postroad/internal/obs"
)

// Service serves IMAP sessions on any number of listeners.
type Service struct {
	cfg    Config
	store  Store
	logins Logins
	log    *slog.Logger
	m      *obs.Metrics
	recent recents
	large  chan struct{} // a slot for each large message that is taken apart
	search chan struct{} // a slot for each search in contents

	mu        sync.Mutex
	sessions  map[*session]struct{}
	strangers *list.List // sessions without a login, oldest first
	evicted   int        // of sessions, those that end because others came
	addresses map[netip.Addr]int
	boxes     map[string]int // sessions by mailbox
	listeners []net.Listener
	stopping  bool
	running   sync.WaitGroup

	live func() context.Context // ends with Stop
	halt context.CancelFunc
}

// New makes the service.
func New(cfg Config, store Store, logins Logins, metrics *obs.Metrics, log *slog.Logger) *Service {
	if metrics == nil {
		metrics = obs.NewMetrics()
	}
	live, halt := context.WithCancel(context.Background())
	return &Service{
		live: func() context.Context { return live }, halt: halt,
		cfg: cfg.withDefaults(), store: store, logins: logins, m: metrics, log: log,
		large: make(chan struct{}, 2), search: make(chan struct{}, max(1, runtime.GOMAXPROCS(0)/2)),
		sessions: map[*session]struct{}{}, strangers: list.New(), addresses: map[netip.Addr]int{}, boxes: map[string]int{},
	}
}

// Serve accepts sessions until the listener is closed; it returns nil after Stop.
func (s *Service) Serve(l net.Listener, kind Kind) error {
	s.mu.Lock()
	if s.stopping {
		s.mu.Unlock()
		return l.Close()
	}
	s.listeners = append(s.listeners, l)
	s.mu.Unlock()
	wait := 5 * time.Millisecond
	for {
		conn, err := l.Accept()
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				return nil
			}
			// Out of descriptors, most likely: sessions in progress give theirs back.
			s.log.Warn("accept failed", "listener", kind.String(), "error", err)
			time.Sleep(wait)
			wait = min(2*wait, time.Second)
			continue
		}
		wait = 5 * time.Millisecond
		s.admit(conn, kind)
	}
}

// admit starts a session, or turns the client away when there are too many. Where all places are taken, the one of
// whoever has been without a login for longest is given away, so that strangers keep nobody out.
func (s *Service) admit(conn net.Conn, kind Kind) {
	addr := clientAddr(conn)
	ses := newSession(s, conn, kind, addr)
	s.mu.Lock()
	full := s.addresses[ses.key] >= s.cfg.SessionsPerAddress
	if !full && (s.strangers.Len() >= (s.cfg.Sessions+1)/2 || len(s.sessions)-s.evicted >= s.cfg.Sessions) {
		full = !s.evict()
	}
	if !full && !s.stopping {
		s.sessions[ses] = struct{}{}
		s.addresses[ses.key]++
		ses.stranger = s.strangers.PushBack(ses)
		s.running.Add(1)
	}
	stopping := s.stopping
	s.mu.Unlock()
	if full || stopping {
		s.m.IMAPSessionsRefused.WithLabelValues(kind.String(), why(stopping)).Inc()
		turnAway(conn, kind)
		return
	}
	s.m.IMAPSessionsTotal.WithLabelValues(kind.String()).Inc()
	s.m.IMAPSessions.WithLabelValues(kind.String()).Inc()
	go ses.run()
}

// evict ends the session that has been without a login for longest; false when there is none. The caller has the lock.
func (s *Service) evict() bool {
	oldest := s.strangers.Front()
	if oldest == nil {
		return false
	}
	s.strangers.Remove(oldest)
	old, _ := oldest.Value.(*session)
	old.stranger, old.evicted = nil, true
	s.evicted++
	old.end("There are too many sessions without a login.")
	return true
}

// why a connection was turned away, as the metric has it.
func why(stopping bool) string {
	if stopping {
		return "stopping"
	}
	return "limit"
}

// turnAway says BYE if that does not block, and closes.
func turnAway(conn net.Conn, kind Kind) {
	if kind != IMAPS {
		_ = conn.SetWriteDeadline(time.Now().Add(time.Second))
		_, _ = conn.Write([]byte("* BYE [UNAVAILABLE] Too many sessions, try again later.\r\n"))
	}
	_ = conn.Close()
}

// enter counts a session for its mailbox; false when the mailbox has as many as it may have.
func (s *Service) enter(ses *session, box string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.boxes[box] >= s.cfg.SessionsPerUser {
		return false
	}
	s.boxes[box]++
	if ses.stranger != nil {
		s.strangers.Remove(ses.stranger)
		ses.stranger = nil
	}
	return true
}

func (s *Service) leave(ses *session) {
	s.mu.Lock()
	delete(s.sessions, ses)
	if s.addresses[ses.key]--; s.addresses[ses.key] <= 0 {
		delete(s.addresses, ses.key)
	}
	if ses.stranger != nil {
		s.strangers.Remove(ses.stranger)
	}
	if ses.evicted {
		s.evicted--
	}
	if who := ses.who.Load(); who != nil {
		if s.boxes[who.Mailbox]--; s.boxes[who.Mailbox] <= 0 {
			delete(s.boxes, who.Mailbox)
		}
	}
	s.mu.Unlock()
	s.m.IMAPSessions.WithLabelValues(ses.kind.String()).Dec()
	s.running.Done()
}

// Run ends the sessions of logins that hold no longer, until ctx ends: when their mailbox was removed, its password
// changed, or its domain is proved no more.
func (s *Service) Run(ctx context.Context) {
	tick := time.NewTicker(sweepTime)
	defer tick.Stop()
	seen := s.logins.Version()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		version := s.logins.Version()
		if version == seen {
			continue
		}
		began := time.Now()
		if s.sweep(ctx) {
			seen = version
		}
		tick.Reset(max(sweepTime, 10*time.Since(began)))
	}
}

// sweep asks for each login whether it holds; false when that could not be told of all.
func (s *Service) sweep(ctx context.Context) bool {
	logins := map[Login][]*session{}
	s.mu.Lock()
	for ses := range s.sessions {
		if who := ses.who.Load(); who != nil {
			logins[*who] = append(logins[*who], ses)
		}
	}
	s.mu.Unlock()
	all := true
	for who, sessions := range logins {
		holds, err := s.logins.Holds(ctx, who)
		switch {
		case err != nil:
			all = false
			if ctx.Err() != nil {
				return false
			}
			s.log.Error("login not looked at again", "login", who.Address, "error", err)
		case !holds:
			s.log.Info("sessions ended, the login holds no longer", "login", who.Address, "sessions", len(sessions))
			for _, ses := range sessions {
				ses.end("This login is no longer valid.")
			}
		}
	}
	return all
}

// Stop takes no new sessions, lets a message that is being appended get its answer, and ends the others with BYE.
// It returns when all sessions have ended or ctx does.
func (s *Service) Stop(ctx context.Context) {
	s.halt()
	s.mu.Lock()
	s.stopping = true
	for _, l := range s.listeners {
		_ = l.Close()
	}
	for ses := range s.sessions {
		ses.interrupt("The server is shutting down, try again in a moment.")
	}
	s.mu.Unlock()
	done := make(chan struct{})
	go func() { s.running.Wait(); close(done) }()
	select {
	case <-done:
		return
	case <-ctx.Done():
	}
	s.mu.Lock()
	for ses := range s.sessions {
		_ = ses.raw.Close()
	}
	s.mu.Unlock()
}

func clientAddr(conn net.Conn) netip.Addr {
	ap, err := netip.ParseAddrPort(conn.RemoteAddr().String())
	if err != nil {
		return netip.Addr{}
	}
	return ap.Addr().Unmap()
}
