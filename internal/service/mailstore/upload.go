package mailstore

import (
	"fmt"

	"github.com/cespare/xxhash/v2"

	"postroad/internal/core/mail"
	"postroad/internal/core/mailbox"
	"postroad/internal/proto/message"
)

// Upload is a message on its way into a mailbox: what a client appends. Up to 64 KiB stay in memory, more goes into a
// content file. It ends with Done and Append, or with Abort.
type Upload struct {
	blobs Blobs
	limit int64
	head  []byte // the first 64 KiB
	size  int64
	hash  xxhash.Digest
	blob  Blob
}

// Upload begins a message of at most limit octets.
func (s *Service) Upload(limit int64) *Upload {
	u := &Upload{blobs: s.config.Blobs, limit: limit}
	u.hash.Reset()
	return u
}

// Write takes the next octets; ErrTooLarge, ErrFull or another error of the disk.
func (u *Upload) Write(p []byte) (int, error) {
	if u.size+int64(len(p)) > u.limit {
		return 0, fmt.Errorf("%w: the limit is %d octets", mailbox.ErrTooLarge, u.limit)
	}
	_, _ = u.hash.Write(p) // a hash takes everything
	u.size += int64(len(p))
	rest := p
	if u.blob == nil {
		n := min(len(p), inline-len(u.head))
		u.head, rest = append(u.head, p[:n]...), p[n:]
	}
	if len(rest) == 0 {
		return len(p), nil
	}
	if u.blob == nil {
		blob, err := u.blobs.Create()
		if err != nil {
			return 0, err
		}
		u.blob = blob
		if _, err := blob.Write(u.head); err != nil {
			return 0, err
		}
	}
	if _, err := u.blob.Write(rest); err != nil {
		return 0, err
	}
	return len(p), nil
}

// Size is the number of octets so far.
func (u *Upload) Size() int64 { return u.size }

// Done ends the message and gives what is appended; the caller adds flags and the internal date. A content file is
// durable then.
func (u *Upload) Done() (mailbox.Appended, error) {
	a := mailbox.Appended{Size: u.size, Hash: u.hash.Sum64()}
	if u.blob != nil {
		name, err := u.blob.Commit(a.Size, a.Hash)
		if err != nil {
			return mailbox.Appended{}, err
		}
		a.Content = mail.Content{Blob: name}
	} else {
		a.Content = mail.Content{Inline: append([]byte{}, u.head...)}
	}
	header, _, _ := message.SplitHeader(u.head)
	summary := message.Summarize(header)
	a.From, a.Subject, a.Date = summary.From, summary.Subject, summary.Date
	return a, nil
}

// Abort drops the message, before Append is called with what Done gave.
func (u *Upload) Abort() {
	if u.blob != nil {
		u.blob.Abort()
	}
	u.blob, u.head = nil, nil
}
