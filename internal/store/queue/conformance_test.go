package queue_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"postroad/internal/core/account"
	"postroad/internal/core/mail"
	"postroad/internal/service/queue"
	"postroad/internal/store/sqldb"
)

const lane mail.Lane = "remote/example.org"

// at is a moment as stores keep it.
func at(t time.Time) time.Time { return t.UTC().Truncate(time.Microsecond) }

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (w *world) accept(t *testing.T, messages ...mail.Stored) {
	t.Helper()
	must(t, w.Accept(t.Context(), account.System(), messages))
}

// due lists what is due in a lane, all pages.
func (w *world) due(t *testing.T, l mail.Lane, now time.Time) []mail.Delivery {
	t.Helper()
	var all []mail.Delivery
	var after queue.Cursor
	for {
		page, next, err := w.Due(t.Context(), account.System(), l, now, after, 3)
		must(t, err)
		if len(page) == 0 {
			return all
		}
		all = append(all, page...)
		after = next
	}
}

func ids(list []mail.Delivery) []mail.ID {
	var out []mail.ID
	for _, d := range list {
		out = append(out, d.Message.ID)
	}
	return out
}

func settlement(r mail.Row, state mail.State, next time.Time) queue.Settlement {
	return queue.Settlement{Rows: []queue.RowChange{{Row: r, State: state, Attempts: 1, Next: at(next), CheckAge: 99, LastReply: "451 later\xff\x00", LastHost: "mx"}}}
}

func TestAcceptedMailComesBackAsItWas(t *testing.T) {
	engines(t, func(w *world) {
		t := w.t
		now := at(time.Now())
		content := []byte("Subject: x\r\n\r\n\x00\xff\r\n.\r\n")
		m := message(content, mail.StateWaiting, now, lane, lane, "local/0")
		m.Rows[1].Original, m.Rows[1].Noticed, m.Rows[1].Mailbox, m.Rows[1].Notify = "bøb@example.org", true, "box", 5
		m.Rows[1].LastReply, m.Rows[1].LastHost, m.Rows[1].Attempts = "450 4.2.0 busy", "mx.example.org", 3
		m.Rows[0].Head, m.Rows[0].Sender, m.Rows[0].Rewritten = []byte("X-Own: \x00\xff\r\n"), "srs0=x@example.com", true
		m.Rows[1].Rewritten, m.Rows[1].Junk = true, true
		w.accept(t, m)
		got := w.due(t, lane, now)
		if len(got) != 1 {
			t.Fatalf("%d deliveries", len(got))
		}
		want := mail.Delivery{Message: m.Message, Recipients: m.Rows[:2], Content: mail.Content{Inline: content}}
		if diff := cmp.Diff(want, got[0], cmpopts.IgnoreFields(mail.Content{}, "Open"), cmpopts.EquateComparable(mail.Client{})); diff != "" {
			t.Error(diff)
		}
		if len(w.due(t, lane, now.Add(-time.Second))) != 0 {
			t.Error("rows are given before their time")
		}
	})
}

func TestAQueueIDIsTakenOnce(t *testing.T) {
	engines(t, func(w *world) {
		t := w.t
		m := message([]byte("a"), mail.StateWaiting, time.Now(), lane)
		w.accept(t, m)
		other := message([]byte("b"), mail.StateWaiting, time.Now(), lane)
		if err := w.Accept(t.Context(), account.System(), []mail.Stored{other, m}); !errors.Is(err, queue.ErrStorage) {
			t.Fatalf("the second time: %v", err)
		}
		if got := w.due(t, lane, time.Now()); len(got) != 1 || string(got[0].Content.Inline) != "a" {
			t.Errorf("queue holds %v", ids(got))
		}
	})
}

func TestOneBadJobFailsNobodyElse(t *testing.T) {
	engines(t, func(w *world) {
		t := w.t
		taken := message([]byte("a"), mail.StateWaiting, time.Now(), lane)
		w.accept(t, taken)
		var wg sync.WaitGroup
		errs := make([]error, 60)
		for i := range errs {
			wg.Go(func() {
				m := message([]byte("b"), mail.StateWaiting, time.Now(), lane)
				if i%3 == 0 {
					m = taken
				}
				errs[i] = w.Accept(t.Context(), account.System(), []mail.Stored{m})
			})
		}
		wg.Wait()
		for i, err := range errs {
			if (err != nil) != (i%3 == 0) {
				t.Errorf("job %d: %v", i, err)
			}
		}
		if n := len(w.due(t, lane, time.Now())); n != 41 {
			t.Errorf("%d messages in the queue", n)
		}
	})
}

func TestDueFollowsTheCursorAndEndsWithSettle(t *testing.T) {
	engines(t, func(w *world) {
		t := w.t
		now := at(time.Now())
		var want []mail.ID
		for i := range 8 {
			m := message(fmt.Appendf(nil, "%d", i), mail.StateWaiting, now.Add(time.Duration(i/2)*time.Millisecond), lane)
			w.accept(t, m)
			want = append(want, m.Message.ID)
		}
		for i := 0; i < len(want); i += 2 {
			slices.Sort(want[i : i+2])
		}
		later := now.Add(time.Minute)
		if diff := cmp.Diff(want, ids(w.due(t, lane, later))); diff != "" {
			t.Fatal(diff)
		}
		must(t, w.Settle(t.Context(), account.System(), queue.Token{}, []queue.Settlement{
			settlement(mail.Row{ID: want[0]}, mail.StateDone, now),
			settlement(mail.Row{ID: want[1]}, mail.StateDeferred, now.Add(time.Hour)),
			settlement(mail.Row{ID: want[2]}, mail.StateHeld, now),
			settlement(mail.Row{ID: want[3]}, mail.StateDead, now),
		}))
		if diff := cmp.Diff(want[4:], ids(w.due(t, lane, later))); diff != "" {
			t.Error(diff)
		}
		late := w.due(t, lane, now.Add(2*time.Hour))
		if len(late) != 5 {
			t.Fatalf("%d rows after two hours", len(late))
		}
		r := late[4].Recipients[0]
		if r.State != mail.StateDeferred || r.Attempts != 1 || r.CheckAge != 99 || r.LastHost != "mx" || !r.Next.Equal(now.Add(time.Hour)) {
			t.Errorf("deferred row: %+v", r)
		}
		if _, err := w.Body(t.Context(), account.System(), want[0]); !errors.Is(err, queue.ErrNoMessage) {
			t.Errorf("the body of a settled message: %v", err)
		}
		if _, err := w.Body(t.Context(), account.System(), want[3]); err != nil {
			t.Errorf("the body of a dead message: %v", err)
		}
		must(t, w.Settle(t.Context(), account.System(), queue.Token{}, []queue.Settlement{settlement(mail.Row{ID: want[0]}, mail.StateDone, now)}))
	})
}

func TestAMessageLivesAsLongAsItsLastRow(t *testing.T) {
	engines(t, func(w *world) {
		t := w.t
		m := message([]byte("x"), mail.StateWaiting, time.Now(), lane, "local/0")
		w.accept(t, m)
		must(t, w.Settle(t.Context(), account.System(), queue.Token{}, []queue.Settlement{settlement(m.Rows[0].Row, mail.StateDone, time.Now())}))
		if _, err := w.Body(t.Context(), account.System(), m.Message.ID); err != nil {
			t.Fatal(err)
		}
		must(t, w.Settle(t.Context(), account.System(), queue.Token{}, []queue.Settlement{settlement(m.Rows[1].Row, mail.StateFailed, time.Now())}))
		if _, err := w.Body(t.Context(), account.System(), m.Message.ID); !errors.Is(err, queue.ErrNoMessage) {
			t.Fatal(err)
		}
	})
}

func TestAReportTakesItsRowsPlaceInOneTransaction(t *testing.T) {
	engines(t, func(w *world) {
		t := w.t
		m := message([]byte("x"), mail.StateWaiting, time.Now(), lane)
		w.accept(t, m)
		report := message([]byte("report"), mail.StateWaiting, time.Now(), "remote/sender.example")
		twice := message([]byte("report"), mail.StateWaiting, time.Now(), lane, lane)
		twice.Rows[1].N = 0
		change := settlement(m.Rows[0].Row, mail.StateFailed, time.Now())
		change.Report = &twice
		if err := w.Settle(t.Context(), account.System(), queue.Token{}, []queue.Settlement{change}); !errors.Is(err, queue.ErrStorage) {
			t.Fatalf("a report that cannot be stored: %v", err)
		}
		if len(w.due(t, lane, time.Now())) != 1 {
			t.Fatal("the row is gone without its report")
		}
		change.Report = &report
		must(t, w.Settle(t.Context(), account.System(), queue.Token{}, []queue.Settlement{change}))
		if len(w.due(t, lane, time.Now())) != 0 || len(w.due(t, "remote/sender.example", time.Now())) != 1 {
			t.Error("the report did not take the row's place")
		}
	})
}

func TestBlobsBelongToTheirMessage(t *testing.T) {
	engines(t, func(w *world) {
		t := w.t
		content := bytes.Repeat([]byte("0123456789abcde\n"), 8192)
		blob, err := w.blobs.Create()
		must(t, err)
		_, err = blob.Write(content)
		must(t, err)
		must(t, blob.Commit())
		m := message(content, mail.StateWaiting, time.Now(), lane)
		m.Content = mail.Content{Blob: blob.Name()}
		w.accept(t, m)
		got := w.due(t, lane, time.Now())
		if len(got) != 1 || got[0].Content.Inline != nil || got[0].Content.Blob != blob.Name() {
			t.Fatalf("content %+v", got)
		}
		f, err := got[0].Content.Open()
		must(t, err)
		read, err := io.ReadAll(f)
		must(t, errors.Join(err, f.Close()))
		if !bytes.Equal(read, content) {
			t.Error("other bytes came back")
		}
		owned, err := w.Owns(t.Context(), []string{blob.Name(), "other"})
		must(t, err)
		if !owned[blob.Name()] || owned["other"] {
			t.Errorf("owned: %v", owned)
		}
		must(t, w.Settle(t.Context(), account.System(), queue.Token{}, []queue.Settlement{settlement(m.Rows[0].Row, mail.StateDone, time.Now())}))
		if _, err := os.Stat(filepath.Join(w.blobs.Dir(), blob.Name())); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("the content file stays: %v", err)
		}
	})
}

func TestABitFlipIsFoundAndConcernsNobodyElse(t *testing.T) {
	engines(t, func(w *world) {
		t := w.t
		bad, good := message([]byte("bad"), mail.StateWaiting, time.Now(), lane), message([]byte("good"), mail.StateWaiting, time.Now(), lane)
		bad.Message.Hash ^= 4
		w.accept(t, bad, good)
		for _, d := range w.due(t, lane, time.Now()) {
			f, err := d.Content.Open()
			switch d.Message.ID {
			case good.Message.ID:
				must(t, errors.Join(err, f.Close()))
			default:
				if !errors.Is(err, queue.ErrCorrupt) || d.Content.Inline != nil {
					t.Errorf("flipped content: %v, %q", err, d.Content.Inline)
				}
			}
		}
		if _, err := w.Body(t.Context(), account.System(), bad.Message.ID); !errors.Is(err, queue.ErrCorrupt) {
			t.Errorf("flipped content by Body: %v", err)
		}
	})
}

func TestAHeadThatIsDamagedIsNotDelivered(t *testing.T) {
	engines(t, func(w *world) {
		t := w.t
		bad, good := message([]byte("bad"), mail.StateWaiting, time.Now(), lane), message([]byte("good"), mail.StateWaiting, time.Now(), lane)
		bad.Rows[0].Head, good.Rows[0].Head = []byte("X-Own: 1\r\n"), []byte("X-Own: 2\r\n")
		w.accept(t, bad, good)
		must(t, w.db.Write(t.Context(), account.System(), func(tx *sqldb.Tx) error {
			return tx.Post("UPDATE recipient SET head = $2 WHERE message_id = $1", string(bad.Message.ID), []byte("12345678X-Own: 1\r\n"))
		}))
		due := w.due(t, lane, time.Now())
		if len(due) != 2 {
			t.Fatalf("%d deliveries", len(due))
		}
		for _, d := range due {
			f, err := d.Content.Open()
			if d.Message.ID == good.Message.ID {
				must(t, errors.Join(err, f.Close()))
			} else if !errors.Is(err, queue.ErrCorrupt) || d.Content.Inline != nil || d.Recipients[0].Head != nil {
				t.Errorf("damaged: %v, %q, %q", err, d.Content.Inline, d.Recipients[0].Head)
			}
		}
	})
}

func TestALaneHasOneHolder(t *testing.T) {
	engines(t, func(w *world) {
		t := w.t
		ctx, now := t.Context(), time.Now()
		w.accept(t, message([]byte("x"), mail.StateWaiting, now, lane))
		held, err := w.Lease(ctx, "n1", now, 10, time.Hour)
		must(t, err)
		if len(held) != 1 || held[0].Token.Lane != lane {
			t.Fatalf("leased %v", held)
		}
		if again, err := w.Lease(ctx, "n2", now, 10, time.Hour); err != nil || len(again) != 0 {
			t.Fatalf("leased twice: %v, %v", again, err)
		}
		if _, ok, err := w.Claim(ctx, "n2", lane, time.Hour); err != nil || ok {
			t.Fatalf("claimed a lane that is held: %v", err)
		}
		must(t, w.Renew(ctx, held[0].Token, time.Hour))
		must(t, w.Release(ctx, held[0].Token, queue.LaneState{Lane: lane, Next: now, Failures: 2, Reason: "refused", Host: "mx"}))
		second, ok, err := w.Claim(ctx, "n2", lane, time.Hour)
		if err != nil || !ok || second.Token.Value <= held[0].Token.Value || second.State.Failures != 2 || second.State.Reason != "refused" {
			t.Fatalf("claimed %+v, %v, %v", second, ok, err)
		}
		for name, err := range map[string]error{
			"Renew":   w.Renew(ctx, held[0].Token, time.Hour),
			"Release": w.Release(ctx, held[0].Token, queue.LaneState{Lane: lane}),
			"Settle":  w.Settle(ctx, account.System(), held[0].Token, []queue.Settlement{settlement(w.due(t, lane, now)[0].Recipients[0].Row, mail.StateDone, now)}),
		} {
			if !errors.Is(err, queue.ErrStaleLease) {
				t.Errorf("%s with a stale token: %v", name, err)
			}
		}
		if len(w.due(t, lane, now)) != 1 {
			t.Error("a stale token changed something")
		}
		must(t, w.Settle(ctx, account.System(), second.Token, []queue.Settlement{settlement(w.due(t, lane, now)[0].Recipients[0].Row, mail.StateDone, now)}))
		must(t, w.Release(ctx, second.Token, queue.LaneState{Lane: lane}))
		if next, err := w.NextDue(ctx); err != nil || !next.IsZero() {
			t.Errorf("an empty lane is due at %v, %v", next, err)
		}
	})
}

func TestALeaseEnds(t *testing.T) {
	engines(t, func(w *world) {
		t := w.t
		ctx, now := t.Context(), time.Now()
		w.accept(t, message([]byte("x"), mail.StateWaiting, now, lane))
		first, err := w.Lease(ctx, "n1", now, 1, -time.Second)
		must(t, err)
		second, err := w.Lease(ctx, "n2", now, 1, time.Hour)
		must(t, err)
		if len(first) != 1 || len(second) != 1 || second[0].Token.Value <= first[0].Token.Value {
			t.Fatalf("%v, then %v", first, second)
		}
		if err := w.Renew(ctx, first[0].Token, time.Hour); !errors.Is(err, queue.ErrStaleLease) {
			t.Errorf("renewed what another holds: %v", err)
		}
	})
}

func TestWhenALaneIsDue(t *testing.T) {
	engines(t, func(w *world) {
		t := w.t
		ctx, now := t.Context(), at(time.Now())
		nextDue := func() time.Time {
			t.Helper()
			next, err := w.NextDue(ctx)
			must(t, err)
			return next
		}
		m := message([]byte("x"), mail.StateWaiting, now.Add(time.Hour), lane)
		w.accept(t, m, message([]byte("y"), mail.StateWaiting, now.Add(2*time.Hour), lane))
		if got := nextDue(); !got.Equal(now.Add(time.Hour)) {
			t.Fatalf("due at %v", got)
		}
		held, ok, err := w.Claim(ctx, "n", lane, time.Hour)
		if err != nil || !ok || held.State.Next.After(time.Now()) {
			t.Fatalf("an open lane is claimed with %v, %v, %v", held, ok, err)
		}
		must(t, w.Settle(ctx, account.System(), held.Token, []queue.Settlement{settlement(m.Rows[0].Row, mail.StateDeferred, now.Add(30*time.Minute))}))
		must(t, w.Release(ctx, held.Token, queue.LaneState{Lane: lane}))
		if got := nextDue(); !got.Equal(now.Add(30 * time.Minute)) {
			t.Fatalf("after a deferral due at %v", got)
		}
		held, _, err = w.Claim(ctx, "n", lane, time.Hour)
		must(t, err)
		must(t, w.Release(ctx, held.Token, queue.LaneState{Lane: lane, Next: now.Add(5 * time.Hour), Failures: 1}))
		w.accept(t, message([]byte("z"), mail.StateWaiting, now, lane))
		if got := nextDue(); !got.Equal(now.Add(5 * time.Hour)) {
			t.Fatalf("new mail opens a lane that backs off: due at %v", got)
		}
		held, _, err = w.Claim(ctx, "n", lane, time.Hour)
		if err != nil || !held.State.Next.Equal(now.Add(5*time.Hour)) {
			t.Fatalf("a lane that backs off is claimed with %v, %v", held, err)
		}
		must(t, w.Release(ctx, held.Token, held.State))
		if n, lanes, err := w.Change(ctx, account.System(), mail.Filter{Host: "example.org"}, mail.Expedite, now, nil); err != nil || n != 3 || len(lanes) != 1 {
			t.Fatalf("expedited %d, %v, %v", n, lanes, err)
		}
		if got := nextDue(); !got.Equal(now) {
			t.Fatalf("an expedited lane is due at %v", got)
		}
		if got := w.due(t, lane, now); len(got) != 3 {
			t.Fatalf("%d rows are due", len(got))
		}
	})
}

func TestBornLeasedMailIsSeenAfterItsGrace(t *testing.T) {
	engines(t, func(w *world) {
		t := w.t
		ctx, now := t.Context(), at(time.Now())
		w.accept(t, message([]byte("x"), mail.StateLeased, now.Add(30*time.Second), lane))
		if held, err := w.Lease(ctx, "n", now, 10, time.Hour); err != nil || len(held) != 0 {
			t.Fatalf("leased within the grace: %v, %v", held, err)
		}
		if got := w.due(t, lane, now.Add(29*time.Second)); len(got) != 0 {
			t.Fatal("due within the grace")
		}
		if next, err := w.NextDue(ctx); err != nil || !next.Equal(now.Add(30*time.Second)) {
			t.Fatalf("due at %v, %v", next, err)
		}
		if held, err := w.Lease(ctx, "n", now.Add(30*time.Second), 10, time.Hour); err != nil || len(held) != 1 {
			t.Fatalf("leased after the grace: %v, %v", held, err)
		}
		if got := w.due(t, lane, now.Add(30*time.Second)); len(got) != 1 {
			t.Fatal("not due after the grace")
		}
	})
}

func TestARestartMakesBornLeasedMailDueAndEndsLeases(t *testing.T) {
	engines(t, func(w *world) {
		t := w.t
		ctx, now := t.Context(), at(time.Now())
		w.accept(t, message([]byte("x"), mail.StateLeased, now.Add(30*time.Second), lane), message([]byte("y"), mail.StateWaiting, now, "local/0"))
		if _, ok, err := w.Claim(ctx, "n", "local/0", time.Hour); err != nil || !ok {
			t.Fatal(ok, err)
		}
		w.restart(t)
		must(t, w.Open(ctx, "n", true))
		now = at(time.Now()) // the grace was the earlier run's
		held, err := w.Lease(ctx, "n", now, 10, time.Hour)
		if err != nil || len(held) != 2 {
			t.Fatalf("leased after a restart: %v, %v", held, err)
		}
		due := w.due(t, lane, now)
		if len(due) != 1 || due[0].Recipients[0].State != mail.StateWaiting {
			t.Fatalf("due after a restart: %v", due)
		}
	})
}

func TestAged(t *testing.T) {
	engines(t, func(w *world) {
		t := w.t
		ctx, now := t.Context(), time.Now()
		old, young, held := message(nil, mail.StateWaiting, now, lane), message(nil, mail.StateWaiting, now, lane), message(nil, mail.StateHeld, now, lane)
		old.Rows[0].CheckAge, young.Rows[0].CheckAge, held.Rows[0].CheckAge = 100, 101, 100
		w.accept(t, old, young, held)
		got, err := w.Aged(ctx, account.System(), lane, 100, 10)
		if err != nil || len(got) != 1 || got[0].Message.ID != old.Message.ID || got[0].Content.Open != nil {
			t.Fatalf("aged: %v, %v", got, err)
		}
	})
}

func TestQueueAgeSurvivesAndNeverJumps(t *testing.T) {
	engines(t, func(w *world) {
		t := w.t
		ctx := t.Context()
		first, err := w.Age(ctx, 10*time.Minute)
		must(t, err)
		if w.db.Engine() == sqldb.SQLite && first != 600 {
			t.Errorf("age %d", first)
		}
		second, err := w.Age(ctx, 5*365*24*time.Hour)
		must(t, err)
		if second < first || second > first+3600 {
			t.Errorf("a jump made the age %d", second)
		}
		w.restart(t)
		if third, err := w.Age(ctx, 0); err != nil || third != second {
			t.Errorf("after a restart %d, %v", third, err)
		}
		if back, err := w.Age(ctx, -time.Hour); err != nil || back != second {
			t.Errorf("backwards: %d, %v", back, err)
		}
	})
}

func TestWhatTheOperatorSeesAndDoes(t *testing.T) {
	engines(t, func(w *world) {
		t := w.t
		ctx, now, sys := t.Context(), at(time.Now()), account.System()
		waiting := message([]byte("a"), mail.StateWaiting, now, lane, "relay/192.0.2.1:25")
		held := message([]byte("b"), mail.StateHeld, now, "local/0")
		dead := message([]byte("c"), mail.StateDead, now, "relay/192.0.2.10:25")
		dead.Rows[0].Destination, dead.Rows[0].ExpireAge, dead.Message.Received = "x@Dead.example", 0, now.Add(-48*time.Hour)
		w.accept(t, waiting, held, dead)
		counts := func(f mail.Filter, want mail.Counts) {
			t.Helper()
			if got, err := w.Count(ctx, sys, f, now); err != nil || got != want {
				t.Errorf("count %+v: %+v, %v", f, got, err)
			}
		}
		counts(mail.Filter{}, mail.Counts{Messages: 3, Recipients: 4, Due: 2, Held: 2})
		counts(mail.Filter{Host: "192.0.2.1"}, mail.Counts{Messages: 1, Recipients: 1, Due: 1})
		counts(mail.Filter{Host: "192.0.2.1:25"}, mail.Counts{Messages: 1, Recipients: 1, Due: 1})
		w.accept(t, message([]byte("r"), mail.StateHeld, now, "remote/routed.example#o1"), message([]byte("o"), mail.StateHeld, now, "remote/routed.example.org"))
		counts(mail.Filter{Host: "routed.example"}, mail.Counts{Messages: 1, Recipients: 1, Held: 1})
		_, _, err := w.Change(ctx, sys, mail.Filter{Host: "routed.example"}, mail.Drop, now, nil)
		must(t, err)
		_, _, err = w.Change(ctx, sys, mail.Filter{Host: "routed.example.org"}, mail.Drop, now, nil)
		must(t, err)
		counts(mail.Filter{Domain: "dead.example"}, mail.Counts{Messages: 1, Recipients: 1, Held: 1})
		counts(mail.Filter{Domain: "ead.example"}, mail.Counts{})
		counts(mail.Filter{States: []mail.State{mail.StateHeld, mail.StateDead}}, mail.Counts{Messages: 2, Recipients: 2, Held: 2})
		counts(mail.Filter{OlderThan: now.Add(-24 * time.Hour)}, mail.Counts{Messages: 1, Recipients: 1, Held: 1})
		for _, nobodys := range []mail.Sent{{Login: "nobody@example.org"}, {Domain: "example.org"}, {Account: "nobody"}, {Halted: true}} {
			counts(mail.Filter{Sent: nobodys}, mail.Counts{})
		}
		counts(mail.Filter{IDs: []mail.ID{held.Message.ID}, Domain: "example.org"}, mail.Counts{Messages: 1, Recipients: 1, Held: 1})

		var all []mail.ID
		var after mail.ID
		for {
			page, err := w.List(ctx, sys, mail.Filter{}, after, 2)
			must(t, err)
			if len(page) == 0 {
				break
			}
			for _, l := range page {
				all = append(all, l.Message.ID)
				after = l.Message.ID
			}
		}
		want := []mail.ID{waiting.Message.ID, held.Message.ID, dead.Message.ID}
		slices.Sort(want)
		if diff := cmp.Diff(want, all); diff != "" {
			t.Error(diff)
		}
		if page, err := w.List(ctx, sys, mail.Filter{Host: "192.0.2.1"}, "", 10); err != nil || len(page) != 1 || len(page[0].Rows) != 1 {
			t.Errorf("listed %v, %v", page, err)
		}

		change := func(f mail.Filter, a mail.Action, rows int64) {
			t.Helper()
			if n, _, err := w.Change(ctx, sys, f, a, now, nil); err != nil || n != rows {
				t.Errorf("action %d changed %d rows, %v", a, n, err)
			}
		}
		change(mail.Filter{}, mail.Hold, 2)
		counts(mail.Filter{}, mail.Counts{Messages: 3, Recipients: 4, Held: 4})
		change(mail.Filter{IDs: []mail.ID{dead.Message.ID}}, mail.Release, 1)
		if got := w.due(t, "relay/192.0.2.10:25", now); len(got) != 1 || got[0].Recipients[0].ExpireAge < 86400 {
			t.Errorf("released: %+v", got)
		}
		change(mail.Filter{Host: "example.org"}, mail.Drop, 1)
		if _, err := w.Body(ctx, sys, waiting.Message.ID); err != nil {
			t.Errorf("a message with a row left: %v", err)
		}
		change(mail.Filter{}, mail.Drop, 3)
		counts(mail.Filter{}, mail.Counts{})
		if _, err := w.Body(ctx, sys, waiting.Message.ID); !errors.Is(err, queue.ErrNoMessage) {
			t.Errorf("a message without rows: %v", err)
		}
	})
}
