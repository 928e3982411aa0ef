package control

import (
	"context"
	"time"

	"postroad/internal/core/directory"
	"postroad/internal/core/primary"
	"postroad/internal/service/control/primaries"
)

// Forwards at primaries in the words of package primaries.
type (
	// ProbeOptions are what probes of forwards are sent by.
	ProbeOptions = primaries.Options
	// PrimaryInfo is a domain's primary with the forwards that it has to make.
	PrimaryInfo = primaries.PrimaryInfo
	// PrimaryForward is one of them.
	PrimaryForward = primaries.PrimaryForward
)

// Primary shows a domain's primary and the forwards that it has to make, with what their probes have told.
func (s *Service) Primary(ctx context.Context, actor Actor, domain string) (PrimaryInfo, error) {
	return s.primaries.Show(ctx, actor, s.current.Load(), domain)
}

// ExportForwards gives the list of these forwards in a format, and the format's media type.
func (s *Service) ExportForwards(actor Actor, domain string, format primary.Format) (text []byte, mediaType string, err error) {
	return s.primaries.Export(actor, s.current.Load(), domain, format)
}

// PlanPrimaryProbe plans that it is tried which of these forwards work: those of some addresses, or all (none).
func (s *Service) PlanPrimaryProbe(ctx context.Context, actor Actor, domain string, addresses []string, within time.Duration) (Plan, error) {
	return s.primaries.Plan(ctx, actor, s.current.Load(), domain, addresses, within)
}

// applyProbes sends the probes of a plan and records that. What was sent before a failure stays.
func (s *Service) applyProbes(ctx context.Context, actor Actor, plan Plan) (Applied, error) {
	ctx = context.WithoutCancel(ctx)
	sent, failed := s.primaries.Send(ctx, s.current.Load(), plan.Probes)
	if failed != nil && sent == 0 {
		return Applied{}, failed
	}
	version, err := s.record(ctx, actor, plan)
	if failed != nil {
		err = failed
	}
	return Applied{Version: version, Rows: sent}, err
}

// ProbeBack takes a probe that has come back for a recipient, and reports whether it is one; then it is not to be delivered.
// An error is temporary.
func (s *Service) ProbeBack(ctx context.Context, r *primary.Return) (bool, error) {
	return s.primaries.Back(ctx, s.current.Load(), r)
}

// ProbeReported takes a report about a probe in the same way.
func (s *Service) ProbeReported(ctx context.Context, r *primary.Return) (bool, error) {
	return s.primaries.Reported(ctx, s.current.Load(), r)
}

// JudgeProbes judges probes whose time is over.
func (s *Service) JudgeProbes(ctx context.Context) error {
	return s.primaries.Judge(ctx, s.current.Load())
}

// LookAtForwards finds anew what is wrong with forwards at primaries.
func (s *Service) LookAtForwards(ctx context.Context) error {
	return s.primaries.Look(ctx, s.current.Load())
}

// elsewhere says why no server but this one takes a domain's mail; "" when one does, or that is not known.
func (s *Service) elsewhere(ctx context.Context, snap *directory.Snapshot, d *directory.Domain) string {
	if len(d.NextHops) > 0 {
		return ""
	}
	reach := s.explainer.Reach(ctx, snap, d)
	if !reach.Known || len(reach.Others) > 0 {
		return ""
	}
	return reach.Sentence(d.Name)
}
