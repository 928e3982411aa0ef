package queue_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"postroad/internal/core/account"
	"postroad/internal/core/mail"
	"postroad/internal/service/queue"
	"postroad/internal/store/sqldb/sqltest"
)

const elsewhere mail.Lane = "relay/other.example:25"

// redirect moves a row into lanes, or holds it without any.
func (w *world) redirect(t *testing.T, r mail.Recipient, lanes ...mail.Lane) {
	t.Helper()
	must(t, w.Redirect(t.Context(), account.System(), queue.Token{}, []queue.Redirection{redirection(r, lanes...)}))
}

func redirection(r mail.Recipient, lanes ...mail.Lane) queue.Redirection {
	out := queue.Redirection{Row: r.Row, From: r.Lane, Reply: "no way"}
	for _, l := range lanes {
		to := r
		to.Lane, to.Destination, to.Mailbox, to.Account = l, "new@example.org", "box", "acc-b"
		to.Next = at(time.Now())
		out.To = append(out.To, to)
	}
	return out
}

func TestARedirectedRowKeepsItsAttemptsAndAges(t *testing.T) {
	engines(t, func(w *world) {
		t := w.t
		for _, state := range []mail.State{mail.StateWaiting, mail.StateLeased, mail.StateDeferred} {
			m := message([]byte("x"), state, time.Now().Add(time.Hour), lane, lane)
			m.Rows[0].Attempts, m.Rows[0].Notify, m.Rows[0].BornAge, m.Rows[0].LastReply = 3, 5, 77, "450 busy"
			m.Rows[0].Head, m.Rows[0].Sender, m.Rows[0].Rewritten = []byte("X-Own: 1\r\n"), "srs0=x@example.com", true
			w.accept(t, m)
			w.redirect(t, m.Rows[0], elsewhere)
			got, there := w.row(t, m.Rows[0].Row)
			want := redirection(m.Rows[0], elsewhere).To[0]
			want.Next = got.Next
			if want.State == mail.StateLeased {
				want.State = mail.StateWaiting
			}
			if diff := cmp.Diff(want, got); diff != "" || !there {
				t.Errorf("%s: %s", state, diff)
			}
			if time.Until(got.Next) > 0 {
				t.Errorf("%s: due %v", state, got.Next)
			}
			if other, _ := w.row(t, m.Rows[1].Row); !cmp.Equal(other, m.Rows[1]) {
				t.Errorf("%s: the other row is %+v", state, other)
			}
		}
		if due := w.due(t, elsewhere, time.Now()); len(due) != 3 {
			t.Errorf("%d messages are due in the new lane", len(due))
		}
		held, err := w.Lease(t.Context(), "node", time.Now(), 10, time.Minute)
		must(t, err)
		found := false
		for _, h := range held {
			found = found || h.Token.Lane == elsewhere
		}
		if !found {
			t.Errorf("the new lane is not scheduled: %v", held)
		}
	})
}

// TestARowIsPutAsideOnItsNewWay: it lies in its new lane, and is not due there.
func TestARowIsPutAsideOnItsNewWay(t *testing.T) {
	engines(t, func(w *world) {
		t := w.t
		m := message([]byte("x"), mail.StateLeased, time.Now(), lane)
		m.Rows[0].Junk, m.Rows[0].LastReply, m.Rows[0].LastHost = true, "452 full", "x"
		w.accept(t, m)
		moved := redirection(m.Rows[0], elsewhere, elsewhere)
		for i := range moved.To {
			moved.To[i].State, moved.To[i].LastReply, moved.To[i].LastHost = mail.StateQuarantined, "put aside", ""
		}
		must(t, w.Redirect(t.Context(), account.System(), queue.Token{}, []queue.Redirection{moved}))
		list, err := w.List(t.Context(), account.System(), mail.Filter{IDs: []mail.ID{m.Message.ID}}, "", 1)
		must(t, err)
		if rows := list[0].Rows; len(rows) != 2 {
			t.Errorf("%+v", rows)
		}
		for i, r := range list[0].Rows {
			want := moved.To[i]
			want.N = i
			if diff := cmp.Diff(want, r); diff != "" {
				t.Error(diff)
			}
		}
		if due := w.due(t, elsewhere, time.Now().Add(time.Hour)); len(due) != 0 {
			t.Errorf("%d messages are due", len(due))
		}
		held, err := w.Lease(t.Context(), "node", time.Now(), 10, time.Minute)
		must(t, err)
		for _, h := range held {
			if h.Token.Lane == elsewhere {
				t.Error("its lane is scheduled")
			}
		}
	})
}

func TestOnlyARowThatLiesWhereItIsSaidIsRedirected(t *testing.T) {
	engines(t, func(w *world) {
		t := w.t
		for _, state := range []mail.State{mail.StateHeld, mail.StateQuarantined, mail.StateDead} {
			m := message([]byte("x"), state, time.Now(), lane)
			w.accept(t, m)
			before := sqltest.Dump(t, w.db)
			w.redirect(t, m.Rows[0], elsewhere, elsewhere)
			w.redirect(t, m.Rows[0])
			if after := sqltest.Dump(t, w.db); after != before {
				t.Errorf("%s: changed\n%s\ninto\n%s", state, before, after)
			}
		}
		m := message([]byte("x"), mail.StateWaiting, time.Now(), lane)
		w.accept(t, m)
		before := sqltest.Dump(t, w.db)
		moved := m.Rows[0]
		moved.Lane = "remote/third.example"
		w.redirect(t, moved, elsewhere, elsewhere)
		w.redirect(t, moved)
		gone := m.Rows[0]
		gone.N = 7
		w.redirect(t, gone, elsewhere, elsewhere)
		if after := sqltest.Dump(t, w.db); after != before {
			t.Errorf("changed\n%s\ninto\n%s", before, after)
		}
	})
}

// An outcome of the row that had a number may still be on its way.
func TestFurtherDestinationsGetNumbersThatNobodyHad(t *testing.T) {
	engines(t, func(w *world) {
		t := w.t
		m := message([]byte("x"), mail.StateWaiting, time.Now(), lane, lane)
		w.accept(t, m)
		w.settle(t, settlement(m.Rows[1].Row, mail.StateDone, time.Now()))
		for range 2 { // asking again changes nothing
			w.redirect(t, m.Rows[0], elsewhere, "local/mailboxes", "remote/third.example")
		}
		list, err := w.List(t.Context(), account.System(), mail.Filter{IDs: []mail.ID{m.Message.ID}}, "", 1)
		must(t, err)
		got := map[int]mail.Lane{}
		for _, r := range list[0].Rows {
			got[r.N] = r.Lane
		}
		if diff := cmp.Diff(map[int]mail.Lane{0: elsewhere, 2: "local/mailboxes", 3: "remote/third.example"}, got); diff != "" {
			t.Error(diff)
		}
	})
}

func TestARowWithoutAWayIsHeldWithItsReason(t *testing.T) {
	engines(t, func(w *world) {
		t := w.t
		m := message([]byte("x"), mail.StateDeferred, time.Now(), lane)
		w.accept(t, m)
		w.redirect(t, m.Rows[0])
		if r, _ := w.row(t, m.Rows[0].Row); r.State != mail.StateHeld || r.LastReply != "no way" || r.Lane != lane {
			t.Errorf("%+v", r)
		}
	})
}

func TestWhoHasLostTheLaneRedirectsNothing(t *testing.T) {
	engines(t, func(w *world) {
		t := w.t
		m := message([]byte("x"), mail.StateWaiting, time.Now(), lane)
		w.accept(t, m)
		err := w.Redirect(t.Context(), account.System(), queue.Token{Lane: lane, Value: 1}, []queue.Redirection{redirection(m.Rows[0], elsewhere)})
		if !errors.Is(err, queue.ErrStaleLease) {
			t.Error(err)
		}
		if r, _ := w.row(t, m.Rows[0].Row); r.Lane != lane {
			t.Errorf("moved to %s", r.Lane)
		}
	})
}

func TestMailIsKeptForAnotherTimeFromWhenItCame(t *testing.T) {
	engines(t, func(w *world) {
		t := w.t
		const day = 24 * 60 * 60
		m := message([]byte("x"), mail.StateDeferred, time.Now(), lane, lane, lane, lane, lane)
		for i, set := range []struct {
			born, check, expire int64
			noticed             bool
		}{{100, 14500, 100 + 5*day, false}, {100, 100 + 5*day, 100 + 5*day, true}, {-1, 14500, 100 + 5*day, false}, {100, 14500, 100 + 5*day, false}, {100, 14500, 100 + 5*day, false}} {
			r := &m.Rows[i]
			r.BornAge, r.CheckAge, r.ExpireAge, r.Noticed = set.born, set.check, set.expire, set.noticed
		}
		m.Rows[3].Destination = "bob@sub.example.org"
		m.Rows[4].State = mail.StateHeld
		w.accept(t, m)
		for _, c := range []struct {
			hold time.Duration
			want [5][2]int64 // check and expiry
		}{
			{30 * 24 * time.Hour, [5][2]int64{{14500, 100 + 30*day}, {100 + 30*day, 100 + 30*day}, {14500, 100 + 5*day}, {14500, 100 + 5*day}, {14500, 100 + 5*day}}},
			{time.Hour, [5][2]int64{{3700, 3700}, {3700, 3700}, {14500, 100 + 5*day}, {14500, 100 + 5*day}, {14500, 100 + 5*day}}},
		} {
			must(t, w.Keep(t.Context(), account.System(), "example.org", c.hold))
			for i, want := range c.want {
				if r, _ := w.row(t, m.Rows[i].Row); r.CheckAge != want[0] || r.ExpireAge != want[1] {
					t.Errorf("%s, row %d: check %d, expiry %d, want %v", c.hold, i, r.CheckAge, r.ExpireAge, want)
				}
			}
		}
	})
}

// What a person released after its time was over got more time, which no setting takes away.
func TestReleasedMailKeepsItsTime(t *testing.T) {
	engines(t, func(w *world) {
		t := w.t
		m := message([]byte("x"), mail.StateDead, time.Now(), lane)
		m.Rows[0].ExpireAge, m.Rows[0].BornAge = 0, 0
		w.accept(t, m)
		_, _, err := w.Change(t.Context(), account.System(), mail.Filter{}, mail.Release, time.Now(), nil)
		must(t, err)
		released, _ := w.row(t, m.Rows[0].Row)
		must(t, w.Keep(t.Context(), account.System(), "example.org", time.Second))
		if r, _ := w.row(t, m.Rows[0].Row); r.ExpireAge != released.ExpireAge || r.ExpireAge == 0 {
			t.Errorf("expiry %d, was %d", r.ExpireAge, released.ExpireAge)
		}
	})
}

func TestALaneThatIsHastenedIsDueInTheOrderOfItsMessages(t *testing.T) {
	engines(t, func(w *world) {
		t := w.t
		var want []mail.ID
		for i := range 3 {
			m := message([]byte("x"), mail.StateDeferred, time.Now().Add(time.Hour), lane, elsewhere)
			m.Message.Received = at(time.Now().Add(time.Duration(i-10) * time.Minute))
			if i == 1 {
				m.Rows[0].State, m.Rows[0].Next = mail.StateWaiting, m.Message.Received
			}
			if i == 2 {
				m.Rows[0].State = mail.StateLeased
			}
			if i == 0 {
				m.Rows[0].Next = at(time.Now().Add(-time.Minute)) // it is due already, behind what came later
			}
			m.Rows[0].Attempts = 2
			w.accept(t, m)
			want = append(want, m.Message.ID)
		}
		held, ok, err := w.Claim(t.Context(), "node", lane, time.Minute)
		if err != nil || !ok {
			t.Fatal(err)
		}
		must(t, w.Release(t.Context(), held.Token, queue.LaneState{Lane: lane, Next: time.Now().Add(time.Hour), Failures: 4, Reason: "450 refused", Host: "mx"}))
		down, err := w.Down(t.Context(), time.Now(), 10)
		if err != nil || len(down) != 1 || down[0].Lane != lane || down[0].Failures != 4 {
			t.Errorf("down: %v, %v", down, err)
		}
		must(t, w.Hasten(t.Context(), lane, time.Now()))
		due := w.due(t, lane, time.Now())
		if diff := cmp.Diff(want, ids(due)); diff != "" {
			t.Error(diff)
		}
		if due[0].Recipients[0].Attempts != 2 || len(w.due(t, elsewhere, time.Now())) != 0 {
			t.Errorf("due: %+v; and in another lane %v", due[0].Recipients[0], w.due(t, elsewhere, time.Now()))
		}
		leased, err := w.Lease(t.Context(), "node", time.Now(), 10, time.Minute)
		if err != nil || len(leased) != 1 || leased[0].State.Failures != 4 {
			t.Errorf("leased: %v, %v", leased, err)
		}
	})
}

func TestWhatWaitsForADomain(t *testing.T) {
	engines(t, func(w *world) {
		t := w.t
		none, err := w.Waiting(t.Context(), account.System(), lane, "example.org")
		if err != nil || none != (mail.Waiting{}) {
			t.Errorf("in an empty queue: %+v, %v", none, err)
		}
		first := message([]byte("x"), mail.StateDeferred, time.Now().Add(time.Hour), lane, lane, elsewhere)
		first.Message.Received = at(time.Now().Add(-time.Hour))
		first.Rows[1].Destination = "bob@else.example"
		second := message([]byte("x"), mail.StateLeased, time.Now(), lane)
		second.Rows[0].Account = "acc-b"
		w.accept(t, first, second, message([]byte("x"), mail.StateHeld, time.Now(), lane))
		held, _, err := w.Claim(t.Context(), "node", lane, time.Minute)
		must(t, err)
		next := at(time.Now().Add(time.Hour))
		must(t, w.Release(t.Context(), held.Token, queue.LaneState{Lane: lane, Next: next, Failures: 4, Reason: "450 refused", Host: "mx"}))
		want := mail.Waiting{Recipients: 2, Since: first.Message.Received, Next: next, Failures: 4, Reason: "450 refused", Host: "mx"}
		got, err := w.Waiting(t.Context(), account.System(), lane, "Example.org")
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Error(diff, err)
		}
		if own, err := w.Waiting(t.Context(), account.Of("acc-b"), lane, "example.org"); err != nil || own.Recipients != 1 {
			t.Errorf("in scope of acc-b: %+v, %v", own, err)
		}
	})
}

// What was held for the pause of users is let go by its reason, and nothing else that they have sent.
func TestWhatIsHeldForUsersIsLetGoByTheReason(t *testing.T) {
	for by, sent := range map[string]mail.Sent{
		"address": {Login: "ann@here.example"}, "login": {Account: "a", Login: "ann@here.example"}, "domain": {Account: "a", Domain: "here.example"}, "account": {Account: "a"},
	} {
		t.Run(by, func(t *testing.T) { letGoByTheReason(t, sent) })
	}
}

func letGoByTheReason(t *testing.T, sent mail.Sent) {
	engines(t, func(w *world) {
		t := w.t
		now := at(time.Now())
		ann, bob, kept := message([]byte("a"), mail.StateWaiting, now, lane), message([]byte("b"), mail.StateWaiting, now, lane), message([]byte("c"), mail.StateHeld, now, lane)
		ann.Message.Client.Login, bob.Message.Client.Login, kept.Message.Client.Login = "ann@here.example", "ann@sub.here.example", "ann@here.example"
		ann.Message.Account, bob.Message.Account, kept.Message.Account = "a", "b", "a"
		sent.Halted = true
		w.accept(t, ann, bob, kept)
		must(t, w.Redirect(t.Context(), account.System(), queue.Token{}, []queue.Redirection{
			{Row: ann.Rows[0].Row, From: lane, Reply: mail.Paused("ann@here.example")}, {Row: bob.Rows[0].Row, From: lane, Reply: mail.Paused("ann@sub.here.example")},
		}))
		f := mail.Filter{Sent: sent, States: []mail.State{mail.StateHeld}}
		if n, lanes, err := w.Change(t.Context(), account.System(), f, mail.Release, now, nil); err != nil || n != 1 || len(lanes) != 1 {
			t.Errorf("%d rows, lanes %v, %v", n, lanes, err)
		}
		for _, c := range []struct {
			of    mail.Stored
			state mail.State
			reply string
		}{{ann, mail.StateWaiting, ""}, {bob, mail.StateHeld, mail.Paused("ann@sub.here.example")}, {kept, mail.StateHeld, kept.Rows[0].LastReply}} {
			if r, _ := w.row(t, c.of.Rows[0].Row); r.State != c.state || r.LastReply != c.reply {
				t.Errorf("%s of %s: %+v", r.ID, c.of.Message.Client.Login, r)
			}
		}
	})
}
