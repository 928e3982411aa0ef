package checks

import (
	"context"
	"log/slog"
	"time"
)

const (
	probesPace   = 30 * time.Second // between two looks at probes under way
	forwardsPace = time.Hour        // between two looks at all forwards that were probed
)

// Probes tries whether other servers forward mail to us.
type Probes interface {
	// JudgeProbes judges probes whose time is over.
	JudgeProbes(ctx context.Context) error
	// LookAtForwards finds anew what is wrong with forwards.
	LookAtForwards(ctx context.Context) error
}

// Forwards looks at what was sent to try forwards at primaries, until ctx ends. Several nodes may do so at once.
func Forwards(ctx context.Context, probes Probes, log *slog.Logger) {
	ticker := time.NewTicker(probesPace)
	defer ticker.Stop()
	var looked time.Time
	for {
		err := probes.JudgeProbes(ctx)
		if now := time.Now(); err == nil && !now.Before(looked.Add(forwardsPace)) {
			looked = now
			err = probes.LookAtForwards(ctx)
		}
		if err != nil && ctx.Err() == nil {
			log.ErrorContext(ctx, "forwards at primaries not looked at", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}
