// Package rules is aliases, forwards, groups and catch-alls: what an address stands for that is no mailbox. Whether a plan
// made here leads in a circle is for whoever asked for it to find out.
package rules

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"postroad/internal/core/directory"
	"postroad/internal/proto/smtp"
	"postroad/internal/service/control/loops"
	"postroad/internal/service/control/plan"
	"postroad/internal/service/control/rights"
	"postroad/internal/service/control/undo"
	"postroad/internal/service/control/words"
)

// Spec is a wanted alias, forward, group or catch-all.
type Spec struct {
	Kind    directory.RuleKind
	Address string   // of the rule; for a catch-all the domain, with or without @
	Targets []string // full addresses
	Keep    bool     // forward only: the mailbox of the same address gets a copy too
	Archive bool     // forward only: the sender is never told of what is sent on
}

// Info is an alias, forward, group or catch-all as listings show it.
type Info = undo.Rule

// maxTargets bounds the targets of one rule.
const maxTargets = 500

// List lists rules of one kind, of one domain or of all in scope (empty), by address.
func List(actor rights.Actor, st *rights.State, kind directory.RuleKind, domain string) ([]Info, error) {
	out := []Info{}
	take := func(d *directory.Domain) {
		for r := range st.Directory.Rules(d.Name) {
			if r.Kind == kind {
				out = append(out, undo.ShowRule(r))
			}
		}
	}
	if domain != "" {
		d, err := actor.Domain(st, domain)
		if err != nil {
			return nil, err
		}
		take(d)
	} else {
		for d := range st.Directory.Domains() {
			if actor.Scope.Has(d.Account) {
				take(d)
			}
		}
	}
	slices.SortFunc(out, func(a, b Info) int { return cmp.Compare(a.Address, b.Address) })
	return out, nil
}

// Show gives one rule of a kind.
func Show(actor rights.Actor, st *rights.State, kind directory.RuleKind, address string) (Info, error) {
	at, _, err := ruleAddress(actor, st, kind, address)
	if err != nil {
		return Info{}, err
	}
	r, ok := st.Directory.Rule(at.Domain, at.Local)
	if !ok || r.Kind != kind {
		return Info{}, words.Missing("There is no " + string(kind) + " " + subject(at) + ".")
	}
	return undo.ShowRule(r), nil
}

// ruleAddress reads the address of a rule and finds its domain in the actor's scope.
func ruleAddress(actor rights.Actor, st *rights.State, kind directory.RuleKind, address string) (smtp.Address, *directory.Domain, error) {
	var at smtp.Address
	if kind == directory.RuleCatchAll {
		name, err := words.DomainName(strings.TrimPrefix(address, "@"))
		if err != nil {
			return at, nil, err
		}
		at.Domain = name
	} else {
		var err error
		if at, err = rights.OwnAddress(address); err != nil {
			return at, nil, err
		}
	}
	d, err := actor.Domain(st, at.Domain)
	return at, d, err
}

func subject(at smtp.Address) string { return at.Local + "@" + at.Domain }

// PlanAdd plans a new alias, forward or group, and gives its address. An address that stands for something already is
// refused.
func PlanAdd(actor rights.Actor, st *rights.State, newID func() string, spec Spec) (plan.Plan, smtp.Address, error) {
	at, _, err := ruleAddress(actor, st, spec.Kind, spec.Address)
	if err != nil {
		return plan.Plan{}, at, err
	}
	if r, taken := st.Directory.Rule(at.Domain, at.Local); taken {
		return plan.Plan{}, at, words.Exists("The address "+subject(at)+" is "+words.Article(string(r.Kind))+" already.", "postroad "+string(r.Kind)+" set changes it")
	}
	p, err := put(actor, st, newID, spec, at, nil)
	return p, at, err
}

// PlanSet plans other targets for an alias, forward or group that exists, and gives its address; a catch-all is made when
// there is none.
func PlanSet(actor rights.Actor, st *rights.State, newID func() string, spec Spec) (plan.Plan, smtp.Address, error) {
	at, _, err := ruleAddress(actor, st, spec.Kind, spec.Address)
	if err != nil {
		return plan.Plan{}, at, err
	}
	old, ok := st.Directory.Rule(at.Domain, at.Local)
	if !ok || old.Kind != spec.Kind {
		if spec.Kind != directory.RuleCatchAll {
			return plan.Plan{}, at, words.Missing("There is no " + string(spec.Kind) + " " + subject(at) + ".")
		}
		old = nil
	}
	p, err := put(actor, st, newID, spec, at, old)
	return p, at, err
}

// put plans a new or changed rule.
func put(actor rights.Actor, st *rights.State, newID func() string, spec Spec, at smtp.Address, old *directory.Rule) (plan.Plan, error) {
	p := plan.New(st.Directory.Version(), actor)
	d, _ := st.Directory.Domain(at.Domain)
	r := directory.Rule{ID: newID(), Account: d.Account, Domain: d.Name, Local: at.Local, Kind: spec.Kind, Keep: spec.Keep, Archive: spec.Archive}
	if old != nil {
		r.ID = old.ID
	}
	if spec.Keep && spec.Kind != directory.RuleForward {
		return plan.Plan{}, words.Invalid("Only a forward keeps a copy.", "")
	}
	if spec.Archive && spec.Kind != directory.RuleForward {
		return plan.Plan{}, words.Invalid("Only a forward sends archive copies.", "")
	}
	if _, boxed := st.Directory.Mailbox(at.Domain, at.Local); boxed && at.Local != "" {
		if spec.Kind != directory.RuleForward {
			return plan.Plan{}, words.Exists("There is a mailbox "+subject(at)+".", "a forward may stand beside a mailbox")
		}
		if !spec.Keep && (old == nil || old.Keep) {
			p.Warn("The mailbox %s gets no mail any more: everything is forwarded and nothing kept.", subject(at))
		}
	}
	var err error
	if r.Targets, err = ruleTargets(&p, actor, st, &r, spec.Targets); err != nil {
		return plan.Plan{}, err
	}
	c := plan.Change{Kind: plan.Kind(r.Kind), Verb: plan.VerbAdd, Subject: r.Address(), Domain: d.Name, Account: d.Account, After: undo.ShowRule(&r)}
	if old != nil {
		if slices.Equal(old.Targets, r.Targets) && old.Keep == r.Keep && old.Archive == r.Archive {
			return p, nil
		}
		c.Verb, c.Before = plan.VerbSet, undo.ShowRule(old)
		p.Asks = true
	}
	p.Tx.PutRules = []directory.Rule{r}
	p.Delta.PutRules = p.Tx.PutRules
	p.Record(c)
	p.Sentences = append([]string{describeRule(&r)}, p.Sentences...)
	return p, nil
}

func describeRule(r *directory.Rule) string {
	to := strings.Join(r.Targets, ", ")
	if len(r.Targets) > 5 {
		to = strings.Join(r.Targets[:5], ", ") + " and " + strconv.Itoa(len(r.Targets)-5) + " more"
	}
	switch r.Kind {
	case directory.RuleAlias:
		return "Mail for " + r.Address() + " goes to " + to + "."
	case directory.RuleForward:
		how := " is sent on to " + to + "."
		if r.Keep {
			how = " is kept and also sent on to " + to + "."
		}
		if r.Archive {
			how += " That is an archive copy: its sender is told nothing of it."
		}
		return "Mail for " + r.Address() + how
	case directory.RuleGroup:
		return "Mail for the group " + r.Address() + " goes to " + to + "."
	case directory.RuleCatchAll:
		return "Mail for every address of " + words.Show(r.Domain) + " that is nothing else goes to " + to + "."
	}
	return ""
}

// ruleTargets reads a rule's targets, each of them once, and tells what of them leads nowhere yet.
func ruleTargets(p *plan.Plan, actor rights.Actor, st *rights.State, r *directory.Rule, list []string) ([]string, error) {
	if len(list) == 0 {
		return nil, words.Invalid("There is no target.", "name at least one address")
	}
	if len(list) > maxTargets {
		return nil, words.Invalid("There are "+strconv.Itoa(len(list))+" targets.", "at most "+strconv.Itoa(maxTargets))
	}
	out := make([]string, 0, len(list))
	for _, text := range list {
		to, ours, err := rights.TargetAddress(st.Directory, text)
		if err != nil {
			return nil, err
		}
		if slices.Contains(out, to.String()) {
			continue
		}
		if r.Kind == directory.RuleAlias && !ours {
			return nil, words.Invalid("The alias would lead to "+to.String()+", which is not hosted here.", "use a forward for addresses elsewhere")
		}
		if ours {
			if err := localTarget(p, actor, st, to); err != nil {
				return nil, err
			}
		}
		out = append(out, to.String())
	}
	return out, nil
}

// localTarget tells when an address of a domain here is nobody's. Of other accounts' domains nothing is told.
func localTarget(p *plan.Plan, actor rights.Actor, st *rights.State, to smtp.Address) error {
	d, ok := st.Directory.Domain(to.Domain)
	if !ok || !actor.Scope.Has(d.Account) || !d.Keeps() {
		return nil
	}
	if strings.ContainsAny(to.Local, "%!@:\"\\/ ") {
		return words.Invalid("The target "+to.String()+" has a character that is not taken here in a local part.", "")
	}
	if _, known := loops.Resolve(st.Directory, to); !known && d.Effective() == directory.ModeLocal {
		p.Say("There is nobody at %s yet.", to.String())
	}
	return nil
}

// PlanRemove plans the end of an alias, forward, group or catch-all, and gives its address.
func PlanRemove(actor rights.Actor, st *rights.State, kind directory.RuleKind, address string) (plan.Plan, smtp.Address, error) {
	p := plan.New(st.Directory.Version(), actor)
	at, d, err := ruleAddress(actor, st, kind, address)
	if err != nil {
		return plan.Plan{}, at, err
	}
	r, ok := st.Directory.Rule(at.Domain, at.Local)
	if !ok || r.Kind != kind {
		return plan.Plan{}, at, words.Missing("There is no " + string(kind) + " " + subject(at) + ".")
	}
	p.Remove(plan.KindRule, r.ID)
	p.Delta.RemoveRules = []string{r.Address()}
	p.Record(plan.Change{Kind: plan.Kind(kind), Verb: plan.VerbRemove, Subject: r.Address(), Domain: d.Name, Account: d.Account, Before: undo.ShowRule(r)})
	p.Say("Removes the %s %s, which leads to %s.", kind, r.Address(), strings.Join(r.Targets, ", "))
	return p, at, nil
}
