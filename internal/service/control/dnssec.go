package control

import (
	"context"

	"postroad/internal/service/control/signing"
)

// DNSSEC in the words of package signing.
type (
	// DNSSECChoice is how a zone is to be signed.
	DNSSECChoice = signing.SigningChoice
	// DNSSECStatus is how a zone is signed, and what is to be done about it.
	DNSSECStatus = signing.SigningStatus
	// Parents is what is heard of the zones above.
	Parents = signing.Parents
)

// DNSSEC shows how a domain's zone is signed, and asks the zone above it.
func (s *Service) DNSSEC(ctx context.Context, actor Actor, domain string) (DNSSECStatus, error) {
	return s.signing.Show(ctx, actor, s.current.Load(), domain)
}

// PlanDNSSECOn plans that a domain's zone is signed, or signed in another way; of all in scope for an empty name.
func (s *Service) PlanDNSSECOn(ctx context.Context, actor Actor, domain string, c DNSSECChoice) (Plan, error) {
	if domain == "" {
		return s.signing.PlanAll(ctx, actor, s.current.Load(), c)
	}
	return s.signing.PlanOn(ctx, actor, s.current.Load(), domain, c)
}

// PlanDNSSECOff plans that a zone is no longer signed; with withdraw, that the parent is asked to remove the DS first.
func (s *Service) PlanDNSSECOff(ctx context.Context, actor Actor, domain string, withdraw bool) (Plan, error) {
	return s.signing.PlanOff(ctx, actor, s.current.Load(), domain, withdraw)
}

// PlanDNSSECRoll plans that keys of a role ("ksk", "zsk"; empty: the one key) are replaced.
func (s *Service) PlanDNSSECRoll(ctx context.Context, actor Actor, domain, role string) (Plan, error) {
	return s.signing.PlanRoll(ctx, actor, s.current.Load(), domain, role)
}

// Republish has zones signed and published again, as they are, for signatures that run out and keys whose time has come.
// Those that are not signed or not there are left alone.
func (s *Service) Republish(ctx context.Context, domains []string) error {
	_, err := s.Make(ctx, System(), func() (Plan, error) { return s.signing.PlanAgain(ctx, domains, s.current.Load()) })
	return err
}
