package forwarding_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"postroad/internal/core/account"
	"postroad/internal/service/forwarding"
)

// shared is a store that several nodes have.
type shared struct {
	mu      sync.Mutex
	sent    map[string]forwarding.Sent
	brought map[[2]string]forwarding.Brought
	writes  int
	fail    error
}

func newShared() *shared {
	return &shared{sent: map[string]forwarding.Sent{}, brought: map[[2]string]forwarding.Brought{}}
}

func (s *shared) ForwardCounts(_ context.Context, _ account.Scope, leaves, since time.Time, most int) (forwarding.Counts, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out forwarding.Counts
	for _, c := range s.sent {
		if c.Leaves.After(leaves) {
			out.Sent = append(out.Sent, c)
		}
	}
	for _, b := range s.brought {
		if !b.At.Before(since) && len(out.Brought) < most {
			out.Brought = append(out.Brought, b)
		}
	}
	return out, s.fail
}

func (s *shared) AddForwardCounts(_ context.Context, _ account.Scope, added forwarding.Added, _ time.Time) (forwarding.Counts, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fail != nil {
		return forwarding.Counts{}, s.fail
	}
	s.writes++
	var out forwarding.Counts
	for _, c := range added.Uses {
		is := s.sent[c.Forward]
		is.Forward, is.Account, is.At, is.Last = c.Forward, c.Account, c.At, is.Last.Then(c.Last)
		if is.Leaves.Before(c.From) {
			is.Leaves = c.From
		}
		is.Leaves = is.Leaves.Add(c.Share)
		s.sent[c.Forward] = is
		out.Sent = append(out.Sent, is)
	}
	for _, b := range added.Brought {
		key := [2]string{b.Domain, b.Client}
		b.Messages += s.brought[key].Messages
		s.brought[key] = b
		out.Brought = append(out.Brought, b)
	}
	for _, b := range added.Gone {
		delete(s.brought, [2]string{b.Domain, b.Client})
	}
	return out, nil
}

func (s *shared) ForwardRecord(_ context.Context, scope account.Scope, forward string) (forwarding.Record, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.sent[forward]
	if s.fail != nil || !scope.Has(c.Account) {
		return forwarding.Record{}, s.fail
	}
	return c.Last, nil
}

// node is a service that has been started.
func node(t *testing.T, store *shared, perHour int) *forwarding.Service {
	t.Helper()
	s := forwarding.New(forwarding.Options{PerHour: perHour, Store: store})
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s
}

const fan = "fan@here.example"

func healthIs(t *testing.T, s *forwarding.Service, owner account.ID, wantFragile, wantOf int) {
	t.Helper()
	if fragile, of, err := s.Health(t.Context(), owner, fan); err != nil || fragile != wantFragile || of != wantOf {
		t.Errorf("%d of %d, %v, want %d of %d", fragile, of, err, wantFragile, wantOf)
	}
}

func TestHealthOfTheLastMessages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newShared()
		one, two := node(t, store, 0), node(t, store, 0)
		healthIs(t, one, "a", 0, 0)
		for n := range 20 {
			one.Note("a", fan, n < 8)
			two.Note("a", fan, n < 4)
		}
		healthIs(t, two, "a", 4, 20)
		healthIs(t, one, "a", 12, 40)
		healthIs(t, two, "a", 12, 40)
		healthIs(t, one, "b", 0, 0) // who has the domain next
		one.Note("a", fan, true)
		one.Stop(t.Context())
		one = node(t, store, 0) // started again
		healthIs(t, one, "a", 13, 41)
		for range 70 { // older ones are forgotten
			two.Note("a", fan, false)
		}
		time.Sleep(3 * time.Second)
		healthIs(t, one, "a", 0, 64)
		one.Note("b", fan, true) // the domain's new account
		one.Stop(t.Context())
		two.Stop(t.Context())
	})
}

func TestManyMessagesAreFewWrites(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newShared()
		s := node(t, store, 1000)
		for n := range 10_000 {
			s.Note("a", fmt.Sprint(n%100), true)
			s.Pace("a", fmt.Sprint(n%100), time.Now())
			time.Sleep(time.Millisecond)
		}
		s.Stop(t.Context())
		if store.writes > 6 || store.sent["0"].Last.N != 64 {
			t.Errorf("%d writes, %+v", store.writes, store.sent["0"])
		}
		store.writes = 0
		s = node(t, store, 1000)
		time.Sleep(time.Minute)
		s.Stop(t.Context())
		if store.writes > 0 {
			t.Errorf("%d writes of nothing", store.writes)
		}
	})
}

func TestTheFuseIsThatOfAllNodes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newShared()
		one, two := node(t, store, 60), node(t, store, 60)
		pace := func(s *forwarding.Service, messages int) (waits int) {
			for range messages {
				if _, later := s.Pace("a", fan, time.Now()); later {
					waits++
				}
			}
			return waits
		}
		if n := pace(one, 50); n > 0 {
			t.Fatalf("%d of the first 50 wait", n)
		}
		time.Sleep(5 * time.Second)
		two.Pace("a", fan, time.Now())
		time.Sleep(3 * time.Second) // what it wrote came back as the sum
		if n := pace(two, 20); n != 11 {
			t.Errorf("%d of another node's 20 wait, want 11", n)
		}
		one.Stop(t.Context())
		two.Stop(t.Context())
		one = node(t, store, 60)
		if n := pace(one, 1); n != 1 {
			t.Error("a restart gives another hour's share")
		}
		time.Sleep(2 * time.Hour)
		if n := pace(one, 61); n != 1 {
			t.Errorf("%d of 61 wait after a rest", n)
		}
		one.Stop(t.Context())
	})
}

func TestAStoreThatFailsIsWrittenLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newShared()
		s := node(t, store, 60)
		store.fail = errors.New("away")
		for n := range 10 {
			s.Note("a", fan, n%2 == 0)
			s.Pace("a", fan, time.Now())
			s.Brought("a", "here.example", "192.0.2.1")
			time.Sleep(3 * time.Second)
		}
		if _, _, err := s.Health(t.Context(), "a", fan); !errors.Is(err, store.fail) {
			t.Errorf("%v", err)
		}
		store.fail = nil
		healthIs(t, s, "a", 5, 10)
		s.Stop(t.Context())
		is := store.sent[fan]
		if is.Last.Fragile != 0b1010101010 || store.brought[[2]string{"here.example", "192.0.2.1"}].Messages != 10 {
			t.Errorf("%+v, %+v", is, store.brought)
		}
		if left := time.Until(is.Leaves); left < 9*time.Minute || left > 10*time.Minute {
			t.Errorf("of the hour %v are used", left)
		}
	})
}

// TestAPatternIsSeenByAllNodes: every five messages of one client for one domain somebody is told, whoever takes them.
func TestAPatternIsSeenByAllNodes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newShared()
		one, two := node(t, store, 0), node(t, store, 0)
		brings := func(s *forwarding.Service, wantN int, wantTell bool) {
			t.Helper()
			if n, tell := s.Brought("a", "here.example", "192.0.2.1"); n != wantN || tell != wantTell {
				t.Errorf("%d, %t; want %d, %t", n, tell, wantN, wantTell)
			}
		}
		for n := range 2 {
			brings(one, n+1, false)
		}
		time.Sleep(5 * time.Second)
		for n := range 2 {
			brings(two, n+1, false)
		}
		two.Brought("a", "other.example", "192.0.2.1")
		two.Brought("a", "here.example", "192.0.2.2")
		time.Sleep(5 * time.Second)
		brings(two, 5, true) // by what one had written before
		two.Stop(t.Context())
		two = node(t, store, 0) // started again
		brings(two, 6, false)
		one.Stop(t.Context())
		for n := 7; n < 10; n++ {
			brings(two, n, false)
		}
		brings(two, 10, true)
		two.Stop(t.Context())
	})
}

func TestCountsAreOfFew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newShared()
		s := node(t, store, 0)
		for n := range 12_000 {
			s.Brought("a", "here.example", fmt.Sprint(n))
			s.Note("a", fmt.Sprint(n), true)
			if n%1000 == 0 {
				time.Sleep(10 * time.Second)
			}
		}
		s.Stop(t.Context())
		if len(store.brought) != 10_000 {
			t.Errorf("%d clients are counted", len(store.brought))
		}
		s = node(t, store, 0)
		if n, _ := s.Brought("a", "here.example", "11999"); n != 2 {
			t.Errorf("the last one is at %d", n)
		}
		s.Stop(t.Context())
	})
}
