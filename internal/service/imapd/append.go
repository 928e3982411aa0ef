package imapd

import (
	"errors"
	"io"
	"sync"
	"time"

	"postroad/internal/core/mailbox"
	"postroad/internal/proto/imap"
)

// copyBuffers carry messages from clients to the store.
var copyBuffers = sync.Pool{New: func() any { b := make([]byte, 16<<10); return &b }}

// append answers APPEND (RFC 9051 §6.3.12, RFC 3502): all messages or none.
func (s *session) append(r *imap.Request, c *imap.Append) error {
	ctx, store := s.changing(), s.service.store
	folder, err := store.Folder(ctx, s.scope, s.box(), c.Mailbox)
	if err != nil {
		return s.failedTo(r, err)
	}
	if err := store.Room(); err != nil {
		return s.failed(r, err)
	}
	usage, err := store.Usage(ctx, s.scope, []string{s.box()})
	if err != nil {
		return s.failed(r, err)
	}
	room := usage[s.box()]
	s.receives.Store(true)
	defer s.receives.Store(false)
	var items []mailbox.Appended
	var uploads []Upload // that nobody else will end
	defer func() {
		for _, u := range uploads {
			u.Abort()
		}
	}()
	for m := c.Message; m != nil; {
		if room.Bytes += m.Size; room.Quota > 0 && room.Bytes > room.Quota {
			return refusal(r, imap.NO, imap.CodeOverQuota, "The mailbox has no room for it.")
		}
		if len(items) == mailbox.MaxAppend {
			return refusal(r, imap.NO, imap.CodeLimit, "These are too many messages at once.")
		}
		if err := m.Open(); err != nil {
			return tagged(r, err)
		}
		u := store.Upload(s.service.cfg.MessageSize)
		uploads = append(uploads, u)
		item, err := s.upload(r, m, u)
		if err != nil {
			return err
		}
		items = append(items, item)
		if m, err = s.in.More(); err != nil {
			return tagged(r, err)
		}
	}
	uploads = nil
	placed, err := store.Append(ctx, s.scope, s.box(), folder.Number, items)
	if err != nil {
		return s.failedTo(r, err)
	}
	return s.doneSelected(r, imap.CodeAppendUID(placed.UIDValidity, imap.SetOf(placed.UIDs...)), true)
}

// failedTo is failed for a folder that messages were to go to.
func (s *session) failedTo(r *imap.Request, err error) *imap.Error {
	if errors.Is(err, mailbox.ErrNoFolder) {
		return refusal(r, imap.NO, imap.CodeTryCreate, "There is no such mailbox.")
	}
	return s.failed(r, err)
}

// upload takes one message from the client.
func (s *session) upload(r *imap.Request, m *imap.Message, u Upload) (mailbox.Appended, error) {
	s.wait.transfer, s.wait.begun, s.wait.octets = true, time.Now(), 0
	defer func() {
		s.wait.transfer, s.wait.inside, s.wait.until = false, true, time.Now().Add(commandTimeout)
	}()
	pooled, _ := copyBuffers.Get().(*[]byte)
	defer copyBuffers.Put(pooled)
	for {
		n, err := m.Read(*pooled)
		if n > 0 {
			if _, err := u.Write((*pooled)[:n]); err != nil {
				return mailbox.Appended{}, s.failed(r, err)
			}
		}
		switch {
		case errors.Is(err, io.EOF):
			item, err := u.Done()
			if err != nil {
				return mailbox.Appended{}, s.failed(r, err)
			}
			item.Flags, item.At = m.Flags, m.Date
			if item.At.IsZero() {
				item.At = time.Now()
			}
			return item, nil
		case errors.Is(err, imap.ErrNUL):
			return mailbox.Appended{}, refusal(r, imap.BAD, "", "NUL stands in literal8 only.")
		case err != nil:
			return mailbox.Appended{}, err
		}
	}
}
