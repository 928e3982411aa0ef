// Package certificates is the names that have certificates of their own, as people see, add, remove and renew them.
//
// # Failure
//
// What makes no sense, or is not the actor's to change, is refused with a *words.RefusedError. What keeps a certificate
// from being given is no refusal: it stands in the name's status, with what to do.
package certificates

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"postroad/internal/core/account"
	"postroad/internal/core/cert"
	"postroad/internal/core/directory"
	"postroad/internal/service/control/plan"
	"postroad/internal/service/control/rights"
	"postroad/internal/service/control/words"
)

// Store keeps names with their status.
type Store interface {
	// Certificates lists the names in scope with their status, by name.
	Certificates(ctx context.Context, scope account.Scope) ([]cert.Certificate, error)
}

// Installation is what all names have in common.
type Installation struct {
	Agreed    bool         // certificates are fetched
	Limit     int          // how many names an account may add
	Addresses []netip.Addr // where names have to point to
	Authority string       // the name by which CAA records know the authority; may be empty
}

// Access is names as actors may see and change them.
type Access struct {
	Store Store
	Installation
}

// CertificateInfo is a name as listings show it.
type CertificateInfo struct {
	Name      string     `json:"name"`
	Unicode   string     `json:"unicode,omitempty" doc:"As people read it, where that differs"`
	Domain    string     `json:"domain,omitempty" doc:"In which the name lies; absent for names of the server"`
	Account   account.ID `json:"account"`
	Source    string     `json:"source" enum:"server,added,automatic,refused" doc:"Why it is to have a certificate: the server goes by it, a person added it, or it is one of the usual names under a domain and points here; refused: a person removed it, and it does not come back by itself"`
	State     string     `json:"state" enum:"valid,wanted,failing,expiring,expired,refused" doc:"wanted: there is none yet; failing: there is none, and the last attempt came to nothing; expiring: it runs out soon and was not renewed"`
	From      *time.Time `json:"from,omitempty" doc:"The certificate holds from then"`
	Until     *time.Time `json:"until,omitempty" doc:"The certificate holds until then"`
	Issuer    string     `json:"issuer,omitempty"`
	Challenge string     `json:"challenge,omitempty" doc:"How the name was shown to be ours"`
	Problem   string     `json:"problem,omitempty" doc:"What kept the last attempt from giving one, in one word"`
	Detail    string     `json:"detail,omitempty" doc:"The same, as it was seen"`
	Remedy    string     `json:"remedy,omitempty" doc:"What to do"`
	Tried     *time.Time `json:"tried,omitempty" doc:"The last attempt"`
	Next      *time.Time `json:"next,omitempty" doc:"The next one"`
	// Advised: RFC 9773.
	AdvisedFrom  *time.Time `json:"advised_from,omitempty" doc:"The authority would like it to be renewed from then"`
	AdvisedUntil *time.Time `json:"advised_until,omitempty" doc:"and until then"`
	AdvisedPage  string     `json:"advised_page,omitempty" doc:"URL of what the authority says of the reason"`
}

func moment(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

// state names how a certificate stands.
func state(c *cert.Certificate, now time.Time) string {
	switch {
	case c.Source == cert.Refused:
		return "refused"
	case !c.NotAfter.IsZero() && !c.There(now):
		return "expired"
	case c.Expiring(now):
		return "expiring"
	case c.There(now):
		return "valid"
	case c.Problem != "":
		return "failing"
	}
	return "wanted"
}

func (a *Access) info(c *cert.Certificate, now time.Time) CertificateInfo {
	out := CertificateInfo{
		Name: c.Name.Name, Domain: c.Domain, Account: c.Account, Source: string(c.Source), State: state(c, now), From: moment(c.NotBefore), Until: moment(c.NotAfter),
		Issuer: c.Issuer, Challenge: string(c.By), Problem: string(c.Problem), Detail: c.Detail, Tried: moment(c.Tried),
		AdvisedFrom: moment(c.Advice.From), AdvisedUntil: moment(c.Advice.Until), AdvisedPage: c.Advice.Page,
	}
	if shown := words.Show(c.Name.Name); shown != c.Name.Name {
		out.Unicode = shown
	}
	switch {
	case c.Source == cert.Refused:
	case !a.Agreed:
		out.Remedy = "No certificates are fetched here: the operator has to agree to the terms of an authority (acme.agree)."
	case c.Problem != "":
		var addresses []string
		for _, at := range a.Addresses {
			addresses = append(addresses, at.String())
		}
		out.Remedy, out.Next = c.Problem.Remedy(c.Name.Name, a.Authority, addresses), moment(c.Next)
	case c.There(now):
		out.Next = moment(c.RenewAt())
	}
	return out
}

// List lists the names in scope.
func (a *Access) List(ctx context.Context, actor rights.Actor) ([]CertificateInfo, error) {
	list, err := a.Store.Certificates(ctx, actor.Scope)
	out := make([]CertificateInfo, 0, len(list))
	for i := range list {
		out = append(out, a.info(&list[i], time.Now()))
	}
	return out, err
}

// find finds a name in the actor's scope.
func (a *Access) find(ctx context.Context, actor rights.Actor, text string) (cert.Certificate, error) {
	name, err := words.DomainName(text)
	if err != nil {
		return cert.Certificate{}, err
	}
	list, err := a.Store.Certificates(ctx, actor.Scope)
	if err != nil {
		return cert.Certificate{}, err
	}
	for i := range list {
		if list[i].Name.Name == name {
			return list[i], nil
		}
	}
	return cert.Certificate{}, &words.RefusedError{
		Err: words.ErrNotFound, Sentence: "There is no certificate for " + words.Show(name) + ".", Hint: "postroad cert list tells which there are, postroad cert add has one fetched",
	}
}

// Show shows one name.
func (a *Access) Show(ctx context.Context, actor rights.Actor, name string) (CertificateInfo, error) {
	c, err := a.find(ctx, actor, name)
	if err != nil {
		return CertificateInfo{}, err
	}
	return a.info(&c, time.Now()), nil
}

// nearest is the domain in which a name lies: itself, or the nearest one above that is known here.
func nearest(st *rights.State, name string) (*directory.Domain, bool) {
	for at := name; at != ""; _, at, _ = strings.Cut(at, ".") {
		if d, there := st.Directory.Domain(at); there {
			return d, true
		}
	}
	return nil, false
}

// longest is the longest name that fits where authorities want it, in octets.
const longest = 253

// PlanAdd plans that a name gets a certificate. It lies in a domain of the actor's whose ownership is shown; domain may be
// empty.
func (a *Access) PlanAdd(ctx context.Context, actor rights.Actor, st *rights.State, text, domain string) (plan.Plan, error) {
	p := plan.New(st.Directory.Version(), actor)
	name, err := words.DomainName(text)
	if err != nil {
		return plan.Plan{}, err
	}
	if !a.Agreed {
		return plan.Plan{}, words.Invalid("No certificates are fetched here.", "the operator has to agree to the terms of an authority: acme.agree in the configuration")
	}
	if len(name) > longest || !strings.Contains(name, ".") {
		return plan.Plan{}, words.Invalid("No authority gives a certificate for "+words.Quote(text)+".", "name a host with its domain, as in mail.example.com")
	}
	d, there := nearest(st, name)
	if !there || !actor.Scope.Has(d.Account) {
		return plan.Plan{}, words.Missing("The name " + words.Show(name) + " lies in no domain of yours.")
	}
	if domain != "" {
		wanted, err := actor.Domain(st, domain)
		if err != nil {
			return plan.Plan{}, err
		}
		if wanted.Name != d.Name {
			return plan.Plan{}, words.Invalid("The name "+words.Show(name)+" lies in "+words.Show(d.Name)+", not in "+words.Show(wanted.Name)+".", "leave out --domain, or name that one")
		}
	}
	if !d.Proved {
		return plan.Plan{}, words.Invalid("The ownership of "+words.Show(d.Name)+" is not shown yet.", "show it first: postroad domain prove "+d.Name)
	}
	all, err := a.Store.Certificates(ctx, account.System()) // a name has one certificate in the whole installation
	if err != nil {
		return plan.Plan{}, err
	}
	next := cert.Name{Name: name, Account: d.Account, Domain: d.Name, Source: cert.Added, Created: time.Now().UTC().Truncate(time.Second)}
	added := 0
	for i := range all {
		c := &all[i]
		switch {
		case c.Name.Name == name && c.Account == d.Account && (c.Source == cert.Refused || c.Source == cert.Automatic):
			next.Asked = c.Asked
			if c.Source == cert.Automatic {
				p.Say("%s has a certificate by itself; from now on it has one because you say so.", words.Show(name))
			}
		case c.Name.Name == name:
			return plan.Plan{}, words.Exists("The name "+words.Show(name)+" is to have a certificate already.", "see postroad cert show "+name)
		case c.Source == cert.Added && c.Account == d.Account:
			added++
		}
	}
	if added >= a.Limit && !actor.Operator {
		return plan.Plan{}, words.Invalid(fmt.Sprintf("An account may add %s, and this one has them.", words.Plural(int64(a.Limit), "name", "names")), "remove one, or ask the operator")
	}
	p.Tx.PutCertificates = []cert.Name{next}
	p.Record(plan.Change{Kind: plan.KindCertificate, Verb: plan.VerbAdd, Subject: name, Domain: d.Name, Account: d.Account, After: shown(&next)})
	p.Say("A certificate is fetched for %s, and renewed by itself. The name has to point here, or lie in a zone that is hosted here; postroad cert show %s tells how far it has come.", words.Show(name), name)
	return p, nil
}

// entry is a name as audit entries keep it.
type entry struct {
	Name   string      `json:"name"`
	Domain string      `json:"domain,omitempty"`
	Source cert.Source `json:"source"`
}

func shown(n *cert.Name) entry { return entry{n.Name, n.Domain, n.Source} }

// PlanRemove plans that a name has no certificate of its own any more.
func (a *Access) PlanRemove(ctx context.Context, actor rights.Actor, st *rights.State, text string) (plan.Plan, error) {
	p := plan.New(st.Directory.Version(), actor)
	c, err := a.find(ctx, actor, text)
	if err != nil {
		return plan.Plan{}, err
	}
	p.Record(plan.Change{Kind: plan.KindCertificate, Verb: plan.VerbRemove, Subject: c.Name.Name, Domain: c.Domain, Account: c.Account, Before: shown(&c.Name)})
	switch c.Source {
	case cert.Server:
		return plan.Plan{}, words.Invalid("The server goes by the name "+words.Show(c.Name.Name)+".", "it needs no certificate when it is in no exchanger set and is not the hostname, or when tls.cert_file has it")
	case cert.Refused:
		return plan.Plan{}, words.Missing("There is no certificate for " + words.Show(c.Name.Name) + ".")
	case cert.Automatic:
		c.Source = cert.Refused
		p.Tx.PutCertificates = []cert.Name{c.Name}
		p.Say("%s has no certificate of its own any more, and does not get one by itself again.", words.Show(c.Name.Name))
	case cert.Added:
		p.Remove(plan.KindCertificate, c.Name.Name)
		p.Say("%s has no certificate of its own any more.", words.Show(c.Name.Name))
	}
	p.Say("Clients that connect by this name are shown the server's certificate, and warn.")
	return p, nil
}

// How soon a customer may ask again, and for a new certificate where nothing is wrong with the one that is there: what an
// authority allows is there for all accounts.
const (
	askAgain = time.Hour
	renewNew = 24 * time.Hour
)

// PlanRenew plans that a new certificate is fetched for a name at once.
func (a *Access) PlanRenew(ctx context.Context, actor rights.Actor, st *rights.State, text string) (plan.Plan, error) {
	p := plan.New(st.Directory.Version(), actor)
	c, err := a.find(ctx, actor, text)
	if err != nil {
		return plan.Plan{}, err
	}
	now := time.Now().UTC()
	switch {
	case c.Source == cert.Refused:
		return plan.Plan{}, words.Missing("There is no certificate for " + words.Show(c.Name.Name) + ".")
	case !a.Agreed:
		return plan.Plan{}, words.Invalid("No certificates are fetched here.", "the operator has to agree to the terms of an authority: acme.agree in the configuration")
	case c.Problem == cert.RateLimited && now.Before(c.Next):
		return plan.Plan{}, words.Invalid("The authority does not want to be asked for "+words.Show(c.Name.Name)+" before "+words.When(c.Next)+".", "wait until then: it is asked by itself")
	case !actor.Operator && c.Problem == "" && now.Sub(c.Given) < renewNew:
		return plan.Plan{}, words.Invalid("The certificate of "+words.Show(c.Name.Name)+" was given less than a day ago.", "it is renewed by itself; the operator can have it renewed now")
	case !actor.Operator && now.Sub(c.Asked) < askAgain:
		return plan.Plan{}, words.Invalid("A new certificate for "+words.Show(c.Name.Name)+" was asked for just now.", "see what came of it: postroad cert show "+c.Name.Name)
	}
	c.Asked = now
	p.Tx.PutCertificates = []cert.Name{c.Name}
	p.Record(plan.Change{Kind: plan.KindCertificate, Verb: plan.VerbSet, Subject: c.Name.Name, Domain: c.Domain, Account: c.Account, Before: shown(&c.Name), After: shown(&c.Name)})
	p.Say("A new certificate is fetched for %s now; the one that is there is used until then.", words.Show(c.Name.Name))
	return p, nil
}

// PlanKeep plans that the names which follow from what is hosted here are as given: some are added, or take the place of
// those before them, others are dropped. What has changed in the meantime is left alone.
func (a *Access) PlanKeep(ctx context.Context, st *rights.State, put []cert.Name, drop []string) (plan.Plan, error) {
	p := plan.New(st.Directory.Version(), rights.System())
	all, err := a.Store.Certificates(ctx, account.System())
	if err != nil {
		return plan.Plan{}, err
	}
	there := make(map[string]*cert.Certificate, len(all))
	for i := range all {
		there[all[i].Name.Name] = &all[i]
	}
	for _, n := range put {
		old, is := there[n.Name]
		d, has := st.Directory.Domain(n.Domain)
		if n.Domain != "" && (!has || d.Account != n.Account) || is && (n.Source != cert.Server || old.Source != cert.Automatic) {
			continue
		}
		p.Tx.PutCertificates = append(p.Tx.PutCertificates, n)
	}
	for _, name := range drop {
		if old, is := there[name]; is && (old.Source == cert.Server || old.Source == cert.Automatic) {
			p.Remove(plan.KindCertificate, name)
		}
	}
	p.Upkeep = len(p.Tx.PutCertificates)+len(p.Tx.Remove) > 0
	return p, nil
}
