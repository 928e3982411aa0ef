package resolver

import (
	"cmp"
	"context"
	"errors"
	"iter"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	codec "github.com/miekg/dns"

	"postroad/internal/core/facts"
	"postroad/internal/proto/dns"
)

// Limits of following a delegation: whoever writes a zone decides how many name servers it names, and must not decide
// how many questions go from here to others.
const (
	walkQuestions = 100 // for one name
	walkServers   = 6   // addresses of one zone asked for the way onward
	walkDepth     = 4   // name servers of zones whose name servers have no address yet
	walkNames     = 13  // name servers of one delegation
	walkTime      = 30 * time.Second
	topsMax       = 2000
	topsKept      = time.Hour
	rootsRest     = 15 * time.Second // when none of the root's servers could be asked
)

// Delegation follows the delegations from the root to the zone in which a name lies, asking only name servers of the
// zones on the way. What it learns of name servers' addresses comes from there too: addresses that a referral brings
// along are taken for names in the zone of who refers, all others are looked up from the root.
func (s *Service) Delegation(ctx context.Context, name string) facts.Delegation {
	ctx, cancel := context.WithTimeout(ctx, walkTime)
	defer cancel()
	name = plainName(name)
	d := facts.Delegation{Name: name, Status: facts.Temporary, Origin: facts.Origin{Source: "delegation", At: time.Now()}}
	if fault := nameFault(name); fault != "" {
		d.Detail = "not looked for: " + fault
		return d
	}
	w := &walk{s: s, hosts: map[string][]netip.Addr{}}
	w.left.Store(walkQuestions)
	at := w.follow(ctx, name, nil)
	d.Status, d.Zone, d.Parent, d.TTL, d.Detail = at.status, at.zone, at.parent, at.ttl, at.heard
	d.NS, d.Whole = at.ns, len(at.ns) <= walkNames
	if at.zone == "" {
		return d
	}
	d.Servers = w.complete(ctx, at.servers, d.Whole)
	d.Above = w.complete(ctx, at.above, true)
	if at.parent == "" {
		d.Above = s.rootNames()
	}
	if d.Status == facts.Found {
		d.DS = w.ds(ctx, at)
	}
	return d
}

// place is a zone on the way.
type place struct {
	zone    string // "" is the root
	parent  string
	ns      []string // sorted
	servers []facts.NameServer
	above   []facts.NameServer
	ttl     time.Duration

	status facts.Status // at the end of the way
	heard  string
}

// walk is what is known while one delegation is followed.
type walk struct {
	s    *Service
	left atomic.Int64

	mu    sync.Mutex
	hosts map[string][]netip.Addr // of name servers; none for those that have no address
}

// follow goes from the root, or from a top-level zone known from before, to the zone of a name. path has the name
// servers whose addresses are being looked for: one that is among them leads nowhere.
func (w *walk) follow(ctx context.Context, name string, path []string) place {
	labels := strings.Split(name, ".")
	last := func(n int) string { return strings.Join(labels[len(labels)-n:], ".") }
	at, n := place{}, 1
	if top, ok := w.s.tops.get(last(1), time.Now()); ok && len(labels) > 1 {
		at, n = top, 2
	}
	for n <= len(labels) {
		asked := last(n)
		if at.zone == "" && w.s.tops.resting(time.Now()) {
			at.status, at.heard = facts.Temporary, "NS "+asked+": none of the root's servers could be asked a moment ago"
			return at
		}
		message, answer := w.ask(ctx, at, asked, dns.TypeNS, path)
		if message == nil {
			if at.zone == "" && !errors.Is(ctx.Err(), context.Canceled) {
				w.s.tops.rest(time.Now())
			}
			at.status, at.heard = facts.Temporary, answer.Detail
			return at
		}
		if cut, ok := referral(message, at.zone, asked); ok {
			at = w.descend(message, at, cut)
			n = strings.Count(at.zone, ".") + 2
			continue
		}
		read(message, presented(asked), &answer)
		switch {
		case answer.Status == facts.Found && len(answer.Aliases) == 0 && len(answer.Hosts()) > 0:
			at = same(at, asked, answer) // both zones lie on one server
		case answer.Status == facts.NXDomain && n == len(labels):
			at.status, at.heard = facts.NXDomain, answer.Detail
			return at
		case answer.Status == facts.NXDomain:
			n = len(labels) // some say so of names that have others below them; the whole name decides
			continue
		}
		at.heard = answer.Detail
		n++
	}
	at.status = facts.Found
	return at
}

// ask puts a question to a zone's name servers until one gives an answer that leads on: for the zone, or a referral to
// one below it. There is no message when none does; the answer then tells what the last one said.
func (w *walk) ask(ctx context.Context, at place, name string, kind dns.Type, path []string) (*codec.Msg, facts.Answer) {
	last := facts.Answer{Name: name, Type: kind, Status: facts.Temporary}
	last.Detail = kind.String() + " " + name + ": no name server of " + cmp.Or(at.zone, "the root") + " has an address that may be asked"
	for server := range w.addresses(ctx, at, path) {
		if w.left.Add(-1) < 0 {
			last.Detail = kind.String() + " " + name + ": given up after 100 questions"
			return nil, last
		}
		message, answer, err := w.s.converse(ctx, server, name, kind, manner{})
		last = answer
		if ctx.Err() != nil {
			return nil, last
		}
		if err != nil || message == nil {
			continue
		}
		if message.Rcode != codec.RcodeSuccess && message.Rcode != codec.RcodeNameError {
			continue
		}
		if _, refers := referral(message, at.zone, name); message.Authoritative || refers {
			return message, answer
		}
		last.Detail += ", which does not answer for " + cmp.Or(at.zone, "the root")
	}
	return nil, last
}

// addresses goes through those of a zone's name servers: first what a referral brought along, in random order, IPv4
// first since that works everywhere; then a few of the other name servers are looked up, one after the other.
func (w *walk) addresses(ctx context.Context, at place, path []string) iter.Seq[string] {
	return func(yield func(string) bool) {
		if at.zone == "" {
			for _, address := range mixed(slices.Clone(w.s.roots)) {
				if !yield(address) {
					return
				}
			}
			return
		}
		var known []string
		var rest []facts.NameServer
		for _, server := range at.servers {
			for _, a := range server.Addrs {
				known = append(known, net.JoinHostPort(a.String(), w.s.port))
			}
			if len(server.Addrs)+len(server.Barred) == 0 && len(at.servers) <= walkNames {
				rest = append(rest, server)
			}
		}
		for _, address := range mixed(known) {
			if !yield(address) {
				return
			}
		}
		for _, i := range rand.Perm(len(rest))[:min(len(rest), askedAtOnce)] {
			for _, a := range w.host(ctx, rest[i].Name, path) {
				if w.s.Barred(a) == "" && !yield(net.JoinHostPort(a.String(), w.s.port)) {
					return
				}
			}
		}
	}
}

func mixed(list []string) []string {
	rand.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	slices.SortStableFunc(list, func(a, b string) int {
		switch {
		case four(a) == four(b):
			return 0
		case four(a):
			return -1
		}
		return 1
	})
	return list[:min(len(list), walkServers)]
}

// referral gives the zone that a message refers to: one strictly below the zone asked, at or above the name. Anything
// else, as a referral upwards, leads nowhere.
func referral(message *codec.Msg, zone, name string) (string, bool) {
	if message.Authoritative || message.Rcode != codec.RcodeSuccess || len(message.Answer) > 0 {
		return "", false
	}
	for _, rr := range message.Ns {
		ns, ok := rr.(*codec.NS)
		if !ok || ns.Hdr.Class != codec.ClassINET {
			continue
		}
		cut, ok := hostName(ns.Hdr.Name)
		if ok && cut != zone && below(cut, zone) && below(name, cut) {
			return cut, true
		}
	}
	return "", false
}

// below reports whether a name is a zone or below it; both are plain, "" is the root.
func below(name, zone string) bool {
	return zone == "" || name == zone || strings.HasSuffix(name, "."+zone)
}

// descend goes into the zone that a message refers to.
func (w *walk) descend(message *codec.Msg, from place, cut string) place {
	to := place{zone: cut, parent: from.zone, above: from.servers, ttl: positiveMax}
	to.ns = handedTo(message, cut)
	for _, rr := range message.Ns {
		if rr.Header().Rrtype == codec.TypeNS {
			to.ttl = min(to.ttl, ttlOf(rr.Header().Ttl))
		}
	}
	glue := map[string][]netip.Addr{}
	for _, rr := range message.Extra {
		host := plainName(rr.Header().Name)
		if !below(host, from.zone) {
			continue // the zone that refers has nothing to say of it
		}
		switch rr := rr.(type) {
		case *codec.A:
			if a, ok := netip.AddrFromSlice(rr.A.To4()); ok {
				glue[host] = append(glue[host], a)
			}
		case *codec.AAAA:
			if a, ok := netip.AddrFromSlice(rr.AAAA); ok {
				glue[host] = append(glue[host], a)
			}
		}
	}
	for _, host := range to.ns {
		to.servers = append(to.servers, w.server(host, glue[host]))
	}
	to.heard = "NS " + cut + ": referred by " + cmp.Or(from.zone, "the root")
	if from.zone == "" && !strings.Contains(cut, ".") {
		w.s.tops.put(to, time.Now())
	}
	return to
}

// handedTo gives the name servers to which a message hands a zone, sorted.
func handedTo(message *codec.Msg, cut string) []string {
	var out []string
	for _, rr := range message.Ns {
		if ns, ok := rr.(*codec.NS); ok && plainName(ns.Hdr.Name) == cut {
			if host, ok := hostName(ns.Ns); ok {
				out = append(out, host)
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// server sorts the addresses of a name server into those that may be asked and those that may not.
func (w *walk) server(host string, addrs []netip.Addr) facts.NameServer {
	out := facts.NameServer{Name: host}
	for _, a := range addrs {
		if why := w.s.Barred(a); why != "" {
			out.Barred = append(out.Barred, a)
			out.Problem = a.String() + " is " + why
			continue
		}
		out.Addrs = append(out.Addrs, a)
	}
	slices.SortFunc(out.Addrs, netip.Addr.Compare)
	out.Addrs = slices.Compact(out.Addrs)
	if len(out.Addrs) > 0 {
		out.Problem = ""
	}
	return out
}

// same goes into a zone that lies on the servers of the zone above it.
func same(from place, zone string, answer facts.Answer) place {
	to := place{zone: zone, parent: from.zone, ns: answer.Hosts(), above: from.servers, ttl: answer.TTLOfRecords()}
	known := map[string]facts.NameServer{}
	for _, server := range from.servers {
		known[server.Name] = server
	}
	for _, host := range to.ns {
		server, ok := known[host]
		if !ok {
			server = facts.NameServer{Name: host}
		}
		to.servers = append(to.servers, server)
	}
	return to
}

// complete looks up the addresses of the name servers that have none yet. Of a delegation to more of them than a zone
// may have, none is looked up.
func (w *walk) complete(ctx context.Context, servers []facts.NameServer, lookUp bool) []facts.NameServer {
	out := slices.Clone(servers)
	each(len(out), func(i int) {
		switch {
		case len(out[i].Addrs)+len(out[i].Barred) > 0:
		case !lookUp:
			out[i].Problem = "there are more than 13 name servers"
		default:
			out[i] = w.server(out[i].Name, w.host(ctx, out[i].Name, nil))
			if len(out[i].Addrs)+len(out[i].Barred) == 0 {
				out[i].Problem = "no address was found"
			}
		}
	})
	return out
}

// host gives the addresses of a name server, looked up from the root.
func (w *walk) host(ctx context.Context, host string, path []string) []netip.Addr {
	w.mu.Lock()
	known, ok := w.hosts[host]
	w.mu.Unlock()
	if ok {
		return known
	}
	if len(path) >= walkDepth || slices.Contains(path, host) {
		return nil
	}
	path = append(slices.Clone(path), host)
	at := w.follow(ctx, host, path)
	var out []netip.Addr
	if at.status == facts.Found && at.zone != "" {
		for _, kind := range []dns.Type{dns.TypeA, dns.TypeAAAA} {
			message, answer := w.ask(ctx, at, host, kind, path)
			if message == nil {
				continue
			}
			read(message, presented(host), &answer)
			if len(answer.Aliases) == 0 { // RFC 2181 §10.3
				out = append(out, answer.Addrs()...)
			}
		}
	}
	if len(out) > 0 || len(path) == 1 { // further down it may have failed by the path alone
		w.mu.Lock()
		defer w.mu.Unlock()
		w.hosts[host] = out
	}
	return out
}

// ds gives the DS records of a zone, which its parent has.
func (w *walk) ds(ctx context.Context, at place) []dns.Record {
	message, answer := w.ask(ctx, place{zone: at.parent, servers: at.above}, at.zone, dns.TypeDS, nil)
	if message == nil {
		return nil
	}
	read(message, presented(at.zone), &answer)
	return answer.Records
}

// rootNames are the servers of the root as name servers that can be asked.
func (s *Service) rootNames() []facts.NameServer {
	var out []facts.NameServer
	for _, address := range s.roots {
		if ap, err := netip.ParseAddrPort(address); err == nil {
			out = append(out, facts.NameServer{Name: ap.Addr().String(), Addrs: []netip.Addr{ap.Addr()}})
		}
	}
	return out
}

// tops remembers top-level zones for a while, so that not every look begins at the root.
type tops struct {
	mu    sync.Mutex
	known map[string]top
	until time.Time // the root is left alone
}

// rest has nobody ask the root for a while: without a way to it, not everything is to wait for that.
func (t *tops) rest(now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.until = now.Add(rootsRest)
}

func (t *tops) resting(now time.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return now.Before(t.until)
}

type top struct {
	place

	until time.Time
}

func (t *tops) get(zone string, now time.Time) (place, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	known, ok := t.known[zone]
	if !ok || now.After(known.until) {
		return place{}, false
	}
	return known.place, true
}

func (t *tops) put(p place, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.known == nil || len(t.known) >= topsMax {
		t.known = map[string]top{}
	}
	t.known[p.zone] = top{p, now.Add(min(p.ttl, topsKept))}
}
