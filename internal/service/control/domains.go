package control

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"postroad/internal/core/account"
	"postroad/internal/core/directory"
	"postroad/internal/core/finding"
	"postroad/internal/proto/idna"
	"postroad/internal/proto/smtp"
	"postroad/internal/service/control/words"
)

// DomainSettings are what can be chosen for a domain. A nil field is left as it is, or at its default for a new one.
type DomainSettings struct {
	Mode       *string        // local (default), relay, remote
	Zone       *string        // external (default), hosted
	NextHops   *[]string      // host:port, or lmtp://host:port and lmtp:///socket, in the order in which they are tried
	Recipients *string        // accept; mode relay only
	Hold       *time.Duration // how long mail for it is kept in the queue; 0 for the installation's
	Proved     *bool          // the operator's word that its ownership is shown
}

// DomainSpec is a wanted domain.
type DomainSpec struct {
	Name    string // as people write it
	Account string // id or name; empty: the operator's for the operator, else the actor's own
	DomainSettings
}

// DomainInfo is a domain as listings show it.
type DomainInfo struct {
	Name          string     `json:"name" doc:"A-label, lower case"`
	Unicode       string     `json:"unicode,omitempty" doc:"As people read it, when that differs"`
	Account       account.ID `json:"account"`
	Proved        bool       `json:"proved" doc:"Ownership is shown; a domain that is not proved delivers nothing here"`
	Mode          string     `json:"mode" doc:"Routing mode as chosen"`
	EffectiveMode string     `json:"effective_mode" doc:"Routing mode by which mail is routed; inert without proof"`
	Arrangement   string     `json:"arrangement" doc:"FULL, EMAIL or none"`
	Zone          string     `json:"zone" enum:"hosted,external"`
	NextHops      []string   `json:"next_hops,omitempty" doc:"host:port, or lmtp://host:port and lmtp:///socket, in the order in which they are tried"`
	OperatorHops  bool       `json:"operator_hops,omitempty" doc:"The operator named the next hops, which may then be private addresses"`
	Recipients    string     `json:"recipients,omitempty" doc:"How recipients unknown here are judged in mode relay"`
	HoldSeconds   int64      `json:"hold_seconds,omitempty" doc:"How long its mail is kept in the queue; absent for the installation's time"`
	Created       time.Time  `json:"created"`
}

// DomainDetail is everything about one domain.
type DomainDetail struct {
	DomainInfo
	Why       string        `json:"why" doc:"Why the effective mode is what it is"`
	Mailboxes int           `json:"mailboxes"`
	Addresses int           `json:"addresses" doc:"Aliases, forwards, groups and catch-all"`
	Findings  []FindingInfo `json:"findings"`
}

// FindingInfo is a finding as listings show it.
type FindingInfo struct {
	Name     finding.Name `json:"name"`
	Domain   string       `json:"domain"`
	Sentence string       `json:"sentence"`
	Evidence string       `json:"evidence"`
	Since    time.Time    `json:"since"`
}

// effectiveInert is shown as the effective mode of a domain that is not proved.
const effectiveInert = "inert"

func domainInfo(d *directory.Domain) DomainInfo {
	info := DomainInfo{
		Name: d.Name, Account: d.Account, Proved: d.Proved, Mode: string(d.Mode), EffectiveMode: string(d.Mode), Arrangement: "none",
		Zone: string(d.Zone), NextHops: showHops(d.NextHops), Recipients: string(d.Recipients),
		HoldSeconds: int64(d.Hold / time.Second), Created: d.Created,
	}
	info.OperatorHops = len(d.NextHops) > 0 && d.NextHops[0].Operator
	if u := idna.ToUnicode(d.Name); u != d.Name {
		info.Unicode = u
	}
	switch {
	case !d.Proved:
		info.EffectiveMode = effectiveInert
	case d.Mode == directory.ModeLocal && d.Zone == directory.ZoneHosted:
		info.Arrangement = "FULL"
	case d.Mode == directory.ModeLocal:
		info.Arrangement = "EMAIL"
	}
	return info
}

// Domains lists the domains in scope by name.
func (s *Service) Domains(actor Actor) []DomainInfo {
	out := []DomainInfo{}
	for d := range s.Directory().Domains() {
		if actor.Scope.Has(d.Account) {
			out = append(out, domainInfo(d))
		}
	}
	slices.SortFunc(out, func(a, b DomainInfo) int { return cmp.Compare(a.Name, b.Name) })
	return out
}

// Domain shows one domain with its findings.
func (s *Service) Domain(ctx context.Context, actor Actor, name string) (DomainDetail, error) {
	st := s.current.Load()
	d, err := actor.Domain(st, name)
	if err != nil {
		return DomainDetail{}, err
	}
	out := DomainDetail{DomainInfo: domainInfo(d), Why: "The mode was chosen."}
	if !d.Proved {
		out.Why = "Ownership of the domain is not shown: nothing is delivered or relayed for it here."
	}
	for range st.Directory.Mailboxes(d.Name) {
		out.Mailboxes++
	}
	for range st.Directory.Rules(d.Name) {
		out.Addresses++
	}
	out.Findings, err = s.Findings(ctx, actor, d.Name)
	return out, err
}

// Findings lists what is wrong, of one domain or of all in scope (empty).
func (s *Service) Findings(ctx context.Context, actor Actor, domain string) ([]FindingInfo, error) {
	if domain != "" {
		d, err := actor.Domain(s.current.Load(), domain)
		if err != nil {
			return nil, err
		}
		domain = d.Name
	}
	found, err := s.o.Store.Findings(ctx, actor.Scope, domain)
	if err != nil {
		return nil, err
	}
	out := make([]FindingInfo, 0, len(found))
	for _, f := range found {
		out = append(out, FindingInfo{Name: f.Name, Domain: f.Domain, Sentence: f.Name.Sentence(), Evidence: f.Evidence, Since: f.Since})
	}
	return out, nil
}

// PlanDomainAdd plans a new domain. Without the operator's word it is inert until its ownership is shown.
func (s *Service) PlanDomainAdd(actor Actor, spec DomainSpec) (Plan, error) {
	st, p := s.plan(actor)
	name, err := words.DomainName(spec.Name)
	if err != nil {
		return Plan{}, err
	}
	owner, err := actor.Account(st, spec.Account)
	if err != nil {
		return Plan{}, err
	}
	if err := s.freeDomain(actor, st, name, owner); err != nil {
		return Plan{}, err
	}
	d := directory.Domain{
		ID: newID(), Account: owner, Name: name, Mode: directory.ModeLocal, Zone: directory.ZoneExternal, Created: now().Truncate(time.Second),
	}
	if err := s.settle(actor, &d, spec.DomainSettings); err != nil {
		return Plan{}, err
	}
	p.tx.PutDomains = []directory.Domain{d}
	p.delta.PutDomains = p.tx.PutDomains
	p.change(Change{Kind: KindDomain, Verb: VerbAdd, Subject: name, Domain: name, Account: owner, After: domainInfo(&d)})
	p.say("Adds the domain %s: %s.", words.Show(name), describeMode(&d))
	if !d.Proved {
		p.say("Nothing is delivered or relayed for it until its ownership is shown.")
	}
	return p, nil
}

// freeDomain refuses names that are taken, our own, or above or below somebody else's.
func (s *Service) freeDomain(actor Actor, st *state, name string, owner account.ID) error {
	if d, taken := st.Directory.Domain(name); taken {
		if actor.Scope.Has(d.Account) {
			return words.Exists("The domain "+words.Show(name)+" is here already.", "postroad domain set changes it")
		}
		return words.Exists("The domain "+words.Show(name)+" is not free.", "if it is yours, ask the operator")
	}
	if name == s.o.RoutingDomain {
		return words.Invalid("The domain "+words.Show(name)+" is that of the installation's routing addresses.", "")
	}
	if actor.Operator {
		return nil
	}
	if !strings.Contains(name, ".") {
		return words.Denied("Only the operator may add a domain without a dot: " + name + ".")
	}
	for _, own := range []string{s.o.Hostname, s.o.RoutingDomain} {
		if own != "" && (name == own || related(name, own)) {
			return words.Denied("The domain " + words.Show(name) + " holds names of this installation.")
		}
	}
	for d := range st.Directory.Domains() {
		if d.Account != owner && !actor.Scope.Has(d.Account) && related(name, d.Name) {
			return words.Denied("The domain " + words.Show(name) + " is above or below one that belongs to somebody else.")
		}
	}
	return nil
}

// related reports whether one name is a proper subdomain of the other.
func related(a, b string) bool {
	return strings.HasSuffix(a, "."+b) || strings.HasSuffix(b, "."+a)
}

// settle writes settings into a domain and checks that they fit together.
func (s *Service) settle(actor Actor, d *directory.Domain, set DomainSettings) error {
	if set.Proved != nil && *set.Proved != d.Proved {
		if err := actor.MustOperate("say that ownership of a domain is shown"); err != nil {
			return err
		}
		d.Proved = *set.Proved
	}
	if set.Mode != nil {
		mode, err := parseMode(*set.Mode)
		if err != nil {
			return err
		}
		d.Mode = mode
	}
	if set.Zone != nil {
		switch z := directory.ZoneHosting(*set.Zone); z {
		case directory.ZoneHosted, directory.ZoneExternal:
			d.Zone = z
		default:
			return words.Invalid("Zone hosting is "+words.Quote(*set.Zone)+".", "hosted or external")
		}
	}
	if set.Hold != nil {
		if *set.Hold < 0 || *set.Hold > 30*24*time.Hour {
			return words.Invalid("Mail of a domain is held for at most 30 days.", "")
		}
		d.Hold = *set.Hold
	}
	return s.settleRoute(actor, d, set)
}

// settleRoute writes next hops and recipient policy and holds them against the mode.
func (s *Service) settleRoute(actor Actor, d *directory.Domain, set DomainSettings) error {
	if set.NextHops != nil {
		hops, err := s.nextHops(actor, *set.NextHops)
		if err != nil {
			return err
		}
		d.NextHops = hops
	}
	if set.Recipients != nil {
		if directory.RecipientPolicy(*set.Recipients) != directory.RecipientsAccept {
			return words.Invalid("The recipient policy is "+words.Quote(*set.Recipients)+".", "accept, which takes every recipient, is the only one")
		}
		d.Recipients = directory.RecipientsAccept
	}
	switch d.Mode {
	case directory.ModeRelay:
		if len(d.NextHops) == 0 {
			return words.Invalid("Mode relay needs a next hop.", "name the domain's own server with --next-hop HOST:PORT, or --next-hop lmtp://HOST:PORT")
		}
		if d.Recipients == "" {
			return words.Invalid("Mode relay needs a recipient policy.", "say --recipients accept: every recipient is taken and the domain's own server judges")
		}
	case directory.ModeLocal:
		if set.NextHops != nil && len(d.NextHops) > 0 {
			return words.Invalid("Mode local delivers here and has no next hop.", "say --mode relay to hand mail on")
		}
		if set.Recipients != nil {
			return words.Invalid("Mode local knows its recipients.", "--recipients is for mode relay")
		}
		d.NextHops, d.Recipients = nil, ""
	case directory.ModeRemote:
		if set.Recipients != nil {
			return words.Invalid("Mode remote takes no mail from strangers.", "--recipients is for mode relay")
		}
		d.Recipients = ""
	}
	return nil
}

func parseMode(s string) (directory.Mode, error) {
	switch m := directory.Mode(s); m {
	case directory.ModeLocal, directory.ModeRelay, directory.ModeRemote:
		return m, nil
	}
	return "", words.Invalid("The mode is "+words.Quote(s)+".", "local delivers here, relay hands on to a next hop, remote leaves mail to others; these three can be chosen")
}

func describeMode(d *directory.Domain) string {
	switch d.Mode {
	case directory.ModeLocal:
		return "its mail is delivered here"
	case directory.ModeRelay:
		return "its mail is handed on to " + strings.Join(showHops(d.NextHops), ", then ")
	case directory.ModeRemote:
		if len(d.NextHops) > 0 {
			return "its mail is received elsewhere; our own users' goes to " + strings.Join(showHops(d.NextHops), ", then ")
		}
		return "its mail is received elsewhere; our own users' goes by its MX records"
	}
	return ""
}

// PlanDomainSet plans other settings for a domain.
func (s *Service) PlanDomainSet(actor Actor, name string, set DomainSettings) (Plan, error) {
	st, p := s.plan(actor)
	old, err := actor.Domain(st, name)
	if err != nil {
		return Plan{}, err
	}
	d := *old
	d.NextHops = slices.Clone(old.NextHops)
	if err := s.settle(actor, &d, set); err != nil {
		return Plan{}, err
	}
	before, after := domainInfo(old), domainInfo(&d)
	if sameDomain(before, after) {
		return p, nil
	}
	p.tx.PutDomains = []directory.Domain{d}
	p.delta.PutDomains = p.tx.PutDomains
	p.change(Change{Kind: KindDomain, Verb: VerbSet, Subject: d.Name, Domain: d.Name, Account: d.Account, Before: before, After: after})
	p.sayRoute(st, old, &d)
	if d.Mode == directory.ModeLocal && old.Mode != directory.ModeLocal {
		var all []smtp.Address
		for r := range st.Directory.Rules(d.Name) {
			all = append(all, smtp.Address{Local: r.Local, Domain: r.Domain})
		}
		if err := p.checkLoops(actor, st, all...); err != nil {
			return Plan{}, err
		}
	}
	if before.HoldSeconds != after.HoldSeconds {
		p.say("Mail for %s is kept in the queue for %s.", words.Show(d.Name), holdWords(d.Hold))
	}
	if before.Zone != after.Zone {
		p.say("Its zone is %s.", after.Zone)
	}
	return p, nil
}

func sameDomain(a, b DomainInfo) bool {
	hops := slices.Equal(a.NextHops, b.NextHops) && a.OperatorHops == b.OperatorHops
	return hops && a.Mode == b.Mode && a.Zone == b.Zone && a.Proved == b.Proved && a.Recipients == b.Recipients && a.HoldSeconds == b.HoldSeconds
}

func holdWords(d time.Duration) string {
	if d == 0 {
		return "the installation's time"
	}
	return d.String()
}

// sayRoute tells what becomes of a domain's mail when its settings change, and asks when its route is altered.
func (p *Plan) sayRoute(st *state, old, d *directory.Domain) {
	if !old.Proved && d.Proved {
		p.say("The domain %s counts as proved from now on: %s.", words.Show(d.Name), describeMode(d))
	}
	if old.Proved && !d.Proved {
		p.warn("Mail for %s is no longer delivered or relayed here: the domain is inert.", words.Show(d.Name))
		return
	}
	if old.Mode == d.Mode && slices.Equal(showHops(old.NextHops), showHops(d.NextHops)) {
		if !slices.Equal(old.NextHops, d.NextHops) {
			p.say("The next hops of %s count as named by %s from now on.", words.Show(d.Name), p.actor)
		}
		return
	}
	if old.Proved {
		p.Asks = true
	}
	p.say("Mail for %s: %s. Before: %s.", words.Show(d.Name), describeMode(d), describeMode(old))
	if old.Mode == directory.ModeLocal && d.Mode != directory.ModeLocal {
		n := int64(0)
		for range st.Directory.Mailboxes(d.Name) {
			n++
		}
		if n > 0 {
			p.warn("%s here stop getting mail; what they hold stays.", words.Plural(n, "mailbox", "mailboxes"))
		}
	}
	if d.Mode == directory.ModeRemote && old.Mode != directory.ModeRemote {
		p.warn("Mail from strangers for %s is refused from now on, also by those who still know the old MX records.", words.Show(d.Name))
	}
}

// removedDomain is what the audit log keeps of a domain that went.
type removedDomain struct {
	DomainInfo
	Mailboxes []string `json:"mailboxes"`
	Rules     []string `json:"rules"`
}

// PlanDomainRemove plans the end of a domain with everything in it.
func (s *Service) PlanDomainRemove(ctx context.Context, actor Actor, name string) (Plan, error) {
	st, p := s.plan(actor)
	d, err := actor.Domain(st, name)
	if err != nil {
		return Plan{}, err
	}
	gone := removedDomain{DomainInfo: domainInfo(d), Mailboxes: []string{}, Rules: []string{}}
	for m := range st.Directory.Mailboxes(d.Name) {
		gone.Mailboxes = append(gone.Mailboxes, m.Address())
		p.unboxed = append(p.unboxed, m.ID)
	}
	for r := range st.Directory.Rules(d.Name) {
		gone.Rules = append(gone.Rules, string(r.Kind)+" "+r.Address())
	}
	slices.Sort(gone.Mailboxes)
	slices.Sort(gone.Rules)
	p.tx.Remove = []Removal{{KindDomain, d.ID}}
	p.delta.RemoveDomains = []string{d.Name}
	p.change(Change{Kind: KindDomain, Verb: VerbRemove, Subject: d.Name, Domain: d.Name, Account: d.Account, Before: gone})
	p.say("Removes the domain %s.", words.Show(d.Name))
	if n := len(gone.Rules); n > 0 {
		p.say("%s go with it.", words.Plural(int64(n), "alias, forward, group or catch-all", "aliases, forwards, groups and catch-alls"))
	}
	if len(p.unboxed) > 0 {
		held, err := s.usage(ctx, actor, p.unboxed)
		if err != nil {
			return Plan{}, err
		}
		p.warn("%s with %s go with it and cannot be brought back.", words.Plural(int64(len(p.unboxed)), "mailbox", "mailboxes"), words.Plural(held.Messages, "message", "messages"))
	}
	if d.Proved {
		p.warn("Mail for %s is refused from now on.", words.Show(d.Name))
	}
	for _, out := range st.Directory.Outbounds() {
		if out.Domain == d.Name {
			p.tx.Remove = append(p.tx.Remove, Removal{KindOutbound, out.ID})
			p.delta.RemoveOutbounds = append(p.delta.RemoveOutbounds, out.ID)
			p.say("Its outbound route %s goes with it.", showHost(out.Hop))
		}
	}
	return p, nil
}
