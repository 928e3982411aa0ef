package resolver

import (
	"context"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/miekg/dns"
	"golang.org/x/sync/singleflight"

	"postroad/internal/core/facts"
	"postroad/internal/proto/idna"
)

// Service answers look-ups, from its cache or from the servers. It has no goroutine of its own: what runs
// belongs to a look-up and ends with it, at the latest after Config.Total. All methods may be called at once.
type Service struct {
	timeout time.Duration
	total   time.Duration
	dialer  Dialer
	servers *servers
	roots   []string
	port    string
	allow   []netip.Prefix
	tops    tops
	trusted trusted
	cache   *cache
	flights singleflight.Group
	log     *slog.Logger
	counts  counts
}

type counts struct {
	hits, misses, questions, tcp, timeouts, failures, ignored atomic.Uint64
}

// Stats counts what happened since the start.
type Stats struct {
	// Hits and Misses are look-ups answered from the cache and not.
	Hits, Misses uint64
	// Questions sent to servers, by UDP and TCP, repetitions included; TCP those of them that had to go by TCP.
	Questions, TCP uint64
	// Timeouts are questions that no answer came to, Failures all that led to nothing, timeouts included.
	Timeouts, Failures uint64
	// Ignored are datagrams that answered no question of ours: late or forged ones.
	Ignored uint64
	// Entries in the cache now, and how many Evicted for want of room.
	Entries int
	Evicted uint64
}

// Option changes a Service while it is made.
type Option func(*Service)

// WithDialer makes the service open its connections by d in place of a net.Dialer.
func WithDialer(d Dialer) Option { return func(s *Service) { s.dialer = d } }

// withResolvConf reads another file than /etc/resolv.conf.
func withResolvConf(path string) Option { return func(s *Service) { s.servers.path = path } }

// withCacheSize bounds the cache otherwise.
func withCacheSize(entries, octets int) Option {
	return func(s *Service) { s.cache = newCache(entries, octets) }
}

// New makes a resolver. Entries of cfg.Servers that Validate refuses answer nothing.
func New(cfg Config, log *slog.Logger, options ...Option) *Service {
	s := &Service{
		timeout: cfg.Timeout,
		total:   cfg.Total,
		dialer:  &net.Dialer{},
		servers: newServers(cfg.Servers, resolvConf, log),
		roots:   rootServers(cfg.Roots),
		port:    dnsPort,
		allow:   unmapped(cfg.Allow),
		cache:   newCache(cacheEntries, cacheOctets),
		log:     log,
	}
	if cfg.Port != 0 {
		s.port = strconv.Itoa(int(cfg.Port))
	}
	if s.timeout <= 0 {
		s.timeout = defaultTimeout
	}
	if s.total <= 0 {
		s.total = defaultTotal
	}
	for _, option := range options {
		option(s)
	}
	return s
}

// MX looks up the exchangers of a name, an A-label. A context that ends first makes the answer Temporary.
func (s *Service) MX(ctx context.Context, name string) facts.MXAnswer {
	name = plainName(name)
	return mxAnswer(name, s.lookUp(ctx, name, dns.TypeMX))
}

func mxAnswer(name string, r result) facts.MXAnswer {
	return facts.MXAnswer{Name: name, Status: r.status, Records: slices.Clone(r.mx), Null: r.null, Origin: r.origin}
}

// TXT looks up the texts of a name, an A-label. A context that ends first makes the answer Temporary.
func (s *Service) TXT(ctx context.Context, name string) facts.TXTAnswer {
	name = plainName(name)
	return txtAnswer(name, s.lookUp(ctx, name, dns.TypeTXT))
}

func txtAnswer(name string, r result) facts.TXTAnswer {
	return facts.TXTAnswer{Name: name, Status: r.status, Records: slices.Clone(r.txt), Origin: r.origin}
}

// Addrs looks up the IPv6 and IPv4 addresses of a host at the same time. An address in the place of the name is
// its own answer; localhost is the loopback addresses without a question (RFC 6761 §6.3). No address is left
// out, whatever it belongs to: who dials has to judge it.
func (s *Service) Addrs(ctx context.Context, host string) facts.AddrAnswer {
	if literal, err := netip.ParseAddr(host); err == nil {
		return facts.AddrAnswer{
			Name: host, Status: facts.Found, Addrs: []netip.Addr{literal},
			Origin: facts.Origin{Source: "literal", At: time.Now(), TTL: positiveMax, Detail: "an address, not a name"},
		}
	}
	name := plainName(host)
	six := make(chan result, 1)
	go func() { six <- s.lookUp(ctx, name, dns.TypeAAAA) }()
	four := s.lookUp(ctx, name, dns.TypeA)
	return joinFamilies(name, <-six, four)
}

// Family looks up the addresses of a host in one family: IPv6 when six is true, else IPv4. Names that nobody can have
// are not there.
func (s *Service) Family(ctx context.Context, host string, six bool) facts.AddrAnswer {
	name := plainName(host)
	return familyAnswer(name, s.lookUp(ctx, name, addressType(six)))
}

func addressType(six bool) uint16 {
	if six {
		return dns.TypeAAAA
	}
	return dns.TypeA
}

func familyAnswer(name string, r result) facts.AddrAnswer {
	return facts.AddrAnswer{Name: name, Status: r.status, Addrs: slices.Clone(r.addrs), Alias: r.aliases > 0, Origin: r.origin}
}

// Names looks up the names that an address leads to.
func (s *Service) Names(ctx context.Context, addr netip.Addr) facts.NamesAnswer {
	name, ok := reverseName(addr)
	if !ok {
		return noReverse(addr)
	}
	return namesAnswer(addr, s.lookUp(ctx, name, dns.TypePTR))
}

// reverseName is where the names of an address stand.
func reverseName(addr netip.Addr) (string, bool) {
	name, err := dns.ReverseAddr(addr.Unmap().WithZone("").String())
	return plainName(name), err == nil
}

func noReverse(addr netip.Addr) facts.NamesAnswer {
	origin := facts.Origin{Source: "local", At: time.Now(), Detail: "not asked for: no address"}
	return facts.NamesAnswer{Addr: addr, Status: facts.NXDomain, Origin: origin}
}

func namesAnswer(addr netip.Addr, r result) facts.NamesAnswer {
	return facts.NamesAnswer{Addr: addr, Status: r.status, Hosts: slices.Clone(r.hosts), Origin: r.origin}
}

// joinFamilies makes one answer of the look-ups of both families.
func joinFamilies(name string, six, four result) facts.AddrAnswer {
	answer := facts.AddrAnswer{
		Name:   name,
		Addrs:  slices.Concat(six.addrs, four.addrs),
		Alias:  six.aliases > 0 || four.aliases > 0,
		Origin: six.origin,
	}
	failed := six.status == facts.Temporary || four.status == facts.Temporary
	switch {
	case len(answer.Addrs) > 0:
		answer.Status, answer.Partial = facts.Found, failed
	case failed:
		answer.Status = facts.Temporary
	case six.status == facts.NXDomain && four.status == facts.NXDomain:
		answer.Status = facts.NXDomain
	default:
		answer.Status = facts.NoData
	}
	if four.origin.At.Before(answer.At) {
		answer.At = four.origin.At
	}
	expires := six.origin.Expires()
	if other := four.origin.Expires(); other.Before(expires) {
		expires = other
	}
	answer.TTL = expires.Sub(answer.At)
	if four.origin.Source != "cache" {
		answer.Source = four.origin.Source // "cache" only when both come from there
	}
	answer.Detail = six.origin.Detail + "; " + four.origin.Detail
	return answer
}

// Flush forgets what is known of a name, and of the hosts that its MX records name, so that the next look-up
// asks again. Answers to questions under way are still given, but not kept.
func (s *Service) Flush(name string) {
	for _, q := range s.cache.flush(plainName(name), []uint16{dns.TypeMX, dns.TypeA, dns.TypeAAAA, dns.TypeTXT}) {
		s.flights.Forget(q.String())
	}
}

// Stats gives the counters.
func (s *Service) Stats() Stats {
	entries, evicted := s.cache.size()
	c := &s.counts
	return Stats{
		Hits: c.hits.Load(), Misses: c.misses.Load(), Questions: c.questions.Load(), TCP: c.tcp.Load(),
		Timeouts: c.timeouts.Load(), Failures: c.failures.Load(), Ignored: c.ignored.Load(),
		Entries: entries, Evicted: evicted,
	}
}

// lookUp answers one question from the cache, or together with all others who ask it now.
func (s *Service) lookUp(ctx context.Context, name string, kind uint16) result {
	q := question{name, kind}
	if r, ok := unasked(q); ok {
		return r
	}
	if r, ok := s.cached(q); ok {
		s.counts.hits.Add(1)
		return r
	}
	s.counts.misses.Add(1)
	flight := s.flights.DoChan(q.String(), func() (any, error) {
		if r, ok := s.cached(q); ok {
			return r, nil // another flight has just landed
		}
		detached, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.total)
		defer cancel()
		begun := s.cache.begin()
		return s.cache.put(q, s.resolve(detached, q), begun), nil
	})
	select {
	case landed := <-flight:
		return landed.Val.(result)
	case <-ctx.Done():
		return result{
			temporary("given up"),
			facts.Origin{Source: "resolver", At: time.Now(), Detail: q.String() + ": given up: " + ctx.Err().Error()},
		}
	}
}

func (s *Service) cached(q question) (result, bool) {
	r, ok := s.cache.get(q, time.Now())
	if ok {
		r.origin.Source = "cache"
	}
	return r, ok
}

// unasked answers what no server is asked for.
func unasked(q question) (result, bool) {
	origin := facts.Origin{Source: "local", At: time.Now(), TTL: positiveMax}
	if isLocalhost(q.name) {
		out := outcome{status: facts.NoData}
		switch q.kind {
		case dns.TypeA:
			out = outcome{status: facts.Found, addrs: []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1})}}
		case dns.TypeAAAA:
			out = outcome{status: facts.Found, addrs: []netip.Addr{netip.IPv6Loopback()}}
		}
		origin.Detail = "localhost is never asked for"
		return result{out, origin}, true
	}
	fault := nameFault(q.name)
	if fault == "" {
		return result{}, false
	}
	origin.Detail = "not asked for: " + fault
	if !idna.IsASCII(q.name) {
		return result{temporary(fault), origin}, true // it may exist by its A-label
	}
	return result{outcome{status: facts.NXDomain}, origin}, true
}
