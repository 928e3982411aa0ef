package queue_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"postroad/internal/core/account"
	"postroad/internal/core/mail"
	"postroad/internal/proto/smtp"
	"postroad/internal/service/queue"
)

// whenReleased calls do once, when a lane is being given back.
func (f *fixture) whenReleased(do func()) {
	f.store.mu.Lock()
	defer f.store.mu.Unlock()
	f.store.parting = sync.OnceFunc(do)
}

func TestMailThatComesWhileItsLaneIsGivenBackGoesAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := start(t, queue.Config{})
		defer f.stop()
		var given time.Time
		f.whenReleased(func() {
			f.send("x@far.example", 0, "v@far.example")
			time.Sleep(time.Second) // that long the store takes
			given = time.Now()
		})
		f.send("x@far.example", 0, "u@far.example")
		time.Sleep(time.Minute)
		calls := f.remote.attempts()
		if given.IsZero() || len(calls) != 2 || !calls[1].Equal(given) {
			t.Errorf("given back at %v, attempts at %v", given, calls)
		}
		f.quiet()
	})
}

func TestRetryNowWhileALaneIsGivenBackIsNotLost(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := start(t, queue.Config{Retry: []time.Duration{5 * time.Hour}})
		defer f.stop()
		f.remote.down = &mail.LaneDown{Host: "h", Reply: smtp.Reply{Code: 450}}
		f.whenReleased(func() {
			f.remote.mu.Lock()
			f.remote.down = nil
			f.remote.mu.Unlock()
			if n, err := f.q.Change(t.Context(), account.System(), mail.Filter{}, mail.Expedite, "test"); err != nil || n != 1 {
				t.Error(n, err)
			}
		})
		f.send("x@far.example", 0, "u@far.example")
		time.Sleep(time.Minute)
		if n := len(f.remote.copies()); n != 1 {
			t.Errorf("not delivered, attempts at %v", f.remote.attempts())
		}
	})
}

func TestALaneThatCouldNotBeGivenBackIsOfUse(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := start(t, queue.Config{})
		defer f.stop()
		f.store.refuses = errors.New("disk")
		f.send("x@far.example", 0, "u@far.example")
		time.Sleep(20 * time.Second)
		f.send("x@far.example", 0, "v@far.example")
		synctest.Wait()
		if n := len(f.remote.copies()); n != 2 {
			t.Errorf("%d of 2 delivered", n)
		}
		f.store.mu.Lock()
		f.store.refuses = nil
		f.store.mu.Unlock()
		time.Sleep(time.Minute)
		f.quiet()
	})
}

func TestALaneThatPassedIntoOtherHandsIsLeftAlone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := start(t, queue.Config{})
		defer f.stop()
		f.send("x@far.example", 0, "u@far.example")
		time.Sleep(time.Second)
		f.store.mu.Lock()
		f.store.held["remote/far.example"] = 1 << 40
		f.store.mu.Unlock()
		f.send("x@far.example", 0, "v@far.example")
		time.Sleep(time.Second) // the outcome is refused
		f.send("x@far.example", 0, "w@far.example")
		time.Sleep(10 * time.Minute)
		if n := len(f.remote.attempts()); n != 2 {
			t.Errorf("%d attempts, the last one without a lease", n)
		}
	})
}

func TestALeaseThatIsLostDuringAnAttemptIsNotDeliveredUnder(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		f.start(queue.Config{}, &slow{f.remote, 2 * time.Minute})
		defer f.stop()
		f.send("x@far.example", 0, "u@far.example")
		time.Sleep(time.Second)
		f.store.mu.Lock()
		f.store.held["remote/far.example"] = 1 << 40
		f.store.mu.Unlock()
		time.Sleep(100 * time.Second) // the lease could not be renewed
		f.send("x@far.example", 0, "v@far.example")
		time.Sleep(10 * time.Minute)
		if n := len(f.remote.attempts()); n != 1 {
			t.Errorf("%d attempts, all but the first without a lease", n)
		}
	})
}

// mute is an agent without outcomes and without an error.
type mute struct{ calls atomic.Int32 }

func (a *mute) Deliver(context.Context, mail.Lane, []mail.Delivery, func(int, []mail.Outcome)) error {
	a.calls.Add(1)
	return nil
}

func TestAnAgentWithoutOutcomesIsNotAskedWithoutEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f, agent := newFixture(t), &mute{}
		f.start(queue.Config{InMemory: 1}, agent)
		defer f.stop()
		f.send("x@far.example", 0, "u@far.example")
		time.Sleep(time.Hour)
		if n := agent.calls.Load(); n == 0 || n > 1000 {
			t.Errorf("asked %d times in an hour", n)
		}
	})
}

// turns is an agent with a deed for each call; later calls are the last one's again.
type turns struct {
	mu    sync.Mutex
	deeds []func(batch []mail.Delivery, done func(int, []mail.Outcome)) error
}

func (a *turns) Deliver(_ context.Context, _ mail.Lane, batch []mail.Delivery, done func(int, []mail.Outcome)) error {
	a.mu.Lock()
	deed := a.deeds[0]
	if len(a.deeds) > 1 {
		a.deeds = a.deeds[1:]
	}
	a.mu.Unlock()
	return deed(batch, done)
}

func TestWhatWasReadWhileTheLaneWentDownIsNotKeptInMemory(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		down := &mail.LaneDown{Host: "h", Reply: smtp.Reply{Code: 450}}
		f.start(queue.Config{InMemory: 4096, Retry: []time.Duration{time.Hour}}, &turns{deeds: []func([]mail.Delivery, func(int, []mail.Outcome)) error{
			func([]mail.Delivery, func(int, []mail.Outcome)) error { <-time.After(10 * time.Second); return down },
			func(batch []mail.Delivery, done func(int, []mail.Outcome)) error {
				<-time.After(time.Second)
				for i, d := range batch {
					done(i, []mail.Outcome{{Row: d.Recipients[0].Row, Result: mail.Delivered}})
				}
				return nil
			},
		}})
		defer f.stop()
		f.store.slow = 20 * time.Second // from what Due has read to its answer
		f.send("x@far.example", 0, "u@far.example")
		synctest.Wait() // one worker is busy
		for range 100 { // most find no room in memory
			f.send("x@far.example", 0, "u@far.example")
		}
		time.Sleep(40 * time.Second)
		f.quiet()
	})
}

func TestMailWithoutRoomInMemoryIsDeliveredSoon(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := start(t, queue.Config{InMemory: 1})
		defer f.stop()
		time.Sleep(15 * time.Second) // the schedule is asleep
		f.send("x@far.example", 0, "u@far.example")
		time.Sleep(time.Second)
		if n := len(f.remote.copies()); n != 1 {
			t.Error("not delivered within a second")
		}
	})
}

func TestMailThatComesWhileTheStoreIsReadIsReadNext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := start(t, queue.Config{InMemory: 1})
		defer f.stop()
		f.store.slow = 5 * time.Second // from what Due has read to its answer
		f.send("x@far.example", 0, "u@far.example")
		time.Sleep(2 * time.Second)
		f.send("x@far.example", 0, "v@far.example")
		time.Sleep(9 * time.Second)
		if n := len(f.remote.copies()); n != 2 {
			t.Errorf("%d of 2 delivered", n)
		}
	})
}

func TestRetryNowBeginsAtTheFirstRow(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := start(t, queue.Config{InMemory: 1, Retry: []time.Duration{5 * time.Hour}})
		defer f.stop()
		f.remote.down = &mail.LaneDown{Host: "h", Reply: smtp.Reply{Code: 450}}
		for range 500 { // some pages
			f.send("x@far.example", 0, "u@far.example")
		}
		synctest.Wait()
		f.remote.mu.Lock()
		f.remote.down = nil
		f.remote.mu.Unlock()
		if _, err := f.q.Change(t.Context(), account.System(), mail.Filter{}, mail.Expedite, "test"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Second)
		if n := len(f.remote.copies()); n != 500 {
			t.Errorf("%d of 500 delivered", n)
		}
	})
}

// lockSmith is a log that looks whether the queue's lock is held when it is written to.
type lockSmith struct {
	slog.Handler
	q      func() *queue.Service
	mu     sync.Mutex
	held   []string
	logged map[string]bool
}

func (l *lockSmith) Enabled(context.Context, slog.Level) bool { return true }

func (l *lockSmith) Handle(_ context.Context, r slog.Record) error {
	locked := queue.Locked(l.q())
	l.mu.Lock()
	defer l.mu.Unlock()
	l.logged[r.Message] = true
	if locked {
		l.held = append(l.held, r.Message)
	}
	return nil
}

func TestNothingIsLoggedUnderTheLock(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		log := &lockSmith{Handler: slog.DiscardHandler, q: func() *queue.Service { return f.q }, logged: map[string]bool{}}
		f.log = log
		f.start(queue.Config{}, f.remote)
		defer f.stop()
		f.remote.down = &mail.LaneDown{Host: "h", Reply: smtp.Reply{Code: 450}}
		f.send("x@far.example", 0, "u@far.example")
		time.Sleep(20 * time.Second)
		f.store.mu.Lock()
		f.store.unread = errors.New("disk")
		f.store.mu.Unlock()
		f.send("x@far.example", 0, "u@other.example")
		time.Sleep(time.Hour)
		log.mu.Lock()
		defer log.mu.Unlock()
		for _, message := range []string{"destination is down", "due mail not read", "lane not claimed"} {
			if !log.logged[message] {
				t.Errorf("%q was not logged", message)
			}
		}
		if len(log.held) > 0 {
			t.Errorf("logged under the lock: %s", strings.Join(log.held, ", "))
		}
	})
}

// apart is an agent whose batches all find the destination down, the first one a little sooner than the others.
type apart struct{ called atomic.Bool }

func (a *apart) Deliver(context.Context, mail.Lane, []mail.Delivery, func(int, []mail.Outcome)) error {
	wait := 2 * time.Minute
	if a.called.Swap(true) {
		wait += time.Second
	}
	<-time.After(wait)
	return &mail.LaneDown{Host: "h", Reply: smtp.Reply{Code: 450}}
}

// What leaves memory while senders are being told is told of in the same go.
func TestASenderWhoseMessageLeavesMemoryIsToldWithTheOthers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		f.start(queue.Config{DelayNotice: time.Minute, Retry: []time.Duration{10 * time.Hour}}, &apart{})
		defer f.stop()
		f.store.slowAged = 10 * time.Second
		for range 40 { // two batches at least
			f.send("ann@here.example", 0, "u@far.example")
		}
		time.Sleep(10 * time.Minute)
		if n := len(f.reports()); n != 40 {
			t.Errorf("%d of 40 senders were told", n)
		}
	})
}

// talkative is an agent that has an outcome some time after its context has ended.
type talkative struct {
	cause error
	after time.Duration
}

func (a *talkative) Deliver(ctx context.Context, _ mail.Lane, batch []mail.Delivery, done func(int, []mail.Outcome)) error {
	<-ctx.Done()
	a.cause = context.Cause(ctx)
	<-time.After(a.after)
	done(0, []mail.Outcome{{Row: batch[0].Recipients[0].Row, Result: mail.Delivered}})
	return nil
}

func TestTheEndLeavesTimeForALastWord(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ drain, word time.Duration }{
		"all of the drain": {30 * time.Second, 23 * time.Second},
		"little is left":   {10 * time.Second, 5 * time.Second},
		"no end":           {0, 20 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				f := newFixture(t)
				agent := &talkative{after: c.word}
				f.start(queue.Config{}, agent)
				f.send("x@far.example", 0, "u@far.example")
				synctest.Wait()
				begun, ctx := time.Now(), context.Background()
				if c.drain > 0 {
					var cancel context.CancelFunc
					ctx, cancel = context.WithTimeout(ctx, c.drain)
					defer cancel()
				}
				f.q.Stop(ctx)
				var ending *mail.Ending
				if !errors.As(agent.cause, &ending) || !ending.By.Equal(begun.Add(c.word)) {
					t.Errorf("the attempt ends because of %v: %+v", agent.cause, ending)
				}
				if s := f.store.states(); len(s) != 0 {
					t.Errorf("the last word was not recorded: %v", s)
				}
			})
		})
	}
}

// TestASlowLaneDoesNotTakeAllOfTheMemory: what comes for it beyond its share is stored for later, and other lanes
// still deliver at once.
func TestASlowLaneDoesNotTakeAllOfTheMemory(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		f.start(queue.Config{InMemory: 256 << 10}, &slow{f.remote, time.Minute})
		defer f.stop()
		for range 300 {
			f.send("x@far.example", 0, "u@far.example")
		}
		f.send("x@far.example", 0, "u@other.example")
		leased := map[mail.Lane]int{}
		f.store.mu.Lock()
		for _, e := range f.store.messages {
			for _, r := range e.rows {
				if r.State == mail.StateLeased {
					leased[r.Lane]++
				}
			}
		}
		f.store.mu.Unlock()
		if n := leased["remote/far.example"]; n < 50 || n > 250 || leased["remote/other.example"] != 1 {
			t.Errorf("delivered from memory: %v", leased)
		}
		time.Sleep(10 * time.Hour)
		if n := len(f.remote.copies()); n != 301 {
			t.Errorf("%d of 301 delivered", n)
		}
	})
}
