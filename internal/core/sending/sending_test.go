package sending_test

import (
	"strings"
	"testing"
	"time"

	"postroad/internal/core/sending"
)

func TestPlus(t *testing.T) {
	now := time.Date(2026, 11, 28, 13, 59, 59, 0, time.UTC)
	one := sending.At(now)
	one.HourCount, one.DayCount = 1, 1
	next := sending.At(now.Add(time.Second))
	next.HourCount, next.DayCount = 2, 2
	if got := one.Plus(next); got.HourCount != 2 || got.DayCount != 3 || got != next.Plus(one) {
		t.Errorf("over the hour: %+v", got)
	}
	tomorrow := sending.At(now.Add(24 * time.Hour))
	if got := one.Plus(tomorrow); got != tomorrow {
		t.Errorf("over the day: %+v", got)
	}
	if got := one.Plus(one); got.HourCount != 2 || got.DayCount != 2 {
		t.Errorf("twice: %+v", got)
	}
}

func TestRefuse(t *testing.T) {
	now := time.Date(2026, 11, 28, 13, 20, 0, 0, time.UTC)
	tally := sending.At(now)
	tally.HourCount, tally.DayCount = 5, 9
	for _, c := range []struct {
		limits sending.Limits
		at     time.Time
		want   string
	}{
		{sending.Limits{}, now, ""},
		{sending.Limits{Hour: 6, Day: 10}, now, ""},
		{sending.Limits{Hour: 5, Day: 10}, now, "limit of 5 recipients in one hour; it may send again from 2026-11-28 14:00 UTC"},
		{sending.Limits{Hour: 5, Day: 9}, now, "limit of 9 recipients in one day; it may send again from 2026-11-29 00:00 UTC"},
		{sending.Limits{Hour: 5}, now.Add(40 * time.Minute), ""},
		{sending.Limits{Day: 9}, now.Add(40 * time.Minute), "in one day"},
		{sending.Limits{Hour: 5, Day: 9}, now.Add(11 * time.Hour), ""},
	} {
		got := c.limits.Refuse(sending.Login, "ann@acme.example", tally, c.at)
		if (got == "") != (c.want == "") || !strings.Contains(got, c.want) {
			t.Errorf("%+v at %v: %q", c.limits, c.at, got)
		}
		if got != "" && !strings.HasPrefix(got, "the login ann@acme.example ") {
			t.Errorf("%q does not say who", got)
		}
	}
}
