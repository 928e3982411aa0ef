package control

import (
	"context"

	"postroad/internal/core/cert"
	"postroad/internal/service/control/certificates"
)

// Certificates in the words of package certificates.
type (
	// CertificateInfo is a name that has a certificate, or is to have one, as listings show it.
	CertificateInfo = certificates.CertificateInfo
	// CertificateOptions are what all names have in common.
	CertificateOptions = certificates.Installation
)

// Certificates lists the names in scope that have certificates of their own, or are to have them.
func (s *Service) Certificates(ctx context.Context, actor Actor) ([]CertificateInfo, error) {
	return s.certificates.List(ctx, actor)
}

// Certificate shows one of them.
func (s *Service) Certificate(ctx context.Context, actor Actor, name string) (CertificateInfo, error) {
	return s.certificates.Show(ctx, actor, name)
}

// PlanCertificateAdd plans that a name gets a certificate of its own; domain may be empty.
func (s *Service) PlanCertificateAdd(ctx context.Context, actor Actor, name, domain string) (Plan, error) {
	return s.certificates.PlanAdd(ctx, actor, s.current.Load(), name, domain)
}

// PlanCertificateRemove plans that a name has none any more.
func (s *Service) PlanCertificateRemove(ctx context.Context, actor Actor, name string) (Plan, error) {
	return s.certificates.PlanRemove(ctx, actor, s.current.Load(), name)
}

// PlanCertificateRenew plans that a new one is fetched now.
func (s *Service) PlanCertificateRenew(ctx context.Context, actor Actor, name string) (Plan, error) {
	return s.certificates.PlanRenew(ctx, actor, s.current.Load(), name)
}

// KeepCertificates has the names that follow from what is hosted here be as given.
func (s *Service) KeepCertificates(ctx context.Context, put []cert.Name, drop []string) error {
	_, err := s.Make(ctx, System(), func() (Plan, error) { return s.certificates.PlanKeep(ctx, s.current.Load(), put, drop) })
	return err
}

// KeepText has a TXT record be in the zone of a domain for a while, or be there no more. It is no person's change: it
// stands in no audit entry, and goes as it came.
func (s *Service) KeepText(ctx context.Context, domain, owner, text string, there bool) error {
	_, err := s.Make(ctx, System(), func() (Plan, error) { return s.hosted.PlanText(ctx, s.current.Load(), domain, owner, text, there) })
	return err
}
