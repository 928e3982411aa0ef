// Package outbounds is the smart hosts through which mail of our own users leaves: the installation's, and those of
// senders' domains.
//
// # Failure
//
// What makes no sense, or is not the actor's to set, is refused with a *words.RefusedError.
package outbounds

import (
	"cmp"
	"slices"

	"postroad/internal/core/account"
	"postroad/internal/core/directory"
	"postroad/internal/service/control/plan"
	"postroad/internal/service/control/rights"
	"postroad/internal/service/control/settings"
	"postroad/internal/service/control/undo"
	"postroad/internal/service/control/words"
)

// Spec is a wanted smart host.
type Spec struct {
	Hop      string        // host:port
	Domain   string        // sender's domain; empty for the whole installation
	TLS      string        // opportunistic or verified; empty: verified with a user, opportunistic without
	User     string        // AUTH user; empty without AUTH
	Password *words.Secret // nil without AUTH
}

// Access is smart hosts as actors may see and change them.
type Access struct {
	Ours  *settings.Installation
	NewID func() string
	// Usable refuses passwords that cannot be used.
	Usable func(p *words.Secret) error
}

// demand is the TLS that a route demands: with a login always that the host shows who it is.
func demand(spec Spec) (directory.TLSDemand, error) {
	switch t := directory.TLSDemand(spec.TLS); {
	case t == "" && spec.User == "":
		return directory.TLSOpportunistic, nil
	case t == "", t == directory.TLSVerified:
		return directory.TLSVerified, nil
	case t != directory.TLSOpportunistic:
		return "", words.Invalid("The TLS of a smart host is "+words.Quote(spec.TLS)+".", "opportunistic uses TLS where it is offered, verified demands it with a verified certificate")
	case spec.User != "":
		return "", words.Invalid("A login is sent over verified TLS only.", "leave out --tls opportunistic, or --user")
	}
	return directory.TLSOpportunistic, nil
}

// List lists the smart hosts in scope, the installation's first.
func List(actor rights.Actor, snap *directory.Snapshot) []undo.Outbound {
	out := []undo.Outbound{}
	for _, o := range snap.Outbounds() {
		if actor.Scope.Has(o.Account) {
			out = append(out, undo.ShowOutbound(o))
		}
	}
	slices.SortFunc(out, func(a, b undo.Outbound) int { return cmp.Compare(a.Domain, b.Domain) })
	return out
}

// ownerOf checks who may set a route: the operator that of the installation, an account that of its domains.
func ownerOf(actor rights.Actor, st *rights.State, domain string) (name string, owner account.ID, err error) {
	if domain == "" {
		return "", account.Operator, actor.MustOperate("set the route of the whole installation")
	}
	d, err := actor.Domain(st, domain)
	if err != nil {
		return "", "", err
	}
	return d.Name, d.Account, nil
}

// whose names a route's senders in sentences.
func whose(domain string) string {
	if domain == "" {
		return "our users"
	}
	return words.Show(domain)
}

// PlanSet plans the smart host of a sender's domain or of the installation. The plan is not weighed yet.
func (a *Access) PlanSet(actor rights.Actor, st *rights.State, spec Spec) (plan.Plan, error) {
	p := plan.New(st.Directory.Version(), actor)
	domain, owner, err := ownerOf(actor, st, spec.Domain)
	if err != nil {
		return plan.Plan{}, err
	}
	hop, err := a.Ours.NextHop(actor, spec.Hop)
	if err != nil {
		return plan.Plan{}, err
	}
	if hop.LMTP {
		return plan.Plan{}, words.Invalid("Mail to foreign domains leaves by SMTP, not by LMTP.", "name a smart host as HOST:PORT")
	}
	if (spec.User == "") != (spec.Password == nil) {
		return plan.Plan{}, words.Invalid("A user and a password go together.", "--user U --password-stdin")
	}
	tls, err := demand(spec)
	if err != nil {
		return plan.Plan{}, err
	}
	o := directory.Outbound{ID: a.NewID(), Account: owner, Domain: domain, Hop: directory.HostPort{Host: hop.Host, Port: hop.Port}, Operator: hop.Operator, TLS: tls, User: spec.User}
	if spec.Password != nil {
		o.Password = spec.Password.Reveal()
		if err := a.Usable(spec.Password); err != nil {
			return plan.Plan{}, err
		}
		if err := words.PersonName("user", spec.User); err != nil {
			return plan.Plan{}, err
		}
	}
	c := plan.Change{Kind: plan.KindOutbound, Verb: plan.VerbSet, Subject: settings.ShowHop(hop), Domain: domain, Account: owner}
	if old, ok := undo.FindOutbound(st.Directory, domain); ok {
		o.ID = old.ID
		if o == old {
			return p, nil
		}
		c.Before = undo.ShowOutbound(old)
	}
	c.After = undo.ShowOutbound(o)
	p.Tx.PutOutbounds = []directory.Outbound{o}
	p.Delta.PutOutbounds = p.Tx.PutOutbounds
	p.Asks = true
	p.Record(c)
	p.Say("Mail of %s to foreign domains leaves through %s.", whose(domain), settings.ShowHop(hop))
	switch {
	case o.User != "":
		p.Say("It logs in there as %s, over verified TLS only.", o.User)
	case o.Verified():
		p.Say("Nothing is sent there but under verified TLS.")
	default:
		p.Say("TLS is used where that host offers it; nobody verifies who answers.")
	}
	return p, nil
}

// PlanRemove plans the end of a smart host; mail then leaves by the installation's, or by MX records. The plan is not
// weighed yet.
func PlanRemove(actor rights.Actor, st *rights.State, domain string) (plan.Plan, error) {
	p := plan.New(st.Directory.Version(), actor)
	domain, _, err := ownerOf(actor, st, domain)
	if err != nil {
		return plan.Plan{}, err
	}
	old, ok := undo.FindOutbound(st.Directory, domain)
	if !ok {
		return plan.Plan{}, words.Missing("There is no outbound route for " + whose(domain) + ".")
	}
	p.Remove(plan.KindOutbound, old.ID)
	p.Delta.RemoveOutbounds = []string{old.ID}
	p.Record(plan.Change{Kind: plan.KindOutbound, Verb: plan.VerbRemove, Subject: settings.ShowHost(old.Hop), Domain: domain, Account: old.Account, Before: undo.ShowOutbound(old)})
	p.Say("Mail of %s to foreign domains no longer leaves through %s.", whose(domain), settings.ShowHost(old.Hop))
	return p, nil
}
