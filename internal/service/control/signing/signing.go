// Package signing is DNSSEC as people switch it on and off and look at it: it plans how a zone is signed and that its
// keys are replaced, and shows what belongs at the registrar, where the keys are in their lives, and what the parent
// says.
//
// # Failure
//
// What would make a domain unreachable for those who check signatures warns and wants a yes, with the order in which it
// would not. A look at the parent that fails is told as not known, never as "there is none".
package signing

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"postroad/internal/core/account"
	"postroad/internal/core/directory"
	"postroad/internal/core/dnssec"
	"postroad/internal/core/finding"
	"postroad/internal/core/zone"
	"postroad/internal/proto/dns"
	"postroad/internal/service/control/plan"
	"postroad/internal/service/control/rights"
	"postroad/internal/service/control/words"
)

// Zones is where zones are kept.
type Zones interface {
	// Zone reads one zone; words.ErrNotFound.
	Zone(ctx context.Context, scope account.Scope, domain string) (zone.Zone, error)
}

// Findings is what was found of domains.
type Findings interface {
	// Findings lists what is wrong, of one domain or of all (empty).
	Findings(ctx context.Context, scope account.Scope, domain string) ([]finding.Finding, error)
}

// Parents is what is heard of the zones above.
type Parents interface {
	// Look asks all servers of the zone above for a domain's DS records.
	Look(ctx context.Context, domain string) (dnssec.Look, error)
	// Now is the time by which zones are signed.
	Now() time.Time
}

// Access plans and shows. Parents is nil where nothing is signed.
type Access struct {
	Zones    Zones
	Keys     Keys
	Findings Findings
	Parents  Parents
}

// SigningChoice is how a zone is to be signed, in the words of commands; empty is as it is, or the default.
type SigningChoice struct {
	Scheme    string `json:"scheme,omitempty" enum:"csk,ksk-zsk" doc:"One key for everything, or a key signing key and a zone signing key; absent: csk"`
	Denial    string `json:"denial,omitempty" enum:"nsec,nsec3" doc:"How it is shown that a name does not exist; absent: nsec"`
	Algorithm string `json:"algorithm,omitempty" enum:"ecdsap256sha256,ed25519" doc:"Absent: ecdsap256sha256"`
}

// read applies the choice to a Signing. What cannot change while a zone is signed is refused.
func (c SigningChoice) read(s *dnssec.Signing, signed bool) error {
	was := *s
	if c.Scheme != "" {
		if err := s.Scheme.UnmarshalText([]byte(strings.ToLower(c.Scheme))); err != nil {
			return words.Invalid(words.Quote(c.Scheme)+" is no division of keys.", "csk or ksk-zsk")
		}
	}
	if c.Denial != "" {
		if err := s.Denial.UnmarshalText([]byte(strings.ToLower(c.Denial))); err != nil {
			return words.Invalid(words.Quote(c.Denial)+" is no way to show that a name does not exist.", "nsec or nsec3")
		}
	}
	if c.Algorithm != "" {
		a, err := dns.ParseAlgorithm(c.Algorithm)
		if err != nil {
			return words.Invalid(words.Quote(c.Algorithm)+" is no algorithm that zones are signed with here.", "ecdsap256sha256 or ed25519")
		}
		s.Algorithm = a
	}
	if signed && (s.Scheme != was.Scheme || s.Algorithm != was.Algorithm) {
		return words.Invalid("Keys and algorithm do not change while a zone is signed.", "switch DNSSEC off first, in the order that postroad dnssec off tells")
	}
	return nil
}

// Info is what audit entries and plans tell of how a zone is signed.
type Info struct {
	Scheme    string `json:"scheme"`
	Denial    string `json:"denial"`
	Algorithm string `json:"algorithm"`
	Withdrawn bool   `json:"withdrawn,omitempty" doc:"The parent is asked to remove the DS"`
	Replacing string `json:"replacing,omitempty" doc:"Role of the keys that are to be replaced"`
}

// former is what an audit entry keeps of a zone that is signed no longer.
type former struct {
	*Info
	// Signing has the keys, without their private parts, so that the switch-off can be taken back.
	Signing *dnssec.Signing `json:"signing"`
}

func info(s *dnssec.Signing) *Info {
	i := &Info{Scheme: s.Scheme.String(), Denial: s.Denial.String(), Algorithm: strings.ToLower(s.Algorithm.String()), Withdrawn: s.Withdrawn}
	var roles []string
	for _, r := range s.Roll {
		roles = append(roles, r.String())
	}
	i.Replacing = strings.Join(roles, " ")
	return i
}

// hosted finds the zone of a domain in the actor's scope.
func (a *Access) hosted(ctx context.Context, actor rights.Actor, st *rights.State, name string) (*directory.Domain, zone.Zone, error) {
	d, err := actor.Domain(st, name)
	if err != nil {
		return nil, zone.Zone{}, err
	}
	if d.Zone != directory.ZoneHosted {
		return nil, zone.Zone{}, words.Invalid("The zone of "+words.Show(d.Name)+" is not hosted here: whoever hosts it signs it.", "host it here with `domain set --zone hosted`")
	}
	z, err := a.Zones.Zone(ctx, account.System(), d.Name)
	if errors.Is(err, words.ErrNotFound) {
		err = words.Missing("There is no zone " + words.Show(d.Name) + ".")
	}
	return d, z, err
}

// PlanOn plans that a domain's zone is signed, or signed in another way.
func (a *Access) PlanOn(ctx context.Context, actor rights.Actor, st *rights.State, name string, c SigningChoice) (plan.Plan, error) {
	p := plan.New(st.Directory.Version(), actor)
	d, z, err := a.hosted(ctx, actor, st, name)
	if err != nil {
		return plan.Plan{}, err
	}
	if a.Parents == nil {
		return plan.Plan{}, words.Invalid("No zone is signed by this program: it serves no DNS.", "")
	}
	if !d.Proved {
		return plan.Plan{}, words.Invalid("The ownership of "+words.Show(d.Name)+" is not shown yet: its zone is not answered for as a whole.", "prove it first with `domain prove`")
	}
	if err := on(&p, &z, c); err != nil || p.Empty() {
		return p, err
	}
	if look, err := a.Parents.Look(ctx, d.Name); err == nil && len(look.DS) > 0 && !leads(&z, look, a.Parents.Now()) {
		p.Warn("%s: the zone above %s has a DS record of the key %s, which is not a key of this zone. Whoever checks signatures is led astray once the name servers are these: have that DS removed at the registrar first, and enter the one that postroad dnssec show gives.",
			finding.DNSSECDSStale, words.Show(d.Name), tags(look.DS))
	}
	return p, nil
}

// leads reports whether a look leads to the zone as it is signed.
func leads(z *zone.Zone, look dnssec.Look, now time.Time) bool {
	return dnssec.Chain(&dnssec.Content{Apex: z.Apex(), Signatures: z.Signatures}, look.DS, now) == nil
}

// tags names the keys of DS records.
func tags(ds [][]byte) string {
	var out []string
	for _, d := range ds {
		if len(d) >= 2 {
			out = append(out, fmt.Sprint(int(d[0])<<8|int(d[1])))
		}
	}
	return strings.Join(out, ", ")
}

// on adds to a plan that a zone is signed.
func on(p *plan.Plan, z *zone.Zone, c SigningChoice) error {
	next := z.Signing.Clone()
	signed := next != nil
	if !signed {
		next = &dnssec.Signing{Algorithm: dns.ECDSAP256SHA256}
	}
	if err := c.read(next, signed); err != nil {
		return err
	}
	next.Withdrawn = false
	change := plan.Change{Kind: plan.KindDNSSEC, Verb: plan.VerbAdd, Subject: z.Domain, Domain: z.Domain, Account: z.Account, After: info(next)}
	if signed {
		change.Verb, change.Before = plan.VerbSet, info(z.Signing)
		if next.Denial == z.Signing.Denial && !z.Signing.Withdrawn {
			p.Say("%s is signed already.", words.Show(z.Domain))
			return nil
		}
		p.Say("%s is signed with %s from now on.", words.Show(z.Domain), strings.ToUpper(next.Denial.String()))
		if z.Signing.Withdrawn {
			p.Say("The parent is no longer asked to remove the DS.")
		}
	} else {
		p.Say("%s is signed, with %s.", words.Show(z.Domain), keysText(next))
		p.Say("Nobody goes by the signatures until the DS stands at the parent: postroad dnssec show %s gives it, and says from when on it may be entered at the registrar.", words.Show(z.Domain))
	}
	z.Signing = next
	p.Tx.PutZones = append(p.Tx.PutZones, *z)
	p.Record(change)
	return nil
}

func keysText(s *dnssec.Signing) string {
	if s.Scheme == dnssec.TwoKeys {
		return "a key signing key and a zone signing key (" + s.Algorithm.String() + ")"
	}
	return "one key (" + s.Algorithm.String() + ")"
}

// PlanAll plans that all zones in the actor's scope are signed that are not.
func (a *Access) PlanAll(ctx context.Context, actor rights.Actor, st *rights.State, c SigningChoice) (plan.Plan, error) {
	p := plan.New(st.Directory.Version(), actor)
	if a.Parents == nil {
		return plan.Plan{}, words.Invalid("No zone is signed by this program: it serves no DNS.", "")
	}
	var already, inert, elsewhere int64
	for d := range st.Directory.Domains() {
		switch {
		case !actor.Scope.Has(d.Account):
			continue
		case d.Zone != directory.ZoneHosted:
			elsewhere++
			continue
		case !d.Proved:
			inert++
			continue
		}
		z, err := a.Zones.Zone(ctx, account.System(), d.Name)
		if errors.Is(err, words.ErrNotFound) {
			continue
		}
		if err != nil {
			return plan.Plan{}, err
		}
		if z.Signing != nil {
			already++
			continue
		}
		if err := on(&p, &z, c); err != nil {
			return plan.Plan{}, err
		}
	}
	if n := int64(len(p.Changes)); n > 1 {
		p.Sentences = []string{}
		p.Say("%s are signed. Nobody goes by the signatures until the DS of each stands at its parent: postroad dnssec show gives it.", words.Plural(n, "zone", "zones"))
	}
	for _, left := range []struct {
		n   int64
		why string
	}{{already, "signed already"}, {inert, "left alone: their ownership is not shown"}, {elsewhere, "left alone: their zones are hosted elsewhere"}} {
		if left.n > 0 {
			p.Say("%s: %s.", words.Plural(left.n, "domain", "domains"), left.why)
		}
	}
	return p, nil
}

// order is the order in which a zone becomes unsigned without an outage.
const order = "the order is: have the DS removed at the registrar (postroad dnssec off --withdraw asks registries that look for CDS records to do it), wait until postroad dnssec show says that no cache has it, then switch DNSSEC off"

// PlanOff plans that a zone is no longer signed; with withdraw, that the parent is asked to remove the DS, and the zone stays
// signed.
func (a *Access) PlanOff(ctx context.Context, actor rights.Actor, st *rights.State, name string, withdraw bool) (plan.Plan, error) {
	p := plan.New(st.Directory.Version(), actor)
	d, err := actor.Domain(st, name)
	if err != nil {
		return plan.Plan{}, err
	}
	z, err := a.Zones.Zone(ctx, account.System(), d.Name)
	if err != nil && !errors.Is(err, words.ErrNotFound) {
		return plan.Plan{}, err
	}
	if z.Signing == nil {
		p.Say("%s is not signed.", words.Show(d.Name))
		return p, nil
	}
	change := plan.Change{Kind: plan.KindDNSSEC, Verb: plan.VerbRemove, Subject: z.Domain, Domain: z.Domain, Account: z.Account, Before: former{info(z.Signing), z.Signing}}
	if withdraw {
		if z.Signing.Withdrawn {
			p.Say("The parent of %s is asked to remove the DS already.", words.Show(d.Name))
			return p, nil
		}
		z.Signing = z.Signing.Clone()
		z.Signing.Withdrawn = true
		change.Verb, change.Before, change.After = plan.VerbSet, change.Before.(former).Info, info(z.Signing)
		p.Say("The parent of %s is asked, by CDS and CDNSKEY records, to remove the DS. Registries that do not look for them want it removed by hand. The zone stays signed.", words.Show(d.Name))
	} else {
		a.warnOff(ctx, &p, &z)
		z.Signing = nil
		p.Say("%s is no longer signed.", words.Show(d.Name))
	}
	p.Tx.PutZones = append(p.Tx.PutZones, z)
	p.Record(change)
	return p, nil
}

// warnOff warns while somebody may still go by the signatures.
func (a *Access) warnOff(ctx context.Context, p *plan.Plan, z *zone.Zone) {
	if a.Parents == nil {
		p.Warn("%s: whether the zone above %s still has a DS record is not known; while it has, nobody who checks signatures reaches the domain; %s.", finding.DNSSECDSStale, words.Show(z.Domain), order)
		return
	}
	look, err := a.Parents.Look(ctx, z.Domain)
	known := z.Signing.Clone()
	if err == nil {
		known.Observe(z.Apex(), look)
	}
	switch now := a.Parents.Now(); {
	case err == nil && len(look.DS) > 0:
		p.Warn("%s: the zone above %s has a DS record (key %s). Without signatures nobody who checks them reaches the domain: web, mail, everything; %s.", finding.DNSSECDSStale, words.Show(z.Domain), tags(look.DS), order)
	case err != nil:
		p.Warn("%s: whether the zone above %s still has a DS record could not be learned (%s); while it has, nobody who checks signatures reaches the domain; %s.", finding.DNSSECDSStale, words.Show(z.Domain), err, order)
	case !known.Parent.Gone(now):
		p.Warn("%s: the DS record of %s is gone from the zone above, but caches may have it until %s; until then nobody who has it reaches the domain.", finding.DNSSECDSStale, words.Show(z.Domain), words.When(known.Parent.Since.Add(known.Parent.Left)))
	}
}

// PlanRoll plans that keys of a zone are replaced. The role is ksk, zsk, or empty for the one key of a zone that has one.
func (a *Access) PlanRoll(ctx context.Context, actor rights.Actor, st *rights.State, name, role string) (plan.Plan, error) {
	p := plan.New(st.Directory.Version(), actor)
	d, z, err := a.hosted(ctx, actor, st, name)
	if err != nil {
		return plan.Plan{}, err
	}
	if z.Signing == nil {
		return plan.Plan{}, words.Invalid(words.Show(d.Name)+" is not signed.", "sign it with postroad dnssec on")
	}
	r := dnssec.CSK
	switch {
	case role == "zsk" && z.Signing.Scheme == dnssec.SingleKey:
		return plan.Plan{}, words.Invalid(words.Show(d.Name)+" has one key for everything.", "replace it with postroad dnssec roll without --zsk")
	case role == "zsk":
		r = dnssec.ZSK
	case z.Signing.Scheme == dnssec.TwoKeys && role == "ksk":
		r = dnssec.KSK
	case z.Signing.Scheme == dnssec.TwoKeys:
		return plan.Plan{}, words.Invalid("It is not said which of the two keys of "+words.Show(d.Name)+" is to be replaced.", "add --ksk or --zsk")
	}
	before := info(z.Signing)
	next := z.Signing.Clone()
	switch err := next.Begin(r); {
	case errors.Is(err, dnssec.ErrRolling):
		return plan.Plan{}, words.Invalid("The key of "+words.Show(d.Name)+" is being replaced already.", "postroad dnssec show says what it waits for")
	case err != nil:
		return plan.Plan{}, err
	}
	z.Signing = next
	p.Say("A new key of %s is published at once, and takes over when every cache knows it.", words.Show(d.Name))
	if r != dnssec.ZSK {
		p.Say("Then the DS at the parent is to be replaced by that of the new key: registries that look for CDS records do it, at others it is entered by hand, as postroad dnssec show tells. The old key stays until that has been seen.")
	}
	p.Tx.PutZones = append(p.Tx.PutZones, z)
	p.Record(plan.Change{Kind: plan.KindDNSSEC, Verb: plan.VerbSet, Subject: z.Domain, Domain: z.Domain, Account: z.Account, Before: before, After: info(next)})
	return p, nil
}

// PlanAgain plans that zones are signed and published again as they are, for the program itself. Those that are not signed
// or not there are left alone.
func (a *Access) PlanAgain(ctx context.Context, domains []string, st *rights.State) (plan.Plan, error) {
	p := plan.New(st.Directory.Version(), rights.System())
	for _, name := range domains {
		z, err := a.Zones.Zone(ctx, account.System(), name)
		if err != nil && !errors.Is(err, words.ErrNotFound) {
			return p, err
		}
		if _, there := st.Directory.Domain(name); there && err == nil && z.Signing != nil {
			p.Tx.PutZones = append(p.Tx.PutZones, z)
		}
	}
	p.Upkeep = len(p.Tx.PutZones) > 0
	return p, nil
}
