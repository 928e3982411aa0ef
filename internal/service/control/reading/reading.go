// Package reading shows mailboxes and what they hold.
//
// # Failure
//
// What is out of the actor's scope is refused with a *words.RefusedError as if it were not there. Errors of the mailbox
// store are given as they are.
package reading

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"postroad/internal/core/account"
	"postroad/internal/core/directory"
	"postroad/internal/core/mailbox"
	"postroad/internal/core/routing"
	"postroad/internal/core/sending"
	"postroad/internal/service/control/rights"
	"postroad/internal/service/control/words"
)

// Store is what is read of the mailbox store.
type Store interface {
	// Usage gives message counts and octets of mailboxes by id, of all in scope when ids is empty.
	Usage(ctx context.Context, scope account.Scope, ids []string) (map[string]mailbox.Usage, error)
	// Folders lists a mailbox's folders, INBOX first, then by name.
	Folders(ctx context.Context, scope account.Scope, mailbox string) ([]mailbox.Folder, error)
	// Messages lists a folder by UID from behind after on, at most limit.
	Messages(ctx context.Context, scope account.Scope, mailbox, folder string, after uint32, limit int) ([]mailbox.Message, error)
	// Body opens one message's exact bytes.
	Body(ctx context.Context, scope account.Scope, mailbox, folder string, uid uint32) (io.ReadCloser, error)
}

// Access is how mailboxes are shown.
type Access struct {
	Store         Store  // nil: they hold nothing
	RoutingDomain string // of routing addresses; empty: there are none
}

// Usage is a mailbox as listings show it.
type Usage struct {
	Address  string         `json:"address"`
	Routing  string         `json:"routing_address,omitempty" doc:"Reaches the mailbox whatever the public MX says; absent while the domain is not proved"`
	Messages int64          `json:"messages"`
	Bytes    int64          `json:"bytes"`
	Quota    int64          `json:"quota" doc:"Octets; 0 without limit"`
	Paused   *sending.Pause `json:"paused,omitempty" doc:"Why its user may send nothing: the pause of the login, of its domain or of its account; absent: he may"`
}

// MailboxDetail is a mailbox with its folders.
type MailboxDetail struct {
	Usage
	Folders []MailboxFolder `json:"folders"`
}

// MailboxFolder is a folder of a mailbox.
type MailboxFolder struct {
	Name       string `json:"name"`
	SpecialUse string `json:"special_use,omitempty" doc:"RFC 6154 attribute, such as \\Sent"`
	Subscribed bool   `json:"subscribed"`
	Messages   int64  `json:"messages"`
	Unseen     int64  `json:"unseen"`
	Bytes      int64  `json:"bytes"`
}

// Message is a message as listings show it.
type Message struct {
	UID     uint32    `json:"uid"`
	From    string    `json:"from"`
	Subject string    `json:"subject"`
	Date    time.Time `json:"date" doc:"Of the Date field; when it was stored if there is none"`
	Size    int64     `json:"size" doc:"Octets"`
	Flags   []string  `json:"flags"`
}

// List lists the mailboxes of one domain, or of all in scope (empty), by address, with what they hold.
func (a *Access) List(ctx context.Context, actor rights.Actor, st *rights.State, domain string) ([]Usage, error) {
	var boxes []*directory.Mailbox
	if domain != "" {
		d, err := actor.Domain(st, domain)
		if err != nil {
			return nil, err
		}
		boxes = slices.Collect(st.Directory.Mailboxes(d.Name))
	} else {
		for d := range st.Directory.Domains() {
			if actor.Scope.Has(d.Account) {
				boxes = slices.AppendSeq(boxes, st.Directory.Mailboxes(d.Name))
			}
		}
	}
	out := make([]Usage, 0, len(boxes))
	if len(boxes) == 0 {
		return out, nil
	}
	var ids []string
	if domain != "" {
		for _, m := range boxes {
			ids = append(ids, m.ID)
		}
	}
	usage := map[string]mailbox.Usage{}
	if a.Store != nil {
		var err error
		if usage, err = a.Store.Usage(ctx, actor.Scope, ids); err != nil {
			return nil, err
		}
	}
	for _, m := range boxes {
		u := usage[m.ID]
		out = append(out, Usage{Address: m.Address(), Routing: a.routingAddress(st, m), Messages: u.Messages, Bytes: u.Bytes, Quota: m.Quota, Paused: paused(st, m)})
	}
	slices.SortFunc(out, func(x, y Usage) int { return cmp.Compare(x.Address, y.Address) })
	return out, nil
}

// paused is why a mailbox's user may send nothing; nil: he may.
func paused(st *rights.State, m *directory.Mailbox) *sending.Pause {
	rule, _ := st.Directory.PausedFor(m.Account, m.Address())
	return rule.Pause
}

// routingAddress is the address that reaches a mailbox whatever the public MX says; empty when there is none.
func (a *Access) routingAddress(st *rights.State, m *directory.Mailbox) string {
	if d, ok := st.Directory.Domain(m.Domain); !ok || !d.Proved || a.RoutingDomain == "" {
		return ""
	}
	return routing.RoutingAddress(m, a.RoutingDomain)
}

// Show shows one mailbox with its folders and what they hold.
func (a *Access) Show(ctx context.Context, actor rights.Actor, st *rights.State, address string) (MailboxDetail, error) {
	m, err := actor.Mailbox(st, address)
	if err != nil {
		return MailboxDetail{}, err
	}
	held, err := a.Held(ctx, actor, []string{m.ID})
	if err != nil {
		return MailboxDetail{}, err
	}
	d := MailboxDetail{
		Usage:   Usage{Address: m.Address(), Routing: a.routingAddress(st, m), Messages: held.Messages, Bytes: held.Bytes, Quota: m.Quota, Paused: paused(st, m)},
		Folders: []MailboxFolder{},
	}
	if a.Store == nil {
		return d, nil
	}
	list, err := a.Store.Folders(ctx, actor.Scope, m.ID)
	if errors.Is(err, mailbox.ErrNoMailbox) { // it is made before the next change
		return d, nil
	}
	for _, f := range list {
		d.Folders = append(d.Folders, MailboxFolder{
			Name: f.Name, SpecialUse: f.SpecialUse, Subscribed: f.Subscribed, Messages: f.Messages, Unseen: f.Unseen, Bytes: f.Bytes,
		})
	}
	return d, err
}

// Held is what several mailboxes hold together.
func (a *Access) Held(ctx context.Context, actor rights.Actor, ids []string) (mailbox.Usage, error) {
	var sum mailbox.Usage
	if a.Store == nil || len(ids) == 0 {
		return sum, nil
	}
	each, err := a.Store.Usage(ctx, actor.Scope, ids)
	if err != nil {
		return sum, err
	}
	for _, u := range each {
		sum.Messages += u.Messages
		sum.Bytes += u.Bytes
	}
	return sum, nil
}

// Messages lists a folder of a mailbox by UID from behind after on, at most limit. ErrNotFound when there is no such
// folder.
func (a *Access) Messages(ctx context.Context, actor rights.Actor, st *rights.State, address, folder string, after uint32, limit int) ([]Message, error) {
	m, err := actor.Mailbox(st, address)
	if err != nil {
		return nil, err
	}
	if a.Store == nil {
		return []Message{}, nil
	}
	list, err := a.Store.Messages(ctx, actor.Scope, m.ID, folder, after, limit)
	if err != nil {
		return nil, noFolder(err, m, folder)
	}
	out := make([]Message, 0, len(list))
	for _, msg := range list {
		info := Message{UID: msg.UID, From: msg.From, Subject: msg.Subject, Date: msg.Date, Size: msg.Size, Flags: msg.Flags}
		if info.Flags == nil {
			info.Flags = []string{}
		}
		if info.Date.IsZero() {
			info.Date = msg.At
		}
		out = append(out, info)
	}
	return out, nil
}

// noFolder refuses what is asked of a folder that is not there.
func noFolder(err error, m *directory.Mailbox, folder string) error {
	if errors.Is(err, mailbox.ErrNoFolder) {
		return words.Missing(fmt.Sprintf("The mailbox %s has no folder %q.", m.Address(), folder))
	}
	return err
}

// Message opens one message's exact bytes; the caller closes it. ErrNotFound when the folder has no such UID.
func (a *Access) Message(ctx context.Context, actor rights.Actor, st *rights.State, address, folder string, uid uint32) (io.ReadCloser, error) {
	m, err := actor.Mailbox(st, address)
	if err != nil {
		return nil, err
	}
	gone := words.Missing(fmt.Sprintf("The folder %q of the mailbox %s has no message with UID %d.", folder, m.Address(), uid))
	if a.Store == nil || uid == 0 {
		return nil, gone
	}
	// Whether it is there is asked of the listing, so that other errors of opening it are told apart.
	list, err := a.Store.Messages(ctx, actor.Scope, m.ID, folder, uid-1, 1)
	if err != nil {
		return nil, noFolder(err, m, folder)
	}
	if len(list) == 0 || list[0].UID != uid {
		return nil, gone
	}
	return a.Store.Body(ctx, actor.Scope, m.ID, folder, uid)
}
