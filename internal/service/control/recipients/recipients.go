// Package recipients is the lists of recipients of domains whose mailboxes are elsewhere: uploaded ones, and those that are
// fetched from another Postroad.
package recipients

import (
	"context"
	"errors"
	"net/url"
	"slices"
	"strings"
	"time"

	"postroad/internal/core/account"
	"postroad/internal/core/directory"
	"postroad/internal/core/facts"
	"postroad/internal/proto/smtp"
	"postroad/internal/service/control/plan"
	"postroad/internal/service/control/rights"
	"postroad/internal/service/control/words"
)

// Store keeps the lists.
type Store interface {
	// Recipients gives a domain's list of recipients; ErrNotFound when there is none.
	Recipients(ctx context.Context, scope account.Scope, domain string) (plan.RecipientList, error)
}

// Access is the lists as actors may see and change them. Fetcher may be nil: none is fetched.
type Access struct {
	Store   Store
	Fetcher Fetcher
}

// ListInfo is a domain's list of recipients, apart from the addresses in it.
type ListInfo struct {
	Domain       string     `json:"domain"`
	Account      account.ID `json:"account"`
	Source       string     `json:"source" enum:"upload,sync"`
	Learned      time.Time  `json:"learned" doc:"When the list was true"`
	Outdated     bool       `json:"outdated" doc:"It is too old to say that somebody does not exist"`
	Count        int        `json:"count"`
	From         string     `json:"from,omitempty" doc:"URL of the Postroad that it is fetched from"`
	EverySeconds int64      `json:"every_seconds,omitempty" doc:"How often it is fetched"`
	Problem      string     `json:"problem,omitempty" doc:"Why it could not be fetched the last time"`
}

// ListDetail is such a list with its addresses.
type ListDetail struct {
	ListInfo
	Addresses []string `json:"addresses" nullable:"false" doc:"In order; @domain stands for every address"`
}

func show(l *plan.RecipientList) ListInfo {
	return ListInfo{
		Domain: l.Domain, Account: l.Account, Source: l.Source, Learned: l.Learned, Count: len(l.Locals),
		Outdated: time.Now().UTC().Sub(l.Learned) >= l.MaxAge(), From: l.URL, EverySeconds: int64(l.Every / time.Second), Problem: l.Problem,
	}
}

// maxListed is how many recipients a list may have.
const maxListed = 50_000

// find finds a domain with its list; nil when there is none.
func (a *Access) find(ctx context.Context, actor rights.Actor, st *rights.State, domain string) (*directory.Domain, *plan.RecipientList, error) {
	d, err := actor.Domain(st, domain)
	if err != nil {
		return nil, nil, err
	}
	l, err := a.Store.Recipients(ctx, actor.Scope, d.Name)
	if errors.Is(err, words.ErrNotFound) {
		return d, nil, nil
	}
	return d, &l, err
}

// Show shows a domain's list.
func (a *Access) Show(ctx context.Context, actor rights.Actor, st *rights.State, domain string) (ListDetail, error) {
	d, l, err := a.find(ctx, actor, st, domain)
	if err != nil {
		return ListDetail{}, err
	}
	if l == nil {
		return ListDetail{}, words.Missing("The domain " + words.Show(d.Name) + " has no list of recipients.")
	}
	out := ListDetail{ListInfo: show(l), Addresses: make([]string, len(l.Locals))}
	for i, local := range l.Locals {
		out.Addresses[i] = local + "@" + d.Name
	}
	return out, nil
}

// PlanImport plans that a list takes the place of the one that a domain has.
func (a *Access) PlanImport(ctx context.Context, actor rights.Actor, st *rights.State, domain string, addresses []string) (plan.Plan, error) {
	p := plan.New(st.Directory.Version(), actor)
	d, old, err := a.find(ctx, actor, st, domain)
	if err != nil {
		return plan.Plan{}, err
	}
	l := plan.RecipientList{Domain: d.Name, Account: d.Account, Source: "upload", Learned: time.Now().UTC().Truncate(time.Second)}
	if l.Locals, err = listed(d.Name, addresses); err != nil {
		return plan.Plan{}, err
	}
	replace(&p, d, old, &l)
	return p, nil
}

// replace plans that a list takes the place of another; nil for none.
func replace(p *plan.Plan, d *directory.Domain, old, list *plan.RecipientList) {
	l := *list
	change := plan.Change{Kind: plan.KindRecipients, Verb: plan.VerbAdd, Subject: d.Name, Domain: d.Name, Account: d.Account, After: show(&l)}
	added, removed := int64(len(l.Locals)), int64(0)
	if old != nil {
		change.Verb, change.Before = plan.VerbSet, show(old)
		for _, local := range old.Locals {
			if _, stays := slices.BinarySearch(l.Locals, local); stays {
				added--
			} else {
				removed++
			}
		}
	}
	p.Tx.PutLists = []plan.RecipientList{l}
	p.Record(change)
	p.Say("The list of recipients of %s has %s: %d added, %d removed.", words.Show(d.Name), words.Plural(int64(len(l.Locals)), "address", "addresses"), added, removed)
	if d.Verification() != directory.RecipientsList {
		p.Say("The domain does not go by its list yet: domain set %s --recipients list lets it.", words.Show(d.Name))
	}
	if removed > 0 {
		p.Warn("Mail for %s that the list no longer has is refused from now on, unless they are here.", words.Plural(removed, "address", "addresses"))
	}
}

// Sync is where a list is to be fetched from.
type Sync struct {
	Domain string
	From   string        // URL of another Postroad
	Token  string        // for its API
	Every  time.Duration // 0: a minute
	Plain  bool          // HTTP without TLS, to an address that is loopback or private
}

// Fetcher fetches lists of recipients from other installations.
type Fetcher interface {
	// Fetch gives the local parts of a domain's recipients and sets the source's ETag; nil when nothing has changed since
	// the ETag that it has. The error is for people.
	FetchList(ctx context.Context, domain string, from *facts.ListSource) ([]string, error)
}

// PlanSync plans that a domain's list is fetched from another Postroad from now on. It is fetched at once: what
// cannot be fetched is refused.
func (a *Access) PlanSync(ctx context.Context, actor rights.Actor, st *rights.State, spec Sync) (plan.Plan, error) {
	p := plan.New(st.Directory.Version(), actor)
	d, old, err := a.find(ctx, actor, st, spec.Domain)
	if err != nil {
		return plan.Plan{}, err
	}
	u, err := url.Parse(spec.From)
	if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || u.Scheme != "https" && u.Scheme != "http" {
		return plan.Plan{}, words.Invalid(words.Quote(spec.From)+" is no URL of a Postroad.", "write it as https://mx.example.org")
	}
	if u.Scheme == "http" {
		if err := actor.MustOperate("have a list fetched without TLS"); err != nil {
			return plan.Plan{}, err
		}
		if !spec.Plain {
			return plan.Plan{}, words.Invalid("The list would be fetched without TLS.", "say --plain for an address that is loopback or private")
		}
	}
	if spec.Every == 0 {
		spec.Every = time.Minute
	}
	if spec.Every < time.Second || spec.Every > 24*time.Hour {
		return plan.Plan{}, words.Invalid("A list is fetched every second to every 24 hours.", "")
	}
	if spec.Token == "" {
		return plan.Plan{}, words.Invalid("The token is missing.", "make one there with postroad token add, and give it by --token-stdin")
	}
	if a.Fetcher == nil {
		return plan.Plan{}, words.Invalid("Lists cannot be fetched here.", "")
	}
	l := plan.RecipientList{Domain: d.Name, Account: d.Account, Source: "sync", Learned: time.Now().UTC().Truncate(time.Second)}
	l.ListSource = facts.ListSource{URL: strings.TrimSuffix(spec.From, "/"), Token: spec.Token, Every: spec.Every, Operator: actor.Operator}
	if l.Locals, err = a.Fetcher.FetchList(ctx, d.Name, &l.ListSource); err != nil {
		return plan.Plan{}, words.Invalid("The list cannot be fetched from "+l.URL+": "+err.Error()+".", "")
	}
	replace(&p, d, old, &l)
	p.Say("It is fetched from %s every %s from now on.", l.URL, spec.Every)
	return p, nil
}

// AddressList is every address at which a domain receives here.
type AddressList struct {
	Domain string   `json:"domain"`
	Every  bool     `json:"every" doc:"Every address of the domain is taken"`
	Locals []string `json:"locals" nullable:"false" doc:"Local parts in order"`
}

// Addresses lists every address at which a domain receives here. A domain that does not receive here, or not alone, has
// no such list.
func (a *Access) Addresses(actor rights.Actor, st *rights.State, domain string) (AddressList, error) {
	d, err := actor.Domain(st, domain)
	if err != nil {
		return AddressList{}, err
	}
	if !d.Proved || d.Effective() != directory.ModeLocal {
		return AddressList{}, words.Invalid("The domain "+words.Show(d.Name)+" does not receive all of its mail here.", "")
	}
	out := AddressList{Domain: d.Name, Locals: []string{"postmaster"}} // every domain has one (RFC 5321 §4.5.1)
	for m := range st.Directory.Mailboxes(d.Name) {
		out.Locals = append(out.Locals, m.Local)
	}
	for r := range st.Directory.Rules(d.Name) {
		out.Every = out.Every || r.Local == ""
		if r.Local != "" {
			out.Locals = append(out.Locals, r.Local)
		}
	}
	slices.Sort(out.Locals)
	out.Locals = slices.Compact(out.Locals)
	return out, nil
}

// listed gives the local parts of a domain's addresses, in order and once each.
func listed(domain string, addresses []string) ([]string, error) {
	if len(addresses) == 0 {
		return nil, words.Invalid("The list has no address.", "recipients remove takes the list away")
	}
	if len(addresses) > maxListed {
		return nil, words.Invalid("A list has at most 50,000 addresses.", "say @"+domain+" for every address")
	}
	out := make([]string, 0, len(addresses))
	for _, a := range addresses {
		if everybody, ok := strings.CutPrefix(a, "@"); ok {
			if name, err := words.DomainName(everybody); err != nil || name != domain {
				return nil, words.Invalid(words.Quote(a)+" is no address of "+words.Show(domain)+".", "")
			}
			out = append(out, "")
			continue
		}
		at, err := smtp.ParseAddress(a, true)
		if err != nil || at.Domain != domain {
			return nil, words.Invalid(words.Quote(a)+" is no address of "+words.Show(domain)+".", "nothing was imported")
		}
		text := at.String() // a quoted local part stays quoted, as RCPT gives it
		out = append(out, directory.FoldLocal(text[:strings.LastIndexByte(text, '@')]))
	}
	slices.Sort(out)
	return slices.Compact(out), nil
}

// PlanRemove plans the end of a domain's list.
func (a *Access) PlanRemove(ctx context.Context, actor rights.Actor, st *rights.State, domain string) (plan.Plan, error) {
	p := plan.New(st.Directory.Version(), actor)
	d, old, err := a.find(ctx, actor, st, domain)
	if err != nil {
		return plan.Plan{}, err
	}
	if old == nil {
		return plan.Plan{}, words.Missing("The domain " + words.Show(d.Name) + " has no list of recipients.")
	}
	p.Remove(plan.KindRecipients, d.Name)
	p.Record(plan.Change{Kind: plan.KindRecipients, Verb: plan.VerbRemove, Subject: d.Name, Domain: d.Name, Account: d.Account, Before: show(old)})
	p.Say("Removes the list of recipients of %s with %s.", words.Show(d.Name), words.Plural(int64(len(old.Locals)), "address", "addresses"))
	if d.Verification() == directory.RecipientsList {
		p.Warn("The domain goes by its list: mail for everybody who is not here is put off from now on.")
	}
	return p, nil
}
