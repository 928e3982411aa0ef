package acceptance

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// ledger is what a load knows about its messages: sent completely, and acknowledged.
type ledger struct {
	mu    sync.Mutex
	dot   map[string]bool // the final dot was written
	acked map[string]string
}

// load sends messages over parallel sessions until the connection breaks or stop is closed.
func (l *ledger) load(addr string, sessions int, round int, rcpt func(n int) string, stop <-chan struct{}) {
	var wg sync.WaitGroup
	for w := range sessions {
		wg.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				if l.session(addr, fmt.Sprintf("r%d-w%d-%d", round, w, n), rcpt(w)) != nil {
					return
				}
			}
		})
	}
	wg.Wait()
}

// session sends up to 50 messages and gives the error that ended it.
func (l *ledger) session(addr, name, rcpt string) error {
	conn, err := net.DialTimeout("tcp", addr, 5*time.Second)
	if err != nil {
		return err
	}
	defer conn.Close() //nolint:errcheck // the test is about what was answered
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	c := &talk{Conn: conn, r: bufio.NewReader(conn)}
	step := func(line, want string) error {
		if line != "" {
			if _, err := io.WriteString(conn, line); err != nil {
				return err
			}
		}
		if got := c.read(); !strings.HasPrefix(got, want) {
			return fmt.Errorf("%q", got)
		}
		return nil
	}
	if err := step("", "220"); err != nil {
		return err
	}
	if err := step("EHLO load.example\r\n", "250"); err != nil {
		return err
	}
	for k := range 50 {
		id := fmt.Sprintf("%s-%d", name, k)
		if err := step("MAIL FROM:<load@far.example>\r\n", "250"); err != nil {
			return err
		}
		if err := step("RCPT TO:<"+rcpt+">\r\n", "250"); err != nil {
			return err
		}
		if err := step("DATA\r\n", "354"); err != nil {
			return err
		}
		l.mu.Lock()
		l.dot[id] = true
		l.mu.Unlock()
		if _, err := io.WriteString(conn, text(id)+".\r\n"); err != nil {
			return err
		}
		got := c.read()
		if !strings.HasPrefix(got, "250") {
			return fmt.Errorf("%q", got)
		}
		_, queued, _ := strings.Cut(got, "queued as ")
		l.mu.Lock()
		l.acked[id] = queued
		l.mu.Unlock()
	}
	return nil
}

// TestKill9LosesNothingAcknowledged kills the server under load at twenty random moments.
func TestKill9LosesNothingAcknowledged(t *testing.T) {
	i := newInstance(t, "[deliver]\nallow = [\"127.0.0.0/8\"]\n")
	i.run("domain", "add", "local.example", "--proved")
	i.run("domain", "add", "relay.example", "--mode", "relay", "--next-hop", "127.0.0.1:9", "--recipients", "accept", "--proved")
	for w := range 8 {
		i.run("mailbox", "add", fmt.Sprintf("u%d@local.example", w))
	}
	rcpt := func(w int) string {
		if w%2 == 0 {
			return fmt.Sprintf("u%d@relay.example", w)
		}
		return fmt.Sprintf("u%d@local.example", w)
	}
	l := &ledger{dot: map[string]bool{}, acked: map[string]string{}}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	for round := range 20 {
		stop := make(chan struct{})
		done := make(chan struct{})
		go func() {
			l.load(i.smtp, 8, round, rcpt, stop)
			close(done)
		}()
		time.AfterFunc(time.Duration(20+random.IntN(400))*time.Millisecond, func() {
			_ = i.cmd.Process.Signal(syscall.SIGKILL)
		})
		if err := <-i.ended; err == nil {
			t.Error("the server ended by itself")
		}
		close(stop)
		<-done
		before := time.Now()
		i.start()
		if took := time.Since(before); took > 5*time.Second {
			t.Errorf("round %d: %s until the server answered again", round, took)
		}
	}
	i.check(l, 8)
}

// check compares what was acknowledged with what is in mailboxes and queue: nothing acknowledged is lost, nothing
// incomplete is delivered, no message is twice in a mailbox.
func (i *instance) check(l *ledger, users int) {
	i.t.Helper()
	eventually(i.t, "local mail to be delivered", func() bool {
		return ask[counts](i, "queue", "count", "--domain", "local.example").Messages == 0
	})
	seen := map[string]int{}
	for w := range users {
		if w%2 == 0 {
			continue
		}
		for _, m := range ask[[]message](i, "mailbox", "messages", fmt.Sprintf("u%d@local.example", w)) {
			seen[m.Subject]++
		}
	}
	queued := map[string]bool{}
	for _, m := range ask[[]struct {
		ID string `json:"id"`
	}](i, "queue", "list") {
		queued[m.ID] = true
	}
	lost, twice := 0, 0
	for id, queueID := range l.acked {
		if seen[id] == 0 && !queued[queueID] {
			lost++
			i.t.Errorf("%s was acknowledged as %s and is nowhere", id, queueID)
		}
	}
	for id, n := range seen {
		if n > 1 {
			twice++
			i.t.Errorf("%s is %d times in its mailbox", id, n)
		}
		if !l.dot[id] {
			i.t.Errorf("%s was delivered without its final dot", id)
		}
	}
	i.t.Logf("%d acknowledged, %d in mailboxes, %d in the queue, %d lost, %d twice", len(l.acked), len(seen), len(queued), lost, twice)
	if len(l.acked) == 0 {
		i.t.Error("the load sent nothing")
	}
}
