package queue_test

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"postroad/internal/core/account"
	"postroad/internal/core/directory"
	"postroad/internal/core/mail"
	"postroad/internal/core/sending"
	"postroad/internal/service/queue"
)

// decides has a sender paused or not, without a word. The mailbox of ann is gone.
func (f *fixture) decides(paused bool, k sending.Key) {
	f.t.Helper()
	rule := sending.Rule{Key: k}
	if paused {
		rule.Pause = &sending.Pause{By: sending.ByOwner}
	}
	all := directory.NewSnapshot(2, []directory.Domain{{Name: "here.example", Proved: true, Account: "a", Mode: directory.ModeLocal}}, nil, nil, nil)
	f.moved.Store(all.WithSenders([]sending.Rule{rule}))
}

// pauses has the login ann@here.example paused or not, and says so unless silently.
func (f *fixture) pauses(paused, silently bool) {
	f.t.Helper()
	f.decides(paused, sending.KeysOf("a", "ann@here.example")[0])
	if silently {
		return
	}
	if err := f.q.Reroute(f.t.Context(), []mail.Rerouted{{SentBy: "a", Login: "ann@here.example"}}); err != nil {
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

// A pause of a domain or of an account holds what any of their logins has sent, and nothing of others; what a login is paused
// for by itself stays when it is over.
func TestAPauseOfADomainOrAnAccountHoldsWhatTheirLoginsHaveSent(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		key  sending.Key
		what mail.Rerouted
	}{
		{sending.KeyOfDomain("a", "here.example"), mail.Rerouted{SentBy: "a", Logins: "here.example"}},
		{sending.KeyOfAccount("a"), mail.Rerouted{SentBy: "a"}},
	} {
		t.Run(string(c.key.Kind), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				f := start(t, queue.Config{Retry: []time.Duration{5 * time.Hour}, Hold: 12 * time.Hour})
				defer f.stop()
				f.decides(false, c.key)
				f.remote.setDown(&refused)
				f.sendAs("ann@here.example", "ann@far.example")
				f.sendAs("bob@here.example", "bob@far.example")
				f.sendAs("bob@elsewhere.example", "other@far.example")
				f.sendAs("", "stranger@far.example")
				time.Sleep(time.Minute)
				turn := func(paused bool, held ...string) {
					t.Helper()
					f.decides(paused, c.key)
					if err := f.q.Reroute(t.Context(), []mail.Rerouted{c.what}); err != nil {
						t.Fatal(err)
					}
					time.Sleep(time.Minute)
					var got []string
					for to, r := range f.rowsOf() {
						if r.State == mail.StateHeld {
							got = append(got, to)
						}
					}
					slices.Sort(got)
					if !slices.Equal(got, held) {
						t.Errorf("paused %v: held are %q", paused, got)
					}
				}
				both := []string{"ann@far.example", "bob@far.example"}
				if c.key.Kind == sending.Account {
					both = append(both, "other@far.example")
				}
				turn(true, both...)
				f.decides(true, sending.KeysOf("a", "bob@here.example")[0]) // and nobody else
				if err := f.q.Reroute(t.Context(), []mail.Rerouted{c.what}); err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Minute)
				if rows := f.rowsOf(); rows["bob@far.example"].State != mail.StateHeld || rows["ann@far.example"].State == mail.StateHeld {
					t.Errorf("one is paused for itself: %+v", rows)
				}
				f.remote.setDown(nil)
				turn(false)
			})
		})
	}
}
