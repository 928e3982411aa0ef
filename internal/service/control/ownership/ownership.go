// Package ownership shows who owns a domain: by a text that only its account can know of, published in the domain's own
// DNS, or by a delegation to name servers that are its account's own.
//
// # Failure
//
// What could not be asked shows nothing and takes nothing away: both a proof and its loss need the word of every name
// server.
package ownership

import (
	"bytes"
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base32"
	"slices"
	"strings"
	"time"

	"postroad/internal/core/account"
	"postroad/internal/core/delegation"
	"postroad/internal/core/directory"
	"postroad/internal/core/facts"
	"postroad/internal/core/zone"
	"postroad/internal/proto/dns"
	"postroad/internal/service/control/rights"
	"postroad/internal/service/control/words"
)

const (
	label  = "_postroad-challenge."
	prefix = "postroad-proof="
	// checkTime is how long somebody who waits for a check waits for DNS.
	checkTime = 25 * time.Second
	// leastResolvers must see a proof beside the domain's own name servers, where so many are configured.
	leastResolvers = 2
)

// Access shows and checks proofs.
type Access struct {
	Resolver Resolver // nil: nobody can be asked
	Secret   []byte   // of the installation: without it nobody can make the text of a proof
	Hostname string
	Store    Store
}

// Owner is the name at which the text of a proof is to be published.
func Owner(domain string) string { return label + domain }

// Text is the proof of an account for a domain. Nobody else can make it, and it holds for this domain alone.
func (o *Access) Text(id account.ID, domain string) string {
	mac := hmac.New(sha256.New, o.Secret)
	mac.Write([]byte("ownership of a domain\x00" + string(id) + "\x00" + domain))
	return prefix + strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(mac.Sum(nil)[:20]))
}

// Given are the name servers to which a domain's zone is to be handed. own says that nobody else has them: only then a
// delegation to them shows whose domain it is.
func (o *Access) Given(st *rights.State, d *directory.Domain) (hosts []string, own bool) {
	set, ok := st.Sets.NameServerSet(d.NameServerSet)
	if !ok {
		set, ok = st.Sets.NameServersFor(d.Account, zone.DefaultNameServerSet)
	}
	if !ok {
		set = zone.NameServerSet{Account: account.Operator, Hosts: []string{o.Hostname}}
	}
	hosts = slices.Sorted(slices.Values(set.Hosts))
	if set.Account != d.Account {
		return hosts, false
	}
	if d.Account == account.Operator {
		return hosts, true
	}
	for _, other := range st.Sets.NameServerSets() {
		if other.Account != d.Account && slices.ContainsFunc(other.Hosts, func(h string) bool { return slices.Contains(hosts, h) }) {
			return hosts, false
		}
	}
	return hosts, !slices.Contains(hosts, o.Hostname)
}

// named reports whether the world may be led to name servers of this installation already: a delegation that is older than
// the domain here shows nothing. What cannot be learned counts as yes.
func (o *Access) named(ctx context.Context, st *rights.State, domain string, given []string) bool {
	if o.Resolver == nil {
		return true
	}
	ctx, cancel := context.WithTimeout(ctx, checkTime/3)
	defer cancel()
	d := o.Resolver.Delegation(ctx, domain)
	switch {
	case d.Status == facts.Temporary:
		return true
	case !d.Delegated():
		return false
	}
	return slices.ContainsFunc(d.NS, func(host string) bool {
		return slices.Contains(given, host) || host == o.Hostname ||
			slices.ContainsFunc(st.Sets.NameServerSets(), func(s zone.NameServerSet) bool { return slices.Contains(s.Hosts, host) })
	})
}

// moved reports whether a domain has other name servers than when its ownership was seen last.
func (o *Access) moved(ctx context.Context, d *directory.Domain) bool {
	if o.Resolver == nil {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, checkTime)
	defer cancel()
	seen := o.Resolver.Delegation(ctx, d.Name)
	switch seen.Status {
	case facts.Found:
		ns := ""
		if seen.Delegated() {
			ns = strings.Join(seen.NS, " ")
		}
		return ns != d.Proof.NS
	case facts.NXDomain:
		return true
	}
	return false
}

// Result is what a check found.
type Result struct {
	TXT        delegation.Proof
	TXTSays    string
	Handed     delegation.Proof // by delegation; 0 where that shows nothing
	HandedSays string
	// Led is whether the world is led to our name servers for a zone hosted here; 0 for others. What was shown once stands
	// as long as that is so: its owner has put the zone into our hands.
	Led delegation.Proof
	NS  string // the name servers of the zone as the zone above names them, sorted, joined by a space; empty when not known
}

// By is how the domain's ownership is shown; empty when it is not.
func (r *Result) By() string {
	switch {
	case r.TXT == delegation.Shown:
		return directory.ProofTXT
	case r.Handed == delegation.Shown:
		return directory.ProofDelegation
	}
	return ""
}

// Lost reports whether every name server says that there is no proof, of whichever kind.
func (r *Result) Lost() bool {
	return r.TXT == delegation.Lost && (r.Led == 0 || r.Led == delegation.Lost)
}

// Check looks for the proofs of a domain.
func (o *Access) Check(ctx context.Context, st *rights.State, d *directory.Domain) Result {
	if o.Resolver == nil {
		return Result{TXT: delegation.Unclear, TXTSays: "nobody can be asked here"}
	}
	ctx, cancel := context.WithTimeout(ctx, checkTime)
	defer cancel()
	r := o.text(ctx, d.Account, d.Name)
	seen := o.Resolver.Delegation(ctx, d.Name)
	if seen.Delegated() {
		r.NS = strings.Join(seen.NS, " ")
	}
	o.handed(ctx, st, d, &seen, &r)
	return r
}

// Published looks for the text of an account's proof alone.
func (o *Access) Published(ctx context.Context, id account.ID, domain string) Result {
	if o.Resolver == nil {
		return Result{TXT: delegation.Unclear, TXTSays: "nobody can be asked here"}
	}
	ctx, cancel := context.WithTimeout(ctx, checkTime)
	defer cancel()
	return o.text(ctx, id, domain)
}

// text asks all name servers of the zone in which the text is to be, and then the configured resolvers.
func (o *Access) text(ctx context.Context, id account.ID, domain string) Result {
	owner, want := Owner(domain), o.Text(id, domain)
	has := func(a *facts.Answer) bool { return slices.Contains(a.Texts(), want) }
	seen := o.Resolver.Delegation(ctx, owner)
	if len(seen.Servers) == 0 {
		return Result{TXT: delegation.Unclear, TXTSays: "no name server could be found: " + seen.Detail}
	}
	answers := o.Resolver.Everywhere(ctx, seen.Servers, owner, dns.TypeTXT)
	proof, says := delegation.Everywhere(seen.Servers, answers, seen.Whole, delegation.Has(has))
	r := Result{TXT: proof, TXTSays: "name servers of " + cmp.Or(seen.Zone, "the root") + ": " + says}
	if proof != delegation.Shown {
		return r
	}
	public := o.Resolver.Public(ctx, owner, dns.TypeTXT)
	saw, missing := 0, ""
	for i := range public {
		if a := &public[i]; a.Status == facts.Found && has(a) {
			saw++
		} else {
			missing = a.Detail
		}
	}
	if saw < min(leastResolvers, max(1, len(public))) {
		r.TXT = delegation.Unclear
		r.TXTSays += "; not every resolver sees it yet: " + cmp.Or(missing, "none is configured")
	}
	return r
}

// handed judges whether the world is led to our name servers for a zone that is hosted here, and whether that shows the
// ownership of the domain.
func (o *Access) handed(ctx context.Context, st *rights.State, d *directory.Domain, seen *facts.Delegation, r *Result) {
	if d.Zone != directory.ZoneHosted {
		return
	}
	given, own := o.Given(st, d)
	r.Led, r.HandedSays = delegation.Unclear, "the zone above could not be asked: "+seen.Detail
	if len(seen.Above) > 0 {
		answers := o.Resolver.Everywhere(ctx, seen.Above, d.Name, dns.TypeNS)
		proof, says := delegation.Everywhere(seen.Above, answers, true, delegation.Hands(given))
		r.Led, r.HandedSays = proof, "name servers of the zone above: "+says
	}
	if !own || d.Proof.TXTOnly {
		return
	}
	if r.Handed = r.Led; r.Handed != delegation.Shown {
		return
	}
	if why := o.answered(ctx, d, seen, given); why != "" {
		r.Handed = delegation.Unclear
		r.HandedSays += "; " + why
	}
}

// answered makes sure that the given name servers are those of this installation: they answer with the SOA record that
// stands here. It says why that is not known; "" when it is.
func (o *Access) answered(ctx context.Context, d *directory.Domain, seen *facts.Delegation, given []string) string {
	z, err := o.Store.Zone(ctx, account.System(), d.Name)
	if err != nil {
		return "its zone could not be read"
	}
	soa, at := zone.SOARecord(z.Records, z.Apex())
	if at < 0 {
		return "its zone has no SOA record"
	}
	var ours []facts.NameServer
	for _, server := range seen.Servers {
		if slices.Contains(given, server.Name) {
			ours = append(ours, server)
		}
	}
	same := func(a *facts.Answer) bool { return len(a.Records) == 1 && sameSOA(a.Records[0].Data, soa.Data) }
	proof, says := delegation.Everywhere(ours, o.Resolver.Everywhere(ctx, ours, d.Name, dns.TypeSOA), true, delegation.Has(same))
	if proof != delegation.Shown {
		return "the SOA record that stands here: " + says
	}
	return ""
}

// soaNumbers are the octets behind the two names of a SOA record's data (RFC 1035 §3.3.13).
const soaNumbers = 20

// sameSOA compares the data of SOA records; names without regard to case.
func sameSOA(a, b []byte) bool {
	if len(a) != len(b) || len(a) < soaNumbers {
		return false
	}
	names := len(a) - soaNumbers
	return bytes.Equal(a[names:], b[names:]) && strings.EqualFold(string(a[:names]), string(b[:names]))
}

// Want tells what is to be published for a proof, as the parts of a sentence.
func (o *Access) Want(id account.ID, domain string) string {
	return "a TXT record at " + Owner(domain) + " with the text " + o.Text(id, domain)
}

// Refuse says that ownership of a name is not shown, and what shows it.
func (o *Access) Refuse(id account.ID, domain string, r *Result) error {
	says := r.TXTSays
	if r.Handed != 0 {
		says += "; " + r.HandedSays
	}
	return &words.RefusedError{
		Err: words.ErrInvalid, Sentence: "Ownership of " + words.Show(domain) + " is not shown: " + says + ".",
		Hint: "publish " + o.Want(id, domain) + " and try again; others may remember for a while that it was not there",
	}
}
