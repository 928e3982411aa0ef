package control

import (
	"cmp"
	"slices"

	"postroad/internal/core/account"
	"postroad/internal/core/directory"
	"postroad/internal/service/control/settings"
	"postroad/internal/service/control/undo"
	"postroad/internal/service/control/words"
)

// OutboundSpec is a wanted smart host.
type OutboundSpec struct {
	Hop      string  // host:port
	Domain   string  // sender's domain; empty for the whole installation
	TLS      string  // opportunistic or verified; empty: verified with a user, opportunistic without
	User     string  // AUTH user; empty without AUTH
	Password *Secret // nil without AUTH
}

// OutboundInfo is a smart host as listings show it.
type OutboundInfo = undo.Outbound

// demand is the TLS that a route demands: with a login always that the host shows who it is.
func demand(spec OutboundSpec) (directory.TLSDemand, error) {
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

// Outbounds lists the smart hosts in scope, the installation's first.
func (s *Service) Outbounds(actor Actor) []OutboundInfo {
	out := []OutboundInfo{}
	for _, o := range s.Directory().Outbounds() {
		if actor.Scope.Has(o.Account) {
			out = append(out, undo.ShowOutbound(o))
		}
	}
	slices.SortFunc(out, func(a, b OutboundInfo) int { return cmp.Compare(a.Domain, b.Domain) })
	return out
}

// outboundOwner checks who may set a route: the operator that of the installation, an account that of its domains.
func outboundOwner(actor Actor, st *state, domain string) (name string, owner account.ID, err error) {
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

// PlanOutboundSet plans the smart host of a sender's domain or of the installation.
func (s *Service) PlanOutboundSet(actor Actor, spec OutboundSpec) (Plan, error) {
	st, p := s.plan(actor)
	domain, owner, err := outboundOwner(actor, st, spec.Domain)
	if err != nil {
		return Plan{}, err
	}
	hop, err := s.ours.NextHop(actor, spec.Hop)
	if err != nil {
		return Plan{}, err
	}
	if hop.LMTP {
		return Plan{}, words.Invalid("Mail to foreign domains leaves by SMTP, not by LMTP.", "name a smart host as HOST:PORT")
	}
	if (spec.User == "") != (spec.Password == nil) {
		return Plan{}, words.Invalid("A user and a password go together.", "--user U --password-stdin")
	}
	tls, err := demand(spec)
	if err != nil {
		return Plan{}, err
	}
	o := directory.Outbound{ID: newID(), Account: owner, Domain: domain, Hop: directory.HostPort{Host: hop.Host, Port: hop.Port}, Operator: hop.Operator, TLS: tls, User: spec.User}
	if spec.Password != nil {
		o.Password = spec.Password.Reveal()
		if err := checkMailbox(Operator(), spec.Password, 0); err != nil {
			return Plan{}, err
		}
		if err := words.PersonName("user", spec.User); err != nil {
			return Plan{}, err
		}
	}
	c := Change{Kind: KindOutbound, Verb: VerbSet, Subject: settings.ShowHop(hop), Domain: domain, Account: owner}
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
	return s.weighed(actor, st, p)
}

// PlanOutboundRemove plans the end of a smart host; mail then leaves by the installation's, or by MX records.
func (s *Service) PlanOutboundRemove(actor Actor, domain string) (Plan, error) {
	st, p := s.plan(actor)
	domain, _, err := outboundOwner(actor, st, domain)
	if err != nil {
		return Plan{}, err
	}
	old, ok := undo.FindOutbound(st.Directory, domain)
	if !ok {
		return Plan{}, words.Missing("There is no outbound route for " + whose(domain) + ".")
	}
	p.Remove(KindOutbound, old.ID)
	p.Delta.RemoveOutbounds = []string{old.ID}
	p.Record(Change{Kind: KindOutbound, Verb: VerbRemove, Subject: settings.ShowHost(old.Hop), Domain: domain, Account: old.Account, Before: undo.ShowOutbound(old)})
	p.Say("Mail of %s to foreign domains no longer leaves through %s.", whose(domain), settings.ShowHost(old.Hop))
	return s.weighed(actor, st, p)
}
