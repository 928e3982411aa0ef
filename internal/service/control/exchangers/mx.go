package exchangers

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"sync"

	"postroad/internal/core/directory"
	"postroad/internal/core/facts"
	"postroad/internal/core/finding"
	"postroad/internal/core/routing"
	"postroad/internal/core/zone"
	"postroad/internal/service/control/plan"
	"postroad/internal/service/control/rights"
	"postroad/internal/service/control/sets"
	"postroad/internal/service/control/words"
)

// Typed is an exchanger as somebody types it.
type Typed struct {
	Host       string
	Preference *int // nil: left to us
}

// Asking is how a change is asked for.
type Asking struct {
	// Confirmed: whoever asks has seen the plan, or wants none. Public DNS is not asked then what it says of hosts elsewhere.
	Confirmed bool
}

// PlanAdd plans one more exchanger for a name.
func (a *Access) PlanAdd(ctx context.Context, actor rights.Actor, st *rights.State, name string, typed Typed, how Asking) (plan.Plan, error) {
	at, err := a.find(ctx, actor, st, name)
	if err != nil {
		return plan.Plan{}, err
	}
	preference := zone.DefaultPreference
	if typed.Preference != nil {
		preference = *typed.Preference
	}
	x, err := a.typing(st, &at).Exchanger(typed.Host, preference)
	if err != nil {
		return plan.Plan{}, fault(err)
	}
	c := a.begin(ctx, actor, st, at, how)
	if slices.ContainsFunc(c.before, func(other zone.Exchanger) bool { return other.Host == x.Host }) {
		return plan.Plan{}, words.Exists("The exchanger "+x.Host+" is there already.", "postroad mx edit "+at.name()+" "+x.Host+" changes it")
	}
	list := append(slices.DeleteFunc(slices.Clone(c.before), zone.Exchanger.Null), x.Exchanger)
	return c.finish(plan.VerbAdd, list, x)
}

// PlanEdit plans another preference or another host for an exchanger.
func (a *Access) PlanEdit(ctx context.Context, actor rights.Actor, st *rights.State, name, host string, to Typed, how Asking) (plan.Plan, error) {
	at, err := a.find(ctx, actor, st, name)
	if err != nil {
		return plan.Plan{}, err
	}
	c := a.begin(ctx, actor, st, at, how)
	if !at.hosted {
		return c.elsewhere()
	}
	is, err := c.named(host)
	if err != nil {
		return plan.Plan{}, err
	}
	want := zone.ExchangerTyped{Exchanger: is}
	preference := int(is.Preference)
	if to.Preference != nil {
		preference = *to.Preference
	}
	if to.Host == "" {
		to.Host = is.Host + "."
	}
	if want, err = a.typing(st, &at).Exchanger(to.Host, preference); err != nil {
		return plan.Plan{}, fault(err)
	}
	if want.Host != is.Host && slices.ContainsFunc(c.before, func(x zone.Exchanger) bool { return x.Host == want.Host }) {
		return plan.Plan{}, words.Exists("The exchanger "+want.Host+" is there already.", "remove one of the two")
	}
	list := slices.DeleteFunc(slices.Clone(c.before), func(x zone.Exchanger) bool { return x.Host == is.Host })
	return c.finish(plan.VerbSet, append(list, want.Exchanger), want)
}

// PlanRemove plans the end of an exchanger.
func (a *Access) PlanRemove(ctx context.Context, actor rights.Actor, st *rights.State, name, host string, how Asking) (plan.Plan, error) {
	at, err := a.find(ctx, actor, st, name)
	if err != nil {
		return plan.Plan{}, err
	}
	c := a.begin(ctx, actor, st, at, how)
	if !at.hosted {
		return c.elsewhere()
	}
	is, err := c.named(host)
	if err != nil {
		return plan.Plan{}, err
	}
	return c.finish(plan.VerbRemove, slices.DeleteFunc(slices.Clone(c.before), func(x zone.Exchanger) bool { return x.Host == is.Host }))
}

// PlanReplace plans that a name has these exchangers and no others, in one step. Without any it takes no mail: the null
// MX.
func (a *Access) PlanReplace(ctx context.Context, actor rights.Actor, st *rights.State, name string, typed []Typed, how Asking) (plan.Plan, error) {
	at, err := a.find(ctx, actor, st, name)
	if err != nil {
		return plan.Plan{}, err
	}
	all, err := a.read(st, &at, typed)
	if err != nil {
		return plan.Plan{}, err
	}
	list := make([]zone.Exchanger, 0, len(all))
	for _, x := range all {
		list = append(list, x.Exchanger)
	}
	c := a.begin(ctx, actor, st, at, how)
	return c.finish(plan.VerbSet, list, all...)
}

// PlanBack plans that a name has the exchangers again that it had, if they are still those that a change left.
func (a *Access) PlanBack(ctx context.Context, actor rights.Actor, st *rights.State, was, left sets.Records) (plan.Plan, error) {
	at, err := a.find(ctx, actor, st, was.Owner)
	if err != nil {
		return plan.Plan{}, err
	}
	c := a.begin(ctx, actor, st, at, Asking{})
	if !at.hosted || !slices.Equal(c.before, left.Exchangers) {
		return plan.Plan{}, &words.RefusedError{
			Err: words.ErrInUse, Sentence: "The change cannot be undone: the exchangers of " + words.Show(at.name()) + " have changed since.",
			Hint: "undo the later changes first, or make the change that you want instead",
		}
	}
	return c.finish(plan.VerbSet, slices.Clone(was.Exchangers))
}

// read reads a list of exchangers for a place; of none at all it makes the null MX.
func (a *Access) read(st *rights.State, at *place, typed []Typed) ([]zone.ExchangerTyped, error) {
	texts := make([]string, 0, len(typed))
	for _, x := range typed {
		text := x.Host
		if x.Preference != nil {
			text += ":" + strconv.Itoa(*x.Preference)
		}
		texts = append(texts, text)
	}
	if len(texts) == 0 {
		texts = []string{zone.None}
	}
	all, err := a.typing(st, at).List(texts)
	return all, fault(err)
}

// changing is a change of the exchangers of one name on its way to a plan.
type changing struct {
	*Access
	ctx    context.Context // it lives as long as the call that makes the plan
	actor  rights.Actor
	st     *rights.State
	at     place
	how    Asking
	before []zone.Exchanger
	p      plan.Plan
}

func (a *Access) begin(ctx context.Context, actor rights.Actor, st *rights.State, at place, how Asking) *changing {
	c := &changing{Access: a, ctx: ctx, actor: actor, st: st, at: at, how: how, p: plan.New(st.Directory.Version(), actor)}
	if at.hosted {
		c.before = at.zone.Exchangers(at.owner)
	}
	return c
}

// named finds the exchanger that somebody names.
func (c *changing) named(host string) (zone.Exchanger, error) {
	x, err := c.typing(c.st, &c.at).Exchanger(host, 0)
	want := x.Host
	switch {
	case host == zone.None:
		want = zone.NullHost
	case err != nil:
		want = host // as it stands, so that what is wrong can be mended
	}
	for _, is := range c.before {
		if is.Host == want || is.Host+"." == want {
			return is, nil
		}
	}
	return zone.Exchanger{}, &words.RefusedError{
		Err: words.ErrNotFound, Sentence: "There is no exchanger " + words.Quote(host) + " of " + words.Show(c.at.name()) + ".", Hint: "its exchangers: " + describe(c.before),
	}
}

// elsewhere is the plan for a zone that is not hosted here: it changes nothing and tells what to enter there.
func (c *changing) elsewhere() (plan.Plan, error) {
	set, ok := c.st.Sets.Shown(c.at.domain.ExchangerSet, c.at.domain.Account)
	c.p.Say("The zone of %s is not hosted here, and nothing is changed here. These are the records to enter where it is:", words.Show(c.at.domain.Name))
	if ok {
		for _, r := range publish(c.at.domain.Name, set.Exchangers, set.SPF) {
			c.p.Say("%s", r.Line)
		}
	}
	c.p.Say("postroad mx list %s shows them part by part.", c.at.domain.Name)
	return c.p, nil
}

// finish makes the plan by which a name has these exchangers and no others. What was typed is told where it was
// completed.
func (c *changing) finish(verb plan.Verb, list []zone.Exchanger, typed ...zone.ExchangerTyped) (plan.Plan, error) {
	if !c.at.hosted {
		return c.elsewhere()
	}
	if err := c.at.zone.Owner(c.at.owner); err != nil && len(list) > 0 {
		return plan.Plan{}, fault(err)
	}
	zone.SortExchangers(list)
	if len(list) > zone.MaxExchangers {
		return plan.Plan{}, words.Invalid("There would be "+strconv.Itoa(len(list))+" exchangers.", "at most "+strconv.Itoa(zone.MaxExchangers))
	}
	if slices.Equal(list, c.before) {
		c.p.Say("The exchangers of %s are so already: %s.", words.Show(c.at.name()), describe(list))
		return c.p, nil
	}
	z, err := c.at.zone.WithExchangers(c.at.owner, list)
	if err != nil {
		return plan.Plan{}, err
	}
	putZone(&c.p, z)
	c.p.Record(change(verb, &c.at, c.before, list))
	for _, x := range typed {
		if x.Completed {
			c.p.Say("The name is completed to %s.", x.Host)
		}
	}
	c.p.Say("The exchangers of %s: %s. Before: %s.", words.Show(c.at.name()), describe(list), describe(c.before))
	if verb == plan.VerbSet && len(c.before) > 0 {
		c.p.Asks = true
	}
	if c.at.name() != c.at.domain.Name {
		c.p.Say("They are those of addresses at %s alone.", words.Show(c.at.name()))
	}
	c.judge(&z, list)
	return c.p, nil
}

// change is a change of the exchangers of one name.
func change(verb plan.Verb, at *place, before, after []zone.Exchanger) plan.Change {
	return plan.Change{
		Kind: plan.KindMX, Verb: verb, Subject: at.name(), Domain: at.domain.Name, Account: at.domain.Account,
		Before: sets.Records{Owner: at.name(), Exchangers: append([]zone.Exchanger{}, before...)}, After: sets.Records{Owner: at.name(), Exchangers: append([]zone.Exchanger{}, after...)},
	}
}

// judge warns of what the exchangers mean for mail.
func (c *changing) judge(z *zone.Zone, list []zone.Exchanger) {
	name := words.Show(c.at.name())
	switch {
	case len(list) == 0:
		rule := "it has no address, so that senders cannot deliver at all"
		if z.Addressed(c.at.owner) {
			rule = "senders then go to the address of " + name + " itself, by its A and AAAA records"
		}
		c.p.Warn("%s: %s has no exchanger any more. Without MX records the implicit rule holds (RFC 5321 §5.1): %s. "+
			"To say that it takes no mail: postroad mx replace %s none", finding.MXNone, name, rule, c.at.name())
		return
	case list[0].Null():
		c.p.Warn("%s: nobody sends mail to %s any more: senders give up at once (RFC 7505).", finding.NullMX, name)
		return
	case len(c.before) == 1 && c.before[0].Null():
		c.p.Say("The null MX goes: %s takes mail again.", name)
	}
	answers := c.ask(z, list)
	for _, x := range list {
		if name := fairness(z, x.Host, answers[x.Host]); name != "" {
			c.p.Warn("%s", warning(name, x.Host))
		}
	}
	c.foresee(list, answers)
}

// known is what is known of a host.
type known struct {
	addrs  []netip.Addr
	answer facts.AddrAnswer
	ok     bool
}

// ask learns the addresses of exchangers, all at once.
func (c *changing) ask(z *zone.Zone, list []zone.Exchanger) map[string]known {
	ctx, cancel := context.WithTimeout(c.ctx, lookUpTime)
	defer cancel()
	out := make(map[string]known, len(list))
	var mu sync.Mutex
	var wg sync.WaitGroup
	for _, x := range list {
		wg.Go(func() {
			var k known
			k.addrs, k.answer, k.ok = c.addresses(ctx, z, x.Host, !c.how.Confirmed)
			mu.Lock()
			defer mu.Unlock()
			out[x.Host] = k
		})
	}
	wg.Wait()
	return out
}

// fairness names what is wrong with a host as an exchanger; empty when nothing is, as far as is known.
func fairness(z *zone.Zone, host string, k known) finding.Name {
	if name, inside := z.Target(host); inside {
		return name
	}
	switch {
	case k.answer.Alias:
		return finding.MXTargetCNAME
	case k.answer.Status == facts.NXDomain:
		return finding.MXTargetNXDomain
	case k.answer.Status == facts.NoData:
		return finding.MXTargetNoAddress
	}
	return ""
}

// warning tells what is wrong with a host, with the fix.
func warning(name finding.Name, host string) string {
	f := zone.TargetFault(name, host)
	return fmt.Sprintf("%s: %s Do this: %s.", f.Finding, f.Sentence, f.Hint)
}

// foresee tells what becomes of the domain's mail once senders go by the exchangers.
func (c *changing) foresee(list []zone.Exchanger, answers map[string]known) {
	d := c.at.domain
	if !d.Proved || !c.at.apex() {
		return
	}
	x := facts.ExchangersAnswer{MX: facts.MXAnswer{Name: d.Name, Status: facts.Found}, Addrs: map[string]facts.AddrAnswer{}}
	here, all := false, true
	for _, e := range list {
		k := answers[e.Host]
		status := facts.Found
		switch {
		case !k.ok:
			status, all = facts.Temporary, false
		case len(k.addrs) == 0:
			status = facts.NoData
		}
		here = here || slices.ContainsFunc(k.addrs, func(addr netip.Addr) bool { return c.Answers(addr.Unmap()) })
		x.MX.Records = append(x.MX.Records, facts.MX{Preference: e.Preference, Host: e.Host})
		x.Addrs[e.Host] = facts.AddrAnswer{Name: e.Host, Status: status, Addrs: k.addrs}
	}
	switch {
	case d.Mode == directory.ModeAuto:
		c.follow(x)
	case all && !here && len(d.Gateways) == 0 && d.Keeps():
		c.p.Warn("None of these exchangers is this installation: mail for %s will go elsewhere, and its mailboxes here get none.", words.Show(d.Name))
	}
}

// follow tells what the mode of a domain of mode auto becomes once public DNS says this, with the routes that alters.
func (c *changing) follow(x facts.ExchangersAnswer) {
	mode, _, ok := routing.AutoMode(x, c.Answers)
	d := *c.at.domain
	switch {
	case !ok:
		c.p.Say("The mode of %s is auto; what it becomes by these exchangers is not known yet.", words.Show(d.Name))
		return
	case mode == d.Effective():
		return
	}
	c.p.Say("The mode of %s is auto: once public DNS shows this, %s becomes %s.", words.Show(d.Name), d.Effective(), mode)
	d.Auto = mode
	c.p.Foreseen = append(c.p.Foreseen, d)
	altered := c.Altered(c.actor, c.st, directory.Delta{Version: c.st.Directory.Version(), PutDomains: []directory.Domain{d}}, maxAltered)
	if altered.Count == 0 {
		return
	}
	c.p.AlteredRoutes, c.p.Asks = &altered, true
	if altered.Stops > 0 {
		c.p.Warn("Mail that is received now will be refused then, for %s: first of all %s.", words.Plural(int64(altered.Stops), "address", "addresses"), altered.Worst())
	}
}

// maxAltered bounds the altered routes that a plan lists.
const maxAltered = 100
