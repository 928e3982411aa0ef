// Package outbounds is the ways by which mail of our own users leaves: through smart hosts, and from which addresses of
// this machine, for the installation, for senders' domains, and for addresses elsewhere as which users send.
//
// # Failure
//
// What makes no sense, or is not the actor's to set, is refused with a *words.RefusedError.
package outbounds

import (
	"cmp"
	"context"
	"net/netip"
	"slices"

	"postroad/internal/core/account"
	"postroad/internal/core/directory"
	"postroad/internal/proto/spf"
	"postroad/internal/service/control/plan"
	"postroad/internal/service/control/rights"
	"postroad/internal/service/control/settings"
	"postroad/internal/service/control/undo"
	"postroad/internal/service/control/words"
)

// Spec is a wanted way out. What it leaves open stays as it is.
type Spec struct {
	Hop      string        // smart host, host:port; empty: as it is
	Source   *string       // addresses of this machine with a comma between, "" for none; nil: as they are
	Domain   string        // sender's domain; empty for the whole installation, and with an Identity
	Identity string        // address elsewhere as which logins send, or the domain of such addresses
	Account  string        // whose logins, for an Identity; empty where that is clear
	TLS      string        // opportunistic or verified; empty: verified with a user, opportunistic without
	User     string        // AUTH user; empty without AUTH
	Password *words.Secret // nil without AUTH
}

// Access is ways out as actors may see and change them.
type Access struct {
	Ours  *settings.Installation
	NewID func() string
	// Has reports whether this machine has an address; nil: it has none.
	Has func(netip.Addr) bool
	// Usable refuses passwords that cannot be used.
	Usable func(p *words.Secret) error
	// SPF asks what the SPF record of a sender's domain says of mail from an address that says EHLO by a name; nil: nobody asks.
	SPF func(ctx context.Context, addr netip.Addr, helo, sender string) spf.Outcome
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

// List lists what is set in scope, the installation's first.
func List(actor rights.Actor, snap *directory.Snapshot) []undo.Outbound {
	out := []undo.Outbound{}
	for _, o := range snap.Outbounds() {
		if actor.Scope.Has(o.Account) {
			out = append(out, undo.ShowOutbound(o))
		}
	}
	slices.SortFunc(out, func(a, b undo.Outbound) int {
		return cmp.Or(cmp.Compare(a.Identity, b.Identity), cmp.Compare(a.Domain, b.Domain), cmp.Compare(a.Account, b.Account))
	})
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

// PlanSet plans the smart host of a sender's domain or of the installation, the addresses from which its mail leaves, or
// both. The plan is not weighed yet.
func (a *Access) PlanSet(ctx context.Context, actor rights.Actor, st *rights.State, spec Spec) (plan.Plan, error) {
	if spec.Identity != "" {
		return a.planRelay(actor, st, spec)
	}
	p := plan.New(st.Directory.Version(), actor)
	domain, owner, err := ownerOf(actor, st, spec.Domain)
	if err != nil {
		return plan.Plan{}, err
	}
	if spec.Hop == "" && spec.Source == nil {
		return plan.Plan{}, words.Invalid("Neither a smart host nor an address is named.", "name a smart host as HOST:PORT, or addresses of this machine with --source")
	}
	old, there := undo.FindOutbound(st.Directory, domain)
	o := old
	if !there {
		o = directory.Outbound{ID: a.NewID(), Account: owner, Domain: domain, TLS: directory.TLSOpportunistic}
	}
	if err := a.through(actor, spec, &o); err != nil {
		return plan.Plan{}, err
	}
	if err := from(actor, spec, &o); err != nil {
		return plan.Plan{}, err
	}
	if o == old {
		return p, nil
	}
	if !o.Smart() && o.Source.IsZero() {
		return plan.Plan{}, words.Invalid("Nothing would be left of the outbound route for "+whose(domain)+".", "remove it with outbound remove")
	}
	c := plan.Change{Kind: plan.KindOutbound, Verb: plan.VerbSet, Subject: subject(&o), Domain: domain, Account: owner}
	if there {
		c.Before = undo.ShowOutbound(old)
	}
	c.After = undo.ShowOutbound(o)
	p.Tx.PutOutbounds = []directory.Outbound{o}
	p.Delta.PutOutbounds = p.Tx.PutOutbounds
	p.Asks = true
	p.Record(c)
	if spec.Hop != "" {
		sayThrough(&p, &o)
		settle(&p, domain)
	}
	if o.Source != old.Source {
		a.sayFrom(&p, &o)
		a.tellAuthority(ctx, &p, st, &o)
	}
	return p, nil
}

// subject names a route in the audit log.
func subject(o *directory.Outbound) string {
	if o.Smart() {
		return settings.ShowHost(o.Hop)
	}
	return o.Source.String()
}

// through writes the wanted smart host into a route.
func (a *Access) through(actor rights.Actor, spec Spec, o *directory.Outbound) error {
	if spec.Hop == "" {
		if spec.TLS != "" || spec.User != "" || spec.Password != nil {
			return words.Invalid("TLS and a login are for a smart host.", "name it as HOST:PORT")
		}
		return nil
	}
	hop, err := a.Ours.NextHop(actor, spec.Hop)
	if err != nil {
		return err
	}
	if hop.LMTP {
		return words.Invalid("Mail to foreign domains leaves by SMTP, not by LMTP.", "name a smart host as HOST:PORT")
	}
	if (spec.User == "") != (spec.Password == nil) {
		return words.Invalid("A user and a password go together.", "--user U --password-stdin")
	}
	tls, err := demand(spec)
	if err != nil {
		return err
	}
	o.Hop, o.Operator, o.TLS, o.User, o.Password = directory.HostPort{Host: hop.Host, Port: hop.Port}, hop.Operator, tls, spec.User, ""
	if spec.Password == nil {
		return nil
	}
	o.Password = spec.Password.Reveal()
	if err := a.Usable(spec.Password); err != nil {
		return err
	}
	return words.PersonName("user", spec.User)
}

// from writes the wanted addresses into a route. They are the machine's, so the operator alone chooses them.
func from(actor rights.Actor, spec Spec, o *directory.Outbound) error {
	if spec.Source == nil {
		return nil
	}
	if err := actor.MustOperate("choose the address from which mail leaves"); err != nil {
		return err
	}
	source, ok := directory.ParseSource(*spec.Source)
	if !ok {
		return words.Invalid("The address from which mail leaves is "+words.Quote(*spec.Source)+".", "an IPv4 address, an IPv6 address without a zone, or one of each with a comma between; each may have =NAME for EHLO")
	}
	for _, addr := range []netip.Addr{source.V4, source.V6} {
		if addr.IsValid() && (addr.IsUnspecified() || addr.IsMulticast() || addr.IsLinkLocalUnicast()) {
			return words.Invalid("No mail can leave from "+addr.String()+".", "name an address of this machine by which others know it")
		}
	}
	o.Source = source
	return nil
}

func sayThrough(p *plan.Plan, o *directory.Outbound) {
	p.Say("Mail of %s to foreign domains leaves through %s.", whose(o.Domain), settings.ShowHost(o.Hop))
	sayUnder(p, o)
}

// sayUnder tells what a smart host has to offer.
func sayUnder(p *plan.Plan, o *directory.Outbound) {
	switch {
	case o.User != "":
		p.Say("It logs in there as %s, over verified TLS only.", o.User)
	case o.Verified():
		p.Say("Nothing is sent there but under verified TLS.")
	default:
		p.Say("TLS is used where that host offers it; nobody verifies who answers.")
	}
}

func (a *Access) sayFrom(p *plan.Plan, o *directory.Outbound) {
	if o.Source.IsZero() {
		p.Say("No address is chosen any more from which mail of %s leaves: it is the installation's, else what the system chooses.", whose(o.Domain))
		return
	}
	p.Say("Mail of %s to foreign domains leaves from %s, and from no other address.", whose(o.Domain), o.Source)
	switch {
	case !o.Source.V6.IsValid():
		p.Say("Hosts that have IPv6 addresses only are not reached from there.")
	case !o.Source.V4.IsValid():
		p.Warn("Hosts that have IPv4 addresses only, as many have, are not reached from there.")
	}
	for _, name := range slices.Compact([]string{o.Source.HeloV4, o.Source.HeloV6}) {
		if name != "" {
			p.Say("It says EHLO %s from there: the name should lead to that address in DNS, and the address to the name.", name)
		}
	}
	for _, addr := range []netip.Addr{o.Source.V4, o.Source.V6} {
		if addr.IsValid() && !addr.IsLoopback() && (a.Has == nil || !a.Has(addr)) {
			p.Warn("This machine does not have the address %s now: mail waits until it does.", addr)
		}
	}
}

// PlanRemove plans the end of a smart host, and with keep of that alone: addresses from which mail leaves stay, as they do
// when somebody removes it who may not choose them. Mail then leaves by the installation's route, or by MX records. The
// plan is not weighed yet.
func PlanRemove(actor rights.Actor, st *rights.State, domain string, keep bool) (plan.Plan, error) {
	p := plan.New(st.Directory.Version(), actor)
	domain, _, err := ownerOf(actor, st, domain)
	if err != nil {
		return plan.Plan{}, err
	}
	old, ok := undo.FindOutbound(st.Directory, domain)
	if !ok {
		return plan.Plan{}, words.Missing("There is no outbound route for " + whose(domain) + ".")
	}
	may := actor.MustOperate("choose the address from which mail leaves")
	if !old.Source.IsZero() && (keep || may != nil) {
		return removeHop(p, &old, may)
	}
	shown := undo.ShowOutbound(old)
	p.Remove(plan.KindOutbound, old.ID)
	p.Delta.RemoveOutbounds = []string{old.ID}
	settle(&p, domain)
	p.Record(plan.Change{Kind: plan.KindOutbound, Verb: plan.VerbRemove, Subject: subject(&old), Domain: domain, Account: old.Account, Before: shown})
	p.Say("Mail of %s to foreign domains no longer leaves %s.", whose(domain), shown.Way())
	return p, nil
}

// removeHop takes the smart host out of a route that has addresses too.
func removeHop(p plan.Plan, old *directory.Outbound, may error) (plan.Plan, error) {
	if !old.Smart() {
		if may != nil {
			return plan.Plan{}, may
		}
		return plan.Plan{}, words.Missing("There is no smart host for " + whose(old.Domain) + ".")
	}
	o := directory.Outbound{ID: old.ID, Account: old.Account, Domain: old.Domain, Source: old.Source, TLS: directory.TLSOpportunistic}
	p.Tx.PutOutbounds = []directory.Outbound{o}
	p.Delta.PutOutbounds = p.Tx.PutOutbounds
	p.Asks = true
	p.Record(plan.Change{
		Kind: plan.KindOutbound, Verb: plan.VerbSet, Subject: o.Source.String(), Domain: o.Domain, Account: o.Account,
		Before: undo.ShowOutbound(*old), After: undo.ShowOutbound(o),
	})
	p.Say("Mail of %s to foreign domains no longer leaves through %s; it leaves from %s as before.", whose(o.Domain), settings.ShowHost(old.Hop), o.Source)
	return p, nil
}
