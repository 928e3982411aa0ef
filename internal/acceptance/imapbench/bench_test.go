package imapbench

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"
)

// servers are started once for all runs of the benchmarks.
type servers struct {
	once sync.Once
	dir  string
	each map[string]server
}

// running is what TestMain stops.
var running servers

func TestMain(m *testing.M) {
	code := m.Run()
	for _, s := range running.each {
		s.stop()
	}
	if running.dir != "" {
		_ = os.RemoveAll(running.dir)
	}
	os.Exit(code)
}

// start starts both servers with their mail.
func (s *servers) start(b *testing.B) map[string]server {
	b.Helper()
	s.once.Do(func() {
		var err error
		if s.dir, err = os.MkdirTemp("", "imapbench"); err != nil {
			b.Fatal(err)
		}
		for _, name := range []string{"postroad", "dovecot"} {
			if err := os.Mkdir(filepath.Join(s.dir, name), 0o755); err != nil { //nolint:gosec // Dovecot's processes are other users
				b.Fatal(err)
			}
		}
		if err := os.Chmod(s.dir, 0o755); err != nil { //nolint:gosec // as above
			b.Fatal(err)
		}
		s.each = map[string]server{
			"postroad": startPostroad(b, filepath.Join(s.dir, "postroad")),
			"dovecot":  startDovecot(b, filepath.Join(s.dir, "dovecot")),
		}
		for _, server := range s.each { // indexes and caches are made at the first reading
			c := dial(b, server.imaps(), server.user(0), password)
			c.do("SELECT INBOX")
			c.do("FETCH 1:20000 (ENVELOPE)")
			c.close()
		}
	})
	return s.each
}

// both runs a benchmark against both servers.
func both(b *testing.B, run func(b *testing.B, s server)) {
	all := running.start(b)
	for _, name := range []string{"postroad", "dovecot"} {
		b.Run(name, func(b *testing.B) { run(b, all[name]) })
	}
}

// median reports the median of some times as the result.
func median(b *testing.B, times []time.Duration) {
	slices.Sort(times)
	b.ReportMetric(float64(times[len(times)/2].Microseconds())/1000, "median-ms")
}

// timed runs one command b.N times and reports the median.
func timed(b *testing.B, prepare, run func()) {
	var times []time.Duration
	for b.Loop() {
		if prepare != nil {
			b.StopTimer()
			prepare()
			b.StartTimer()
		}
		began := time.Now()
		run()
		times = append(times, time.Since(began))
	}
	median(b, times)
}

// BenchmarkIMAPSelectCold opens 100,000 messages as the first thing after the server has started.
func BenchmarkIMAPSelectCold(b *testing.B) {
	both(b, func(b *testing.B, s server) {
		var c *client
		timed(b, func() {
			if c != nil {
				c.close()
			}
			s.restart(b)
			c = dial(b, s.imaps(), s.user(0), password)
		}, func() { c.do("SELECT INBOX") })
		c.close()
	})
}

// BenchmarkIMAPSelect opens 100,000 messages in a session of its own.
func BenchmarkIMAPSelect(b *testing.B) {
	both(b, func(b *testing.B, s server) {
		var c *client
		timed(b, func() {
			if c != nil {
				c.close()
			}
			c = dial(b, s.imaps(), s.user(0), password)
		}, func() { c.do("SELECT INBOX") })
		c.close()
	})
}

// BenchmarkIMAPFetchEnvelopes fetches 1,000 envelopes, others each time among those that were fetched before.
func BenchmarkIMAPFetchEnvelopes(b *testing.B) {
	fetches(b, "FETCH %d:%d (ENVELOPE)", 0)
}

// BenchmarkIMAPFetchEnvelopesFirst fetches 1,000 envelopes that nobody has fetched before.
func BenchmarkIMAPFetchEnvelopesFirst(b *testing.B) {
	fetches(b, "FETCH %d:%d (ENVELOPE)", 20000)
}

// BenchmarkIMAPFetchFields fetches what Thunderbird lists of 1,000 messages.
func BenchmarkIMAPFetchFields(b *testing.B) {
	fetches(b, "UID FETCH %d:%d (UID RFC822.SIZE FLAGS BODY.PEEK[HEADER.FIELDS (From To Cc Bcc Subject Date Message-ID Priority X-Priority References Newsgroups In-Reply-To Content-Type Reply-To)])", 0)
}

func fetches(b *testing.B, command string, from int) {
	both(b, func(b *testing.B, s server) {
		c := dial(b, s.imaps(), s.user(0), password)
		defer c.close()
		c.do("SELECT INBOX")
		n := from
		timed(b, nil, func() {
			if lines := c.do(fmt.Sprintf(command, n+1, n+1000)); lines < 1000 {
				b.Fatalf("%d lines", lines)
			}
			n = from + (n+1000-from)%20000
		})
	})
}

// BenchmarkIMAPFetchFlags fetches the flags of all messages, as clients do when they come back.
func BenchmarkIMAPFetchFlags(b *testing.B) {
	both(b, func(b *testing.B, s server) {
		c := dial(b, s.imaps(), s.user(0), password)
		defer c.close()
		c.do("SELECT INBOX")
		timed(b, nil, func() {
			if lines := c.do("UID FETCH 1:* (FLAGS)"); lines < messages {
				b.Fatalf("%d lines", lines)
			}
		})
	})
}

// BenchmarkIMAPDeliveryToIdle is the time from a delivery's 250 until a client in IDLE is told; 0 when that came first.
func BenchmarkIMAPDeliveryToIdle(b *testing.B) {
	both(b, func(b *testing.B, s server) {
		c := dial(b, s.imaps(), s.user(1), password)
		defer c.close()
		c.do("SELECT INBOX")
		c.idle()
		var times []time.Duration
		for b.Loop() {
			told := make(chan time.Time, 1)
			go func() {
				c.told("EXISTS")
				told <- time.Now()
			}()
			taken := s.deliver(b, s.user(1), letter(1))
			times = append(times, max(0, (<-told).Sub(taken)))
		}
		median(b, times)
	})
}

// settled is a server's memory when it has had time to give back what logging in took.
func settled(b *testing.B, s server) int64 {
	b.Helper()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	least := s.memory(b)
	for range 25 {
		<-tick.C
		least = min(least, s.memory(b))
	}
	return least
}

// BenchmarkIMAPIdleMemory is the memory for 10,000 connections in IDLE, of Dovecot for 400.
func BenchmarkIMAPIdleMemory(b *testing.B) {
	both(b, func(b *testing.B, s server) {
		n := 10_000
		if _, is := s.(*dovecot); is {
			n = 400
		}
		for b.Loop() {
			b.StopTimer()
			s.restart(b)
			before := s.memory(b)
			clients := make([]*client, n)
			b.StartTimer()
			for i := range clients {
				clients[i] = dial(b, s.imaps(), s.user(1+i%(boxes-1)), password)
				clients[i].do("SELECT INBOX")
				clients[i].idle()
			}
			b.StopTimer()
			after := settled(b, s)
			b.ReportMetric(float64(after)/(1<<20), "MiB")
			b.ReportMetric(float64(after-before)/float64(n)/1024, "KiB/connection")
			for _, c := range clients {
				c.close()
			}
			b.StartTimer()
		}
	})
}
