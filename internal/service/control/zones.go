package control

import (
	"context"

	"postroad/internal/service/control/zones"
)

// Zones in the words of package zones.
type (
	// ZoneDetail is a zone with its records.
	ZoneDetail = zones.ZoneDetail
	// ZoneFile is a zone as a zone file.
	ZoneFile = zones.ZoneFile
	// RecordSpec names a record, as people write it.
	RecordSpec = zones.RecordSpec
	// ZoneServed tells of a zone that is answered for as a change has left it.
	ZoneServed = zones.ZoneServed
)

// Zone shows the zone of a domain.
func (s *Service) Zone(ctx context.Context, actor Actor, domain string) (ZoneDetail, error) {
	return s.hosted.Show(ctx, actor, s.current.Load(), domain)
}

// PlanRecordAdd plans another record. Those of its owner and type take its TTL, if one is given.
func (s *Service) PlanRecordAdd(ctx context.Context, actor Actor, domain string, spec RecordSpec) (Plan, error) {
	st := s.current.Load()
	p, err := s.hosted.PlanAdd(ctx, actor, st, domain, spec)
	return s.weighedIf(actor, st, p, err)
}

// PlanRecordEdit plans that a record takes the place of another one of the same owner and type, named by its data or its
// id, or not at all where it is the only one. Without data the TTL alone changes.
func (s *Service) PlanRecordEdit(ctx context.Context, actor Actor, domain, old string, spec RecordSpec) (Plan, error) {
	st := s.current.Load()
	p, err := s.hosted.PlanEdit(ctx, actor, st, domain, old, spec)
	return s.weighedIf(actor, st, p, err)
}

// PlanRecordRemove plans the end of a record, named by its data or its id, or of all of its owner and type.
func (s *Service) PlanRecordRemove(ctx context.Context, actor Actor, domain string, spec RecordSpec) (Plan, error) {
	st := s.current.Load()
	p, err := s.hosted.PlanRemove(ctx, actor, st, domain, spec)
	return s.weighedIf(actor, st, p, err)
}
