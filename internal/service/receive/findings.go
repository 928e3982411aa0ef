package receive

import (
	"strings"
	"sync"
	"time"

	"postroad/internal/core/directory"
	"postroad/internal/core/finding"
	"postroad/internal/core/routing"
	"postroad/internal/proto/smtp"
)

// foundAgain is how long a finding of one domain is not recorded again, so that a flood of refused mail costs no flood
// of writes.
const foundAgain = 10 * time.Minute

// maxFound bounds what is remembered of findings.
const maxFound = 10_000

// recent remembers what was found a while ago.
type recent struct {
	mu   sync.Mutex
	last map[string]time.Time // by finding and domain
}

// first reports whether something was not found just before, and remembers that it is now.
func (r *recent) first(what string, now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if at, known := r.last[what]; known && now.Sub(at) < foundAgain {
		return false
	}
	if r.last == nil || len(r.last) >= maxFound {
		r.last = map[string]time.Time{}
	}
	r.last[what] = now
	return true
}

// find records what is wrong with a domain.
func (s *session) find(name finding.Name, domain, evidence string) {
	now := time.Now()
	if s.service.cfg.Findings == nil || !s.service.found.first(string(name)+" "+domain, now) {
		return
	}
	f := finding.Finding{Name: name, Domain: domain, Evidence: evidence, Since: now.UTC()}
	if err := s.service.cfg.Findings.Find(s.context(), f, false); err != nil {
		s.service.log.Error("finding not recorded", "domain", domain, "finding", string(name), "error", err)
	}
}

// client is who brings the mail, for evidence.
func (s *session) client() string { return strings.TrimSpace(s.helo + " [" + s.addr.String() + "]") }

// findBypass finds that a client tries to deliver around a domain's filter.
func (s *session) findBypass(d *routing.Decision) {
	for _, r := range d.Reasons {
		if r.Rule == routing.RuleGatewayBypassed {
			s.find(finding.GatewayBypassed, r.Fact, "The client "+s.client()+" brought mail from <"+s.tx.sender.String()+"> and was refused")
		}
	}
}

// findCircle finds that what was sent on to a domain's own server has come back.
func (s *session) findCircle(r smtp.Reply) {
	view := s.service.dir.View()
	for i := range s.tx.rows {
		to := s.tx.rows[i].Destination
		d, ours := view.Directory.Domain(to[strings.LastIndexByte(to, '@')+1:])
		if !ours || !d.Proved || d.Effective() == directory.ModeLocal || d.Effective() == directory.ModeRemote {
			continue
		}
		s.find(finding.SplitLoop, d.Name, "What had been sent on to "+to+" was brought back by "+s.client()+" and refused: "+r.String())
	}
}
