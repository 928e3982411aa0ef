// Package imapd lets users read their mail: IMAP4rev2 and IMAP4rev1 (RFC 9051, RFC 3501) over the mailboxes of
// service/mailstore.
//
// A session is one goroutine and one loop; groups of commands have a file of their own. It sees its selected folder as
// an index that never changes, and takes the next one over, telling its client, where the protocol allows it. While it
// waits it has neither buffers nor a goroutine (package listen), and whoever changes the folder that it idles in starts one
// that tells the client.
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
	"context"
	"log/slog"
	"net"
	"runtime"
	"sync"
	"time"

	"postroad/internal/core/budget"
	"postroad/internal/listen"
	"postroad/internal/obs"
)

// Service serves IMAP sessions on any number of listeners.
type Service struct {
	cfg      Config
	store    Store
	logins   Logins
	log      *slog.Logger
	m        *obs.Metrics
	recent   recents
	large    chan struct{}  // a slot for each large message that is taken apart
	held     *budget.Budget // octets of messages on their way to clients
	searches *turns         // of searches in contents

	sessions *listen.Sessions
	kinds    [2]listen.Kind // by Kind

	mu    sync.Mutex
	boxes map[string]int // sessions by mailbox
}

// New makes the service.
func New(cfg Config, store Store, logins Logins, metrics *obs.Metrics, log *slog.Logger) *Service {
	if metrics == nil {
		metrics = obs.NewMetrics()
	}
	s := &Service{
		cfg: cfg.withDefaults(), store: store, logins: logins, m: metrics, log: log,
		large: make(chan struct{}, 2), held: budget.New(octetsOfAll), searches: newTurns(max(1, runtime.NumCPU()/2)), boxes: map[string]int{},
	}
	s.sessions = listen.New(listen.Config{
		Sessions: s.cfg.Sessions, PerCustomer: s.cfg.SessionsPerAddress, Strangers: true, Memory: s.cfg.Memory, TLSBuffers: tlsBuffers,
		Meters: listen.Meters{Now: s.m.IMAPSessions, Total: s.m.IMAPSessionsTotal, Refused: s.m.IMAPSessionsRefused, Handshakes: s.m.IMAPTLSHandshakes, Panics: s.m.IMAPPanics},
	}, log)
	for kind := range Kind(len(s.kinds)) {
		s.kinds[kind] = listen.Kind{Name: kind.String(), Begin: func(c *listen.Client) listen.Session { return newSession(s, c, kind) }}
	}
	s.kinds[IMAP].Full = []byte("* BYE [UNAVAILABLE] Too many sessions, try again later.\r\n")
	return s
}

// Serve accepts sessions until the listener is closed; it returns nil after Stop. Where all places are taken, the one of
// whoever has been without a login for longest is given away, so that strangers keep nobody out.
func (s *Service) Serve(l net.Listener, kind Kind) error { return s.sessions.Serve(l, &s.kinds[kind]) }

// Stop takes no new sessions, lets a message that is being appended get its answer, and ends the others with BYE.
// It returns when all sessions have ended or ctx does.
func (s *Service) Stop(ctx context.Context) { s.sessions.Stop(ctx) }

// enter counts a session for a mailbox; false when the mailbox has as many as it may have.
func (s *Service) enter(box string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.boxes[box] >= s.cfg.SessionsPerUser {
		return false
	}
	s.boxes[box]++
	return true
}

// leave counts a session for a mailbox no more.
func (s *Service) leave(box string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.boxes[box]--; s.boxes[box] <= 0 {
		delete(s.boxes, box)
	}
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
	for _, held := range s.sessions.All() {
		ses, _ := held.(*session)
		if who := ses.who.Load(); who != nil {
			logins[*who] = append(logins[*who], ses)
		}
	}
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
