package forwarding_test

import (
	"fmt"
	"testing"
	"time"

	"postroad/internal/service/forwarding"
)

func TestForwardsKeepTheirPace(t *testing.T) {
	s := forwarding.New(forwarding.Options{PerHour: 60})
	// An hour's share leaves at once, the rest a minute apart; another forward is not concerned.
	for n := range 100 {
		at, later := s.Pace("a", "fan@here.example", now)
		if n < 60 && later {
			t.Fatalf("message %d waits until %s", n+1, at)
		}
		if want := now.Add(time.Duration(n-59) * time.Minute); n >= 60 && (!later || !at.Equal(want)) {
			t.Fatalf("message %d leaves at %s, %t; want %s", n+1, at, later, want)
		}
	}
	if _, later := s.Pace("a", "other@here.example", now); later {
		t.Error("another forward waits")
	}
	if _, later := s.Pace("a", "fan@here.example", now.Add(30*time.Minute)); !later {
		t.Error("no wait while others still do")
	}
	// After an hour of rest the whole share is there again.
	rested := now.Add(10 * time.Hour)
	for n := range 60 {
		if _, later := s.Pace("a", "fan@here.example", rested); later {
			t.Fatalf("message %d waits after a rest", n+1)
		}
	}
	if _, later := s.Pace("a", "fan@here.example", rested); !later {
		t.Error("the 61st does not wait")
	}
	if got := forwarding.New(forwarding.Options{}).PerHour(); got != 1000 {
		t.Errorf("%d an hour without a setting", got)
	}
}

func TestPaceIsRememberedOfFew(t *testing.T) {
	s := forwarding.New(forwarding.Options{PerHour: 1})
	for n := range 20_000 {
		if _, later := s.Pace("a", fmt.Sprint(n), now); later {
			t.Fatalf("the first message of forward %d waits", n)
		}
	}
	if _, later := s.Pace("a", "0", now); !later {
		t.Error("what was known was forgotten")
	}
}
