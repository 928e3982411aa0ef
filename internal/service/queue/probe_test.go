package queue_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"postroad/internal/core/directory"
	"postroad/internal/core/mail"
	"postroad/internal/proto/smtp"
	"postroad/internal/service/queue"
)

// primary is a peer that can be looked at: it answers while it is up.
type primary struct {
	peer

	mu     sync.Mutex
	probes map[mail.Lane][]time.Time
	greets bool // it answers although no mail gets through
}

func newPrimary() *primary {
	return &primary{peer: peer{delivered: map[string]int{}}, probes: map[mail.Lane][]time.Time{}}
}

func (p *primary) Probe(_ context.Context, lane mail.Lane) error {
	p.mu.Lock()
	p.probes[lane] = append(p.probes[lane], time.Now())
	greets := p.greets
	p.mu.Unlock()
	p.peer.mu.Lock()
	defer p.peer.mu.Unlock()
	if p.down != nil && !greets {
		return errors.New("refused")
	}
	return nil
}

func (p *primary) looks(lane mail.Lane) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.probes[lane])
}

const farLane = mail.Lane("remote/far.example")

func TestS5_9HeldMailDrainsWithinSecondsOfThePrimarysReturn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f, p := newFixture(t), newPrimary()
		f.becomes(&directory.Domain{Proved: true, Mode: directory.ModeBackup, Hold: 30 * 24 * time.Hour})
		f.start(queue.Config{}, p)
		defer f.stop()
		p.answer = func(mail.Delivery, mail.Recipient) mail.Outcome { // what was under way when it went
			return mail.Outcome{Result: mail.Deferred, Reply: smtp.Reply{Code: 450, Text: "the connection was lost"}}
		}
		var order []mail.ID
		for i := range 30 {
			order = append(order, f.send("x@other.example", 0, fmt.Sprintf("u%d@far.example", i)))
			time.Sleep(time.Minute)
			p.setDown(&refused)
		}
		f.send("x@other.example", 0, "u@foreign.example")
		time.Sleep(36 * time.Hour)
		foreign := len(p.attempts())
		p.peer.mu.Lock()
		p.down, p.answer = nil, nil
		p.peer.mu.Unlock()
		time.Sleep(5 * time.Second)
		p.peer.mu.Lock()
		var got []mail.ID
		for _, d := range p.seen {
			got = append(got, d.Message.ID)
		}
		p.peer.mu.Unlock()
		if fmt.Sprint(got) != fmt.Sprint(order) {
			t.Errorf("%d of 30 delivered within 5 s; order\n%v, want\n%v", len(got), got, order)
		}
		if n := p.looks("remote/foreign.example"); n > 0 {
			t.Errorf("a foreign destination was looked at %d times", n)
		}
		if n := len(p.attempts()); n != foreign+1 {
			t.Errorf("%d attempts at the return", n-foreign)
		}
	})
}

func TestAPrimaryThatAnswersAndTakesNothingIsLeftAloneMoreAndMore(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f, p := newFixture(t), newPrimary()
		p.greets = true
		f.becomes(&directory.Domain{Proved: true, Mode: directory.ModeBackup})
		f.start(queue.Config{}, p)
		defer f.stop()
		p.setDown(&refused)
		f.send("x@other.example", 0, "u@far.example")
		time.Sleep(2 * time.Hour)
		if n := len(p.attempts()); n > 60 {
			t.Errorf("%d attempts in two hours", n)
		}
	})
}

func TestLooksAreBoundedOverAllLanes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f, p := newFixture(t), newPrimary()
		var domains []directory.Domain
		for i := range 400 {
			domains = append(domains, directory.Domain{Name: fmt.Sprintf("d%d.example", i), Account: "a", Proved: true, Mode: directory.ModeBackup})
		}
		f.moved.Store(directory.NewSnapshot(3, domains, nil, nil, nil))
		f.start(queue.Config{}, p)
		defer f.stop()
		p.setDown(&refused)
		for i := range 400 {
			f.send("x@other.example", 0, fmt.Sprintf("u@d%d.example", i))
		}
		time.Sleep(30 * time.Second)
		total, least := 0, 1000
		for i := range 400 {
			n := p.looks(mail.Lane(fmt.Sprintf("remote/d%d.example", i)))
			total, least = total+n, min(least, n)
		}
		if total > 30*50 || least < 2 {
			t.Errorf("%d looks in 30 s, the least of a lane %d", total, least)
		}
	})
}

func TestAfterARestartDownLanesAreKnown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f, p := newFixture(t), newPrimary()
		f.becomes(&directory.Domain{Proved: true, Mode: directory.ModeBackup})
		f.start(queue.Config{Retry: []time.Duration{5 * time.Hour}}, p)
		p.setDown(&refused)
		f.send("x@other.example", 0, "u@far.example")
		time.Sleep(time.Minute)
		f.stop()
		looks := p.looks(farLane)
		f.start(queue.Config{Retry: []time.Duration{5 * time.Hour}}, p)
		defer f.stop()
		attempts := len(p.attempts())
		time.Sleep(10 * time.Second)
		if p.looks(farLane) == looks || len(p.attempts()) != attempts {
			t.Errorf("%d looks and %d attempts after the restart", p.looks(farLane)-looks, len(p.attempts())-attempts)
		}
	})
}

func TestTurnTriesADownLaneAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := start(t, queue.Config{Retry: []time.Duration{5 * time.Hour}})
		defer f.stop()
		f.remote.setDown(&refused)
		f.send("x@other.example", 0, "u@far.example", "v@far.example")
		time.Sleep(time.Minute)
		f.remote.setDown(nil)
		for want, domain := range map[int64]string{2: "far.example", 0: "other.example"} {
			if n, err := f.q.Turn(t.Context(), mail.MakeLane(mail.TransportRemote, domain), domain); n != want || err != nil {
				t.Errorf("%s: %d pending, %v", domain, n, err)
			}
		}
		time.Sleep(time.Second)
		if n := len(f.remote.copies()); n != 2 {
			t.Errorf("%d delivered", n)
		}
	})
}

// What is made due between its being stored and its coming into its lane's hands is delivered once.
func TestMailThatIsMadeDueWhileItArrivesIsDeliveredOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := start(t, queue.Config{})
		defer f.stop()
		f.send("x@other.example", 0, "first@far.example") // its lane is in hand
		synctest.Wait()
		f.store.mu.Lock()
		f.store.stored = func() {
			if _, err := f.q.Turn(context.Background(), farLane, "far.example"); err != nil {
				t.Error(err)
			}
			time.Sleep(time.Second)
		}
		f.store.mu.Unlock()
		f.send("x@other.example", 0, "u@far.example")
		time.Sleep(time.Minute)
		for what, n := range f.remote.copies() {
			if n != 1 {
				t.Errorf("%s: %d copies", what, n)
			}
		}
		if s := f.store.states(); len(s) != 0 {
			t.Errorf("left: %v", s)
		}
	})
}
