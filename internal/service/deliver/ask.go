package deliver

import (
	"context"
	"fmt"
	"strconv"

	"postroad/internal/core/mail"
	"postroad/internal/proto/smtp"
)

// Host is one address at which a lane's mail would be tried, for who asks about recipients only.
type Host struct {
	s    *Service
	lane mail.Lane
	t    target
	p    plan
}

// Hosts finds where a lane's mail would be tried now, in order, by the same rules as for a delivery. The error says why
// there is nowhere.
func (s *Service) Hosts(ctx context.Context, lane mail.Lane) ([]Host, error) {
	p, none := s.plan(ctx, lane, "")
	if none != nil {
		return nil, fmt.Errorf("nobody to ask: %s", none.reply.Text) //nolint:err113 // told to people, nobody tests for it
	}
	hosts := make([]Host, len(p.targets))
	for i, t := range p.targets {
		hosts[i] = Host{s: s, lane: lane, t: t, p: p}
	}
	return hosts, nil
}

// Name is the host's name, its address where it has none, or the path of a socket.
func (h Host) Name() string { return h.t.host }

// Address is what is dialled: hosts with one address are one server.
func (h Host) Address() string { return h.t.addr.String() }

// Key tells which hosts can share a session: those for which it was opened under the same rules.
func (h Host) Key() string {
	return h.Address() + " " + h.Name() + " " + strconv.FormatBool(h.t.operator) + " " + strconv.FormatBool(h.p.lmtp)
}

// Open opens a session up to where MAIL can be sent: under TLS where that is offered. The caller owes a Close.
func (h Host) Open(ctx context.Context) (*Asking, error) {
	c, err := h.s.connect(ctx, h.lane, h.t, h.p)
	if err != nil {
		return nil, err
	}
	return &Asking{s: h.s, c: c}, nil
}

// Asking is a session in which recipients are asked for. It is used by one goroutine at a time.
type Asking struct {
	s *Service
	c *connection
}

// Ask asks for a recipient as smtp.Client.Ask does, until ctx ends, which ends the connection.
func (a *Asking) Ask(ctx context.Context, to string) (sender, recipient smtp.Reply, err error) {
	stop := context.AfterFunc(ctx, func() { _ = a.c.conn.Close() }) // what is waited for fails by it
	defer stop()
	return a.c.client.Ask(to)
}

// Close says goodbye.
func (a *Asking) Close() { a.s.quit(a.c) }
