// Package mailbox is what a mailbox holds: folders, messages, flags and change numbers (RFC 9051 §2.3, RFC 7162).
package mailbox

import (
	"time"

	"postroad/internal/core/account"
	"postroad/internal/core/mail"
)

// Mailbox is one mailbox as the store knows it.
type Mailbox struct {
	ID      string // random, never reused
	Account account.ID
	Quota   int64 // octets; 0 without limit
}

// Item is one message for one mailbox.
type Item struct {
	Mailbox string
	QueueID mail.ID
	At      time.Time // internal date
	Size    int64
	Hash    uint64
	Prefix  []byte       // trace fields of final delivery, read before the content; counted in neither Size nor Hash
	Content mail.Content // a blob is linked, not moved: the queue keeps its own name for it
	From    string       // decoded, for listings
	Subject string
	Date    time.Time // of the Date field; zero when there is none
}

// DeliveredID is the memory of one delivery.
type DeliveredID struct {
	Mailbox string
	QueueID mail.ID
}

// Usage is what a mailbox holds.
type Usage struct {
	Messages int64
	Bytes    int64
	Quota    int64
}

// Folder is one folder (RFC 9051 §2.3.1.1, RFC 7162 §3.1.2).
type Folder struct {
	Name          string
	UIDValidity   uint32
	UIDNext       uint32
	HighestModSeq int64
	Messages      int64
	SpecialUse    string // RFC 6154 attribute, such as "\Sent"; empty for none
}

// Message is one message in a folder.
type Message struct {
	UID     uint32
	ModSeq  int64
	Flags   []string
	At      time.Time // internal date
	Size    int64
	From    string
	Subject string
	Date    time.Time
}
