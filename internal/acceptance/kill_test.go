package acceptance

import (
	"fmt"
	"math/rand/v2"
	"syscall"
	"testing"
	"time"
)

// killWorld starts a server with mailboxes, and a domain whose mail goes on to the given next hop.
func killWorld(t *testing.T, hop string) (i *instance, locals, relayed []string) {
	t.Helper()
	i = newInstance(t, "[deliver]\nallow = [\"127.0.0.0/8\"]\n")
	i.run("domain", "add", "local.example", "--proved")
	i.run("domain", "add", "relay.example", "--mode", "relay", "--next-hop", hop, "--recipients", "accept", "--proved")
	for n := range 4 {
		locals, relayed = append(locals, fmt.Sprintf("u%d@local.example", n)), append(relayed, fmt.Sprintf("r%d@relay.example", n))
		i.run("mailbox", "add", locals[n])
	}
	return i, locals, relayed
}

// killed waits for the end of the server, which must be by the signal that nobody can catch.
func (i *instance) killed() {
	i.t.Helper()
	select {
	case err := <-i.ended:
		i.ended <- err
	case <-time.After(20 * time.Second):
		i.t.Fatalf("the server lives on\n%s", tail(i.log.String(), 2000))
	}
	status, ok := i.cmd.ProcessState.Sys().(syscall.WaitStatus)
	if !ok || !status.Signaled() || status.Signal() != syscall.SIGKILL {
		i.t.Fatalf("the server ended by itself: %s\n%s", i.cmd.ProcessState, tail(i.log.String(), 4000))
	}
}

// restartLimit is how long a start may take until the first banner.
const restartLimit = 5 * time.Second

// TestKill9LosesNothingAcknowledged kills the server under load at twenty random moments. The next hop is nobody, so
// that mail for it must last in the queue.
func TestKill9LosesNothingAcknowledged(t *testing.T) {
	i, locals, relayed := killWorld(t, "127.0.0.1:9")
	l := newLedger()
	seed := uint64(time.Now().UnixNano()) //nolint:gosec // any number
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0)) //nolint:gosec // a test's chance
	for round := range 20 {
		done := make(chan struct{})
		w := &load{addr: i.smtp, sessions: 8, messages: 40, seed: random.Uint64(), name: fmt.Sprint("r", round), locals: locals, relayed: relayed}
		go func() {
			w.run(l)
			close(done)
		}()
		time.AfterFunc(time.Duration(20+random.IntN(400))*time.Millisecond, func() {
			_ = i.cmd.Process.Signal(syscall.SIGKILL)
		})
		i.killed()
		<-done
		before := time.Now()
		i.start()

		if took := time.Since(before); took > restartLimit {
			t.Errorf("round %d: %s until the server answered again", round, took)
		}
	}
	i.check(l, locals, nil, nil)
}
