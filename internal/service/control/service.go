package control

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"postroad/internal/core/account"
	"postroad/internal/core/clientsetup"
	"postroad/internal/core/directory"
	"postroad/internal/core/routing"
	"postroad/internal/core/zone"
	"postroad/internal/obs"
	"postroad/internal/service/control/accounts"
	"postroad/internal/service/control/boxes"
	"postroad/internal/service/control/certificates"
	"postroad/internal/service/control/clients"
	"postroad/internal/service/control/delegations"
	"postroad/internal/service/control/dkim"
	"postroad/internal/service/control/domains"
	"postroad/internal/service/control/exchangers"
	"postroad/internal/service/control/identities"
	"postroad/internal/service/control/inspect"
	"postroad/internal/service/control/lookup"
	"postroad/internal/service/control/mailboxes"
	"postroad/internal/service/control/mailqueue"
	"postroad/internal/service/control/ownership"
	"postroad/internal/service/control/primaries"
	"postroad/internal/service/control/publishing"
	"postroad/internal/service/control/reading"
	"postroad/internal/service/control/recipients"
	"postroad/internal/service/control/rerouting"
	"postroad/internal/service/control/rights"
	"postroad/internal/service/control/sendings"
	"postroad/internal/service/control/settings"
	"postroad/internal/service/control/signing"
	"postroad/internal/service/control/traces"
	"postroad/internal/service/control/transfers"
	"postroad/internal/service/control/ways"
	"postroad/internal/service/control/zones"
)

// Options are what the service is made of. Store and Verifier are required; without Boxes, Queue or Resolver what
// needs them is refused.
type Options struct {
	Store    Store
	Names    Names  // nil: no DNS is served here
	Signer   Signer // nil: no zone is signed here
	Parents  Parents
	Box      transfers.Box     // seals the secrets of TSIG keys; nil: none are kept
	Exchange transfers.Service // follows what is planned of transfers; nil: nobody does
	Boxes    Boxes
	Queue    Queue
	Traces   Traces // nil: none are kept
	Resolver Resolver
	DNS      DNS // asks any server; nil: no name is looked up, no proof of ownership is checked
	// ProofSecret makes the texts of proofs: whoever knows it can show the ownership of what others published. It stays the
	// same as long as the installation lives.
	ProofSecret string
	Hops        routing.Hops     // what next hops offer, for explanations; nil: nothing is known
	Fetcher     Fetcher          // of lists from other installations; nil: none is fetched
	Facts       inspect.Facts    // what is known of other servers, for explanations; nil: nothing is
	Forwards    Forwards         // knows how forwarded mail fares; nil: nobody does
	Returns     routing.Returns  // finds senders of forwarded mail, for explanations; nil: none is rewritten
	Judge       inspect.Judge    // tells how strangers' mail would be judged; nil: nobody does
	Dial        inspect.Dial     // tries whether another server answers, for proposals; nil: nobody does
	Sending     sendings.Counter // of what our own users send; nil: nothing is counted
	// Verifier makes what is stored of a password: its SCRAM verifier (RFC 5802 §3), sealed. It is slow on purpose and
	// called from several goroutines at a time. Its error is shown to whoever gave the password.
	Verifier func(password string) (string, error)
	// Hostname and RoutingDomain are the installation's own names: nobody but the operator adds them as domains.
	Hostname      string
	RoutingDomain string
	// Clients is where users' mail programs connect; the zero value: nowhere.
	Clients clientsetup.Service
	// Support is where people ask: an address of mail, or a URL with {domain} and {text} in it; empty: nowhere.
	Support string
	// Writer writes into zones that others answer for, of the kinds in Providers; Seal keeps their secrets. nil: none is written.
	Writer    publishing.Writer
	Seal      publishing.Seal
	Providers []string
	// Keyring is told which domains' keys have changed by which mail is signed; nil: nobody is. Hold is how long mail is kept
	// in the queue.
	Keyring Keyring
	Hold    time.Duration
	// Post sends letters; nil: none are sent.
	Post Poster
	// Probes is what messages are sent by that try forwards at primaries.
	Probes ProbeOptions
	// Certificates says whether certificates are fetched, and what names need for it.
	Certificates CertificateOptions
	// Answers reports whether mail for an address comes back to us; nil: for Addresses alone it does.
	Answers func(netip.Addr) bool
	// Addresses are what counts as ours; Listeners are the SMTP listeners. A next hop there would be a loop.
	Addresses []netip.Addr
	Listeners []netip.AddrPort
	// Machine reports whether this machine has an address, from which mail may leave then; nil: it has none.
	Machine func(netip.Addr) bool
	// DeliverPort is the port of exchangers found by MX records; 0 means 25.
	DeliverPort uint16
	// TrustedNetworks are those of the configuration: a client in them is explained as trusted.
	TrustedNetworks []netip.Prefix
	Metrics         *obs.Metrics
	Log             *slog.Logger
}

// world is the view of a directory.
func (o *Options) world(snap *directory.Snapshot) routing.View {
	v := routing.View{
		Directory: snap, Now: now(), Hops: o.Hops, Returns: o.Returns,
		Self: routing.Self{Hostname: o.Hostname, RoutingDomain: o.RoutingDomain, Answers: o.Answers},
	}
	if o.Facts != nil {
		v.Facts = o.Facts
	}
	return v
}

// Service plans and applies changes and holds the directory by which the program decides.
type Service struct {
	o            Options
	explainer    inspect.Explainer
	queue        mailqueue.Access
	traces       traces.Access
	machine      func(netip.Addr) bool
	ours         settings.Installation
	reading      reading.Access
	lookup       lookup.Access
	ownership    ownership.Access
	delegated    *delegations.Access
	recipients   recipients.Access
	exchangers   exchangers.Access
	clients      clients.Access
	publishing   publishing.Access
	dkim         dkim.Access
	identities   identities.Access
	primaries    primaries.Access
	mailboxes    mailboxes.Access
	domains      domains.Access
	ways         ways.Access
	mu           sync.Mutex           // held while a change is applied
	turn         sync.Mutex           // held by a change that is planned anew
	behind       *state               // the configuration that the name server still goes by, where that is another; guarded by mu
	unsealed     []directory.Outbound // whose passwords an earlier program has left open; guarded by mu
	current      atomic.Pointer[state]
	hosted       zones.Access
	signing      signing.Access
	zones        zones.Answers // the name server, in step with the configuration
	rerouting    rerouting.Keeper
	accounts     accounts.Access
	boxes        boxes.Keeper // the mailbox store, in step with the configuration
	certificates certificates.Access
}

// state is one consistent view of the configuration.
type state = rights.State

// New makes a service with an empty directory; Start fills it.
func New(o Options) *Service {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Metrics == nil {
		o.Metrics = obs.NewMetrics()
	}
	if o.Answers == nil {
		o.Answers = func(a netip.Addr) bool { return slices.Contains(o.Addresses, a.Unmap()) }
	}
	if o.DeliverPort == 0 {
		o.DeliverPort = settings.HopPort
	}
	s := &Service{
		o: o,
		explainer: inspect.Explainer{
			Resolver: o.Resolver, World: o.world, Facts: o.Facts, Judge: o.Judge, Dial: o.Dial, DeliverPort: o.DeliverPort, TrustedNetworks: o.TrustedNetworks,
		},
		queue: mailqueue.Access{Queue: o.Queue}, traces: traces.Access{Traces: o.Traces},
		hosted: zones.Access{Store: o.Store, Names: o.Names, Elsewhere: (&transfers.Access{Store: o.Store}).Written},
		zones: zones.Answers{
			Store: o.Store, Findings: o.Store, Names: o.Names, Signer: o.Signer, Log: o.Log, Ours: zones.Installation{Hostname: o.Hostname, Addresses: o.Addresses},
		},
		boxes:     boxes.Keeper{Boxes: o.Boxes, Memory: o.Store, Log: o.Log},
		rerouting: rerouting.Keeper{Queue: o.Queue, Memory: o.Store, Log: o.Log}, accounts: accounts.Access{Store: o.Store, Hostname: o.Hostname, NewID: newID},
		machine: o.Machine, ours: settings.Installation{Hostname: o.Hostname, RoutingDomain: o.RoutingDomain, Addresses: o.Addresses, Listeners: o.Listeners},
	}
	s.exchangers = exchangers.Access{
		Store: o.Store, Resolver: o.Resolver, Hostname: o.Hostname, Addresses: o.Addresses, Answers: o.Answers, Altered: s.explainer.Altered, Public: s.public, NewID: newID,
	}
	s.clients = clients.Access{Store: o.Store, Service: o.Clients}
	s.publishing = publishing.Access{Store: o.Store, Writer: o.Writer, Seal: o.Seal, Kinds: o.Providers, Sides: sides, Back: zones.Back, Proof: s.proofRecord}
	s.dkim = dkim.Access{Store: o.Store, Zones: o.Store, Hold: o.Hold}
	if o.Seal != nil {
		s.dkim.Seal = o.Seal
	}
	s.publishing.Keys = s.dkim.Wanted
	s.identities.Keys, s.identities.Addresses, s.identities.Hostname, s.identities.NewID, s.identities.Posts = o.Store, o.Addresses, o.Hostname, newID, o.Post != nil
	s.primaries = primaries.Access{
		Options: o.Probes, Store: o.Store, Findings: o.Store, Queue: o.Queue, Hostname: o.Hostname, RoutingDomain: o.RoutingDomain, View: o.world, Elsewhere: s.elsewhere,
		Metrics: o.Metrics, Log: o.Log,
	}
	s.certificates = certificates.Access{Store: o.Store, Installation: o.Certificates}
	s.recipients = recipients.Access{Store: o.Store, Fetcher: o.Fetcher}
	s.signing = signing.Access{Zones: o.Store, Keys: o.Store, Findings: o.Store, Parents: o.Parents}
	s.ownership = ownership.Access{Secret: []byte(o.ProofSecret), Hostname: o.Hostname, Store: o.Store}
	s.delegated = &delegations.Access{Store: o.Store, Hostname: o.Hostname}
	if o.DNS != nil {
		s.lookup.Resolver, s.ownership.Resolver, s.delegated.Resolver, s.dkim.Resolver = o.DNS, o.DNS, o.DNS, o.DNS
		s.identities.Resolver = o.DNS
	}
	if s.reading.RoutingDomain = o.RoutingDomain; o.Boxes != nil {
		s.reading.Store = o.Boxes
	}
	s.ways = ways.Access{Ours: &s.ours, Explainer: &s.explainer, Resolver: o.Resolver, Answers: o.Answers}
	s.mailboxes = mailboxes.Access{Reading: &s.reading, Ways: &s.ways, NewID: newID}
	s.domains = domains.Access{
		Store: o.Store, Ours: &s.ours, Explainer: &s.explainer, Exchangers: &s.exchangers, Clients: s.clients.Follow, Ownership: &s.ownership, Delegated: s.delegated, Hosted: &s.hosted,
		Zones: &s.zones, Keys: o.Store, Signs: o.Signer != nil, Reading: &s.reading, Ways: &s.ways, Addresses: o.Resolver, NewID: newID, Support: o.Support, Log: o.Log,
		Hosting: func(ctx context.Context, old, d *directory.Domain) error { return s.Transfers().Hosting(ctx, old, d) },
	}
	s.current.Store(&state{Directory: directory.NewSnapshot(0, nil, nil, nil, nil), Accounts: map[account.ID]account.Account{}})
	return s
}

// Start reads the configuration and mends what a crash left between configuration, mailboxes and queued mail. Call it
// once, before anything else.
func (s *Service) Start(ctx context.Context) error {
	if err := s.begin(ctx); err != nil {
		return err
	}
	return s.rerouting.Finish(ctx, s.Directory())
}

// begin is Start without the mail. Where another node of the installation starts at the same time, the slower one goes by what
// that one has made.
func (s *Service) begin(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for try := 1; ; try++ {
		err := s.found(ctx)
		if err == nil || !errors.Is(err, ErrVersion) && !errors.Is(err, ErrExists) || try == tries {
			return err
		}
	}
}

func (s *Service) found(ctx context.Context) error {
	if err := s.reload(ctx); err != nil {
		return err
	}
	if err := s.founding(ctx); err != nil {
		return err
	}
	if err := s.foundSets(ctx); err != nil {
		return err
	}
	if err := s.sealOutbounds(ctx); err != nil {
		return err
	}
	if err := s.boxes.Mend(ctx, s.Directory()); err != nil {
		return err
	}
	return s.answer(ctx)
}

// answer has the name server answer for all zones that are stored, and makes those that an earlier program has left out.
func (s *Service) answer(ctx context.Context) error {
	missing, err := s.zones.All(ctx, s.current.Load())
	if err != nil || len(missing) == 0 {
		return err
	}
	if _, err := s.o.Store.Update(ctx, account.System(), s.Version(), Tx{PutZones: missing}); err != nil {
		return fmt.Errorf("make zones of hosted domains: %w", err)
	}
	var names []string
	for i := range missing {
		names = append(names, missing[i].Domain)
	}
	if err := s.reload(ctx); err != nil {
		return err
	}
	return s.zones.Again(ctx, s.current.Load(), names)
}

// afresh takes up what the store says, after a transaction of which it is not known whether it took place; moved: somebody
// else has changed anything.
func (s *Service) afresh(ctx context.Context, plan *Plan, tx Tx, moved bool) error {
	before := s.current.Load()
	if err := s.reload(ctx); err != nil {
		return err
	}
	if moved || s.Version() > plan.Version+1 {
		return s.follow(ctx, before)
	}
	names := slices.Clone(plan.Delta.RemoveDomains)
	for i := range plan.Delta.PutDomains {
		names = append(names, plan.Delta.PutDomains[i].Name)
	}
	for i := range tx.PutZones {
		names = append(names, tx.PutZones[i].Domain)
	}
	return s.zones.Again(ctx, s.current.Load(), names)
}

// founding makes the operator's account at the first start.
func (s *Service) founding(ctx context.Context) error {
	st := s.current.Load()
	if _, there := st.Accounts[account.Operator]; there {
		return nil
	}
	tx := Tx{PutAccounts: []account.Account{{ID: account.Operator, Name: string(account.Operator)}}}
	if _, err := s.o.Store.Update(ctx, account.System(), st.Directory.Version(), tx); err != nil && !errors.Is(err, ErrVersion) && !errors.Is(err, ErrExists) {
		return fmt.Errorf("make the operator's account: %w", err)
	}
	return s.reload(ctx)
}

func (s *Service) reload(ctx context.Context) error {
	all, err := s.o.Store.Load(ctx, account.System())
	if err != nil {
		return fmt.Errorf("read the configuration: %w", err)
	}
	s.unsealed = slices.DeleteFunc(slices.Clone(all.Outbounds), func(o directory.Outbound) bool { return o.Password == "" })
	next := &state{
		Directory: directory.NewSnapshot(all.Version, all.Domains, all.Mailboxes, all.Rules, s.opened(all.Outbounds)),
		Accounts:  make(map[account.ID]account.Account, len(all.Accounts)),
		Sets:      zone.Sets{}.With(all.Sets, all.Servers),
	}
	if len(all.Identities) > 0 {
		next.Directory = next.Directory.WithIdentities(all.Identities, nil)
	}
	if len(all.Senders) > 0 {
		next.Directory = next.Directory.WithSenders(all.Senders)
	}
	if len(all.Departed) > 0 {
		next.Directory = next.Directory.With(directory.Delta{Version: all.Version, PutDeparted: all.Departed})
	}
	for _, a := range all.Accounts {
		next.Accounts[a.ID] = a
	}
	s.swap(next)
	return nil
}

func (s *Service) swap(next *state) {
	s.current.Store(next)
	s.o.Metrics.ControlVersion.Set(float64(next.Directory.Version()))
}

// Directory is the snapshot of this moment; what is decided by it is decided by one state.
func (s *Service) Directory() *directory.Snapshot { return s.current.Load().Directory }

// Version is the version of the configuration that decisions are made by.
func (s *Service) Version() int64 { return s.Directory().Version() }

func now() time.Time { return time.Now().UTC() }

// newID is 130 random bits in 26 characters.
func newID() string { return strings.ToLower(rand.Text()) }
