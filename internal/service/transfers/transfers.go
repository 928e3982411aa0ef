package transfers

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"postroad/internal/core/account"
	"postroad/internal/core/transfer"
	"postroad/internal/core/zone"
	"postroad/internal/obs"
	"postroad/internal/proto/dns"
)

// Options are what the service is made of; all are required but Metrics and Log.
type Options struct {
	Store   Store
	Names   Names
	Domains Domains
	Box     Box
	Dialer  Dialer
	Limits  zone.Limits // of zones that are fetched
	Metrics *obs.Metrics
	Log     *slog.Logger
}

// Service moves zones. It is safe for concurrent use.
type Service struct {
	o        Options
	config   atomic.Pointer[config]
	schedule *schedule
	out      chan struct{} // places of transfers that go out
	quiet    quiet

	reloading sync.Mutex // held while the configuration is read

	mu       sync.Mutex
	served   map[string]served // zones that have their home here and are answered for, by domain
	copies   map[string]*copied
	catalogs map[string]*catalog
	told     map[string]*telling
	down     map[string]outage            // servers that do not hear NOTIFY, by address
	outOf    map[account.ID]chan struct{} // places of the transfers of one account's zones
	away     map[string]time.Time         // primaries that could not be reached, by address: until when they are not dialled
}

// served is a zone that has its home here.
type served struct {
	account account.ID
	serial  uint32
	pending bool
}

// config is what is configured, as it is asked for.
type config struct {
	keys        map[string]key // by name, absolute
	peers       map[string][]transfer.Peer
	secondaries map[string]transfer.Secondary
	catalogs    []transfer.Catalog
}

type key struct {
	account account.ID
	dns.TSIGKey
}

const (
	maxOut      = 32               // transfers that go out at a time; others wait for their turn
	maxOutOfOne = 8                // of one account's zones
	placeTime   = 20 * time.Second // how long they wait
)

// New makes the service; Start reads what is configured.
func New(o Options) *Service {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Metrics == nil {
		o.Metrics = obs.NewMetrics()
	}
	s := &Service{
		o: o, out: make(chan struct{}, maxOut), served: map[string]served{}, copies: map[string]*copied{}, catalogs: map[string]*catalog{},
		told: map[string]*telling{}, down: map[string]outage{}, away: map[string]time.Time{}, outOf: map[account.ID]chan struct{}{}, quiet: newQuiet(),
	}
	s.schedule = newSchedule(s.due)
	s.config.Store(&config{})
	return s
}

// Start reads what is configured, answers for the copies that are kept, and begins to work until ctx ends; stop waits for
// what is under way then.
func (s *Service) Start(ctx context.Context) (stop func(), err error) {
	if err := s.Reload(ctx); err != nil {
		return nil, err
	}
	s.mu.Lock()
	here := maps.Clone(s.served)
	s.mu.Unlock()
	for domain, z := range here { // what was changed and not told before the end of the last run
		if !z.pending {
			s.announce(domain, z.account)
		}
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		s.schedule.run(ctx)
	}()
	return func() { <-ended }, nil
}

// due does what the schedule says is due: a word for what, and the thing.
func (s *Service) due(ctx context.Context, t task) {
	switch t.what {
	case taskCheck:
		s.check(ctx, t.name)
	case taskTell:
		s.tell(ctx, t.name)
	case taskCatalog:
		s.renew(ctx, t.name)
	}
}

// Reload reads what is configured anew. What it is about is in force when it returns.
func (s *Service) Reload(ctx context.Context) error {
	s.reloading.Lock()
	defer s.reloading.Unlock()
	all, err := s.o.Store.Transfers(ctx, account.System())
	if err != nil {
		return err
	}
	next := &config{
		keys: make(map[string]key, len(all.Keys)), peers: map[string][]transfer.Peer{},
		secondaries: make(map[string]transfer.Secondary, len(all.Secondaries)), catalogs: all.Catalogs,
	}
	for i := range all.Keys {
		k := &all.Keys[i]
		secret, err := s.o.Box.Open(k.Sealed, transfer.SealedFor(k.Name))
		if err != nil { // whoever signs with it is refused
			s.o.Log.ErrorContext(ctx, "a key cannot be used", slog.String(obs.KeyTSIG, k.Name), slog.Any(obs.KeyError, err))
			continue
		}
		next.keys[k.Name+"."] = key{k.Account, dns.TSIGKey{Name: k.Name + ".", Algorithm: k.Algorithm, Secret: secret}}
	}
	for _, p := range all.Peers {
		next.peers[p.Zone] = append(next.peers[p.Zone], p)
	}
	for _, z := range all.Secondaries {
		next.secondaries[z.Domain] = z
	}
	s.config.Store(next)
	s.follow(next)
	return s.keepCopies(ctx, next)
}

// usable gives the key with the name that rows of the account may go by: its own, or the operator's.
func (c *config) usable(name string, owner account.ID) (key, bool) {
	k, there := c.keys[name+"."]
	return k, there && (k.account == owner || k.account == account.Operator)
}

// Published takes note that a zone that has its home here is answered for, with this content: its secondaries are told.
// It neither waits for anybody nor keeps the zone.
func (s *Service) Published(z *zone.Zone) {
	now := served{account: z.Account, serial: z.Serial, pending: z.Pending}
	s.mu.Lock()
	before, there := s.served[z.Domain]
	s.served[z.Domain] = now
	listed := !there || before.pending != now.pending || before.account != now.account
	s.mu.Unlock()
	if listed {
		s.listed()
	}
	if !z.Pending && (!there || before.serial != now.serial || before.pending) {
		s.announce(z.Domain, z.Account)
	}
}

// Withdrawn takes note that a zone is no longer answered for.
func (s *Service) Withdrawn(domain string) {
	s.mu.Lock()
	_, there := s.served[domain]
	delete(s.served, domain)
	s.mu.Unlock()
	if there {
		s.listed()
	}
}

// peers gives the rows that hold for a zone of the account: its own, and those of the catalogs that list it.
func (s *Service) peers(c *config, domain string, owner account.ID, yield func(p *transfer.Peer) bool) {
	for i := range c.peers[domain] {
		if !yield(&c.peers[domain][i]) {
			return
		}
	}
	if _, secondary := c.secondaries[domain]; secondary {
		return
	}
	for i := range c.catalogs {
		cat := &c.catalogs[i]
		if cat.Name == domain || !cat.Every && cat.Account != owner {
			continue
		}
		for j := range c.peers[cat.Name] {
			if !yield(&c.peers[cat.Name][j]) {
				return
			}
		}
	}
}

// quiet keeps strangers from filling the log: of each kind of line one in ten seconds.
type quiet struct {
	mu   *sync.Mutex
	last map[string]time.Time
	left map[string]int
}

func newQuiet() quiet {
	return quiet{&sync.Mutex{}, map[string]time.Time{}, map[string]int{}}
}

// may reports whether a line of the kind may be written now, and how many were not since the last one.
func (q *quiet) may(kind string, now time.Time) (left int, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if now.Sub(q.last[kind]) < 10*time.Second {
		q.left[kind]++
		return 0, false
	}
	left = q.left[kind]
	q.last[kind], q.left[kind] = now, 0
	return left, true
}

// content is everything of a zone that is handed out, the SOA record first.
func content(all []dns.Record, apex string) (soa dns.Record, rest []dns.Record, ok bool) {
	i := slices.IndexFunc(all, func(r dns.Record) bool { return r.Type == dns.TypeSOA && r.Name == apex })
	if i < 0 {
		return dns.Record{}, nil, false
	}
	soa = all[i]
	return soa, slices.Delete(slices.Clone(all), i, i+1), true
}
