package routing

import (
	"postroad/internal/core/mail"
	"postroad/internal/proto/smtp"
)

// Rows makes the rows by which an accepted recipient is queued, one per destination. Numbers, times and
// states are the queue's to give.
func (d *Decision) Rows(original string, notify smtp.Notify, orcpt string) []mail.Recipient {
	rows := make([]mail.Recipient, len(d.Destinations))
	for i, to := range d.Destinations {
		account := to.Account
		if account == "" {
			account = d.Account
		}
		rows[i] = mail.Recipient{
			Account: account, Original: original, Destination: to.Address, Mailbox: to.Mailbox,
			Notify: notify, ORcpt: orcpt, Lane: to.Lane, Forward: to.Forward,
		}
		if to.Copy {
			rows[i].Copy, rows[i].Notify, rows[i].ORcpt = true, smtp.NotifyNever, ""
		}
		if to.Archive { // the null sender is nobody that a report or an answer could go to
			rows[i].Rewritten, rows[i].Sender, rows[i].Notify, rows[i].ORcpt = true, "", smtp.NotifyNever, ""
		}
	}
	return rows
}
