package dkim

import (
	"context"
	"sync"
	"time"

	"postroad/internal/core/account"
	"postroad/internal/core/directory"
	"postroad/internal/core/dkimkey"
	"postroad/internal/core/facts"
	"postroad/internal/proto/dkim"
	"postroad/internal/proto/dns"
	"postroad/internal/service/control/rights"
	"postroad/internal/service/control/words"
)

// DKIMInfo is how a domain's mail is signed, as listings, plans and audit entries show it. No private key is in it.
type DKIMInfo struct {
	Domain     string     `json:"domain"`
	Account    account.ID `json:"account"`
	On         bool       `json:"on" doc:"Its mail is signed, once a key signs"`
	Algorithms string     `json:"algorithms" doc:"Of keys that are made"`
	Rotate     int        `json:"rotate_days" doc:"Age at which keys are replaced; 0: only when somebody says so"`
	Keys       []DKIMKey  `json:"keys" nullable:"false" doc:"Those made last come last"`
}

// DKIMKey is a key as listings show it.
type DKIMKey struct {
	Selector  string     `json:"selector"`
	Algorithm string     `json:"algorithm" enum:"rsa,ed25519"`
	State     string     `json:"state" enum:"published,active,retired" doc:"published: it signs once the world has its record; retired: its record stays for mail that is on its way"`
	Since     time.Time  `json:"since" doc:"Of the state"`
	Made      time.Time  `json:"made"`
	Seen      *time.Time `json:"seen,omitempty" doc:"When the world was first seen to have its record"`
	Until     *time.Time `json:"until,omitempty" doc:"Until when the record of a retired key stays"`
	Imported  bool       `json:"imported,omitempty" doc:"It was made elsewhere"`
}

// Show gives a domain's keys as listings show them.
func Show(d *dkimkey.Domain) DKIMInfo {
	out := DKIMInfo{Domain: d.Name, Account: d.Account, On: !d.Off, Rotate: int(d.Rotate / (24 * time.Hour)), Keys: []DKIMKey{}}
	for i, a := range d.Algorithms {
		if i > 0 {
			out.Algorithms += ","
		}
		out.Algorithms += string(a)
	}
	for i := range d.Keys {
		k := &d.Keys[i]
		out.Keys = append(out.Keys, DKIMKey{
			Selector: k.Selector, Algorithm: string(k.Algorithm), State: string(k.State), Since: k.Since, Made: k.Made, Imported: k.Imported,
			Seen: some(k.Seen), Until: some(k.Until),
		})
	}
	return out
}

func some(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// List lists the keys in scope.
func (a *Access) List(ctx context.Context, actor rights.Actor) ([]DKIMInfo, error) {
	list, err := a.Store.DKIMDomains(ctx, actor.Scope)
	if err != nil {
		return nil, err
	}
	out := make([]DKIMInfo, len(list))
	for i := range list {
		out[i] = Show(&list[i])
	}
	return out, nil
}

// DKIMStatus is a domain's keys with what belongs into its zone, and what the world has there.
type DKIMStatus struct {
	DKIMInfo

	Hosted  bool         `json:"hosted" doc:"The zone is hosted here: the records are published by themselves"`
	Records []DKIMRecord `json:"records" nullable:"false" doc:"What the zone is to have, in the order of the keys"`
	Next    string       `json:"next" doc:"What happens next, as a sentence"`
}

// DKIMRecord is the record of a key in the forms in which it is entered.
type DKIMRecord struct {
	Selector string   `json:"selector"`
	Name     string   `json:"name" doc:"Owner of the TXT record"`
	Text     string   `json:"text" doc:"The whole text, where one field takes it all"`
	Strings  []string `json:"strings" doc:"The same in strings of at most 255 characters, where each has a field of its own"`
	Line     string   `json:"line" doc:"The same as a line of a zone file"`
	World    string   `json:"world" enum:"published,several,damaged,truncated,other-key,revoked,misplaced,unpublished,unknown" doc:"What the world has there now"`
	Says     string   `json:"says" doc:"Who answered what"`
}

// Status shows a domain's keys, and looks at what the world has.
func (a *Access) Status(ctx context.Context, actor rights.Actor, st *rights.State, name string) (DKIMStatus, error) {
	d, keys, there, err := a.load(ctx, actor, st, name)
	if err != nil {
		return DKIMStatus{}, err
	}
	out := DKIMStatus{DKIMInfo: Show(&keys), Hosted: d.Zone == directory.ZoneHosted, Records: []DKIMRecord{}}
	if !there {
		out.On = false
		out.Next = "Its mail is not signed: postroad dkim on " + d.Name + " makes keys; without that they are made when somebody sends as it."
		return out, nil
	}
	seen := a.See(ctx, &keys)
	for i := range keys.Keys {
		k := &keys.Keys[i]
		s := seen[k.Selector]
		parts := dkim.SplitText(k.Record)
		out.Records = append(out.Records, DKIMRecord{
			Selector: k.Selector, Name: k.Owner(d.Name), Text: k.Record, Strings: parts,
			Line: k.Owner(d.Name) + ". IN TXT ( " + dkim.Quote(parts) + " )", World: string(s.State), Says: s.Says,
		})
	}
	out.Next = next(d, &keys)
	return out, nil
}

// next tells what happens next.
func next(d *directory.Domain, keys *dkimkey.Domain) string {
	waiting := keys.Waiting()
	switch {
	case keys.Off:
		return "Its mail is not signed: postroad dkim on " + d.Name + " has it signed."
	case len(waiting) > 0 && d.Zone == directory.ZoneHosted:
		return "The key " + waiting[0].Selector + " signs once the world has been seen to have its record, which stands in the zone here."
	case len(waiting) > 0:
		return "Enter the record of the key " + waiting[0].Selector + " in the zone; it signs once it has been seen there. postroad dkim activate " + d.Name + " looks at once."
	case len(keys.Signing()) == 0:
		return "It has no key that signs; one is made when somebody sends as it, or by postroad dkim on " + d.Name + "."
	}
	if keys.Rotate > 0 {
		oldest := keys.Signing()[0].Made
		return "Its mail is signed; the keys are replaced from " + words.When(oldest.Add(keys.Rotate)) + " on."
	}
	return "Its mail is signed; postroad dkim rotate " + d.Name + " replaces the keys."
}

// See looks at what the world has in the places of all keys of a domain, by selector.
func (a *Access) See(ctx context.Context, d *dkimkey.Domain) map[string]dkimkey.Seen {
	out := make(map[string]dkimkey.Seen, len(d.Keys))
	var mu sync.Mutex
	var wg sync.WaitGroup
	for i := range d.Keys {
		k := &d.Keys[i]
		wg.Go(func() {
			seen := a.see(ctx, d.Name, k)
			mu.Lock()
			out[k.Selector] = seen
			mu.Unlock()
		})
	}
	wg.Wait()
	return out
}

// see looks at what the world has in the place of a key, and if that is nothing, where a record may have come to stand
// that was entered in a form that adds names or drops them.
func (a *Access) see(ctx context.Context, domain string, k *dkimkey.Key) dkimkey.Seen {
	if a.Resolver == nil {
		return dkimkey.Seen{State: dkimkey.Unknown, Says: "nobody can be asked here"}
	}
	answer := a.Resolver.Recursive(ctx, k.Owner(domain), dns.TypeTXT)
	seen := k.Compare(&answer, nil)
	if seen.State != dkim.Unpublished || k.State == dkimkey.Retired {
		return seen
	}
	var elsewhere []facts.Answer
	for _, name := range dkim.WrongPlaces(k.Selector, domain) {
		elsewhere = append(elsewhere, a.Resolver.Recursive(ctx, name, dns.TypeTXT))
	}
	return k.Compare(&answer, elsewhere)
}
