package deliver

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"postroad/internal/core/account"
	"postroad/internal/core/mail"
	"postroad/internal/core/mailbox"
	"postroad/internal/obs"
	"postroad/internal/proto/message"
	"postroad/internal/proto/smtp"
)

// Local delivers into mailboxes of this installation: the agent of transport local. Its methods may be called at
// once.
type Local struct {
	boxes Mailboxes
	m     *obs.Metrics
	log   *slog.Logger

	mu     sync.Mutex
	recent map[mail.ID][]string // mailboxes that a message went to, until the queue has recorded it
}

// LocalOption changes a Local while it is made.
type LocalOption func(*Local)

// WithMetrics counts in m; without it a Local counts for itself.
func WithMetrics(m *obs.Metrics) LocalOption { return func(l *Local) { l.m = m } }

// WithLog tells log why a mailbox could not be written to; senders are not told.
func WithLog(log *slog.Logger) LocalOption { return func(l *Local) { l.log = log } }

// NewLocal makes the agent of transport local.
func NewLocal(boxes Mailboxes, options ...LocalOption) *Local {
	l := &Local{boxes: boxes, log: slog.New(slog.DiscardHandler), recent: map[mail.ID][]string{}}
	for _, option := range options {
		option(l)
	}
	if l.m == nil {
		l.m = obs.NewMetrics()
	}
	return l
}

// Deliver puts each row's message into its mailbox; a queue id enters a mailbox at most once. The error is the
// context's: what it interrupted has no outcome. Mailboxes have no lane that could be down.
func (l *Local) Deliver(ctx context.Context, _ mail.Lane, batch []mail.Delivery, done func(int, []mail.Outcome)) error {
	begun := time.Now()
	var items []mailbox.Item
	var circling []int // places among all rows
	place := 0
	for _, d := range batch {
		summary, delivered := summarize(d.Content)
		for _, r := range d.Recipients {
			place++
			if slices.ContainsFunc(delivered, func(to string) bool { return strings.EqualFold(to, r.Destination) }) {
				circling = append(circling, place-1)
				continue
			}
			items = append(items, mailbox.Item{
				Mailbox: r.Mailbox, QueueID: d.Message.ID, At: d.Message.Received, Size: d.Message.Size, Hash: d.Message.Hash,
				Prefix: finalTrace(r.ReversePath(d.Message), r.Destination, r.Head), Content: d.Content,
				From: summary.From, Subject: summary.Subject, Date: summary.Date, Use: useOf(&r), Keyword: keywordOf(&r),
			})
		}
	}
	errs := l.boxes.Deliver(ctx, account.System(), items)
	for _, at := range circling {
		errs = slices.Insert(errs, at, errCircle)
	}
	now := time.Now()
	for i, d := range batch {
		own := errs[:len(d.Recipients)]
		errs = errs[len(d.Recipients):]
		if ctx.Err() != nil && slices.ContainsFunc(own, func(err error) bool { return errors.Is(err, ctx.Err()) }) {
			continue
		}
		outcomes := make([]mail.Outcome, len(own))
		for j, r := range d.Recipients {
			outcomes[j] = l.outcome(ctx, d, r, own[j])
			outcomes[j].At = now
		}
		l.m.DeliverSeconds.WithLabelValues(string(mail.TransportLocal)).Observe(now.Sub(begun).Seconds())
		done(i, outcomes)
	}
	return ctx.Err()
}

// useOf is the special use of the folder that a row goes to; empty for the inbox.
func useOf(r *mail.Recipient) string {
	if r.Junk {
		return "\\Junk"
	}
	return ""
}

// keywordOf is the keyword that a row's message begins with. Of an archive copy no read receipt is to be sent, whatever its
// sender asks for; the message itself is not changed, for what asks may be signed.
func keywordOf(r *mail.Recipient) string {
	if r.ArchiveCopy() {
		return mailbox.MDNSent
	}
	return ""
}

// outcome is what a mailbox's answer means for a row.
func (l *Local) outcome(ctx context.Context, d mail.Delivery, r mail.Recipient, err error) mail.Outcome {
	o, word, m := mail.Outcome{Row: r.Row}, "failed", d.Message
	switch {
	case err == nil:
		o.Result, word = mail.Delivered, "stored"
		o.Reply = smtp.Reply{Code: 250, Enhanced: smtp.Enhanced{2, 1, 5}, Text: "in the mailbox"}
		l.m.MailboxBytes.Add(float64(m.Size))
		l.remember(m.ID, r.Mailbox)
	case d.Content.Inline == nil && d.Content.Blob == "": // damaged in the queue: kept for a person, neither delivered nor returned
		o.Result = mail.Held
		o.Reply = smtp.Reply{Code: 451, Enhanced: smtp.Enhanced{4, 3, 0}, Text: "the stored content is damaged"}
		l.log.ErrorContext(ctx, "stored content is damaged", "queue_id", string(m.ID), "mailbox", r.Mailbox, "error", err)
	case errors.Is(err, errCircle):
		o.Result, o.Reply = mail.Failed, replyCircle
	case !l.boxes.Temporary(err):
		o.Result = mail.Failed
		o.Reply = smtp.Reply{Code: 550, Enhanced: smtp.Enhanced{5, 1, 1}, Text: "the mailbox does not exist"}
	case l.full(err):
		o.Result, word = mail.Deferred, "full"
		o.Reply = smtp.Reply{Code: 452, Enhanced: smtp.Enhanced{4, 2, 2}, Text: "the mailbox is full"}
	default:
		o.Result = mail.Deferred
		o.Reply = smtp.Reply{Code: 451, Enhanced: smtp.Enhanced{4, 3, 0}, Text: "the mailbox cannot be written to now"}
		l.log.ErrorContext(ctx, "mailbox not written", "queue_id", string(m.ID), "mailbox", r.Mailbox, "error", err)
	}
	l.m.MailboxDeliveries.WithLabelValues(word).Inc()
	return o
}

func (l *Local) full(err error) bool {
	q, ok := l.boxes.(QuotaTeller)
	return ok && q.Full(err)
}

func (l *Local) remember(id mail.ID, box string) {
	l.mu.Lock()
	l.recent[id] = append(l.recent[id], box)
	l.mu.Unlock()
}

// Forget drops the mailboxes' memory of messages whose delivery the queue has recorded.
func (l *Local) Forget(ctx context.Context, ids []mail.ID) {
	var items []mailbox.DeliveredID
	l.mu.Lock()
	for _, id := range ids {
		for _, box := range l.recent[id] {
			items = append(items, mailbox.DeliveredID{Mailbox: box, QueueID: id})
		}
		delete(l.recent, id)
	}
	l.mu.Unlock()
	if len(items) > 0 {
		// What is not forgotten now costs a few octets and is swept with time.
		_ = l.boxes.Settled(ctx, account.System(), items)
	}
}

// errCircle says that a message has been in this mailbox before.
var errCircle = errors.New("the message goes in circles")

var replyCircle = smtp.Reply{Code: 554, Enhanced: smtp.Enhanced{5, 4, 6}, Text: "the message has been in this mailbox before, it goes in circles"}

// finalTrace are the trace fields of final delivery: Return-Path (RFC 5321 §4.4), and the mailbox's own address, by
// which a message is known that comes back. The row's own fields follow them.
func finalTrace(sender, address string, head []byte) []byte {
	b := make([]byte, 0, len(sender)+len(address)+34+len(head))
	b = append(b, "Return-Path: <"...)
	b = append(b, sender...)
	b = append(b, ">\r\nDelivered-To: "...)
	b = append(b, address...)
	b = append(b, "\r\n"...)
	return append(b, head...)
}

// headerRead is how much of a content is read for a summary.
const headerRead = 64 << 10

// summarize gives what listings show of a message, and the mailboxes into which it says it was delivered before.
func summarize(c mail.Content) (summary message.Summary, delivered []string) {
	head := c.Inline
	if head == nil && c.Open != nil {
		if r, err := c.Open(); err == nil {
			head, _ = io.ReadAll(io.LimitReader(r, headerRead))
			_ = r.Close()
		}
	}
	header, _, _ := message.SplitHeader(head[:min(len(head), headerRead)])
	return message.Summarize(header), message.Values(header, "Delivered-To")
}
