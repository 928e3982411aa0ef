package exchangers

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"postroad/internal/core/account"
	"postroad/internal/core/directory"
	"postroad/internal/core/zone"
	"postroad/internal/service/control/plan"
	"postroad/internal/service/control/rights"
	"postroad/internal/service/control/sets"
	"postroad/internal/service/control/words"
)

// ServersSpec is a wanted name-server set.
type ServersSpec struct {
	Name    string
	Account string // id or name; empty: the operator's for the operator, else the actor's own
	Hosts   []string
}

// ServersSpecOf is what leads to a set as it is shown; it is named by its name, or by its id where it is there.
func ServersSpecOf(s *sets.Servers, name string) ServersSpec {
	out := ServersSpec{Name: name, Hosts: s.Hosts}
	if name == s.Name {
		out.Account = string(s.Account)
	}
	return out
}

// maxServers bounds the name servers of a set: more than 13 do not fit into the smallest answer with their addresses.
const maxServers = 13

// ServerSets lists the name-server sets that the actor's zones may follow.
func (a *Access) ServerSets(actor rights.Actor, st *rights.State) []sets.Servers {
	counts := counted(actor, st, func(d *directory.Domain) string { return d.NameServerSet })
	out := []sets.Servers{}
	for _, s := range st.Sets.NameServerSets() {
		if s.Account == account.Operator || actor.Scope.Has(s.Account) {
			info := sets.ShowServers(&s)
			info.Domains = counts[s.ID]
			out = append(out, info)
		}
	}
	return out
}

// ownServers finds a set that the actor may change, by its name or its id.
func ownServers(actor rights.Actor, st *rights.State, name, ref string) (zone.NameServerSet, error) {
	owner, err := actor.Account(st, ref)
	if err != nil {
		return zone.NameServerSet{}, err
	}
	set, ok := st.Sets.NameServersFor(owner, name)
	if !ok {
		set, ok = st.Sets.NameServerSet(name)
	}
	return set, mayChange(actor, "name-server set", name, set.Account, ok && (ref == "" || set.Account == owner))
}

// hosts reads the name servers of a set.
func hosts(texts []string) ([]string, error) {
	if len(texts) == 0 {
		return nil, words.Invalid("A set without a name server is none.", "name its hosts")
	}
	if len(texts) > maxServers {
		return nil, words.Invalid("There are "+strconv.Itoa(len(texts))+" name servers.", "at most "+strconv.Itoa(maxServers))
	}
	out := make([]string, 0, len(texts))
	for _, text := range texts {
		host, err := zone.NameServer(text)
		if err != nil {
			return nil, fault(err)
		}
		if slices.Contains(out, host) {
			return nil, words.Invalid("The name server "+host+" is named twice.", "")
		}
		out = append(out, host)
	}
	return out, nil
}

// PlanServersAdd plans a new name-server set.
func (a *Access) PlanServersAdd(actor rights.Actor, st *rights.State, spec ServersSpec) (plan.Plan, error) {
	p := plan.New(st.Directory.Version(), actor)
	owner, err := actor.Account(st, spec.Account)
	if err != nil {
		return plan.Plan{}, err
	}
	if err := zone.SetName(spec.Name); err != nil {
		return plan.Plan{}, fault(err)
	}
	if other, taken := st.Sets.NameServersFor(owner, spec.Name); taken && other.Account == owner {
		return plan.Plan{}, words.Exists("There is a name-server set "+spec.Name+" already.", "postroad nameserver-set set "+spec.Name+" changes it")
	}
	list, err := hosts(spec.Hosts)
	if err != nil {
		return plan.Plan{}, err
	}
	set := zone.NameServerSet{ID: a.NewID(), Account: owner, Name: spec.Name, Hosts: list}
	p.Tx.PutServers = []zone.NameServerSet{set}
	p.Record(plan.Change{Kind: plan.KindServers, Verb: plan.VerbAdd, Subject: set.Name, Account: owner, After: sets.ShowServers(&set)})
	p.Say("Adds the name-server set %s: %s.", set.Name, strings.Join(set.Hosts, ", "))
	if spec.Name == zone.DefaultNameServerSet && owner != account.Operator {
		p.Say("New hosted domains of the account follow it from now on.")
	}
	if len(set.Hosts) < 2 {
		p.Warnings = append(p.Warnings, few)
	}
	return p, nil
}

// PlanServersSet plans that a name-server set has other hosts, and with it all zones that follow it.
func (a *Access) PlanServersSet(ctx context.Context, actor rights.Actor, st *rights.State, spec ServersSpec) (plan.Plan, error) {
	p := plan.New(st.Directory.Version(), actor)
	before, err := ownServers(actor, st, spec.Name, spec.Account)
	if err != nil {
		return plan.Plan{}, err
	}
	set := before
	if set.Hosts, err = hosts(spec.Hosts); err != nil {
		return plan.Plan{}, err
	}
	if slices.Equal(set.Hosts, before.Hosts) {
		return p, nil
	}
	p.Tx.PutServers = []zone.NameServerSet{set}
	p.Record(plan.Change{Kind: plan.KindServers, Verb: plan.VerbSet, Subject: set.Name, Account: set.Account, Before: sets.ShowServers(&before), After: sets.ShowServers(&set)})
	p.Say("The name-server set %s becomes: %s. Before: %s.", set.Name, strings.Join(set.Hosts, ", "), strings.Join(before.Hosts, ", "))
	hosted := map[string]bool{}
	for _, d := range followers(st, func(d *directory.Domain) bool { return d.NameServerSet == set.ID && d.Zone == directory.ZoneHosted }) {
		hosted[d.Name] = true
	}
	stored, err := a.zones(ctx, actor, hosted)
	if err != nil {
		return plan.Plan{}, err
	}
	for name := range hosted {
		z, ok := stored[name]
		if !ok || len(z.Records) == 0 {
			return plan.Plan{}, words.Invalid("The zone "+words.Show(name)+" follows the set and cannot be read.", "domain show "+name+" tells why; have it follow no set first")
		}
		if !sameHosts(z.NameServers(), set.Hosts) {
			p.Moves = append(p.Moves, name)
		}
		if z, err = z.WithNameServers(set.Hosts); err != nil {
			return plan.Plan{}, err
		}
		unaddressed(&p, &z)
		p.Tx.PutZones = append(p.Tx.PutZones, z)
	}
	if n := len(hosted); n > 0 {
		p.Warn("The NS records of %s change, and must be entered anew at the registrars: until then the world goes by what stands there.", words.Plural(int64(n), "zone", "zones"))
	}
	if len(set.Hosts) < 2 {
		p.Warnings = append(p.Warnings, few)
	}
	return p, nil
}

// PlanServersRemove plans the end of a name-server set that no domain follows.
func (a *Access) PlanServersRemove(actor rights.Actor, st *rights.State, name, ref string) (plan.Plan, error) {
	p := plan.New(st.Directory.Version(), actor)
	set, err := ownServers(actor, st, name, ref)
	if err != nil {
		return plan.Plan{}, err
	}
	if set.Account == account.Operator && set.Name == zone.DefaultNameServerSet {
		return plan.Plan{}, words.Denied("The name-server set " + set.Name + " stays: new hosted domains follow it.")
	}
	if n := len(followers(st, func(d *directory.Domain) bool { return d.NameServerSet == set.ID })); n > 0 {
		return plan.Plan{}, inUse("name-server set", set.Name, n)
	}
	p.Remove(plan.KindServers, set.ID)
	p.Record(plan.Change{Kind: plan.KindServers, Verb: plan.VerbRemove, Subject: set.Name, Account: set.Account, Before: sets.ShowServers(&set)})
	p.Say("Removes the name-server set %s.", set.Name)
	return p, nil
}
