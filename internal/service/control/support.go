package control

import (
	"postroad/internal/core/advise"
	"postroad/internal/service/control/inspect"
)

// Support is where to ask about a domain, and what to say there.
type Support = inspect.Support

// support makes the link and the text by which support is asked about a domain; advice may be nil.
func (s *Service) support(d *DomainDetail, advice *Advice) *Support {
	c := advise.Case{
		Domain: d.Name, Account: s.current.Load().Accounts[d.Account].Name, Server: s.o.Hostname, At: now(), Mode: d.Mode, Effective: d.EffectiveMode, Why: d.Why, Machine: d.Machine,
		Arrangement: d.Arrangement, Zone: d.Zone, NextHops: d.NextHops, Mailboxes: d.Mailboxes, Addresses: d.Addresses,
	}
	for _, f := range d.Findings {
		c.Findings = append(c.Findings, string(f.Name)+" since "+f.Since.UTC().Format("2006-01-02 15:04 UTC")+": "+f.Evidence)
	}
	if advice != nil {
		c.Proposed, c.Command, c.Reasons = advice.Mode, advice.Command, advice.Reasons
	}
	return &Support{Link: c.Link(s.o.Support), Text: c.Text()}
}
