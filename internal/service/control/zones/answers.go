package zones

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"postroad/internal/core/account"
	"postroad/internal/core/directory"
	"postroad/internal/core/dnssec"
	"postroad/internal/core/finding"
	"postroad/internal/core/zone"
	"postroad/internal/obs"
	"postroad/internal/service/control/plan"
	"postroad/internal/service/control/rights"
	"postroad/internal/service/control/words"
)

// Answers keeps the name server in step with what is stored.
type Answers struct {
	Store    Store
	Findings Findings
	Names    Names  // nil: no DNS is served here
	Signer   Signer // nil: nothing is signed, and a zone that is to be is refused
	Ours     Installation
	Log      *slog.Logger

	broken sync.Map // domains of zones that could not be answered for
}

// Stored reads a domain's zone; a new one if there is none yet.
func (a *Answers) Stored(ctx context.Context, sets zone.Sets, d *directory.Domain) (zone.Zone, error) {
	z, err := a.Store.Zone(ctx, account.System(), d.Name)
	if errors.Is(err, words.ErrNotFound) {
		z, err = a.Ours.New(sets, d, now())
	}
	return z, damaged(d, err)
}

// Host plans what becomes of a domain's zone when the domain's settings change; old is nil for a new domain.
func (a *Answers) Host(ctx context.Context, st *rights.State, p *plan.Plan, old, d *directory.Domain) error {
	was, is := old != nil && old.Zone == directory.ZoneHosted, d.Zone == directory.ZoneHosted
	switch {
	case is && !was:
		z, err := a.Stored(ctx, st.Sets, d)
		if err != nil {
			return err
		}
		if z.Serial != 0 {
			p.Say("The zone of %s comes back as it was left, with %s.", words.Show(d.Name), words.Plural(int64(len(z.Records)), "record", "records"))
		} else {
			p.Say("A zone is made for %s.", words.Show(d.Name))
		}
		if !d.Proved {
			p.Say("Nothing of it but SOA and NS is answered until the domain's ownership is shown.")
		}
		p.Tx.PutZones = append(p.Tx.PutZones, z)
		p.Moves = append(p.Moves, d.Name)
	case was && !is:
		p.Moves = append(p.Moves, d.Name)
		p.Warn("Our name servers no longer answer for %s: others must, or the whole domain stops working. What is in the zone is kept here and comes back with --zone hosted.", words.Show(d.Name))
	}
	return nil
}

func now() time.Time { return time.Now().UTC().Truncate(time.Second) }

// after is a domain as the plan leaves it.
func after(st *rights.State, p *plan.Plan, name string) (*directory.Domain, bool) {
	for i := range p.Delta.PutDomains {
		if p.Delta.PutDomains[i].Name == name {
			return &p.Delta.PutDomains[i], true
		}
	}
	return st.Directory.Domain(name)
}

// Complete gives the zones that a plan writes: those in it, and those whose answers change with their domains, each with
// its serial.
func (a *Answers) Complete(ctx context.Context, st *rights.State, p *plan.Plan) ([]zone.Zone, error) {
	list := slices.Clone(p.Tx.PutZones)
	for i := range p.Delta.PutDomains {
		d := &p.Delta.PutDomains[i]
		old, there := st.Directory.Domain(d.Name)
		same := there && old.Zone == d.Zone && old.Proved == d.Proved && old.Account == d.Account
		if d.Zone != directory.ZoneHosted || same || slices.ContainsFunc(list, func(z zone.Zone) bool { return z.Domain == d.Name }) {
			continue
		}
		z, err := a.Stored(ctx, st.Sets, d)
		if err != nil {
			return nil, err
		}
		list = append(list, z)
	}
	for i := range list {
		z := &list[i]
		d, there := after(st, p, z.Domain)
		if !there {
			return nil, words.Missing("There is no domain " + words.Show(z.Domain) + ".")
		}
		z.Account, z.Changed = d.Account, now()
		if _, at := zone.SOARecord(z.Records, z.Apex()); at < 0 {
			return nil, words.Invalid("The zone "+words.Show(z.Domain)+" has no SOA record.", "")
		}
		z.SetSerial(zone.NextSerial(z.Serial, soaSerial(z.Records, z.Apex())))
	}
	return list, a.sign(ctx, p, list)
}

// sign signs zones, on all processors, and notes the steps that their keys have taken.
func (a *Answers) sign(ctx context.Context, p *plan.Plan, list []zone.Zone) error {
	var g errgroup.Group
	g.SetLimit(runtime.GOMAXPROCS(0))
	before := make([]*dnssec.Signing, len(list))
	for i := range list {
		z := &list[i]
		before[i] = z.Signing
		switch {
		case a.Signer != nil:
			g.Go(func() error {
				if err := a.Signer.Sign(ctx, z, time.Now()); err != nil {
					return words.Invalid("The zone "+words.Show(z.Domain)+" cannot be signed: "+err.Error()+".", "what was published before stays as it is")
				}
				return nil
			})
		case z.Signing != nil:
			return words.Invalid("The zone "+words.Show(z.Domain)+" is signed, and nothing is signed here.", "")
		default:
			z.Signatures = nil
		}
	}
	if err := g.Wait(); err != nil {
		return err
	}
	for i := range list {
		z := &list[i]
		if was, is := keyStates(before[i]), keyStates(z.Signing); z.Signing != nil && !slices.Equal(was, is) {
			p.Record(plan.Change{Kind: plan.KindZoneKeys, Verb: plan.VerbSet, Subject: z.Domain, Domain: z.Domain, Account: z.Account, Before: was, After: is})
		}
	}
	return nil
}

// keyStates tells where the keys of a zone are in their lives.
func keyStates(s *dnssec.Signing) []string {
	out := []string{}
	if s != nil {
		for i := range s.Keys {
			out = append(out, fmt.Sprintf("%d %s %s", s.Keys[i].Tag(), s.Keys[i].Role, s.Keys[i].State))
		}
	}
	return out
}

// Prepare makes the answers of the zones that a plan has written, and of those that name other servers by it while their
// ownership is not shown, and gives what puts them in force once the plan is durable.
func (a *Answers) Prepare(ctx context.Context, st *rights.State, p *plan.Plan, list []zone.Zone) (publish func(), err error) {
	if a.Names == nil {
		return func() {}, nil
	}
	var all []func()
	pending, err := a.renamed(ctx, st, p, list)
	if err != nil {
		return nil, err
	}
	find, sets := next(st, p), st.Sets.With(p.Tx.PutSets, p.Tx.PutServers)
	for _, z := range slices.Concat(list, pending) {
		d, there := find(z.Domain)
		if !there || d.Zone != directory.ZoneHosted {
			continue
		}
		one, err := a.prepare(find, sets, d, &z)
		if err != nil {
			return nil, words.Invalid("The zone "+words.Show(z.Domain)+" cannot be answered for: "+err.Error()+".", "")
		}
		all = append(all, one)
	}
	gone := slices.Clone(p.Delta.RemoveDomains)
	for i := range p.Delta.PutDomains {
		d := &p.Delta.PutDomains[i]
		if old, there := st.Directory.Domain(d.Name); there && old.Zone == directory.ZoneHosted && d.Zone != directory.ZoneHosted {
			gone = append(gone, d.Name)
		}
	}
	return func() {
		for _, name := range gone {
			a.Names.Withdraw(name)
		}
		for _, one := range all {
			one()
		}
	}, nil
}

// next finds domains as a plan leaves them.
func next(st *rights.State, p *plan.Plan) domains {
	return func(name string) (*directory.Domain, bool) {
		if slices.Contains(p.Delta.RemoveDomains, name) && !slices.ContainsFunc(p.Delta.PutDomains, func(d directory.Domain) bool { return d.Name == name }) {
			return nil, false
		}
		return after(st, p, name)
	}
}

// renamed reads the zones, beside those that a plan writes, that may name other servers by it: of domains whose ownership is
// not shown, in accounts of which a domain is proved now, or no longer, or is led here by somebody else.
func (a *Answers) renamed(ctx context.Context, st *rights.State, p *plan.Plan, written []zone.Zone) ([]zone.Zone, error) {
	accounts := map[account.ID]bool{}
	for i := range p.Delta.PutDomains {
		d := &p.Delta.PutDomains[i]
		old, there := st.Directory.Domain(d.Name)
		switch {
		case !there && d.Proved:
			accounts[d.Account] = true
		case there && (old.Proved != d.Proved || old.Account != d.Account || old.Proof.TXTOnly != d.Proof.TXTOnly):
			accounts[old.Account], accounts[d.Account] = true, true
		}
	}
	for _, name := range p.Delta.RemoveDomains {
		if old, there := st.Directory.Domain(name); there && old.Proved {
			accounts[old.Account] = true
		}
	}
	delete(accounts, account.Operator) // it has one set of names
	if len(accounts) == 0 {
		return nil, nil
	}
	var out []zone.Zone
	for d := range st.Directory.Domains() {
		if !namesOwn(st, d) || !accounts[d.Account] || slices.ContainsFunc(written, func(z zone.Zone) bool { return z.Domain == d.Name }) {
			continue
		}
		z, err := a.Store.Zone(ctx, account.System(), d.Name)
		if errors.Is(err, words.ErrNotFound) || errors.Is(err, zone.ErrEncoding) {
			continue
		}
		if err != nil {
			return nil, err
		}
		out = append(out, z)
	}
	return out, nil
}

// namesOwn reports whether a zone may name servers of its account's own before its domain's ownership is shown.
func namesOwn(st *rights.State, d *directory.Domain) bool {
	set, ok := st.Sets.NameServerSet(d.NameServerSet)
	return !d.Proved && d.Zone == directory.ZoneHosted && ok && set.Account == d.Account && d.Account != account.Operator
}

// ZoneServed tells of a zone that our name servers answer for as a change has left it.
type ZoneServed struct {
	Domain string    `json:"domain"`
	Serial uint32    `json:"serial"`
	Since  time.Time `json:"since" doc:"When our name server began to answer so"`
	// Milliseconds is for the edge to fill in, who knows when it was asked.
	Milliseconds float64 `json:"milliseconds" doc:"From the request to the new answer"`
}

// Served tells which of the zones that a plan has written are answered for, by the state before it.
func (a *Answers) Served(st *rights.State, p *plan.Plan, list []zone.Zone) []ZoneServed {
	if a.Names == nil {
		return nil
	}
	var out []ZoneServed
	at := time.Now().UTC()
	for i := range list {
		if d, there := after(st, p, list[i].Domain); there && d.Zone == directory.ZoneHosted {
			out = append(out, ZoneServed{Domain: list[i].Domain, Serial: list[i].Serial, Since: at})
		}
	}
	return out
}

// All answers for every zone that is stored and hosted, and gives those that hosted domains lack. What cannot be answered
// for is logged and becomes a finding.
func (a *Answers) All(ctx context.Context, st *rights.State) (missing []zone.Zone, err error) {
	snap := st.Directory
	known, err := a.Findings.Findings(ctx, account.System(), "")
	if err != nil {
		return nil, err
	}
	found := map[string]bool{}
	for _, f := range known {
		if f.Name == finding.ZoneNotServed {
			found[f.Domain] = true
		}
	}
	seen := map[string]bool{}
	err = a.Store.Zones(ctx, account.System(), func(z zone.Zone) error {
		seen[z.Domain] = true
		d, there := snap.Domain(z.Domain)
		if !there || d.Zone != directory.ZoneHosted {
			return nil
		}
		a.one(ctx, st, d, &z, found[z.Domain])
		return nil
	})
	if err != nil {
		return nil, err
	}
	for d := range snap.Domains() {
		if d.Zone == directory.ZoneHosted && !seen[d.Name] {
			z, err := a.Ours.New(st.Sets, d, now())
			if err != nil {
				return nil, err
			}
			z.SetSerial(zone.NextSerial(0, soaSerial(z.Records, z.Apex())))
			z.Changed = now()
			missing = append(missing, z)
		}
	}
	return missing, nil
}

// domains finds a domain by its name.
type domains func(name string) (*directory.Domain, bool)

// owns reports whether all names are at or below proved domains of an account.
func (find domains) owns(id account.ID, names []string) bool {
	return !slices.ContainsFunc(names, func(name string) bool {
		for up, more := name, true; more; _, up, more = strings.Cut(up, ".") {
			if d, there := find(up); there {
				return d.Account != id || !d.Proved
			}
		}
		return true
	})
}

// prepare makes the answers of a domain's zone. Those of a domain whose ownership is not shown name servers of the operator,
// whatever its account has chosen, but for names that the account has shown to be its own: registries that test servers
// before they hand out a zone want to find those that they are told. Where the world was led here before, nobody names his own.
func (a *Answers) prepare(find domains, sets zone.Sets, d *directory.Domain, z *zone.Zone) (publish func(), err error) {
	if d.Proved {
		return a.Names.Prepare(z)
	}
	servers := []string{a.Ours.Hostname}
	set, ok := sets.NameServerSet(d.NameServerSet)
	own := ok && set.Account == d.Account && !d.Proof.TXTOnly && find.owns(d.Account, set.Hosts)
	if !own && (!ok || set.Account != account.Operator) {
		set, ok = sets.NameServersFor(account.Operator, zone.DefaultNameServerSet)
	}
	if ok {
		servers = set.Hosts
	}
	pending, err := z.AsPending(servers)
	if err != nil {
		return nil, err
	}
	return a.Names.Prepare(&pending)
}

// one answers for a stored zone. found says that it could not be, before.
func (a *Answers) one(ctx context.Context, st *rights.State, d *directory.Domain, z *zone.Zone, found bool) {
	if a.Names == nil {
		return
	}
	publish, err := func() (func(), error) {
		if len(z.Records) == 0 {
			return nil, errors.New("its row in the store is damaged")
		}
		if z.Signing != nil && len(z.Signatures) == 0 {
			return nil, errors.New("it is signed, and its signatures are not in the store: it is not answered for without them")
		}
		return a.prepare(st.Directory.Domain, st.Sets, d, z)
	}()
	if err == nil {
		publish()
		if found {
			a.find(ctx, finding.Finding{Name: finding.ZoneNotServed, Domain: z.Domain}, true)
		}
		return
	}
	a.broken.Store(z.Domain, true)
	a.Log.ErrorContext(ctx, "a zone cannot be answered for", slog.String(obs.KeyDomain, z.Domain), slog.Any(obs.KeyError, err))
	a.find(ctx, finding.Finding{Name: finding.ZoneNotServed, Domain: z.Domain, Evidence: err.Error(), Since: now()}, false)
}

// Mended gives the findings that end when zones are written.
func (a *Answers) Mended(list []zone.Zone) []finding.Finding {
	var out []finding.Finding
	for i := range list {
		if _, was := a.broken.Load(list[i].Domain); was {
			out = append(out, finding.Finding{Name: finding.ZoneNotServed, Domain: list[i].Domain})
		}
	}
	return out
}

// find records or forgets what is wrong with a zone. The answers of other zones do not depend on it.
func (a *Answers) find(ctx context.Context, f finding.Finding, gone bool) {
	if err := a.Findings.Find(ctx, account.System(), f, gone); err != nil {
		a.Log.ErrorContext(ctx, "what is wrong with a zone could not be recorded", slog.String(obs.KeyDomain, f.Domain), slog.Any(obs.KeyError, err))
	}
}

// Changed lists the zones that are not answered for as they are stored, between two states of the configuration.
func (a *Answers) Changed(ctx context.Context, before, st *rights.State) ([]string, error) {
	if a.Names == nil {
		return nil, nil
	}
	stored, err := a.Store.Serials(ctx, account.System())
	if err != nil {
		return nil, err
	}
	var names []string
	for d := range st.Directory.Domains() {
		if d.Zone != directory.ZoneHosted {
			continue
		}
		old, there := before.Directory.Domain(d.Name)
		same := there && old.Zone == d.Zone && old.Proved == d.Proved && old.Account == d.Account && !namesOwn(st, d)
		if answered, is := a.Names.Statistics(d.Name); !same || !is || answered.Serial != stored[d.Name] {
			names = append(names, d.Name)
		}
	}
	for d := range before.Directory.Domains() {
		if is, there := st.Directory.Domain(d.Name); d.Zone == directory.ZoneHosted && (!there || is.Zone != directory.ZoneHosted) {
			names = append(names, d.Name)
		}
	}
	return names, nil
}

// Again answers for some zones as they are stored now, after a change of which it is not known whether it took place, or
// that another node made.
func (a *Answers) Again(ctx context.Context, st *rights.State, domains []string) error {
	if a.Names == nil {
		return nil
	}
	for _, name := range domains {
		d, there := st.Directory.Domain(name)
		if !there || d.Zone != directory.ZoneHosted {
			a.Names.Withdraw(name)
			continue
		}
		z, err := a.Store.Zone(ctx, account.System(), name)
		switch {
		case errors.Is(err, words.ErrNotFound): // gone meanwhile
			a.Names.Withdraw(name)
			continue
		case err != nil && !errors.Is(err, zone.ErrEncoding): // one that is damaged becomes a finding
			return err
		}
		a.one(ctx, st, d, &z, false)
	}
	return nil
}
