package queue

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"postroad/internal/core/account"
	"postroad/internal/core/mail"
	"postroad/internal/core/routing"
	"postroad/internal/proto/dkim"
	"postroad/internal/proto/message"
	"postroad/internal/proto/smtp"

	"github.com/cespare/xxhash/v2"
)

// reported is a row that the sender is to hear of.
type reported struct {
	row     mail.Recipient
	change  RowChange
	outcome mail.Outcome
	kind    tell
}

// maxReturned bounds the part of an original that is read for a report.
const maxReturned = 1 << 20

// about is what one report tells: of one kind, of rows that one account may know of. Whoever may read a report while it
// is queued reads nothing of somebody else's recipients.
type about struct {
	kind  tell
	owner account.ID
}

// owner is who answers for a report about a row: the account of the login that sent the message, else the row's.
func owner(m *mail.Message, r *mail.Recipient) account.ID {
	if m.Client.Login != "" {
		return m.Account
	}
	return r.Account
}

// withReports gives the settlements for a delivery: one for the rows of which nobody is told, and one for each report
// with the rows that it speaks of.
func (s *Service) withReports(ctx context.Context, d mail.Delivery, quiet []RowChange, told []reported) []Settlement {
	reports := map[about][]reported{}
	var order []about
	var original []byte
	if len(told) > 0 {
		original = s.original(ctx, d)
	}
	for _, t := range told {
		if t.kind == tellDelayed && fromList(original) {
			quiet = append(quiet, t.change)
			continue
		}
		a := about{t.kind, owner(d.Message, &t.row)}
		if reports[a] == nil {
			order = append(order, a)
		}
		reports[a] = append(reports[a], t)
	}
	var out []Settlement
	for _, a := range order {
		c := Settlement{Report: s.report(d.Message, a, reports[a], original), Word: string(a.kind.word())}
		for _, t := range reports[a] {
			c.Rows = append(c.Rows, t.change)
		}
		if c.Report == nil {
			bury(c.Rows)
			quiet = append(quiet, c.Rows...)
			continue
		}
		out = append(out, c)
	}
	if len(quiet) > 0 {
		out = append(out, Settlement{Rows: quiet})
	}
	return out
}

// bury keeps rows that have failed and whose sender cannot be told: dead, visible to their owner.
func bury(rows []RowChange) {
	for i := range rows {
		if rows[i].State == mail.StateFailed {
			rows[i].State = mail.StateDead
		}
	}
}

// original reads the message that a report speaks of, at most maxReturned octets; what cannot be read is left out.
func (s *Service) original(ctx context.Context, d mail.Delivery) []byte {
	c := d.Content
	if c.Inline == nil && c.Open == nil {
		var err error
		if c, err = s.spool.Body(ctx, account.System(), d.Message.ID); err != nil {
			s.log.WarnContext(ctx, "original not read for a report", "queue_id", string(d.Message.ID), "error", err)
			return nil
		}
	}
	if c.Inline != nil {
		return c.Inline
	}
	r, err := c.Open()
	if err != nil {
		s.log.WarnContext(ctx, "original not read for a report", "queue_id", string(d.Message.ID), "error", err)
		return nil
	}
	defer r.Close() //nolint:errcheck // only read from
	b, err := io.ReadAll(io.LimitReader(r, maxReturned))
	if err != nil {
		s.log.WarnContext(ctx, "original read in part for a report", "queue_id", string(d.Message.ID), "error", err)
	}
	return b
}

// fromList reports whether a message comes from a list or a program, which no delay notice helps (RFC 3834 §2).
func fromList(original []byte) bool {
	header, _, _ := message.SplitHeader(original)
	if message.HasField(header, "List-Id") {
		return true
	}
	for _, v := range message.Values(header, "Precedence") {
		switch strings.ToLower(strings.TrimSpace(v)) {
		case "list", "bulk", "junk":
			return true
		}
	}
	return false
}

// report composes a delivery status notification (RFC 3464) and its rows, to be prepared as those of new mail; nil when
// it has no way to go.
func (s *Service) report(m *mail.Message, a about, rows []reported, original []byte) *mail.Stored {
	kind := a.kind
	to, err := smtp.ParseSender(m.Sender, true)
	if err != nil {
		return nil
	}
	decision := routing.Decide(s.dir.View(), routing.Session{Kind: routing.Local}, to)
	if !decision.Accepted() {
		return nil
	}
	now := time.Now()
	age := s.age.Load()
	id := s.NewID(now)
	r := message.Report{
		ReportingMTA: s.cfg.Hostname, From: "Mail Delivery System <postmaster@" + s.cfg.Hostname + ">", To: m.Sender,
		MessageID: string(id) + "@" + s.cfg.Hostname, Date: now, ArrivalDate: m.Received, EnvID: m.EnvID,
		Original: above(rows, original), HeadersOnly: m.Ret != smtp.RetFull || int64(len(original)) < m.Size || kind != tellFailed,
		UTF8: m.UTF8, Kind: kind.word(),
	}
	for _, t := range rows {
		entry := message.ReportRecipient{
			Original: t.row.ORcpt, Final: t.row.Original, Action: kind.word(), Status: status(kind, t.outcome.Reply),
			RemoteMTA: t.outcome.Host, Diagnostic: t.change.LastReply, LastAttempt: t.outcome.At,
			Reason: reason(kind, t),
		}
		if t.row.Lane.Transport() == mail.TransportLocal {
			entry.RemoteMTA, entry.Diagnostic = "", ""
		}
		if kind == tellDelayed {
			entry.WillRetryUntil = now.Add(time.Duration(t.row.ExpireAge-age) * time.Second)
			r.Until = entry.WillRetryUntil
		}
		r.Recipients = append(r.Recipients, entry)
	}
	content := message.Received{By: s.cfg.Hostname, ID: string(id), Time: now}.AppendTo(nil)
	content = r.AppendTo(content)
	st := &mail.Stored{
		Message: &mail.Message{
			ID: id, Root: m.Root, Account: a.owner, UTF8: r.NeedsSMTPUTF8(), Body: smtp.Body8BitMIME, Size: int64(len(content)),
			Hash: xxhash.Sum64(content), Received: now,
		},
		Rows:    decision.Rows(m.Sender, smtp.NotifyNever, ""),
		Content: mail.Content{Inline: content},
	}
	head := s.signed(content)
	for i := range st.Rows {
		st.Rows[i].Head = head
		if st.Rows[i].Account == "" {
			st.Rows[i].Account = a.owner
		}
	}
	s.m.QueueReports.WithLabelValues(string(kind.word())).Inc()
	return st
}

// signed gives the signature of a message that is made here, by the domain of this host's name.
func (s *Service) signed(content []byte) []byte {
	if s.cfg.Signer == nil {
		return nil
	}
	header, body, _ := message.SplitHeader(content)
	return s.cfg.Signer.Sign(context.WithoutCancel(s.ctx), s.cfg.Hostname, header, func() *dkim.Body {
		b := dkim.NewBody(dkim.Relaxed)
		_, _ = b.Write(body)
		return b
	})
}

// above gives an original as it was sent for rows: with what they all have above it.
func above(rows []reported, original []byte) []byte {
	head := rows[0].row.Head
	if len(head) == 0 || len(original) == 0 {
		return original
	}
	for i := range rows[1:] {
		if !bytes.Equal(rows[1+i].row.Head, head) {
			return original
		}
	}
	return slices.Concat(head, original)
}

func (k tell) word() message.ReportKind {
	switch k {
	case tellDelivered:
		return message.Delivered
	case tellRelayed:
		return message.Relayed
	case tellDelayed:
		return message.Delayed
	case tellFailed, tellNothing:
		return message.Failed
	}
	return message.Failed
}

// status is the enhanced code of a report's recipient: the reply's own where it fits the kind.
func status(kind tell, reply smtp.Reply) string {
	e := reply.Enhanced
	class := uint16(2)
	switch kind {
	case tellFailed:
		class = 5
	case tellDelayed:
		class = 4
	case tellDelivered, tellRelayed, tellNothing:
	}
	if kind == tellFailed && e[0] == 4 {
		return "5.4.7" // the time for temporary failures is over (RFC 3463 §3.5)
	}
	if e[0] != class {
		return fmt.Sprintf("%d.0.0", class)
	}
	return fmt.Sprintf("%d.%d.%d", e[0], e[1], e[2])
}

// reason is our own sentence for a row of a report.
func reason(kind tell, t reported) string {
	switch kind {
	case tellFailed:
		if t.outcome.Result == mail.Deferred {
			return "It could not be delivered within the time for which we keep trying."
		}
		if t.outcome.Host != "" {
			return "The server " + t.outcome.Host + " refused it for good."
		}
		return "It cannot be delivered."
	case tellDelayed:
		if t.outcome.Host != "" {
			return "The server " + t.outcome.Host + " does not take it at the moment."
		}
		return "It cannot be delivered at the moment."
	case tellRelayed:
		return "It was handed to " + t.outcome.Host + ", which does not report further."
	case tellDelivered:
		return "It is in the mailbox."
	case tellNothing:
	}
	return ""
}
