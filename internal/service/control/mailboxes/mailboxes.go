// Package mailboxes plans mailboxes: their passwords and quotas, and their end with what they hold.
package mailboxes

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"postroad/internal/core/directory"
	"postroad/internal/core/sending"
	"postroad/internal/proto/smtp"
	"postroad/internal/service/control/plan"
	"postroad/internal/service/control/reading"
	"postroad/internal/service/control/rights"
	"postroad/internal/service/control/undo"
	"postroad/internal/service/control/words"
)

// Ways holds the way that mail is to go against what is known of it.
type Ways interface {
	// Loops refuses a plan that would have mail go in a circle from one of the addresses.
	Loops(actor rights.Actor, st *rights.State, p *plan.Plan, changed ...smtp.Address) error
}

// Access is what mailboxes are planned with.
type Access struct {
	Reading *reading.Access // what they hold
	Ways    Ways
	NewID   func() string
}

// Spec is a wanted mailbox.
type Spec struct {
	Address  string
	Password *words.Secret // nil: nobody can log in
	Quota    int64         // octets; 0 without limit
}

// Settings are what can be changed of a mailbox; nil fields are left as they are.
type Settings struct {
	Password *words.Secret
	Quota    *int64
}

// PlanImport plans many new mailboxes; one that is refused refuses all.
func (a *Access) PlanImport(actor rights.Actor, st *rights.State, specs []Spec) (plan.Plan, error) {
	p := plan.New(st.Directory.Version(), actor)
	p.Passwords = map[string]*words.Secret{}
	seen := make(map[smtp.Address]bool, len(specs))
	for i, spec := range specs {
		if err := a.add(&p, actor, st, seen, spec); err != nil {
			var refused *words.RefusedError
			if len(specs) > 1 && errors.As(err, &refused) {
				refused.Entry = i + 1
			}
			return plan.Plan{}, err
		}
	}
	if len(specs) > 3 {
		p.Sentences = []string{"Adds " + words.Plural(int64(len(specs)), "mailbox", "mailboxes") + ", from " + p.Changes[0].Subject + " to " + p.Changes[len(specs)-1].Subject + "."}
	}
	return p, nil
}

func (a *Access) add(p *plan.Plan, actor rights.Actor, st *rights.State, seen map[smtp.Address]bool, spec Spec) error {
	at, err := rights.OwnAddress(spec.Address)
	if err != nil {
		return err
	}
	d, err := actor.Domain(st, at.Domain)
	if err != nil {
		return err
	}
	_, taken := st.Directory.Mailbox(at.Domain, at.Local)
	if taken || seen[at] {
		return words.Exists("There is a mailbox "+at.String()+" already.", "")
	}
	seen[at] = true
	if r, ruled := st.Directory.Rule(at.Domain, at.Local); ruled {
		if r.Kind != directory.RuleForward {
			return words.Exists("The address "+at.String()+" is "+words.Article(string(r.Kind))+".", "remove it first")
		}
		if !r.Keep {
			p.Say("Mail for %s is forwarded and not kept; the mailbox gets none.", at.String())
		}
	}
	if err := Check(actor, spec.Password, spec.Quota); err != nil {
		return err
	}
	m := directory.Mailbox{ID: a.NewID(), Account: d.Account, Domain: d.Name, Local: at.Local, Quota: spec.Quota}
	info := undo.ShowMailbox(&m)
	p.Say("Adds the mailbox %s.", at.String())
	if spec.Password != nil {
		p.Passwords[m.ID] = spec.Password
		info.Password = "set"
	} else {
		p.Say("Nobody can log in to it until it has a password.")
	}
	if rule, paused := st.Directory.PausedFor(m.Account, m.Address()); paused {
		p.Say("%s", rule.StillPaused())
	}
	if !d.Keeps() {
		p.Say("It gets no mail while the domain's mode is %s, but at its routing address.", d.Effective())
	}
	p.Tx.PutMailboxes = append(p.Tx.PutMailboxes, m)
	p.Delta.PutMailboxes = append(p.Delta.PutMailboxes, m)
	p.Record(plan.Change{Kind: plan.KindMailbox, Verb: plan.VerbAdd, Subject: at.String(), Domain: d.Name, Account: d.Account, After: info})
	return nil
}

// Bounds of passwords, in octets. The lower one holds for customers; an operator may take over what users had.
const (
	minPassword = 8
	maxPassword = 1000
)

// Check refuses a password or a quota that no mailbox has.
func Check(actor rights.Actor, password *words.Secret, quota int64) error {
	if quota < 0 {
		return words.Invalid("The quota is negative.", "octets, 0 without limit")
	}
	if password == nil {
		return nil
	}
	n := password.Len()
	if n == 0 || n > maxPassword || (n < minPassword && !actor.Operator) {
		return words.Invalid("The password has "+strconv.Itoa(n)+" octets.", fmt.Sprintf("%d to %d", minPassword, maxPassword))
	}
	return nil
}

// PlanSet plans another password or quota.
func (a *Access) PlanSet(actor rights.Actor, st *rights.State, address string, set Settings) (plan.Plan, error) {
	p := plan.New(st.Directory.Version(), actor)
	old, err := actor.Mailbox(st, address)
	if err != nil {
		return plan.Plan{}, err
	}
	m := *old
	if set.Quota != nil {
		m.Quota = *set.Quota
	}
	if err := Check(actor, set.Password, m.Quota); err != nil {
		return plan.Plan{}, err
	}
	if m.Quota == old.Quota && set.Password == nil {
		return p, nil
	}
	before, after := undo.ShowMailbox(old), undo.ShowMailbox(&m)
	p.Tx.PutMailboxes = []directory.Mailbox{m}
	p.Delta.PutMailboxes = p.Tx.PutMailboxes
	if set.Password != nil {
		p.Passwords = map[string]*words.Secret{m.ID: set.Password}
		after.Password = "changed"
		p.Say("Changes the password of %s; the old one no longer works.", m.Address())
	}
	if m.Quota != old.Quota {
		p.Say("The quota of %s becomes %s.", m.Address(), quotaWords(m.Quota))
	}
	p.Asks = true
	p.Record(plan.Change{Kind: plan.KindMailbox, Verb: plan.VerbSet, Subject: m.Address(), Domain: m.Domain, Account: m.Account, Before: before, After: after})
	return p, nil
}

func quotaWords(n int64) string {
	if n == 0 {
		return "unlimited"
	}
	return words.Plural(n, "octet", "octets")
}

// PlanRemove plans the end of a mailbox with its messages.
func (a *Access) PlanRemove(ctx context.Context, actor rights.Actor, st *rights.State, address string) (plan.Plan, error) {
	p := plan.New(st.Directory.Version(), actor)
	m, err := actor.Mailbox(st, address)
	if err != nil {
		return plan.Plan{}, err
	}
	held, err := a.Reading.Held(ctx, actor, []string{m.ID})
	if err != nil {
		return plan.Plan{}, err
	}
	p.Remove(plan.KindMailbox, m.ID)
	p.Delta.RemoveMailboxes = []string{m.Address()}
	p.Unboxed = []string{m.ID}
	p.Record(plan.Change{Kind: plan.KindMailbox, Verb: plan.VerbRemove, Subject: m.Address(), Domain: m.Domain, Account: m.Account, Before: undo.ShowMailbox(m)})
	p.Say("Removes the mailbox %s.", m.Address())
	if rule := st.Directory.SendingRule(sending.KeysOf(m.Account, m.Address())[0]); rule.Pause != nil {
		p.Say("Its login stays paused: what it has sent and is held stays held, and whoever adds the mailbox again finds it paused.")
	}
	if held.Messages > 0 {
		p.Warn("%s go with it and cannot be brought back.", words.Plural(held.Messages, "message", "messages"))
	}
	if err := a.Ways.Loops(actor, st, &p, smtp.Address{Local: m.Local, Domain: m.Domain}); err != nil {
		return plan.Plan{}, err
	}
	return p, nil
}
