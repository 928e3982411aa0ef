package outbounds

import (
	"crypto/sha256"
	"encoding/base32"
	"slices"
	"strings"
	"time"

	"postroad/internal/core/account"
	"postroad/internal/core/directory"
	"postroad/internal/core/finding"
	"postroad/internal/proto/smtp"
	"postroad/internal/service/control/plan"
	"postroad/internal/service/control/rights"
	"postroad/internal/service/control/settings"
	"postroad/internal/service/control/undo"
	"postroad/internal/service/control/words"
)

// relay is what a route for addresses elsewhere is for.
type relay struct {
	identity string // one folded address, or a domain
	owner    account.ID
}

// id names the route. It is the same whenever the route is set again: mail that waits for it leaves by it then.
func (r *relay) id() string {
	sum := sha256.Sum256([]byte("outbound route of " + string(r.owner) + " for " + r.identity))
	return strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(sum[:])[:26])
}

// covers reports whether an identity is one of those that the route is for.
func (r *relay) covers(i *directory.Identity) bool {
	return i.Account == r.owner && (i.Address == r.identity || i.Address[strings.LastIndexByte(i.Address, '@')+1:] == r.identity)
}

// sentAs names what a route is for in sentences.
func (r *relay) sentAs() string {
	if strings.Contains(r.identity, "@") {
		return r.identity
	}
	return "addresses of " + words.Show(r.identity)
}

// readIdentity reads an address or a domain as routes have it.
func readIdentity(text string) (string, error) {
	if !strings.Contains(text, "@") {
		return words.DomainName(text)
	}
	a, err := smtp.ParseAddress(text, true)
	if err != nil || a.IsLiteral() {
		return "", words.Invalid(words.Quote(text)+" is no address to send as.", "as in name@example.org, or a domain for all addresses in it")
	}
	return directory.FoldAddress(a), nil
}

// identities goes through those in the actor's scope.
func identities(actor rights.Actor, st *rights.State, each func(i *directory.Identity)) {
	for d := range st.Directory.Domains() {
		if !actor.Scope.Has(d.Account) {
			continue
		}
		for box := range st.Directory.Mailboxes(d.Name) {
			for _, i := range st.Directory.Identities(box.ID) {
				each(&i)
			}
		}
	}
}

// chosen finds whose route is meant: of those that come into question, the one that is named, or the only one.
func chosen(actor rights.Actor, st *rights.State, ref string, among []account.ID, none error) (account.ID, error) {
	if ref != "" {
		id, err := actor.Account(st, ref)
		if err != nil {
			return "", err
		}
		among = slices.DeleteFunc(among, func(o account.ID) bool { return o != id })
	}
	switch len(among) {
	case 0:
		return "", none
	case 1:
		return among[0], nil
	}
	return "", words.Invalid("More than one account comes into question.", "name it with --account")
}

// relayOf finds what a route is to be for: an account in scope has shown the address, or one in the domain, to be its user's.
func relayOf(actor rights.Actor, st *rights.State, spec *Spec) (*relay, error) {
	r := &relay{}
	var err error
	if r.identity, err = readIdentity(spec.Identity); err != nil {
		return nil, err
	}
	var owners []account.ID
	now := time.Now()
	identities(actor, st, func(i *directory.Identity) {
		r.owner = i.Account
		if r.covers(i) && st.Directory.Holds(i, now) && !slices.Contains(owners, i.Account) {
			owners = append(owners, i.Account)
		}
	})
	r.owner, err = chosen(actor, st, spec.Account, owners, words.Missing("Nobody has shown to send as "+r.sentAs()+": postroad identity add does."))
	if err != nil {
		return nil, err
	}
	if d, ours := st.Directory.Domain(r.identity); ours && d.Proved && d.Account == r.owner {
		return nil, words.Invalid("The domain "+words.Show(d.Name)+" is the account's own here.", "set the route of the whole domain with --domain "+d.Name)
	}
	return r, nil
}

// find finds the route that is set.
func (r *relay) find(snap *directory.Snapshot) (directory.Outbound, bool) {
	for _, o := range snap.Outbounds() {
		if o.Identity == r.identity && o.Account == r.owner {
			return o, true
		}
	}
	return directory.Outbound{}, false
}

// planRelay plans the smart host for what logins send as addresses elsewhere.
func (a *Access) planRelay(actor rights.Actor, st *rights.State, spec Spec) (plan.Plan, error) {
	p := plan.New(st.Directory.Version(), actor)
	if spec.Domain != "" || spec.Source != nil {
		return plan.Plan{}, words.Invalid("A route is for addresses elsewhere or for a sender's domain, and the addresses of this machine are chosen for the latter.", "leave out --domain and --source, or --identity")
	}
	if spec.Hop == "" {
		return plan.Plan{}, words.Invalid("No smart host is named.", "name the server of the addresses' domain as HOST:PORT")
	}
	r, err := relayOf(actor, st, &spec)
	if err != nil {
		return plan.Plan{}, err
	}
	old, there := r.find(st.Directory)
	o := directory.Outbound{ID: r.id(), Account: r.owner, Identity: r.identity}
	if there {
		o.ID = old.ID
	}
	if err := a.through(actor, spec, &o); err != nil {
		return plan.Plan{}, err
	}
	if o == old {
		return p, nil
	}
	c := plan.Change{Kind: plan.KindOutbound, Verb: plan.VerbSet, Subject: r.identity, Account: r.owner, After: undo.ShowOutbound(o)}
	if there {
		c.Before = undo.ShowOutbound(old)
	}
	p.Tx.PutOutbounds = []directory.Outbound{o}
	p.Delta.PutOutbounds = p.Tx.PutOutbounds
	p.Asks = true
	p.Record(c)
	p.Say("Mail that is sent as %s, and goes to foreign domains, leaves through %s.", r.sentAs(), settings.ShowHost(o.Hop))
	sayUnder(&p, &o)
	if o.User == "" {
		p.Say("Nobody logs in there: that host has to take mail from this server for its address.")
	}
	if !there {
		p.Say("Mail that is queued already goes as it was to go.")
	}
	r.settle(actor, st, &p)
	return p, nil
}

// settle drops the findings that a change of a route ends: what its host has refused, and of domains all of whose identities
// have a route then, that they are not authorised.
func (r *relay) settle(actor rights.Actor, st *rights.State, p *plan.Plan) {
	after, now := st.Directory.With(p.Delta), time.Now()
	covered, open := map[string]bool{}, map[string]bool{}
	identities(actor, st, func(i *directory.Identity) {
		if r.covers(i) {
			covered[i.Domain] = true
		}
		if _, routed := after.RelayOf(i); !routed && st.Directory.Holds(i, now) {
			open[i.Domain] = true
		}
	})
	for domain := range covered {
		p.Tx.DropFindings = append(p.Tx.DropFindings, finding.Finding{Domain: domain, Name: finding.IdentityRelayRefused})
		if !open[domain] {
			p.Tx.DropFindings = append(p.Tx.DropFindings, finding.Finding{Domain: domain, Name: finding.IdentityNotAuthorised})
		}
	}
}

// PlanRelayRemove plans the end of a route for addresses elsewhere. What is sent as them leaves as other mail does then.
func PlanRelayRemove(actor rights.Actor, st *rights.State, identity, owner string) (plan.Plan, error) {
	p := plan.New(st.Directory.Version(), actor)
	text, err := readIdentity(identity)
	if err != nil {
		return plan.Plan{}, err
	}
	r := &relay{identity: text}
	var owners []account.ID
	for _, o := range st.Directory.Outbounds() {
		if o.Identity == text && actor.Scope.Has(o.Account) {
			owners = append(owners, o.Account)
		}
	}
	if r.owner, err = chosen(actor, st, owner, owners, words.Missing("There is no outbound route for "+r.sentAs()+".")); err != nil {
		return plan.Plan{}, err
	}
	old, _ := r.find(st.Directory)
	p.Remove(plan.KindOutbound, old.ID)
	p.Delta.RemoveOutbounds = []string{old.ID}
	p.Record(plan.Change{Kind: plan.KindOutbound, Verb: plan.VerbRemove, Subject: text, Account: r.owner, Before: undo.ShowOutbound(old)})
	p.Say("Mail that is sent as %s no longer leaves through %s. What is queued for that waits until a route is set for them again, or is returned when its time is over.", r.sentAs(), settings.ShowHost(old.Hop))
	p.Say("Receivers may refuse what leaves from here as such an address: %s tells where neither SPF nor DKIM of its domain authorises it.", finding.IdentityNotAuthorised)
	r.settle(actor, st, &p)
	p.Tx.DropFindings = slices.DeleteFunc(p.Tx.DropFindings, func(f finding.Finding) bool { return f.Name == finding.IdentityNotAuthorised })
	return p, nil
}
