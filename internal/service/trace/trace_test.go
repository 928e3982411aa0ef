package trace_test

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"postroad/internal/core/account"
	"postroad/internal/core/directory"
	"postroad/internal/core/mail"
	"postroad/internal/core/routing"
	core "postroad/internal/core/trace"
	"postroad/internal/obs"
	"postroad/internal/service/trace"
)

// memory is a store that can fail and that can be slow.
type memory struct {
	mu     sync.Mutex
	rows   []core.Row
	writes int
	err    error
	hold   chan struct{} // not nil: Add waits for it
	swept  []time.Time
	more   int // how often Sweep says that there is more
}

func (m *memory) Add(_ context.Context, _ account.Scope, rows []core.Row) error {
	if m.hold != nil {
		<-m.hold
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.err != nil {
		return m.err
	}
	m.writes++
	m.rows = append(m.rows, rows...)
	return nil
}

func (m *memory) Get(_ context.Context, scope account.Scope, id mail.ID) ([]core.Row, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []core.Row
	for _, r := range m.rows {
		if r.ID == id && scope.Has(r.Account) {
			out = append(out, r)
		}
	}
	return out, nil
}

func (m *memory) List(context.Context, account.Scope, core.Filter, int) ([]core.Row, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return append([]core.Row(nil), m.rows...), nil
}

func (m *memory) Sweep(_ context.Context, _ account.Scope, before time.Time, _ int) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.swept = append(m.swept, before)
	m.more--
	return m.more >= 0, nil
}

func (m *memory) count() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.rows)
}

type nothing struct{}

func (nothing) View() routing.View {
	return routing.View{Directory: directory.NewSnapshot(1, nil, nil, nil, nil)}
}

type disk uint64

func (d disk) Free() (uint64, error) { return uint64(d), nil }

func event(kind core.Kind, id mail.ID) core.Event {
	e := core.Event{ID: id, Owner: "red"}
	e.At, e.Kind, e.Recipient = time.Now(), kind, "bob@red.example"
	return e
}

// start gives a service on a store, and how many steps it has dropped. It is for a synctest bubble.
func start(t *testing.T, cfg trace.Config, store *memory) (s *trace.Service, dropped func() int) {
	t.Helper()
	metrics := obs.NewMetrics()
	s = trace.New(cfg, store, nothing{}, metrics, slog.New(slog.DiscardHandler))
	s.Start()
	t.Cleanup(s.Stop)
	return s, func() int {
		all, err := metrics.Gather()
		if err != nil {
			t.Error(err)
		}
		return int(all["postroad_trace_dropped_total"])
	}
}

func TestStepsAreWrittenWithinASecond(t *testing.T) {
	t.Parallel()
	store := &memory{}
	synctest.Test(t, func(t *testing.T) {
		s, _ := start(t, trace.Config{}, store)
		for range 10 {
			s.Record(event(core.Delivered, "one"))
			time.Sleep(20 * time.Millisecond)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if store.count() != 1 || store.writes != 1 || len(store.rows[0].Steps) != 10 {
			t.Errorf("%d rows in %d writes", store.count(), store.writes)
		}
		for range 2048 {
			s.Record(event(core.Delivered, "two"))
		}
		synctest.Wait()
		if store.writes != 2 {
			t.Error("a full batch waits")
		}
	})
}

func TestWhatIsShownHoldsWhatWasJustRecorded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, _ := start(t, trace.Config{}, &memory{})
		s.Record(event(core.Delivered, "one"))
		if got, found, err := s.Show(t.Context(), account.Of("red"), "one"); err != nil || !found || len(got.Steps) != 1 {
			t.Errorf("%+v %v %v", got, found, err)
		}
		if _, found, err := s.Show(t.Context(), account.Of("blue"), "one"); err != nil || found {
			t.Errorf("another account: %v %v", found, err)
		}
		s.Record(event(core.Delivered, "two"))
		if list, err := s.List(t.Context(), account.System(), core.Filter{}, 10); err != nil || len(list) != 2 {
			t.Errorf("%v, %v", list, err)
		}
	})
}

func TestTracesGiveWayToMail(t *testing.T) {
	t.Parallel()
	store := &memory{}
	synctest.Test(t, func(t *testing.T) {
		store.hold = make(chan struct{})
		s, dropped := start(t, trace.Config{}, store)
		s.Record(event(core.Delivered, "one"))
		time.Sleep(time.Second) // its write hangs
		const n = 20_000
		for range n {
			s.Record(event(core.Delivered, "many"))
		}
		if got := dropped(); got != n-16384 {
			t.Errorf("%d dropped", got)
		}
		close(store.hold)
	})
	if store.count() != 2 {
		t.Errorf("%d rows at the end", store.count())
	}
}

func TestStrangersCannotFillTheDiskWithRefusals(t *testing.T) {
	t.Parallel()
	store := &memory{}
	synctest.Test(t, func(t *testing.T) {
		s, dropped := start(t, trace.Config{}, store)
		for range 60 * 100 {
			s.Record(event(core.Refused, ""))
			time.Sleep(10 * time.Millisecond)
		}
		s.Record(event(core.Delivered, "mail"))
		time.Sleep(time.Second)
		synctest.Wait()
		if got := store.count() - 1; got < 3900 || got > 4100 || dropped() != 6000-got { // 1000, and 50 a second
			t.Errorf("%d refusals recorded, %d dropped", got, dropped())
		}
		own := event(core.Refused, "")
		own.From = "red"
		before := store.count()
		s.Record(own)
		time.Sleep(time.Second)
		synctest.Wait()
		if store.count() != before+1 {
			t.Error("a user's own refusal is dropped")
		}
		ids := map[mail.ID]bool{}
		for _, r := range store.rows {
			if _, err := mail.ParseID(string(r.ID)); err != nil && r.ID != "mail" {
				t.Fatal(err)
			}
			ids[r.ID] = true
		}
		if len(ids) != len(store.rows) {
			t.Error("an id is given twice")
		}
	})
}

func TestAStoreThatFailsCostsTracesOnly(t *testing.T) {
	t.Parallel()
	store := &memory{err: errors.New("away")}
	synctest.Test(t, func(t *testing.T) {
		s, dropped := start(t, trace.Config{}, store)
		s.Record(event(core.Delivered, "one"))
		time.Sleep(time.Second)
		synctest.Wait()
		store.mu.Lock()
		store.err = nil
		store.mu.Unlock()
		s.Record(event(core.Delivered, "two"))
		time.Sleep(time.Second)
		synctest.Wait()
		if store.count() != 1 || dropped() != 1 {
			t.Errorf("%d rows, %d dropped", store.count(), dropped())
		}
	})
}

func TestNothingIsRecordedOnAFullDisk(t *testing.T) {
	t.Parallel()
	store := &memory{}
	synctest.Test(t, func(t *testing.T) {
		s, dropped := start(t, trace.Config{Disk: disk(99), Reserve: 100}, store)
		s.Record(event(core.Delivered, "one"))
		time.Sleep(time.Second)
		synctest.Wait()
		if store.count() != 0 || dropped() != 1 {
			t.Errorf("%d rows, %d dropped", store.count(), dropped())
		}
	})
}

func TestTheEndWritesWhatThereIs(t *testing.T) {
	t.Parallel()
	store := &memory{}
	synctest.Test(t, func(t *testing.T) {
		s, dropped := start(t, trace.Config{}, store)
		s.Record(event(core.Delivered, "one"))
		s.Stop()
		s.Record(event(core.Delivered, "late"))
		if store.count() != 1 || dropped() != 1 {
			t.Errorf("%d rows, %d dropped", store.count(), dropped())
		}
	})
}

func TestOldTracesAreSweptEveryHour(t *testing.T) {
	t.Parallel()
	store := &memory{more: 2}
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		start(t, trace.Config{Keep: 48 * time.Hour}, store)
		time.Sleep(time.Hour + time.Minute)
		synctest.Wait()
		if len(store.swept) != 4 || !store.swept[0].Equal(begin.Add(-48*time.Hour)) || !store.swept[3].Equal(begin.Add(-47*time.Hour)) {
			t.Errorf("swept %v", store.swept)
		}
	})
}
