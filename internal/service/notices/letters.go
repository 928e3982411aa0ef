package notices

import (
	"context"
	"fmt"
	"time"

	"github.com/cespare/xxhash/v2"

	"postroad/internal/core/account"
	"postroad/internal/core/mail"
	"postroad/internal/core/notice"
	"postroad/internal/core/routing"
	"postroad/internal/proto/message"
	"postroad/internal/proto/smtp"
)

// Letters sends single messages, such as the codes that show who reads mail at an address.
type Letters struct {
	Hostname string
	Queue    Queue
	Dir      Directory
	Signer   Signer // nil: nobody signs
}

// Post hands a message to the queue, from the postmaster of this host and with the null reverse-path. The error says why
// it cannot be sent.
func (l *Letters) Post(ctx context.Context, owner account.ID, to, subject, text string) error {
	address, err := smtp.ParseAddress(to, true)
	if err != nil {
		return err
	}
	decision := routing.Decide(l.Dir.View(), routing.Session{Kind: routing.Local, UTF8: !ascii(to)}, address)
	if !decision.Accepted() {
		return fmt.Errorf("%s", decision.Reply.Text) //nolint:err113 // told to whoever wanted it sent
	}
	now := time.Now()
	id := l.Queue.NewID(now)
	content := message.Received{By: l.Hostname, ID: string(id), Time: now}.AppendTo(nil)
	letter := notice.Letter{Hostname: l.Hostname, To: to, ID: string(id), Date: now, Subject: subject, Text: text}
	if content, err = letter.AppendTo(content); err != nil {
		return err
	}
	rows := decision.Rows("", smtp.NotifyNever, "")
	sign(ctx, l.Signer, l.Hostname, content, rows)
	for i := range rows {
		rows[i].Original = to
		if rows[i].Account == "" {
			rows[i].Account = owner
		}
	}
	return l.Queue.Accept(ctx, account.System(), mail.Stored{
		Message: &mail.Message{
			ID: id, Root: id, Account: owner, UTF8: !ascii(to), Body: smtp.Body8BitMIME, Size: int64(len(content)), Hash: xxhash.Sum64(content), Received: now,
		},
		Rows: rows, Content: mail.Content{Inline: content},
	})
}

func ascii(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}
