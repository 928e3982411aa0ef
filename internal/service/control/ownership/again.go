package ownership

import (
	"context"
	"strings"
	"time"

	"postroad/internal/core/delegation"
	"postroad/internal/core/directory"
	"postroad/internal/core/finding"
	"postroad/internal/service/control/plan"
	"postroad/internal/service/control/rights"
	"postroad/internal/service/control/settings"
	"postroad/internal/service/control/words"
)

// reproof is how long a proof is believed before it is looked for again, as long as the name servers stay the same.
const reproof = 30 * 24 * time.Hour

// Control makes plans of what this package finds.
type Control struct {
	State func() *rights.State
	// Changed plans that a domain becomes another one, with all that follows for its mail and its zone.
	Changed func(st *rights.State, p plan.Plan, old, d *directory.Domain) (plan.Plan, error)
	// Make makes a plan true, planned anew as often as somebody was faster.
	Make func(plan func() (plan.Plan, error)) error
}

// Prove looks for the proof of a domain's ownership, and plans that the domain counts as proved.
func (o *Access) Prove(ctx context.Context, actor rights.Actor, name string, by Control) (plan.Plan, error) {
	st := by.State()
	asked, err := actor.Domain(st, name)
	if err != nil {
		return plan.Plan{}, err
	}
	r := o.Check(ctx, st, asked)
	st = by.State() // others may have changed much meanwhile
	p := plan.New(st.Directory.Version(), actor)
	old, err := actor.Domain(st, name)
	if err != nil {
		return plan.Plan{}, err
	}
	switch {
	case old.ID != asked.ID || old.Account != asked.Account:
		return plan.Plan{}, words.ErrVersion
	case old.Proved && old.Proof.By == directory.ProofOperator:
		return p, nil
	case r.By() == "":
		return plan.Plan{}, o.Refuse(old.Account, old.Name, &r)
	}
	d := *old
	shown(&d, &r)
	found(&p, &d)
	if old.Proved {
		p.Say("Ownership of %s is shown as before.", words.Show(d.Name))
		settle(&p, old, &d)
		return p, nil
	}
	if p, err = by.Changed(st, p, old, &d); err == nil && len(p.Warnings) == 0 {
		p.Asks = false // nothing was taken here for it before
	}
	return p, err
}

// shown writes into a domain that its ownership is shown.
func shown(d *directory.Domain, r *Result) {
	d.Proved = true
	d.Proof = directory.Proof{By: r.By(), At: now(), NS: r.NS, TXTOnly: d.Proof.TXTOnly}
}

// found forgets that the proof of a domain was gone.
func found(p *plan.Plan, d *directory.Domain) {
	p.Tx.DropFindings = append(p.Tx.DropFindings, finding.Finding{Name: finding.OwnershipLost, Domain: d.Name})
}

// settle has a domain take the place of what it was, where no route hangs on the difference.
func settle(p *plan.Plan, old, d *directory.Domain) {
	p.Tx.PutDomains = []directory.Domain{*d}
	p.Delta.PutDomains = p.Tx.PutDomains
	p.Record(plan.Change{
		Kind: plan.KindDomain, Verb: plan.VerbSet, Subject: d.Name, Domain: d.Name, Account: d.Account,
		Before: settings.Show(old, now()), After: settings.Show(d, now()),
	})
}

func now() time.Time { return time.Now().UTC().Truncate(time.Second) }

// Again looks for the proof of a domain that has one, when its time has come or its name servers are others, and does
// what follows. A proof that is gone has consequences only when every name server says so.
func (o *Access) Again(ctx context.Context, actor rights.Actor, name string, by Control) error {
	st := by.State()
	asked, there := st.Directory.Domain(name)
	if !there || !o.due(ctx, asked) {
		return nil
	}
	r := o.Check(ctx, st, asked)
	if ctx.Err() != nil {
		return nil
	}
	return by.Make(func() (plan.Plan, error) { return o.planAgain(actor, asked, &r, by) })
}

// due reports whether it is time to look for a domain's proof again.
func (o *Access) due(ctx context.Context, d *directory.Domain) bool {
	switch {
	case o.Resolver == nil || d.Proof.By == "" || d.Proof.By == directory.ProofOperator:
		return false
	case !d.Proof.Lost.IsZero():
		return now().Before(d.Proof.Told())
	case !d.Proved:
		return false
	case !now().Before(d.Proof.At.Add(reproof)):
		return true
	}
	return o.moved(ctx, d)
}

// planAgain plans what follows from a look at the proof of a domain.
func (o *Access) planAgain(actor rights.Actor, asked *directory.Domain, r *Result, by Control) (plan.Plan, error) {
	st := by.State()
	p := plan.New(st.Directory.Version(), actor)
	old, there := st.Directory.Domain(asked.Name)
	if !there || old.ID != asked.ID || old.Account != asked.Account || old.Proof != asked.Proof {
		return p, nil // somebody was faster
	}
	d, at := *old, now()
	f := finding.Finding{Name: finding.OwnershipLost, Domain: d.Name, Evidence: r.TXTSays, Since: at}
	switch {
	case r.By() != "":
		shown(&d, r)
		found(&p, &d)
		if old.Proof.Lost.IsZero() {
			p.Say("Ownership of %s is shown as before.", words.Show(d.Name))
		} else {
			p.Say("Ownership of %s is shown again.", words.Show(d.Name))
		}
	case r.Led == delegation.Shown && old.Proved:
		d.Proof.At, d.Proof.NS, d.Proof.Lost = at, r.NS, time.Time{}
		found(&p, &d)
		p.Say("Ownership of %s is held to be shown as before: its zone is in our hands.", words.Show(d.Name))
	case !r.Lost():
		return p, nil
	case d.Proof.Lost.IsZero():
		d.Proof.Lost = at
		p.Tx.PutFindings = append(p.Tx.PutFindings, f)
		p.Say("What showed the ownership of %s is gone. All is as before until %s.", words.Show(d.Name), words.When(d.Proof.Ends()))
	case d.Proved && !at.Before(d.Proof.Ends()):
		d.Proved = false
		p.Tx.PutFindings = append(p.Tx.PutFindings, f)
		p.Say("What showed the ownership of %s is gone for good.", words.Show(d.Name))
	default:
		return p, nil
	}
	if old.Proved == d.Proved {
		settle(&p, old, &d)
		return p, nil
	}
	return by.Changed(st, p, old, &d)
}

// Strayed notes of a domain whose ownership is not shown that the world is led here by others' names for it: its zone names no
// servers of its account's own any more, and a delegation shows nothing.
func (o *Access) Strayed(actor rights.Actor, asked *directory.Domain, by Control) error {
	return by.Make(func() (plan.Plan, error) {
		st := by.State()
		p := plan.New(st.Directory.Version(), actor)
		old, there := st.Directory.Domain(asked.Name)
		if !there || old.ID != asked.ID || old.Proved || old.Proof.TXTOnly {
			return p, nil
		}
		d := *old
		d.Proof.TXTOnly = true
		p.Say("The world is led to name servers of this installation for %s by somebody else's names: only the TXT record shows its ownership.", words.Show(d.Name))
		settle(&p, old, &d)
		return p, nil
	})
}

// Claim judges what a new domain needs for its proof. One that was another account's a while ago is not added without
// one. It gives the sentences that tell whoever adds a domain what shows its ownership.
func (o *Access) Claim(ctx context.Context, actor rights.Actor, st *rights.State, d *directory.Domain) ([]string, error) {
	if d.Proved {
		return nil, nil
	}
	if left, ok := st.Directory.Departed(d.Name); ok && left.Reserved(now()) && left.Account != d.Account && !actor.Operator {
		r := o.Published(ctx, d.Account, d.Name)
		if r.By() == "" {
			return nil, o.Refuse(d.Account, d.Name, &r)
		}
		d.Proof.TXTOnly = true
		shown(d, &r)
		return []string{"Its ownership is shown by its TXT record."}, nil
	}
	o.Pending(ctx, st, nil, d)
	says := []string{"Nothing is delivered or relayed for it until its ownership is shown: publish " + o.Want(d.Account, d.Name) + ", then say postroad domain prove " + d.Name + "."}
	if given, own := o.Given(st, d); own && d.Zone == directory.ZoneHosted && !d.Proof.TXTOnly {
		says = append(says, "Handing its zone to "+strings.Join(given, " and ")+" at the registrar shows it too.")
	}
	return says, nil
}

// Pending notes of a domain whose zone begins to be answered for here, and whose ownership is not shown, whether the
// world may be led here already: then its delegation shows nothing.
func (o *Access) Pending(ctx context.Context, st *rights.State, old, d *directory.Domain) {
	if d.Proved || d.Proof.TXTOnly || d.Zone != directory.ZoneHosted || old != nil && old.Zone == directory.ZoneHosted && old.NameServerSet == d.NameServerSet {
		return
	}
	if given, own := o.Given(st, d); own {
		d.Proof.TXTOnly = o.named(ctx, st, d.Name, given)
	}
}
