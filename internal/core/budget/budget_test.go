package budget_test

import (
	"sync"
	"testing"

	"postroad/internal/core/budget"
)

func TestBudgetIsNeverExceededByTake(t *testing.T) {
	t.Parallel()
	b := budget.New(1000)
	var wg sync.WaitGroup
	var mu sync.Mutex
	taken := int64(0)
	for range 50 {
		wg.Go(func() {
			for range 10 {
				if b.Take(7) {
					mu.Lock()
					taken += 7
					mu.Unlock()
				}
			}
		})
	}
	wg.Wait()
	if b.Used() != taken || taken > 1000 || taken < 900 {
		t.Errorf("%d octets are used, %d were taken of 1,000", b.Used(), taken)
	}
}

func TestBudgetTellsWhenItIsShortAndSpent(t *testing.T) {
	t.Parallel()
	b := budget.New(100)
	for _, c := range []struct {
		add          int64
		short, spent bool
	}{{75, false, false}, {1, true, false}, {24, true, true}, {50, true, true}, {-75, false, false}} {
		b.Force(c.add)
		if b.Short() != c.short || b.Spent() != c.spent {
			t.Errorf("with %d of 100 used: short %v, spent %v", b.Used(), b.Short(), b.Spent())
		}
	}
	if !b.Take(25) || b.Take(1) {
		t.Error("what is left was refused, or what is not there was given")
	}
}

func TestNoBudgetHasNoLimit(t *testing.T) {
	t.Parallel()
	for _, b := range []*budget.Budget{nil, budget.New(0)} {
		b.Force(1 << 60)
		if !b.Take(1) || b.Short() || b.Spent() {
			t.Error("a budget without a limit refuses")
		}
		b.Give(1<<60 + 1)
		if b.Used() != 0 {
			t.Errorf("%d octets are left in use", b.Used())
		}
	}
}
