package control

import (
	"context"

	"postroad/internal/core/clientsetup"
	"postroad/internal/service/control/clients"
	"postroad/internal/service/control/words"
)

// ClientSetup is how mail programs of a domain's users find their servers.
type ClientSetup = clients.ClientSetup

// ClientSetup shows how mail programs of a domain's users find their servers.
func (s *Service) ClientSetup(ctx context.Context, actor Actor, domain string) (ClientSetup, error) {
	return s.clients.Show(ctx, actor, s.current.Load(), domain)
}

// PlanClientRecords plans that a zone hosted here has the records by which mail programs find the servers.
func (s *Service) PlanClientRecords(ctx context.Context, actor Actor, domain string) (Plan, error) {
	return s.weighedPlan(ctx, actor, func(st *state) (Plan, error) { return s.clients.Plan(ctx, actor, st, domain) })
}

// ClientDomain gives the A-label of a domain whose users have their mailboxes here, as people write it. It is for what is
// told to strangers.
func (s *Service) ClientDomain(text string) (name string, served bool) {
	name, err := words.DomainName(text)
	if err != nil {
		return "", false
	}
	d, there := s.Directory().Domain(name)
	return name, there && clientsetup.Serves(d)
}
