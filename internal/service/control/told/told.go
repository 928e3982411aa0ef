// Package told shows what people were told of their domains' mail, and reads who is to be told.
package told

import (
	"context"
	"slices"
	"time"

	"postroad/internal/core/account"
	"postroad/internal/core/notice"
	"postroad/internal/proto/smtp"
	"postroad/internal/service/control/rights"
	"postroad/internal/service/control/words"
)

// Store keeps what accounts were told.
type Store interface {
	// Notices lists what accounts were told, newest first, of one domain or of all (empty), with ids before the given one
	// (empty: from the newest).
	Notices(ctx context.Context, scope account.Scope, domain, before string, limit int) ([]notice.Notice, error)
}

// NoticeInfo is a notice as listings show it.
type NoticeInfo struct {
	ID      string     `json:"id"`
	At      time.Time  `json:"at"`
	Account account.ID `json:"account" doc:"Who is told"`
	Domain  string     `json:"domain"`
	Event   string     `json:"event" enum:"mode-switched,primary-down,routing-loop,gateway-bypassed,stranded-mailboxes,forward-fuse,ownership-lost,certificate-expiring,sending-paused,sending-near-limit"`
	Ended   bool       `json:"ended,omitempty" doc:"It tells that the event is over"`
	Subject string     `json:"subject"`
	Text    string     `json:"text"`
	State   string     `json:"state" enum:"waits,sent,listed" doc:"waits: it is sent with the next digest; sent; listed: there is no address to send it to"`
	Due     *time.Time `json:"due,omitempty" doc:"When it will be sent"`
	Sent    *time.Time `json:"sent,omitempty"`
	To      []string   `json:"to,omitempty" doc:"Addresses that it was sent to"`
	Problem string     `json:"problem,omitempty" doc:"Why it was sent to nobody"`
}

// List lists what the accounts in scope were told, newest first, before the given id (empty: from the newest), of one domain
// or of all (empty). A domain that is gone can still be asked for by its name.
func List(ctx context.Context, store Store, actor rights.Actor, domain, before string, limit int) ([]NoticeInfo, error) {
	if domain != "" {
		name, err := words.DomainName(domain)
		if err != nil {
			return nil, err
		}
		domain = name
	}
	list, err := store.Notices(ctx, actor.Scope, domain, before, limit)
	if err != nil {
		return nil, err
	}
	out := make([]NoticeInfo, 0, len(list))
	for i := range list {
		n := &list[i]
		info := NoticeInfo{
			ID: n.ID, At: n.At, Account: n.Account, Domain: n.Domain, Event: string(n.Event), Ended: n.Ended, Subject: n.Subject, Text: n.Text,
			State: "waits", To: n.To, Problem: n.Problem,
		}
		switch {
		case n.Sent.IsZero():
			info.Due = &n.Due
		case n.Problem != "":
			info.State = "listed"
		default:
			info.State, info.Sent = "sent", &n.Sent
		}
		out = append(out, info)
	}
	return out, nil
}

// maxAddresses bounds those of one account.
const maxAddresses = 10

// Addresses reads those who are to be told, as people write them; "none" alone is nobody.
func Addresses(list []string) ([]string, error) {
	if len(list) == 1 && list[0] == "none" {
		return nil, nil
	}
	if len(list) > maxAddresses {
		return nil, words.Invalid("There are too many addresses for notices.", "10 are enough: name a group for more")
	}
	var out []string
	for _, text := range list {
		a, err := smtp.ParseAddress(text, false)
		if err != nil {
			return nil, words.Invalid("Notices cannot be sent to "+words.Quote(text)+".", "write an address such as ann@acme.example, in ASCII; none alone for nobody")
		}
		if a := a.String(); !slices.Contains(out, a) {
			out = append(out, a)
		}
	}
	return out, nil
}
