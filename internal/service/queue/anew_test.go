package queue_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"testing"
	"testing/synctest"
	"time"

	"postroad/internal/core/directory"
	"postroad/internal/core/mail"
	"postroad/internal/proto/smtp"
	"postroad/internal/service/queue"
)

// becomes changes the domain far.example, which has the mailbox ann; nil removes it.
func (f *fixture) becomes(d *directory.Domain) {
	domains := []directory.Domain{{Name: "here.example", Proved: true, Account: "a", Mode: directory.ModeLocal}}
	boxes := []directory.Mailbox{{ID: "box", Account: "a", Domain: "here.example", Local: "ann"}}
	if d != nil {
		d.Name, d.Account = "far.example", "a"
		domains = append(domains, *d)
		boxes = append(boxes, directory.Mailbox{ID: "far", Account: "a", Domain: "far.example", Local: "ann"})
	}
	f.moved.Store(directory.NewSnapshot(2, domains, boxes, nil, nil))
}

func relayTo(host string) *directory.Domain {
	return &directory.Domain{Proved: true, Mode: directory.ModeRelay, NextHops: []directory.NextHop{{Host: host, Port: 25}}, Recipients: directory.RecipientsAccept}
}

// reroute says that far.example goes another way.
func (f *fixture) reroute(r mail.Rerouted) {
	f.t.Helper()
	r.Domain = "far.example"
	if err := f.q.Reroute(f.t.Context(), []mail.Rerouted{r}); err != nil {
		f.t.Fatal(err)
	}
}

// rowsOf gives the rows in the store by destination.
func (f *fixture) rowsOf() map[string]mail.Recipient {
	f.store.mu.Lock()
	defer f.store.mu.Unlock()
	out := map[string]mail.Recipient{}
	for _, e := range f.store.messages {
		for _, r := range e.rows {
			out[r.Destination] = r
		}
	}
	return out
}

func (p *peer) setDown(down *mail.LaneDown) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.down = down
}

var refused = mail.LaneDown{Reply: smtp.Reply{Code: 450, Text: "refused"}, Host: "mx.far.example"}

func TestQueuedMailGoesTheNewWayAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := start(t, queue.Config{Retry: []time.Duration{5 * time.Hour}})
		defer f.stop()
		f.becomes(relayTo("a"))
		f.remote.setDown(&refused)
		for i := range 300 {
			f.send("x@other.example", 0, fmt.Sprintf("u%d@far.example", i), "ann@far.example")
		}
		time.Sleep(time.Hour)
		attempts := len(f.remote.attempts())
		f.becomes(&directory.Domain{Proved: true, Mode: directory.ModeLocal})
		f.reroute(mail.Rerouted{Moved: true})
		time.Sleep(3 * time.Second)
		if n := len(f.local.copies()); n != 300 {
			t.Errorf("%d of 300 delivered to the mailbox", n)
		}
		if s := f.store.states(); s[mail.StateHeld] != 300 || len(s) != 1 {
			t.Errorf("mail for recipients who are unknown here: %v", s)
		}
		if n := len(f.remote.attempts()); n != attempts {
			t.Errorf("the old way was tried %d times more", n-attempts)
		}
		if f.found.list["far.example QUEUED_MAIL_HELD"] == "" {
			t.Errorf("findings: %v", f.found.list)
		}
	})
}

func TestMailBornUnderAnOldRouteIsNotAttemptedByIt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := start(t, queue.Config{})
		defer f.stop()
		f.becomes(relayTo("b"))
		f.send("x@other.example", 0, "u@far.example") // as receive has decided before the change: by MX
		time.Sleep(time.Second)
		if len(f.remote.copies()) != 1 {
			t.Fatalf("delivered %v, left %v", f.remote.copies(), f.rowsOf())
		}
		if lane := f.remote.deliveries()[0].Recipients[0].Lane; lane != "relay/b:25" {
			t.Errorf("delivered by %s", lane)
		}
	})
}

func TestAMovedRowKeepsAttemptsAndAges(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := start(t, queue.Config{Retry: []time.Duration{2 * time.Hour}})
		defer f.stop()
		f.becomes(relayTo("a"))
		f.remote.answer = func(mail.Delivery, mail.Recipient) mail.Outcome {
			return mail.Outcome{Result: mail.Deferred, Reply: smtp.Reply{Code: 450, Text: "busy"}, Host: "a"}
		}
		f.send("x@other.example", smtp.NotifyFailure, "u@far.example")
		time.Sleep(time.Hour)
		before := f.rowsOf()["u@far.example"]
		f.remote.setDown(&refused)
		f.becomes(relayTo("b"))
		f.reroute(mail.Rerouted{Moved: true})
		time.Sleep(time.Second)
		got := f.rowsOf()["u@far.example"]
		want := before
		want.Lane, want.Next = "relay/b:25", got.Next
		if !reflect.DeepEqual(got, want) || before.Attempts != 1 {
			t.Errorf("the row is\n%+v, want\n%+v", got, want)
		}
	})
}

// waits is an agent that takes its time; what it was given meanwhile goes as it says then.
type waits struct {
	peer

	begun, end chan struct{}

	lost *mail.LaneDown // what becomes of the old way
}

func (w *waits) Deliver(ctx context.Context, lane mail.Lane, batch []mail.Delivery, done func(int, []mail.Outcome)) error {
	if lane == "relay/a:25" {
		w.begun <- struct{}{}
		if <-w.end; w.lost != nil {
			return w.lost
		}
	}
	return w.peer.Deliver(ctx, lane, batch, done)
}

func TestAnAttemptUnderWayIsNotDisturbed(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		answer func(mail.Delivery, mail.Recipient) mail.Outcome
		down   *mail.LaneDown
		by     mail.Lane
	}{
		"delivered": {by: "relay/a:25"},
		"deferred": {by: "relay/b:25", answer: func(_ mail.Delivery, r mail.Recipient) mail.Outcome {
			if r.Lane == "relay/a:25" {
				return mail.Outcome{Result: mail.Deferred, Reply: smtp.Reply{Code: 450}}
			}
			return mail.Outcome{Result: mail.Delivered, Reply: smtp.Reply{Code: 250}}
		}},
		"down": {by: "relay/b:25", down: &refused},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				f := newFixture(t)
				w := &waits{peer: peer{delivered: map[string]int{}, answer: c.answer}, begun: make(chan struct{}), end: make(chan struct{}), lost: c.down}
				f.start(queue.Config{Retry: []time.Duration{5 * time.Hour}}, w)
				defer f.stop()
				f.becomes(relayTo("a"))
				f.send("x@other.example", 0, "u@far.example")
				<-w.begun
				f.becomes(relayTo("b"))
				f.reroute(mail.Rerouted{Moved: true})
				time.Sleep(3 * time.Second)
				if n := len(w.copies()); n != 0 {
					t.Fatalf("%d copies beside the attempt", n)
				}
				w.end <- struct{}{}
				time.Sleep(5 * time.Second)
				if seen := w.deliveries(); len(seen) != 1 || seen[0].Recipients[0].Lane != c.by {
					t.Errorf("delivered %d times: %+v; left %v", len(seen), seen, f.rowsOf())
				}
				if s := f.store.states(); len(s) != 0 {
					t.Errorf("left: %v", s)
				}
			})
		})
	}
}

func TestMailOfADomainThatIsGoneIsHeldAndNeverReturned(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := start(t, queue.Config{Retry: []time.Duration{time.Hour}})
		defer f.stop()
		f.becomes(relayTo("a"))
		f.remote.setDown(&refused)
		f.send("x@other.example", 0, "u@far.example", "v@third.example")
		time.Sleep(time.Minute)
		f.becomes(nil)
		f.reroute(mail.Rerouted{Gone: true})
		time.Sleep(6 * 24 * time.Hour)
		if r := f.rowsOf()["u@far.example"]; r.State != mail.StateHeld || r.LastReply == "" {
			t.Errorf("the row is %+v", r)
		}
		if _, there := f.rowsOf()["v@third.example"]; there {
			t.Error("mail for another domain was not given up in its time")
		}
	})
}

// No account's setting changes another's mail: what was never the domain's goes on.
func TestMailByMXGoesOnWhenADomainIsRemoved(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := start(t, queue.Config{Retry: []time.Duration{time.Hour}})
		defer f.stop()
		f.becomes(&directory.Domain{Proved: true, Mode: directory.ModeRemote})
		f.remote.setDown(&refused)
		f.send("ann@here.example", 0, "u@far.example")
		time.Sleep(time.Minute)
		f.becomes(nil)
		f.reroute(mail.Rerouted{Gone: true})
		f.remote.setDown(nil)
		time.Sleep(2 * time.Hour)
		if len(f.remote.copies()) != 1 {
			t.Errorf("left %v", f.rowsOf())
		}
	})
}

func TestMailIsKeptAsLongAsItsDomainSays(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := start(t, queue.Config{Retry: []time.Duration{time.Hour}, DelayNotice: -1})
		defer f.stop()
		d := relayTo("a")
		d.Hold = 30 * 24 * time.Hour
		f.becomes(d)
		f.remote.setDown(&refused)
		f.send("", 0, "u@far.example", "u@third.example")
		time.Sleep(29 * 24 * time.Hour)
		if rows := f.rowsOf(); rows["u@far.example"].State == mail.StateDead || rows["u@third.example"].State == mail.StateWaiting {
			t.Fatalf("after 29 days there is %v", rows)
		}
		d.Hold = 60 * 24 * time.Hour
		f.becomes(d)
		f.reroute(mail.Rerouted{Kept: true, Hold: d.Hold})
		time.Sleep(30 * 24 * time.Hour)
		if f.rowsOf()["u@far.example"].State == mail.StateDead {
			t.Fatal("given up before the new time was over")
		}
		d.Hold = 0
		f.becomes(d)
		f.reroute(mail.Rerouted{Kept: true})
		time.Sleep(2 * time.Hour)
		if rows := f.rowsOf(); rows["u@far.example"].State != mail.StateDead {
			t.Errorf("kept for longer than the installation's time: %v", rows)
		}
	})
}

func TestWhatCannotBeMovedIsNotAttemptedAndIsMovedLater(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := start(t, queue.Config{})
		defer f.stop()
		f.becomes(relayTo("a"))
		f.remote.setDown(&refused)
		f.send("x@other.example", 0, "u@far.example")
		time.Sleep(time.Second)
		f.remote.setDown(nil)
		f.becomes(relayTo("b"))
		f.store.mu.Lock()
		f.store.fail = errors.New("the store fails")
		f.store.mu.Unlock()
		f.reroute(mail.Rerouted{Moved: true})
		time.Sleep(10 * time.Second)
		if n := len(f.remote.copies()); n != 0 {
			t.Errorf("%d delivered by the old way", n)
		}
		f.store.mu.Lock()
		f.store.fail = nil
		f.store.mu.Unlock()
		time.Sleep(5 * time.Second)
		if n := len(f.remote.copies()); n != 1 {
			t.Errorf("%d delivered, left %v", n, f.rowsOf())
		}
	})
	synctest.Test(t, func(t *testing.T) {
		f := start(t, queue.Config{})
		f.becomes(relayTo("b"))
		f.send("x@other.example", 0, "u@far.example", "ann@here.example", "v@far.example")
		time.Sleep(10 * time.Second)
		f.stop()
		if _, octets := queue.InHand(f.q); octets != 0 {
			t.Errorf("%d octets are still counted", octets)
		}
	})
}
