package receive

import (
	"strconv"
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
	last map[string]*sighting // by finding and domain
}

// sighting is when something was recorded last, and how often it was found since.
type sighting struct {
	at   time.Time
	more int
}

// first reports whether something was not found just before, and remembers that it is now; more is how often it was found
// since it was recorded last.
func (r *recent) first(what string, now time.Time) (more int, first bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if s := r.last[what]; s != nil {
		if now.Sub(s.at) < foundAgain {
			s.more++
			return s.more, false
		}
		more = s.more
	}
	if r.last == nil || len(r.last) >= maxFound {
		r.last = map[string]*sighting{}
	}
	r.last[what] = &sighting{at: now}
	return more, true
}

// find records what is wrong with a domain.
func (s *session) find(name finding.Name, domain, evidence string) {
	if s.service.cfg.Findings == nil {
		return
	}
	now := time.Now()
	more, first := s.service.found.first(string(name)+" "+domain, now)
	if !first {
		return
	}
	if more > 0 {
		evidence += "; " + strconv.Itoa(more) + " more since it was recorded before"
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
