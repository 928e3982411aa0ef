package checks

import (
	"context"
	"log/slog"
	"time"

	"postroad/internal/core/directory"
)

// How often it is looked whether what shows the ownership of domains is there still.
const (
	proofPace     = 24 * time.Hour
	proofLostPace = time.Hour
	proofsAtOnce  = 4
)

// Proofs looks again for the proofs of domains' ownership.
type Proofs interface {
	// CheckProof looks for the proof of a domain if its time has come, and does what follows.
	CheckProof(ctx context.Context, domain string) error
}

// NewProofs makes rounds over the domains whose ownership public DNS shows.
func NewProofs(dir Directory, proofs Proofs, log *slog.Logger) *Rounds {
	wants := func(d *directory.Domain) bool {
		by := d.Proof.By
		return (by == directory.ProofTXT || by == directory.ProofDelegation) && (d.Proved || time.Now().Before(d.Proof.Told()))
	}
	return NewRounds(dir, wants, proofsAtOnce, func(ctx context.Context, d *directory.Domain) time.Duration {
		if err := proofs.CheckProof(ctx, d.Name); err != nil && ctx.Err() == nil {
			log.ErrorContext(ctx, "proof of ownership not looked for", "domain", d.Name, "error", err)
			return proofLostPace
		}
		if !d.Proof.Lost.IsZero() {
			return proofLostPace
		}
		return proofPace
	})
}
