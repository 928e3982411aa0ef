package queue_test

import (
	"testing"
	"testing/synctest"
	"time"

	"postroad/internal/core/account"
	"postroad/internal/core/directory"
	"postroad/internal/core/mail"
	"postroad/internal/service/queue"
)

// pauses has the login ann@here.example paused or not, and says so unless silently.
func (f *fixture) pauses(paused, silently bool) {
	f.t.Helper()
	box := directory.Mailbox{ID: "box", Account: "a", Domain: "here.example", Local: "ann"}
	if paused {
		box.Pause = &directory.Pause{By: directory.PausedByOwner}
	}
	f.moved.Store(directory.NewSnapshot(2, []directory.Domain{{Name: "here.example", Proved: true, Account: "a", Mode: directory.ModeLocal}}, []directory.Mailbox{box}, nil, nil))
	if silently {
		return
	}
	if err := f.q.Reroute(f.t.Context(), []mail.Rerouted{{Login: "ann@here.example"}}); err != nil {
		f.t.Fatal(err)
	}
}

// sendAs accepts a message of a login to one recipient at far.example.
func (f *fixture) sendAs(login, to string) {
	f.t.Helper()
	now := time.Now()
	id := f.q.NewID(now)
	err := f.q.Accept(f.t.Context(), account.System(), mail.Stored{
		Message: &mail.Message{ID: id, Root: id, Account: "a", Sender: "ann@here.example", Size: 2, Received: now, Client: mail.Client{Login: login}},
		Content: mail.Content{Inline: []byte("\r\n")},
		Rows:    []mail.Recipient{{Account: "a", Original: to, Destination: to, Lane: mail.MakeLane(mail.TransportRemote, "far.example")}},
	})
	if err != nil {
		f.t.Fatal(err)
	}
}

func TestWhatAPausedLoginHasSentIsHeldAndGoesOnLater(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := start(t, queue.Config{Retry: []time.Duration{5 * time.Hour}, Hold: 12 * time.Hour})
		defer f.stop()
		f.pauses(false, true)
		f.remote.setDown(&refused)
		for _, to := range []string{"before@far.example", "kept@far.example"} {
			f.sendAs("ann@here.example", to)
		}
		f.sendAs("", "other@far.example")
		time.Sleep(time.Minute)
		kept := f.rowsOf()["kept@far.example"]
		if _, err := f.q.Change(t.Context(), account.System(), queue.Filter{IDs: []mail.ID{kept.ID}}, mail.Hold, "somebody"); err != nil {
			t.Fatal(err)
		}
		f.pauses(true, false)
		f.sendAs("ann@here.example", "after@far.example")
		time.Sleep(time.Minute)
		rows := f.rowsOf()
		for _, to := range []string{"before@far.example", "after@far.example"} {
			if r := rows[to]; r.State != mail.StateHeld || r.LastReply != "the login ann@here.example is paused" {
				t.Errorf("while paused: %+v", r)
			}
		}
		f.remote.setDown(nil)
		time.Sleep(20 * time.Hour) // longer than anything waits in the queue
		if rows = f.rowsOf(); len(rows) != 3 || len(f.remote.deliveries()) != 0 && rows["other@far.example"].ID != "" {
			t.Errorf("left: %+v", rows)
		}
		f.pauses(false, false)
		time.Sleep(time.Minute)
		rows = f.rowsOf()
		if r := rows["kept@far.example"]; len(rows) != 1 || r.State != mail.StateHeld {
			t.Errorf("after the pause: %+v", rows)
		}
		if n := len(f.reports()); n != 0 {
			t.Errorf("%d reports", n)
		}
	})
}

// A node that has heard late of the end of a pause lets go what it has held meanwhile.
func TestWhatIsHeldForAPauseThatIsOverGoesOn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := start(t, queue.Config{})
		defer f.stop()
		f.pauses(true, true)
		f.sendAs("ann@here.example", "x@far.example")
		time.Sleep(time.Second)
		if r := f.rowsOf()["x@far.example"]; r.State != mail.StateHeld {
			t.Errorf("while paused: %+v", r)
		}
		f.pauses(false, true)
		time.Sleep(3 * time.Minute)
		if rows := f.rowsOf(); len(rows) != 0 {
			t.Errorf("left: %+v", rows)
		}
	})
}
