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
	idleMade     = 8 << 20  // octets in garbagePace
	idleWorth    = 32 << 20 // octets
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

// paceGarbage follows what lives, and gives the machine back what lies around while little happens.
func paceGarbage(ctx context.Context) {
	ticker := time.NewTicker(garbagePace)
	defer ticker.Stop()
	seen := []metrics.Sample{
		{Name: "/gc/heap/live:bytes"},
		{Name: "/gc/heap/allocs:bytes"},
		{Name: "/memory/classes/heap/objects:bytes"},
		{Name: "/memory/classes/heap/free:bytes"},
	}
	set, before := mostGarbage, uint64(0)
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		metrics.Read(seen)
		live, made, objects, free := seen[0].Value.Uint64(), seen[1].Value.Uint64(), seen[2].Value.Uint64(), seen[3].Value.Uint64()
		if next := garbagePercent(live); next != set {
			debug.SetGCPercent(next)
			set = next
		}
		if idleGarbage(live, made-before, objects, free) {
			debug.FreeOSMemory()
		}
		before = made
	}
}

// garbagePercent is the garbage that may lie beside so many octets that live, in percent of them.
func garbagePercent(live uint64) int {
	return int(min(mostGarbage, max(leastGarbage, garbageRoom*100/max(live, 1)))) //nolint:gosec // between the two bounds
}

// idleGarbage tells that so little was made since the last look that a collection disturbs nobody, and that there is
// enough to be had by it: objects that no longer live, and memory that is free already.
func idleGarbage(live, made, objects, free uint64) bool {
	return made < idleMade && objects-min(live, objects)+free > max(idleWorth, live/4)
}
