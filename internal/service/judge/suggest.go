package judge

import (
	"context"
	"strconv"
	"time"

	"postroad/internal/core/directory"
	"postroad/internal/core/finding"
	"postroad/internal/core/policy"
)

// suggest looks whether a message that is not taken as it came would be, had the domain trusted its client: then that may be
// a server of the domain's own, and after a few of them the domain is told. What the Received field says may be forged; it
// is a person who decides.
func (b *bench) suggest(d *directory.Domain, v *policy.Verdict) {
	j, s := b.j, b.j.service
	if s.cfg.Findings == nil || s.cfg.Patterns == nil || v.Action != policy.Reject && v.Action != policy.Quarantine {
		return
	}
	h, problem := hop(j.header, d)
	if problem != "" || h.Addr == j.arrival.Client {
		return
	}
	e := b.place(h)
	if e == nil || policy.Judge(e, d.Judging, policy.Trust{}).Action != policy.Accept {
		return
	}
	client := j.arrival.Client.String()
	n, tell := s.cfg.Patterns.Brought(d.Account, d.Name, client)
	if !tell {
		return
	}
	f := finding.Finding{
		Name: finding.ForwarderNotTrusted, Domain: d.Name, Since: time.Now().UTC(),
		Evidence: "The client " + shortened(j.arrival.Helo) + " [" + client + "] brought " + strconv.Itoa(n) + " messages that fail here and would pass where it says it had them from, the last one from " +
			h.Addr.String() + ". If it is your server: postroad forwarder add " + d.Name + " " + client,
	}
	if err := s.cfg.Findings.Find(context.Background(), f, false); err != nil {
		s.log.Error("finding not recorded", "domain", d.Name, "finding", string(f.Name), "error", err)
	}
}
