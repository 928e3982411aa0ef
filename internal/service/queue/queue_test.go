package queue_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"postroad/internal/core/account"
	"postroad/internal/core/directory"
	"postroad/internal/core/finding"
	"postroad/internal/core/mail"
	"postroad/internal/core/routing"
	"postroad/internal/proto/smtp"
	"postroad/internal/service/queue"
)

// peer is an agent whose answers a test scripts.
type peer struct {
	mu        sync.Mutex
	down      *mail.LaneDown
	answer    func(d mail.Delivery, r mail.Recipient) mail.Outcome
	panics    bool
	calls     []time.Time
	delivered map[string]int // "id recipient" → copies
	seen      []mail.Delivery
}

func (p *peer) Deliver(_ context.Context, _ mail.Lane, batch []mail.Delivery, done func(int, []mail.Outcome)) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.calls = append(p.calls, time.Now())
	if p.panics {
		panic("agent")
	}
	if p.down != nil {
		return p.down
	}
	for i, d := range batch {
		var outs []mail.Outcome
		for _, r := range d.Recipients {
			o := mail.Outcome{Row: r.Row, Result: mail.Delivered, Reply: smtp.Reply{Code: 250}, Host: "peer.example", At: time.Now()}
			if p.answer != nil {
				o = p.answer(d, r)
				o.Row, o.At = r.Row, time.Now()
			}
			if o.Result == mail.Delivered {
				p.delivered[string(d.Message.ID)+" "+r.Destination]++
				p.seen = append(p.seen, d)
			}
			outs = append(outs, o)
		}
		done(i, outs)
	}
	return nil
}

// copies counts what was delivered, by id and recipient.
func (p *peer) copies() map[string]int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return maps.Clone(p.delivered)
}

// deliveries are what was delivered, a row each time.
func (p *peer) deliveries() []mail.Delivery {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.seen)
}

// attempts tells when Deliver was called.
func (p *peer) attempts() []time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.calls)
}

// fixture is a queue over the memory store, with a peer for everything that leaves and one for mailboxes here.
type fixture struct {
	t      *testing.T
	store  *memory
	remote *peer
	local  *peer
	q      *queue.Service
	n      int
	broken atomic.Bool // View panics
	log    slog.Handler

	moved atomic.Pointer[directory.Snapshot] // in place of the directory with here.example
	found findings
}

// findings keeps findings, by domain and name.
type findings struct {
	mu   sync.Mutex
	list map[string]string
}

func (f *findings) Find(_ context.Context, what finding.Finding, gone bool) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.list == nil {
		f.list = map[string]string{}
	}
	if f.list[what.Domain+" "+string(what.Name)] = what.Evidence; gone {
		delete(f.list, what.Domain+" "+string(what.Name))
	}
	return nil
}

func (f *fixture) View() routing.View {
	if f.broken.Load() {
		panic("view")
	}
	if moved := f.moved.Load(); moved != nil {
		return routing.View{Directory: moved, Self: routing.Self{Hostname: "mx.here.example"}}
	}
	return routing.View{
		Directory: directory.NewSnapshot(1,
			[]directory.Domain{{Name: "here.example", Proved: true, Account: "a", Mode: directory.ModeLocal}},
			[]directory.Mailbox{{ID: "box", Account: "a", Domain: "here.example", Local: "ann"}}, nil, nil),
		Self: routing.Self{Hostname: "mx.here.example"},
	}
}

func start(t *testing.T, cfg queue.Config) *fixture {
	t.Helper()
	f := newFixture(t)
	f.start(cfg, f.remote)
	return f
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	return &fixture{
		t: t, store: newMemory(), remote: &peer{delivered: map[string]int{}}, local: &peer{delivered: map[string]int{}}, log: slog.DiscardHandler,
	}
}

func (f *fixture) start(cfg queue.Config, remote queue.Agent) {
	f.t.Helper()
	cfg.Hostname, cfg.Findings = "mx.here.example", &f.found
	f.q = queue.New(cfg, f.store, f.store, f.store, map[mail.Transport]queue.Agent{
		mail.TransportRemote: remote, mail.TransportRelay: remote, mail.TransportLocal: f.local,
	}, f, nil, slog.New(f.log))
	if err := f.q.Start(f.t.Context(), true); err != nil {
		f.t.Fatal(err)
	}
}

// quiet looks whether anything is in hand or in memory that should not be.
func (f *fixture) quiet() {
	f.t.Helper()
	if lanes, octets := queue.InHand(f.q); lanes != 0 || octets != 0 {
		f.t.Errorf("%d lanes are in hand and %d octets in memory", lanes, octets)
	}
}

func (f *fixture) stop() { f.q.Stop(context.Background()) }

// send accepts a message.
func (f *fixture) send(sender string, notify smtp.Notify, rcpts ...string) mail.ID {
	f.t.Helper()
	now := time.Now()
	id := f.q.NewID(now)
	f.n++
	content := fmt.Sprintf("Received: by mx\r\nFrom: <%s>\r\nSubject: message %d\r\n\r\nbody\r\n", sender, f.n)
	st := mail.Stored{
		Message: &mail.Message{ID: id, Root: id, Account: "a", Sender: sender, Size: int64(len(content)), Received: now},
		Content: mail.Content{Inline: []byte(content)},
	}
	for _, r := range rcpts {
		st.Rows = append(st.Rows, mail.Recipient{Account: "a", Original: r, Destination: r, Notify: notify, Lane: mail.MakeLane(mail.TransportRemote, r[strings.IndexByte(r, '@')+1:])})
	}
	if err := f.q.Accept(f.t.Context(), account.System(), st); err != nil {
		f.t.Fatal(err)
	}
	return id
}

// reports gives the texts of the reports delivered to ann.
func (f *fixture) reports() []string {
	var out []string
	for _, d := range f.local.deliveries() {
		out = append(out, string(d.Content.Inline))
	}
	return out
}

func TestDeliveredAtOnceAndForgotten(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := start(t, queue.Config{})
		defer f.stop()
		f.send("x@far.example", 0, "u1@far.example", "u2@far.example", "v@other.example")
		synctest.Wait()
		if n := len(f.remote.copies()); n != 3 {
			t.Errorf("%d rows delivered at once, want 3", n)
		}
		time.Sleep(time.Second)
		if s := f.store.states(); len(s) != 0 {
			t.Errorf("left in the store: %v", s)
		}
	})
}

func TestADeadDestinationCostsOneProbePerInterval(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := start(t, queue.Config{Retry: []time.Duration{time.Minute, 10 * time.Minute}})
		defer f.stop()
		f.remote.down = &mail.LaneDown{Reply: smtp.Reply{Code: 450, Enhanced: smtp.Enhanced{4, 4, 1}, Text: "refused"}, Host: "mx.far.example"}
		for range 1000 {
			f.send("x@far.example", 0, "u@far.example")
		}
		time.Sleep(time.Hour)
		if n := len(f.remote.attempts()); n > 9 {
			t.Errorf("%d attempts in an hour for 1,000 messages, want one per interval: %v", n, f.remote.attempts())
		}
		if s := f.store.states(); s[mail.StateLeased]+s[mail.StateWaiting] != 1000 {
			t.Errorf("states %v", s)
		}
		f.remote.mu.Lock()
		f.remote.down = nil
		f.remote.mu.Unlock()
		time.Sleep(11 * time.Minute)
		if n := len(f.remote.copies()); n != 1000 {
			t.Errorf("%d of 1,000 delivered after the destination came back", n)
		}
	})
}

func TestS4_20RetryNowDrainsAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := start(t, queue.Config{Retry: []time.Duration{5 * time.Hour}})
		defer f.stop()
		f.remote.down = &mail.LaneDown{Host: "h", Reply: smtp.Reply{Code: 450}}
		for range 300 {
			f.send("x@far.example", 0, "u@far.example")
		}
		time.Sleep(10 * time.Second)
		f.remote.mu.Lock()
		f.remote.down = nil
		f.remote.mu.Unlock()
		if _, err := f.q.Change(t.Context(), account.System(), mail.Filter{}, mail.Expedite, "test"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Second)
		if n := len(f.remote.copies()); n != 300 {
			t.Errorf("%d of 300 delivered", n)
		}
	})
}

func TestEachMessageOnceAlthoughTheScheduleLooksBesideMemory(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := start(t, queue.Config{InMemory: 8 << 10}) // most messages find no room and come from the store
		defer f.stop()
		for range 500 {
			f.send("x@far.example", 0, "u@far.example")
		}
		time.Sleep(5 * time.Minute)
		for what, n := range f.remote.copies() {
			if n != 1 {
				t.Errorf("%s: %d copies", what, n)
			}
		}
		if n := len(f.remote.copies()); n != 500 {
			t.Errorf("%d of 500 delivered", n)
		}
	})
}

func TestS4_16OneDelayNoticeThenSuccess(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := start(t, queue.Config{})
		defer f.stop()
		f.remote.answer = func(mail.Delivery, mail.Recipient) mail.Outcome {
			return mail.Outcome{Result: mail.Deferred, Host: "mx.far.example", Reply: smtp.Reply{Code: 450, Enhanced: smtp.Enhanced{4, 2, 0}, Text: "greylisted"}}
		}
		f.send("ann@here.example", 0, "u@far.example")
		f.send("ann@here.example", smtp.NotifyFailure, "quiet@far.example")
		f.send("", 0, "null@far.example")
		time.Sleep(24 * time.Hour)
		got := f.reports()
		if len(got) != 1 || !strings.Contains(got[0], "u@far.example") || !strings.Contains(got[0], "Action: delayed") || !strings.Contains(got[0], "greylisted") {
			t.Fatalf("%d reports: %q", len(got), got)
		}
		if !strings.Contains(got[0], "Will-Retry-Until:") {
			t.Errorf("the notice does not say until when: %s", got[0])
		}
		f.remote.mu.Lock()
		f.remote.answer = nil
		f.remote.mu.Unlock()
		time.Sleep(4 * time.Hour)
		if n := len(f.remote.copies()); n != 3 {
			t.Errorf("%d of 3 delivered in the end", n)
		}
		if n := len(f.reports()); n != 1 {
			t.Errorf("%d reports in the end", n)
		}
	})
}

func TestS4_15HeldFiveDaysThenReturned(t *testing.T) {
	t.Parallel()
	for name, laneDown := range map[string]bool{"destination down": true, "recipient deferred": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				f := start(t, queue.Config{DelayNotice: -1})
				defer f.stop()
				if laneDown {
					f.remote.down = &mail.LaneDown{Host: "mx.far.example", Reply: smtp.Reply{Code: 450, Enhanced: smtp.Enhanced{4, 4, 1}, Text: "refused"}}
				} else {
					f.remote.answer = func(mail.Delivery, mail.Recipient) mail.Outcome {
						return mail.Outcome{Result: mail.Deferred, Host: "mx.far.example", Reply: smtp.Reply{Code: 450, Text: "refused"}}
					}
				}
				f.send("ann@here.example", 0, "u@far.example")
				f.send("", 0, "bounce@far.example")
				time.Sleep(119 * time.Hour)
				if n := len(f.reports()); n != 0 {
					t.Fatalf("returned after %d reports before five days", n)
				}
				time.Sleep(8 * time.Hour)
				got := f.reports()
				if len(got) != 1 || !strings.Contains(got[0], "Action: failed") || !strings.Contains(got[0], "refused") {
					t.Fatalf("%d reports: %q", len(got), got)
				}
				if s := f.store.states(); s[mail.StateDead] != 1 || len(s) != 1 {
					t.Errorf("the message nobody may be told of is not kept as dead: %v", s)
				}
			})
		})
	}
}

func TestOneReportNamesAllThatFailedTogether(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := start(t, queue.Config{})
		defer f.stop()
		f.remote.answer = func(_ mail.Delivery, r mail.Recipient) mail.Outcome {
			switch r.Destination {
			case "bad1@far.example", "bad2@far.example":
				return mail.Outcome{Result: mail.Failed, Host: "mx.far.example", Reply: smtp.Reply{Code: 550, Enhanced: smtp.Enhanced{5, 1, 1}, Text: "who?"}}
			case "later@far.example":
				return mail.Outcome{Result: mail.Deferred, Reply: smtp.Reply{Code: 450}}
			}
			return mail.Outcome{Result: mail.Delivered}
		}
		f.send("ann@here.example", 0, "bad1@far.example", "good@far.example", "bad2@far.example", "later@far.example")
		time.Sleep(30 * time.Second)
		got := f.reports()
		if len(got) != 1 || strings.Count(got[0], "Action: failed") != 2 || strings.Contains(got[0], "good@") || !strings.Contains(got[0], "Status: 5.1.1") {
			t.Fatalf("%d reports: %q", len(got), got)
		}
		if len(f.remote.copies()) != 1 {
			t.Errorf("delivered %v", f.remote.copies())
		}
		if s := f.store.states(); s[mail.StateDeferred] != 1 || len(s) != 1 {
			t.Errorf("states %v", s)
		}
	})
}

func TestSuccessIsReportedWhereAsked(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := start(t, queue.Config{})
		defer f.stop()
		f.remote.answer = func(_ mail.Delivery, r mail.Recipient) mail.Outcome {
			return mail.Outcome{Result: mail.Delivered, Host: "mx.far.example", DSN: r.Destination == "dsn@far.example"}
		}
		f.send("ann@here.example", smtp.NotifySuccess, "plain@far.example", "dsn@far.example")
		time.Sleep(time.Minute)
		got := f.reports()
		if len(got) != 1 || !strings.Contains(got[0], "Action: relayed") || strings.Contains(got[0], "dsn@") {
			t.Fatalf("%d reports: %q", len(got), got)
		}
	})
}

func TestTheStoreFailing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := start(t, queue.Config{})
		defer f.stop()
		broken := errors.New("disk")
		f.store.fail = broken
		st := mail.Stored{Message: &mail.Message{ID: f.q.NewID(time.Now())}, Rows: []mail.Recipient{{Lane: "remote/far.example"}}}
		if err := f.q.Accept(t.Context(), account.System(), st); !errors.Is(err, broken) {
			t.Fatalf("Accept with a broken store: %v", err)
		}
		f.store.fail = nil
		f.send("x@far.example", 0, "u@far.example")
		f.store.mu.Lock()
		f.store.fail = broken // now the outcome cannot be recorded
		f.store.mu.Unlock()
		time.Sleep(time.Minute)
		f.store.mu.Lock()
		f.store.fail = nil
		f.store.mu.Unlock()
		time.Sleep(time.Minute)
		if s := f.store.states(); len(s) != 0 {
			t.Errorf("states %v", s)
		}
		for what, n := range f.remote.copies() {
			if n != 1 {
				t.Errorf("%s: %d copies", what, n)
			}
		}
	})
}

func TestAPanicInAnAgentLosesNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := start(t, queue.Config{})
		defer f.stop()
		f.remote.panics = true
		f.send("x@far.example", 0, "u@far.example")
		time.Sleep(30 * time.Second)
		f.remote.mu.Lock()
		f.remote.panics = false
		f.remote.mu.Unlock()
		time.Sleep(10 * time.Minute)
		if len(f.remote.copies()) != 1 {
			t.Errorf("delivered %v, states %v", f.remote.copies(), f.store.states())
		}
	})
}

func TestWhatAnEarlierRunLeftIsDelivered(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := start(t, queue.Config{})
		f.remote.down = &mail.LaneDown{Host: "h", Reply: smtp.Reply{Code: 450}}
		for range 50 {
			f.send("x@far.example", 0, "u@far.example")
		}
		f.stop()
		f.remote.mu.Lock()
		f.remote.down = nil
		f.remote.mu.Unlock()
		clear(f.store.held)
		f.store.lanes = map[mail.Lane]queue.LaneState{}
		q := queue.New(queue.Config{}, f.store, f.store, f.store, map[mail.Transport]queue.Agent{mail.TransportRemote: f.remote}, f, nil, slog.New(slog.DiscardHandler))
		if err := q.Start(t.Context(), true); err != nil {
			t.Fatal(err)
		}
		defer q.Stop(context.Background())
		time.Sleep(5 * time.Second)
		if n := len(f.remote.copies()); n != 50 {
			t.Errorf("%d of 50 delivered after the restart, states %v", n, f.store.states())
		}
	})
}

func TestAFailureNobodyCanBeToldOfIsKeptAsDead(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := start(t, queue.Config{})
		defer f.stop()
		f.remote.answer = func(mail.Delivery, mail.Recipient) mail.Outcome {
			return mail.Outcome{Result: mail.Failed, Reply: smtp.Reply{Code: 550, Enhanced: smtp.Enhanced{5, 1, 1}}}
		}
		f.send("removed@here.example", 0, "u@far.example") // the sender's mailbox is no more
		time.Sleep(time.Minute)
		if s := f.store.states(); s[mail.StateDead] != 1 || len(s) != 1 {
			t.Errorf("states %v", s)
		}
	})
}

func TestAnOldReadingOfTheStoreRepeatsNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := start(t, queue.Config{})
		defer f.stop()
		f.store.mu.Lock()
		f.store.slow = 10 * time.Second // from what Due has read to its answer
		f.store.mu.Unlock()
		f.remote.down = &mail.LaneDown{Host: "h", Reply: smtp.Reply{Code: 450}}
		for range 300 {
			f.send("x@far.example", 0, "u@far.example")
		}
		time.Sleep(40 * time.Second) // they are waiting rows now
		f.remote.mu.Lock()
		f.remote.down = nil
		f.remote.mu.Unlock()
		for range 60 {
			if _, err := f.q.Change(t.Context(), account.System(), mail.Filter{}, mail.Expedite, "test"); err != nil {
				t.Fatal(err)
			}
			time.Sleep(700 * time.Millisecond)
		}
		time.Sleep(5 * time.Minute)
		for what, n := range f.remote.copies() {
			if n != 1 {
				t.Errorf("%s: %d copies", what, n)
			}
		}
		if n := len(f.remote.copies()); n != 300 {
			t.Errorf("%d of 300 delivered, states %v", n, f.store.states())
		}
	})
}

func TestSettlementsThatAreRefusedDoNotSpin(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := start(t, queue.Config{})
		defer f.stop()
		f.store.mu.Lock()
		f.store.stale = true
		f.store.mu.Unlock()
		f.remote.down = &mail.LaneDown{Host: "h", Reply: smtp.Reply{Code: 450}}
		f.send("ann@here.example", 0, "u@far.example")
		time.Sleep(24 * time.Hour)
		f.store.mu.Lock()
		refusals := f.store.refusals
		f.store.mu.Unlock()
		if refusals > 100 {
			t.Errorf("%d refused settlements in a day", refusals)
		}
	})
}

// TestAReportSpeaksOfOneAccountsRecipients: whoever may read a report while it is queued learns nothing of somebody
// else's recipients; of a login's message the sender's account hears everything in one report.
func TestAReportSpeaksOfOneAccountsRecipients(t *testing.T) {
	t.Parallel()
	for login, want := range map[string]int{"": 2, "ann@here.example": 1} {
		synctest.Test(t, func(t *testing.T) {
			f := start(t, queue.Config{})
			defer f.stop()
			f.remote.answer = func(mail.Delivery, mail.Recipient) mail.Outcome {
				return mail.Outcome{Result: mail.Failed, Reply: smtp.Reply{Code: 550, Enhanced: smtp.Enhanced{5, 1, 1}, Text: "no"}}
			}
			now := time.Now()
			id := f.q.NewID(now)
			content := "From: <ann@here.example>\r\n\r\nbody\r\n"
			st := mail.Stored{
				Message: &mail.Message{ID: id, Root: id, Account: "a", Sender: "ann@here.example", Size: int64(len(content)), Received: now, Client: mail.Client{Login: login}},
				Content: mail.Content{Inline: []byte(content)},
			}
			for owner, to := range map[account.ID]string{"a": "u@shared.example", "b": "v@shared.example"} {
				st.Rows = append(st.Rows, mail.Recipient{Account: owner, Original: to, Destination: to, Lane: "relay/shared:25"})
			}
			if err := f.q.Accept(t.Context(), account.System(), st); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Minute)
			reports := f.reports()
			both := 0
			for _, r := range reports {
				if strings.Contains(r, "u@shared.example") && strings.Contains(r, "v@shared.example") {
					both++
				}
			}
			if len(reports) != want || both != 2-want {
				t.Errorf("login %q: %d reports, %d of them about both", login, len(reports), both)
			}
		})
	}
}
