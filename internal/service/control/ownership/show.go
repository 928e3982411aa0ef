package ownership

import (
	"context"
	"strings"
	"time"

	"postroad/internal/core/delegation"
	"postroad/internal/core/directory"
	"postroad/internal/service/control/rights"
	"postroad/internal/service/control/words"
)

// DomainProof is what shows the ownership of a domain, and what was found of it.
type DomainProof struct {
	Domain      string       `json:"domain"`
	Proved      bool         `json:"proved" doc:"The domain counts as proved"`
	By          string       `json:"by,omitempty" doc:"How ownership was shown: operator, txt or delegation"`
	At          *time.Time   `json:"at,omitempty" doc:"When that was seen last"`
	LostAt      *time.Time   `json:"lost_at,omitempty" doc:"When the proof was found to be gone"`
	EndsAt      *time.Time   `json:"ends_at,omitempty" doc:"When the domain becomes inert for that"`
	TXT         ProofRecord  `json:"txt" doc:"The record to publish at whoever answers for the domain's DNS; leave it there"`
	NameServers []string     `json:"name_servers" nullable:"false" doc:"For a zone hosted here: the name servers to enter at the registrar"`
	Delegation  string       `json:"delegation" doc:"Whether handing the zone to them shows ownership too, and why not"`
	Found       []ProofFound `json:"found" nullable:"false" doc:"What public DNS shows now"`
	Shown       string       `json:"shown,omitempty" doc:"How public DNS shows ownership now: txt or delegation; absent when it does not"`
	Sentence    string       `json:"sentence" doc:"What there is to do, in plain words"`
}

// ProofRecord is a record to publish.
type ProofRecord struct {
	Name  string `json:"name" doc:"Its owner, the whole name"`
	Label string `json:"label" doc:"The same for forms that add the domain by themselves"`
	Type  string `json:"type"`
	Value string `json:"value"`
}

// ProofFound is what was found of one kind of proof.
type ProofFound struct {
	How      string `json:"how" enum:"txt,delegation"`
	State    string `json:"state" enum:"shown,not shown,unclear"`
	Evidence string `json:"evidence"`
}

// Show tells what shows the ownership of a domain, with what a check found of it.
func (o *Access) Show(ctx context.Context, st *rights.State, d *directory.Domain) DomainProof {
	r := o.Check(ctx, st, d)
	given, own := o.Given(st, d)
	out := DomainProof{
		Domain: d.Name, Proved: d.Proved, By: d.Proof.By, At: known(d.Proof.At), LostAt: known(d.Proof.Lost), EndsAt: known(d.Proof.Ends()),
		TXT:         ProofRecord{Name: Owner(d.Name), Label: strings.TrimSuffix(label, "."), Type: "TXT", Value: o.Text(d.Account, d.Name)},
		NameServers: []string{}, Shown: r.By(), Found: []ProofFound{{directory.ProofTXT, state(r.TXT), r.TXTSays}},
	}
	switch {
	case d.Zone != directory.ZoneHosted:
		out.Delegation = "Its zone is not hosted here, so no delegation shows ownership."
	case !own:
		out.Delegation = "These name servers are not this account's alone, so handing the zone to them shows no ownership: the TXT record does."
	case d.Proof.TXTOnly:
		out.Delegation = "The world may have been led to these name servers before the domain was added here, so only the TXT record shows ownership. Where the domain's DNS is led here already, let its former name servers answer for it until then, or ask the operator."
	default:
		out.Delegation = "Handing the zone to these name servers, and leaving it there, shows ownership too."
	}
	if d.Zone == directory.ZoneHosted {
		out.NameServers = given
	}
	if r.Handed != 0 {
		out.Found = append(out.Found, ProofFound{directory.ProofDelegation, state(r.Handed), r.HandedSays})
	}
	out.Sentence = o.sentence(d, &r)
	return out
}

func (o *Access) sentence(d *directory.Domain, r *Result) string {
	name := words.Show(d.Name)
	switch by := r.By(); {
	case d.Proved && !d.Proof.Lost.IsZero() && by == "":
		return "The proof of " + name + " is gone. Until " + words.When(d.Proof.Ends()) + " all is as before: publish " + o.Want(d.Account, d.Name) + "."
	case d.Proved && d.Proof.By == directory.ProofOperator:
		return name + " is proved by the operator's word."
	case d.Proved:
		return name + " is proved. Leave what shows it in place: it is looked at again from time to time."
	case by != "":
		return "Ownership of " + name + " is shown."
	}
	return "Ownership of " + name + " is not shown yet. Publish " + o.Want(d.Account, d.Name) + ", then prove it again; others may remember for a while that it was not there."
}

func state(p delegation.Proof) string {
	switch p {
	case delegation.Shown:
		return "shown"
	case delegation.Lost:
		return "not shown"
	}
	return "unclear"
}

func known(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}
