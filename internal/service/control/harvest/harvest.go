// Package harvest fetches what a domain's present name servers say of it, so that web and other services go on when its
// zone moves here: the whole zone where they give it, else what can be had by asking.
//
// # Failure
//
// Asking cannot find every name: only those are found that are asked for. That is said with what was found.
package harvest

import (
	"context"
	"errors"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"postroad/internal/core/account"
	"postroad/internal/core/directory"
	"postroad/internal/core/facts"
	"postroad/internal/core/zone"
	"postroad/internal/proto/dns"
	"postroad/internal/service/control/rights"
	"postroad/internal/service/control/words"
)

const (
	fetchTime    = 60 * time.Second
	transferTime = 20 * time.Second
	askedAtOnce  = 5
	maxTargets   = 50 // names that records lead to, asked for beside the usual ones
)

// usual are names that many zones have.
var usual = strings.Fields("www mail smtp imap pop pop3 mx mx1 mx2 webmail email autodiscover autoconfig mta-sts ftp sftp ns ns1 ns2 " +
	"cpanel webdisk cpcalendars cpcontacts whm m shop store blog api app portal vpn remote dev test staging cdn static img assets support help status git db cloud intranet")

// texts are names of TXT records that many zones have: policies for mail, and keys of usual selectors.
var texts = strings.Fields("_dmarc _mta-sts _smtp._tls default._bimi _domainkey default._domainkey mail._domainkey dkim._domainkey google._domainkey " +
	"selector1._domainkey selector2._domainkey s1._domainkey s2._domainkey k1._domainkey k2._domainkey k3._domainkey mandrill._domainkey smtp._domainkey x._domainkey zoho._domainkey " +
	"fm1._domainkey fm2._domainkey fm3._domainkey protonmail._domainkey protonmail2._domainkey protonmail3._domainkey _acme-challenge _github-challenge")

// services are names of SRV records that many zones have.
var services = strings.Fields("_autodiscover._tcp _imap._tcp _imaps._tcp _pop3._tcp _pop3s._tcp _submission._tcp _submissions._tcp _caldav._tcp _caldavs._tcp " +
	"_carddav._tcp _carddavs._tcp _sip._tcp _sip._udp _sip._tls _sips._tcp _sipfederationtls._tcp _xmpp-client._tcp _xmpp-server._tcp _ldap._tcp _matrix._tcp")

// FetchedZone is what the present name servers of a domain say, as a zone file for the zone here: its SOA and NS records are
// ours.
type FetchedZone struct {
	Domain   string `json:"domain"`
	How      string `json:"how" enum:"transfer,asked" doc:"transfer: the whole zone; asked: what was found by asking"`
	Server   string `json:"server" doc:"Who gave it"`
	Records  int    `json:"records" doc:"How many were found, SOA and NS of the zone itself left out"`
	Text     string `json:"text" doc:"The zone file"`
	Sentence string `json:"sentence" doc:"How far that can be relied upon"`
}

// Access fetches zones.
type Access struct {
	Resolver Resolver // nil: nobody can be asked
	Store    Store
	// Choose finds a server that an actor may ask, as address:port, by its name or address.
	Choose func(ctx context.Context, actor rights.Actor, at string) (string, error)
}

// Fetch asks a domain's present name servers, or one that is named, for its records.
func (a *Access) Fetch(ctx context.Context, actor rights.Actor, st *rights.State, domain, at string) (FetchedZone, error) {
	d, err := actor.Domain(st, domain)
	if err != nil {
		return FetchedZone{}, err
	}
	if d.Zone != directory.ZoneHosted {
		return FetchedZone{}, words.Invalid("The zone of "+words.Show(d.Name)+" is not hosted here.", "say postroad domain set "+d.Name+" --zone hosted first; nothing changes for the world until it is delegated")
	}
	if a.Resolver == nil {
		return FetchedZone{}, words.Invalid("Nobody can be asked here.", "")
	}
	ours, err := a.Store.Zone(ctx, account.System(), d.Name)
	if err != nil {
		return FetchedZone{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, fetchTime)
	defer cancel()
	servers, err := a.servers(ctx, actor, &ours, at)
	if err != nil {
		return FetchedZone{}, err
	}
	out := FetchedZone{Domain: d.Name}
	var found []dns.Record
	for _, server := range servers {
		try, cancel := context.WithTimeout(ctx, transferTime)
		list, err := a.Resolver.Transfer(try, server, d.Name)
		cancel()
		if err == nil && len(list) > 0 {
			found, out.How, out.Server = list, "transfer", server
			out.Sentence = "This is the whole zone as " + server + " has it."
			break
		}
	}
	if out.How == "" {
		if found, out.Server, err = a.ask(ctx, d.Name, servers); err != nil {
			return FetchedZone{}, err
		}
		out.How = "asked"
		out.Sentence = "The present name servers do not give the whole zone, so usual names were asked for. Asking cannot find every name: compare this with the zone at your present DNS host before you change the delegation."
	}
	found = slices.DeleteFunc(found, func(r dns.Record) bool {
		return r.Type.DNSSEC() || r.Type == dns.TypeSOA || r.Type == dns.TypeNS && r.Name == ours.Apex() || !dns.Below(r.Name, ours.Apex())
	})
	out.Records = len(found)
	for _, r := range ours.Records {
		if r.Name == ours.Apex() && (r.Type == dns.TypeSOA || r.Type == dns.TypeNS) {
			found = append(found, r)
		}
	}
	slices.SortFunc(found, dns.Compare)
	found = slices.CompactFunc(found, func(a, b dns.Record) bool { return dns.Compare(a, b) == 0 })
	out.Text = string(dns.WriteZone(ours.Apex(), found))
	return out, nil
}

// servers lists whom to ask, as address:port.
func (a *Access) servers(ctx context.Context, actor rights.Actor, ours *zone.Zone, at string) ([]string, error) {
	if at != "" {
		server, err := a.Choose(ctx, actor, at)
		return []string{server}, err
	}
	seen := a.Resolver.Delegation(ctx, ours.Domain)
	if seen.Status != facts.Found || !seen.Delegated() {
		return nil, words.Invalid("The present name servers of "+words.Show(ours.Domain)+" could not be found: "+seen.Detail+".", "name one with --at")
	}
	own := map[string]bool{}
	for _, r := range ours.Records {
		if host, ok := facts.Host(r.Data); ok && r.Type == dns.TypeNS && r.Name == ours.Apex() {
			own[host] = true
		}
	}
	var out []string
	for _, server := range seen.Servers {
		for _, addr := range server.Addrs {
			if !own[server.Name] {
				out = append(out, net.JoinHostPort(addr.String(), a.Resolver.Port()))
			}
		}
	}
	if len(out) == 0 {
		return nil, words.Invalid("No other name server of "+words.Show(ours.Domain)+" can be asked: the world is led to "+strings.Join(seen.NS, ", ")+".", "name one with --at")
	}
	return out, nil
}

// errSilent: none of the servers answers for the zone.
var errSilent = errors.New("no answer")

// ask asks the first server that answers for the zone for what usual zones have.
func (a *Access) ask(ctx context.Context, domain string, servers []string) ([]dns.Record, string, error) {
	h := harvester{ctx: ctx, resolver: a.Resolver, domain: domain}
	last := errSilent.Error()
	for _, server := range servers {
		soa := a.Resolver.At(ctx, server, domain, dns.TypeSOA)
		if last = soa.Detail; soa.Grants() {
			h.server = server
			break
		}
	}
	if h.server == "" {
		return nil, "", words.Invalid("None of the present name servers of "+words.Show(domain)+" answers for it: "+last+".", "name another one with --at")
	}
	h.run()
	if err := ctx.Err(); err != nil {
		return nil, "", words.Invalid("Asking the present name servers of "+words.Show(domain)+" took too long.", "try again")
	}
	return h.found, h.server, nil
}

// harvester asks one server.
type harvester struct {
	ctx      context.Context
	resolver Resolver
	server   string
	domain   string

	mu    sync.Mutex
	found []dns.Record
	wild  []dns.Record // what a name gives that nobody has named
}

type question struct {
	name  string
	kinds []dns.Type
}

var hostTypes = []dns.Type{dns.TypeA, dns.TypeAAAA, dns.TypeMX, dns.TypeTXT}

func (h *harvester) run() {
	h.all([]question{{"postroad-names-no-such-host", hostTypes}})
	h.wild, h.found = h.found, nil
	for i := range h.wild {
		h.wild[i].Name = "*." + h.domain + "."
	}
	list := []question{{"", []dns.Type{
		dns.TypeA, dns.TypeAAAA, dns.TypeMX, dns.TypeTXT, dns.TypeCAA, dns.TypeSRV, dns.TypeNAPTR, dns.TypeHTTPS, dns.TypeSVCB, dns.TypeSSHFP, dns.TypeTLSA,
	}}}
	for _, name := range usual {
		list = append(list, question{name, hostTypes})
	}
	for _, name := range texts {
		list = append(list, question{name, []dns.Type{dns.TypeTXT}})
	}
	for _, name := range services {
		list = append(list, question{name, []dns.Type{dns.TypeSRV}})
	}
	h.all(list)
	h.all(h.targets(list))
	h.found = append(h.found, h.wild...)
}

// targets are the names of the zone that what was found leads to, and that were not asked for yet.
func (h *harvester) targets(asked []question) []question {
	known := map[string]bool{}
	for _, q := range asked {
		known[q.name] = true
	}
	var out []question
	for _, r := range h.found {
		skip := 0
		switch r.Type {
		case dns.TypeMX:
			skip = 2
		case dns.TypeSRV:
			skip = 6
		case dns.TypeCNAME:
		default:
			continue
		}
		if len(r.Data) <= skip {
			continue
		}
		host, ok := facts.Host(r.Data[skip:])
		label, below := strings.CutSuffix(host, "."+h.domain)
		if !ok || !below || known[label] || len(out) >= maxTargets {
			continue
		}
		known[label] = true
		out = append(out, question{label, hostTypes})
		if r.Type == dns.TypeMX {
			out = append(out, question{"_25._tcp." + label, []dns.Type{dns.TypeTLSA}})
		}
	}
	return out
}

// all asks a few questions at a time.
func (h *harvester) all(list []question) {
	var running sync.WaitGroup
	places := make(chan struct{}, askedAtOnce)
	for _, q := range list {
		places <- struct{}{}
		running.Go(func() {
			defer func() { <-places }()
			h.one(q)
		})
	}
	running.Wait()
}

// one asks for the records of a name: its alias, or else those of the types.
func (h *harvester) one(q question) {
	name := strings.TrimPrefix(q.name+"."+h.domain, ".")
	kinds := q.kinds
	if q.name != "" {
		alias := h.resolver.At(h.ctx, h.server, name, dns.TypeCNAME)
		if alias.Code == "NXDOMAIN" || h.ctx.Err() != nil {
			return
		}
		if alias.Status == facts.Found {
			h.keep(alias.Records)
			return
		}
	}
	var list []dns.Record
	for _, kind := range kinds {
		if answer := h.resolver.At(h.ctx, h.server, name, kind); answer.Grants() && len(answer.Aliases) == 0 {
			list = append(list, answer.Records...)
		}
	}
	h.keep(list)
}

// keep notes the records of one name, unless a wildcard gives the same to any name.
func (h *harvester) keep(records []dns.Record) {
	h.mu.Lock()
	defer h.mu.Unlock()
	byWild := func(r dns.Record) bool {
		return r.Name != h.domain+"." && slices.ContainsFunc(h.wild, func(w dns.Record) bool { return w.Type == r.Type && string(w.Data) == string(r.Data) })
	}
	for _, r := range records {
		if !byWild(r) {
			h.found = append(h.found, records...)
			return
		}
	}
}
