package transfers

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"postroad/internal/core/account"
	"postroad/internal/core/directory"
	"postroad/internal/core/transfer"
	"postroad/internal/service/control/plan"
	"postroad/internal/service/control/rights"
	"postroad/internal/service/control/words"
)

// Secondary is a zone that has its home at another server, as listings show it.
type Secondary struct {
	Domain    string     `json:"domain"`
	Account   account.ID `json:"account"`
	Primary   string     `json:"primary" doc:"Server that has the zone's home"`
	Key       string     `json:"key,omitempty" doc:"TSIG key that it is asked with"`
	Serial    uint32     `json:"serial,omitempty" doc:"Version that is here"`
	Refreshed *time.Time `json:"refreshed,omitempty" doc:"When the primary last said that this is its content; absent: it was never fetched"`
}

func showSecondary(z *transfer.Secondary) Secondary {
	return Secondary{Domain: z.Domain, Account: z.Account, Primary: z.Primary.String(), Key: z.Key}
}

// Secondaries lists the zones in scope that have their home elsewhere.
func (a *Access) Secondaries(ctx context.Context, actor rights.Actor) ([]Secondary, error) {
	all, err := a.Store.Transfers(ctx, actor.Scope)
	if err != nil {
		return nil, err
	}
	out := make([]Secondary, 0, len(all.Secondaries))
	for i := range all.Secondaries {
		s := showSecondary(&all.Secondaries[i])
		c, err := a.Store.Copy(ctx, actor.Scope, s.Domain)
		if err != nil && !errors.Is(err, words.ErrNotFound) {
			return nil, err
		}
		if s.Serial = c.Serial; !c.Refreshed.IsZero() {
			s.Refreshed = &c.Refreshed
		}
		out = append(out, s)
	}
	return out, nil
}

// SecondarySpec is a zone that is to be fetched from another server.
type SecondarySpec struct {
	Domain  string
	Primary string // address, and port where it is not 53
	Key     string // by name; empty for none
}

// secondary finds the secondary of a domain; nil when there is none.
func (a *Access) secondary(ctx context.Context, domain string) (*transfer.Secondary, error) {
	all, err := a.Store.Transfers(ctx, account.System())
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(all.Secondaries, func(z transfer.Secondary) bool { return z.Domain == domain })
	if i < 0 {
		return nil, nil
	}
	return &all.Secondaries[i], nil
}

// PlanSecondarySet plans that a domain's zone is fetched from another server and answered for.
func (a *Access) PlanSecondarySet(ctx context.Context, actor rights.Actor, spec SecondarySpec) (plan.Plan, error) {
	p := a.begin(actor)
	d, err := actor.Domain(a.State, spec.Domain)
	if err != nil {
		return p, err
	}
	if d.Zone == directory.ZoneHosted {
		return p, words.Invalid("The zone of "+words.Show(d.Name)+" has its home here.", "say domain set "+d.Name+" --zone external first; what is in it is kept for later")
	}
	z := transfer.Secondary{Domain: d.Name, Account: d.Account, Operator: actor.Operator}
	if z.Primary, err = server(actor, spec.Primary); err != nil {
		return p, err
	}
	if z.Key, err = a.key(ctx, actor, spec.Key, d.Account); err != nil {
		return p, err
	}
	old, err := a.secondary(ctx, d.Name)
	if err != nil {
		return p, err
	}
	c := plan.Change{Kind: plan.KindSecondary, Verb: plan.VerbAdd, Subject: d.Name, Domain: d.Name, Account: d.Account, After: showSecondary(&z)}
	if old != nil {
		if old.Primary == z.Primary && old.Key == z.Key {
			return p, nil
		}
		c.Verb, c.Before = plan.VerbSet, showSecondary(old)
		p.Asks = true
	}
	p.Tx.PutTransfers.Secondaries = []transfer.Secondary{z}
	p.Record(c)
	p.Say("The zone of %s is fetched from %s and answered for here, as a secondary.", words.Show(d.Name), z.Primary)
	if z.Key == "" {
		p.Say("Nothing but the address shows that it is the primary: a TSIG key is better.")
	}
	p.Say("Have the primary tell this server of changes (NOTIFY) and allow it to fetch the zone.")
	if !d.Proved {
		p.Say("Nothing of it but SOA and NS is answered until the domain's ownership is shown.")
	}
	return p, nil
}

// PlanSecondaryRemove plans that a domain's zone is no longer fetched and answered for.
func (a *Access) PlanSecondaryRemove(ctx context.Context, actor rights.Actor, domain string) (plan.Plan, error) {
	p := a.begin(actor)
	d, err := actor.Domain(a.State, domain)
	if err != nil {
		return p, err
	}
	old, err := a.secondary(ctx, d.Name)
	if err != nil {
		return p, err
	}
	if old == nil {
		return p, words.Missing("The zone of " + words.Show(d.Name) + " is not served as a secondary.")
	}
	p.Tx.Remove = []plan.Removal{{Kind: plan.KindSecondary, ID: d.Name}}
	p.Record(plan.Change{Kind: plan.KindSecondary, Verb: plan.VerbRemove, Subject: d.Name, Domain: d.Name, Account: d.Account, Before: showSecondary(old)})
	p.Warn("Our name servers no longer answer for %s: others must.", words.Show(d.Name))
	return p, nil
}

// Hosting refuses that a zone gets its home here while it is served as a secondary; old is nil for a new domain.
func (a *Access) Hosting(ctx context.Context, old, d *directory.Domain) error {
	if d.Zone != directory.ZoneHosted || old == nil || old.Zone == directory.ZoneHosted {
		return nil
	}
	z, err := a.secondary(ctx, d.Name)
	if err != nil || z == nil {
		return err
	}
	return words.Invalid("The zone of "+words.Show(d.Name)+" has its home at "+z.Primary.String()+".", "say secondary remove "+d.Name+" first")
}

// Written refuses a change of the records of a zone that has its home elsewhere.
func (a *Access) Written(ctx context.Context, d *directory.Domain) error {
	z, err := a.secondary(ctx, d.Name)
	if err != nil || z == nil {
		return err
	}
	return words.Invalid("The zone of "+words.Show(d.Name)+" has its home at "+z.Primary.String()+" and is only served here: what is written here would be lost with the next transfer.", "change it there")
}

// Catalog is a catalog zone as listings show it.
type Catalog struct {
	Name    string     `json:"name"`
	Account account.ID `json:"account"`
	Every   bool       `json:"every" doc:"It lists the zones of all accounts"`
}

// Catalogs lists the catalogs in scope.
func (a *Access) Catalogs(ctx context.Context, actor rights.Actor) ([]Catalog, error) {
	all, err := a.Store.Transfers(ctx, actor.Scope)
	out := make([]Catalog, 0, len(all.Catalogs))
	for _, c := range all.Catalogs {
		out = append(out, Catalog(c))
	}
	return out, err
}

// CatalogSpec is a wanted catalog.
type CatalogSpec struct {
	Name    string
	Account string // by id or name: it lists the zones of that account; empty: the actor's, for the operator those of all
}

// PlanCatalogOn plans a catalog of the zones that are hosted here.
func (a *Access) PlanCatalogOn(ctx context.Context, actor rights.Actor, spec CatalogSpec) (plan.Plan, error) {
	p := a.begin(actor)
	label, err := name("catalog", spec.Name)
	if err != nil {
		return p, err
	}
	owner, err := actor.Account(a.State, spec.Account)
	if err != nil {
		return p, err
	}
	c := transfer.Catalog{Name: label, Account: owner, Every: spec.Account == "" && actor.Operator}
	if _, taken := a.State.Directory.Domain(label); taken {
		return p, words.Exists("The name "+label+" is a domain's: a catalog needs one of its own.", "choose a name such as catalog.invalid")
	}
	if err := a.ownName(actor, label); err != nil {
		return p, err
	}
	all, err := a.Store.Transfers(ctx, account.System())
	if err != nil {
		return p, err
	}
	for _, old := range all.Catalogs {
		switch {
		case old.Name != label:
		case old == c:
			return p, nil
		default:
			return p, words.Exists("There is a catalog "+label+" already.", "choose another name, or end that one first")
		}
	}
	p.Tx.PutTransfers.Catalogs = []transfer.Catalog{c}
	p.Record(plan.Change{Kind: plan.KindCatalog, Verb: plan.VerbAdd, Subject: label, Account: owner, After: Catalog(c)})
	if c.Every {
		p.Say("The catalog %s lists every zone that is hosted here.", label)
	} else {
		p.Say("The catalog %s lists every zone of the account %s that is hosted here.", label, a.State.Accounts[owner].Name)
	}
	p.Say("Nobody has it yet: transfer allow %s names who may, and they may have the zones in it too.", label)
	return p, nil
}

// ownName refuses a name that the zone of somebody else's domain could have.
func (a *Access) ownName(actor rights.Actor, label string) error {
	if actor.Operator || strings.HasSuffix(label, ".invalid") {
		return nil
	}
	for up, more := label, true; more; {
		if _, up, more = strings.Cut(up, "."); !more {
			break
		}
		if d, there := a.State.Directory.Domain(up); there {
			if err := actor.MustOwn(d.Account, "domain", words.Show(up)); err != nil || d.Proved {
				return err
			}
			break
		}
	}
	return words.Denied("A catalog is named below a proved domain of the account, or ends in .invalid.")
}

// PlanCatalogOff plans the end of a catalog, and of what its peers may have by it.
func (a *Access) PlanCatalogOff(ctx context.Context, actor rights.Actor, text string) (plan.Plan, error) {
	p := a.begin(actor)
	mine, err := a.Store.Transfers(ctx, actor.Scope)
	if err != nil {
		return p, err
	}
	label := strings.ToLower(strings.TrimSuffix(text, "."))
	i := slices.IndexFunc(mine.Catalogs, func(c transfer.Catalog) bool { return c.Name == label })
	if i < 0 {
		return p, words.Missing("There is no catalog " + words.Quote(label) + ".")
	}
	c := mine.Catalogs[i]
	p.Record(plan.Change{Kind: plan.KindCatalog, Verb: plan.VerbRemove, Subject: label, Account: c.Account, Before: Catalog(c)})
	for j := range mine.Peers {
		if peer := &mine.Peers[j]; peer.Zone == label {
			p.Tx.Remove = append(p.Tx.Remove, plan.Removal{Kind: plan.KindTransfer, ID: peer.ID})
			p.Record(plan.Change{Kind: plan.KindTransfer, Verb: plan.VerbRemove, Subject: label, Account: c.Account, Before: showPeer(peer)})
		}
	}
	p.Tx.Remove = append(p.Tx.Remove, plan.Removal{Kind: plan.KindCatalog, ID: label})
	p.Warn("Secondaries that go by the catalog %s drop its zones, unless they are named to them otherwise.", label)
	return p, nil
}
