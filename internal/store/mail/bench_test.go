package mail_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"

	"postroad/internal/core/mailbox"
	"postroad/internal/store/mail"
	"postroad/internal/store/sqldb"
)

// BenchmarkDeliver50 delivers messages of 4 KiB, eight at a time, from 50 goroutines into 1,000 mailboxes on SQLite.
func BenchmarkDeliver50(b *testing.B) {
	ctx, dir := context.Background(), b.TempDir()
	blobs, err := sqldb.OpenBlobs(dir + "/blobs")
	if err != nil {
		b.Fatal(err)
	}
	store, err := mail.Open(ctx, mail.Config{Dir: dir}, blobs)
	if err != nil {
		b.Fatal(err)
	}
	const boxes, batch = 1000, 8
	var creating sync.WaitGroup
	for i := range boxes {
		creating.Go(func() {
			if err := store.Create(ctx, system, mailbox.Mailbox{ID: fmt.Sprintf("mailbox-of-26-letters-%04d", i), Account: "acc-a"}); err != nil {
				b.Error(err)
			}
		})
	}
	creating.Wait()
	content := strings.Repeat("0123456789abcde\n", 256)
	var n atomic.Int64
	before := cpu()
	b.ReportAllocs()
	b.ResetTimer()
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			for {
				k := n.Add(batch)
				if k-batch >= int64(b.N) {
					return
				}
				items := make([]mailbox.Item, batch)
				for i := range items {
					items[i] = item(fmt.Sprintf("mailbox-of-26-letters-%04d", (k+int64(i))*7919%boxes), content)
				}
				for _, err := range store.Deliver(ctx, system, items) {
					if err != nil {
						b.Error(err)
					}
				}
			}
		})
	}
	wg.Wait()
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msg/s")
	b.ReportMetric((cpu()-before)*1e6/float64(b.N), "cpu-µs/msg")
	if err := store.Close(); err != nil {
		b.Fatal(err)
	}
}

// cpu is what the process has used so far, in seconds.
func cpu() float64 {
	var u unix.Rusage
	_ = unix.Getrusage(unix.RUSAGE_SELF, &u)
	return float64(u.Utime.Nano()+u.Stime.Nano()) / 1e9
}
