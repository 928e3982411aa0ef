package transfers

import (
	"testing"
	"testing/synctest"
	"time"

	"postroad/internal/core/transfer"
)

// Another node is told of a change in the place of this one, and keeps what it has fetched.
func TestWhatAnotherNodeFetchesIsAnsweredFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, home := fed(t)
		home.host("ann.example", 1)
		w.start()
		w.settle(time.Second)
		go w.Follow(t.Context())
		for _, serial := range []int{2, 3} {
			z := zoneOf(t, "ann.example", serial, "www A 192.0.2.7")
			w.mu.Lock()
			w.copies["ann.example"] = transfer.Copy{Refreshed: time.Now(), Serial: z.Serial, Records: z.Records}
			w.mu.Unlock()
			w.settle(followEvery + time.Millisecond)
			if got := w.answered["ann.example"]; got.Serial != z.Serial || !same(got.Content(), z.Content()) {
				t.Errorf("serial %d is answered for, want %d", got.Serial, z.Serial)
			}
		}
	})
}
