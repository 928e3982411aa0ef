package receive_test

import (
	"testing"
	"time"

	"postroad/internal/core/routing"
)

// small is a next hop that takes 1,000 octets and no SMTPUTF8.
type small struct{}

func (small) UTF8(routing.Hop) (routing.Answer, time.Duration) { return routing.No, 0 }

func (small) Takes(_ routing.Hop, size int64) (routing.Answer, time.Duration) {
	if size > 1000 {
		return routing.No, 0
	}
	return routing.Yes, 0
}

func TestWhatTheNextHopDoesNotTakeIsRefusedAtRCPT(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.view.Hops = small{}
	c := w.dial(t)
	c.play(`
		S: 220
		C: EHLO client.example
		S: 250
		C: MAIL FROM:<x@far.example> SIZE=1001
		S: 250
		C: RCPT TO:<u@relay.example>
		S: 552 5.3.4
		C: RCPT TO:<ann@local.example>
		S: 250
		C: RSET
		S: 250
		C: MAIL FROM:<x@far.example> SIZE=1000 SMTPUTF8
		S: 250
		C: RCPT TO:<u@relay.example>
		S: 550 5.6.7
		C: RCPT TO:<ann@local.example>
		S: 250
		C: RSET
		S: 250`)
	c.play(`
		C: MAIL FROM:<x@far.example> SIZE=2000
		S: 250`)
	for range 30 { // that is no guess at addresses, for which clients are slowed and sent away
		c.play(`
		C: RCPT TO:<u@relay.example>
		S: 552 5.3.4`)
	}
}
