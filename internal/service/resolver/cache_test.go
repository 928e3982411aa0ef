package resolver

import (
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"postroad/internal/core/facts"
	"postroad/internal/sim"
)

func TestTimeToLive(t *testing.T) {
	for _, c := range []struct {
		name   string
		asked  string
		script sim.DNSReply
		keeps  time.Duration
	}{
		{"the record's", "example.net", "", 300 * time.Second},
		{"the smallest of a set", "x.example", sim.DNSRecords("600 MX 1 a.example.", "60 MX 2 b.example."), time.Minute},
		{"the alias's when that is smaller", "x.example", sim.DNSRecords("30 CNAME y.example.", "y.example. 600 MX 2 b.example."), 30 * time.Second},
		{"zero is a second", "x.example", sim.DNSRecords("0 MX 1 a.example."), time.Second},
		{"a week is a day", "x.example", sim.DNSRecords("604800 MX 1 a.example."), 24 * time.Hour},
		{"the top bit is zero", "x.example", sim.DNSRecords("2147483648 MX 1 a.example."), time.Second},
		{"no data: the SOA's minimum", "mx1.example.net", "", 2 * time.Minute},
		{"no such domain: the SOA's minimum", "nobody.example.net", "", 2 * time.Minute},
		{"no data without SOA", "x.example", sim.DNSEmpty, time.Second},
		{"no such domain without SOA", "x.example", sim.DNSNXDomain, time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, world := world(t)
				if c.script != "" {
					world.Script(c.asked, "MX", c.script)
				}
				first := s.MX(t.Context(), c.asked)
				if first.TTL != c.keeps || !first.Expires().Equal(time.Now().Add(c.keeps)) {
					t.Errorf("kept for %v, want %v (%s)", first.TTL, c.keeps, first.Detail)
				}
				if first.Source != "resolver "+server {
					t.Errorf("source %q", first.Source)
				}
				asked := world.Asked(c.asked, "MX")
				pass(c.keeps - time.Nanosecond)
				kept := s.MX(t.Context(), c.asked)
				if world.Asked(c.asked, "MX") != asked || kept.Source != "cache" || !kept.At.Equal(first.At) || kept.Status != first.Status {
					t.Errorf("a moment before its end: asked %d times, from %q, learned %v", world.Asked(c.asked, "MX"), kept.Source, kept.At)
				}
				pass(time.Nanosecond)
				if s.MX(t.Context(), c.asked); world.Asked(c.asked, "MX") != asked+1 {
					t.Error("served past its end")
				}
			})
		})
	}
}

func TestNegativeAnswersKeptAnHourAtMost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, world := world(t)
		world.SetZone("slow.example", "@ 86400 SOA ns hostmaster 1 3600 600 604800 86400\n")
		if got := s.MX(t.Context(), "slow.example"); got.Status != facts.NoData || got.TTL != time.Hour {
			t.Errorf("%v kept for %v", got.Status, got.TTL)
		}
	})
}

func TestFailuresAreRememberedLongerEachTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, world := world(t)
		world.Script("example.net", "MX", sim.DNSServFail)
		for i, seconds := range []int{5, 10, 20, 30, 30} {
			want := time.Duration(seconds) * time.Second
			got := s.MX(t.Context(), "example.net")
			if got.Status != facts.Temporary || got.TTL != want {
				t.Errorf("failure %d: %v kept for %v, want %v", i+1, got.Status, got.TTL, want)
			}
			pass(got.TTL)
		}
		world.Script("example.net", "MX")
		if got := s.MX(t.Context(), "example.net"); got.Status != facts.Found {
			t.Errorf("when it works again: %v", got.Status)
		}
		pass(time.Hour)
		world.Script("example.net", "MX", sim.DNSServFail)
		if got := s.MX(t.Context(), "example.net"); got.TTL != failureFirst {
			t.Errorf("the next failure is kept for %v", got.TTL)
		}
		if got := s.MX(t.Context(), "example.net"); got.Status != facts.Temporary {
			t.Errorf("an expired answer is served in place of a failure: %v", got.Status)
		}
	})
}

func TestFlush(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, world := world(t)
		ask := func() {
			s.MX(t.Context(), "example.net")
			s.Addrs(t.Context(), "mx1.example.net")
			s.TXT(t.Context(), "mx2.example.net")
		}
		ask()
		ask()
		if got := world.Asked("*", "*"); got != 4 {
			t.Fatalf("%d questions before, want 4", got)
		}
		s.Flush("Example.NET.")
		ask()
		if got := world.Asked("*", "*"); got != 8 {
			t.Errorf("%d questions after, want 8: the exchangers' records are forgotten too", got)
		}
	})
}

func TestFlushDuringALookUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, world := world(t)
		world.Script("example.net", "MX", sim.DNSAfter(time.Second, sim.DNSRecords("MX 1 old.example.")), sim.DNSRecords("MX 1 new.example."))
		done := make(chan facts.MXAnswer)
		go func() { done <- s.MX(t.Context(), "example.net") }()
		synctest.Wait()
		s.Flush("example.net")
		if got := s.MX(t.Context(), "example.net"); len(got.Records) != 1 || got.Records[0].Host != "new.example" {
			t.Errorf("after the flush %v", got.Records)
		}
		if got := <-done; got.Status != facts.Found {
			t.Errorf("the old question got %v", got.Status)
		}
		if got := s.MX(t.Context(), "example.net"); got.Records[0].Host != "new.example" {
			t.Error("the old answer took the new one's place")
		}
	})
}

func TestOneQuestionForMany(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, world := world(t)
		world.Script("example.net", "MX", sim.DNSAfter(time.Second, sim.DNSNormal))
		var all sync.WaitGroup
		for range 100 {
			all.Go(func() {
				if got := s.MX(t.Context(), "example.net"); got.Status != facts.Found {
					t.Errorf("%v", got.Status)
				}
			})
		}
		all.Wait()
		if got := world.Asked("example.net", "MX"); got != 1 {
			t.Errorf("%d questions for 100 look-ups", got)
		}
	})
}

func TestAnswersBelongToTheCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := world(t)
		first := s.MX(t.Context(), "example.net")
		first.Records[0].Host = "overwritten"
		if got := s.MX(t.Context(), "example.net"); got.Records[0].Host != "mx1.example.net" {
			t.Error("a caller's change is in the cache")
		}
	})
}

func TestCacheIsBounded(t *testing.T) {
	now := time.Now()
	put := func(c *cache, name string, text string) {
		c.put(question{name, dns.TypeTXT}, result{
			outcome{status: facts.Found, txt: []string{text}}, facts.Origin{At: now, TTL: time.Hour},
		}, c.begin())
	}
	t.Run("by number", func(t *testing.T) {
		c := newCache(100, 1<<20)
		put(c, "kept", "x")
		for i := range 500 {
			put(c, fmt.Sprint(i), "x")
			if _, ok := c.get(question{"kept", dns.TypeTXT}, now); !ok {
				t.Fatalf("what is in use went at entry %d", i)
			}
		}
		if entries, evicted := c.size(); entries != 100 || evicted != 401 {
			t.Errorf("%d entries, %d evicted", entries, evicted)
		}
		if _, ok := c.get(question{"0", dns.TypeTXT}, now); ok {
			t.Error("the oldest is still there")
		}
	})
	t.Run("by octets", func(t *testing.T) {
		c := newCache(1000, 100<<10)
		for i := range 50 {
			put(c, fmt.Sprint(i), string(make([]byte, 10<<10)))
		}
		if entries, _ := c.size(); entries != 9 || c.octets > 100<<10 {
			t.Errorf("%d entries with %d octets", entries, c.octets)
		}
		for i := range 50 {
			c.flush(fmt.Sprint(i), []uint16{dns.TypeTXT})
		}
		if entries, _ := c.size(); entries != 0 || c.octets != 0 {
			t.Errorf("emptied, it counts %d entries and %d octets", entries, c.octets)
		}
	})
}

func TestClockGoesBack(t *testing.T) {
	now := time.Now()
	c := newCache(10, 1<<20)
	q := question{"a", dns.TypeA}
	c.put(q, result{outcome{status: facts.Found}, facts.Origin{At: now, TTL: time.Hour}}, c.begin())
	if _, ok := c.get(q, now.Add(-time.Minute)); ok {
		t.Error("an answer from the future is served")
	}
}

func TestServiceUsesItsCacheSize(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := world(t, withCacheSize(3, 1<<20))
		for i := range 5 {
			s.TXT(t.Context(), fmt.Sprintf("n%d.example.net", i))
		}
		s.TXT(t.Context(), "n4.example.net")
		got := s.Stats()
		if got.Entries != 3 || got.Evicted != 2 || got.Misses != 5 || got.Hits != 1 || got.Questions != 5 {
			t.Errorf("%+v", got)
		}
	})
}
