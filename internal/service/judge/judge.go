// Package judge finds out who sent what strangers bring, and asks core/policy what becomes of it: SPF while the message
// still comes, keys of DKIM and policies of DMARC at the same time as soon as its header is there (RFC 7208, RFC 6376,
// RFC 9989). What is remembered of DNS is not asked for, and nothing runs beside a message that needs no more.
//
// # Failure
//
// Nothing fails: what DNS does not say in time is temperror, and the domains' own settings say what becomes of that. Nobody
// waits longer than Config.Budget after the message's end. When very many messages are judged at once, or with a panic,
// nothing is known of a message, which is temperror too, or it is taken without a word.
//
// # Limits
//
// Of one message 8 signatures and 10 author domains are looked at, and at most 3 places where trusted servers had it from.
package judge

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"

	"postroad/internal/core/directory"
	"postroad/internal/core/mail"
	"postroad/internal/core/policy"
	"postroad/internal/obs"
	"postroad/internal/proto/dkim"
	"postroad/internal/proto/dmarc"
	"postroad/internal/proto/idna"
	"postroad/internal/proto/message"
	"postroad/internal/proto/spf"
)

// Limits of one message.
const (
	maxAuthors = 10 // domains in From
	maxPlaces  = 3  // places where trusted servers had it from
	maxNames   = 10 // names of a client
)

// Config says how messages are judged. The zero value works.
type Config struct {
	Hostname string        // our name in results, and for the macro r of SPF
	Budget   time.Duration // how long DNS is waited for after a message's end, and in each step before; 0: 10 s
	AtOnce   int           // messages that are looked up at once; 0: 1,000
	Findings Findings      // is told of forwarders that may deserve trust; nil: nobody is
	Patterns Patterns      // knows when; nil: never
	// Known is what is remembered of foreign DNS: it answers at once, and Temporary where somebody had to be asked. What it
	// knows is not looked up beside the message; nil: everything is.
	Known Resolver
}

// Service judges messages. Its methods may be called at once.
type Service struct {
	cfg      Config
	resolver Resolver
	dir      Directory
	places   chan struct{}
	records  dkim.Records
	m        *obs.Metrics
	log      *slog.Logger
}

// New makes a judge.
func New(cfg Config, resolver Resolver, dir Directory, metrics *obs.Metrics, log *slog.Logger) *Service {
	if cfg.Budget <= 0 {
		cfg.Budget = 10 * time.Second
	}
	if cfg.AtOnce <= 0 {
		cfg.AtOnce = 1000
	}
	if metrics == nil {
		metrics = obs.NewMetrics()
	}
	return &Service{cfg: cfg, resolver: resolver, dir: dir, places: make(chan struct{}, cfg.AtOnce), m: metrics, log: log}
}

// Judgement is the judging of one message, by one goroutine.
type Judgement struct {
	service *Service
	arrival policy.Arrival
	live    context.Context    // of what was begun; nil while there is nothing
	cancel  context.CancelFunc // ends it
	direct  spf.Outcome        // SPF of the client itself, once it is found
	pending chan spf.Outcome   // gives it; nil where it is found, or was put off until somebody wants it
	found   bool
	header  []byte
	signed  *dkim.Signatures
	body    *dkim.Body
	unasked bool // no recipient's domain wants anything checked
	keys    keyring
	authors []author
	problem string // why there is no author
	begun   sync.WaitGroup
}

// author is what is being found out about one author domain.
type author struct {
	domain string
	found  dmarc.Discovery
}

// keyring has what DNS said of keys.
type keyring struct {
	mu    sync.Mutex
	known []keyAnswer // at most dkim.MaxSignatures
}

type keyAnswer struct {
	name  string
	texts []string
	err   error
}

func (k *keyring) put(a keyAnswer) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.known = append(k.known, a)
}

// get gives what DNS said of a key; false where nobody could ask for it.
func (k *keyring) get(name string) (a keyAnswer, ok bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, a := range k.known {
		if a.name == name {
			return a, true
		}
	}
	return keyAnswer{}, false
}

// Begin begins to find out about a message, with the first recipient that was taken. End must be called.
func (s *Service) Begin(a policy.Arrival) *Judgement {
	a.Client = a.Client.Unmap()
	j := &Judgement{service: s, arrival: a}
	if d := s.domain(a.Recipient); d != nil && d.Judging.Mode == directory.JudgeOff {
		return j
	}
	if j.found = s.known(func(dns policy.DNS) { j.direct = s.spf(context.Background(), dns, a.Client, a.Helo, a.Sender) }); j.found {
		return j
	}
	done := make(chan spf.Outcome, 1)
	j.pending = done
	s.spawn(j, func(ctx context.Context) { done <- s.spf(ctx, s.resolver, a.Client, a.Helo, a.Sender) }, func() { done <- busy(a) })
	return j
}

// busy is what is known of a sender when nobody could look.
func busy(a policy.Arrival) spf.Outcome {
	return spf.Outcome{Result: spf.TempError, Domain: a.Sender[strings.LastIndexByte(a.Sender, '@')+1:], Problem: "there was no time to look"}
}

// spawn runs a part of a judgement beside it, when there is a place; otherwise is called when there is none in time, or
// after a panic.
func (s *Service) spawn(j *Judgement, f func(ctx context.Context), otherwise func()) {
	ctx, cancel := context.WithTimeout(j.living(), s.cfg.Budget)
	j.begun.Go(func() {
		defer cancel()
		defer func() {
			if p := recover(); p != nil {
				s.log.Error("judging panicked", "client", j.arrival.Client.String(), "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
				otherwise()
			}
		}()
		select {
		case s.places <- struct{}{}:
		case <-ctx.Done():
			otherwise()
			return
		}
		defer func() { <-s.places }()
		f(ctx)
	})
}

// living is the context of what is begun for a message; it ends with it.
func (j *Judgement) living() context.Context {
	if j.live == nil {
		j.live, j.cancel = context.WithCancel(context.Background())
	}
	return j.live
}

// spf asks about one client.
func (s *Service) spf(ctx context.Context, dns policy.DNS, client netip.Addr, helo, sender string) spf.Outcome {
	return spf.Check(ctx, policy.SPF(dns), spf.Query{Addr: client, Helo: helo, Sender: sender, Receiver: s.cfg.Hostname, At: time.Now()})
}

// domain is the domain of a recipient, nil when it is none of ours.
func (s *Service) domain(address string) *directory.Domain {
	d, ok := s.dir.View().Directory.Domain(address[strings.LastIndexByte(address, '@')+1:])
	if !ok {
		return nil
	}
	return d
}

// Header takes the header as it came, the empty line after it left out. What is looked up for it begins, where any of the
// rows, which are all that the message is for, wants it. The octets are kept until End and must not change.
func (j *Judgement) Header(header []byte, rows []mail.Recipient) {
	s := j.service
	j.header = header
	if j.unasked = !s.wanted(rows); j.unasked {
		return
	}
	j.signed = dkim.Read(header)
	j.signed.Records = &s.records
	j.body = dkim.NewBody(j.signed.Canonicalizations()...)
	var domains []string
	domains, j.problem = authorsOf(header)
	for _, name := range j.signed.KeyNames() {
		a := keyAnswer{name: name}
		if s.known(func(dns policy.DNS) { a.texts, a.err = policy.Key(context.Background(), dns, name) }) {
			j.keys.put(a)
			continue
		}
		s.spawn(j, func(ctx context.Context) {
			texts, err := policy.Key(ctx, s.resolver, name)
			j.keys.put(keyAnswer{name, texts, err})
		}, func() {})
	}
	j.authors = make([]author, len(domains))
	for i, domain := range domains {
		a := &j.authors[i]
		a.domain = domain
		if s.known(func(dns policy.DNS) { a.found = dmarc.Discover(context.Background(), policy.DMARC(dns), domain) }) {
			continue
		}
		a.found = dmarc.Discovery{Domain: domain, Err: dkim.ErrTemporary}
		s.spawn(j, func(ctx context.Context) { a.found = dmarc.Discover(ctx, policy.DMARC(s.resolver), domain) }, func() {})
	}
}

// Write takes the next octets of the body.
func (j *Judgement) Write(p []byte) (int, error) {
	if j.body == nil {
		return len(p), nil
	}
	return j.body.Write(p)
}

// authorsOf gives the domains of a header's authors as A-labels, each once, or says why they cannot be told.
func authorsOf(header []byte) (domains []string, problem string) {
	var from []string
	for _, body := range message.Values(header, "From") {
		list, _, ok := message.FromAddresses([]byte("From: " + body + "\r\n"))
		switch {
		case ok || !strings.Contains(body, "@"):
		case len(list) == 0:
			return nil, "From has no address that can be read"
		case strings.Contains(body, "=?"):
			return nil, "From can be read in more than one way"
		default: // as readers see it who are less strict
			list = append(list, message.DomainsIn(body)...)
		}
		from = append(from, list...)
	}
	for _, address := range from {
		domain, err := idna.ToASCIIService(strings.TrimSuffix(address[strings.LastIndexByte(address, '@')+1:], "."))
		if err != nil {
			return nil, "an address in From has no domain that could be asked: " + shortened(address)
		}
		if !slices.Contains(domains, domain) {
			domains = append(domains, domain)
		}
	}
	if len(domains) > maxAuthors {
		return nil, "From names " + fmt.Sprint(len(domains)) + " domains, more than are asked"
	}
	return domains, ""
}

// shortened is a stranger's text as it may stand in a sentence.
func shortened(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, s)
	return s[:min(len(s), 80)]
}

// Judge decides for each row, after the last octet of the body.
func (j *Judgement) Judge(rows []mail.Recipient) (rulings []policy.Ruling) {
	s := j.service
	defer func() {
		if p := recover(); p != nil {
			s.log.Error("judging panicked", "client", j.arrival.Client.String(), "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
			rulings = make([]policy.Ruling, len(rows))
			for i := range rulings {
				rulings[i].Verdict = policy.Verdict{Action: policy.Accept, Reasons: []string{"It could not be judged."}}
			}
		}
	}()
	begun := time.Now()
	b := &bench{j: j, settled: map[string]*policy.Ruling{}}
	defer b.rise()
	if j.live != nil {
		b.context() // what was begun has no more time than what is asked for from now on
	}
	rulings = make([]policy.Ruling, len(rows))
	for i := range rows {
		rulings[i] = b.rule(&rows[i])
	}
	for i := range rulings {
		s.m.JudgeActions.WithLabelValues(string(rulings[i].Action)).Inc()
	}
	if b.looked {
		s.m.JudgeSeconds.Observe(time.Since(begun).Seconds())
		b.count()
	}
	return rulings
}

// End forgets the message and waits for what was begun, which ends at once.
func (j *Judgement) End() {
	if j.cancel != nil {
		j.cancel()
	}
	j.begun.Wait()
}

// bench is where one message is judged for all its recipients.
type bench struct {
	j       *Judgement
	ctx     context.Context // of what is asked for; nil while nothing is
	close   func()          // ends it
	names   *naming         // of the client, once somebody wanted them
	looked  bool
	dkim    []dkim.Result
	direct  *policy.Evidence
	places  []*policy.Evidence        // where trusted servers had it from
	settled map[string]*policy.Ruling // by domain
}

// context is that of everything that has to be asked for now; what was begun earlier ends with it.
func (b *bench) context() context.Context {
	if b.ctx == nil {
		ctx, cancel := context.WithTimeout(b.j.living(), b.j.service.cfg.Budget)
		stop := context.AfterFunc(ctx, b.j.cancel)
		b.ctx, b.close = ctx, func() { stop(); cancel() }
	}
	return b.ctx
}

// rise ends what the bench has asked for.
func (b *bench) rise() {
	if b.close != nil {
		b.close()
	}
}

// clientNames are the names of the client.
func (b *bench) clientNames() naming {
	if b.names == nil {
		b.names = &naming{}
		s, client := b.j.service, b.j.arrival.Client
		if !s.known(func(dns policy.DNS) { *b.names = named(context.Background(), dns, client) }) {
			*b.names = named(b.context(), s.resolver, client)
		}
	}
	return *b.names
}

// owner is the domain that judges for a recipient. A routing address belongs to the domain of its mailbox; what is taken for
// a domain that has left is only noted, since its new home judges it.
func (s *Service) owner(row *mail.Recipient) *directory.Domain {
	if d := s.domain(row.Original); d != nil {
		return d
	}
	if d := s.domain(row.Destination); d != nil {
		return d
	}
	return &directory.Domain{Judging: directory.Judging{Mode: directory.JudgeNote}}
}

// wanted reports whether any recipient's domain wants anything checked.
func (s *Service) wanted(rows []mail.Recipient) bool {
	for i := range rows {
		if s.owner(&rows[i]).Judging.Mode != directory.JudgeOff {
			return true
		}
	}
	return false
}

// rule decides for one recipient. What nobody wanted checked when the message began is not checked.
func (b *bench) rule(row *mail.Recipient) policy.Ruling {
	s := b.j.service
	d := s.owner(row)
	if known, ok := b.settled[d.Name]; ok {
		return *known
	}
	r := policy.Ruling{Verdict: policy.Verdict{Action: policy.Accept}}
	if b.j.unasked || d.Judging.Mode == directory.JudgeOff {
		r.Verdict = policy.Judge(nil, directory.Judging{Mode: directory.JudgeOff}, policy.Trust{})
	} else {
		e, trust := b.evidence(d)
		r.Verdict = policy.Judge(e, d.Judging, trust)
		r.Field = policy.Results(s.cfg.Hostname, e, d.Judging, trust, &r.Verdict)
		r.Checks = policy.Checks(e, trust)
		if trust.Relation == policy.Stranger && d.Name != "" {
			b.suggest(d, &r.Verdict)
		}
	}
	b.settled[d.Name] = &r
	return r
}

// evidence is what was found out, as a domain sees the client.
func (b *bench) evidence(d *directory.Domain) (*policy.Evidence, policy.Trust) {
	j := b.j
	trust := relation(d, j.arrival.Client, b.clientNames)
	if trust.Relation != policy.Stranger {
		h, problem := hop(j.header, d)
		if problem == "" {
			if e := b.place(h); e != nil {
				trust.Known = true
				return e, trust
			}
			problem = "it came by too many ways"
		}
		trust.Problem = problem
	}
	if b.direct == nil {
		b.direct = b.gather(j.arrival.Client, j.arrival.Helo, j.arrival.Sender, b.wait())
	}
	return b.direct, trust
}

// wait waits for SPF of the client itself, or asks now where that was put off. It is called during Judge.
func (b *bench) wait() spf.Outcome {
	j := b.j
	switch {
	case j.found:
	case j.pending != nil:
		j.direct = <-j.pending
	default:
		j.direct = b.spf(j.arrival.Client, j.arrival.Helo, j.arrival.Sender)
	}
	j.found = true
	return j.direct
}

// spf finds out about one client, by what is known where that is enough.
func (b *bench) spf(client netip.Addr, helo, sender string) (out spf.Outcome) {
	s := b.j.service
	if !s.known(func(dns policy.DNS) { out = s.spf(context.Background(), dns, client, helo, sender) }) {
		out = s.spf(b.context(), s.resolver, client, helo, sender)
	}
	return out
}

// place gives the evidence of where a trusted server had the message from; nil when there are too many of them.
func (b *bench) place(h message.Hop) *policy.Evidence {
	for _, e := range b.places {
		if e.Client == h.Addr && e.Helo == h.Helo {
			return e
		}
	}
	if len(b.places) == maxPlaces {
		return nil
	}
	sender := original(b.j.arrival.Sender)
	e := b.gather(h.Addr, h.Helo, sender, b.spf(h.Addr, h.Helo, sender))
	b.places = append(b.places, e)
	return e
}

// gather completes the evidence: DKIM is the same wherever the message came from, DMARC follows from both.
func (b *bench) gather(client netip.Addr, helo, sender string, found spf.Outcome) *policy.Evidence {
	j := b.j
	if !b.looked {
		b.looked = true
		if j.signed != nil {
			j.begun.Wait() // it ends with the bench's context at the latest
			b.dkim = j.signed.Verify(context.Background(), j.body, b.lookup, time.Now())
		}
	}
	e := &policy.Evidence{Client: client, Helo: helo, Sender: sender, SPF: found, DKIM: b.dkim, AuthorProblem: j.problem}
	var ids []dmarc.Identifier
	// SPF of the HELO name stands for nobody's address (RFC 9989 §4.4.2), but for the null reverse-path it is all there is.
	if found.Domain != "" {
		ids = append(ids, dmarc.Identifier{Method: dmarc.SPF, Domain: found.Domain, Pass: found.Result == spf.Pass, Temporary: found.Result == spf.TempError})
	}
	for _, r := range b.dkim {
		if r.Domain != "" {
			ids = append(ids, dmarc.Identifier{Method: dmarc.DKIM, Domain: r.Domain, Pass: r.Word == dkim.Pass, Temporary: r.Word == dkim.TempError})
		}
	}
	for i := range j.authors {
		e.Authors = append(e.Authors, b.evaluate(j.authors[i].found, ids))
	}
	return e
}

// evaluate holds what was authenticated against the policy of an author domain.
func (b *bench) evaluate(d dmarc.Discovery, ids []dmarc.Identifier) (out dmarc.Outcome) {
	s := b.j.service
	if !s.known(func(dns policy.DNS) { out = dmarc.Evaluate(context.Background(), policy.DMARC(dns), d, ids) }) {
		out = dmarc.Evaluate(b.context(), policy.DMARC(s.resolver), d, ids)
	}
	return out
}

// lookup gives a key that was asked for.
func (b *bench) lookup(_ context.Context, name string) ([]string, error) {
	if a, ok := b.j.keys.get(name); ok {
		return a.texts, a.err
	}
	return policy.Key(b.context(), b.j.service.resolver, name)
}

// count counts results.
func (b *bench) count() {
	m := b.j.service.m.JudgeResults
	for _, e := range append(b.places, b.direct) {
		if e == nil {
			continue
		}
		m.WithLabelValues("spf", string(e.SPF.Result)).Inc()
		for i := range e.Authors {
			m.WithLabelValues("dmarc", string(e.Authors[i].Result)).Inc()
		}
	}
	for i := range b.dkim {
		m.WithLabelValues("dkim", string(b.dkim[i].Word)).Inc()
	}
}
