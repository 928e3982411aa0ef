package exchangers

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"postroad/internal/core/account"
	"postroad/internal/core/directory"
	"postroad/internal/core/zone"
	"postroad/internal/proto/dns"
	"postroad/internal/service/control/plan"
	"postroad/internal/service/control/rights"
	"postroad/internal/service/control/settings"
	"postroad/internal/service/control/words"
)

// exchangerSet finds the set that an account's domains may follow by a name or an id as people write it; none is no set.
func exchangerSet(st *rights.State, owner account.ID, text string) (zone.ExchangerSet, error) {
	if text == zone.None || text == "" {
		return zone.ExchangerSet{}, nil
	}
	if set, ok := st.Sets.ExchangersFor(owner, text); ok {
		return set, nil
	}
	if set, ok := st.Sets.ExchangerSet(text); ok && (set.Account == owner || set.Account == account.Operator) {
		return set, nil
	}
	return zone.ExchangerSet{}, missing("exchanger set", text)
}

// nameServerSet is exchangerSet for name servers.
func nameServerSet(st *rights.State, owner account.ID, text string) (zone.NameServerSet, error) {
	if text == zone.None || text == "" {
		return zone.NameServerSet{}, nil
	}
	if set, ok := st.Sets.NameServersFor(owner, text); ok {
		return set, nil
	}
	if set, ok := st.Sets.NameServerSet(text); ok && (set.Account == owner || set.Account == account.Operator) {
		return set, nil
	}
	return zone.NameServerSet{}, missing("name-server set", text)
}

func missing(what, text string) error {
	return &words.RefusedError{
		Err: words.ErrNotFound, Sentence: "There is no " + what + " " + words.Quote(text) + ".",
		Hint: "postroad " + strings.Replace(what, "name-server set", "nameserver-set", 1) + " list", // as commands write it
	}
}

// Choose writes the sets that a domain is to follow into it: those that were chosen, and when its zone becomes hosted here
// for the first time those of its account. old is nil for a new domain.
func (a *Access) Choose(ctx context.Context, st *rights.State, old, d *directory.Domain, chosen settings.Domain) error {
	fresh, err := a.fresh(ctx, old, d)
	if err != nil {
		return err
	}
	switch {
	case chosen.ExchangerSet != nil:
		set, err := exchangerSet(st, d.Account, *chosen.ExchangerSet)
		if err != nil {
			return err
		}
		d.ExchangerSet = set.ID
	case fresh && d.ExchangerSet == "" && d.Mode != directory.ModeRemote && len(d.Gateways) == 0:
		set, _ := st.Sets.ExchangersFor(d.Account, zone.DefaultExchangerSet)
		d.ExchangerSet = set.ID
	}
	switch {
	case chosen.NameServerSet != nil:
		set, err := nameServerSet(st, d.Account, *chosen.NameServerSet)
		if err != nil {
			return err
		}
		d.NameServerSet = set.ID
	case fresh && d.NameServerSet == "":
		set, _ := st.Sets.NameServersFor(d.Account, zone.DefaultNameServerSet)
		d.NameServerSet = set.ID
	}
	set, follows := st.Sets.ExchangerSet(d.ExchangerSet)
	if !follows {
		return nil
	}
	return accept(d, &set, chosen.Gateways != nil)
}

// Again has a domain that was removed follow what it followed, as far as that is still there. Who may deliver for it is what
// it was, where no set says it.
func Again(st *rights.State, gone *settings.Info, set *settings.Domain) {
	none := zone.None
	set.ExchangerSet, set.NameServerSet = &none, &none
	if _, there := st.Sets.ExchangerSet(gone.ExchangerSet); there {
		set.ExchangerSet = &gone.ExchangerSet
	} else {
		set.Gateways = &gone.Gateways
	}
	if _, there := st.Sets.NameServerSet(gone.NameServerSet); there {
		set.NameServerSet = &gone.NameServerSet
	}
}

// fresh reports whether a domain's zone is to be made, having never been here.
func (a *Access) fresh(ctx context.Context, old, d *directory.Domain) (bool, error) {
	if d.Zone != directory.ZoneHosted || old != nil && old.Zone == directory.ZoneHosted {
		return false, nil
	}
	if old == nil {
		return true, nil
	}
	_, err := a.Store.Zone(ctx, account.System(), d.Name)
	if errors.Is(err, words.ErrNotFound) {
		return true, nil
	}
	return false, err
}

// accept has a domain accept mail from where its set delivers. chosen says that somebody has just named gateways.
func accept(d *directory.Domain, set *zone.ExchangerSet, chosen bool) error {
	switch {
	case chosen && !slices.Equal(d.Gateways, set.Gateways):
		return words.Invalid("The domain "+words.Show(d.Name)+" follows the exchanger set "+set.Name+", which says who may deliver.", "choose another set, or postroad domain set "+d.Name+" --exchanger-set none --gateway NETWORK")
	case d.Mode == directory.ModeRemote:
		return nil // nobody delivers for it here
	case d.Mode == directory.ModeAuto && len(set.Gateways) > 0:
		return words.Invalid("Mode auto goes by public DNS, which names the gateways of the exchanger set "+set.Name+" and not this installation.", "choose local, split, backup or relay, or another set")
	}
	d.Gateways = slices.Clone(set.Gateways)
	return nil
}

// Publish plans what a domain's zone becomes by the sets that the domain follows, where these or the hosting change. old
// is nil for a new domain.
func (a *Access) Publish(ctx context.Context, actor rights.Actor, st *rights.State, p *plan.Plan, old, d *directory.Domain) error {
	var was directory.Domain
	if old != nil {
		was = *old
	}
	comes := d.Zone == directory.ZoneHosted && was.Zone != directory.ZoneHosted
	before, _ := st.Sets.ExchangerSet(was.ExchangerSet)
	set, follows := st.Sets.ExchangerSet(d.ExchangerSet)
	servers, named := st.Sets.NameServerSet(d.NameServerSet)
	newSet, newServers := was.ExchangerSet != d.ExchangerSet, was.NameServerSet != d.NameServerSet
	switch {
	case newSet && follows:
		p.Say("%s follows the exchanger set %s: %s. %s.", words.Show(d.Name), set.Name, describe(set.Exchangers), delivers(set.Gateways))
	case newSet:
		p.Say("%s follows no exchanger set any more; what the set %s said stays as it is.", words.Show(d.Name), before.Name)
	}
	if newServers && !named {
		p.Say("%s follows no name-server set any more; its NS records stay as they are.", words.Show(d.Name))
	}
	if d.Zone != directory.ZoneHosted {
		if newSet && follows {
			p.Say("Its zone is not hosted here: postroad mx list %s shows what to enter there.", d.Name)
		}
		return nil
	}
	if !newSet && !newServers && !comes {
		return nil
	}
	z, err := a.planned(ctx, p, d.Name)
	if err != nil {
		return err
	}
	var note string
	if follows {
		exchangers := z.Exchangers(z.Apex())
		if z, note, err = apply(z, &before, &set); err != nil {
			return err
		}
		if !slices.Equal(exchangers, set.Exchangers) {
			p.Record(change(plan.VerbSet, &place{domain: d, owner: z.Apex()}, exchangers, set.Exchangers))
			p.Say("The exchangers before: %s.", describe(exchangers))
			p.Asks = p.Asks || len(exchangers) > 0
			c := a.begin(ctx, actor, st, place{domain: d, owner: z.Apex(), hosted: true, zone: z}, Asking{})
			c.p = *p
			c.judge(&z, set.Exchangers)
			*p = c.p
		}
	}
	if named {
		others := !sameHosts(z.NameServers(), servers.Hosts)
		if z, err = z.WithNameServers(servers.Hosts); err != nil {
			return err
		}
		if others && !comes {
			p.Moves = append(p.Moves, d.Name)
		}
	}
	unaddressed(p, &z)
	putZone(p, z)
	if note != "" {
		p.Warn("%s", note)
	}
	if comes || newServers && named {
		p.Sentences = append(p.Sentences, Delegate(&z))
		if len(z.NameServers()) < 2 {
			p.Warnings = append(p.Warnings, few)
		}
	}
	return nil
}

// Follows is what a domain follows, by name, and what its zone's name servers are.
type Follows struct {
	Exchangers   string   `json:"exchanger_set_name,omitempty" doc:"Name of the exchanger set that it follows"`
	Servers      string   `json:"nameserver_set_name,omitempty" doc:"Name of the name-server set that its zone follows"`
	NameServers  []string `json:"name_servers,omitempty" doc:"Of a zone hosted here: the exact names to enter at the registrar"`
	Registration string   `json:"registration,omitempty" doc:"The same as a sentence"`
}

// Follows tells what a domain follows.
func (a *Access) Follows(ctx context.Context, st *rights.State, d *directory.Domain) (Follows, error) {
	var out Follows
	if set, ok := st.Sets.ExchangerSet(d.ExchangerSet); ok {
		out.Exchangers = set.Name
	}
	if set, ok := st.Sets.NameServerSet(d.NameServerSet); ok {
		out.Servers = set.Name
	}
	if d.Zone != directory.ZoneHosted {
		return out, nil
	}
	z, err := a.Store.Zone(ctx, account.System(), d.Name)
	if errors.Is(err, words.ErrNotFound) || errors.Is(err, zone.ErrEncoding) { // one that is damaged is a finding
		return out, nil
	}
	if err == nil {
		out.NameServers, out.Registration = z.NameServers(), Delegate(&z)
	}
	return out, err
}

// few warns of a single name server; it asks for no yes, as nothing that works now is harmed.
const few = "There is only one name server: while it cannot be reached, the domain does not exist for the world. Add a second: postroad nameserver-set set."

// unaddressed tells of name servers of a zone that lie in it and have no address there, as often as a plan has room for.
func unaddressed(p *plan.Plan, z *zone.Zone) {
	for _, host := range z.NameServers() {
		if fault, inside := z.Target(host); inside && fault != "" && len(p.Warnings) < shownNotes {
			p.Warn("The name server %s lies in the zone %s and has no address there: nobody finds it. Make its A or AAAA record first.", host, words.Show(z.Domain))
		}
	}
}

// Delegate tells the name servers to enter at the registrar.
func Delegate(z *zone.Zone) string {
	return fmt.Sprintf("Enter at the registrar, as the name servers of %s: %s.", words.Show(z.Domain), strings.Join(z.NameServers(), ", "))
}

func delivers(gateways []netip.Prefix) string {
	if len(gateways) == 0 {
		return "Anybody may deliver for it"
	}
	list := make([]string, len(gateways))
	for i, g := range gateways {
		list[i] = g.String()
	}
	return "Only " + strings.Join(list, ", ") + " may deliver for it"
}

// apply gives a zone as a set has it that its domain follows, after the set that it followed before. The note tells what
// is left to the customer.
func apply(z zone.Zone, before, set *zone.ExchangerSet) (out zone.Zone, note string, err error) {
	if out, err = z.WithExchangers(z.Apex(), set.Exchangers); err != nil {
		return out, "", err
	}
	own := out.SPF()
	ours := len(own) == 0 || len(own) == 1 && (own[0] == before.SPF || own[0] == set.SPF)
	switch {
	case ours && (set.SPF != "" || before.SPF != ""):
		return out.WithSPF(set.SPF), "", nil
	case ours || set.SPF == "":
		return out, "", nil
	case len(own) > 1:
		return out, fmt.Sprintf("%s has %d SPF records, and receivers heed none then (RFC 7208 §4.5). They stay as they are: leave one, with what is in %q.", words.Show(z.Domain), len(own), set.SPF), nil
	}
	if merged := zone.MergeSPF(own[0], set.SPF); merged != own[0] {
		note = fmt.Sprintf("The SPF record of %s is its own and stays as it is. For mail that is sent from here it should be %q.", words.Show(z.Domain), merged)
	}
	return out, note, nil
}

// Settle ends the following of sets in domains whose zones a plan writes otherwise than the sets say.
func Settle(st *rights.State, p *plan.Plan) {
	sets := st.Sets.With(p.Tx.PutSets, p.Tx.PutServers)
	put := make(map[string]int, len(p.Tx.PutDomains))
	for i := range p.Tx.PutDomains {
		put[p.Tx.PutDomains[i].Name] = i
	}
	for i := range p.Tx.PutZones {
		z := &p.Tx.PutZones[i]
		old, there := st.Directory.Domain(z.Domain)
		d := old
		if at, ok := put[z.Domain]; ok {
			d, there = &p.Tx.PutDomains[at], true
		}
		if !there || d.Zone != directory.ZoneHosted {
			continue
		}
		next := *d
		if set, ok := sets.ExchangerSet(d.ExchangerSet); ok && !slices.Equal(z.Exchangers(z.Apex()), set.Exchangers) {
			next.ExchangerSet = ""
			p.Say("%s no longer follows the exchanger set %s: its MX records are its own from now on, and changes of the set do not reach it.", words.Show(d.Name), set.Name)
			if len(d.Gateways) > 0 {
				p.Warn("%s still, as the set had it: what comes from elsewhere by the new records is refused for now. To let everybody deliver: postroad domain set %s --gateway none", delivers(d.Gateways), d.Name)
			}
		}
		if set, ok := sets.NameServerSet(d.NameServerSet); ok && !sameHosts(z.NameServers(), set.Hosts) {
			next.NameServerSet = ""
			p.Say("%s no longer follows the name-server set %s: its NS records are its own from now on.", words.Show(d.Name), set.Name)
		}
		if next.ExchangerSet != d.ExchangerSet || next.NameServerSet != d.NameServerSet {
			p.Asks = true
			if old == nil {
				old = d
			}
			putDomain(p, old, &next)
		}
	}
}

func sameHosts(a, b []string) bool {
	return slices.Equal(a, slices.Sorted(slices.Values(b)))
}

// readMany is from how many zones on all of the actor's are read in one go.
const readMany = 50

// zones reads the zones of domains.
func (a *Access) zones(ctx context.Context, actor rights.Actor, names map[string]bool) (map[string]zone.Zone, error) {
	out := make(map[string]zone.Zone, len(names))
	if len(names) < readMany {
		for name := range names {
			z, err := a.Store.Zone(ctx, actor.Scope, name)
			if err != nil {
				return nil, err
			}
			out[name] = z
		}
		return out, nil
	}
	err := a.Store.Zones(ctx, actor.Scope, func(z zone.Zone) error {
		if names[z.Domain] {
			out[z.Domain] = z
		}
		return nil
	})
	return out, err
}

// followers lists the domains that follow a set by its id, in order.
func followers(st *rights.State, follows func(d *directory.Domain) bool) []*directory.Domain {
	var out []*directory.Domain
	for d := range st.Directory.Domains() {
		if follows(d) {
			out = append(out, d)
		}
	}
	slices.SortFunc(out, func(a, b *directory.Domain) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// shownNotes is how many notes on single domains a plan that changes many tells.
const shownNotes = 10

// spread plans what a changed set means for the domains that follow it.
func (a *Access) spread(ctx context.Context, actor rights.Actor, st *rights.State, p *plan.Plan, before, set *zone.ExchangerSet) error {
	all := followers(st, func(d *directory.Domain) bool { return d.ExchangerSet == set.ID })
	hosted := map[string]bool{}
	for _, d := range all {
		if d.Zone == directory.ZoneHosted {
			hosted[d.Name] = true
		}
	}
	stored, err := a.zones(ctx, actor, hosted)
	if err != nil {
		return err
	}
	var notes []string
	now := time.Now().UTC()
	for _, old := range all {
		d := *old
		if err := accept(&d, set, false); err != nil {
			return err
		}
		if !slices.Equal(d.Gateways, old.Gateways) {
			p.Tx.PutDomains = append(p.Tx.PutDomains, d)
			p.Spread = append(p.Spread, plan.Change{
				Kind: plan.KindDomain, Verb: plan.VerbSet, Subject: d.Name, Domain: d.Name, Account: d.Account, Before: settings.Show(old, now), After: settings.Show(&d, now),
			})
		}
		if !hosted[d.Name] {
			continue
		}
		z, ok := stored[d.Name]
		if !ok || len(z.Records) == 0 {
			return words.Invalid("The zone "+words.Show(d.Name)+" follows the set and cannot be read.", "domain show "+d.Name+" tells why; have it follow no set first")
		}
		next, note, err := apply(z, before, set)
		if err != nil {
			return err
		}
		if note != "" {
			notes = append(notes, note)
		}
		if exchangers := z.Exchangers(z.Apex()); !slices.Equal(exchangers, set.Exchangers) {
			p.Spread = append(p.Spread, change(plan.VerbSet, &place{domain: &d, owner: z.Apex()}, exchangers, set.Exchangers))
		}
		if !slices.EqualFunc(z.Records, next.Records, func(a, b dns.Record) bool { return a.TTL == b.TTL && dns.Compare(a, b) == 0 }) {
			p.Tx.PutZones = append(p.Tx.PutZones, next)
		}
	}
	p.Delta.PutDomains = p.Tx.PutDomains
	if n := len(all); n > 0 {
		p.Asks = true
		p.Say("%s.", reaches(int64(n), int64(len(hosted))))
	}
	for _, note := range notes[:min(len(notes), shownNotes)] {
		p.Warn("%s", note)
	}
	if more := len(notes) - shownNotes; more > 0 {
		p.Warn("So it is with %s.", words.Plural(int64(more), "more domain", "more domains"))
	}
	return nil
}

// reaches tells how far a change of a set reaches.
func reaches(all, hosted int64) string {
	s := words.Plural(all, "domain follows", "domains follow") + " it"
	if hosted > 0 {
		s += ", and " + words.Plural(hosted, "zone", "zones") + " here change with it at once"
	}
	if all > hosted {
		s += "; of " + words.Plural(all-hosted, "domain", "domains") + " the zone is elsewhere, where somebody must enter it"
	}
	return s
}
