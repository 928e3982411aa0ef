package control

import (
	"context"
	"time"

	"postroad/internal/core/account"
	"postroad/internal/core/finding"
	"postroad/internal/service/control/identities"
	"postroad/internal/service/control/outbounds"
	"postroad/internal/service/control/plan"
	"postroad/internal/service/control/words"
)

// IdentityInfo is an address elsewhere as which a mailbox's login may send.
type IdentityInfo = identities.IdentityInfo

// Letter is a message that is sent once a plan is applied.
type Letter = plan.Letter

// Poster sends letters.
type Poster interface {
	// Post hands a letter to the queue; the error says why it cannot be sent.
	Post(ctx context.Context, l Letter) error
}

// Identities lists the addresses elsewhere as which mailboxes' logins may send: of one mailbox, or of all (empty).
func (s *Service) Identities(actor Actor, mailbox string) ([]IdentityInfo, error) {
	return identities.List(actor, s.current.Load(), mailbox)
}

// PlanIdentityAdd plans that a mailbox's login may send as an address, once it was shown that this is theirs.
func (s *Service) PlanIdentityAdd(ctx context.Context, actor Actor, mailbox, address string) (Plan, error) {
	return s.identities.PlanAdd(ctx, actor, s.current.Load(), mailbox, address)
}

// PlanIdentityConfirm plans that a code which was mailed to an address shows that.
func (s *Service) PlanIdentityConfirm(ctx context.Context, actor Actor, mailbox, address, code string) (Plan, error) {
	return s.identities.PlanConfirm(ctx, actor, s.current.Load(), mailbox, address, code)
}

// PlanIdentityRemove plans that a mailbox's login does not send as an address any more.
func (s *Service) PlanIdentityRemove(_ context.Context, actor Actor, mailbox, address string) (Plan, error) {
	return identities.PlanRemove(actor, s.current.Load(), mailbox, address)
}

// identityPace is how often it is looked whether identities are authorised by their domains.
const identityPace = 6 * time.Hour

// CheckIdentities looks whether the domains of a domain's identities authorise what is sent as them, and the domain itself the
// addresses that were chosen for its mail to leave from, and keeps the findings about it. It says when to look again.
func (s *Service) CheckIdentities(ctx context.Context, domain string) (again time.Duration, err error) {
	if err := s.forgetRelay(ctx, domain); err != nil {
		return time.Hour, err
	}
	source, err := s.checkSource(ctx, domain)
	if err != nil {
		return time.Hour, err
	}
	f, gone, known := s.identities.Judge(ctx, s.current.Load(), domain, now())
	if !known {
		return time.Hour, nil
	}
	return source, s.o.Store.Find(ctx, account.System(), f, gone)
}

// forgetRelay drops the finding that a relay takes no mail, for a domain as whose mailboxes' identities nothing leaves by one.
func (s *Service) forgetRelay(ctx context.Context, domain string) error {
	if identities.Routed(s.current.Load(), domain) {
		return nil
	}
	return s.forget(ctx, domain, finding.IdentityRelayRefused)
}

// checkSource looks whether a domain's SPF record covers the addresses that were chosen for its mail to leave from, and keeps the
// finding about it. It says when to look again.
func (s *Service) checkSource(ctx context.Context, domain string) (again time.Duration, err error) {
	access := outbounds.Access{Ours: &s.ours, SPF: s.identities.SPF}
	switch f, chosen, known := access.Judge(ctx, s.current.Load(), domain, now()); {
	case !known:
		return time.Hour, nil
	case !chosen || f.Evidence == "":
		return identityPace, s.forget(ctx, domain, f.Name)
	default:
		return identityPace, s.o.Store.Find(ctx, account.System(), f, false)
	}
}

// forget drops a finding about a domain if it is there.
func (s *Service) forget(ctx context.Context, domain string, name finding.Name) error {
	list, err := s.o.Store.Findings(ctx, account.System(), domain)
	if err != nil {
		return err
	}
	for _, f := range list {
		if f.Name == name {
			return s.o.Store.Find(ctx, account.System(), f, true)
		}
	}
	return nil
}

// post sends the letters of a plan that was applied.
func (s *Service) post(ctx context.Context, letters []Letter) error {
	for i := range letters {
		s.identities.Mailed(&letters[i], now())
		if err := s.o.Post.Post(ctx, letters[i]); err != nil {
			s.o.Log.ErrorContext(ctx, "letter not sent", "to", letters[i].To, "error", err)
			return words.Invalid("The mail to "+letters[i].To+" could not be sent: "+err.Error()+".", "say identity add again in ten minutes")
		}
	}
	return nil
}
