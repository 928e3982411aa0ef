// Package clients is how the mail programs of a domain's users find their servers, as people see it, and the records for
// that in zones that are hosted here.
package clients

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"

	"postroad/internal/core/account"
	"postroad/internal/core/clientsetup"
	"postroad/internal/core/directory"
	"postroad/internal/core/zone"
	"postroad/internal/proto/dns"
	"postroad/internal/service/control/plan"
	"postroad/internal/service/control/rights"
	"postroad/internal/service/control/words"
	"postroad/internal/service/control/zones"
)

// Store keeps zones.
type Store interface {
	// Zone reads one zone; words.ErrNotFound.
	Zone(ctx context.Context, scope account.Scope, domain string) (zone.Zone, error)
}

// Access is the set-up of mail programs as actors may see it.
type Access struct {
	Store   Store
	Service clientsetup.Service
}

// ClientSetup is how mail programs of a domain's users find their servers.
type ClientSetup struct {
	Domain  string         `json:"domain"`
	Served  bool           `json:"served" doc:"Users of the domain have their mailboxes here, and set-up files are given for it"`
	Zone    string         `json:"zone" enum:"hosted,external" doc:"hosted: state tells how the records stand in the zone here; external: these are the records to enter where the zone is"`
	Servers []ClientServer `json:"servers" nullable:"false" doc:"For people who set a program up by hand; the name of the login is the whole address"`
	Records []ClientRecord `json:"records" nullable:"false"`
}

// ClientServer is a server that mail programs connect to.
type ClientServer struct {
	Use  string `json:"use" enum:"read,send"`
	Name string `json:"host"`
	Port int    `json:"port"`
	TLS  string `json:"tls" enum:"TLS,STARTTLS"`
}

// ClientRecord is a record by which mail programs find the servers.
type ClientRecord struct {
	Owner string `json:"owner" doc:"As most panels want it: without the zone's own name"`
	Type  string `json:"type"`
	Value string `json:"value"`
	Line  string `json:"line" doc:"The whole record as a line of a zone file"`
	State string `json:"state,omitempty" enum:"present,missing,other" doc:"In a zone hosted here; other: there is something else, which stays"`
}

// Show shows how mail programs of a domain's users find their servers.
func (a *Access) Show(ctx context.Context, actor rights.Actor, st *rights.State, name string) (ClientSetup, error) {
	d, err := actor.Domain(st, name)
	if err != nil {
		return ClientSetup{}, err
	}
	out := ClientSetup{Domain: d.Name, Served: clientsetup.Serves(d), Zone: string(d.Zone), Servers: a.servers(), Records: []ClientRecord{}}
	wanted, err := a.Service.Records(d.Name)
	if err != nil {
		return ClientSetup{}, err
	}
	var z zone.Zone
	if d.Zone == directory.ZoneHosted {
		if z, err = a.Store.Zone(ctx, actor.Scope, d.Name); err != nil {
			return ClientSetup{}, err
		}
	}
	for _, r := range wanted {
		shown := ClientRecord{
			Owner: strings.TrimSuffix(r.Name, "."+d.Name+"."), Type: r.Type.String(), Value: r.Text(), Line: strings.ReplaceAll(r.String(), "\t", " "),
		}
		if d.Zone == directory.ZoneHosted {
			shown.State = string(clientsetup.Look(&z, r))
		}
		out.Records = append(out.Records, shown)
	}
	return out, nil
}

func (a *Access) servers() []ClientServer {
	s := &a.Service
	all := []ClientServer{
		{"read", s.Host, int(s.IMAPS), "TLS"},
		{"read", s.Host, int(s.IMAP), "STARTTLS"},
		{"send", s.Host, int(s.Submissions), "TLS"},
		{"send", s.Host, int(s.Submission), "STARTTLS"},
	}
	return slices.DeleteFunc(all, func(s ClientServer) bool { return s.Port == 0 })
}

// Plan plans that a zone hosted here has the records that it lacks.
func (a *Access) Plan(ctx context.Context, actor rights.Actor, st *rights.State, name string) (plan.Plan, error) {
	p := plan.New(st.Directory.Version(), actor)
	d, err := actor.Domain(st, name)
	if err != nil {
		return plan.Plan{}, err
	}
	if d.Zone != directory.ZoneHosted {
		return plan.Plan{}, words.Invalid("The zone of "+words.Show(d.Name)+" is not hosted here.", "postroad client-setup show "+d.Name+" tells what to enter where it is")
	}
	if !clientsetup.Leads(d) && !clientsetup.Serves(d) {
		return plan.Plan{}, words.Invalid("Users of "+words.Show(d.Name)+" have no mailboxes here: its mail goes elsewhere.", "set mode local or split first")
	}
	wanted, err := a.Service.Records(d.Name)
	if err != nil {
		return plan.Plan{}, err
	}
	z, err := a.Store.Zone(ctx, actor.Scope, d.Name)
	if err != nil {
		return plan.Plan{}, err
	}
	next, _ := clientsetup.Add(z, wanted)
	for _, r := range wanted {
		if clientsetup.Look(&next, r) != clientsetup.Present {
			p.Say("%s %s is not as programs want it, and stays as it is: it should be %s.", strings.TrimSuffix(r.Name, "."), r.Type, r.Text())
		}
	}
	return p, zones.Put(&p, d, z, next.Records, plan.Change{Kind: plan.KindRecord, Verb: plan.VerbAdd, Subject: d.Name})
}

// Follow has a plan that makes or changes a domain write the records into its zone where users' mailboxes come here, and
// take away those that are as we wrote them where they go. old is nil for a new domain.
func (a *Access) Follow(ctx context.Context, p *plan.Plan, old, d *directory.Domain) error {
	if d.Zone != directory.ZoneHosted {
		return nil
	}
	had := old != nil && old.Zone == directory.ZoneHosted && clientsetup.Leads(old)
	has := clientsetup.Leads(d)
	if had == has {
		return nil
	}
	records, err := a.Service.Records(d.Name)
	if err != nil || len(records) == 0 {
		return err
	}
	z, at, err := a.planned(ctx, p, d.Name)
	if err != nil {
		return err
	}
	var changed []dns.Record
	if has {
		z, changed = clientsetup.Add(z, records)
	} else {
		z, changed = clientsetup.Remove(z, records)
	}
	switch n := strconv.Itoa(len(changed)); {
	case len(changed) == 0:
		return nil
	case has:
		p.Say("The zone gets %s records by which mail programs find the servers.", n)
	default:
		p.Say("The zone loses %s records by which mail programs found our servers.", n)
	}
	if at < 0 {
		p.Tx.PutZones = append(p.Tx.PutZones, z)
	} else {
		p.Tx.PutZones[at] = z
	}
	return nil
}

// planned gives a domain's zone as the plan writes it, and where in the plan it is; else as it is stored, and -1.
func (a *Access) planned(ctx context.Context, p *plan.Plan, domain string) (zone.Zone, int, error) {
	at := slices.IndexFunc(p.Tx.PutZones, func(z zone.Zone) bool { return z.Domain == domain })
	if at >= 0 {
		return p.Tx.PutZones[at], at, nil
	}
	z, err := a.Store.Zone(ctx, account.System(), domain)
	if errors.Is(err, words.ErrNotFound) {
		err = words.Missing("There is no zone of " + words.Show(domain) + " here.")
	}
	return z, at, err
}
