package control

import (
	"context"
	"fmt"

	"postroad/internal/core/account"
	"postroad/internal/core/directory"
	"postroad/internal/core/facts"
	"postroad/internal/service/control/exchangers"
	"postroad/internal/service/control/sets"
)

// Exchangers and sets in the words of package exchangers.
type (
	// ExchangerListing is the exchangers of a name, or what to enter where its zone is.
	ExchangerListing = exchangers.Listing
	// ExchangerEnter is one record to enter where a zone is.
	ExchangerEnter = exchangers.Enter
	// ExchangerTyped is an exchanger as somebody types it.
	ExchangerTyped = exchangers.Typed
	// ExchangerAsking is how a change of exchangers is asked for.
	ExchangerAsking = exchangers.Asking
	// ExchangerSet is a named list of exchangers that domains follow.
	ExchangerSet = sets.Set
	// ExchangerSetSpec is a wanted one.
	ExchangerSetSpec = exchangers.SetSpec
	// NameServerSet is a named list of name servers that zones follow.
	NameServerSet = sets.Servers
	// NameServerSetSpec is a wanted one.
	NameServerSetSpec = exchangers.ServersSpec
)

// MX shows the exchangers of a name, or what to enter where its zone is.
func (s *Service) MX(ctx context.Context, actor Actor, name string) (ExchangerListing, error) {
	return s.exchangers.List(ctx, actor, s.current.Load(), name)
}

// PlanMXAdd plans one more exchanger for a name.
func (s *Service) PlanMXAdd(ctx context.Context, actor Actor, name string, typed ExchangerTyped, how ExchangerAsking) (Plan, error) {
	st := s.current.Load()
	p, err := s.exchangers.PlanAdd(ctx, actor, st, name, typed, how)
	return s.weighedIf(actor, st, p, err)
}

// PlanMXEdit plans another preference or another host for an exchanger.
func (s *Service) PlanMXEdit(ctx context.Context, actor Actor, name, host string, to ExchangerTyped, how ExchangerAsking) (Plan, error) {
	st := s.current.Load()
	p, err := s.exchangers.PlanEdit(ctx, actor, st, name, host, to, how)
	return s.weighedIf(actor, st, p, err)
}

// PlanMXRemove plans the end of an exchanger.
func (s *Service) PlanMXRemove(ctx context.Context, actor Actor, name, host string, how ExchangerAsking) (Plan, error) {
	st := s.current.Load()
	p, err := s.exchangers.PlanRemove(ctx, actor, st, name, host, how)
	return s.weighedIf(actor, st, p, err)
}

// PlanMXReplace plans that a name has these exchangers and no others, in one step; without any it takes no mail.
func (s *Service) PlanMXReplace(ctx context.Context, actor Actor, name string, typed []ExchangerTyped, how ExchangerAsking) (Plan, error) {
	st := s.current.Load()
	p, err := s.exchangers.PlanReplace(ctx, actor, st, name, typed, how)
	return s.weighedIf(actor, st, p, err)
}

// ExchangerSets lists the exchanger sets that the actor's domains may follow.
func (s *Service) ExchangerSets(actor Actor) []ExchangerSet {
	return s.exchangers.Sets(actor, s.current.Load())
}

// PlanExchangerSetAdd plans a new exchanger set.
func (s *Service) PlanExchangerSetAdd(actor Actor, spec ExchangerSetSpec) (Plan, error) {
	return s.exchangers.PlanSetAdd(actor, s.current.Load(), spec)
}

// PlanExchangerSetSet plans that an exchanger set says something else, and with it all domains that follow it.
func (s *Service) PlanExchangerSetSet(ctx context.Context, actor Actor, spec ExchangerSetSpec) (Plan, error) {
	st := s.current.Load()
	p, err := s.exchangers.PlanSetSet(ctx, actor, st, spec)
	return s.weighedIf(actor, st, p, err)
}

// PlanExchangerSetRemove plans the end of an exchanger set that no domain follows.
func (s *Service) PlanExchangerSetRemove(actor Actor, name, owner string) (Plan, error) {
	return s.exchangers.PlanSetRemove(actor, s.current.Load(), name, owner)
}

// NameServerSets lists the name-server sets that the actor's zones may follow.
func (s *Service) NameServerSets(actor Actor) []NameServerSet {
	return s.exchangers.ServerSets(actor, s.current.Load())
}

// PlanNameServerSetAdd plans a new name-server set.
func (s *Service) PlanNameServerSetAdd(actor Actor, spec NameServerSetSpec) (Plan, error) {
	return s.exchangers.PlanServersAdd(actor, s.current.Load(), spec)
}

// PlanNameServerSetSet plans that a name-server set has other hosts, and with it all zones that follow it.
func (s *Service) PlanNameServerSetSet(ctx context.Context, actor Actor, spec NameServerSetSpec) (Plan, error) {
	return s.weighedPlan(ctx, actor, func(st *state) (Plan, error) { return s.exchangers.PlanServersSet(ctx, actor, st, spec) })
}

// PlanNameServerSetRemove plans the end of a name-server set that no domain follows.
func (s *Service) PlanNameServerSetRemove(actor Actor, name, owner string) (Plan, error) {
	return s.exchangers.PlanServersRemove(actor, s.current.Load(), name, owner)
}

// public is what public DNS says of a domain's exchangers, and the same as a sentence.
func (s *Service) public(ctx context.Context, snap *directory.Snapshot, d *directory.Domain) (facts.MXAnswer, string) {
	reach := s.explainer.Reach(ctx, snap, d)
	return reach.Answer.MX, reach.Sentence(d.Name)
}

// foundSets makes the operator's default sets where they are missing.
func (s *Service) foundSets(ctx context.Context) error {
	st := s.current.Load()
	sets, servers := s.exchangers.Founding(st)
	if len(sets)+len(servers) == 0 {
		return nil
	}
	if _, err := s.o.Store.Update(ctx, account.System(), st.Directory.Version(), Tx{PutSets: sets, PutServers: servers}); err != nil {
		return fmt.Errorf("make the sets of exchangers and name servers: %w", err)
	}
	return s.reload(ctx)
}
