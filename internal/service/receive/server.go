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
	"log/slog"
	"net"
	"net/netip"

	"postroad/internal/core/budget"
	"postroad/internal/listen"
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

	turns turns
	found recent // what was found a while ago

	sessions *listen.Sessions
	kinds    [3]listen.Kind // by Kind
}

// New makes the service. logins may be nil when no submission listener is served.
func New(cfg Config, queue Queue, dir Directory, blobs Blobs, logins Logins, metrics *obs.Metrics, log *slog.Logger) *Service {
	s := &Service{cfg: cfg.withDefaults(), queue: queue, dir: dir, blobs: blobs, logins: logins, memory: cfg.Memory, m: newMeters(metrics), log: log}
	s.sessions = listen.New(listen.Config{
		Sessions: s.cfg.Sessions, PerCustomer: s.cfg.SessionsPerAddress, Memory: s.memory, TLSBuffers: tlsBuffers,
		Meters: listen.Meters{Now: s.m.SMTPSessions, Total: s.m.SMTPSessionsTotal, Refused: s.m.SMTPSessionsRefused, Handshakes: s.m.SMTPTLSHandshakes, Panics: s.m.SMTPPanics},
	}, log)
	full := smtp.Reply{Code: 421, Enhanced: smtp.Enhanced{4, 7, 0}, Text: "too many sessions, try again later"}.AppendTo(nil)
	for kind := range Kind(len(s.kinds)) {
		s.kinds[kind] = listen.Kind{Name: kind.String(), Full: full, Begin: func(c *listen.Client) listen.Session { return newSession(s, c, kind) }}
	}
	s.kinds[Submissions].Full = nil
	return s
}

// Serve accepts sessions until the listener is closed; it returns nil after Stop.
func (s *Service) Serve(l net.Listener, kind Kind) error { return s.sessions.Serve(l, &s.kinds[kind]) }

// Stop takes no new sessions, lets content that is being received get its answer, and ends the others with 421.
// It returns when all sessions have ended or ctx does.
func (s *Service) Stop(ctx context.Context) { s.sessions.Stop(ctx) }

// live ends with Stop.
func (s *Service) live() context.Context { return s.sessions.Live() }

// trusted reports whether a client address lies in trusted_networks.
func (s *Service) trusted(addr netip.Addr) bool {
	for _, p := range s.cfg.TrustedNetworks {
		if p.Contains(addr) {
			return true
		}
	}
	return false
}

// tlsName says which protocol and cipher suite (RFC 8446 §B.4) a connection came by: "TLS1.3 TLS_AES_128_GCM_SHA256".
func tlsName(st tls.ConnectionState) string {
	version := "TLS1.2"
	if st.Version == tls.VersionTLS13 {
		version = "TLS1.3"
	}
	return version + " " + tls.CipherSuiteName(st.CipherSuite)
}
