package zones

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"postroad/internal/core/account"
	"postroad/internal/core/directory"
	"postroad/internal/core/finding"
	"postroad/internal/core/zone"
	"postroad/internal/proto/dns"
	"postroad/internal/service/control/rights"
	"postroad/internal/service/control/words"
)

// Access is zones as actors may see and change them.
type Access struct {
	Store Store
	Names Names // nil: no DNS is served here
	// Elsewhere refuses with its reason where a zone is served here as a secondary.
	Elsewhere func(ctx context.Context, d *directory.Domain) error
}

// ZoneRecord is a record of a zone as listings show it.
type ZoneRecord struct {
	ID    string `json:"id" doc:"Stands for owner, type and data: it stays while they do"`
	Name  string `json:"name" doc:"Owner, absolute"`
	Owner string `json:"owner" doc:"Owner as record add takes it: relative to the zone, @ for its own name"`
	Type  string `json:"type"`
	TTL   uint32 `json:"ttl" doc:"Seconds"`
	Data  string `json:"data" doc:"As in a zone file, names in it absolute"`
}

// ZoneDetail is a zone with its records.
type ZoneDetail struct {
	Domain  string       `json:"domain"`
	Account account.ID   `json:"account"`
	Serial  uint32       `json:"serial"`
	Served  bool         `json:"served" doc:"Our name servers answer for it"`
	Pending bool         `json:"pending" doc:"The domain's ownership is not shown: only SOA and NS are answered"`
	Signed  bool         `json:"signed" doc:"DNSSEC"`
	Changed time.Time    `json:"changed" doc:"Since when it has this serial"`
	Records []ZoneRecord `json:"records" nullable:"false" doc:"In canonical order, DNSSEC's own left out"`
	// Statistics is what this node has answered; nil where it does not answer for the zone.
	Statistics *ZoneStatistics `json:"statistics,omitempty" doc:"What the node that is asked has answered since it began to answer for the zone"`
}

// ZoneStatistics is what this node has answered from a zone.
type ZoneStatistics struct {
	Serial    uint32 `json:"serial" doc:"Serial that it answers with now"`
	Answers   uint64 `json:"answers" doc:"With what was asked for"`
	Referrals uint64 `json:"referrals" doc:"To the servers of a delegation"`
	NoData    uint64 `json:"no_data" doc:"The name has no such records"`
	NXDomain  uint64 `json:"nxdomain" doc:"There is no such name"`
}

// ZoneFile is a zone as a zone file.
type ZoneFile struct {
	Domain string `json:"domain"`
	Serial uint32 `json:"serial"`
	Text   string `json:"text" doc:"Zone file (RFC 1035 §5)"`
}

// find finds a hosted domain in the actor's scope with its zone.
func (a *Access) find(ctx context.Context, actor rights.Actor, st *rights.State, domain string) (*directory.Domain, zone.Zone, error) {
	d, err := actor.Domain(st, domain)
	if err != nil {
		return nil, zone.Zone{}, err
	}
	z, err := a.Store.Zone(ctx, actor.Scope, d.Name)
	if errors.Is(err, words.ErrNotFound) {
		err = words.Missing("There is no zone of " + words.Show(d.Name) + " here: postroad domain set " + d.Name + " --zone hosted makes one.")
	}
	return d, z, damaged(d, err)
}

// damaged is err, in words if the zone cannot be read any more.
func damaged(d *directory.Domain, err error) error {
	if !errors.Is(err, zone.ErrEncoding) {
		return err
	}
	return &words.RefusedError{
		Err: fmt.Errorf("%w: %w", words.ErrInvalid, err), Finding: finding.ZoneNotServed, Sentence: "The zone of " + words.Show(d.Name) + " is damaged in the store.",
		Hint: "postroad zone import puts a zone file in its place",
	}
}

// change is find for what changes the zone: our name servers have to answer for it.
func (a *Access) change(ctx context.Context, actor rights.Actor, st *rights.State, domain string) (*directory.Domain, zone.Zone, error) {
	d, err := actor.Domain(st, domain)
	if err == nil && d.Zone != directory.ZoneHosted {
		if err = a.Elsewhere(ctx, d); err == nil {
			err = External(d)
		}
	}
	if err != nil {
		return nil, zone.Zone{}, err
	}
	return a.find(ctx, actor, st, domain)
}

// External refuses to change the zone of a domain for which others answer.
func External(d *directory.Domain) error {
	return words.Invalid("The zone of "+words.Show(d.Name)+" is hosted elsewhere: what is changed here would be answered by nobody.",
		"postroad domain set "+d.Name+" --zone hosted has our name servers answer for it")
}

// recordID stands for owner, type and data of a record.
func recordID(r dns.Record) string {
	h := sha256.New()
	h.Write([]byte(r.Name + " " + r.Type.String() + " "))
	h.Write(r.Data)
	return hex.EncodeToString(h.Sum(nil)[:8])
}

// show gives a record as listings show it.
func show(r dns.Record, apex string) ZoneRecord {
	return ZoneRecord{ID: recordID(r), Name: r.Name, Owner: owner(r.Name, apex), Type: r.Type.String(), TTL: r.TTL, Data: r.Text()}
}

// Show shows a zone.
func (a *Access) Show(ctx context.Context, actor rights.Actor, st *rights.State, domain string) (ZoneDetail, error) {
	d, z, err := a.find(ctx, actor, st, domain)
	if err != nil {
		return ZoneDetail{}, err
	}
	out := ZoneDetail{
		Domain: d.Name, Account: d.Account, Serial: z.Serial, Served: d.Zone == directory.ZoneHosted, Pending: !d.Proved,
		Signed: len(z.Signatures) > 0, Changed: z.Changed, Records: make([]ZoneRecord, len(z.Records)),
	}
	for i, r := range z.Records {
		out.Records[i] = show(r, z.Apex())
	}
	if a.Names == nil {
		return out, nil
	}
	if s, answered := a.Names.Statistics(d.Name); answered {
		shown := ZoneStatistics(s)
		out.Statistics = &shown
	}
	return out, nil
}
