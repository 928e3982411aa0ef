package control

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"postroad/internal/core/account"
	"postroad/internal/core/directory"
	"postroad/internal/service/control/mailboxes"
	"postroad/internal/service/control/outbounds"
	"postroad/internal/service/control/undo"
	"postroad/internal/service/control/words"
)

// Ways out in the words of package outbounds.
type (
	// OutboundSpec is a wanted way out.
	OutboundSpec = outbounds.Spec
	// OutboundInfo is a way out as listings show it.
	OutboundInfo = undo.Outbound
)

// Outbounds lists what is set in scope, the installation's first.
func (s *Service) Outbounds(actor Actor) []OutboundInfo { return outbounds.List(actor, s.Directory()) }

// PlanOutboundSet plans the smart host of a sender's domain or of the installation, the addresses from which its mail leaves,
// or both.
func (s *Service) PlanOutboundSet(ctx context.Context, actor Actor, spec OutboundSpec) (Plan, error) {
	st := s.current.Load()
	access := outbounds.Access{Ours: &s.ours, NewID: newID, Has: s.machine, Usable: s.usable, SPF: s.identities.SPF}
	p, err := access.PlanSet(ctx, actor, st, spec)
	return s.weighedIf(actor, st, p, err)
}

// usable refuses passwords that cannot be used, or not be kept.
func (s *Service) usable(p *Secret) error {
	if s.o.Seal == nil {
		return words.Invalid("This server keeps no passwords of smart hosts.", "")
	}
	return mailboxes.Check(Operator(), p, 0)
}

// PlanOutboundRemove plans the end of a smart host, with keepSource of that alone; mail then leaves by the installation's
// route, or by MX records.
func (s *Service) PlanOutboundRemove(actor Actor, domain string, keepSource bool) (Plan, error) {
	st := s.current.Load()
	p, err := outbounds.PlanRemove(actor, st, domain, keepSource)
	return s.weighedIf(actor, st, p, err)
}

// PlanRelayRemove plans the end of the outbound route for an address elsewhere as which logins send, or for all in a domain;
// the account is needed where several have one.
func (s *Service) PlanRelayRemove(actor Actor, identity, account string) (Plan, error) {
	return outbounds.PlanRelayRemove(actor, s.current.Load(), identity, account)
}

// sealed gives outbound routes as they are stored: their passwords sealed.
func (s *Service) sealed(list []directory.Outbound) []directory.Outbound {
	out := slices.Clone(list)
	for i := range out {
		if o := &out[i]; o.Password != "" {
			o.Sealed, o.Password = string(s.o.Seal.Seal([]byte(o.Password), o.SealedFor())), ""
		}
	}
	return out
}

// opened gives outbound routes as the directory has them, from those that are stored. A password that does not open is told,
// and stays sealed.
func (s *Service) opened(list []directory.Outbound) []directory.Outbound {
	for i := range list {
		o := &list[i]
		if o.Sealed == "" {
			continue
		}
		plain, err := []byte(nil), errSeal
		if s.o.Seal != nil {
			plain, err = s.o.Seal.Open([]byte(o.Sealed), o.SealedFor())
		}
		if err != nil {
			s.o.Log.Error("the password of an outbound route cannot be read: set it again, or bring back keys.secret", "route", o.ID, "error", err)
			continue
		}
		o.Password, o.Sealed = string(plain), ""
	}
	return list
}

// errSeal says that nothing can be opened.
var errSeal = errors.New("this server keeps no secrets")

// sealOutbounds seals the passwords that an earlier program has left open.
func (s *Service) sealOutbounds(ctx context.Context) error {
	if len(s.unsealed) == 0 || s.o.Seal == nil {
		return nil
	}
	if _, err := s.o.Store.Update(ctx, account.System(), s.Version(), Tx{PutOutbounds: s.sealed(s.unsealed)}); err != nil {
		return fmt.Errorf("seal the passwords of outbound routes: %w", err)
	}
	return s.reload(ctx)
}
