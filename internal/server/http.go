package server

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"postroad/internal/config"
	"postroad/internal/core/clientsetup"
	"postroad/internal/edge/api"
	"postroad/internal/edge/setup"
	"postroad/internal/listen"
)

// Limits of HTTP connections, so that none is held for nothing.
const (
	headerTimeout = 10 * time.Second
	idleTimeout   = 2 * time.Minute
	maxHeader     = 64 << 10
)

// openAPI serves the API on the socket and, for those with a token, on the http listeners of a node with a panel, with
// metrics and health. On other nodes the http listeners have these two alone.
func (s *Server) openAPI(ctx context.Context) error {
	handler, err := api.Handler(api.Options{Control: s.control, Access: s.access, Metrics: s.metrics, Log: s.log, Version: Version()})
	if err != nil {
		return fmt.Errorf("API: %w", err)
	}
	watched := func() *http.ServeMux {
		mux := http.NewServeMux()
		mux.HandleFunc("GET /healthz", s.health.Healthz)
		mux.HandleFunc("GET /readyz", s.health.Readyz)
		mux.Handle("GET /metrics", s.metrics.Handler())
		return mux
	}
	all, outside := watched(), watched()
	all.Handle("/", handler)
	setup.Register(all, setup.Options{Service: s.clients(), Domain: s.control.ClientDomain})
	if s.runs(RolePanel) {
		outside = all
	}
	socket, err := s.openSocket(ctx)
	if err != nil {
		return err
	}
	s.serveHTTP(socket, &http.Server{Handler: all, ConnContext: api.ConnContext})
	for _, l := range s.web {
		s.serveHTTP(l, &http.Server{Handler: s.certs.HTTP(outside)})
	}
	for _, l := range s.secureWeb {
		s.serveHTTPS(l, &http.Server{Handler: strict(outside)}, s.certs.HTTPS())
	}
	return nil
}

// clients is where users' mail programs connect.
func (s *Server) clients() clientsetup.Service {
	c := &s.cfg.Clients
	port := func(n int) uint16 { return uint16(max(n, 0)) } //nolint:gosec // config checks the range
	return clientsetup.Service{
		Host: c.Host, IMAPS: port(c.IMAPS), IMAP: port(c.IMAP), Submissions: port(c.Submissions), Submission: port(c.Submission), HTTPS: port(c.HTTPS),
	}
}

// openSocket makes the socket, readable by the operator alone. One that a crash left is replaced: the folder's lock
// is ours.
func (s *Server) openSocket(ctx context.Context) (net.Listener, error) {
	path := filepath.Join(s.cfg.DataDir, config.SocketName)
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("API socket: %w", err)
	}
	l, err := s.opts.Listen(ctx, "unix", path)
	if err != nil {
		return nil, fmt.Errorf("API socket: %w", err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, errors.Join(fmt.Errorf("API socket: %w", err), l.Close())
	}
	return l, nil
}

func (s *Server) serveHTTP(l net.Listener, server *http.Server) {
	s.serveWeb("http", l, server, server.Serve)
}

// serveWeb serves until the server ends, within the limits of HTTP connections.
func (s *Server) serveWeb(name string, l net.Listener, server *http.Server, serve func(net.Listener) error) {
	server.ReadHeaderTimeout, server.IdleTimeout, server.MaxHeaderBytes = headerTimeout, idleTimeout, maxHeader
	if server.ErrorLog == nil {
		server.ErrorLog = slog.NewLogLogger(s.log.Handler(), slog.LevelWarn)
	}
	l = listen.NewPatient(l, name, s.log)
	s.serving.Go(func() {
		if err := serve(l); err != nil && !errors.Is(err, http.ErrServerClosed) {
			s.fail(fmt.Errorf("listener %s: %w", name, err))
		}
	})
	s.atEnd(func(ctx context.Context) {
		if server.Shutdown(ctx) != nil {
			_ = server.Close()
		}
	})
}
