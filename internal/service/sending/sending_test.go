package sending_test

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"postroad/internal/core/account"
	"postroad/internal/core/sending"
	service "postroad/internal/service/sending"
)

// kept is a store in memory.
type kept struct {
	mu   sync.Mutex
	all  map[sending.Key]sending.Count
	fail error
}

func (k *kept) Tallies(_ context.Context, _ account.Scope, day int64) ([]sending.Count, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	var out []sending.Count
	for _, c := range k.all {
		if c.Day >= day {
			out = append(out, c)
		}
	}
	return out, k.fail
}

func (k *kept) TalliesOf(_ context.Context, _ account.Scope, keys []sending.Key) ([]sending.Count, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	var out []sending.Count
	for _, key := range keys {
		if c, ok := k.all[key]; ok {
			out = append(out, c)
		}
	}
	return out, k.fail
}

func (k *kept) AddTallies(_ context.Context, _ account.Scope, added []sending.Count, _ int64) ([]sending.Count, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.fail != nil {
		return nil, k.fail
	}
	var out []sending.Count
	for _, c := range added {
		c.Tally = k.all[c.Key].Plus(c.Tally)
		k.all[c.Key] = c
		out = append(out, c)
	}
	return out, nil
}

func start(t *testing.T, k *kept, cfg service.Config) *service.Service {
	t.Helper()
	s := service.New(cfg, k, slog.New(slog.DiscardHandler))
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s
}

func takes(t *testing.T, s *service.Service, login string, owner account.ID, n int) {
	t.Helper()
	for range n {
		if text := s.Take(login, owner); text != "" {
			t.Fatalf("%s: %s", login, text)
		}
	}
}

func refuses(t *testing.T, s *service.Service, login string, owner account.ID, who string) {
	t.Helper()
	if text := s.Take(login, owner); !strings.HasPrefix(text, "the "+who+" ") {
		t.Errorf("%s: %q", login, text)
	}
}

func TestLimitsOfEachKind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := start(t, &kept{all: map[sending.Key]sending.Count{}}, service.Config{
			Login: sending.Limits{Hour: 3, Day: 6}, Domain: sending.Limits{Hour: 5}, Account: sending.Limits{Day: 8},
		})
		defer s.Stop(t.Context())
		takes(t, s, "a@one.example", "ann", 3)
		refuses(t, s, "a@one.example", "ann", "login a@one.example")
		takes(t, s, "b@one.example", "ann", 2)
		refuses(t, s, "b@one.example", "ann", "domain one.example")
		takes(t, s, "c@two.example", "ann", 3)
		refuses(t, s, "d@two.example", "ann", "account of d@two.example")
		takes(t, s, "a@other.example", "bob", 3) // another account is not touched
		time.Sleep(time.Hour)
		refuses(t, s, "d@two.example", "ann", "account")
		takes(t, s, "a@other.example", "bob", 3)
		time.Sleep(time.Hour)
		refuses(t, s, "a@other.example", "bob", "login")
		time.Sleep(24 * time.Hour)
		takes(t, s, "a@other.example", "bob", 3)
		takes(t, s, "d@two.example", "ann", 3)
	})
}

// What is refused is not counted.
func TestRefusedIsNotCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := start(t, &kept{all: map[sending.Key]sending.Count{}}, service.Config{Login: sending.Limits{Hour: 1}})
		defer s.Stop(t.Context())
		takes(t, s, "a@one.example", "ann", 1)
		refuses(t, s, "a@one.example", "ann", "login")
		list, err := s.Counts(t.Context(), account.System())
		if err != nil || len(list) != 3 {
			t.Errorf("%+v, %v", list, err)
		}
		for _, c := range list {
			if c.HourCount != 1 || c.DayCount != 1 || c.Account != "ann" {
				t.Errorf("%+v", c)
			}
		}
		if got, err := s.Counts(t.Context(), account.Of("bob")); err != nil || len(got) != 0 {
			t.Errorf("bob sees %+v, %v", got, err)
		}
	})
}

func TestRestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := &kept{all: map[sending.Key]sending.Count{}}
		cfg := service.Config{Login: sending.Limits{Hour: 4}}
		s := start(t, k, cfg)
		takes(t, s, "a@one.example", "ann", 2)
		s.Stop(t.Context())
		s = start(t, k, cfg)
		takes(t, s, "a@one.example", "ann", 2)
		refuses(t, s, "a@one.example", "ann", "login")

		// Another node has counted the rest after a second.
		other := start(t, k, cfg)
		time.Sleep(2 * time.Second)
		if text := other.Take("b@one.example", "ann"); text != "" {
			t.Error(text)
		}
		s.Stop(t.Context())
		other.Stop(t.Context())
		if got := k.all[sending.KeyOfDomain("ann", "one.example")]; got.DayCount != 5 {
			t.Errorf("together: %+v", got)
		}
	})
}

func TestStoreThatFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := &kept{all: map[sending.Key]sending.Count{}}
		s := start(t, k, service.Config{Login: sending.Limits{Hour: 4}})
		k.mu.Lock()
		k.fail = errors.New("disk")
		k.mu.Unlock()
		takes(t, s, "a@one.example", "ann", 2)
		time.Sleep(3 * time.Second)
		takes(t, s, "a@one.example", "ann", 2)
		refuses(t, s, "a@one.example", "ann", "login")
		k.mu.Lock()
		k.fail = nil
		k.mu.Unlock()
		s.Stop(t.Context())
		if got := k.all[sending.KeysOf("ann", "a@one.example")[0]]; got.HourCount != 4 {
			t.Errorf("%+v", got)
		}
	})
}

// Who goes on over its own limits is paused; who is stopped by those of its domain is not.
func TestALoginThatGoesOnIsPaused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var paused []string
		var fail error
		s := start(t, &kept{all: map[sending.Key]sending.Count{}}, service.Config{
			Login: sending.Limits{Day: 2}, Domain: sending.Limits{Day: 3}, PauseAfter: 3,
			Pause: func(_ context.Context, owner account.ID, login, reason string) error {
				mu.Lock()
				defer mu.Unlock()
				if fail == nil && owner == "ann" {
					paused = append(paused, login+" "+reason)
				}
				return fail
			},
		})
		defer s.Stop(t.Context())
		expect := func(n int) {
			t.Helper()
			time.Sleep(3 * time.Second)
			mu.Lock()
			defer mu.Unlock()
			if len(paused) != n || n > 0 && !strings.HasPrefix(paused[0], "a@one.example 3 recipients over its limit in the hour from 2000-01-01 01:00 UTC on") {
				t.Errorf("paused: %q", paused)
			}
		}
		takes(t, s, "a@one.example", "ann", 2)
		takes(t, s, "b@one.example", "ann", 1)
		for range 2 {
			refuses(t, s, "a@one.example", "ann", "login a@one.example")
		}
		for range 10 {
			refuses(t, s, "b@one.example", "ann", "domain one.example")
		}
		time.Sleep(time.Hour) // it begins anew
		for range 2 {
			refuses(t, s, "a@one.example", "ann", "login a@one.example")
		}
		expect(0)
		mu.Lock()
		fail = errors.New("disk")
		mu.Unlock()
		refuses(t, s, "a@one.example", "ann", "login a@one.example")
		expect(0)
		mu.Lock()
		fail = nil
		mu.Unlock()
		expect(1)
		refuses(t, s, "a@one.example", "ann", "login a@one.example")
		expect(1)
	})
}

// What was decided of a sender holds from its next recipient on.
func TestRulesOfSenders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		rules := map[sending.Key]sending.Rule{}
		decide := func(r sending.Rule) {
			mu.Lock()
			defer mu.Unlock()
			rules[r.Key] = r
		}
		s := start(t, &kept{all: map[sending.Key]sending.Count{}}, service.Config{
			Login: sending.Limits{Hour: 2}, Rule: func(k sending.Key) sending.Rule {
				mu.Lock()
				defer mu.Unlock()
				return rules[k]
			},
		})
		defer s.Stop(t.Context())
		login := sending.KeysOf("ann", "a@one.example")[0]
		takes(t, s, "a@one.example", "ann", 2)
		refuses(t, s, "a@one.example", "ann", "login")
		decide(sending.Rule{Key: login, Given: sending.Choice{Hour: new(int64(5))}})
		takes(t, s, "a@one.example", "ann", 1)
		decide(sending.Rule{Key: login, Given: sending.Choice{Hour: new(int64(5))}, Own: sending.Choice{Hour: new(int64(4))}})
		takes(t, s, "a@one.example", "ann", 1)
		refuses(t, s, "a@one.example", "ann", "login")
		decide(sending.Rule{Key: login, Given: sending.Choice{Hour: new(int64(0))}})
		takes(t, s, "a@one.example", "ann", 20)
		decide(sending.Rule{Key: sending.KeyOfDomain("ann", "one.example"), Given: sending.Choice{Day: new(int64(24))}})
		refuses(t, s, "a@one.example", "ann", "domain one.example")
		decide(sending.Rule{Key: sending.KeyOfDomain("bob", "one.example"), Given: sending.Choice{Day: new(int64(1))}}) // is another one
		takes(t, s, "a@one.example", "bob", 1)
		refuses(t, s, "a@one.example", "bob", "domain one.example")
		decide(sending.Rule{Key: sending.KeyOfDomain("ann", "one.example")})
		decide(sending.Rule{Key: sending.KeyOfAccount("ann"), Own: sending.Choice{Day: new(int64(24))}})
		refuses(t, s, "a@one.example", "ann", "account of a@one.example")
	})
}

// A node learns what others have counted of a sender when it meets it, and lists what all have counted.
func TestNodesThatShareAStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := &kept{all: map[sending.Key]sending.Count{}}
		cfg := service.Config{Login: sending.Limits{Day: 5}, Shared: true}
		one, two := start(t, k, cfg), start(t, k, cfg)
		defer one.Stop(t.Context())
		defer two.Stop(t.Context())
		takes(t, one, "a@one.example", "ann", 5)
		time.Sleep(2 * time.Second)
		refuses(t, two, "a@one.example", "ann", "login")
		takes(t, one, "b@one.example", "ann", 2)
		takes(t, two, "b@one.example", "ann", 2) // of which one knows nothing yet
		time.Sleep(4 * time.Second)
		takes(t, one, "b@one.example", "ann", 1)
		refuses(t, one, "b@one.example", "ann", "login")
		time.Sleep(4 * time.Second)
		refuses(t, two, "b@one.example", "ann", "login")
		for _, s := range []*service.Service{one, two} {
			list, err := s.Counts(t.Context(), account.Of("ann"))
			if i := slices.IndexFunc(list, func(c sending.Count) bool { return c.Kind == sending.Account }); err != nil || i < 0 || list[i].DayCount != 10 {
				t.Errorf("%+v, %v", list, err)
			}
		}
		k.mu.Lock()
		k.fail = errors.New("away")
		k.mu.Unlock()
		takes(t, two, "c@one.example", "ann", 5) // for itself
		refuses(t, two, "c@one.example", "ann", "login")
		if _, err := two.Counts(t.Context(), account.System()); err == nil {
			t.Error("counts without the store")
		}
		k.mu.Lock()
		k.fail = nil
		k.mu.Unlock()
		time.Sleep(4 * time.Second)
		refuses(t, one, "c@one.example", "ann", "login")
	})
}

func TestWhoComesNearALimitIsSeen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := start(t, &kept{all: map[sending.Key]sending.Count{}}, service.Config{
			Login: sending.Limits{Hour: 10}, Domain: sending.Limits{Day: 11}, Account: sending.Limits{Day: 15},
		})
		defer s.Stop(t.Context())
		sees := func(want ...string) {
			t.Helper()
			list, err := s.Near(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, n := range list {
				got = append(got, string(n.Account)+" "+n.Domain+": "+n.Evidence)
			}
			if !slices.Equal(got, want) {
				t.Errorf("seen: %q", got)
			}
		}
		const day = " recipients of the day 2000-01-01"
		takes(t, s, "a@two.example", "ann", 7)
		takes(t, s, "a@two.example", "bob", 1)
		sees()
		takes(t, s, "a@two.example", "ann", 1)
		login := "ann two.example: the login a@two.example has had 80 % or more of its 10 recipients of the hour from 2000-01-01 00:00 UTC on"
		sees(login)
		takes(t, s, "b@two.example", "ann", 1)
		domain := "the domain two.example has had 80 % or more of its 11" + day
		sees("ann two.example: " + domain + "; " + strings.TrimPrefix(login, "ann two.example: "))
		time.Sleep(time.Hour)
		sees("ann two.example: " + domain)
		takes(t, s, "b@one.example", "ann", 3)
		sees("ann one.example: the account of one.example has had 80 % or more of its 15"+day, "ann two.example: "+domain)
		time.Sleep(24 * time.Hour)
		sees()
	})
}
