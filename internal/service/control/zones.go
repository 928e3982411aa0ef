package control

import (
	"context"

	"postroad/internal/core/directory"
	"postroad/internal/service/control/domains"
	"postroad/internal/service/control/zones"
)

// Zones in the words of package zones.
type (
	// ZoneDetail is a zone with its records.
	ZoneDetail = zones.ZoneDetail
	// ZoneFile is a zone as a zone file.
	ZoneFile = zones.ZoneFile
	// ZoneProblem is something in a zone that is not as a rule wants it.
	ZoneProblem = zones.ZoneProblem
	// ZoneText is a domain's zone as a zone file.
	ZoneText = zones.Text
	// ZoneImport is what zone files make of many zones.
	ZoneImport = zones.Import
	// RecordSpec names a record, as people write it.
	RecordSpec = zones.RecordSpec
	// ZoneServed tells of a zone that is answered for as a change has left it.
	ZoneServed = zones.ZoneServed
)

// Zone shows the zone of a domain.
func (s *Service) Zone(ctx context.Context, actor Actor, domain string) (ZoneDetail, error) {
	return s.hosted.Show(ctx, actor, s.current.Load(), domain)
}

// ZoneFile gives the zone of a domain as a zone file; signed: with keys, signatures and proofs.
func (s *Service) ZoneFile(ctx context.Context, actor Actor, domain string, signed bool) (ZoneFile, error) {
	return s.hosted.Export(ctx, actor, s.current.Load(), domain, signed)
}

// CheckZone holds the zone of a domain against all rules, or a zone file as if it were the domain's.
func (s *Service) CheckZone(ctx context.Context, actor Actor, domain string, text *string) ([]ZoneProblem, error) {
	return s.hosted.Check(ctx, actor, s.current.Load(), domain, text)
}

// PlanRecordAdd plans another record. Those of its owner and type take its TTL, if one is given.
func (s *Service) PlanRecordAdd(ctx context.Context, actor Actor, domain string, spec RecordSpec) (Plan, error) {
	return s.weighedPlan(ctx, actor, func(st *state) (Plan, error) { return s.hosted.PlanAdd(ctx, actor, st, domain, spec) })
}

// PlanRecordEdit plans that a record takes the place of another one of the same owner and type, named by its data or its
// id, or not at all where it is the only one. Without data the TTL alone changes.
func (s *Service) PlanRecordEdit(ctx context.Context, actor Actor, domain, old string, spec RecordSpec) (Plan, error) {
	return s.weighedPlan(ctx, actor, func(st *state) (Plan, error) { return s.hosted.PlanEdit(ctx, actor, st, domain, old, spec) })
}

// PlanRecordRemove plans the end of a record, named by its data or its id, or of all of its owner and type.
func (s *Service) PlanRecordRemove(ctx context.Context, actor Actor, domain string, spec RecordSpec) (Plan, error) {
	return s.weighedPlan(ctx, actor, func(st *state) (Plan, error) { return s.hosted.PlanRemove(ctx, actor, st, domain, spec) })
}

// PlanZoneImport plans that a zone file takes the place of a domain's whole zone.
func (s *Service) PlanZoneImport(ctx context.Context, actor Actor, in ZoneText) (Plan, error) {
	return s.weighedPlan(ctx, actor, func(st *state) (Plan, error) { return s.hosted.PlanImport(ctx, actor, st, in) })
}

// PlanZoneImports plans that zone files take the places of many zones, and makes the domains that are missing: hosted here,
// of mode local. What is refused is left out and told in the plan.
func (s *Service) PlanZoneImports(ctx context.Context, actor Actor, in ZoneImport) (Plan, error) {
	return s.weighedPlan(ctx, actor, func(st *state) (Plan, error) {
		owner, err := actor.Account(st, in.Account)
		if err != nil {
			return Plan{}, err
		}
		hosted := string(directory.ZoneHosted)
		return s.hosted.PlanImports(ctx, actor, st, in.Zones, zones.Making{
			Domain: func(name string) (directory.Domain, error) {
				d, err := s.domains.New(actor, st, name, owner, DomainSettings{Zone: &hosted, Proved: in.Proved})
				if err == nil {
					d.Proof.TXTOnly = !d.Proved && len(in.Zones) > 1 // of many nobody asks whether the world is led here already
					_, err = s.ownership.Claim(ctx, actor, st, &d)
				}
				return d, err
			},
			Show: func(d *directory.Domain) any { return domains.Info(d) },
		})
	})
}
