package server

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/netip"

	"postroad/internal/core/budget"
	"postroad/internal/core/directory"
	"postroad/internal/service/access"
	"postroad/internal/service/imapd"
	"postroad/internal/service/mailstore"
)

// reading is one open IMAP listener.
type reading struct {
	kind     imapd.Kind
	listener net.Listener
}

// openIMAP binds the ports for IMAP.
func (s *Server) openIMAP(ctx context.Context) error {
	if !s.runs(RoleIMAP) {
		return nil
	}
	for _, list := range []struct {
		kind      imapd.Kind
		addresses []string
	}{
		{imapd.IMAP, s.cfg.Listen.IMAP},
		{imapd.IMAPS, s.cfg.Listen.IMAPS},
	} {
		for _, address := range list.addresses {
			l, err := s.opts.Listen(ctx, "tcp", address)
			if err != nil {
				return fmt.Errorf("listener %s: %w", list.kind, err)
			}
			s.atEnd(func(context.Context) { _ = l.Close() })
			s.imap = append(s.imap, reading{kind: list.kind, listener: l})
		}
	}
	return nil
}

// joinIMAP makes the service that lets users read their mail.
func (s *Server) joinIMAP(certificate *tls.Config, memory *budget.Budget, logins logins) {
	s.imapd = imapd.New(imapd.Config{
		TLS: certificate, MessageSize: s.cfg.Limits.MessageSize, Memory: memory,
		Sessions: s.cfg.Limits.IMAPSessions, SessionsPerAddress: s.cfg.Limits.IMAPSessionsPerAddress, SessionsPerUser: s.cfg.Limits.IMAPSessionsPerMailbox,
	}, readable{s.mailstore}, readers{logins.Logins, s.control.Directory}, s.metrics, s.log)
}

// serveIMAP begins to let users read.
func (s *Server) serveIMAP(context.Context) error {
	if len(s.imap) == 0 {
		return nil
	}
	s.meanwhile(s.imapd.Run)
	s.atEnd(func(ctx context.Context) {
		ctx, cancel := context.WithTimeout(ctx, drainTime/3)
		defer cancel()
		s.imapd.Stop(ctx)
	})
	for _, l := range s.imap {
		s.serving.Go(func() {
			if err := s.imapd.Serve(l.listener, l.kind); err != nil {
				s.fail(fmt.Errorf("listener %s: %w", l.kind, err))
			}
		})
	}
	return nil
}

// readable shows the mailboxes as imapd wants them.
type readable struct{ *mailstore.Service }

// Upload implements imapd.Store.
func (r readable) Upload(limit int64) imapd.Upload { return r.Service.Upload(limit) }

// readers checks logins as imapd wants it.
type readers struct {
	logins    *access.Logins
	directory func() *directory.Snapshot
}

// Begin implements imapd.Logins.
func (r readers) Begin(ctx context.Context, client netip.Addr, mechanism string) (imapd.Exchange, bool) {
	x, ok := r.logins.Begin(ctx, client, mechanism)
	return readerExchange{x}, ok
}

// Holds implements imapd.Logins.
func (r readers) Holds(ctx context.Context, who imapd.Login) (bool, error) {
	return r.logins.Holds(ctx, access.User(who))
}

// Version implements imapd.Logins.
func (r readers) Version() int64 { return r.directory().Version() }

// readerExchange shows who has logged in as imapd wants it.
type readerExchange struct{ *access.Exchange }

// Login implements imapd.Exchange.
func (x readerExchange) Login() imapd.Login { return imapd.Login(x.User()) }
