package queue_test

import (
	"errors"
	"testing"
	"time"

	"postroad/internal/core/account"
	"postroad/internal/core/mail"
	"postroad/internal/service/queue"
)

// settle settles one change and tells whether it was void.
func (w *world) settle(t *testing.T, c queue.Settlement) bool {
	t.Helper()
	changes := []queue.Settlement{c}
	must(t, w.Settle(t.Context(), account.System(), queue.Token{}, changes))
	return changes[0].Void
}

// row reads a row as it is; false when it is gone.
func (w *world) row(t *testing.T, r mail.Row) (mail.Recipient, bool) {
	t.Helper()
	list, err := w.List(t.Context(), account.System(), mail.Filter{IDs: []mail.ID{r.ID}}, "", 1)
	must(t, err)
	for _, l := range list {
		for _, found := range l.Rows {
			if found.Row == r {
				return found, true
			}
		}
	}
	return mail.Recipient{}, false
}

// withReport is a settlement of a row that a report follows.
func withReport(r mail.Row, state mail.State) (queue.Settlement, *mail.Stored) {
	c := settlement(r, state, time.Now().Add(time.Hour))
	report := message([]byte("report"), mail.StateWaiting, time.Now(), "remote/sender.example")
	c.Report = &report
	return c, &report
}

// A COMMIT that stood may have been answered with an error: the same is then asked for again.
func TestWhatWasSettledIsSettledOnce(t *testing.T) {
	engines(t, func(w *world) {
		t := w.t
		for _, state := range []mail.State{mail.StateFailed, mail.StateDone, mail.StateDeferred} {
			for _, reportGone := range []bool{false, true} {
				m := message([]byte("x"), mail.StateWaiting, time.Now(), lane)
				w.accept(t, m)
				c, report := withReport(m.Rows[0].Row, state)
				if w.settle(t, c) {
					t.Errorf("%s: void", state)
				}
				if _, there := w.row(t, report.Rows[0].Row); !there {
					t.Errorf("%s: no report", state)
				}
				if reportGone {
					w.settle(t, settlement(report.Rows[0].Row, mail.StateDone, time.Now()))
				}
				if !w.settle(t, c) {
					t.Errorf("%s: not void the second time", state)
				}
				if _, there := w.row(t, report.Rows[0].Row); there == reportGone {
					t.Errorf("%s: the report is there: %v, although it had gone: %v", state, there, reportGone)
				}
			}
		}
	})
}

func TestAReportThatIsThereAlreadyIsNoError(t *testing.T) {
	engines(t, func(w *world) {
		t := w.t
		m := message([]byte("x"), mail.StateWaiting, time.Now(), lane)
		c, report := withReport(m.Rows[0].Row, mail.StateFailed)
		w.accept(t, m, *report)
		if !w.settle(t, c) {
			t.Error("the report was stored a second time")
		}
		if _, there := w.row(t, m.Rows[0].Row); there {
			t.Error("the row stays")
		}
	})
}

// What an attempt brings for a row that a person has held meanwhile: delivered is delivered, else it stays held.
func TestAHoldDuringAnAttemptStands(t *testing.T) {
	engines(t, func(w *world) {
		t := w.t
		for _, first := range []mail.State{mail.StateWaiting, mail.StateLeased, mail.StateDeferred} {
			for state, stays := range map[mail.State]bool{
				mail.StateDone: false, mail.StateDeferred: true, mail.StateFailed: true, mail.StateDead: true, mail.StateHeld: true,
			} {
				m := message([]byte("x"), first, time.Now(), lane)
				w.accept(t, m)
				if n, _, err := w.Change(t.Context(), account.System(), mail.Filter{IDs: []mail.ID{m.Message.ID}}, mail.Hold, time.Now(), nil); err != nil || n != 1 {
					t.Fatal(n, err)
				}
				c, report := withReport(m.Rows[0].Row, state)
				if void := w.settle(t, c); void != stays {
					t.Errorf("%s after a hold: void is %v", state, void)
				}
				r, there := w.row(t, m.Rows[0].Row)
				if there != stays {
					t.Errorf("%s after a hold: the row is there: %v", state, there)
				}
				if stays && (r.State != mail.StateHeld || r.Attempts != 1 || r.LastHost != "mx" || r.Noticed || r.CheckAge != 14400 || !r.Next.Equal(m.Rows[0].Next)) {
					t.Errorf("%s after a hold: %+v", state, r)
				}
				if _, reported := w.row(t, report.Rows[0].Row); reported == stays {
					t.Errorf("%s after a hold: reported: %v", state, reported)
				}
			}
		}
		if due := w.due(t, lane, time.Now().Add(2*time.Hour)); len(due) != 0 {
			t.Errorf("an outcome made held rows due: %v", ids(due))
		}
	})
}

func TestADropDuringAnAttemptStands(t *testing.T) {
	engines(t, func(w *world) {
		t := w.t
		for _, state := range []mail.State{mail.StateDone, mail.StateDeferred, mail.StateFailed, mail.StateDead, mail.StateHeld} {
			m := message([]byte("x"), mail.StateWaiting, time.Now(), lane)
			w.accept(t, m)
			if n, _, err := w.Change(t.Context(), account.System(), mail.Filter{IDs: []mail.ID{m.Message.ID}}, mail.Drop, time.Now(), nil); err != nil || n != 1 {
				t.Fatal(n, err)
			}
			c, report := withReport(m.Rows[0].Row, state)
			if !w.settle(t, c) {
				t.Errorf("%s after a drop: not void", state)
			}
			if _, there := w.row(t, m.Rows[0].Row); there {
				t.Errorf("%s after a drop: the row is back", state)
			}
			if _, reported := w.row(t, report.Rows[0].Row); reported {
				t.Errorf("%s after a drop is reported", state)
			}
			if _, err := w.Body(t.Context(), account.System(), m.Message.ID); !errors.Is(err, queue.ErrNoMessage) {
				t.Errorf("%s after a drop: the body: %v", state, err)
			}
		}
	})
}

func TestAReleaseDuringAnAttemptLeavesTheRowToIt(t *testing.T) {
	engines(t, func(w *world) {
		t := w.t
		m := message([]byte("x"), mail.StateWaiting, time.Now(), lane)
		w.accept(t, m)
		f := mail.Filter{IDs: []mail.ID{m.Message.ID}}
		for _, a := range []mail.Action{mail.Hold, mail.Release} {
			if _, _, err := w.Change(t.Context(), account.System(), f, a, time.Now(), nil); err != nil {
				t.Fatal(err)
			}
		}
		if w.settle(t, settlement(m.Rows[0].Row, mail.StateDeferred, time.Now().Add(time.Hour))) {
			t.Error("void")
		}
		if r, _ := w.row(t, m.Rows[0].Row); r.State != mail.StateDeferred || r.Attempts != 1 {
			t.Errorf("%+v", r)
		}
	})
}
