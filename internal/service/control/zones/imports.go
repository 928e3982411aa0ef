package zones

import (
	"context"
	"errors"
	"strconv"
	"strings"

	"postroad/internal/core/account"
	"postroad/internal/core/directory"
	"postroad/internal/core/finding"
	"postroad/internal/core/zone"
	"postroad/internal/proto/dns"
	"postroad/internal/service/control/plan"
	"postroad/internal/service/control/rights"
	"postroad/internal/service/control/words"
)

// maxImported bounds the zones of one import, in number.
const maxImported = 1000

// Text is a domain's zone as a zone file.
type Text struct {
	Domain string
	Text   string
}

// Import is what zone files make of many zones.
type Import struct {
	Zones   []Text
	Account string // of domains that are missing, by id or name; empty: as for a new domain
	Proved  *bool  // of domains that are missing: the operator's word
}

// file is what a zone file says of a zone.
type file struct {
	records  []dns.Record
	serial   uint32 // of its SOA record; 0 without one
	noSOA    bool
	noted    []string // what was mended or left out
	problems []zone.Problem
}

// textError is what is wrong with a zone file, and in which line.
type textError struct {
	line           int
	sentence, hint string
	rule           finding.Name
}

// Error is line, sentence and hint.
func (e *textError) Error() string { return e.refusal().Error() }

func (e *textError) refusal() *words.RefusedError {
	s := e.sentence
	if e.line > 0 {
		s = "Line " + strconv.Itoa(e.line) + ": " + s
	}
	return &words.RefusedError{Err: words.ErrInvalid, Sentence: s, Hint: e.hint, Finding: e.rule}
}

// read reads a zone file. Without a SOA record the given zone's stays. The error is a *textError.
func read(text string, now zone.Zone) (file, error) {
	got, err := dns.ReadZone(strings.NewReader(text), now.Apex(), dns.Limits{})
	if err != nil {
		var told *dns.TextError
		if errors.As(err, &told) {
			return file{}, &textError{line: told.Line, sentence: told.Sentence, hint: told.Hint}
		}
		return file{}, &textError{sentence: err.Error()}
	}
	var f file
	if got.Signing > 0 {
		f.noted = append(f.noted, words.Plural(int64(got.Signing), "record", "records")+" that signing makes "+map[bool]string{true: "is", false: "are"}[got.Signing == 1]+" left out.")
	}
	records, mended := zone.Tidy(got.Records, zone.Limits{})
	for _, p := range mended {
		f.noted = append(f.noted, p.Sentence)
	}
	_, at := zone.SOARecord(records, now.Apex())
	if f.noSOA = at < 0; f.noSOA {
		if soa, at := zone.SOARecord(now.Records, now.Apex()); at >= 0 {
			records = zone.Add(records, soa)
			f.noted = append(f.noted, "The file has no SOA record: that of the zone stays.")
		}
	} else {
		f.serial = soaSerial(records, now.Apex())
	}
	f.records = records
	candidate := zone.Zone{Domain: now.Domain, Records: records}
	f.problems = zone.Check(&candidate, zone.Limits{})
	for _, p := range f.problems {
		if p.Severity == zone.Refuse {
			return f, &textError{line: lineOf(got, p.Records), sentence: p.Sentence, hint: p.Hint, rule: p.Rule}
		}
	}
	return f, nil
}

// lineOf finds the line in which a problem shows; 0 for nowhere in particular.
func lineOf(text dns.ZoneText, evidence []dns.Record) int {
	for _, e := range evidence {
		for i, r := range text.Records {
			if r.Type == e.Type && strings.EqualFold(r.Name, e.Name) && string(r.Data) == string(e.Data) {
				return text.Lines[i]
			}
		}
	}
	return 0
}

// PlanImport plans that a zone file takes the place of the whole zone.
func (a *Access) PlanImport(ctx context.Context, actor rights.Actor, st *rights.State, in Text) (plan.Plan, error) {
	p := plan.New(st.Directory.Version(), actor)
	d, z, err := a.change(ctx, actor, st, in.Domain)
	if errors.Is(err, zone.ErrEncoding) { // this is how a damaged zone is mended
		err = nil
	}
	if err != nil {
		return plan.Plan{}, err
	}
	f, err := read(in.Text, z)
	if err != nil {
		var told *textError
		if errors.As(err, &told) {
			err = told.refusal()
		}
		return plan.Plan{}, err
	}
	r, err := replace(z, f.records)
	if err != nil || r.empty() {
		return p, err
	}
	for _, s := range f.noted {
		p.Say("%s", s)
	}
	r.write(&p, d, plan.Change{Kind: plan.KindZone, Verb: plan.VerbSet, Subject: d.Name})
	r.tell(&p)
	if note := behind(&f, &r); note != "" {
		p.Say("%s", note)
	}
	return p, nil
}

// behind tells that a file's serial is not ahead of the zone's.
func behind(f *file, r *replaced) string {
	if f.noSOA || f.serial == r.serial {
		return ""
	}
	return "The serial in the file, " + strconv.FormatUint(uint64(f.serial), 10) + ", is not ahead of " + strconv.FormatUint(uint64(r.next.Serial), 10) + ", which others know already."
}

// Making makes domains that an import lacks.
type Making struct {
	// Domain gives a new domain of that name, hosted here, or refuses it.
	Domain func(name string) (directory.Domain, error)
	// Show is what plans and audit entries show of it.
	Show func(d *directory.Domain) any
}

// PlanImports plans that zone files take the places of many zones, and makes the domains that are missing. What is refused
// is left out and told in the plan.
func (a *Access) PlanImports(ctx context.Context, actor rights.Actor, st *rights.State, list []Text, missing Making) (plan.Plan, error) {
	p := plan.New(st.Directory.Version(), actor)
	if len(list) == 0 || len(list) > maxImported {
		return plan.Plan{}, words.Invalid("There are "+strconv.Itoa(len(list))+" zones.", "1 to "+strconv.Itoa(maxImported)+" at a time")
	}
	seen := make(map[string]bool, len(list))
	fresh, same, odd := 0, 0, 0
	for i := range list {
		done, err := a.importOne(ctx, actor, st, &p, &list[i], seen, missing)
		if err != nil {
			refusal, ok := refusalOf(err)
			if !ok {
				return plan.Plan{}, err
			}
			refusal.Entry, refusal.Subject = i+1, list[i].Domain
			p.Refused = append(p.Refused, refusal)
			continue
		}
		fresh, same, odd = fresh+done.fresh, same+done.same, odd+done.odd
	}
	written := len(p.Tx.PutZones)
	if written > 0 {
		p.Say("Imports %s; %d of them with a new domain.", words.Plural(int64(written), "zone", "zones"), fresh)
	}
	if same > 0 {
		p.Say("%s as the files say already.", words.Plural(int64(same), "zone is", "zones are"))
	}
	if odd > 0 {
		p.Say("%s something that postroad zone check names.", words.Plural(int64(odd), "zone has", "zones have"))
	}
	if replaces := written - fresh; replaces > 0 {
		p.Warn("%s by the files.", words.Plural(int64(replaces), "zone that is here already is replaced", "zones that are here already are replaced"))
	}
	return p, nil
}

// one is what became of one zone of an import: each 0 or 1.
type one struct{ fresh, same, odd int }

func (a *Access) importOne(ctx context.Context, actor rights.Actor, st *rights.State, p *plan.Plan, in *Text, seen map[string]bool, missing Making) (one, error) {
	name, err := words.DomainName(in.Domain)
	if err != nil {
		return one{}, err
	}
	if seen[name] {
		return one{}, words.Invalid("The zone is named twice.", "")
	}
	seen[name] = true
	d, there := st.Directory.Domain(name)
	old := zone.Zone{Domain: name}
	if there && actor.Scope.Has(d.Account) {
		if _, old, err = a.change(ctx, actor, st, name); err != nil && !errors.Is(err, zone.ErrEncoding) {
			return one{}, err
		}
	} else {
		made, err := missing.Domain(name)
		if err != nil {
			return one{}, err
		}
		d, old.Account = &made, made.Account
	}
	f, err := read(in.Text, old)
	if err != nil {
		return one{}, err
	}
	var done one
	if len(f.problems) > 0 {
		done.odd = 1
	}
	if !there {
		old.Records, done.fresh = f.records, 1
		p.Tx.PutZones = append(p.Tx.PutZones, old)
		p.Tx.PutDomains = append(p.Tx.PutDomains, *d)
		p.Delta.PutDomains = p.Tx.PutDomains
		p.Record(plan.Change{Kind: plan.KindDomain, Verb: plan.VerbAdd, Subject: name, Domain: name, Account: d.Account, After: missing.Show(d)})
		return done, nil
	}
	r, err := replace(old, f.records)
	if err != nil {
		return one{}, err
	}
	if r.empty() {
		return one{same: 1}, nil
	}
	r.write(p, d, plan.Change{Kind: plan.KindZone, Verb: plan.VerbSet, Subject: name})
	return done, nil
}

// refusalOf gives a refusal as plans tell it; false for other errors.
func refusalOf(err error) (plan.Refusal, bool) {
	var text *textError
	if errors.As(err, &text) {
		return plan.Refusal{Line: text.line, Sentence: text.sentence, Hint: text.hint, Finding: text.rule}, true
	}
	var told *words.RefusedError
	if errors.As(err, &told) {
		return plan.Refusal{Sentence: told.Sentence, Hint: told.Hint, Finding: told.Finding}, true
	}
	return plan.Refusal{}, false
}

// Export gives a zone as a zone file; signed: with keys, signatures and proofs, as others that answer for it have it.
func (a *Access) Export(ctx context.Context, actor rights.Actor, st *rights.State, domain string, signed bool) (ZoneFile, error) {
	d, z, err := a.find(ctx, actor, st, domain)
	if err != nil {
		return ZoneFile{}, err
	}
	records := z.Records
	if signed {
		if len(z.Signatures) == 0 {
			return ZoneFile{}, words.Invalid("The zone of "+words.Show(d.Name)+" is not signed.", "leave --signed out, or sign it with postroad dnssec on")
		}
		records = z.Content()
	}
	return ZoneFile{Domain: d.Name, Serial: z.Serial, Text: string(dns.WriteZone(z.Apex(), records))}, nil
}

// ZoneProblem is something in a zone that is not as a rule wants it.
type ZoneProblem struct {
	Rule     finding.Name `json:"rule"`
	Severity string       `json:"severity" enum:"refuse,warn" doc:"refuse: such a zone is not published; warn: something in it will not do what was meant"`
	Sentence string       `json:"sentence"`
	Hint     string       `json:"hint,omitempty" doc:"What to do"`
	Line     int          `json:"line,omitempty" doc:"Of the zone file, from 1"`
	Records  []string     `json:"records,omitempty" doc:"Records in which it shows"`
}

// Check holds a zone against all rules. With a text, the text is checked as if it were the zone's.
func (a *Access) Check(ctx context.Context, actor rights.Actor, st *rights.State, domain string, text *string) ([]ZoneProblem, error) {
	out := []ZoneProblem{}
	d, err := actor.Domain(st, domain)
	if err != nil {
		return nil, err
	}
	z, err := a.Store.Zone(ctx, account.System(), d.Name)
	if errors.Is(err, words.ErrNotFound) && text != nil {
		z, err = zone.Zone{Domain: d.Name, Account: d.Account}, nil
	}
	if errors.Is(err, zone.ErrEncoding) && text != nil {
		err = nil
	}
	if err != nil {
		if _, _, missing := a.find(ctx, actor, st, domain); missing != nil {
			err = missing
		}
		return nil, err
	}
	problems := []zone.Problem(nil)
	lines := dns.ZoneText{}
	if text != nil {
		f, err := read(*text, z)
		var told *textError
		if errors.As(err, &told) && len(f.problems) == 0 {
			return append(out, ZoneProblem{Rule: SyntaxRule, Severity: string(zone.Refuse), Sentence: told.sentence, Hint: told.hint, Line: told.line}), nil
		}
		problems = f.problems
		lines, _ = dns.ReadZone(strings.NewReader(*text), z.Apex(), dns.Limits{}) // it was read before
	} else {
		problems = zone.Check(&z, zone.Limits{})
	}
	for _, p := range problems {
		shown := ZoneProblem{Rule: p.Rule, Severity: string(p.Severity), Sentence: p.Sentence, Hint: p.Hint, Line: lineOf(lines, p.Records)}
		for _, r := range p.Records {
			shown.Records = append(shown.Records, line(r))
		}
		out = append(out, shown)
	}
	return out, nil
}

// SyntaxRule names what is wrong with a text that cannot be read as a zone file.
const SyntaxRule finding.Name = "ZONE_FILE_SYNTAX"
