package deliver

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"time"

	"postroad/internal/core/mail"
	"postroad/internal/proto/smtp"
)

// attempt is one batch on its way.
type attempt struct {
	service *Service
	lane    mail.Lane
	avoid   string
	work    []*work
	open    int           // deliveries not reported yet
	tried   bool          // some host has answered for some message
	last    mail.LaneDown // why the last host could not be used
	mark    time.Time     // when the last delivery was reported
	done    func(int, []mail.Outcome)
}

// work is one delivery of an attempt.
type work struct {
	*mail.Delivery
	index int    // in the batch
	trace []byte // field that goes before the content; made for the first transaction
	rows  []row
	lost  place // the address to which its connection broke; it is not sent there again
	ended bool  // reported
}

// row is one recipient row of an attempt.
type row struct {
	outcome mail.Outcome // Result 0 while open; the last temporary reply stands in it already
	heard   []string     // hosts that have put it off: they are not asked again in this attempt
}

func (s *Service) attempt(lane mail.Lane, p part, batch []mail.Delivery, done func(int, []mail.Outcome)) *attempt {
	a := &attempt{
		service: s, lane: lane, avoid: p.avoid, work: make([]*work, len(p.index)), open: len(p.index), mark: time.Now(), done: done,
	}
	for k, i := range p.index {
		a.work[k] = &work{Delivery: &batch[i], index: i, rows: make([]row, len(batch[i].Recipients))}
	}
	return a
}

// run attempts everything.
func (a *attempt) run(ctx context.Context) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	route := a.service.routeOf(a.lane)
	if c := a.service.idle.take(a.lane, func(c *connection) bool { return !c.twin && c.route == route }); c != nil {
		a.use(ctx, c)
	}
	if a.open > 0 && ctx.Err() == nil {
		p, why := a.service.plan(ctx, a.lane, a.avoid)
		if why != nil {
			a.service.find(ctx, why, domainsOf(a.work))
			return a.resign(ctx, why)
		}
		for _, t := range p.targets {
			a.visit(ctx, p, t)
		}
	}
	return a.rest(ctx)
}

// visit gives a target everything that it may be given, over as many connections as it takes.
func (a *attempt) visit(ctx context.Context, p plan, t target) {
	barren, patience := 0, 1
	for a.wants(t) && ctx.Err() == nil {
		c := a.service.idle.take(a.lane, func(c *connection) bool { return c.addr == t.addr && c.host == t.host && c.route == p.route })
		if c == nil {
			var err error
			if c, err = a.service.connect(ctx, a.lane, t, p); err != nil {
				a.unusable(ctx, t, err)
				a.notLetIn(ctx, &p.route, t, err)
				return
			}
			if a.lane.Transport() != mail.TransportRemote {
				a.service.offers.note(t, c.client.Extensions())
			}
		}
		reused := c.used
		switch decided := a.use(ctx, c); {
		case decided > 0:
			barren, patience = 0, fruitless // it answers: others need not suffer for a message that breaks connections
		case !reused:
			if barren++; barren >= patience {
				return
			}
		}
	}
}

// wants reports whether something is left that a target may be given.
func (a *attempt) wants(t target) bool {
	return slices.ContainsFunc(a.work, func(w *work) bool { return len(w.sendable(t.host, t.addr)) > 0 })
}

// sendable are the rows of a delivery that a host may be given at an address.
func (w *work) sendable(host string, addr place) []int {
	if w.ended || w.lost == addr {
		return nil
	}
	which := make([]int, 0, len(w.rows))
	for j := range w.rows {
		if w.rows[j].outcome.Result == 0 && !slices.Contains(w.rows[j].heard, host) {
			which = append(which, j)
		}
	}
	return which
}

// unusable notes why a target could not be used.
func (a *attempt) unusable(ctx context.Context, t target, err error) {
	reply := smtp.Reply{Code: 450, Enhanced: notAnswering, Text: shorten(err.Error())}
	if e := (*hostError)(nil); errors.As(err, &e) {
		reply = e.reply()
	}
	a.last = mail.LaneDown{Reply: reply, Host: a.service.told(t.host), Addr: t.addr.Addr()}
	a.service.log.InfoContext(ctx, "host not usable", "lane", string(a.lane), "host", t.host, "address", t.addr.String(), "error", err)
}

// use sends what is open over a connection, reports what has ended and lets the connection wait for more. It
// returns how many messages were decided over it: with none the connection was good for nothing.
func (a *attempt) use(ctx context.Context, c *connection) (decided int) {
	b := a.batch(c)
	renew, stop := c.watch(ctx, b.limit(0))
	err := c.client.Send(b.tx, func(k int, r smtp.Result) {
		b.result(ctx, k, r)
		renew(b.limit(k + 1))
	})
	stop()
	c.sent += b.decided
	if err != nil {
		a.last = mail.LaneDown{Reply: smtp.Reply{Code: 450, Enhanced: badSession, Text: c.reason(err)}, Host: a.service.told(c.host), Addr: c.addr.Addr()}
	}
	if err != nil || c.sent >= maxPerClient {
		a.service.quit(c)
		return b.decided
	}
	c.used = true
	a.service.keep(a.lane, c)
	return b.decided
}

// reason says why a connection ended.
func (c *connection) reason(err error) string {
	if c.cut.Load() {
		return "the message took too long"
	}
	return shorten(err.Error())
}

// batch is what is sent over one connection at once.
type batch struct {
	*attempt
	c       *connection
	tx      []smtp.Transaction
	work    []*work
	rows    [][]int // of work, for each recipient of a transaction
	decided int     // transactions
}

func (a *attempt) batch(c *connection) *batch {
	b := &batch{attempt: a, c: c}
	for _, w := range a.work {
		which := w.sendable(c.host, c.addr)
		if len(which) == 0 {
			continue
		}
		if w.trace == nil {
			w.trace = a.service.cfg.Trace.AppendTo(nil, w.Message.Root, w.Recipients)
		}
		for len(which) > 0 {
			alike, others := w.alike(which)
			b.tx, b.work, b.rows = append(b.tx, w.transaction(alike)), append(b.work, w), append(b.rows, alike)
			which = others
		}
	}
	return b
}

// alike divides rows into those that may share a transaction with the first, and the others.
func (w *work) alike(which []int) (alike, others []int) {
	first := &w.Recipients[which[0]]
	for n, j := range which {
		if w.Recipients[j].Alike(first) {
			continue
		}
		alike = which[:n:n]
		for _, j := range which[n:] {
			if w.Recipients[j].Alike(first) {
				alike = append(alike, j)
			} else {
				others = append(others, j)
			}
		}
		return alike, others
	}
	return which, nil
}

// limit is how long transaction k may take.
func (b *batch) limit(k int) time.Duration {
	if k >= len(b.tx) {
		return messageTimeout
	}
	return messageTimeout + time.Duration(b.tx[k].Size/slowestRate)*time.Second
}

// transaction makes the SMTP transaction for some rows of a delivery, which are alike.
func (w *work) transaction(which []int) smtp.Transaction {
	m, first := w.Message, &w.Recipients[which[0]]
	above := w.trace
	if len(first.Head) > 0 {
		above = slices.Concat(w.trace, first.Head)
	}
	tx := smtp.Transaction{
		From: first.ReversePath(m), Size: m.Size + int64(len(above)), Body: m.Body, UTF8: m.UTF8, Ret: m.Ret, EnvID: m.EnvID,
		To: make([]smtp.Recipient, len(which)),
	}
	if w.Content.Inline != nil {
		tx.Content = [][]byte{above, w.Content.Inline}
	} else {
		tx.Content, tx.Open = [][]byte{above}, w.Content.Open
	}
	for k, j := range which {
		r := &w.Recipients[j]
		tx.To[k] = smtp.Recipient{To: r.Destination, Notify: r.Notify, ORcpt: r.ORcpt}
	}
	return tx
}

var (
	replyAfterDot  = smtp.Reply{Code: 451, Enhanced: smtp.Enhanced{4, 4, 2}, Text: "no reply after the final dot; the message may have arrived"}
	replyCalledOff = smtp.Reply{Code: 451, Enhanced: smtp.Enhanced{4, 3, 2}, Text: "the attempt was called off"}
	replyContent   = smtp.Reply{Code: 451, Enhanced: smtp.Enhanced{4, 3, 0}, Text: "the content could not be read"}
)

// result judges one transaction's replies.
func (b *batch) result(ctx context.Context, k int, r smtp.Result) {
	w := b.work[k]
	taken := slices.ContainsFunc(r.Recipients, smtp.Reply.Positive)
	settled, decided := 0, false
	for n, j := range b.rows[k] {
		reply := r.Recipients[n]
		o := mail.Outcome{Reply: reply, Host: b.service.told(b.c.host), Addr: b.c.addr.Addr(), DSN: b.c.client.Extensions().DSN}
		if r.Phase == smtp.PhaseNone {
			o.Host, o.Addr = "", netip.Addr{} // said here, before the host was asked
		}
		switch {
		case reply.Code == 0 && r.AfterDot:
			o.Result, o.Reply = mail.Deferred, replyAfterDot
		case reply.Code == 0 && errors.Is(r.Err, smtp.ErrContent) && !errors.Is(r.Err, smtp.ErrClosed): // of this message
			o.Result, o.Reply, o.Host, o.Addr = mail.Deferred, replyContent, "", netip.Addr{}
		case reply.Code == 0:
			b.lost(ctx, w, j, r)
			continue
		case reply.Positive():
			o.Result = mail.Delivered
			b.service.arrived(ctx, w.Recipients[j].Destination)
			b.service.relayTook(ctx, &b.c.route, w.Message.Client.Login)
		case reply.Permanent():
			o.Result = mail.Failed
			if ofSender(r.Phase, reply) {
				b.service.relayRefused(ctx, &b.c.route, w.Message.Client.Login, b.c.host+" refuses mail from <"+w.Message.Sender+">: "+reply.String())
			}
		case reply.Code == 421 && r.Phase < smtp.PhaseDot && b.spent():
			continue // the end of a connection that has served: nothing is said of this message
		case taken && tooMany(reply):
			continue // the host takes it with the next transaction
		default: // 4xx: the next exchanger is asked; this stays the reason if none takes it
			w.rows[j].heard = append(w.rows[j].heard, b.c.host)
		}
		decided = true
		if o.Result != 0 {
			settled++
		}
		w.settle(j, o)
	}
	if decided {
		b.decided++
		b.tried = true
	}
	if settled == len(b.rows[k]) {
		b.reportEnded(w)
	}
}

// spent reports whether the end of the connection may have nothing to do with the message that met it: the
// connection has served before.
func (b *batch) spent() bool { return b.c.used || b.c.sent+b.decided > 0 }

// lost notes that a connection broke before a host had answered for a row, unless we broke it.
func (b *batch) lost(ctx context.Context, w *work, j int, r smtp.Result) {
	if r.Phase == smtp.PhaseNone || b.spent() || ctx.Err() != nil {
		return
	}
	w.lost = b.c.addr
	if w.rows[j].outcome.Reply.Code == 0 {
		text := "the connection was lost in " + r.Phase.String() + ": " + b.c.reason(r.Err)
		w.settle(j, mail.Outcome{Reply: smtp.Reply{Code: 450, Enhanced: badSession, Text: text}, Host: b.service.told(b.c.host), Addr: b.c.addr.Addr()})
	}
}

// tooMany reports whether a reply says that the recipient is one too many for this transaction
// (RFC 5321 §4.5.3.1.10).
func tooMany(r smtp.Reply) bool {
	return r.Code == 452 && (r.Enhanced.IsZero() || r.Enhanced == smtp.Enhanced{4, 5, 3})
}

// settle gives a row its outcome, or the reason why it has none yet.
func (w *work) settle(j int, o mail.Outcome) {
	o.Row, o.At, o.Reply.Text = w.Recipients[j].Row, time.Now(), shorten(o.Reply.Text)
	w.rows[j].outcome = o
}

// reportEnded reports a delivery all of whose rows have their outcome.
func (a *attempt) reportEnded(w *work) {
	if !slices.ContainsFunc(w.rows, func(r row) bool { return r.outcome.Result == 0 }) {
		a.report(w)
	}
}

// report passes a delivery's outcomes on.
func (a *attempt) report(w *work) {
	outcomes := make([]mail.Outcome, len(w.rows))
	for j := range w.rows {
		outcomes[j] = w.rows[j].outcome
	}
	w.ended = true
	a.open--
	now := time.Now()
	a.service.m.DeliverSeconds.WithLabelValues(string(a.lane.Transport())).Observe(now.Sub(a.mark).Seconds())
	a.mark = now
	a.done(w.index, outcomes)
}

// resign ends a batch whose lane has nowhere to go.
func (a *attempt) resign(ctx context.Context, why *nowhere) error {
	result := why.result()
	if result == mail.Deferred {
		a.last = mail.LaneDown{Reply: why.reply, Host: a.service.cfg.Hostname}
		return a.rest(ctx)
	}
	for _, w := range a.work {
		if w.ended {
			continue
		}
		for j := range w.rows {
			if w.rows[j].outcome.Result == 0 {
				w.settle(j, mail.Outcome{Result: result, Reply: why.reply})
			}
		}
		a.report(w)
	}
	return nil
}

// rest reports deliveries of which some host has said something: their open rows are deferred. The others stay
// in the queue as they are.
func (a *attempt) rest(ctx context.Context) error {
	for _, w := range a.work {
		if w.ended || !slices.ContainsFunc(w.rows, func(r row) bool { return r.outcome.Reply.Code != 0 }) {
			continue
		}
		for j := range w.rows {
			o := w.rows[j].outcome
			if o.Result != 0 {
				continue
			}
			switch {
			case o.Reply.Code != 0:
			case ctx.Err() != nil:
				o.Reply = replyCalledOff
			default:
				o.Reply, o.Host = a.last.Reply, a.last.Host
			}
			o.Result = mail.Deferred
			w.settle(j, o)
		}
		a.report(w)
	}
	switch {
	case ctx.Err() != nil && a.open > 0:
		return ctx.Err()
	case a.open > 0 || !a.tried:
		return &a.last
	}
	return nil
}
