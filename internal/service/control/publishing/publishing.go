// Package publishing writes into zones that others answer for: what senders need to bring a domain's mail here.
package publishing

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"time"

	"postroad/internal/core/account"
	"postroad/internal/core/directory"
	"postroad/internal/core/publish"
	"postroad/internal/core/zone"
	"postroad/internal/proto/dns"
	"postroad/internal/service/control/plan"
	"postroad/internal/service/control/rights"
	"postroad/internal/service/control/words"
)

// Store keeps who answers for domains' zones, and how they are written to.
type Store interface {
	// Provider gives that of a domain; words.ErrNotFound.
	Provider(ctx context.Context, scope account.Scope, domain string) (publish.Provider, error)
	// Providers lists all, by domain.
	Providers(ctx context.Context, scope account.Scope) ([]publish.Provider, error)
}

// Writer reads and writes zones at providers.
type Writer interface {
	// Read gives RRsets as the provider has them now.
	Read(ctx context.Context, a publish.Access, sets []publish.Set) ([]dns.Record, error)
	// Write makes a change; publish.ErrChanged when the RRsets are not as they were before it, and nothing was written.
	Write(ctx context.Context, a publish.Access, d zone.Difference) error
}

// Seal keeps secrets from whoever has a copy of the store.
type Seal interface {
	Seal(plain []byte, what string) []byte
	Open(sealed []byte, what string) ([]byte, error)
}

// Access is providers as actors may see and use them. Without a Writer or a Seal nothing is written.
type Access struct {
	Store  Store
	Writer Writer
	Seal   Seal
	Kinds  []string
	// Sides gives what a difference takes and what it adds, as audit entries keep it, and whether it takes anything; Back reads
	// that, and gives the records of a zone once the change is taken back.
	Sides func(d zone.Difference) (before, after any, takes bool)
	Back  func(z *zone.Zone, before, after string) ([]dns.Record, error)
	// Proof gives the TXT record by which a domain's ownership is shown.
	Proof func(d *directory.Domain) (owner, text string)
	// Keys gives the records of the keys by which the domain's mail is signed; nil: there are none.
	Keys func(ctx context.Context, d *directory.Domain) ([]dns.Record, error)
}

// ProviderInfo is a provider as listings show it. No secret is in it.
type ProviderInfo struct {
	Domain    string     `json:"domain"`
	Account   account.ID `json:"account"`
	Kind      string     `json:"kind" doc:"rfc2136, cloudflare or hetzner"`
	Zone      string     `json:"zone" doc:"The zone there: the domain's own or one above"`
	Server    string     `json:"server,omitempty" doc:"rfc2136: host:port of the primary; else the URL of the interface, absent for the service's own"`
	Key       string     `json:"key,omitempty" doc:"rfc2136: name of the TSIG key"`
	Algorithm string     `json:"algorithm,omitempty"`
	Secret    string     `json:"secret" doc:"\"set\" or \"changed\"; never the secret"`
	Operator  bool       `json:"by_operator,omitempty"`
	Created   time.Time  `json:"created"`
}

// Show gives a provider as listings show it.
func Show(p *publish.Provider) ProviderInfo {
	return ProviderInfo{
		Domain: p.Domain, Account: p.Account, Kind: p.Kind, Zone: p.Zone, Server: p.Server, Key: strings.TrimSuffix(p.Key, "."), Algorithm: string(p.Algorithm),
		Secret: "set", Operator: p.Operator, Created: p.Created,
	}
}

// List lists the providers in scope.
func (a *Access) List(ctx context.Context, actor rights.Actor) ([]ProviderInfo, error) {
	list, err := a.Store.Providers(ctx, actor.Scope)
	if err != nil {
		return nil, err
	}
	out := make([]ProviderInfo, len(list))
	for i := range list {
		out[i] = Show(&list[i])
	}
	return out, nil
}

// external finds a domain whose zone others answer for.
func external(actor rights.Actor, st *rights.State, name string) (*directory.Domain, error) {
	d, err := actor.Domain(st, name)
	if err == nil && d.Zone == directory.ZoneHosted {
		err = words.Invalid("The zone of "+words.Show(d.Name)+" is hosted here: it is written by postroad mx and postroad record.", "")
	}
	return d, err
}

func where(p *publish.Provider) string {
	if p.Kind == rfc2136 {
		return "dynamic update (RFC 2136) at " + p.Server + " with the key " + strings.TrimSuffix(p.Key, ".")
	}
	if p.Server != "" {
		return p.Kind + " at " + p.Server
	}
	return "the interface of " + p.Kind
}

func (a *Access) provider(ctx context.Context, actor rights.Actor, d *directory.Domain) (publish.Provider, error) {
	p, err := a.Store.Provider(ctx, actor.Scope, d.Name)
	if errors.Is(err, words.ErrNotFound) {
		err = words.Missing("Nobody has said how the zone of " + words.Show(d.Name) + " is written to: postroad provider set does. postroad mx list " + d.Name + " shows what to enter by hand.")
	}
	return p, err
}

// open gives a provider with its secret.
func (a *Access) open(p *publish.Provider) (publish.Access, error) {
	if a.Writer == nil || a.Seal == nil {
		return publish.Access{}, words.Invalid("This server writes into no zones of others.", "")
	}
	secret, err := a.Seal.Open(p.Sealed, publish.SealedFor(p.Domain))
	if err != nil {
		return publish.Access{}, words.Invalid("The secret for the zone of "+words.Show(p.Domain)+" cannot be read: "+err.Error()+".", "give it again by postroad provider set")
	}
	return publish.Access{Provider: *p, Secret: secret}, nil
}

// now reads what a domain's zone has at its provider of what may be written there.
func (a *Access) now(ctx context.Context, actor rights.Actor, d *directory.Domain) (publish.Provider, zone.Zone, error) {
	p, err := a.provider(ctx, actor, d)
	if err != nil {
		return publish.Provider{}, zone.Zone{}, err
	}
	access, err := a.open(&p)
	if err != nil {
		return publish.Provider{}, zone.Zone{}, err
	}
	z := zone.Zone{Domain: d.Name, Account: d.Account}
	proof, _ := a.Proof(d)
	sets := []publish.Set{{Name: z.Apex(), Type: dns.TypeMX}, {Name: z.Apex(), Type: dns.TypeTXT}, {Name: proof + ".", Type: dns.TypeTXT}}
	keys, err := a.keys(ctx, d)
	if err != nil {
		return publish.Provider{}, zone.Zone{}, err
	}
	for _, r := range keys {
		sets = append(sets, publish.Set{Name: r.Name, Type: r.Type})
	}
	z.Records, err = a.Writer.Read(ctx, access, sets)
	if err != nil {
		return publish.Provider{}, zone.Zone{}, words.Invalid("The zone "+words.Show(p.Zone)+" cannot be read by "+where(&p)+": "+err.Error()+".", "nothing was changed")
	}
	z.Records = zone.Sort(z.Records)
	return p, z, nil
}

// keys gives the records of a domain's keys; none before its ownership is shown.
func (a *Access) keys(ctx context.Context, d *directory.Domain) ([]dns.Record, error) {
	if a.Keys == nil || !d.Proved {
		return nil, nil
	}
	return a.Keys(ctx, d)
}

// Plan plans that a domain's zone has the MX records and the SPF record of the set that the domain follows, else of
// its account's default and the records of the keys by which its mail is signed, and before its
// ownership is shown the proof of that and nothing else: mail that came here would be refused. All else in the zone, and of
// the texts beside the SPF record, stays.
func (a *Access) Plan(ctx context.Context, actor rights.Actor, st *rights.State, name string) (plan.Plan, error) {
	p := plan.New(st.Directory.Version(), actor)
	d, err := external(actor, st, name)
	if err != nil {
		return plan.Plan{}, err
	}
	if !d.Proved {
		return a.planProof(ctx, actor, p, d)
	}
	set, ok := st.Sets.Shown(d.ExchangerSet, d.Account)
	if !ok || len(set.Exchangers) == 0 {
		return plan.Plan{}, words.Invalid("The domain "+words.Show(d.Name)+" has no exchanger set, so there is nothing to publish.", "postroad domain set "+d.Name+" --exchanger-set SET")
	}
	provider, z, err := a.now(ctx, actor, d)
	if err != nil {
		return plan.Plan{}, err
	}
	next, err := z.WithExchangers(z.Apex(), set.Exchangers)
	if err != nil {
		return plan.Plan{}, err
	}
	switch own := z.SPF(); {
	case set.SPF == "":
	case len(own) > 1:
		p.Warn("The zone has %d SPF records, of which servers take none (RFC 7208 §4.5): they are left as they are. Have one of them.", len(own))
	case len(own) == 1:
		next = next.WithSPF(zone.MergeSPF(own[0], set.SPF))
	default:
		next = next.WithSPF(set.SPF)
	}
	keys, err := a.keys(ctx, d)
	if err != nil {
		return plan.Plan{}, err
	}
	for _, r := range keys {
		if there := zone.RRset(next.Records, r.Name, r.Type); len(there) > 0 {
			r.TTL = there[0].TTL
		}
		next.Records = zone.Replace(next.Records, r.Name, r.Type, r)
	}
	difference := zone.Plan(z.Records, next.Records)
	if len(difference) == 0 {
		p.Say("The zone of %s has it all already.", words.Show(d.Name))
		return p, nil
	}
	a.written(&p, d, &provider, difference)
	if mx := zone.RRset(z.Records, z.Apex(), dns.TypeMX); len(mx) > 0 && len(zone.Plan(mx, zone.RRset(next.Records, z.Apex(), dns.TypeMX))) > 0 {
		p.Warn("Senders bring the mail of %s to the exchangers of the set %s from then on, and no longer to those that are named now; with all of them that takes as long as the old TTL, %s.", words.Show(d.Name), set.Name, zone.FormatTTL(mx[0].TTL))
	}
	return p, nil
}

// planProof plans the record by which a domain's ownership is shown.
func (a *Access) planProof(ctx context.Context, actor rights.Actor, p plan.Plan, d *directory.Domain) (plan.Plan, error) {
	provider, z, err := a.now(ctx, actor, d)
	if err != nil {
		return plan.Plan{}, err
	}
	owner, text := a.Proof(d)
	r := dns.Record{Name: owner + ".", Type: dns.TypeTXT, TTL: zone.DefaultTTL}
	if r.Data, err = dns.Data(dns.TypeTXT, strconv.Quote(text), ""); err != nil {
		return plan.Plan{}, err
	}
	if there := zone.RRset(z.Records, r.Name, r.Type); len(there) > 0 {
		r.TTL = there[0].TTL
	}
	if difference := zone.Plan(z.Records, zone.Add(z.Records, r)); len(difference) > 0 {
		a.written(&p, d, &provider, difference)
	} else {
		p.Say("The proof of ownership stands in the zone of %s.", words.Show(d.Name))
	}
	p.Say("Its MX records follow once the ownership is shown: postroad domain prove %s, and then postroad publish again.", d.Name)
	return p, nil
}

// written adds a change at a provider to a plan.
func (a *Access) written(p *plan.Plan, d *directory.Domain, provider *publish.Provider, difference zone.Difference) {
	before, after, takes := a.Sides(difference)
	p.Publish = &plan.Publication{Provider: *provider, Difference: difference}
	p.Record(plan.Change{Kind: plan.KindPublish, Verb: plan.VerbSet, Subject: d.Name, Domain: d.Name, Account: d.Account, Before: before, After: after})
	p.Asks = p.Asks || takes
	p.Say("Written by %s into the zone %s:", where(provider), words.Show(provider.Zone))
	for _, s := range difference.Sentences() {
		p.Say("%s", s)
	}
}

// PlanBack plans that a change at a provider is taken back, as its audit entry tells it.
func (a *Access) PlanBack(ctx context.Context, actor rights.Actor, st *rights.State, e *plan.Entry) (plan.Plan, error) {
	p := plan.New(st.Directory.Version(), actor)
	d, err := external(actor, st, e.Domain)
	if err != nil {
		return plan.Plan{}, err
	}
	provider, z, err := a.now(ctx, actor, d)
	if err != nil {
		return plan.Plan{}, err
	}
	records, err := a.Back(&z, e.Before, e.After)
	if err != nil {
		return plan.Plan{}, err
	}
	if difference := zone.Plan(z.Records, records); len(difference) > 0 {
		a.written(&p, d, &provider, difference)
		p.Asks = true
	}
	return p, nil
}

// Apply writes a change. words.ErrVersion when the zone is not as it was when the change was planned.
func (a *Access) Apply(ctx context.Context, c *plan.Publication) error {
	access, err := a.open(&c.Provider)
	if err != nil {
		return err
	}
	err = a.Writer.Write(ctx, access, c.Difference)
	switch {
	case errors.Is(err, publish.ErrChanged):
		return words.ErrVersion
	case err != nil:
		return words.Invalid("The zone "+words.Show(c.Provider.Zone)+" cannot be written by "+where(&c.Provider)+": "+err.Error()+".", "say postroad publish again: it shows what is left to do")
	}
	return nil
}
