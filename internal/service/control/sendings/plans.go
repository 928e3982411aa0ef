package sendings

import (
	"fmt"
	"strconv"
	"strings"

	"postroad/internal/core/account"
	"postroad/internal/core/sending"
	"postroad/internal/service/control/plan"
	"postroad/internal/service/control/rights"
	"postroad/internal/service/control/undo"
	"postroad/internal/service/control/words"
)

// Named is a sender as people name it.
type Named struct {
	Kind    sending.Kind
	Name    string // address of a login, name of a domain, id or name of an account
	Account string // id or name of the login's or the domain's account; empty for the one that has it
}

// Limits are limits as people choose them: a number of recipients; nil leaves what is chosen.
type Limits struct {
	Hour, Day *int64
}

// The limits that are no number of recipients.
const (
	Unlimited int64 = 0
	Unchosen  int64 = -1 // what holds when nothing is chosen
)

const (
	maxLimit  = 1_000_000_000
	maxReason = 200 // octets of the reason of a pause
)

// find finds a sender in the actor's scope: a mailbox, a domain or an account that is here, or one that is not here any more
// and of which something was decided.
func find(actor rights.Actor, st *rights.State, n Named) (sending.Key, error) {
	owner, err := n.owner(actor, st)
	if err != nil {
		return sending.Key{}, err
	}
	switch n.Kind {
	case sending.Login:
		at, err := rights.OwnAddress(n.Name)
		if err != nil {
			return sending.Key{}, err
		}
		if m, ok := st.Directory.Mailbox(at.Domain, at.Local); ok && actor.Scope.Has(m.Account) && (owner == "" || owner == m.Account) {
			return sending.KeysOf(m.Account, m.Address())[0], nil
		}
		return remembered(actor, st, sending.Key{Account: owner, Kind: n.Kind, ID: at.String()}, "mailbox "+at.String())
	case sending.Domain:
		name, err := words.DomainName(n.Name)
		if err != nil {
			return sending.Key{}, err
		}
		if d, ok := st.Directory.Domain(name); ok && actor.Scope.Has(d.Account) && (owner == "" || owner == d.Account) {
			return sending.KeyOfDomain(d.Account, d.Name), nil
		}
		return remembered(actor, st, sending.Key{Account: owner, Kind: n.Kind, ID: name}, "domain "+words.Show(name))
	case sending.Account:
		return sending.KeyOfAccount(owner), nil
	}
	return sending.Key{}, words.Invalid("The kind of sender is "+words.Quote(string(n.Kind))+".", "login, domain or account")
}

// owner is the account that is named; empty when none is.
func (n Named) owner(actor rights.Actor, st *rights.State) (account.ID, error) {
	ref := n.Account
	if n.Kind == sending.Account {
		ref = n.Name
	}
	if ref == "" && n.Kind != sending.Account {
		return "", nil
	}
	if a, ok := st.Account(ref); ok && actor.Scope.Has(a.ID) {
		return a.ID, nil
	}
	return "", words.Missing("There is no account " + words.Quote(ref) + ".")
}

// remembered finds what was decided of a sender that is not here any more; an empty account is any in scope.
func remembered(actor rights.Actor, st *rights.State, k sending.Key, thing string) (sending.Key, error) {
	var found []sending.Key
	for r := range st.Directory.SendingRules() {
		if r.Kind == k.Kind && r.ID == k.ID && actor.Scope.Has(r.Account) && (k.Account == "" || k.Account == r.Account) {
			found = append(found, r.Key)
		}
	}
	switch len(found) {
	case 0:
		return sending.Key{}, words.Missing("There is no " + thing + ".")
	case 1:
		return found[0], nil
	}
	return sending.Key{}, words.Invalid("The "+thing+" was one of several accounts.", "name the account that is meant")
}

// name is a sender as sentences name it.
func name(st *rights.State, k sending.Key) string {
	switch k.Kind {
	case sending.Domain:
		return "the domain " + words.Show(k.ID)
	case sending.Account:
		if a, ok := st.Accounts[k.Account]; ok {
			return "the account " + a.Name
		}
	case sending.Login:
	}
	return k.ID
}

func begin(s string) string { return strings.ToUpper(s[:1]) + s[1:] }

// sentence is how sentences begin that tell of a sender; an address keeps its spelling.
func sentence(st *rights.State, k sending.Key) string {
	if k.Kind == sending.Login {
		return k.ID
	}
	return begin(name(st, k))
}

// PlanSet plans other limits of a sender. What the operator chooses takes the place of the installation's limits; what the
// sender's account chooses holds where it is less.
func PlanSet(counter Counter, actor rights.Actor, st *rights.State, n Named, set Limits) (plan.Plan, error) {
	p := plan.New(st.Directory.Version(), actor)
	k, err := find(actor, st, n)
	if err != nil {
		return plan.Plan{}, err
	}
	old := st.Directory.SendingRule(k)
	next, installation := old, limitsOf(counter, k.Kind)
	if err := choose(actor, &next, set, installation); err != nil {
		return plan.Plan{}, err
	}
	if next.Given.Same(old.Given) && next.Own.Same(old.Own) {
		return p, nil
	}
	record(&p, st, &old, &next)
	l := next.Limits(installation)
	p.Say("%s may send to %s in an hour and to %s in a day, from the next recipient on.", sentence(st, k), recipients(l.Hour), recipients(l.Day))
	return p, nil
}

func recipients(limit int64) string {
	if limit == 0 {
		return "any number of recipients"
	}
	return words.Plural(limit, "recipient", "recipients")
}

// limitsOf are the installation's for a kind of sender.
func limitsOf(counter Counter, kind sending.Kind) sending.Limits {
	if counter == nil {
		return sending.Limits{}
	}
	return counter.Limits(kind)
}

// choose puts limits into a rule: those of the operator, or those of the account, which are none above what it is given.
func choose(actor rights.Actor, r *sending.Rule, set Limits, installation sending.Limits) error {
	allowed := r.Allowed(installation)
	for _, c := range []struct {
		wanted     *int64
		given, own **int64
		allowed    int64
		window     string
	}{
		{set.Hour, &r.Given.Hour, &r.Own.Hour, allowed.Hour, "an hour"}, {set.Day, &r.Given.Day, &r.Own.Day, allowed.Day, "a day"},
	} {
		if c.wanted == nil {
			continue
		}
		n := *c.wanted
		if n < Unchosen || n > maxLimit {
			return words.Invalid("The limit is "+strconv.FormatInt(n, 10)+".", fmt.Sprintf("1 to %d recipients, 0 for no limit, -1 for what holds when nothing is chosen", maxLimit))
		}
		to := c.own
		if actor.Operator {
			to = c.given
		}
		switch {
		case n == Unchosen:
			*to = nil
			continue
		case !actor.Operator && c.allowed > 0 && (n > c.allowed || n == Unlimited):
			return words.Denied(fmt.Sprintf("The operator allows %s in %s here; an account chooses no more than that.", recipients(c.allowed), c.window))
		case !actor.Operator && n == Unlimited:
			*to = nil
			continue
		}
		*to = &n
	}
	return nil
}

// PlanPause plans that a sender may send nothing for now. What the program pauses stays as it is where somebody has paused it
// before.
func PlanPause(actor rights.Actor, st *rights.State, n Named, pause sending.Pause) (plan.Plan, error) {
	p := plan.New(st.Directory.Version(), actor)
	k, err := find(actor, st, n)
	if err != nil {
		return plan.Plan{}, err
	}
	if len(pause.Reason) > maxReason || !words.Visible(pause.Reason) {
		return plan.Plan{}, words.Invalid("The reason is "+words.Quote(pause.Reason)+".", "one line of visible characters, at most 200 octets")
	}
	old := st.Directory.SendingRule(k)
	next := old
	if old.Pause != nil {
		if pause.By == sending.ByLimit || old.Pause.By == pause.By && old.Pause.Reason == pause.Reason {
			return p, nil
		}
		pause.Since = old.Pause.Since
	}
	next.Pause = &pause
	if err := mayPause(actor, st, &old, &next); err != nil {
		return plan.Plan{}, err
	}
	record(&p, st, &old, &next)
	if k.Kind == sending.Login {
		p.Say("%s may send nothing until it is resumed; its user goes on reading mail.", k.ID)
	} else {
		p.Say("No login of %s may send anything until it is resumed; users go on reading mail.", name(st, k))
	}
	p.Say("What was sent and is still in the queue is held until then.")
	return p, nil
}

// PlanResume plans that a sender may send again.
func PlanResume(actor rights.Actor, st *rights.State, n Named) (plan.Plan, error) {
	p := plan.New(st.Directory.Version(), actor)
	k, err := find(actor, st, n)
	if err != nil {
		return plan.Plan{}, err
	}
	old := st.Directory.SendingRule(k)
	next := old
	next.Pause = nil
	wider, still := wider(st, k)
	if old.Pause == nil {
		if still {
			return plan.Plan{}, words.Invalid(sentence(st, k)+" is not paused by itself: "+name(st, wider)+" is.", "resume that with sending resume")
		}
		return p, nil
	}
	if err := mayPause(actor, st, &old, &next); err != nil {
		return plan.Plan{}, err
	}
	record(&p, st, &old, &next)
	if still {
		p.Say("%s is not paused by itself any more, but sends nothing as long as %s is paused.", sentence(st, k), name(st, wider))
	} else {
		p.Say("%s may send again, and what was held of its mail for the pause goes on its way.", sentence(st, k))
	}
	return p, nil
}

// wider is a sender that a sender is part of and that is paused.
func wider(st *rights.State, k sending.Key) (sending.Key, bool) {
	of := k.Domain()
	if k.Kind == sending.Domain {
		of = ""
	}
	rule, paused := st.Directory.DomainPausedFor(k.Account, of)
	return rule.Key, paused && rule.Key != k
}

// mayPause refuses others than the operator what the operator has paused, and a pause in the operator's name.
func mayPause(actor rights.Actor, st *rights.State, old, next *sending.Rule) error {
	for _, p := range []*sending.Pause{old.Pause, next.Pause} {
		if p != nil && p.By == sending.ByOperator && !old.Pause.Same(next.Pause) {
			return actor.MustOperate("change that " + name(st, old.Key) + " is paused: the operator has paused it")
		}
	}
	return nil
}

// PlanBack plans that a sender's rule becomes what it was.
func PlanBack(actor rights.Actor, st *rights.State, was *undo.Sender) (plan.Plan, error) {
	p := plan.New(st.Directory.Version(), actor)
	next := was.Rule()
	if err := actor.MustOwn(next.Account, string(next.Kind), next.ID); err != nil {
		return plan.Plan{}, err
	}
	old := st.Directory.SendingRule(next.Key)
	if !old.Given.Same(next.Given) {
		if err := actor.MustOperate("change what the operator has chosen for " + name(st, old.Key)); err != nil {
			return plan.Plan{}, err
		}
	}
	if err := mayPause(actor, st, &old, &next); err != nil {
		return plan.Plan{}, err
	}
	record(&p, st, &old, &next)
	if !old.Given.Same(next.Given) || !old.Own.Same(next.Own) {
		p.Say("The limits of %s are what they were.", name(st, old.Key))
	}
	switch {
	case old.Pause.Same(next.Pause):
	case next.Pause == nil:
		p.Say("%s may send again, and what was held of its mail for the pause goes on its way.", sentence(st, old.Key))
	default:
		p.Say("%s is paused as it was: what it sends is held until it is resumed.", sentence(st, old.Key))
	}
	return p, nil
}

func record(p *plan.Plan, st *rights.State, old, next *sending.Rule) {
	p.Tx.PutSenders = []sending.Rule{*next}
	p.Delta.PutSenders = p.Tx.PutSenders
	p.Asks = true
	subject := old.ID
	if a, ok := st.Accounts[old.Account]; ok && old.Kind == sending.Account {
		subject = a.Name
	}
	p.Record(plan.Change{
		Kind: plan.KindSending, Verb: plan.VerbSet, Subject: subject, Domain: old.Domain(), Account: old.Account, Before: undo.ShowSender(old), After: undo.ShowSender(next),
	})
}
