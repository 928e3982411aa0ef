// Package server joins the parts into one program: stores, services, listeners, their start and their end.
//
// It is the one place where everything is known. Nothing is decided here but order: what must be open before what,
// and what must have ended before what is closed.
//
// # Failure
//
// A start that cannot be completed undoes what it has begun and says why in one line. A store that can no longer
// promise durability ends the program with an error.
package server

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"runtime/debug"
	"sync"
	"time"

	"postroad/internal/config"
	"postroad/internal/core/account"
	"postroad/internal/core/budget"
	"postroad/internal/core/routing"
	"postroad/internal/core/seal"
	"postroad/internal/obs"
	"postroad/internal/service/access"
	"postroad/internal/service/certs"
	"postroad/internal/service/checks"
	"postroad/internal/service/control"
	"postroad/internal/service/deliver"
	"postroad/internal/service/dkimsign"
	"postroad/internal/service/dnsd"
	"postroad/internal/service/imapd"
	"postroad/internal/service/judge"
	"postroad/internal/service/mailstore"
	"postroad/internal/service/notices"
	"postroad/internal/service/providers"
	"postroad/internal/service/queue"
	"postroad/internal/service/receive"
	"postroad/internal/service/resolver"
	"postroad/internal/service/sending"
	"postroad/internal/service/signer"
	"postroad/internal/service/trace"
	"postroad/internal/service/transfers"
	"postroad/internal/service/verify"
	"postroad/internal/store/sqldb"
)

// Options are what is not configuration.
type Options struct {
	Roles []Role    // what this node runs; nil: all of them
	Demo  bool      // add a demo domain and send a message through it
	Out   io.Writer // where people read: addresses, the first token, the demo; nil: nowhere
	// Dialer opens outgoing connections, to mail servers and to DNS; nil: the network's.
	Dialer deliver.Dialer
	// Listen opens listeners, the API's socket among them; nil: the network's.
	Listen func(ctx context.Context, network, address string) (net.Listener, error)
}

// Server is a running Postroad.
type Server struct {
	cfg  config.Config
	log  *slog.Logger
	opts Options

	metrics   *obs.Metrics
	health    *obs.Health
	stores    *stores
	box       *seal.Box // under which keys lie in the store
	resolver  *resolver.Service
	verify    *verify.Service
	mailstore *mailstore.Service
	queue     *queue.Service
	deliver   *deliver.Service
	control   *control.Service
	signer    *signer.Service
	dkim      *dkimsign.Service
	keys      *checks.KeyRounds
	certs     *certs.Service
	access    *access.Service
	receive   *receive.Service
	sending   *sending.Service
	imapd     *imapd.Service
	trace     *trace.Service     // nil: no traces are kept
	dnsd      *dnsd.Service      // nil: this node does not answer questions
	transfers *transfers.Service // nil with it
	self      *self
	listeners []listening
	imap      []reading
	dns       []answering
	web       []net.Listener          // for http
	secureWeb []net.Listener          // for https
	ending    []func(context.Context) // in reverse order of start
	serving   sync.WaitGroup
	failed    chan error
}

// drainTime is how long an orderly end may take.
const drainTime = 30 * time.Second

// Run serves until ctx ends, then drains. It returns nil after an orderly end.
func Run(ctx context.Context, cfg config.Config, opts Options, log *slog.Logger) error {
	s, err := Start(ctx, cfg, opts, log)
	if err != nil {
		return err
	}
	var cause error
	select {
	case <-ctx.Done():
	case cause = <-s.failed:
		s.log.ErrorContext(ctx, "the server ends", "error", cause)
	}
	s.Stop()
	return cause
}

// Start opens everything and begins to serve. The caller owes a Stop.
func Start(ctx context.Context, cfg config.Config, opts Options, log *slog.Logger) (*Server, error) {
	if opts.Out == nil {
		opts.Out = io.Discard
	}
	if opts.Dialer == nil {
		opts.Dialer = &net.Dialer{}
	}
	if opts.Listen == nil {
		opts.Listen = (&net.ListenConfig{}).Listen
	}
	if opts.Roles == nil {
		opts.Roles = AllRoles()
	}
	s := &Server{cfg: cfg, log: log, opts: opts, metrics: obs.NewMetrics(), health: &obs.Health{}, failed: make(chan error, 8)}
	if err := s.start(ctx); err != nil {
		s.Stop()
		return nil, err
	}
	return s, nil
}

// start opens the parts in the order in which they need each other.
func (s *Server) start(ctx context.Context) error {
	if err := checkRoles(s.opts.Roles); err != nil {
		return err
	}
	if s.opts.Demo && !s.runs(RoleReceive) {
		return errDemoRoles
	}
	s.health.NotReady("starting")
	s.metrics.BuildInfo.WithLabelValues(Version()).Set(1)
	for _, step := range []func(context.Context) error{
		s.openFolder, s.openListeners, s.openIMAP, s.openDNS, s.openStores, s.join, s.found, s.openAPI, s.serve, s.serveIMAP, s.startTransfers, s.serveDNS, s.sweep, s.greet,
	} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	s.health.Ready()
	if s.opts.Demo {
		return s.demo(ctx)
	}
	return nil
}

// atEnd remembers what must be done at the end; last come, first done.
func (s *Server) atEnd(f func(context.Context)) { s.ending = append(s.ending, f) }

// Stop ends the server in order: no new sessions, content being received gets its answer, outcomes are recorded.
func (s *Server) Stop() {
	s.health.NotReady("draining")
	ctx, cancel := context.WithTimeout(context.Background(), drainTime)
	defer cancel()
	for i := len(s.ending) - 1; i >= 0; i-- {
		s.ending[i](ctx)
	}
	s.ending = nil
	s.serving.Wait()
}

// openFolder makes the data folder and takes its lock.
func (s *Server) openFolder(context.Context) error {
	if err := os.MkdirAll(s.cfg.DataDir, 0o700); err != nil {
		return fmt.Errorf("data folder: %w", err)
	}
	release, err := sqldb.LockFolder(s.cfg.DataDir)
	if err != nil {
		return err
	}
	s.atEnd(func(context.Context) { release() })
	s.box, err = s.sealBox()
	return err
}

// join makes the services and shows them to each other.
func (s *Server) join(ctx context.Context) error {
	if err := s.joinDNS(ctx); err != nil {
		return err
	}
	traceSecret, err := s.secret(ctx, settingTraceSecret)
	if err != nil {
		return err
	}
	proofSecret, err := s.secret(ctx, settingProofSecret)
	if err != nil {
		return err
	}
	tracer := routing.NewTracer(traceSecret)
	s.resolver = resolver.New(resolver.Config{
		Servers: s.cfg.Resolver.Servers, Roots: s.cfg.Resolver.Roots, Port: uint16(s.cfg.Resolver.Port), Allow: s.cfg.Resolver.Allow, //nolint:gosec // config checks the range
	}, s.log, resolver.WithDialer(s.opts.Dialer))
	if err := s.joinSigner(ctx); err != nil {
		return err
	}
	s.mailstore = mailstore.New(s.stores.mail, mailstore.Config{Blobs: uploads{s.stores.blobs}, Disk: s.disk(), Reserve: 2 * s.cfg.Limits.MessageSize})
	if s.cfg.Store.DSN != "" { // other nodes may have the same mailboxes
		s.meanwhile(func(ctx context.Context) { s.mailstore.Poll(ctx, s.log) })
	}
	view := &view{self: routing.Self{Hostname: s.cfg.Hostname, RoutingDomain: s.cfg.RoutingDomain, Answers: s.self.Answers}}
	memory := budget.New(s.cfg.Limits.Memory)
	s.deliver = deliver.New(deliver.Config{
		Hostname: s.cfg.Hostname, Port: uint16(s.cfg.Deliver.Port), Allow: s.cfg.Deliver.Allow, Trace: tracer, Findings: findings{s.stores.control}, //nolint:gosec // config checks the range
	}, view, s.resolver, s.opts.Dialer, s.self, s.metrics, s.log)
	s.verify = verify.New(verify.Options{
		Resolver: s.resolver, Hosts: askable{s.deliver}, Directory: view, Store: s.stores.control, Metrics: s.metrics, Log: s.log,
	})
	view.hops, view.facts = s.deliver.Hops(), s.verify
	s.joinTraces(view)
	s.joinDKIM(view)
	s.queue = queue.New(s.queueConfig(memory), s.stores.queue, s.stores.queue, s.stores.queue,
		agents(s.deliver, deliver.NewLocal(s.mailstore, deliver.WithMetrics(s.metrics), deliver.WithLog(s.log))), view, s.metrics, s.log)
	forwarder, err := s.joinForwarding(ctx, view)
	if err != nil {
		return err
	}
	if err := s.joinSending(ctx); err != nil {
		return err
	}
	judges := judge.New(judge.Config{Hostname: s.cfg.Hostname, Findings: findings{s.stores.control}, Known: s.resolver.Known(), Patterns: forwarder}, s.resolver, view, s.metrics, s.log)
	s.control = control.New(control.Options{
		Store: s.stores.control, Boxes: s.mailstore, Queue: s.queue, Traces: s.traces(), Names: s.names(), Signer: s.signer, Parents: s.signer, Box: s.box, Exchange: s.exchange(), Resolver: s.resolver, DNS: s.resolver, ProofSecret: proofSecret,
		Hops: view.hops, Facts: s.verify, Returns: forwarder, Forwards: forwarder, Judge: judges, Dial: s.tries, Fetcher: s.verify, Answers: s.self.Answers, Verifier: passwords{s.box}.verifier,
		Hostname: s.cfg.Hostname, RoutingDomain: s.cfg.RoutingDomain, Addresses: s.cfg.Addresses, Listeners: s.self.listeners, Machine: hasAddress,
		DeliverPort: uint16(s.cfg.Deliver.Port), TrustedNetworks: s.cfg.Receive.TrustedNetworks, //nolint:gosec // config checks the range
		Certificates: s.certificateOptions(), Writer: &providers.Service{}, Seal: s.box, Providers: providers.Kinds(), Keyring: s.dkim, Hold: s.queueHold(), Post: poster{&notices.Letters{Hostname: s.cfg.Hostname, Queue: s.queue, Dir: view, Signer: s.dkim}}, Probes: s.probes(), Support: s.cfg.Support.URL, Clients: s.clients(), Sending: s.sending, Metrics: s.metrics, Log: s.log,
	})
	view.directory = s.control.Directory
	s.access = access.New(tokens(s.stores.control))
	if err := s.joinCertificates(ctx); err != nil {
		return err
	}
	logins, err := s.logins(ctx, view)
	if err != nil {
		return err
	}
	nodes, err := s.joinNodes(ctx)
	if err != nil {
		return err
	}
	s.receive = receive.New(receive.Config{
		Hostname: s.cfg.Hostname, TLS: s.certs.TLS(), TrustedNetworks: s.cfg.Receive.TrustedNetworks,
		MessageSize: s.cfg.Limits.MessageSize, Recipients: s.cfg.Limits.Recipients,
		Sessions: s.cfg.Limits.Sessions, SessionsPerAddress: s.cfg.Limits.SessionsPerAddress, Memory: memory, Boxes: s.mailstore,
		Trace: tracer, Facts: s.verify, Recorder: s.recorder(), Turns: s.queue, Findings: findings{s.stores.control}, Signer: s.dkim, Forwarder: forwarder,
		Judge:   judging{judges},
		Sending: s.sending, Probes: s.control, Names: nodes.names,
	}, queueing{s.queue}, view, blobs{s.stores.blobs}, logins, s.metrics, s.log)
	s.joinIMAP(s.certs.TLS(), memory, logins)
	if err := s.control.Start(ctx); err != nil {
		return err
	}
	if s.cfg.Store.DSN != "" { // other nodes may change the same configuration
		s.meanwhile(s.control.Follow)
	}
	debug.FreeOSMemory() // reading zones and the rest leaves more garbage than stays
	if s.trace != nil {
		s.trace.Start()
		s.atEnd(func(context.Context) { s.trace.Stop() })
	}
	if s.runs(RoleDeliver) {
		if err := s.queue.Start(ctx, true); err != nil {
			return err
		}
		s.atEnd(func(ctx context.Context) {
			s.queue.Stop(ctx)
			s.deliver.Close()
		})
	}
	s.watchZones()
	s.meanwhile(s.certs.Run)
	s.verify.Start()
	s.atEnd(func(context.Context) { s.verify.Close() })
	if s.runs(RoleDeliver) {
		s.watchModes(view)
		s.tellPeople(view)
	}
	s.health.Check("queue", func(ctx context.Context) error {
		_, err := s.stores.queue.Age(ctx, 0)
		return err
	})
	return nil
}

// joinTraces makes the service that keeps traces, where their store is open.
func (s *Server) joinTraces(v *view) {
	if s.stores.trace != nil {
		s.trace = trace.New(trace.Config{
			Keep: s.cfg.Trace.Keep, Disk: s.disk(), Reserve: 4 * s.cfg.Limits.MessageSize,
		}, s.stores.trace, v, s.metrics, s.log)
	}
}

// recorder is who is told of mail; nil for nobody.
func (s *Server) recorder() queue.Recorder {
	if s.trace == nil {
		return nil
	}
	return s.trace
}

// traces is what control shows of them; nil for nothing.
func (s *Server) traces() control.Traces {
	if s.trace == nil {
		return nil
	}
	return s.trace
}

func (s *Server) disk() disk { return disk{s.cfg.DataDir, s.metrics.StoreFreeBytes} }

// watchModes has domains of mode auto follow public DNS, and looks for what shows the ownership of others.
func (s *Server) watchModes(v *view) {
	looks := checks.New(v, s.resolver, s.control, findings{s.stores.control}, s.stores.control, s.log)
	s.meanwhile(looks.WithZones(s.control).Run)
	s.meanwhile(checks.NewProofs(v, s.control, s.log).Run)
	s.meanwhile(checks.NewDelegations(v, s.control, s.log).Run)
	s.meanwhile(func(ctx context.Context) { s.keys.Run(ctx, s.control) })
	s.meanwhile(checks.NewIdentities(v, s.control, s.log).Run)
	s.meanwhile(func(ctx context.Context) { checks.Forwards(ctx, s.control, s.log) })
}

// tellPeople has people told of what happens to their domains' mail.
func (s *Server) tellPeople(v *view) {
	tells := notices.New(notices.Config{
		Hostname: s.cfg.Hostname, Wait: s.cfg.Notices.Wait, Interval: s.cfg.Notices.Interval, Hold: s.cfg.Queue.Hold, Turn: s.turn("notices"), Signer: s.dkim, Near: s.sending.Near,
	}, s.stores.control, s.stores.control, s.queue, v, s.control, s.log)
	s.meanwhile(tells.Run)
}

// turn tells whether this node does something for the installation that one node at a time does.
func (s *Server) turn(what string) func(context.Context, time.Time, time.Duration) (bool, error) {
	if s.cfg.Store.DSN == "" {
		return nil // there is one node
	}
	node := rand.Text()
	return func(ctx context.Context, now time.Time, lasts time.Duration) (bool, error) {
		return s.stores.control.Lease(ctx, account.System(), what, node, now, now.Add(lasts))
	}
}

// meanwhile runs something until the server ends.
func (s *Server) meanwhile(run func(context.Context)) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { run(ctx); close(ended) }()
	s.atEnd(func(context.Context) {
		cancel()
		<-ended
	})
}

func (s *Server) queueConfig(memory *budget.Budget) queue.Config {
	return queue.Config{
		Hold: s.cfg.Queue.Hold, Retry: s.cfg.Queue.Retry, DelayNotice: s.cfg.Queue.DelayNotice, Hostname: s.cfg.Hostname,
		Node: "node", Memory: memory, InMemory: s.cfg.Limits.Memory / 4, Disk: s.disk(), Reserve: 2 * s.cfg.Limits.MessageSize,
		Recorder: s.recorder(), Findings: findings{s.stores.control}, Signer: s.dkim,
	}
}

// found makes what every installation has: a domain for its own name, with the postmaster's mailbox, which takes
// what a domain without a postmaster of its own is sent (RFC 5321 §4.5.1).
func (s *Server) found(ctx context.Context) error {
	if _, there := s.control.Directory().Domain(s.cfg.Hostname); there {
		return nil
	}
	proved := true
	for _, plan := range []func() (control.Plan, error){
		func() (control.Plan, error) {
			return s.control.PlanDomainAdd(ctx, control.System(), control.DomainSpec{Name: s.cfg.Hostname, DomainSettings: control.DomainSettings{Proved: &proved}})
		},
		func() (control.Plan, error) {
			return s.control.PlanMailboxAdd(control.System(), control.MailboxSpec{Address: "postmaster@" + s.cfg.Hostname})
		},
	} {
		if _, err := s.control.Make(ctx, control.System(), plan); err != nil && !errors.Is(err, control.ErrExists) { // by another node
			return fmt.Errorf("make the mailbox postmaster@%s: %w", s.cfg.Hostname, err)
		}
	}
	return nil
}

// serve begins to take mail.
func (s *Server) serve(context.Context) error {
	s.atEnd(func(ctx context.Context) { // the rest of the time is the queue's
		ctx, cancel := context.WithTimeout(ctx, drainTime*2/3)
		defer cancel()
		s.receive.Stop(ctx)
	})
	for _, l := range s.listeners {
		s.serving.Go(func() {
			if err := s.receive.Serve(l.listener, l.kind); err != nil {
				s.fail(fmt.Errorf("listener %s: %w", l.kind, err))
			}
		})
	}
	return nil
}

// fail ends the program for a cause; only the first ones are kept.
func (s *Server) fail(err error) {
	select {
	case s.failed <- err:
	default:
	}
}

// greet tells people where everything is, and the first token once.
func (s *Server) greet(ctx context.Context) error {
	for _, l := range s.listeners {
		s.log.InfoContext(ctx, "listening", "listener", l.kind.String(), "address", l.listener.Addr().String())
	}
	for _, l := range s.imap {
		s.log.InfoContext(ctx, "listening", "listener", l.kind.String(), "address", l.listener.Addr().String())
	}
	for _, a := range s.dns {
		s.log.InfoContext(ctx, "listening", "listener", "dns", "address", a.tcp.Addr().String())
	}
	for _, missing := range []struct {
		name      string
		role      Role
		addresses []string
	}{
		{"lmtp", RoleReceive, s.cfg.Listen.LMTP},
	} {
		if len(missing.addresses) > 0 && s.runs(missing.role) {
			s.log.InfoContext(ctx, "listener is not built yet and not served", "listener", missing.name)
		}
	}
	secret, err := s.control.FirstToken(ctx)
	if err != nil {
		return fmt.Errorf("make the first token: %w", err)
	}
	s.say("Postroad serves %s.\n", s.cfg.Hostname)
	for _, l := range s.listeners {
		s.say("  %-12s %s\n", l.kind, l.listener.Addr())
	}
	for _, l := range s.imap {
		s.say("  %-12s %s\n", l.kind, l.listener.Addr())
	}
	for _, a := range s.dns {
		s.say("  %-12s %s\n", "dns", a.tcp.Addr())
	}
	for _, a := range s.cfg.Listen.HTTP {
		if s.runs(RolePanel) {
			s.say("  %-12s http://%s/api/openapi.json\n", "API", a)
		} else {
			s.say("  %-12s http://%s/metrics\n", "metrics", a)
		}
	}
	for _, l := range s.secureWeb {
		s.log.InfoContext(ctx, "listening", "listener", "https", "address", l.Addr().String())
		s.say("  %-12s %s\n", "https", l.Addr())
	}
	s.say("  %-12s %s\n", "data", s.cfg.DataDir)
	if secret != "" {
		s.say("\nThe operator's token for the API, shown this once:\n  %s\n", secret)
	}
	return nil
}

// say writes a line for people.
func (s *Server) say(format string, args ...any) {
	_, _ = fmt.Fprintf(s.opts.Out, format, args...)
}

// Reasons why a start is refused.
var (
	errNoListener = errors.New("no listener is configured: set [listen] smtp or dns")
	errDemoRoles  = errors.New("the demo needs the roles receive and deliver")
)
