package zones

import (
	"bytes"
	"context"
	"slices"
	"strings"

	"postroad/internal/core/directory"
	"postroad/internal/core/zone"
	"postroad/internal/proto/dns"
	"postroad/internal/service/control/plan"
	"postroad/internal/service/control/rights"
	"postroad/internal/service/control/words"
)

// RecordSpec names a record, as people write it.
type RecordSpec struct {
	Owner string // relative to the zone, @ for its own name, or absolute with its last dot
	Type  string
	Data  string // as in a zone file; TXT need not be quoted
	TTL   string // seconds, or 1h; empty: that of the records that are there
}

// read reads owner and type.
func (spec *RecordSpec) read(apex string) (name string, t dns.Type, err error) {
	if t, err = readType(spec.Type); err == nil {
		name, err = readOwner(spec.Owner, apex)
	}
	return name, t, err
}

// record reads the whole; set are the records of its owner and type.
func (spec *RecordSpec) record(name string, t dns.Type, z *zone.Zone, set []dns.Record) (dns.Record, error) {
	r := dns.Record{Name: name, Type: t}
	var err error
	if r.Data, err = readData(t, spec.Data, z); err == nil {
		r.TTL, err = readTTL(spec.TTL, set)
	}
	return r, err
}

// subject names a set of records in plans and audit entries.
func subject(name string, t dns.Type) string { return strings.TrimSuffix(name, ".") + " " + t.String() }

// named finds the zone that is to be changed, and which of its records.
func (a *Access) named(ctx context.Context, actor rights.Actor, st *rights.State, domain string, spec *RecordSpec) (d *directory.Domain, z zone.Zone, name string, t dns.Type, err error) {
	if d, z, err = a.change(ctx, actor, st, domain); err == nil {
		name, t, err = spec.read(z.Apex())
	}
	return d, z, name, t, err
}

// PlanAdd plans another record. Those of its owner and type take its TTL, if one is given.
func (a *Access) PlanAdd(ctx context.Context, actor rights.Actor, st *rights.State, domain string, spec RecordSpec) (plan.Plan, error) {
	p := plan.New(st.Directory.Version(), actor)
	d, z, name, t, err := a.named(ctx, actor, st, domain, &spec)
	if err != nil {
		return plan.Plan{}, err
	}
	if t == dns.TypeSOA {
		return plan.Plan{}, words.Invalid("A zone has one SOA record.", "postroad record edit "+d.Name+" @ SOA changes it")
	}
	set := zone.RRset(z.Records, name, t)
	r, err := spec.record(name, t, &z, set)
	if err != nil {
		return plan.Plan{}, err
	}
	if slices.ContainsFunc(set, func(o dns.Record) bool { return bytes.Equal(o.Data, r.Data) && o.TTL == r.TTL }) {
		return plan.Plan{}, words.Exists("There is this record already: "+line(r)+".", "")
	}
	c := plan.Change{Kind: plan.KindRecord, Verb: plan.VerbAdd, Subject: subject(name, t)}
	return p, Put(&p, d, z, zone.Add(z.Records, r), c)
}

// choose finds the one record of a set that people name by its data, by its id, or, where it is the only one, not at all.
func choose(set []dns.Record, name string, t dns.Type, text string, z *zone.Zone) (dns.Record, error) {
	missing := func() error {
		return words.Missing("There is no such record: " + name + " " + t.String() + " " + text + ".")
	}
	if len(set) == 0 {
		return dns.Record{}, missing()
	}
	if text == "" {
		if len(set) > 1 {
			return dns.Record{}, words.Invalid("There are "+words.Plural(int64(len(set)), "record", "records")+" "+name+" "+t.String()+".", "say which by its data or its id, as postroad zone show tells them")
		}
		return set[0], nil
	}
	for _, r := range set {
		if recordID(r) == text {
			return r, nil
		}
	}
	data, err := readData(t, text, z)
	if err != nil {
		return dns.Record{}, missing()
	}
	want := dns.Record{Name: name, Type: t, Data: data}
	for _, r := range set {
		if bytes.Equal(r.CanonicalData(), want.CanonicalData()) {
			return r, nil
		}
	}
	return dns.Record{}, missing()
}

// PlanEdit plans that a record takes the place of another one of the same owner and type. old is its data or its id; empty
// where it is the only one. Without data the TTL alone changes.
func (a *Access) PlanEdit(ctx context.Context, actor rights.Actor, st *rights.State, domain, old string, spec RecordSpec) (plan.Plan, error) {
	p := plan.New(st.Directory.Version(), actor)
	d, z, name, t, err := a.named(ctx, actor, st, domain, &spec)
	if err != nil {
		return plan.Plan{}, err
	}
	set := zone.RRset(z.Records, name, t)
	was, err := choose(set, name, t, old, &z)
	if err != nil {
		return plan.Plan{}, err
	}
	if spec.Data == "" {
		if spec.TTL == "" {
			return plan.Plan{}, words.Invalid("Neither data nor a TTL is given.", "")
		}
		spec.Data = was.Text()
	}
	r, err := spec.record(name, t, &z, set)
	if err != nil {
		return plan.Plan{}, err
	}
	wanted := zone.Add(zone.Remove(z.Records, was), r)
	if t == dns.TypeSOA {
		wanted = zone.Replace(z.Records, name, t, r)
		serialed := zone.Zone{Domain: z.Domain, Records: wanted}
		serialed.SetSerial(z.Serial) // nobody but Apply sets serials
		wanted = serialed.Records
	}
	c := plan.Change{Kind: plan.KindRecord, Verb: plan.VerbSet, Subject: subject(name, t)}
	return p, Put(&p, d, z, wanted, c)
}

// PlanRemove plans the end of a record, named by its data or its id, or of all of its owner and type when neither is given.
func (a *Access) PlanRemove(ctx context.Context, actor rights.Actor, st *rights.State, domain string, spec RecordSpec) (plan.Plan, error) {
	p := plan.New(st.Directory.Version(), actor)
	d, z, name, t, err := a.named(ctx, actor, st, domain, &spec)
	if err != nil {
		return plan.Plan{}, err
	}
	if t == dns.TypeSOA {
		return plan.Plan{}, words.Invalid("A zone cannot be without its SOA record.", "postroad record edit "+d.Name+" @ SOA changes it")
	}
	set := zone.RRset(z.Records, name, t)
	if spec.Data != "" || len(set) == 0 {
		was, err := choose(set, name, t, spec.Data, &z)
		if err != nil {
			return plan.Plan{}, err
		}
		set = []dns.Record{was}
	}
	c := plan.Change{Kind: plan.KindRecord, Verb: plan.VerbRemove, Subject: subject(name, t)}
	return p, Put(&p, d, z, zone.Remove(z.Records, set...), c)
}
