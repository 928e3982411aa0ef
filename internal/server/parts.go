package server

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"path/filepath"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"postroad/internal/core/account"
	"postroad/internal/core/directory"
	"postroad/internal/core/finding"
	"postroad/internal/core/mail"
	"postroad/internal/core/mailbox"
	"postroad/internal/core/policy"
	"postroad/internal/core/routing"
	"postroad/internal/service/access"
	"postroad/internal/service/control"
	"postroad/internal/service/deliver"
	"postroad/internal/service/judge"
	boxes "postroad/internal/service/mailstore"
	"postroad/internal/service/queue"
	"postroad/internal/service/receive"
	"postroad/internal/service/verify"
	controlstore "postroad/internal/store/control"
	mailstore "postroad/internal/store/mail"
	queuestore "postroad/internal/store/queue"
	"postroad/internal/store/sqldb"
	tracestore "postroad/internal/store/trace"
)

// stores are the databases and the blob folder of one installation.
type stores struct {
	blobs   *sqldb.Blobs
	control *controlstore.Store
	queue   *queuestore.Store
	mail    *mailstore.Store
	trace   *tracestore.Store // nil: no traces are kept
}

// openStores opens the databases: files in the data folder, or PostgreSQL where a DSN is given.
func (s *Server) openStores(ctx context.Context) error {
	dir, dsn := s.cfg.DataDir, s.cfg.Store.DSN
	blobs, err := sqldb.OpenBlobs(filepath.Join(dir, "blobs"))
	if err != nil {
		return err
	}
	s.stores = &stores{blobs: blobs}
	controlDB, err := controlstore.Open(ctx, controlstore.Config{Path: filepath.Join(dir, "control.db"), DSN: dsn, Log: s.log})
	if err != nil {
		return err
	}
	s.watch(controlDB)
	s.stores.control = controlstore.New(controlDB)
	queueDB, err := queuestore.Open(ctx, queuestore.Config{Path: filepath.Join(dir, "queue.db"), DSN: dsn, Log: s.log})
	if err != nil {
		return err
	}
	s.watch(queueDB)
	s.stores.queue = queuestore.New(queueDB, blobs)
	if s.stores.mail, err = mailstore.Open(ctx, mailstore.Config{Dir: dir, DSN: dsn, Log: s.log}, blobs); err != nil {
		return err
	}
	for _, db := range s.stores.mail.Databases() {
		s.watch(db)
	}
	s.openTraces(ctx)
	return nil
}

// openTraces opens the traces' database. Mail does not depend on it: when it cannot be opened, none are kept.
func (s *Server) openTraces(ctx context.Context) {
	if s.cfg.Trace.Keep < 0 {
		return
	}
	db, err := tracestore.Open(ctx, tracestore.Config{Path: filepath.Join(s.cfg.DataDir, "trace.db"), DSN: s.cfg.Store.DSN, Log: s.log})
	if err != nil {
		s.log.ErrorContext(ctx, "no traces are kept", "error", err)
		return
	}
	s.atEnd(func(ctx context.Context) {
		if err := db.Close(); err != nil {
			s.log.ErrorContext(ctx, "database not closed well", "error", err)
		}
	})
	s.stores.trace = tracestore.New(db)
}

// watch ends the program when a database can no longer promise durability (docs/durability.md), and closes it at
// the end.
func (s *Server) watch(db *sqldb.DB) {
	ended := make(chan struct{})
	s.serving.Go(func() {
		select {
		case <-db.Failed():
			s.fail(db.Cause())
		case <-ended:
		}
	})
	s.atEnd(func(context.Context) {
		close(ended)
		if err := db.Close(); err != nil {
			s.log.Error("database not closed well", "error", err)
		}
	})
}

// view is the directory as routing wants it.
type view struct {
	directory func() *directory.Snapshot
	self      routing.Self
	hops      routing.Hops
	facts     routing.Facts
	returns   routing.Returns
}

// View is the state of this moment. On an only node the directory is always confirmed.
func (v *view) View() routing.View {
	return routing.View{Directory: v.directory(), Self: v.self, Now: time.Now(), Hops: v.hops, Facts: v.facts, Returns: v.returns}
}

// self knows which addresses are this installation.
type self struct {
	addresses []netip.Addr // configured, and of listeners that name one
	listeners []netip.AddrPort
	every     bool // some listener takes mail on every address of the machine
	machine   []netip.Addr
}

// Answers implements deliver.Self.
func (s *self) Answers(a netip.Addr) bool {
	a = a.Unmap()
	return slices.Contains(s.addresses, a) || s.every && slices.Contains(s.machine, a)
}

// Listens implements deliver.Self.
func (s *self) Listens(ap netip.AddrPort) bool {
	return slices.ContainsFunc(s.listeners, func(l netip.AddrPort) bool {
		return l.Port() == ap.Port() && (l.Addr() == ap.Addr().Unmap() || l.Addr().IsUnspecified() && slices.Contains(s.machine, ap.Addr().Unmap()))
	})
}

// agents gives each transport its agent.
func agents(smtp *deliver.Service, local *deliver.Local) map[mail.Transport]queue.Agent {
	return map[mail.Transport]queue.Agent{
		mail.TransportLocal: local, mail.TransportRemote: smtp, mail.TransportRelay: smtp, mail.TransportLMTP: smtp,
	}
}

// askable shows the agent's hosts as verify wants them.
type askable struct{ agent *deliver.Service }

// Hosts implements verify.Hosts.
func (a askable) Hosts(ctx context.Context, lane mail.Lane) ([]verify.Host, error) {
	list, err := a.agent.Hosts(ctx, lane)
	hosts := make([]verify.Host, len(list))
	for i := range list {
		hosts[i] = askableHost{list[i]}
	}
	return hosts, err
}

// askableHost is one of them.
type askableHost struct{ deliver.Host }

// Open implements verify.Host.
func (h askableHost) Open(ctx context.Context) (verify.Session, error) {
	s, err := h.Host.Open(ctx)
	if err != nil {
		return nil, err
	}
	return s, nil
}

// queueing shows the queue as receive wants it.
type queueing struct{ *queue.Service }

// Accept implements receive.Queue.
func (q queueing) Accept(ctx context.Context, scope account.Scope, st mail.Stored) error {
	return full(q.Service.Accept(ctx, scope, st), queue.ErrFull)
}

// full adds receive's word for want of room to an error that says so in another's.
func full(err, theirs error) error {
	if errors.Is(err, theirs) {
		return fmt.Errorf("%w: %w", receive.ErrFull, err)
	}
	return err
}

// judging shows the judge as receive wants it.
type judging struct{ *judge.Service }

// Begin implements receive.Judge.
func (j judging) Begin(a policy.Arrival) receive.Judgement { return j.Service.Begin(a) }

// blobs lets receive write into the blob folder.
type blobs struct{ folder *sqldb.Blobs }

// Create implements receive.Blobs.
func (b blobs) Create() (receive.Blob, error) {
	blob, err := b.folder.Create()
	if err != nil {
		return nil, full(err, sqldb.ErrFull)
	}
	return &incoming{Blob: blob, folder: b.folder}, nil
}

// incoming is a content on its way into the blob folder.
type incoming struct {
	*sqldb.Blob
	folder *sqldb.Blobs
	done   bool
}

// Write implements receive.Blob.
func (b *incoming) Write(p []byte) (int, error) {
	n, err := b.Blob.Write(p)
	if err != nil {
		err = full(err, sqldb.ErrFull)
	}
	return n, err
}

// Commit implements receive.Blob.
func (b *incoming) Commit(size int64, hash uint64) (string, func() (io.ReadCloser, error), error) {
	b.done = true
	if err := b.Blob.Commit(); err != nil {
		return "", nil, full(err, sqldb.ErrFull)
	}
	name := b.Name()
	return name, func() (io.ReadCloser, error) { return b.folder.Open(name, size, hash) }, nil
}

// Abort implements receive.Blob. What cannot be removed now is swept later.
func (b *incoming) Abort() {
	if b.done {
		_ = b.folder.Remove(b.Name())
		return
	}
	_ = b.Discard()
}

// uploads lets clients put contents into the blob folder.
type uploads struct{ folder *sqldb.Blobs }

// Create implements mailstore.Blobs.
func (u uploads) Create() (boxes.Blob, error) {
	blob, err := u.folder.Create()
	if err != nil {
		return nil, noRoom(err)
	}
	return &upload{incoming{Blob: blob, folder: u.folder}}, nil
}

// upload is a client's content on its way into the blob folder.
type upload struct{ incoming }

// Write implements mailstore.Blob.
func (u *upload) Write(p []byte) (int, error) {
	n, err := u.Blob.Write(p)
	return n, noRoom(err)
}

// Commit implements mailstore.Blob.
func (u *upload) Commit(int64, uint64) (string, error) {
	u.done = true
	return u.Name(), noRoom(u.Blob.Commit())
}

// noRoom adds core/mailbox's word for want of room to an error that says so in the store's.
func noRoom(err error) error {
	if errors.Is(err, sqldb.ErrFull) {
		return fmt.Errorf("%w: %w", mailbox.ErrFull, err)
	}
	return err
}

// findings lets the agent record what is wrong with a domain.
type findings struct{ store *controlstore.Store }

// Find implements deliver.Findings.
func (f findings) Find(ctx context.Context, found finding.Finding, gone bool) error {
	return f.store.Find(ctx, account.System(), found, gone)
}

// disk tells the free space of the data folder, to the queue and to whoever watches.
type disk struct {
	folder string
	gauge  prometheus.Gauge
}

// Free implements queue.Disk.
func (d disk) Free() (uint64, error) {
	free, err := sqldb.Free(d.folder)
	if err == nil {
		d.gauge.Set(float64(free))
	}
	return free, err
}

// tokens lets access look up API tokens.
func tokens(store *controlstore.Store) access.TokensFunc {
	return func(ctx context.Context, hash []byte) (access.Token, error) {
		t, err := store.Token(ctx, account.System(), hash)
		if errors.Is(err, control.ErrNotFound) {
			return access.Token{}, access.ErrUnknown
		}
		return access.Token{Name: t.Name, Account: t.Account, Hash: t.Hash}, err
	}
}

// The installation's secrets, by the names of their settings.
const (
	settingLoginSecret  = "login_secret"  // shapes what is said of users who do not exist
	settingProofSecret  = "proof_secret"  // by which the texts of proofs of ownership are made (docs/ownership.md)
	settingTraceSecret  = "trace_secret"  // by which mail is known that comes back (docs/routing.md, Loops)
	settingCookieSecret = "cookie_secret" // of DNS server cookies (RFC 9018)
)

// secret gives a secret of the installation, made when it is first asked for.
func (s *Server) secret(ctx context.Context, setting string) (string, error) {
	secret, err := s.stores.control.Setting(ctx, account.System(), setting)
	if err == nil && secret == "" { // another node may make it at the same time
		secret, err = s.stores.control.FirstSetting(ctx, account.System(), setting, rand.Text())
	}
	if err != nil {
		return "", fmt.Errorf("%s: %w", setting, err)
	}
	return secret, nil
}

// logins checks mailbox users' passwords, on the submission listeners and on those of IMAP.
func (s *Server) logins(ctx context.Context, v *view) (logins, error) {
	secret, err := s.secret(ctx, settingLoginSecret)
	if err != nil {
		return logins{}, err
	}
	return logins{access.NewLogins(access.LoginConfig{Secret: []byte(secret)}, passwords{s.box}.lookUp(s.stores.control), v, s.log)}, nil
}

// logins shows access's exchanges as receive wants them.
type logins struct{ *access.Logins }

// Begin implements receive.Logins.
func (l logins) Begin(ctx context.Context, client netip.Addr, mechanism string) (receive.Exchange, bool) {
	return l.Logins.Begin(ctx, client, mechanism)
}

// tries tells whether somebody takes connections at an address.
func (s *Server) tries(ctx context.Context, address string) error {
	conn, err := s.opts.Dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return err
	}
	return conn.Close()
}
