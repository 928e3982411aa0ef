package exchangers

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"postroad/internal/core/account"
	"postroad/internal/core/directory"
	"postroad/internal/core/zone"
	"postroad/internal/service/control/plan"
	"postroad/internal/service/control/rights"
	"postroad/internal/service/control/sets"
	"postroad/internal/service/control/settings"
	"postroad/internal/service/control/words"
)

// SetSpec is a wanted exchanger set. A nil field is left as it is, or at its default for a new one.
type SetSpec struct {
	Name       string
	Account    string // id or name; empty: the operator's for the operator, else the actor's own
	Exchangers *[]Typed
	Gateways   *[]string
	SPF        *string // none: the set says nothing of it
}

// SpecOf is what leads to a set as it is shown; it is named by its name, or by its id where it is there.
func SpecOf(s *sets.Set, name string) SetSpec {
	typed := make([]Typed, 0, len(s.Exchangers))
	for _, x := range s.Exchangers {
		preference := int(x.Preference)
		typed = append(typed, Typed{Host: x.Host, Preference: &preference})
	}
	spf, gateways := s.SPF, append([]string{}, s.Gateways...)
	if spf == "" {
		spf = zone.None
	}
	out := SetSpec{Name: name, Exchangers: &typed, Gateways: &gateways, SPF: &spf}
	if name == s.Name {
		out.Account = string(s.Account)
	}
	return out
}

// counted counts the domains in scope by what they follow.
func counted(actor rights.Actor, st *rights.State, follows func(d *directory.Domain) string) map[string]int {
	out := map[string]int{}
	for d := range st.Directory.Domains() {
		if actor.Scope.Has(d.Account) {
			out[follows(d)]++
		}
	}
	return out
}

// Sets lists the exchanger sets that the actor's domains may follow.
func (a *Access) Sets(actor rights.Actor, st *rights.State) []sets.Set {
	counts := counted(actor, st, func(d *directory.Domain) string { return d.ExchangerSet })
	out := []sets.Set{}
	for _, s := range st.Sets.ExchangerSets() {
		if s.Account == account.Operator || actor.Scope.Has(s.Account) {
			info := sets.ShowSet(&s)
			info.Domains = counts[s.ID]
			out = append(out, info)
		}
	}
	return out
}

// ownSet finds a set that the actor may change, by its name or its id.
func ownSet(actor rights.Actor, st *rights.State, name, ref string) (zone.ExchangerSet, error) {
	owner, err := actor.Account(st, ref)
	if err != nil {
		return zone.ExchangerSet{}, err
	}
	set, ok := st.Sets.ExchangersFor(owner, name)
	if !ok {
		set, ok = st.Sets.ExchangerSet(name)
	}
	return set, mayChange(actor, "exchanger set", name, set.Account, ok && (ref == "" || set.Account == owner))
}

// mayChange refuses a set that is not there, or is not the actor's.
func mayChange(actor rights.Actor, what, name string, owner account.ID, there bool) error {
	switch {
	case there && actor.Scope.Has(owner):
		return nil
	case there && owner == account.Operator:
		return words.Denied("The " + what + " " + words.Quote(name) + " is the operator's.")
	}
	return missing(what, name)
}

// settle writes what is wanted into a set.
func (a *Access) settle(set *zone.ExchangerSet, spec SetSpec) error {
	if spec.Exchangers != nil {
		all, err := a.read(&rights.State{}, &place{domain: &directory.Domain{}}, *spec.Exchangers)
		if err != nil {
			return err
		}
		set.Exchangers = nil
		for _, x := range all {
			if x.Null() {
				return words.Invalid("A set without an exchanger is none.", "name the hosts, or have domains follow no set")
			}
			set.Exchangers = append(set.Exchangers, x.Exchanger)
		}
		zone.SortExchangers(set.Exchangers)
	}
	if spec.Gateways != nil {
		networks, err := settings.Gateways(*spec.Gateways)
		if err != nil {
			return err
		}
		set.Gateways = networks
	}
	switch {
	case spec.SPF == nil:
	case *spec.SPF == zone.None || *spec.SPF == "":
		set.SPF = ""
	default:
		if err := zone.CheckSPF(*spec.SPF); err != nil {
			return fault(err)
		}
		set.SPF = *spec.SPF
	}
	return nil
}

// PlanSetAdd plans a new exchanger set.
func (a *Access) PlanSetAdd(actor rights.Actor, st *rights.State, spec SetSpec) (plan.Plan, error) {
	p := plan.New(st.Directory.Version(), actor)
	owner, err := actor.Account(st, spec.Account)
	if err != nil {
		return plan.Plan{}, err
	}
	if err := zone.SetName(spec.Name); err != nil {
		return plan.Plan{}, fault(err)
	}
	if other, taken := st.Sets.ExchangersFor(owner, spec.Name); taken && other.Account == owner {
		return plan.Plan{}, words.Exists("There is an exchanger set "+spec.Name+" already.", "postroad exchanger-set set "+spec.Name+" changes it")
	}
	set := zone.ExchangerSet{ID: a.NewID(), Account: owner, Name: spec.Name}
	if err := a.settle(&set, spec); err != nil {
		return plan.Plan{}, err
	}
	if len(set.Exchangers) == 0 {
		return plan.Plan{}, words.Invalid("A set without an exchanger is none.", "name its hosts")
	}
	if spec.SPF == nil {
		set.SPF = zone.DefaultSPF(set.Exchangers, a.Hostname)
	}
	p.Tx.PutSets = []zone.ExchangerSet{set}
	p.Record(plan.Change{Kind: plan.KindSet, Verb: plan.VerbAdd, Subject: set.Name, Account: owner, After: sets.ShowSet(&set)})
	p.Say("Adds the exchanger set %s: %s.", set.Name, tell(&set))
	if spec.Name == zone.DefaultExchangerSet && owner != account.Operator {
		p.Say("New hosted domains of the account follow it from now on.")
	}
	return p, nil
}

// tell describes a set as the part of a sentence.
func tell(set *zone.ExchangerSet) string {
	text := describe(set.Exchangers)
	if len(set.Gateways) > 0 {
		list := make([]string, len(set.Gateways))
		for i, g := range set.Gateways {
			list[i] = g.String()
		}
		text += "; delivering from " + strings.Join(list, ", ")
	}
	if set.SPF != "" {
		text += fmt.Sprintf("; SPF %q", set.SPF)
	}
	return text
}

// PlanSetSet plans that an exchanger set says something else, and with it all domains that follow it.
func (a *Access) PlanSetSet(ctx context.Context, actor rights.Actor, st *rights.State, spec SetSpec) (plan.Plan, error) {
	p := plan.New(st.Directory.Version(), actor)
	before, err := ownSet(actor, st, spec.Name, spec.Account)
	if err != nil {
		return plan.Plan{}, err
	}
	set := before
	set.Exchangers, set.Gateways = slices.Clone(before.Exchangers), slices.Clone(before.Gateways)
	if err := a.settle(&set, spec); err != nil {
		return plan.Plan{}, err
	}
	if set.SPF == before.SPF && slices.Equal(set.Exchangers, before.Exchangers) && slices.Equal(set.Gateways, before.Gateways) {
		return p, nil
	}
	p.Tx.PutSets = []zone.ExchangerSet{set}
	p.Record(plan.Change{Kind: plan.KindSet, Verb: plan.VerbSet, Subject: set.Name, Account: set.Account, Before: sets.ShowSet(&before), After: sets.ShowSet(&set)})
	p.Say("The exchanger set %s becomes: %s. Before: %s.", set.Name, tell(&set), tell(&before))
	if err := a.spread(ctx, actor, st, &p, &before, &set); err != nil {
		return plan.Plan{}, err
	}
	return p, nil
}

// PlanSetRemove plans the end of an exchanger set that no domain follows.
func (a *Access) PlanSetRemove(actor rights.Actor, st *rights.State, name, ref string) (plan.Plan, error) {
	p := plan.New(st.Directory.Version(), actor)
	set, err := ownSet(actor, st, name, ref)
	if err != nil {
		return plan.Plan{}, err
	}
	if set.Account == account.Operator && set.Name == zone.DefaultExchangerSet {
		return plan.Plan{}, words.Denied("The exchanger set " + set.Name + " stays: new domains follow it.")
	}
	if n := len(followers(st, func(d *directory.Domain) bool { return d.ExchangerSet == set.ID })); n > 0 {
		return plan.Plan{}, inUse("exchanger set", set.Name, n)
	}
	p.Remove(plan.KindSet, set.ID)
	p.Record(plan.Change{Kind: plan.KindSet, Verb: plan.VerbRemove, Subject: set.Name, Account: set.Account, Before: sets.ShowSet(&set)})
	p.Say("Removes the exchanger set %s.", set.Name)
	return p, nil
}

func inUse(what, name string, n int) error {
	return &words.RefusedError{
		Err: words.ErrInUse, Sentence: "The " + what + " " + name + " is followed by " + words.Plural(int64(n), "domain", "domains") + ".", Hint: "have them follow another one first, or none",
	}
}

// Founding gives the operator's default sets, where they are missing: this installation by its own name.
func (a *Access) Founding(st *rights.State) (sets []zone.ExchangerSet, servers []zone.NameServerSet) {
	if a.Hostname == "" {
		return nil, nil
	}
	if _, there := st.Sets.ExchangersFor(account.Operator, zone.DefaultExchangerSet); !there {
		list := []zone.Exchanger{{Preference: zone.DefaultPreference, Host: a.Hostname}}
		sets = append(sets, zone.ExchangerSet{
			ID: a.NewID(), Account: account.Operator, Name: zone.DefaultExchangerSet, Exchangers: list, SPF: zone.DefaultSPF(list, a.Hostname),
		})
	}
	if _, there := st.Sets.NameServersFor(account.Operator, zone.DefaultNameServerSet); !there {
		servers = append(servers, zone.NameServerSet{ID: a.NewID(), Account: account.Operator, Name: zone.DefaultNameServerSet, Hosts: []string{a.Hostname}})
	}
	return sets, servers
}
