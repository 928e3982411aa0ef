package deliver_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"postroad/internal/core/account"
	"postroad/internal/core/mail"
	"postroad/internal/core/mailbox"
	"postroad/internal/obs"
	"postroad/internal/service/deliver"
	"postroad/internal/sim"
)

var (
	errNoBox   = errors.New("no such mailbox")
	errQuota   = errors.New("over quota")
	errStorage = errors.New("disk /var/lib/x: input/output error")
)

// boxes are mailboxes by id, each with the error of its deliveries.
type boxes struct {
	answers map[string]error
	items   []mailbox.Item
	settled []mailbox.DeliveredID
}

func (b *boxes) Deliver(ctx context.Context, scope account.Scope, items []mailbox.Item) []error {
	errs := make([]error, len(items))
	for i, item := range items {
		err, known := b.answers[item.Mailbox]
		switch {
		case ctx.Err() != nil:
			errs[i] = fmt.Errorf("deliver: %w", ctx.Err())
		case !scope.IsSystem() || !known:
			errs[i] = errNoBox
		default:
			errs[i] = err
		}
		if errs[i] == nil {
			b.items = append(b.items, item)
		}
	}
	return errs
}

func (b *boxes) Settled(_ context.Context, _ account.Scope, items []mailbox.DeliveredID) error {
	b.settled = append(b.settled, items...)
	return nil
}

func (b *boxes) Temporary(err error) bool { return !errors.Is(err, errNoBox) }

// quotaBoxes can tell a mailbox that is full as well.
type quotaBoxes struct{ *boxes }

func (quotaBoxes) Full(err error) bool { return errors.Is(err, errQuota) }

// toBoxes is a message for mailboxes, a row each.
func toBoxes(id string, names ...string) mail.Delivery {
	d := message(id, names...)
	for i, name := range names {
		d.Recipients[i].Mailbox = name
	}
	return d
}

// runLocal delivers and gives the outcomes of each delivery in words.
func runLocal(ctx context.Context, t *testing.T, l *deliver.Local, batch ...mail.Delivery) report {
	t.Helper()
	r := report{outcomes: make([][]mail.Outcome, len(batch))}
	r.err = l.Deliver(ctx, "local/mailboxes", batch, func(i int, outcomes []mail.Outcome) {
		for j, o := range outcomes {
			if o.Row != batch[i].Recipients[j].Row || o.At.IsZero() {
				t.Errorf("outcome %+v for row %+v", o, batch[i].Recipients[j].Row)
			}
		}
		r.outcomes[i] = outcomes
	})
	return r
}

func TestOutcomesOfMailboxes(t *testing.T) {
	t.Parallel()
	b := &boxes{answers: map[string]error{"ann": nil, "bob": nil, "full": fmt.Errorf("bob: %w", errQuota), "disk": errStorage}}
	m, log := obs.NewMetrics(), &sim.Output{}
	l := deliver.NewLocal(quotaBoxes{b}, deliver.WithMetrics(m), deliver.WithLog(slog.New(slog.NewTextHandler(log, nil))))
	r := runLocal(t.Context(), t, l, toBoxes("m1", "ann", "gone", "full", "disk"), toBoxes("m2", "bob"), toBoxes("m3"))
	const want = "delivered 250 2.1.5, failed 550 5.1.1, deferred 452 4.2.2, deferred 451 4.3.0; delivered 250 2.1.5; "
	if got := r.text(); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	for _, o := range r.outcomes[0] {
		if strings.Contains(o.Reply.Text, "/var/lib") {
			t.Errorf("the sender is told of our disk: %q", o.Reply.Text)
		}
	}
	if !strings.Contains(log.String(), "input/output error") || strings.Contains(log.String(), "quota") {
		t.Errorf("the log has %q", log)
	}
	if len(b.items) != 2 {
		t.Errorf("%d items", len(b.items))
	}
	counted, err := m.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]float64{
		"postroad_mailbox_deliveries_total": 5, "postroad_mailbox_bytes_total": float64(2 * len(body)), "postroad_deliver_seconds": 3,
	} {
		if counted[name] != want {
			t.Errorf("%s is %v, want %v", name, counted[name], want)
		}
	}
}

func TestContentThatIsDamagedIsHeldForAPerson(t *testing.T) {
	t.Parallel()
	b := &boxes{answers: map[string]error{"ann": errStorage, "full": errQuota}}
	log := &sim.Output{}
	d := toBoxes("m1", "ann", "full", "gone")
	d.Content = mail.Content{Open: opened(nil, errStorage, new(int)).Open}
	r := runLocal(t.Context(), t, deliver.NewLocal(quotaBoxes{b}, deliver.WithLog(slog.New(slog.NewTextHandler(log, nil)))), d)
	if got := r.text(); got != "held 451 4.3.0, held 451 4.3.0, held 451 4.3.0" {
		t.Errorf("got %s", got)
	}
	if strings.Contains(log.String(), "mailbox not written") || strings.Count(log.String(), "stored content is damaged") != 3 {
		t.Errorf("the log blames the mailbox: %s", log)
	}
}

func TestMailboxesThatCannotTellTheirQuota(t *testing.T) {
	t.Parallel()
	b := &boxes{answers: map[string]error{"full": errQuota}}
	if got := runLocal(t.Context(), t, deliver.NewLocal(b), toBoxes("m1", "full")).text(); got != "deferred 451 4.3.0" {
		t.Errorf("got %s", got)
	}
}

func TestWhatAMailboxGets(t *testing.T) {
	t.Parallel()
	const letter = "From: =?utf-8?q?J=C3=BCrgen?= <j@sender.example>\r\nSubject: A\r\n letter\r\nDate: Sun, 22 Nov 2026 10:00:00 +0000\r\n\r\nSubject: not this\r\n"
	for name, content := range map[string]mail.Content{
		"inline":  {Inline: []byte(letter)},
		"file":    opened(strings.NewReader(letter), nil, new(int)),
		"no file": opened(nil, errStorage, new(int)), // the store will say what is wrong
	} {
		t.Run(name, func(t *testing.T) {
			b := &boxes{answers: map[string]error{"ann": nil}}
			d := toBoxes("m1", "ann")
			received := time.Date(2026, 11, 22, 11, 0, 0, 0, time.UTC)
			d.Message.Received, d.Message.Hash, d.Content = received, 42, content
			null := toBoxes("m2", "ann")
			null.Message.Sender = ""
			runLocal(t.Context(), t, deliver.NewLocal(b), d, null)
			if len(b.items) != 2 {
				t.Fatalf("%d items", len(b.items))
			}
			first := b.items[0]
			if first.QueueID != "m1" || first.Mailbox != "ann" || !first.At.Equal(received) || first.Size != int64(len(body)) || first.Hash != 42 {
				t.Errorf("item %+v", first)
			}
			if got := string(first.Prefix); got != "Return-Path: <m1@sender.example>\r\nDelivered-To: ann\r\n" {
				t.Errorf("prefix %q", got)
			}
			if got := string(b.items[1].Prefix); got != "Return-Path: <>\r\nDelivered-To: ann\r\n" {
				t.Errorf("prefix of a report %q", got)
			}
			if name == "no file" {
				return
			}
			if !strings.Contains(first.From, "Jürgen") || first.Subject != "A letter" || !first.Date.Equal(received.Add(-time.Hour)) {
				t.Errorf("summary %q %q %v", first.From, first.Subject, first.Date)
			}
		})
	}
}

func TestAMailboxGetsNothingThatItHasDeliveredBefore(t *testing.T) {
	t.Parallel()
	b := &boxes{answers: map[string]error{"ann": nil, "bob": nil, "carl": errStorage}}
	d := toBoxes("m1", "ann", "bob", "carl", "gone")
	d.Content.Inline = []byte("Delivered-To: BOB\r\nReceived: x\r\nDelivered-To: gone\r\n\r\nDelivered-To: ann\r\n")
	r := runLocal(t.Context(), t, deliver.NewLocal(b), d, toBoxes("m2", "bob"))
	if got := r.text(); got != "delivered 250 2.1.5, failed 554 5.4.6, deferred 451 4.3.0, failed 554 5.4.6; delivered 250 2.1.5" {
		t.Errorf("got %s", got)
	}
	if len(b.items) != 2 || b.items[0].Mailbox != "ann" || b.items[1].QueueID != "m2" {
		t.Errorf("stored %+v", b.items)
	}
}

func TestTheSummaryReadsNoWholeFile(t *testing.T) {
	t.Parallel()
	closed := 0
	endless := &counting{r: io.MultiReader(strings.NewReader("Subject: long\r\n"), zeros{})}
	b := &boxes{answers: map[string]error{"ann": nil}}
	d := toBoxes("m1", "ann")
	d.Content = opened(endless, nil, &closed)
	runLocal(t.Context(), t, deliver.NewLocal(b), d)
	if endless.n > 128<<10 || closed != 1 {
		t.Errorf("%d octets were read, closed %d times", endless.n, closed)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return copy(p, bytes.Repeat([]byte("x"), len(p))), nil }

type counting struct {
	r io.Reader
	n int
}

func (c *counting) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += n
	return n, err
}

func TestDeliveriesAreForgottenWhenTheQueueHasThem(t *testing.T) {
	t.Parallel()
	b := &boxes{answers: map[string]error{"ann": nil, "bob": nil, "disk": errStorage}}
	l := deliver.NewLocal(b)
	runLocal(t.Context(), t, l, toBoxes("m1", "ann", "bob", "disk"), toBoxes("m2", "ann"), toBoxes("m3", "disk"))
	l.Forget(t.Context(), []mail.ID{"m1", "m3", "unknown"})
	if want := []mailbox.DeliveredID{{Mailbox: "ann", QueueID: "m1"}, {Mailbox: "bob", QueueID: "m1"}}; !slices.Equal(b.settled, want) {
		t.Errorf("forgotten %v, want %v", b.settled, want)
	}
	l.Forget(t.Context(), []mail.ID{"m1"})
	if len(b.settled) != 2 {
		t.Errorf("forgotten twice: %v", b.settled)
	}
	l.Forget(t.Context(), []mail.ID{"m2"})
	if len(b.settled) != 3 {
		t.Errorf("forgotten %v", b.settled)
	}
}

func TestADeliveryThatIsCalledOffHasNoOutcome(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	b := &boxes{answers: map[string]error{"ann": nil}}
	if got := runLocal(ctx, t, deliver.NewLocal(b), toBoxes("m1", "ann"), toBoxes("m2", "gone")).text(); got != "-; - | context canceled" {
		t.Errorf("got %s", got)
	}
}
