package deliver

import (
	"context"
	"errors"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"postroad/internal/core/directory"
	"postroad/internal/core/finding"
	"postroad/internal/proto/smtp"
)

// relays remembers through which routes for addresses elsewhere the mail of domains' logins is not taken. What an earlier run
// of the program has found is forgotten by the first message that is taken, and found again by the next that is not.
type relays struct {
	ways // domains that had no such finding a while ago

	mu      sync.Mutex
	failing map[string][]string // ids of routes, by domain
}

func (r *relays) failed(domain, route string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.failing == nil {
		r.failing = map[string][]string{}
	}
	if !slices.Contains(r.failing[domain], route) {
		r.failing[domain] = append(r.failing[domain], route)
	}
}

// recovered forgets a route, and reports whether the domain has no other that fails.
func (r *relays) recovered(domain, route string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	left := slices.DeleteFunc(r.failing[domain], func(id string) bool { return id == route })
	if len(left) == 0 {
		delete(r.failing, domain)
		return true
	}
	r.failing[domain] = left
	return false
}

// homeOf is the domain of a login whose mail leaves by a route for addresses elsewhere; false for all other mail.
func (s *Service) homeOf(route *directory.Outbound, login string) (string, bool) {
	if s.cfg.Findings == nil || route.Identity == "" || login == "" {
		return "", false
	}
	d, ours := s.dir.View().Directory.Domain(login[strings.LastIndexByte(login, '@')+1:])
	if !ours || d.Account != route.Account {
		return "", false
	}
	return d.Name, true
}

// relayRefused records that the host of a route for addresses elsewhere does not take a login's mail.
func (s *Service) relayRefused(ctx context.Context, route *directory.Outbound, login, evidence string) {
	domain, ok := s.homeOf(route, login)
	if !ok {
		return
	}
	s.relays.failed(domain, route.ID)
	s.relays.found(domain)
	f := finding.Finding{Name: finding.IdentityRelayRefused, Domain: domain, Evidence: route.Identity + ": " + shorten(evidence), Since: time.Now().UTC()}
	if err := s.cfg.Findings.Find(ctx, f, false); err != nil {
		s.log.ErrorContext(ctx, "finding not recorded", "domain", domain, "finding", string(f.Name), "error", err)
	}
}

// relayTook forgets that, unless another route of the domain's logins is refused.
func (s *Service) relayTook(ctx context.Context, route *directory.Outbound, login string) {
	domain, ok := s.homeOf(route, login)
	if !ok || !s.relays.recovered(domain, route.ID) || !s.relays.open(domain) {
		return
	}
	if err := s.cfg.Findings.Find(ctx, finding.Finding{Name: finding.IdentityRelayRefused, Domain: domain}, true); err != nil {
		s.relays.found(domain) // tried again with the next message
		s.log.ErrorContext(ctx, "finding not forgotten", "domain", domain, "finding", string(finding.IdentityRelayRefused), "error", err)
	}
}

// notLetIn records that a route's host has refused us or the login for good, or did not show who it is. That it cannot be
// reached or takes nobody for now is the lane's matter.
func (a *attempt) notLetIn(ctx context.Context, route *directory.Outbound, t target, err error) {
	e := (*hostError)(nil)
	if !errors.As(err, &e) || e.enhanced != refusedLogin && e.enhanced != untrusted && e.enhanced != notAccepting {
		return
	}
	if reply, said := smtp.ReplyOf(err); said && reply.Temporary() {
		return
	}
	if slow := net.Error(nil); errors.As(err, &slow) && slow.Timeout() || ctx.Err() != nil {
		return
	}
	told := map[string]bool{}
	for _, w := range a.work {
		if login := w.Message.Client.Login; !w.ended && !told[login] {
			told[login] = true
			a.service.relayRefused(ctx, route, login, a.service.told(t.host)+": "+err.Error())
		}
	}
}

// ofSender reports whether a refusal is about who sends, and not about the recipient or the message.
func ofSender(phase smtp.Phase, reply smtp.Reply) bool {
	return phase == smtp.PhaseMail || reply.Enhanced[1] == 7 || reply.Code == 530 || reply.Code == 535
}
