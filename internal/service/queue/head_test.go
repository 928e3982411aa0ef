package queue_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"postroad/internal/core/account"
	"postroad/internal/core/mail"
	"postroad/internal/proto/dkim"
	"postroad/internal/proto/smtp"
	"postroad/internal/service/queue"
)

// sendRows accepts a message of ann with rows to far.example, each as change has it.
func (f *fixture) sendRows(to []string, change func(n int, r *mail.Recipient)) error {
	now := time.Now()
	id := f.q.NewID(now)
	const content = "Subject: one\r\n\r\nbody\r\n"
	st := mail.Stored{
		Message: &mail.Message{ID: id, Root: id, Account: "a", Sender: "ann@here.example", Ret: smtp.RetFull, Size: int64(len(content)), Received: now},
		Content: mail.Content{Inline: []byte(content)},
	}
	for n, r := range to {
		row := mail.Recipient{Account: "a", Original: r, Destination: r, Lane: mail.MakeLane(mail.TransportRemote, "far.example")}
		change(n, &row)
		st.Rows = append(st.Rows, row)
	}
	return f.q.Accept(f.t.Context(), account.System(), st)
}

func TestAReportOfARowWithAnotherSenderGoesToTheMessages(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := start(t, queue.Config{})
		defer f.stop()
		f.remote.answer = refuse
		err := f.sendRows([]string{"forwarded@far.example", "copied@far.example"}, func(n int, r *mail.Recipient) {
			r.Rewritten, r.Notify = true, smtp.NotifyFailure|smtp.NotifySuccess
			if n == 0 {
				r.Sender = "srs0=x@here.example"
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		got := f.reports()
		if len(got) != 1 || !strings.Contains(got[0], "To: <ann@here.example>") || !strings.Contains(got[0], "forwarded@") || strings.Contains(got[0], "copied@") {
			t.Errorf("%d reports: %q", len(got), got)
		}
		if s := f.store.states(); s[mail.StateDead] != 1 || len(s) != 1 {
			t.Errorf("states %v", s) // nobody is told of a row with the null reverse-path
		}
	})
}

func TestNobodyIsToldOfTheSuccessOrDelayOfARowWithTheNullReversePath(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := start(t, queue.Config{})
		defer f.stop()
		f.remote.answer = func(_ mail.Delivery, r mail.Recipient) mail.Outcome {
			if r.Destination == "late@far.example" {
				return mail.Outcome{Result: mail.Deferred, Reply: smtp.Reply{Code: 450}}
			}
			return mail.Outcome{Result: mail.Delivered}
		}
		if err := f.sendRows([]string{"done@far.example", "late@far.example"}, func(_ int, r *mail.Recipient) {
			r.Rewritten, r.Notify = true, smtp.NotifySuccess|smtp.NotifyDelay
		}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Hour)
		if got := f.reports(); len(got) != 0 {
			t.Errorf("reports %q", got)
		}
	})
}

func TestAReportReturnsWhatItsRowsHaveAboveTheContent(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := start(t, queue.Config{})
		defer f.stop()
		f.remote.answer = refuse
		for _, different := range []bool{false, true} {
			if err := f.sendRows([]string{"x@far.example", "y@far.example"}, func(n int, r *mail.Recipient) {
				r.Head = []byte("X-Own: same\r\n")
				if different && n == 1 {
					r.Head = []byte("X-Own: other\r\n")
				}
			}); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Minute)
		}
		got := f.reports()
		if len(got) != 2 || !strings.Contains(got[0], "\r\n\r\nX-Own: same\r\nSubject: one\r\n\r\nbody\r\n") || strings.Contains(got[1], "X-Own") {
			t.Errorf("%d reports: %q", len(got), got)
		}
	})
}

func TestTooMuchAboveTheContentIsNotTaken(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := start(t, queue.Config{})
		defer f.stop()
		err := f.sendRows([]string{"x@far.example"}, func(_ int, r *mail.Recipient) {
			r.Head = []byte("X-Own: " + strings.Repeat("x", mail.MaxHead) + "\r\n")
		})
		if !errors.Is(err, queue.ErrHead) {
			t.Errorf("it says %v", err)
		}
	})
}

func TestHeadsCountAsMemoryOfBodies(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := start(t, queue.Config{InMemory: 8 << 10}) // a lane may take a quarter
		defer f.stop()
		release := make(chan struct{})
		f.remote.answer = func(mail.Delivery, mail.Recipient) mail.Outcome {
			<-release
			return mail.Outcome{Result: mail.Delivered}
		}
		head := func(_ int, r *mail.Recipient) { r.Head = []byte("X-Own: " + strings.Repeat("x", 5<<10) + "\r\n") }
		if err := errors.Join(f.sendRows([]string{"x@far.example"}, head), f.sendRows([]string{"y@far.example"}, head)); err != nil {
			t.Fatal(err)
		}
		if s := f.store.states(); s[mail.StateLeased] != 1 || s[mail.StateWaiting] != 1 {
			t.Errorf("states %v", s)
		}
		close(release)
		time.Sleep(2 * time.Minute)
		if got := len(f.remote.copies()); got != 2 {
			t.Errorf("%d delivered", got)
		}
		if err := f.sendRows([]string{"z@far.example"}, head); err != nil {
			t.Fatal(err)
		}
		if s := f.store.states(); s[mail.StateLeased] != 1 {
			t.Errorf("the memory is not given back: %v", s)
		}
	})
}

// stamp signs with a word.
type stamp struct{}

func (stamp) Sign(_ context.Context, domain string, header []byte, body func() *dkim.Body) []byte {
	if sum, err := body().Sum(dkim.Relaxed); err != nil || len(sum) == 0 || !strings.Contains(string(header), "Subject:") {
		return []byte("X-Stamp: wrong\r\n")
	}
	return []byte("X-Stamp: " + domain + "\r\n")
}

func TestReportsAreSignedForTheHost(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := start(t, queue.Config{Hostname: "mx.here.example", Signer: stamp{}})
		defer f.stop()
		f.remote.answer = refuse
		f.send("ann@here.example", 0, "x@far.example")
		time.Sleep(time.Minute)
		list := f.local.deliveries()
		if len(list) != 1 || string(list[0].Recipients[0].Head) != "X-Stamp: mx.here.example\r\n" {
			t.Errorf("reports %+v", list)
		}
	})
}
