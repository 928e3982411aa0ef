package queue_test

import (
	"os"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"postroad/internal/core/account"
	"postroad/internal/core/mail"
	"postroad/internal/service/queue"
)

// BenchmarkHeldQueue fills a queue with waiting mail for one dead destination and measures what it costs to have it:
// QUEUE_BENCH_MESSAGES messages, 100,000 without it.
func BenchmarkHeldQueue(b *testing.B) {
	count := 100000
	if n, err := strconv.Atoi(os.Getenv("QUEUE_BENCH_MESSAGES")); err == nil {
		count = n
	}
	ctx, system := b.Context(), account.System()
	dir := b.TempDir()
	path := dir + "/queue.db"
	db, store := openBench(b, dir)
	content := make([]byte, 4096)
	now := time.Now()
	for done := 0; done < count; {
		batch := make([]mail.Stored, min(100, count-done))
		for i := range batch {
			batch[i] = message(content, mail.StateWaiting, now, "remote/dead.example")
		}
		if err := store.Accept(ctx, system, batch); err != nil {
			b.Fatal(err)
		}
		done += len(batch)
	}
	b.ReportMetric(float64(count)/time.Since(now).Seconds(), "fill-msg/s")
	if err := db.Close(); err != nil {
		b.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(info.Size())/float64(count), "disk-B/msg")

	measure := func(name string, fn func() error) {
		began := time.Now()
		if err := fn(); err != nil {
			b.Fatalf("%s: %v", name, err)
		}
		b.ReportMetric(float64(time.Since(began).Microseconds())/1000, name)
	}
	measure("open-ms", func() error {
		db, store = openBench(b, dir)
		return store.Open(ctx, "n", true)
	})
	measure("count-ms", func() error {
		c, err := store.Count(ctx, system, mail.Filter{}, time.Now())
		if c.Messages != int64(count) || c.Due != int64(count) {
			b.Errorf("counted %+v", c)
		}
		return err
	})
	measure("list-ms", func() error {
		_, err := store.List(ctx, system, mail.Filter{}, "", 100)
		return err
	})
	var cursor queue.Cursor
	measure("due100-ms", func() error {
		_, c, err := store.Due(ctx, system, "remote/dead.example", time.Now(), cursor, 100)
		cursor = c
		return err
	})
	measure("aged100-ms", func() error {
		_, err := store.Aged(ctx, system, "remote/dead.example", 20000, 100)
		return err
	})
	measure("accept-ms", func() error {
		return store.Accept(ctx, system, []mail.Stored{message(content, mail.StateLeased, time.Now().Add(time.Minute), lane)})
	})
	var u unix.Rusage
	_ = unix.Getrusage(unix.RUSAGE_SELF, &u)
	b.ReportMetric(float64(u.Maxrss)/1024, "max-rss-MiB")
	measure("drop-ms", func() error {
		n, _, err := store.Change(ctx, system, mail.Filter{Host: "dead.example"}, mail.Drop, time.Now(), nil)
		if n != int64(count) {
			b.Errorf("dropped %d", n)
		}
		return err
	})
	if wal, err := os.Stat(path + "-wal"); err == nil {
		b.ReportMetric(float64(wal.Size())/(1<<20), "wal-MiB")
	}
	if err := db.Close(); err != nil {
		b.Fatal(err)
	}
}
