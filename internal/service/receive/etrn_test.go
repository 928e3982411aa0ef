package receive_test

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"testing"

	"postroad/internal/core/directory"
	"postroad/internal/core/mail"
	"postroad/internal/service/receive"
)

// turned notes which mail was started.
type turned struct {
	pending int64
	fails   error
	asked   []string
}

func (q *turned) Turn(_ context.Context, lane mail.Lane, domain string) (int64, error) {
	q.asked = append(q.asked, domain+" "+string(lane))
	return q.pending, q.fails
}

// RFC 1985 §5.
func TestETRNStartsTheMailOfOurDomainsOnly(t *testing.T) {
	t.Parallel()
	hop := []directory.NextHop{{Host: "h.example", Port: 25}}
	for _, c := range []struct {
		name, dialogue string
		q              turned
		trusted        bool
		asked          string
	}{
		{name: "messages wait", q: turned{pending: 3}, asked: "relay.example relay/h.example:25", dialogue: `
			C: ETRN relay.example
			S: 252 2.0.0 pending messages for node relay.example started`},
		{name: "our own networks are told how many", q: turned{pending: 3}, trusted: true, asked: "relay.example relay/h.example:25", dialogue: `
			C: etrn RELAY.example
			S: 253 2.0.0 3 pending messages for node relay.example started`},
		{name: "none waits", asked: "relay.example relay/h.example:25", dialogue: `
			C: ETRN relay.example
			S: 251 2.0.0 no messages waiting`},
		{name: "with names below", q: turned{pending: 1}, trusted: true, asked: "relay.example relay/h.example:25, sub.relay.example remote/sub.relay.example", dialogue: `
			C: ETRN @relay.example
			S: 253 2.0.0 2 pending`},
		{name: "a domain once in a while", q: turned{pending: 3}, asked: "relay.example relay/h.example:25", dialogue: `
			C: ETRN relay.example
			S: 252
			C: ETRN relay.example
			S: 458 4.7.0`},
		{name: "the store fails", q: turned{fails: errors.New("disk")}, asked: "relay.example relay/h.example:25", dialogue: `
			C: ETRN relay.example
			S: 458 4.3.0`},
		{name: "not for others", dialogue: `
			C: ETRN far.example
			S: 459 4.7.1
			C: ETRN local.example
			S: 459 4.7.1
			C: ETRN inert.example
			S: 459 4.7.1
			C: ETRN @far.example
			S: 459 4.7.1`},
		{name: "errors", dialogue: `
			C: ETRN
			S: 500 5.5.4
			C: ETRN a b
			S: 501 5.5.4
			C: ETRN #relay.example
			S: 501 5.5.4
			C: MAIL FROM:<x@far.example>
			S: 250
			C: ETRN relay.example
			S: 503 5.5.1`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, func(cfg *receive.Config) {
				cfg.Turns = &c.q
				if c.trusted {
					cfg.TrustedNetworks = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
				}
			})
			w.view.Directory = w.view.Directory.With(directory.Delta{Version: 2, PutDomains: []directory.Domain{
				{Name: "sub.relay.example", Account: "b", Proved: true, Mode: directory.ModeBackup},
				{Name: "inert.example", Account: "b", Mode: directory.ModeRelay, NextHops: hop},
			}})
			d := w.dial(t)
			d.play(`
				S: 220
				C: ETRN relay.example
				S: 503
				C: EHLO client.example
				S: 250-mx.test.example|250-PIPELINING|250-SIZE 52428800|250-8BITMIME|250-SMTPUTF8|250-ENHANCEDSTATUSCODES|250-CHUNKING|250-DSN|250-LIMITS RCPTMAX=1000|250 ETRN`)
			d.play(c.dialogue)
			d.play(`
				C: QUIT
				S: 221`)
			if got := strings.Join(c.q.asked, ", "); got != c.asked {
				t.Errorf("started: %s, want %s", got, c.asked)
			}
		})
	}
}

func TestETRNIsNotOfferedWithoutSuchADomain(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(cfg *receive.Config) { cfg.Turns = &turned{} })
	w.view.Directory = directory.NewSnapshot(2, []directory.Domain{{Name: "local.example", Account: "a", Proved: true, Mode: directory.ModeLocal}}, nil, nil, nil)
	w.dial(t).play(`
		S: 220
		C: EHLO client.example
		S: 250-mx.test.example|250-PIPELINING|250-SIZE 52428800|250-8BITMIME|250-SMTPUTF8|250-ENHANCEDSTATUSCODES|250-CHUNKING|250-DSN|250 LIMITS RCPTMAX=1000
		C: ETRN local.example
		S: 502 5.5.1
		C: QUIT
		S: 221`)
}
