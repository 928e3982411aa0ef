package routing_test

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"testing"

	"postroad/internal/core/directory"
	"postroad/internal/core/routing"
	"postroad/internal/proto/smtp"
)

// The design size: 100,000 domains with ten mailboxes each.
const (
	manyDomains = 100_000
	boxesEach   = 10
)

func designSize() *directory.Snapshot {
	domains, boxes := ofDesignSize()
	return directory.NewSnapshot(1, domains, boxes, nil, nil)
}

func ofDesignSize() ([]directory.Domain, []directory.Mailbox) {
	domains := make([]directory.Domain, manyDomains)
	boxes := make([]directory.Mailbox, 0, manyDomains*boxesEach)
	for i := range domains {
		d := directory.Domain{ID: fmt.Sprintf("d%025d", i), Account: "a", Name: fmt.Sprintf("customer-%06d.example", i), Proved: true, Mode: directory.ModeLocal}
		domains[i] = d
		for k := range boxesEach {
			boxes = append(boxes, directory.Mailbox{ID: fmt.Sprintf("m%015d%010d", i, k), Account: "a", Domain: d.Name, Local: fmt.Sprintf("firstname.name%d", k)})
		}
	}
	rand.New(rand.NewPCG(1, 2)).Shuffle(len(boxes), func(a, b int) { boxes[a], boxes[b] = boxes[b], boxes[a] })
	return domains, boxes
}

// BenchmarkDirectory makes the directory of what is read from the store, in no order.
func BenchmarkDirectory(b *testing.B) {
	domains, boxes := ofDesignSize()
	b.ReportAllocs()
	for b.Loop() {
		if s := directory.NewSnapshot(1, domains, boxes, nil, nil); s.Version() != 1 {
			b.Fatal("another version")
		}
	}
}

// BenchmarkDecideOutOfAllMailboxes decides for any mailbox of all there are, in memory in no order, so that nothing of what
// is needed lies in a cache of the processor: it counts places in memory. The bar is store/control's benchmark.
func BenchmarkDecideOutOfAllMailboxes(b *testing.B) {
	view := routing.View{Directory: designSize()}
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	r := rand.New(rand.NewPCG(3, 4))
	to := make([]smtp.Address, 1<<18)
	for i := range to {
		to[i] = smtp.Address{Local: fmt.Sprintf("firstname.name%d", r.IntN(boxesEach)), Domain: fmt.Sprintf("customer-%06d.example", r.IntN(manyDomains))}
	}
	n := 0
	b.ReportAllocs()
	for b.Loop() {
		n++
		if d := routing.Decide(view, routing.Session{}, to[n%len(to)]); !d.Accepted() {
			b.Fatal(d.Reply)
		}
	}
	b.ReportMetric(float64(m.HeapAlloc)/(1<<20), "MiB")
}
