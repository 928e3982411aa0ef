package control

import (
	"context"
	"slices"
	"time"

	"postroad/internal/core/account"
	"postroad/internal/service/control/certificates"
	"postroad/internal/service/control/primaries"
	"postroad/internal/service/control/publishing"
	"postroad/internal/service/control/signing"
	"postroad/internal/service/control/told"
)

// Memory is what the program remembers beside the configuration.
type Memory interface {
	// CurrentVersion is that of the configuration, which nodes may share.
	CurrentVersion(ctx context.Context, scope account.Scope) (int64, error)
	// LargestTTL is how long others may remember a domain's MX and NS records, as far as that was seen; 0 when nothing was.
	LargestTTL(ctx context.Context, scope account.Scope, domain string, at time.Time) (time.Duration, error)
	// What accounts were told.
	told.Store
	// How zones are written to that others answer for.
	publishing.Store
	// Names that have certificates of their own.
	certificates.Store
	// Private parts of zones' keys.
	signing.Keys
	// What is known of forwards at primaries.
	primaries.Store
}

// NoticeInfo is a notice as listings show it.
type NoticeInfo = told.NoticeInfo

// Notices lists what the accounts in scope were told, as told.List says.
func (s *Service) Notices(ctx context.Context, actor Actor, domain, before string, limit int) ([]NoticeInfo, error) {
	return told.List(ctx, s.o.Store, actor, domain, before, limit)
}

// NoticeAddresses are the addresses that are set for an account.
func (s *Service) NoticeAddresses(id account.ID) []string {
	return slices.Clone(s.current.Load().Accounts[id].Notices)
}
