package receive_test

import (
	"strings"
	"sync"
	"testing"

	"postroad/internal/core/routing"
	"postroad/internal/core/trace"
	"postroad/internal/service/receive"
)

// told remembers what the trace is told.
type told struct {
	mu     sync.Mutex
	events []trace.Event
}

func (r *told) Record(e trace.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events = append(r.events, e)
}

func TestTheTraceIsToldWhatIsTakenAndRefused(t *testing.T) {
	t.Parallel()
	r := &told{}
	w := newWorld(t, func(c *receive.Config) { c.Recorder, c.MessageSize = r, 1000 })
	w.dial(t).play(`
		S: 220
		C: EHLO client.example
		S: 250
		C: MAIL FROM:<x@far.example> SIZE=100
		S: 250
		C: RCPT TO:<nobody@local.example>
		S: 550 5.1.1
		C: RCPT TO:<Ann@local.example>
		S: 250
		C: DATA
		S: 354
		C: .
		S: 250 2.0.0 queued as
		C: MAIL FROM:<x@far.example>
		S: 250
		C: RCPT TO:<bob@local.example>
		S: 250
		C: DATA
		S: 354
		C: ` + strings.Repeat("x", 900) + `
		C: ` + strings.Repeat("x", 900) + `
		C: .
		S: 552 5.3.4
		C: QUIT
		S: 221
		S: closed`)
	if len(r.events) != 3 {
		t.Fatalf("%+v", r.events)
	}
	refused, accepted, large := r.events[0], r.events[1], r.events[2]
	if refused.Kind != trace.Refused || refused.ID != "" || refused.Recipient != "nobody@local.example" || refused.Owner != "a" || refused.From != "" ||
		!strings.HasPrefix(refused.Reply, "550 5.1.1") || len(refused.Reasons) == 0 || refused.Client.Helo != "client.example" || refused.Size != 100 {
		t.Errorf("refused: %+v", refused)
	}
	if accepted.Kind != trace.Accepted || accepted.ID != w.accepted[0].Message.ID || accepted.Sender != "x@far.example" || accepted.Asker != routing.Stranger ||
		accepted.Size != w.accepted[0].Message.Size || len(accepted.Decisions) != 1 || accepted.Decisions[0].Recipient != "Ann@local.example" ||
		accepted.Decisions[0].Owner != "a" || accepted.Decisions[0].Destinations[0].Address != "ann@local.example" {
		t.Errorf("accepted: %+v", accepted)
	}
	if large.Kind != trace.Refused || !large.Content || large.Recipient != "bob@local.example" || !strings.HasPrefix(large.Reply, "552") {
		t.Errorf("too large: %+v", large)
	}
}
