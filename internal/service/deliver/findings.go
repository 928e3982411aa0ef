package deliver

import (
	"context"
	"strconv"
	"strings"
	"sync"
	"time"

	"postroad/internal/core/directory"
	"postroad/internal/core/facts"
	"postroad/internal/core/finding"
	"postroad/internal/proto/smtp"
)

// wayFindings are what this agent finds about the way to a domain's server.
var wayFindings = []finding.Name{finding.RouteLoopSelf, finding.PrimaryMXMissing}

// mendedTime is how long it is remembered that a domain has no finding of ours, so that not every message makes the
// store look.
const mendedTime = 10 * time.Minute

// ways remembers which domains had no finding about their way a while ago.
type ways struct {
	mu     sync.Mutex
	mended map[string]time.Time
}

// open reports whether a domain may have findings, and remembers that it has none from now on.
func (w *ways) open(domain string) bool {
	now := time.Now()
	w.mu.Lock()
	defer w.mu.Unlock()
	if at, ok := w.mended[domain]; ok && now.Sub(at) < mendedTime {
		return false
	}
	if w.mended == nil {
		w.mended = map[string]time.Time{}
	}
	w.mended[domain] = now
	return true
}

// found forgets that a domain has none.
func (w *ways) found(domain string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.mended, domain)
}

// elsewhere finds a domain of this installation whose mail is handed on.
func (s *Service) elsewhere(name string) (*directory.Domain, bool) {
	d, ours := s.dir.View().Directory.Domain(name)
	return d, ours && d.Proved && d.Effective() != directory.ModeLocal
}

// leaving reports whether a domain was removed here a while ago, so that strangers still bring mail for it.
func (s *Service) leaving(name string) bool {
	left, ok := s.dir.View().Directory.Departed(name)
	return ok && time.Now().Before(left.Leaving.Until)
}

// find records what is wrong with the way to the domains of a batch.
func (s *Service) find(ctx context.Context, why *nowhere, domains []string) {
	if s.cfg.Findings == nil || why.finding == "" {
		return
	}
	for _, name := range domains {
		if _, ours := s.elsewhere(name); !ours {
			continue
		}
		s.ways.found(name)
		f := finding.Finding{Name: why.finding, Domain: name, Evidence: why.evidence + ": " + why.reply.String(), Since: time.Now().UTC()}
		if err := s.cfg.Findings.Find(ctx, f, false); err != nil {
			s.log.ErrorContext(ctx, "finding not recorded", "domain", name, "finding", string(f.Name), "error", err)
		}
	}
}

// arrived forgets the findings of a domain to which mail has found its way.
func (s *Service) arrived(ctx context.Context, address string) {
	if s.cfg.Findings == nil {
		return
	}
	d, ours := s.elsewhere(address[strings.LastIndexByte(address, '@')+1:])
	if !ours || !s.ways.open(d.Name) {
		return
	}
	for _, name := range wayFindings {
		if err := s.cfg.Findings.Find(ctx, finding.Finding{Name: name, Domain: d.Name}, true); err != nil {
			s.ways.found(d.Name) // tried again with the next message
			s.log.ErrorContext(ctx, "finding not forgotten", "domain", d.Name, "finding", string(name), "error", err)
		}
	}
}

// domainsOf are those of a batch's destinations, each once.
func domainsOf(list []*work) []string {
	seen := map[string]bool{}
	var out []string
	for _, w := range list {
		for i := range w.Recipients {
			to := w.Recipients[i].Destination
			if domain := to[strings.LastIndexByte(to, '@')+1:]; !seen[domain] {
				seen[domain] = true
				out = append(out, domain)
			}
		}
	}
	return out
}

// evidenceOf tells what DNS said of a domain's exchangers, and who said it.
func evidenceOf(a facts.MXAnswer) string {
	var what strings.Builder
	what.WriteString("MX records of " + a.Name + ": ")
	switch {
	case a.Status != facts.Found:
		what.WriteString(a.Status.String())
	case a.Null:
		what.WriteString("null MX")
	default:
		for i, mx := range a.Records[:min(len(a.Records), maxShown)] {
			if i > 0 {
				what.WriteString(", ")
			}
			what.WriteString(strconv.Itoa(int(mx.Preference)) + " " + mx.Host)
		}
	}
	return what.String() + " (" + a.Source + ")"
}

// maxShown is how many exchangers an evidence names.
const maxShown = 5

// later makes a reason one for now: DNS may still show the time before a domain left.
func (n *nowhere) later() *nowhere {
	if n.reply.Permanent() {
		n.reply.Code, n.reply.Enhanced[0] = 451, 4
	}
	return n
}

// byDNS is why a domain's exchangers are of no use. For a domain of this installation that is a finding, unless it may
// pass by itself.
func byDNS(reply smtp.Reply, own *directory.Domain, a facts.MXAnswer) *nowhere {
	n := &nowhere{reply: reply, own: own != nil}
	switch {
	case own == nil || reply.Temporary():
		return n
	case own.Effective() == directory.ModeLocal && own.Dual:
		n.spare = true
		n.reply = smtp.Reply{Code: 250, Enhanced: smtp.Enhanced{2, 1, 5}, Text: "there is no better exchanger that a copy could go to"}
		return n
	case reply.Enhanced == replyLoop.Enhanced:
		n.finding = finding.RouteLoopSelf
	default:
		n.finding = finding.PrimaryMXMissing
	}
	n.evidence = evidenceOf(a)
	return n
}
