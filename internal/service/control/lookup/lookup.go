// Package lookup tells what DNS says of any domain, as nslookup's "set type=mx" would and more: who was asked, the
// exchangers and their addresses, the name servers and what each of them says, and whether DNS is right.
//
// # Failure
//
// A server that does not answer is a part of the answer. Only what makes no sense as it was asked is refused, and who
// asks too much.
package lookup

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"postroad/internal/core/delegation"
	"postroad/internal/core/facts"
	"postroad/internal/core/finding"
	"postroad/internal/proto/dns"
	"postroad/internal/proto/idna"
	"postroad/internal/service/control/rights"
	"postroad/internal/service/control/words"
)

const (
	lookTime   = 25 * time.Second
	maxHosts   = 20 // exchangers whose addresses are asked for
	hostsAtOne = 5
)

// Found is everything that was learned about a name.
type Found struct {
	Name          string              `json:"name"`
	Type          string              `json:"type"`
	Server        AskedServer         `json:"server" doc:"Who was asked"`
	Status        string              `json:"status" doc:"found, no data, no such domain or temporary failure"`
	Code          string              `json:"code" doc:"Response code, as NOERROR; empty when nobody answered"`
	Authoritative bool                `json:"authoritative" doc:"The server asked answers for the zone itself"`
	Detail        string              `json:"detail" doc:"What was asked and heard"`
	TTL           int64               `json:"ttl" doc:"How long the answer may be kept, in seconds"`
	Security      string              `json:"security" doc:"secure, insecure, bogus, or unknown when no resolver on this machine validates"`
	Aliases       []string            `json:"aliases,omitempty" doc:"The name is an alias; where it leads"`
	NullMX        bool                `json:"null_mx,omitempty" doc:"The domain says that it takes no mail (RFC 7505)"`
	Exchangers    []LookedUpExchanger `json:"exchangers" nullable:"false" doc:"For MX: best first"`
	Records       []string            `json:"records" nullable:"false" doc:"The records' data as in a zone file"`
	Zone          string              `json:"zone" doc:"The zone in which the name lies"`
	NameServers   []LookedUpServer    `json:"name_servers" nullable:"false" doc:"Those of the zone, each with its own answer"`
	Differences   []LookUpDifference  `json:"differences" nullable:"false" doc:"Where the answers differ from one another"`
	Verdict       *DNSVerdict         `json:"verdict,omitempty" doc:"For MX: whether DNS is right"`
	Commands      OwnCommands         `json:"commands" doc:"The same question from a machine of one's own"`
}

// AskedServer is who was asked.
type AskedServer struct {
	Name    string `json:"name" doc:"As it was named, or its address"`
	Address string `json:"address" doc:"address:port"`
}

// LookedUpExchanger is one MX record with the addresses of its host.
type LookedUpExchanger struct {
	Preference uint16       `json:"preference" doc:"0 to 65535; lower is better"`
	Host       string       `json:"host"`
	TTL        int64        `json:"ttl"`
	Label      string       `json:"label" doc:"primary for the best ones, else backup"`
	Addresses  []string     `json:"addresses" nullable:"false"`
	Status     string       `json:"status" doc:"Of the look-up of its addresses"`
	Fault      finding.Name `json:"fault,omitempty" doc:"What is wrong with the name"`
	Ours       bool         `json:"ours" doc:"It is this installation"`
}

// LookedUpServer is one name server of the zone with its own answer.
type LookedUpServer struct {
	Name          string   `json:"name"`
	Address       string   `json:"address" doc:"address:port asked; empty when none is known"`
	Code          string   `json:"code" doc:"Its response code; empty when it did not answer"`
	Authoritative bool     `json:"authoritative"`
	Serial        uint32   `json:"serial,omitempty" doc:"Of its SOA record"`
	Records       []string `json:"records" nullable:"false" doc:"What it says"`
	Milliseconds  int64    `json:"milliseconds" doc:"How long it took to answer"`
	Detail        string   `json:"detail"`
}

// LookUpDifference is a point in which answers differ.
type LookUpDifference struct {
	Finding  finding.Name `json:"finding,omitempty" doc:"The diagnosis by name; absent when nothing is wrong"`
	Sentence string       `json:"sentence"`
	Evidence string       `json:"evidence"`
}

// OwnCommands are what people can type on a machine of their own, line by line.
type OwnCommands struct {
	Windows []string `json:"windows" nullable:"false" doc:"In nslookup's own dialogue"`
	Unix    []string `json:"unix" nullable:"false" doc:"With dig"`
}

// Question is what is asked.
type Question struct {
	Name string // as people write it
	At   string // a server's name or address; empty: the configured resolvers
	Type string // a record type; empty: MX
}

// Home is what is known of a name that is a domain of this installation, and in the caller's scope.
type Home struct {
	Here  bool
	Local bool     // its mail is delivered here, straight from its exchangers
	Hosts []string // the names that its exchangers have here; none: not known
	Ours  func(netip.Addr) bool
}

// Access looks names up for those who may.
type Access struct {
	Resolver Resolver // nil: nobody can be asked
	limits   limits
}

// Look answers a question. home tells what is known of a domain here.
func (l *Access) Look(ctx context.Context, actor rights.Actor, q Question, home func(name string) Home) (Found, error) {
	name, kind, err := l.read(q)
	if err != nil {
		return Found{}, err
	}
	if l.Resolver == nil {
		return Found{}, words.Invalid("Nobody can be asked here.", "")
	}
	release, err := l.limits.enter(actor, time.Now())
	if err != nil {
		return Found{}, err
	}
	defer release()
	ctx, cancel := context.WithTimeout(ctx, lookTime)
	defer cancel()
	server, err := l.server(ctx, actor, q.At)
	if err != nil {
		return Found{}, err
	}
	var asked facts.Answer
	if server.Address == "" {
		asked = l.Resolver.Recursive(ctx, name, kind)
		server = AskedServer{Name: hostOf(asked.Address), Address: asked.Address}
	} else {
		asked = l.Resolver.At(ctx, server.Address, name, kind)
	}
	out := Found{
		Name: name, Type: kind.String(), Server: server, Status: asked.Status.String(), Code: asked.Code, Authoritative: asked.Authoritative,
		Detail: asked.Detail, TTL: seconds(asked.TTL), Aliases: asked.Aliases, Records: asked.Lines(),
		Exchangers: []LookedUpExchanger{}, NameServers: []LookedUpServer{}, Differences: []LookUpDifference{}, Commands: commands(name, kind, q.At, server),
	}
	security, _ := l.Resolver.Security(ctx, name, kind)
	out.Security = security.String()
	h := home(name)
	if kind == dns.TypeMX {
		l.exchangers(ctx, &out, &asked, h)
	}
	l.nameServers(ctx, &out, &asked, name, kind, q.At == "")
	if kind == dns.TypeMX {
		out.Verdict = l.judge(&out, &asked, h)
	}
	return out, nil
}

// read understands the question.
func (l *Access) read(q Question) (string, dns.Type, error) {
	name, err := idna.ToASCIIService(strings.TrimSuffix(strings.TrimSpace(q.Name), "."))
	if err != nil {
		return "", 0, words.Invalid(words.Quote(q.Name)+" is no name that can be looked up.", "letters, digits and hyphens in parts joined by dots, as in example.org")
	}
	kind, err := dns.ParseType(cmp.Or(q.Type, "MX"))
	if err != nil || kind.Meta() {
		return "", 0, words.Invalid("The type is "+words.Quote(q.Type)+".", "MX, A, AAAA, NS, SOA, TXT, CNAME, SRV, CAA, TLSA, DS or another type of record")
	}
	return name, kind, nil
}

// server finds the server of the caller's choice; none for an empty choice. Nobody but the operator has an address
// asked that is not on the public Internet, or another port.
func (l *Access) server(ctx context.Context, actor rights.Actor, at string) (AskedServer, error) {
	if at == "" {
		return AskedServer{}, nil
	}
	if a, err := netip.ParseAddrPort(at); err == nil {
		if !actor.Operator && fmt.Sprint(a.Port()) != l.Resolver.Port() {
			return AskedServer{}, words.Denied("Only the operator may choose a port.")
		}
		return l.allowed(actor, at, a.Addr(), fmt.Sprint(a.Port()))
	}
	if a, err := netip.ParseAddr(at); err == nil {
		return l.allowed(actor, at, a, l.Resolver.Port())
	}
	host, err := idna.ToASCII(strings.TrimSuffix(at, "."))
	if err != nil {
		return AskedServer{}, words.Invalid("The server "+words.Quote(at)+" is neither a name nor an address.", "write it as ns1.example.org or 192.0.2.53")
	}
	for _, kind := range []dns.Type{dns.TypeA, dns.TypeAAAA} {
		answer := l.Resolver.Recursive(ctx, host, kind)
		for _, a := range answer.Addrs() {
			return l.allowed(actor, host, a, l.Resolver.Port())
		}
	}
	return AskedServer{}, words.Invalid("The server "+words.Quote(at)+" has no address.", "name another one, or its address")
}

// Choose is server for whoever asks one itself: it gives address:port.
func (l *Access) Choose(ctx context.Context, actor rights.Actor, at string) (string, error) {
	server, err := l.server(ctx, actor, at)
	return server.Address, err
}

func (l *Access) allowed(actor rights.Actor, name string, a netip.Addr, port string) (AskedServer, error) {
	if why := l.Resolver.Barred(a); why != "" && !actor.Operator {
		return AskedServer{}, words.Denied("The server " + words.Quote(name) + " is not asked: " + a.String() + " is " + why + ".")
	}
	return AskedServer{Name: name, Address: net.JoinHostPort(a.Unmap().WithZone("").String(), port)}, nil
}

// exchangers adds the exchangers of an answer with their addresses.
func (l *Access) exchangers(ctx context.Context, out *Found, asked *facts.Answer, h Home) {
	ttls := map[string]int64{}
	for _, r := range asked.Records {
		if len(r.Data) > 2 {
			if host, ok := facts.Host(r.Data[2:]); ok {
				ttls[host] = int64(r.TTL)
			}
		}
	}
	list := asked.MX()
	out.NullMX = len(list) == 1 && list[0].Host == "" && list[0].Preference == 0
	if out.NullMX {
		return
	}
	for _, mx := range list {
		e := LookedUpExchanger{Preference: mx.Preference, Host: mx.Host, TTL: ttls[mx.Host], Label: "backup", Addresses: []string{}}
		if mx.Preference == list[0].Preference {
			e.Label = "primary"
		}
		out.Exchangers = append(out.Exchangers, e)
	}
	few(min(len(out.Exchangers), maxHosts), func(i int) { l.addresses(ctx, &out.Exchangers[i], h) })
}

// addresses looks up the host of an exchanger, and tells what is wrong with it.
func (l *Access) addresses(ctx context.Context, e *LookedUpExchanger, h Home) {
	if _, err := netip.ParseAddr(e.Host); err == nil || e.Host == "" {
		e.Fault, e.Status = finding.MXTargetIsIP, facts.NXDomain.String()
		return
	}
	four, six := l.Resolver.Recursive(ctx, e.Host, dns.TypeA), l.Resolver.Recursive(ctx, e.Host, dns.TypeAAAA)
	addrs := slices.Concat(four.Addrs(), six.Addrs())
	for _, a := range addrs {
		e.Addresses = append(e.Addresses, a.String())
		e.Ours = e.Ours || h.Ours != nil && h.Ours(a)
	}
	switch {
	case len(addrs) > 0:
		e.Status = facts.Found.String()
	case four.Status == facts.Temporary || six.Status == facts.Temporary:
		e.Status = facts.Temporary.String()
	case four.Status == facts.NXDomain:
		e.Status, e.Fault = facts.NXDomain.String(), finding.MXTargetNXDomain
	default:
		e.Status, e.Fault = facts.NoData.String(), finding.MXTargetNoAddress
	}
	if len(four.Aliases)+len(six.Aliases) > 0 {
		e.Fault = finding.MXTargetCNAME
	}
}

// nameServers adds the name servers of the zone, each with what it says itself, and where they differ from one another
// and, when it is the public view that was asked for, from that.
func (l *Access) nameServers(ctx context.Context, out *Found, asked *facts.Answer, name string, kind dns.Type, public bool) {
	d := l.Resolver.Delegation(ctx, name)
	out.Zone = d.Zone
	if d.Zone == "" || len(d.Servers) == 0 {
		l.fromResolver(ctx, out, name)
		return
	}
	seen := delegation.Seen{Delegation: d}
	var answers []facts.Answer
	few(3, func(i int) {
		switch i {
		case 0:
			answers = l.Resolver.Everywhere(ctx, d.Servers, name, kind)
		case 1:
			seen.NS = l.Resolver.Everywhere(ctx, d.Servers, d.Zone, dns.TypeNS)
		case 2:
			seen.SOA = l.Resolver.Everywhere(ctx, d.Servers, d.Zone, dns.TypeSOA)
		}
	})
	serials := map[string]uint32{}
	for i := range seen.SOA {
		if n, ok := seen.SOA[i].Serial(); ok {
			serials[seen.SOA[i].Address] = n
		}
	}
	for i := range answers {
		a := &answers[i]
		out.NameServers = append(out.NameServers, LookedUpServer{
			Name: a.Server, Address: a.Address, Code: a.Code, Authoritative: a.Authoritative, Serial: serials[a.Address],
			Records: a.Lines(), Milliseconds: a.Took.Milliseconds(), Detail: a.Detail,
		})
	}
	for _, f := range seen.Faults() {
		out.Differences = append(out.Differences, LookUpDifference{f.Name, f.Name.Sentence(), f.Evidence})
	}
	compare(out, asked, answers, public)
}

// compare tells where the answers to the question itself differ.
func compare(out *Found, asked *facts.Answer, answers []facts.Answer, public bool) {
	sets := map[string][]string{}
	for i := range answers {
		if a := &answers[i]; a.Grants() || a.Denies() {
			set := said(a)
			if !slices.Contains(sets[set], a.Server) {
				sets[set] = append(sets[set], a.Server)
			}
		}
	}
	var parts []string
	for set, servers := range sets {
		parts = append(parts, strings.Join(servers, ", ")+": "+set)
	}
	slices.Sort(parts)
	if len(sets) > 1 {
		inconsistent := func(d LookUpDifference) bool { return d.Finding == finding.NSInconsistent }
		evidence := strings.Join(parts, "; ")
		if i := slices.IndexFunc(out.Differences, inconsistent); i >= 0 {
			out.Differences[i].Evidence += "; " + evidence
		} else {
			out.Differences = append(out.Differences, LookUpDifference{finding.NSInconsistent, finding.NSInconsistent.Sentence(), evidence})
		}
	}
	if asked.Status == facts.Temporary || len(sets) == 0 {
		return
	}
	if _, same := sets[said(asked)]; same {
		return
	}
	who, hint := "The server asked", "It is not one of the zone's name servers, or remembers an older answer."
	if public {
		who = "The public view"
		hint = fmt.Sprintf("Resolvers remember the old answer for %d s more at most.", out.TTL)
	}
	out.Differences = append(out.Differences, LookUpDifference{
		Sentence: who + " is not what the zone's own name servers say. " + hint,
		Evidence: out.Server.Address + ": " + said(asked) + "; " + strings.Join(parts, "; "),
	})
}

// said is an answer as one text, equal for equal answers.
func said(a *facts.Answer) string {
	if a.Status != facts.Found {
		return a.Status.String()
	}
	return strings.Join(a.Lines(), ", ")
}

// fromResolver takes the name servers that a resolver names when the way from the root cannot be followed.
func (l *Access) fromResolver(ctx context.Context, out *Found, name string) {
	for zone := name; zone != ""; _, zone, _ = strings.Cut(zone, ".") {
		ns := l.Resolver.Recursive(ctx, zone, dns.TypeNS)
		if ns.Status == facts.Temporary {
			return
		}
		if ns.Status != facts.Found || len(ns.Aliases) > 0 {
			continue
		}
		out.Zone = zone
		for _, host := range ns.Hosts() {
			server := LookedUpServer{Name: host, Records: []string{}, Detail: "named by " + ns.Address + "; not asked itself, since the way from the root could not be followed"}
			for _, kind := range []dns.Type{dns.TypeA, dns.TypeAAAA} {
				answer := l.Resolver.Recursive(ctx, host, kind)
				for _, a := range answer.Addrs() {
					server.Address = cmp.Or(server.Address, net.JoinHostPort(a.String(), l.Resolver.Port()))
				}
			}
			out.NameServers = append(out.NameServers, server)
		}
		return
	}
}

// commands gives the same question in the words of nslookup and dig.
func commands(name string, kind dns.Type, at string, server AskedServer) OwnCommands {
	word := strings.ToLower(kind.String())
	c := OwnCommands{Windows: []string{"nslookup"}, Unix: []string{"dig " + name + " " + kind.String()}}
	if at != "" {
		host := hostOf(server.Address)
		c.Windows = append(c.Windows, "server "+host)
		c.Unix = []string{"dig @" + host + " " + name + " " + kind.String() + " +norecurse"}
	}
	c.Windows = append(c.Windows, "set type="+word, name+".", "exit")
	return c
}

func hostOf(address string) string {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return address
	}
	return host
}

func seconds(d time.Duration) int64 { return int64(d / time.Second) }

// few runs f for 0 to n-1, a few at a time, and waits.
func few(n int, f func(i int)) {
	var running sync.WaitGroup
	places := make(chan struct{}, hostsAtOne)
	for i := range n {
		places <- struct{}{}
		running.Go(func() {
			defer func() { <-places }()
			f(i)
		})
	}
	running.Wait()
}
