package mailboxes

import (
	"slices"
	"strings"
	"time"

	"postroad/internal/core/directory"
	"postroad/internal/core/finding"
	"postroad/internal/service/control/plan"
	"postroad/internal/service/control/rights"
	"postroad/internal/service/control/undo"
	"postroad/internal/service/control/words"
)

// maxReason bounds the reason of a pause, in octets.
const maxReason = 200

// PlanPause plans that a mailbox's user may send nothing for now. What the program pauses stays as it is where somebody has
// paused it before.
func (a *Access) PlanPause(actor rights.Actor, st *rights.State, address string, pause directory.Pause) (plan.Plan, error) {
	p := plan.New(st.Directory.Version(), actor)
	old, err := actor.Mailbox(st, address)
	if err != nil {
		return plan.Plan{}, err
	}
	if len(pause.Reason) > maxReason || !words.Visible(pause.Reason) {
		return plan.Plan{}, words.Invalid("The reason is "+words.Quote(pause.Reason)+".", "one line of visible characters, at most 200 octets")
	}
	if old.Pause != nil {
		if pause.By == directory.PausedByLimit || old.Pause.By == pause.By && old.Pause.Reason == pause.Reason {
			return p, nil
		}
		if err := mayChange(actor, old); err != nil {
			return plan.Plan{}, err
		}
		pause.Since = old.Pause.Since
	}
	record(&p, old, &pause)
	p.Say("%s may send nothing until it is resumed; its user goes on reading mail.", old.Address())
	p.Say("What it has sent and is still in the queue is held until then.")
	return p, nil
}

// PlanResume plans that a mailbox's user may send again.
func (a *Access) PlanResume(actor rights.Actor, st *rights.State, address string) (plan.Plan, error) {
	p := plan.New(st.Directory.Version(), actor)
	old, err := actor.Mailbox(st, address)
	if err != nil || old.Pause == nil {
		return p, err
	}
	if err := mayChange(actor, old); err != nil {
		return plan.Plan{}, err
	}
	record(&p, old, nil)
	p.Say("%s may send again, and what was held of its mail for the pause goes on its way.", old.Address())
	return p, nil
}

// mayChange refuses others than the operator what the operator has paused.
func mayChange(actor rights.Actor, m *directory.Mailbox) error {
	if m.Pause.By != directory.PausedByOperator {
		return nil
	}
	return actor.MustOperate("change that " + m.Address() + " is paused: the operator has paused it")
}

func record(p *plan.Plan, old *directory.Mailbox, pause *directory.Pause) {
	m := *old
	m.Pause = pause
	p.Tx.PutMailboxes = []directory.Mailbox{m}
	p.Delta.PutMailboxes = p.Tx.PutMailboxes
	p.Asks = true
	p.Record(plan.Change{
		Kind: plan.KindMailbox, Verb: plan.VerbSet, Subject: m.Address(), Domain: m.Domain, Account: m.Account, Before: undo.ShowMailbox(old), After: undo.ShowMailbox(&m),
	})
}

// Pausing gives the findings of domains about logins that the program has paused, and those that are over, as a plan leaves
// them.
func Pausing(p *plan.Plan, st *rights.State, now time.Time) (put, drop []finding.Finding) {
	var touched []string
	touch := func(domain, local string, pause *directory.Pause) {
		old, there := st.Directory.Mailbox(domain, local)
		if (there && !old.Pause.Same(pause) || !there && pause != nil) && !slices.Contains(touched, domain) {
			touched = append(touched, domain)
		}
	}
	for i := range p.Delta.PutMailboxes {
		m := &p.Delta.PutMailboxes[i]
		touch(m.Domain, m.Local, m.Pause)
	}
	for _, address := range p.Delta.RemoveMailboxes {
		at := strings.LastIndexByte(address, '@')
		touch(address[at+1:], address[:at], nil)
	}
	if len(touched) == 0 {
		return nil, nil
	}
	next := st.Directory.With(p.Delta)
	for _, domain := range touched {
		var evidence []string
		for m := range next.Mailboxes(domain) {
			if m.Pause != nil && m.Pause.By == directory.PausedByLimit {
				evidence = append(evidence, m.Address()+": "+m.Pause.Reason)
			}
		}
		slices.Sort(evidence)
		f := finding.Finding{Name: finding.SendingPaused, Domain: domain, Evidence: strings.Join(evidence, "; "), Since: now}
		if len(evidence) > 0 {
			put = append(put, f)
		} else {
			drop = append(drop, f)
		}
	}
	return put, drop
}
