package sendings

import (
	"slices"
	"strings"
	"time"

	"postroad/internal/core/finding"
	"postroad/internal/core/sending"
	"postroad/internal/service/control/plan"
	"postroad/internal/service/control/rights"
)

// Pausing gives the findings of domains about logins that the program has paused, and those that are over, as a plan leaves
// them. A domain that comes back has what was found of its logins again.
func Pausing(p *plan.Plan, st *rights.State, now time.Time) (put, drop []finding.Finding) {
	var touched []string
	for i := range p.Delta.PutSenders {
		r := &p.Delta.PutSenders[i]
		if old := st.Directory.SendingRule(r.Key); r.Kind == sending.Login && !old.Pause.Same(r.Pause) {
			touched = append(touched, r.Domain())
		}
	}
	for i := range p.Delta.PutDomains {
		d := &p.Delta.PutDomains[i]
		if old, there := st.Directory.Domain(d.Name); !there || old.Account != d.Account {
			touched = append(touched, d.Name)
		}
	}
	if len(touched) == 0 {
		return nil, nil
	}
	next := st.Directory.With(p.Delta)
	slices.Sort(touched)
	for _, name := range slices.Compact(touched) {
		d, there := next.Domain(name)
		if !there {
			continue
		}
		var evidence []string
		for r := range next.SendingRules() {
			if r.Kind == sending.Login && r.Account == d.Account && r.Domain() == name && r.Pause != nil && r.Pause.By == sending.ByLimit {
				evidence = append(evidence, r.ID+": "+r.Pause.Reason)
			}
		}
		slices.Sort(evidence)
		f := finding.Finding{Name: finding.SendingPaused, Domain: name, Evidence: strings.Join(evidence, finding.Between), Since: now}
		if len(evidence) > 0 {
			put = append(put, f)
		} else {
			drop = append(drop, f)
		}
	}
	return put, drop
}
