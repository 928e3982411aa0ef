// Package judge finds out who sent what strangers bring, and asks core/policy what becomes of it: SPF while the message
// still comes, keys of DKIM and policies of DMARC at the same time as soon as its header is there (RFC 7208, RFC 6376,
// RFC 9989).
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
}

// Service judges messages. Its methods may be called at once.
type Service struct {
	cfg      Config
	resolver Resolver
	dir      Directory
	places   chan struct{}
	patterns patterns
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
	cancel  context.CancelFunc // ends what was begun
	live    context.Context
	direct  func() spf.Outcome // waits for SPF of the client itself
	header  []byte
	signed  *dkim.Signatures
	body    *dkim.Body
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
	known map[string]keyAnswer
}

type keyAnswer struct {
	texts []string
	err   error
}

// Begin begins to find out about a message, with the first recipient that was taken. End must be called.
func (s *Service) Begin(a policy.Arrival) *Judgement {
	a.Client = a.Client.Unmap()
	j := &Judgement{service: s, arrival: a}
	j.live, j.cancel = context.WithCancel(context.Background())
	if d := s.domain(a.Recipient); d != nil && d.Judging.Mode == directory.JudgeOff {
		j.direct = sync.OnceValue(func() spf.Outcome { return s.spf(j.live, a.Client, a.Helo, a.Sender) })
		return j
	}
	done := make(chan spf.Outcome, 1)
	s.spawn(j, func(ctx context.Context) { done <- s.spf(ctx, a.Client, a.Helo, a.Sender) }, func() { done <- busy(a) })
	j.direct = sync.OnceValue(func() spf.Outcome { return <-done })
	return j
}

// busy is what is known of a sender when nobody could look.
func busy(a policy.Arrival) spf.Outcome {
	return spf.Outcome{Result: spf.TempError, Domain: a.Sender[strings.LastIndexByte(a.Sender, '@')+1:], Problem: "there was no time to look"}
}

// spawn runs a part of a judgement beside it, when there is a place; otherwise is called when there is none in time, or
// after a panic.
func (s *Service) spawn(j *Judgement, f func(ctx context.Context), otherwise func()) {
	ctx, cancel := context.WithTimeout(j.live, s.cfg.Budget)
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

// spf asks about one client.
func (s *Service) spf(ctx context.Context, client netip.Addr, helo, sender string) spf.Outcome {
	return spf.Check(ctx, policy.SPF(s.resolver), spf.Query{Addr: client, Helo: helo, Sender: sender, Receiver: s.cfg.Hostname, At: time.Now()})
}

// domain is the domain of a recipient, nil when it is none of ours.
func (s *Service) domain(address string) *directory.Domain {
	d, ok := s.dir.View().Directory.Domain(address[strings.LastIndexByte(address, '@')+1:])
	if !ok {
		return nil
	}
	return d
}

// Header takes the header as it came, the empty line after it left out. What is looked up for it begins. The octets are
// kept until End and must not change.
func (j *Judgement) Header(header []byte) {
	s := j.service
	j.header = header
	j.signed = dkim.Read(header)
	j.body = dkim.NewBody(j.signed.Canonicalizations()...)
	var domains []string
	domains, j.problem = authorsOf(header)
	j.keys.known = map[string]keyAnswer{}
	for _, name := range j.signed.KeyNames() {
		s.spawn(j, func(ctx context.Context) {
			texts, err := policy.Key(ctx, s.resolver, name)
			j.keys.mu.Lock()
			j.keys.known[name] = keyAnswer{texts, err}
			j.keys.mu.Unlock()
		}, func() {})
	}
	j.authors = make([]author, len(domains))
	for i, domain := range domains {
		a := &j.authors[i]
		a.domain = domain
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
	if !message.HasField(header, "From") {
		return nil, ""
	}
	var from []string
	for _, body := range message.Values(header, "From") {
		list, _, _ := message.FromAddresses([]byte("From: " + body + "\r\n"))
		if len(list) == 0 && strings.Contains(body, "@") {
			return nil, "From has no address that can be read"
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
	ctx, cancel := context.WithTimeout(j.live, s.cfg.Budget)
	defer cancel()
	stop := context.AfterFunc(ctx, j.cancel) // what was begun ends with it
	defer stop()
	b := &bench{j: j, ctx: ctx, settled: map[string]*policy.Ruling{}}
	b.names = sync.OnceValue(func() []string { return s.confirmed(ctx, j.arrival.Client) })
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
	j.cancel()
	j.begun.Wait()
}

// bench is where one message is judged for all its recipients.
type bench struct {
	j       *Judgement
	ctx     context.Context
	names   func() []string
	looked  bool
	dkim    []dkim.Result
	direct  *policy.Evidence
	places  []*policy.Evidence        // where trusted servers had it from
	settled map[string]*policy.Ruling // by domain
}

// rule decides for one recipient. That of a routing address belongs to the domain of its mailbox; what is taken for a
// domain that has left is only noted, since its new home judges it.
func (b *bench) rule(row *mail.Recipient) policy.Ruling {
	s := b.j.service
	d := s.domain(row.Original)
	if d == nil {
		d = s.domain(row.Destination)
	}
	if d == nil {
		d = &directory.Domain{Judging: directory.Judging{Mode: directory.JudgeNote}}
	}
	if known, ok := b.settled[d.Name]; ok {
		return *known
	}
	r := policy.Ruling{Verdict: policy.Verdict{Action: policy.Accept}}
	if d.Judging.Mode == directory.JudgeOff {
		r.Verdict = policy.Judge(nil, d.Judging, policy.Trust{})
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
	trust := relation(d, j.arrival.Client, b.names)
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
		b.direct = b.gather(j.arrival.Client, j.arrival.Helo, j.arrival.Sender, j.wait())
	}
	return b.direct, trust
}

// wait waits for SPF of the client itself.
func (j *Judgement) wait() spf.Outcome { return j.direct() }

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
	e := b.gather(h.Addr, h.Helo, sender, b.j.service.spf(b.ctx, h.Addr, h.Helo, sender))
	b.places = append(b.places, e)
	return e
}

// gather completes the evidence: DKIM is the same wherever the message came from, DMARC follows from both.
func (b *bench) gather(client netip.Addr, helo, sender string, found spf.Outcome) *policy.Evidence {
	j := b.j
	if !b.looked {
		b.looked = true
		if j.signed != nil {
			j.awaitKeys(b.ctx)
			b.dkim = j.signed.Verify(b.ctx, j.body, j.lookup, time.Now())
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
		e.Authors = append(e.Authors, dmarc.Evaluate(b.ctx, policy.DMARC(j.service.resolver), j.authors[i].found, ids))
	}
	return e
}

// awaitKeys waits for what was begun with the header, at most until ctx ends, which ends it.
func (j *Judgement) awaitKeys(ctx context.Context) {
	stop := context.AfterFunc(ctx, j.cancel)
	defer stop()
	j.begun.Wait()
}

// lookup gives a key that was asked for.
func (j *Judgement) lookup(ctx context.Context, name string) ([]string, error) {
	j.keys.mu.Lock()
	a, ok := j.keys.known[name]
	j.keys.mu.Unlock()
	if !ok {
		return policy.Key(ctx, j.service.resolver, name)
	}
	return a.texts, a.err
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
