// Package receive is SMTP as a server: listeners for mail from strangers (MX) and from our own users
// (submission), by RFC 5321, 2034, 1870, 2920, 3030, 3207, 3461, 4954, 6152, 6409, 6531 and 9422.
//
// A session is one goroutine and one loop; each command has a file of its own. What may be refused is refused
// at RCPT, so that nothing accepted has to be bounced, and 250 to the content is said only when the queue
// holds it durably. Replies are sent when the client's pipelined input is used up.
//
// # Failure
//
// A panic ends its session with 421 and nothing else. Trouble with storage is always a temporary reply.
package receive

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"

	"postroad/internal/core/budget"
	"postroad/internal/core/reach"
	"postroad/internal/obs"
	"postroad/internal/proto/smtp"
)

// Service accepts SMTP sessions on any number of listeners.
type Service struct {
	cfg    Config
	queue  Queue
	dir    Directory
	blobs  Blobs
	logins Logins
	memory *budget.Budget
	log    *slog.Logger
	m      *meters

	mu        sync.Mutex
	sessions  map[*session]struct{}
	addresses map[netip.Addr]int
	listeners []net.Listener
	turns     turns
	stopping  bool
	running   sync.WaitGroup

	live  func() context.Context // ends with Stop
	halt  context.CancelFunc
	found recent // what was found a while ago
}

// New makes the service. logins may be nil when no submission listener is served.
func New(cfg Config, queue Queue, dir Directory, blobs Blobs, logins Logins, metrics *obs.Metrics, log *slog.Logger) *Service {
	live, halt := context.WithCancel(context.Background())
	return &Service{
		live: func() context.Context { return live }, halt: halt,
		cfg: cfg.withDefaults(), queue: queue, dir: dir, blobs: blobs, logins: logins, memory: cfg.Memory, m: newMeters(metrics), log: log,
		sessions: map[*session]struct{}{}, addresses: map[netip.Addr]int{},
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
	var failures obs.Rarely
	for {
		conn, err := l.Accept()
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				return nil
			}
			// Out of descriptors, most likely: sessions in progress give theirs back.
			failures.Warn(s.live(), s.log, "connections cannot be taken", "listener", kind.String(), "error", err)
			time.Sleep(wait)
			wait = min(2*wait, time.Second)
			continue
		}
		wait = 5 * time.Millisecond
		s.admit(conn, kind)
	}
}

// admit starts a session, or turns the client away when there are too many.
func (s *Service) admit(conn net.Conn, kind Kind) {
	addr := clientAddr(conn)
	key := reach.Customer(addr)
	ses := &session{service: s, raw: conn, conn: conn, kind: kind, addr: addr, key: key}
	s.mu.Lock()
	full := len(s.sessions) >= s.cfg.Sessions || s.addresses[key] >= s.cfg.SessionsPerAddress
	if !full && !s.stopping {
		s.sessions[ses] = struct{}{}
		s.addresses[key]++
		s.running.Add(1)
	}
	stopping := s.stopping
	s.mu.Unlock()
	if full || stopping {
		s.m.SMTPSessionsRefused.WithLabelValues(kind.String(), why(stopping)).Inc()
		turnAway(conn, kind)
		return
	}
	s.m.SMTPSessionsTotal.WithLabelValues(kind.String()).Inc()
	s.m.SMTPSessions.WithLabelValues(kind.String()).Inc()
	go ses.run()
}

// why a connection was turned away, as the metric has it.
func why(stopping bool) string {
	if stopping {
		return "stopping"
	}
	return "limit"
}

// turnAway says 421 if that does not block, and closes.
func turnAway(conn net.Conn, kind Kind) {
	if kind != Submissions {
		_ = conn.SetWriteDeadline(time.Now().Add(time.Second))
		_, _ = conn.Write(smtp.Reply{Code: 421, Enhanced: smtp.Enhanced{4, 7, 0}, Text: "too many sessions, try again later"}.AppendTo(nil))
	}
	_ = conn.Close()
}

func (s *Service) leave(ses *session) {
	s.mu.Lock()
	delete(s.sessions, ses)
	if s.addresses[ses.key]--; s.addresses[ses.key] <= 0 {
		delete(s.addresses, ses.key)
	}
	s.mu.Unlock()
	s.m.SMTPSessions.WithLabelValues(ses.kind.String()).Dec()
	s.running.Done()
}

// Stop takes no new sessions, lets content that is being received get its answer, and ends the others with 421.
// It returns when all sessions have ended or ctx does.
func (s *Service) Stop(ctx context.Context) {
	s.halt()
	s.mu.Lock()
	s.stopping = true
	for _, l := range s.listeners {
		_ = l.Close()
	}
	for ses := range s.sessions {
		ses.interrupt()
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

// trusted reports whether a client address lies in trusted_networks.
func (s *Service) trusted(addr netip.Addr) bool {
	for _, p := range s.cfg.TrustedNetworks {
		if p.Contains(addr) {
			return true
		}
	}
	return false
}

func clientAddr(conn net.Conn) netip.Addr {
	ap, err := netip.ParseAddrPort(conn.RemoteAddr().String())
	if err != nil {
		return netip.Addr{}
	}
	return ap.Addr().Unmap()
}

// tlsName says which protocol and cipher suite (RFC 8446 §B.4) a connection came by: "TLS1.3 TLS_AES_128_GCM_SHA256".
func tlsName(st tls.ConnectionState) string {
	version := "TLS1.2"
	if st.Version == tls.VersionTLS13 {
		version = "TLS1.3"
	}
	return version + " " + tls.CipherSuiteName(st.CipherSuite)
}
