// Package tuning adapts the Go runtime to what the server does.
package tuning

import (
	"context"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// How much garbage may lie around before it is collected, in percent of what lives: much while little lives, because most
// garbage is message content, and less where many zones and domains are held in memory all the time.
const (
	mostGarbage  = 300
	leastGarbage = 40
	garbageRoom  = 128 << 20 // octets
	garbagePace  = 5 * time.Second
)

// Runtime adapts the Go runtime to what the server does until ctx ends, unless the operator has said otherwise in the
// environment. A flush of the embedded store holds a processor of the scheduler although it uses none of the machine's,
// so there are two more of them.
func Runtime(ctx context.Context) {
	if os.Getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS(runtime.NumCPU() + 2)
	}
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(mostGarbage)
		go paceGarbage(ctx)
	}
}

// paceGarbage follows what lives.
func paceGarbage(ctx context.Context) {
	ticker := time.NewTicker(garbagePace)
	defer ticker.Stop()
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	set := mostGarbage
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		metrics.Read(live)
		if next := garbagePercent(live[0].Value.Uint64()); next != set {
			debug.SetGCPercent(next)
			set = next
		}
	}
}

// garbagePercent is the garbage that may lie beside so many octets that live, in percent of them.
func garbagePercent(live uint64) int {
	return int(min(mostGarbage, max(leastGarbage, garbageRoom*100/max(live, 1)))) //nolint:gosec // between the two bounds
}
