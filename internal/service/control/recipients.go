package control

import (
	"context"

	"postroad/internal/service/control/recipients"
)

// Lists of recipients in the words of package recipients.
type (
	// RecipientListInfo is a domain's list of recipients, apart from the addresses in it.
	RecipientListInfo = recipients.ListInfo
	// RecipientListDetail is such a list with its addresses.
	RecipientListDetail = recipients.ListDetail
	// RecipientSync is where a list is to be fetched from.
	RecipientSync = recipients.Sync
	// AddressList is every address at which a domain receives here.
	AddressList = recipients.AddressList
	// Fetcher fetches lists of recipients from other installations.
	Fetcher = recipients.Fetcher
)

// Recipients shows a domain's list.
func (s *Service) Recipients(ctx context.Context, actor Actor, domain string) (RecipientListDetail, error) {
	return s.recipients.Show(ctx, actor, s.current.Load(), domain)
}

// Addresses lists every address at which a domain receives here. A domain that does not receive here, or not alone, has
// no such list.
func (s *Service) Addresses(actor Actor, domain string) (AddressList, error) {
	return s.recipients.Addresses(actor, s.current.Load(), domain)
}

// PlanRecipientsImport plans that a list takes the place of the one that a domain has.
func (s *Service) PlanRecipientsImport(ctx context.Context, actor Actor, domain string, addresses []string) (Plan, error) {
	return s.recipients.PlanImport(ctx, actor, s.current.Load(), domain, addresses)
}

// PlanRecipientsSync plans that a domain's list is fetched from another Postroad from now on. It is fetched at once: what
// cannot be fetched is refused.
func (s *Service) PlanRecipientsSync(ctx context.Context, actor Actor, spec RecipientSync) (Plan, error) {
	return s.recipients.PlanSync(ctx, actor, s.current.Load(), spec)
}

// PlanRecipientsRemove plans the end of a domain's list.
func (s *Service) PlanRecipientsRemove(ctx context.Context, actor Actor, domain string) (Plan, error) {
	return s.recipients.PlanRemove(ctx, actor, s.current.Load(), domain)
}
