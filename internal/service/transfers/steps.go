package transfers

import (
	"context"
	"log/slog"
	"slices"

	"postroad/internal/core/account"
	"postroad/internal/core/transfer"
	"postroad/internal/core/zone"
	"postroad/internal/obs"
	"postroad/internal/proto/dns"
)

// What of a copy's changes is kept in memory for those that fetch it from here: so many steps, with so many records.
const (
	maxSteps       = 20
	maxStepRecords = 10_000
)

// step is what leads from the version of a copy that is kept to a new one; nil where nobody may fetch the zone from here, or
// there is no version before.
func (s *Service) step(ctx context.Context, z *copied, next *zone.Zone) *transfer.Step {
	if len(s.config.Load().peers[next.Domain]) == 0 {
		return nil
	}
	s.mu.Lock()
	have, serial := z.have, z.serial
	s.mu.Unlock()
	if !have || serial == next.Serial {
		return nil
	}
	kept, err := s.o.Store.Copy(ctx, account.System(), next.Domain)
	if err != nil {
		s.o.Log.ErrorContext(ctx, "the version before could not be read: the zone goes out whole", slog.String(obs.KeyDomain, next.Domain), slog.Any(obs.KeyError, err))
		return nil
	}
	if kept.Serial != serial || len(kept.Records) == 0 {
		return nil // another node was faster
	}
	return &transfer.Step{From: serial, To: next.Serial, Difference: dns.Differ(z.zone(kept).Content(), next.Content())}
}

// remember keeps a step behind those that led to where it begins; without one, nothing leads here. s.mu is held.
func (z *copied) remember(step *transfer.Step) {
	if step == nil {
		z.steps = nil
		return
	}
	if n := len(z.steps); n > 0 && z.steps[n-1].To != step.From {
		z.steps = nil
	}
	z.steps = append(slices.Clone(z.steps), *step) // whoever hands out the steps before goes on with those
	records := 0
	for i := len(z.steps) - 1; i >= 0; i-- {
		records += len(z.steps[i].Removed) + len(z.steps[i].Added)
		if records > maxStepRecords || len(z.steps)-i > maxSteps {
			z.steps = z.steps[i+1:]
			return
		}
	}
}
