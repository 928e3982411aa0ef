package domains

import (
	"time"

	"postroad/internal/core/directory"
	"postroad/internal/service/control/plan"
	"postroad/internal/service/control/rights"
	"postroad/internal/service/control/settings"
	"postroad/internal/service/control/words"
)

// switchedDomain is what the audit log keeps of a domain whose mode public DNS has changed.
type switchedDomain struct {
	DomainInfo

	Evidence string `json:"evidence" doc:"What DNS said, and who"`
}

// PlanAuto plans that a domain of mode auto goes by what public DNS says.
func (a *Access) PlanAuto(actor rights.Actor, st *rights.State, name string, mode directory.Mode, evidence string, ttl time.Duration) (plan.Plan, error) {
	p := plan.New(st.Directory.Version(), actor)
	old, err := actor.Domain(st, name)
	if err != nil {
		return plan.Plan{}, err
	}
	if old.Mode != directory.ModeAuto || !old.Proved {
		return p, nil // somebody has chosen meanwhile
	}
	d := *old
	settings.FollowDNS(&d, mode, ttl, now())
	p.Tx.PutDomains = []directory.Domain{d}
	p.Delta.PutDomains = p.Tx.PutDomains
	p.Record(plan.Change{
		Kind: plan.KindDomain, Verb: plan.VerbSet, Subject: d.Name, Domain: d.Name, Account: d.Account,
		Before: Info(old), After: switchedDomain{DomainInfo: Info(&d), Evidence: evidence},
	})
	p.Say("Mail for %s: %s. Before: %s.", words.Show(d.Name), settings.Describe(&d), settings.Describe(old))
	return p, nil
}
