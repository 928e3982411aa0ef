// Package delegations tells whether the world is led to the zones that are hosted here: it compares what the zone above
// names with what was given to a domain, and looks at what is wrong with its name servers.
//
// # Failure
//
// What cannot be learned leaves what was found before as it is.
package delegations

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"postroad/internal/core/account"
	"postroad/internal/core/delegation"
	"postroad/internal/core/directory"
	"postroad/internal/core/facts"
	"postroad/internal/core/finding"
	"postroad/internal/core/zone"
	"postroad/internal/proto/dns"
	"postroad/internal/service/control/rights"
	"postroad/internal/service/control/words"
)

const (
	showTime = 5 * time.Second  // how long somebody who waits for a page waits for DNS
	lookTime = 30 * time.Second // for one look in the background
)

// How soon to look again.
const (
	soon     = time.Minute      // while a new domain waits for its delegation
	later    = 10 * time.Minute // while another one does
	settled  = 30 * time.Minute
	youngFor = 24 * time.Hour
)

// Access looks at delegations.
type Access struct {
	Resolver Resolver // nil: nobody can be asked
	Store    Store
	Hostname string

	mu  sync.Mutex
	led map[string]bool // domains whose zones the world asks us for, and nobody else; by the last look
}

// Served gives the exchangers that stand in the zone of a domain, if the zone is hosted here and the world was led to our
// name servers alone when it was last looked: then that is what public DNS says, but for what others remember.
func (a *Access) Served(ctx context.Context, d *directory.Domain) (facts.MXAnswer, bool) {
	a.mu.Lock()
	led := a.led[d.Name]
	a.mu.Unlock()
	if !led || d.Zone != directory.ZoneHosted || !d.Proved {
		return facts.MXAnswer{}, false
	}
	z, err := a.Store.Zone(ctx, account.System(), d.Name)
	if err != nil {
		return facts.MXAnswer{}, false
	}
	all := facts.Answer{Name: d.Name, Status: facts.NoData}
	for _, r := range z.Records {
		switch {
		case r.Name != z.Apex():
		case r.Type == dns.TypeCNAME, r.Type == dns.TypeDNAME:
			return facts.MXAnswer{}, false // others know better where that leads
		case r.Type == dns.TypeMX:
			all.Records, all.Status = append(all.Records, r), facts.Found
		}
	}
	answer := facts.MXAnswer{Name: d.Name, Status: all.Status, Origin: facts.Origin{
		Source: "zone", At: time.Now(), TTL: max(all.TTLOfRecords(), soon), Detail: "MX " + d.Name + ": as the zone here has it, which the world is led to",
	}}
	for _, mx := range all.MX() {
		if mx.Host != "" {
			answer.Records = append(answer.Records, mx)
		}
	}
	answer.Null = len(all.Records) == 1 && len(answer.Records) == 0
	return answer, true
}

// note remembers whether the world is led to our name servers alone.
func (a *Access) note(domain string, done bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !done {
		delete(a.led, domain)
		return
	}
	if a.led == nil {
		a.led = map[string]bool{}
	}
	a.led[domain] = true
}

// DomainDelegation is how far the zone of a domain is handed to our name servers.
type DomainDelegation struct {
	State       string   `json:"state" enum:"waiting,partly done,done,unknown" doc:"Whether the zone above names the name servers of the domain"`
	NameServers []string `json:"name_servers" nullable:"false" doc:"What to enter at the registrar: exactly these"`
	Named       []string `json:"named" nullable:"false" doc:"What the zone above names now"`
	Evidence    string   `json:"evidence" doc:"Who said so"`
	Sentence    string   `json:"sentence" doc:"What that means, and what there is to do"`
}

// Names are the name servers of a domain's zone: those of the set that it follows, else those that stand in the zone.
func (a *Access) Names(ctx context.Context, st *rights.State, d *directory.Domain) []string {
	if set, ok := st.Sets.NameServerSet(d.NameServerSet); ok {
		return slices.Sorted(slices.Values(set.Hosts))
	}
	if z, err := a.Store.Zone(ctx, account.System(), d.Name); err == nil {
		var out []string
		for _, r := range z.Records {
			if r.Type != dns.TypeNS || r.Name != z.Apex() {
				continue
			}
			if host, ok := facts.Host(r.Data); ok {
				out = append(out, host)
			}
		}
		if slices.Sort(out); len(out) > 0 {
			return slices.Compact(out)
		}
	}
	if set, ok := st.Sets.NameServersFor(d.Account, zone.DefaultNameServerSet); ok {
		return slices.Sorted(slices.Values(set.Hosts))
	}
	return []string{a.Hostname}
}

// Show tells how far the zone of a domain is handed to our name servers; nil when it is not hosted here.
func (a *Access) Show(ctx context.Context, st *rights.State, d *directory.Domain) *DomainDelegation {
	if d.Zone != directory.ZoneHosted {
		return nil
	}
	out := &DomainDelegation{State: "unknown", NameServers: a.Names(ctx, st, d), Named: []string{}, Evidence: "nobody can be asked here"}
	if a.Resolver != nil {
		ctx, cancel := context.WithTimeout(ctx, showTime)
		defer cancel()
		seen := a.Resolver.Delegation(ctx, d.Name)
		progress, evidence := delegation.Handed(&seen, out.NameServers)
		if out.Evidence = evidence; progress != "" {
			out.State = string(progress)
		}
		if seen.Delegated() {
			out.Named = seen.NS
		}
	}
	out.Sentence = sentence(words.Show(d.Name), out)
	return out
}

func sentence(name string, d *DomainDelegation) string {
	enter := "Enter exactly these name servers at the registrar of " + name + ": " + strings.Join(d.NameServers, ", ") + "."
	switch delegation.Progress(d.State) {
	case delegation.Waiting:
		return "The world does not ask our name servers for " + name + ": nothing that stands in its zone here is live, its MX records neither. " + enter
	case delegation.Partly:
		return "The world asks our name servers for " + name + " only in part: what stands in its zone here is seen by some and not by others. " + enter
	case delegation.Done:
		return "The world asks our name servers for " + name + ": what stands in its zone here is live."
	}
	return "Whether the world asks our name servers for " + name + " could not be learned just now. " + enter
}

// Look looks at the delegation of a hosted zone, records what is wrong and forgets what is not any more, and says when to
// look again. Stray says that the world is led here by names that were not given to the domain: whoever led it may be somebody
// else than who added the domain.
func (a *Access) Look(ctx context.Context, st *rights.State, d *directory.Domain) (again time.Duration, stray bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, lookTime)
	defer cancel()
	again = later
	if time.Since(d.Created) < youngFor {
		again = soon
	}
	given := a.Names(ctx, st, d)
	seen := delegation.Seen{Delegation: a.Resolver.Delegation(ctx, d.Name)}
	progress, evidence := delegation.Handed(&seen.Delegation, given)
	if progress == "" || ctx.Err() != nil {
		return again, false, nil
	}
	stray = slices.ContainsFunc(seen.Delegation.NS, func(host string) bool { return !slices.Contains(given, host) && a.ours(st, host) })
	a.note(d.Name, progress == delegation.Done)
	wrong := map[finding.Name]string{}
	switch progress {
	case delegation.Waiting:
		wrong[finding.NSNotDelegated] = evidence
		if what := a.shadowed(ctx, d, &seen.Delegation); what != "" && d.Proved {
			wrong[finding.ZoneShadowed] = what
		}
	case delegation.Partly:
		wrong[finding.NSPartial] = evidence + "; given to the domain were " + strings.Join(given, ", ")
	case delegation.Done:
		again = settled
	}
	if progress != delegation.Waiting {
		seen.NS = a.Resolver.Everywhere(ctx, seen.Delegation.Servers, d.Name, dns.TypeNS)
		seen.SOA = a.Resolver.Everywhere(ctx, seen.Delegation.Servers, d.Name, dns.TypeSOA)
		for _, f := range seen.Faults() {
			wrong[f.Name] = f.Evidence
		}
	}
	names := all[:]
	if evidence, known := a.stale(ctx, d, &seen.Delegation); known {
		names = append(slices.Clone(names), finding.DNSSECDSStale)
		if evidence != "" {
			wrong[finding.DNSSECDSStale] = evidence
		}
	}
	if ctx.Err() != nil {
		return again, stray, nil
	}
	return again, stray, a.record(ctx, d, names, wrong)
}

// ours reports whether a name is one of a name server of this installation, whoever it is given to.
func (a *Access) ours(st *rights.State, host string) bool {
	return host == a.Hostname || slices.ContainsFunc(st.Sets.NameServerSets(), func(s zone.NameServerSet) bool { return slices.Contains(s.Hosts, host) })
}

// stale tells of a DS record in the zone above while the zone here is not signed, and whether that is known. The keys of
// signed zones are held against the zone above by whoever signs them.
func (a *Access) stale(ctx context.Context, d *directory.Domain, seen *facts.Delegation) (evidence string, known bool) {
	z, err := a.Store.Zone(ctx, account.System(), d.Name)
	if err != nil || z.Signing != nil || !seen.Delegated() {
		return "", false
	}
	for _, answer := range a.Resolver.Everywhere(ctx, seen.Above, d.Name, dns.TypeDS) {
		switch {
		case answer.Grants():
			return answer.Server + " of the zone above has DS records, and the zone here is not signed: have them removed before the name servers are ours", true
		case answer.Denies():
			known = true
		}
	}
	return "", known
}

// all are the findings of this package.
var all = [...]finding.Name{finding.NSNotDelegated, finding.NSPartial, finding.NSLame, finding.NSSameNetwork, finding.NSInconsistent, finding.ZoneShadowed}

// Of gives what may be found of a domain, to be forgotten when its zone is not hosted here any more.
func Of(domain string) []finding.Finding {
	var out []finding.Finding
	for _, name := range append(all[:], finding.DNSSECDSStale) {
		out = append(out, finding.Finding{Name: name, Domain: domain})
	}
	return out
}

// record writes what has changed.
func (a *Access) record(ctx context.Context, d *directory.Domain, names []finding.Name, wrong map[finding.Name]string) error {
	known, err := a.Store.Findings(ctx, account.System(), d.Name)
	if err != nil {
		return err
	}
	for _, name := range names {
		i := slices.IndexFunc(known, func(f finding.Finding) bool { return f.Name == name })
		evidence, is := wrong[name]
		if is == (i >= 0) && (!is || known[i].Evidence == evidence) {
			continue
		}
		f := finding.Finding{Name: name, Domain: d.Name, Evidence: evidence, Since: time.Now().UTC().Truncate(time.Second)}
		if err := a.Store.Find(ctx, account.System(), f, !is); err != nil {
			return err
		}
	}
	return nil
}

// shadowed tells how what the world hears of a domain elsewhere differs from what stands in its zone here; "" when it
// does not, or nobody answers there.
func (a *Access) shadowed(ctx context.Context, d *directory.Domain, seen *facts.Delegation) string {
	z, err := a.Store.Zone(ctx, account.System(), d.Name)
	if err != nil {
		return ""
	}
	for _, kind := range []dns.Type{dns.TypeMX, dns.TypeA, dns.TypeAAAA, dns.TypeTXT} {
		ours := facts.Answer{}
		for _, r := range z.Records {
			if r.Name == z.Apex() && r.Type == kind {
				ours.Records = append(ours.Records, r)
			}
		}
		for _, theirs := range a.Resolver.Everywhere(ctx, seen.Servers, d.Name, kind) {
			if !theirs.Grants() && !theirs.Denies() {
				continue
			}
			here, there := strings.ToLower(strings.Join(ours.Lines(), ", ")), strings.ToLower(strings.Join(theirs.Lines(), ", "))
			if here != there {
				return kind.String() + " at " + theirs.Server + ": " + or(there) + "; in the zone here: " + or(here)
			}
			break
		}
	}
	return ""
}

func or(text string) string {
	if text == "" {
		return "none"
	}
	return text
}
