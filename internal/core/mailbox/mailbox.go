// Package mailbox is what a mailbox holds: folders, messages, flags and change numbers (RFC 9051 §2.3, RFC 7162).
package mailbox

import (
	"io"
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

// MDNSent is the keyword of messages of which no read receipt is to be sent any more (RFC 3503 §3.1).
const MDNSent = "$MDNSent"

// Item is one message for one mailbox.
type Item struct {
	Mailbox string
	Use     string // special use of the folder that it goes to, such as "\Junk"; empty for INBOX
	Keyword string // that it has from the beginning, if the mailbox has room for it; empty: none
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

// Folder is one folder (RFC 9051 §2.3.1.1, RFC 7162 §3.1.2). What reads and changes its messages names it by its
// number, so that a session goes on with a folder that another one has given another name.
type Folder struct {
	Number        int64 // within the mailbox; never reused; Inbox for INBOX
	Name          string
	UIDValidity   uint32 // given to one folder of the mailbox only, also when its name comes back
	UIDNext       uint32
	HighestModSeq int64
	Messages      int64
	Unseen        int64 // messages without \Seen
	Deleted       int64 // messages with \Deleted
	Bytes         int64
	Forgotten     int64  // removals with a MODSEQ up to this one are not remembered
	SpecialUse    string // RFC 6154 attribute, such as "\Sent"; empty for none
	Subscribed    bool
}

// Summary is a folder with what a client is told that selects it (RFC 9051 §6.3.2, RFC 3501 §6.3.1).
type Summary struct {
	Folder

	Keywords    []string // the mailbox's by their numbers, empty where a number is free
	FirstUnseen int64    // place of the first message without \Seen, from 1 on; 0 for none
}

// Vanished is what was removed from a folder after a MODSEQ (RFC 7162 §3.2.5).
type Vanished struct {
	UIDs []uint32 // growing
	// Forgotten says that removals are not remembered so far back: whatever is not there may have been removed since.
	Forgotten bool
}

// Inbox is the number of the folder INBOX.
const Inbox = 1

// Message is one message in a folder as listings show it.
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

// Fact is what is known of a message beside what the Index tells.
type Fact struct {
	UID   uint32
	Size  int64
	At    time.Time // internal date
	Notes []byte    // what was last kept of the message with Note; nil for nothing
}

// Note is what a reader wants kept of a message, in a form of its own: what can be had of the body again and takes
// time. It goes with the message when that moves, and is dropped with it.
type Note struct {
	UID  uint32
	Text []byte // at most MaxNote octets
}

// Body is the bytes of one message. It is used by one goroutine at a time and closed by whoever opened it.
//
// ReadAt gives ranges. Up to BodyHead octets from the beginning a range of a large message is read as it lies on the
// disk; further ones are given after the whole was compared with its checksum once, else ErrCorrupt.
type Body interface {
	io.ReaderAt
	io.Closer
	// Size is the number of octets.
	Size() int64
	// Whole reads the message from its beginning; ErrCorrupt comes in place of io.EOF when it does not match its checksum.
	Whole() io.Reader
}

// Appended is a message that a client puts into a folder (RFC 9051 §6.3.12). Its content is an Upload's.
type Appended struct {
	At      time.Time // internal date
	Flags   []string
	Size    int64
	Hash    uint64
	Content mail.Content // a blob becomes the mailbox's own
	From    string       // decoded, for listings
	Subject string
	Date    time.Time
}

// Placed tells where messages are after they were appended, copied or moved (RFC 9051 §7.1, APPENDUID and COPYUID).
type Placed struct {
	UIDValidity uint32   // of the folder that they are in now
	From        []uint32 // their UIDs in the folder that they came from, growing; nil for appended ones
	UIDs        []uint32 // their UIDs now, in the same order
}

// FlagMode says what becomes of the flags that a message has (RFC 9051 §6.4.6).
type FlagMode uint8

// The modes.
const (
	FlagsReplace FlagMode = iota + 1
	FlagsAdd
	FlagsRemove
)

// FlagChange is a change of the flags of several messages.
type FlagChange struct {
	UIDs  []uint32
	Mode  FlagMode
	Flags []string
	// UnchangedSince leaves alone messages whose MODSEQ is above it (RFC 7162 §3.1.3); negative for none.
	UnchangedSince int64
}

// FlagResult is what a change of flags did.
type FlagResult struct {
	HighestModSeq int64    // of the folder
	Changed       []uint32 // messages whose flags are others now, growing
	Failed        []uint32 // messages that UnchangedSince left alone, growing
}

// Limits of what a mailbox holds.
const (
	MaxFolders  = 5000     // folders, and subscribed names
	MaxName     = 500      // octets of a folder's name
	MaxKeywords = 48       // keywords of a mailbox; those that no message has give way
	MaxKeyword  = 100      // octets of a keyword
	MaxNote     = 16 << 10 // octets of a note
	BodyHead    = 64 << 10 // octets that are read without reading all of a large message
	MaxAtATime  = 1000     // messages that are changed in one transaction
	MaxAppend   = 100      // messages appended in one transaction
	MaxGone     = 5000     // removed messages that a folder remembers at least
)
