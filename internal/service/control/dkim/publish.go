package dkim

import (
	"context"
	"errors"
	"slices"

	"postroad/internal/core/account"
	"postroad/internal/core/directory"
	"postroad/internal/core/dkimkey"
	"postroad/internal/core/facts"
	"postroad/internal/core/zone"
	"postroad/internal/proto/dkim"
	"postroad/internal/proto/dns"
	"postroad/internal/service/control/plan"
	"postroad/internal/service/control/words"
	"postroad/internal/service/control/zones"
)

// Record is the record of a key in its domain's zone.
func Record(domain string, k *dkimkey.Key) (dns.Record, error) {
	r := dns.Record{Name: k.Owner(domain) + ".", Type: dns.TypeTXT, TTL: zone.DefaultTTL}
	var err error
	r.Data, err = dns.Data(dns.TypeTXT, dkim.Quote(dkim.SplitText(k.Record)), "")
	return r, err
}

// has reports whether records of a name have a key.
func has(set []dns.Record, k *dkimkey.Key) bool {
	a := facts.Answer{Records: set}
	return slices.ContainsFunc(a.Texts(), k.SameKey)
}

// publish adds to a plan what a domain's zone becomes that is hosted here: the records of its keys are in it, and those of
// keys that it has no longer are not.
func (a *Access) publish(ctx context.Context, p *plan.Plan, d *directory.Domain, old, next *dkimkey.Domain) error {
	z, err := a.Zones.Zone(ctx, account.System(), d.Name)
	if errors.Is(err, words.ErrNotFound) || errors.Is(err, zone.ErrEncoding) { // a zone that is damaged is a finding
		return nil
	}
	if err != nil {
		return err
	}
	records := slices.Clone(z.Records)
	for i := range old.Keys {
		k := &old.Keys[i]
		if _, kept := next.Key(k.Selector); kept {
			continue
		}
		name := k.Owner(d.Name) + "."
		for _, r := range zone.RRset(records, name, dns.TypeTXT) {
			if has([]dns.Record{r}, k) {
				records = zone.Remove(records, r)
			}
		}
	}
	for i := range next.Keys {
		k := &next.Keys[i]
		_, known := old.Key(k.Selector)
		set := zone.RRset(records, k.Owner(d.Name)+".", dns.TypeTXT)
		// What somebody has put in the place of a key's record since it was made stays, and is a finding.
		if has(set, k) || known && len(set) > 0 || len(zone.RRset(records, k.Owner(d.Name)+".", dns.TypeCNAME)) > 0 {
			continue
		}
		r, err := Record(d.Name, k)
		if err != nil {
			return err
		}
		records = zone.Replace(records, r.Name, r.Type, r)
	}
	return zones.Put(p, d, z, records, plan.Change{Kind: plan.KindRecord, Verb: plan.VerbSet, Subject: "_domainkey." + d.Name + " TXT"})
}

// Wanted gives the records that a domain's zone is to have for its keys, wherever it is hosted.
func (a *Access) Wanted(ctx context.Context, d *directory.Domain) ([]dns.Record, error) {
	keys, err := a.Store.DKIM(ctx, account.System(), d.Name)
	if errors.Is(err, words.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var out []dns.Record
	for i := range keys.Keys {
		r, err := Record(d.Name, &keys.Keys[i])
		if err != nil {
			return nil, err
		}
		out = append(out, r)
	}
	return out, nil
}
