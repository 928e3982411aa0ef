package zones

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"slices"

	"postroad/internal/core/directory"
	"postroad/internal/core/zone"
	"postroad/internal/proto/dns"
	"postroad/internal/service/control/plan"
	"postroad/internal/service/control/rights"
	"postroad/internal/service/control/words"
)

// side reads the records of one side of a change from its audit entry.
func side(text string) ([]dns.Record, error) {
	if text == "" {
		return nil, nil
	}
	var c Content
	if err := json.Unmarshal([]byte(text), &c); err != nil {
		return nil, words.Lost("its entry cannot be read any more")
	}
	out := make([]dns.Record, 0, len(c.Records))
	for _, l := range c.Records {
		r, err := readLine(l)
		if err != nil {
			return nil, words.Lost("its entry cannot be read any more")
		}
		out = append(out, r)
	}
	return out, nil
}

// has reports whether a record stands in sorted records; of a SOA the serial does not count.
func has(records []dns.Record, r dns.Record) bool {
	return slices.ContainsFunc(zone.RRset(records, r.Name, r.Type), func(o dns.Record) bool {
		if o.TTL != r.TTL {
			return false
		}
		return bytes.Equal(o.Data, r.Data) || r.Type == dns.TypeSOA && len(zone.Plan([]dns.Record{o}, []dns.Record{r})) == 0
	})
}

// Back gives the records that a zone has once a change of it is taken back, by the two sides that its audit entry keeps. It
// is refused when what the change did is not all there any more.
func Back(z *zone.Zone, before, after string) ([]dns.Record, error) {
	gone, err := side(before)
	if err != nil {
		return nil, err
	}
	come, err := side(after)
	if err != nil {
		return nil, err
	}
	if len(gone)+len(come) == 0 {
		return nil, words.Lost("only the serial was changed, and serials never go back")
	}
	stale := slices.ContainsFunc(come, func(r dns.Record) bool { return !has(z.Records, r) }) ||
		slices.ContainsFunc(gone, func(r dns.Record) bool { return has(z.Records, r) })
	if stale {
		return nil, words.Since("one of the records that it changed")
	}
	records := zone.Remove(z.Records, come...)
	for _, r := range gone {
		if r.Type == dns.TypeSOA { // there is one, and its serial has gone on
			records = zone.Replace(records, r.Name, r.Type, r)
			continue
		}
		records = zone.Add(records, r)
	}
	return records, nil
}

// PlanUndo plans that a change of a zone is taken back, as its audit entry tells it. The serial goes on.
func (a *Access) PlanUndo(ctx context.Context, actor rights.Actor, st *rights.State, e *plan.Entry) (plan.Plan, error) {
	p := plan.New(st.Directory.Version(), actor)
	d, z, err := a.change(ctx, actor, st, e.Domain)
	if err != nil {
		return plan.Plan{}, err
	}
	records, err := Back(&z, e.Before, e.After)
	if err != nil {
		return plan.Plan{}, err
	}
	return p, Put(&p, d, z, records, plan.Change{Kind: plan.KindZone, Verb: plan.VerbSet, Subject: d.Name})
}

// CanUndo tells for audit entries of zones whether PlanUndo would take them back. It reads each zone once.
func (a *Access) CanUndo(ctx context.Context, actor rights.Actor, st *rights.State) func(e *plan.Entry) bool {
	read := map[string]*zone.Zone{}
	return func(e *plan.Entry) bool {
		z, known := read[e.Domain]
		if !known {
			if _, found, err := a.change(ctx, actor, st, e.Domain); err == nil {
				z = &found
			}
			read[e.Domain] = z
		}
		if z == nil {
			return false
		}
		_, err := Back(z, e.Before, e.After)
		return err == nil
	}
}

// Undoable reports whether an audit entry is of a kind that PlanUndo takes back.
func Undoable(action string) bool {
	return slices.Contains([]string{"zone set", "record add", "record set", "record remove"}, action)
}

// Removed is what the audit log keeps of a zone that goes with its domain; nil when the domain has none, or one that is
// damaged and cannot be kept.
func (a *Access) Removed(ctx context.Context, actor rights.Actor, d *directory.Domain) (*Content, error) {
	z, err := a.Store.Zone(ctx, actor.Scope, d.Name)
	if errors.Is(err, words.ErrNotFound) || errors.Is(err, zone.ErrEncoding) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	c := &Content{Serial: z.Serial, Signing: z.Signing, Records: make([]string, len(z.Records))}
	for i, r := range z.Records {
		c.Records[i] = line(r)
	}
	return c, nil
}

// Restored is the zone that Removed has kept, unsigned, for the domain that takes the place of the one that was removed. Its
// serial goes on.
func (c *Content) Restored(d *directory.Domain) (zone.Zone, error) {
	z := zone.Zone{Domain: d.Name, Account: d.Account, Serial: c.Serial}
	for _, l := range c.Records {
		r, err := readLine(l)
		if err != nil {
			return z, words.Lost("its zone cannot be read any more")
		}
		z.Records = append(z.Records, r)
	}
	z.Records = zone.Sort(z.Records)
	return z, nil
}
