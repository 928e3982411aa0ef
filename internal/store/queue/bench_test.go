package queue_test

import (
	"context"
	"crypto/rand"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"postroad/internal/core/account"
	"postroad/internal/core/mail"
	"postroad/internal/store/queue"
	"postroad/internal/store/sqldb"
)

// BenchmarkAccept50 accepts messages of 4 KiB from 50 goroutines on SQLite.
func BenchmarkAccept50(b *testing.B) {
	db, store := openBench(b, b.TempDir())
	content := make([]byte, 4096)
	_, _ = rand.Read(content)
	ctx := context.Background()
	var n atomic.Int64
	b.ReportAllocs()
	before := cpu()
	b.ResetTimer()
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			for n.Add(1) <= int64(b.N) {
				m := message(content, mail.StateLeased, time.Now(), "remote/example.org")
				if err := store.Accept(ctx, account.System(), []mail.Stored{m}); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msg/s")
	b.ReportMetric((cpu()-before)*1e6/float64(b.N), "cpu-µs/msg")
	if err := db.Close(); err != nil {
		b.Fatal(err)
	}
}

func openBench(b *testing.B, dir string) (*sqldb.DB, *queue.Store) {
	b.Helper()
	db, err := queue.Open(b.Context(), queue.Config{Path: dir + "/queue.db"})
	if err != nil {
		b.Fatal(err)
	}
	blobs, err := sqldb.OpenBlobs(dir + "/blobs")
	if err != nil {
		b.Fatal(err)
	}
	return db, queue.New(db, blobs)
}

// cpu is what the process has used so far, in seconds.
func cpu() float64 {
	var u unix.Rusage
	_ = unix.Getrusage(unix.RUSAGE_SELF, &u)
	return float64(u.Utime.Nano()+u.Stime.Nano()) / 1e9
}
