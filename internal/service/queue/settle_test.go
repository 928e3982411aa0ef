package queue_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"postroad/internal/core/account"
	"postroad/internal/core/mail"
	"postroad/internal/proto/smtp"
	"postroad/internal/service/queue"
)

func refuse(mail.Delivery, mail.Recipient) mail.Outcome {
	return mail.Outcome{Result: mail.Failed, Host: "mx.far.example", Reply: smtp.Reply{Code: 550, Enhanced: smtp.Enhanced{5, 1, 1}, Text: "who?"}}
}

func TestACommitThatStoodAndWasAnsweredWithAnErrorReportsOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := start(t, queue.Config{})
		defer f.stop()
		f.remote.answer = refuse
		f.store.lie = true
		f.send("ann@here.example", 0, "u@far.example")
		time.Sleep(5 * time.Minute)
		if n := len(f.reports()); n != 1 {
			t.Errorf("%d reports", n)
		}
		if s := f.store.states(); len(s) != 0 {
			t.Errorf("left in the store: %v", s)
		}
		f.quiet()
	})
}

// about tells settlements with a row of a message.
func about(id mail.ID) func(queue.Settlement) bool {
	return func(c queue.Settlement) bool {
		for _, r := range c.Rows {
			if r.Row.ID == id {
				return true
			}
		}
		return false
	}
}

func TestAStubbornOutcomeHoldsUpNobody(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := start(t, queue.Config{})
		defer f.stop()
		bad := f.q.NewID(time.Now())
		f.store.dislikes = about(bad)
		st := mail.Stored{
			Message: &mail.Message{ID: bad, Root: bad, Account: "a", Received: time.Now()}, Content: mail.Content{Inline: []byte("x")},
			Rows: []mail.Recipient{{Account: "a", Destination: "bad@far.example", Lane: "remote/far.example"}},
		}
		if err := f.q.Accept(t.Context(), account.System(), st); err != nil {
			t.Fatal(err)
		}
		for range 50 {
			f.send("x@far.example", 0, "u@far.example")
		}
		f.send("x@far.example", 0, "u@other.example")
		synctest.Wait()
		time.Sleep(300 * time.Millisecond)
		begun := time.Now()
		if c, err := f.q.Count(t.Context(), account.System(), mail.Filter{}); err != nil || c.Messages != 51 {
			t.Errorf("%+v, %v: the other lane's message should be settled", c, err)
		}
		if spent := time.Since(begun); spent > 0 {
			t.Errorf("counting waited %v for a store that fails", spent)
		}
		time.Sleep(5 * time.Second)
		if s := f.store.states(); s[mail.StateLeased] != 1 || len(s) != 1 {
			t.Errorf("after five seconds %v", s)
		}
		f.store.mu.Lock()
		f.store.dislikes = nil
		f.store.mu.Unlock()
		time.Sleep(time.Minute)
		if s := f.store.states(); len(s) != 0 {
			t.Errorf("left in the store: %v", s)
		}
		for what, n := range f.remote.copies() {
			if n != 1 {
				t.Errorf("%s: %d copies", what, n)
			}
		}
		f.quiet()
	})
}

func TestAStoreThatIsAwayIsNotAskedForEveryOutcome(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := start(t, queue.Config{})
		defer f.stop()
		for i := range 300 {
			f.send("x@far.example", 0, fmt.Sprintf("u@far%d.example", i))
		}
		asked := 0
		f.store.mu.Lock()
		f.store.dislikes = func(queue.Settlement) bool { asked++; return true }
		f.store.mu.Unlock()
		time.Sleep(time.Minute)
		f.store.mu.Lock()
		if asked > 1000 {
			t.Errorf("asked %d times in a minute", asked)
		}
		f.store.dislikes = nil
		f.store.mu.Unlock()
		time.Sleep(time.Minute)
		if s := f.store.states(); len(s) != 0 {
			t.Errorf("left in the store: %v", s)
		}
		f.quiet()
	})
}

func TestAPanicWhileAnOutcomeIsComposedCostsALaneNothing(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		notify smtp.Notify
		answer func(mail.Delivery, mail.Recipient) mail.Outcome
		copies int
		state  mail.State
	}{
		"failed":    {0, refuse, 0, mail.StateDeferred},
		"delivered": {smtp.NotifySuccess, nil, 1, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				f := start(t, queue.Config{Retry: []time.Duration{10 * time.Minute}})
				defer f.stop()
				f.remote.answer = c.answer
				f.broken.Store(true)
				f.send("ann@here.example", c.notify, "u@far.example")
				time.Sleep(time.Second)
				if s := f.store.states(); c.state != "" && s[c.state] != 1 || c.state == "" && len(s) != 0 {
					t.Fatalf("states %v", s)
				}
				f.remote.mu.Lock()
				f.remote.answer = nil
				f.remote.mu.Unlock()
				f.send("x@far.example", 0, "v@far.example")
				time.Sleep(time.Second)
				if n := len(f.remote.copies()); n != c.copies+1 {
					t.Errorf("%d copies: the lane is not usable", n)
				}
				time.Sleep(30 * time.Second)
				f.quiet()
				f.broken.Store(false)
				time.Sleep(time.Hour)
				if n := len(f.remote.copies()); n != 2 {
					t.Errorf("%d of 2 delivered", n)
				}
				for what, n := range f.remote.copies() {
					if n != 1 {
						t.Errorf("%s: %d copies", what, n)
					}
				}
			})
		})
	}
}

func TestAPanicWhileSendersAreToldCostsNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := start(t, queue.Config{DelayNotice: time.Minute})
		defer f.stop()
		f.remote.down = &mail.LaneDown{Host: "h", Reply: smtp.Reply{Code: 450}}
		f.broken.Store(true)
		f.send("ann@here.example", 0, "u@far.example")
		time.Sleep(30 * time.Minute)
		f.broken.Store(false)
		time.Sleep(5 * time.Hour)
		if n := len(f.reports()); n != 1 {
			t.Errorf("%d notices", n)
		}
	})
}

// slow is an agent that takes its time for each batch.
type slow struct {
	*peer
	takes time.Duration
}

func (a *slow) Deliver(ctx context.Context, lane mail.Lane, batch []mail.Delivery, done func(int, []mail.Outcome)) error {
	<-time.After(a.takes)
	return a.peer.Deliver(ctx, lane, batch, done)
}

func TestWhatIsHeldOrDroppedIsNotAttemptedAnyMore(t *testing.T) {
	t.Parallel()
	for name, a := range map[string]mail.Action{"hold": mail.Hold, "drop": mail.Drop} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				f := newFixture(t)
				f.start(queue.Config{}, &slow{f.remote, 10 * time.Second})
				defer f.stop()
				f.remote.answer = func(d mail.Delivery, r mail.Recipient) mail.Outcome {
					if strings.HasPrefix(r.Destination, "bad") {
						return refuse(d, r)
					}
					return mail.Outcome{Result: mail.Delivered}
				}
				f.send("ann@here.example", 0, "bad@far.example")
				for range 300 {
					f.send("x@far.example", 0, "u@far.example")
				}
				synctest.Wait()
				if _, err := f.q.Change(t.Context(), account.System(), mail.Filter{}, a, "test"); err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Hour)
				gone := len(f.remote.copies())
				if gone > 4*32 {
					t.Errorf("%d were delivered although they were not under way", gone)
				}
				want := 301 - gone
				if a == mail.Drop {
					want = 0
				}
				if s := f.store.states(); s[mail.StateHeld] != want || len(s) > 1 {
					t.Errorf("%d delivered, states %v", gone, s)
				}
				if n := len(f.reports()); n != 0 {
					t.Errorf("%d reports", n)
				}
				f.quiet()
			})
		})
	}
}

func TestAHoldOfOneMessageLeavesTheOthersInMemory(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		f.start(queue.Config{}, &slow{f.remote, time.Second})
		defer f.stop()
		var last mail.ID
		for range 200 {
			last = f.send("x@far.example", 0, "u@far.example")
		}
		synctest.Wait()
		if n, err := f.q.Change(t.Context(), account.System(), mail.Filter{IDs: []mail.ID{last}}, mail.Hold, "test"); err != nil || n != 1 {
			t.Fatal(n, err)
		}
		time.Sleep(5 * time.Second)
		if n := len(f.remote.copies()); n != 199 {
			t.Errorf("%d of 199 delivered", n)
		}
		if s := f.store.states(); s[mail.StateHeld] != 1 || len(s) != 1 {
			t.Errorf("states %v", s)
		}
	})
}

func TestWhatIsHeldWhileTheStoreIsReadIsNotAttempted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := start(t, queue.Config{InMemory: 1})
		defer f.stop()
		f.store.slow = 5 * time.Second // from what Due has read to its answer
		f.send("x@far.example", 0, "u@far.example")
		time.Sleep(2 * time.Second)
		if n, err := f.q.Change(t.Context(), account.System(), mail.Filter{}, mail.Hold, "test"); err != nil || n != 1 {
			t.Fatal(n, err)
		}
		time.Sleep(time.Minute)
		if n := len(f.remote.copies()); n != 0 {
			t.Error("what was held has been delivered")
		}
		f.quiet()
	})
}

func TestAnActionThatWasHaltedHasItsEffectUpToThere(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := start(t, queue.Config{Retry: []time.Duration{5 * time.Hour}})
		defer f.stop()
		f.remote.down = &mail.LaneDown{Host: "h", Reply: smtp.Reply{Code: 450}}
		f.send("x@far.example", 0, "u@far.example")
		time.Sleep(15 * time.Second) // the lane is given back, the schedule is asleep
		f.remote.mu.Lock()
		f.remote.down = nil
		f.remote.mu.Unlock()
		f.store.halted = errors.New("disk")
		if n, err := f.q.Change(t.Context(), account.System(), mail.Filter{}, mail.Expedite, "test"); n != 1 || !errors.Is(err, f.store.halted) {
			t.Fatal(n, err)
		}
		time.Sleep(time.Second)
		if n := len(f.remote.copies()); n != 1 {
			t.Error("not tried at once")
		}
	})
}
