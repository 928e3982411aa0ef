package notices

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/cespare/xxhash/v2"

	"postroad/internal/core/account"
	"postroad/internal/core/directory"
	"postroad/internal/core/mail"
	"postroad/internal/core/notice"
	"postroad/internal/core/routing"
	"postroad/internal/proto/dkim"
	"postroad/internal/proto/message"
	"postroad/internal/proto/smtp"
)

// letter is what is sent to the same addresses, of one account.
type letter struct {
	account account.ID
	to      []string
	rows    []mail.Recipient
	notices []notice.Notice
}

// send sends what is due, what goes to the same people in one message.
func (s *Service) send(ctx context.Context, now time.Time) error {
	due, err := s.store.DueNotices(ctx, account.System(), now, dueMost)
	if err != nil || len(due) == 0 {
		return err
	}
	view := s.dir.View()
	failing := s.queue.Failing()
	letters := map[string]*letter{}
	var order []string
	for _, n := range due {
		to, rows := s.readers(&view, failing, &n)
		if len(to) == 0 {
			problem := "There is no address to which it could be sent: postroad account set ACCOUNT --notices ADDRESS names one."
			if err := s.store.SentNotices(ctx, account.System(), []string{n.ID}, now, nil, problem); err != nil {
				return err
			}
			continue
		}
		k := string(n.Account) + " " + strings.Join(to, " ")
		if letters[k] == nil {
			letters[k] = &letter{account: n.Account, to: to, rows: rows}
			order = append(order, k)
		}
		letters[k].notices = append(letters[k].notices, n)
	}
	for _, k := range order {
		if err := s.post(ctx, letters[k], now); err != nil {
			return err
		}
	}
	return nil
}

// readers are the addresses that a notice goes to, with their ways.
func (s *Service) readers(view *routing.View, failing []mail.Lane, n *notice.Notice) (to []string, rows []mail.Recipient) {
	wanted := s.to.NoticeAddresses(n.Account)
	switch {
	case len(wanted) > 0:
	case n.Account == account.Operator:
		wanted = []string{"postmaster@" + s.cfg.Hostname}
	case named(view.Directory, n.Domain):
		wanted = []string{"postmaster@" + n.Domain}
	}
	for _, text := range wanted {
		address, err := smtp.ParseSender(text, false)
		if err != nil {
			continue
		}
		d := routing.Decide(*view, routing.Session{Kind: routing.Local}, address)
		if !d.Accepted() || !reaches(&d, failing, n.Domain) {
			continue
		}
		to = append(to, text)
		for _, r := range d.Rows("", smtp.NotifyNever, "") {
			r.Original = text
			if r.Account == "" {
				r.Account = n.Account
			}
			rows = append(rows, r)
		}
	}
	return to, rows
}

// named reports whether somebody has a domain's postmaster address here and gets mail at it: without one it would go
// to the operator, who is told anyway.
func named(snap *directory.Snapshot, domain string) bool {
	d, there := snap.Domain(domain)
	if !there || d.Effective() != directory.ModeLocal && d.Effective() != directory.ModeSplit {
		return false
	}
	if _, box := snap.Mailbox(domain, "postmaster"); box {
		return true
	}
	_, rule := snap.Rule(domain, "postmaster")
	return rule
}

// reaches reports whether what is decided reaches somebody: it does not by lanes that are down, nor outside for the
// domain that the notice is about.
func reaches(d *routing.Decision, failing []mail.Lane, about string) bool {
	for i := range d.Destinations {
		to := &d.Destinations[i]
		if to.Mailbox == "" && (slices.Contains(failing, to.Lane) || strings.HasSuffix(to.Address, "@"+about)) {
			return false
		}
	}
	return true
}

// post hands a letter to the queue and notes that.
func (s *Service) post(ctx context.Context, l *letter, now time.Time) error {
	id := s.queue.NewID(now)
	content := message.Received{By: s.cfg.Hostname, ID: string(id), Time: now}.AppendTo(nil)
	m := notice.Mail{Hostname: s.cfg.Hostname, To: l.to, ID: string(id), Date: now, Notices: l.notices}
	content, err := m.AppendTo(content)
	if err != nil {
		return err
	}
	sign(ctx, s.cfg.Signer, s.cfg.Hostname, content, l.rows)
	st := mail.Stored{
		Message: &mail.Message{
			ID: id, Root: id, Account: l.account, Body: smtp.Body8BitMIME, Size: int64(len(content)), Hash: xxhash.Sum64(content), Received: now,
		},
		Rows: l.rows, Content: mail.Content{Inline: content},
	}
	if err := s.queue.Accept(ctx, account.System(), st); err != nil {
		return err
	}
	ids := make([]string, len(l.notices))
	for i := range l.notices {
		ids[i] = l.notices[i].ID
	}
	s.log.InfoContext(ctx, "notices sent", slog.String("queue_id", string(id)), slog.String("account", string(l.account)), slog.Int("notices", len(ids)), slog.String("subject", l.notices[0].Subject))
	return s.store.SentNotices(ctx, account.System(), ids, now, l.to, "")
}

// sign puts the signature of the host's domain above all rows of a message that is made here.
func sign(ctx context.Context, signer Signer, hostname string, content []byte, rows []mail.Recipient) {
	if signer == nil {
		return
	}
	header, body, _ := message.SplitHeader(content)
	head := signer.Sign(ctx, hostname, header, func() *dkim.Body {
		b := dkim.NewBody(dkim.Relaxed)
		_, _ = b.Write(body)
		return b
	})
	for i := range rows {
		rows[i].Head = head
	}
}
