// Package search holds messages against the keys of an IMAP SEARCH (RFC 9051 §6.4.4, RFC 3501 §6.4.4, RFC 7162 §3.1.5).
//
// A Query asks for no more of a message than it needs: the header only where what a store knows of the message does
// not decide, and the whole of it only where the header does not either.
//
// Texts are compared in UTF-8, without regard to case and to how characters are composed: of header fields with their
// encoded words (RFC 2047), of text parts with their transfer encoding and charset (RFC 2045), of messages within
// messages likewise.
//
// # Known limits
//
// Of one message MaxText octets of text are looked through. A text that is looked for is not found across the end of a
// line of a body. Text of other parts than text is not looked for, and tags of text/html are text.
package search

import (
	"strings"
	"time"

	"postroad/internal/proto/imap"
	"postroad/internal/proto/message"
	"postroad/internal/proto/mime"
)

// MaxText bounds how much text of one message is looked through, in octets.
const MaxText = 8 << 20

// Facts is what is known of a message without reading it.
type Facts struct {
	Number, UID uint32
	Flags       []string
	Recent      bool
	At          time.Time // internal date, in the zone that it is shown in
	Sent        time.Time // of the Date field, in any zone; zero where it is not known
	Size        int64
	ModSeq      uint64
}

// Content reads a message; both methods are called at most once for a message.
type Content interface {
	// Header gives the header.
	Header() ([]byte, error)
	// Whole gives the message.
	Whole() ([]byte, error)
}

// Mailbox is what "*" and "$" stand for.
type Mailbox struct {
	LargestNumber, LargestUID uint32   // 0 in an empty mailbox
	Saved                     imap.Set // UIDs of the result that was saved (RFC 5182)
}

// Query is a key made ready. It is used by one goroutine at a time.
type Query struct {
	key     key
	mailbox Mailbox
	header  bool // the header can decide something
}

// key is an imap.Key with what is looked for in the form that is compared.
type key struct {
	imap.Key
	keys   []key
	needle []byte
}

// New makes a key ready for the messages of a mailbox.
func New(k imap.Key, mailbox Mailbox) *Query {
	q := &Query{mailbox: mailbox}
	q.key = q.prepare(k)
	return q
}

func (q *Query) prepare(k imap.Key) key {
	made := key{Key: k}
	for _, below := range k.Keys {
		made.keys = append(made.keys, q.prepare(below))
	}
	switch k.Op {
	case imap.KeyHeader, imap.KeyText, imap.KeySentBefore, imap.KeySentOn, imap.KeySentSince:
		q.header = true
		made.needle = fold([]byte(k.Text))
	case imap.KeyBody:
		made.needle = fold([]byte(k.Text))
	}
	return made
}

// Matches says whether a message matches. An error is one of content, with which nothing is known.
func (q *Query) Matches(f Facts, content Content) (bool, error) {
	m := candidate{Facts: f}
	answer := q.judge(&q.key, &m)
	if answer == unknown && q.header {
		header, err := content.Header()
		if err != nil {
			return false, err
		}
		m.readHeader(header)
		answer = q.judge(&q.key, &m)
	}
	if answer == unknown {
		whole, err := content.Whole()
		if err != nil {
			return false, err
		}
		if !m.hasHeader {
			header, _, _ := message.SplitHeader(whole)
			m.readHeader(header)
		}
		m.readBody(whole)
		answer = q.judge(&q.key, &m)
	}
	return answer == yes, nil
}

// verdict is what is known of a key.
type verdict int8

const (
	no      verdict = -1
	unknown verdict = 0 // more of the message has to be read
	yes     verdict = 1
)

func verdictOf(matches bool) verdict {
	if matches {
		return yes
	}
	return no
}

func (q *Query) judge(k *key, m *candidate) verdict {
	switch k.Op {
	case imap.KeyAll:
		return yes
	case imap.KeyAnd:
		return q.all(k.keys, m, yes)
	case imap.KeyOr: // not all of them do not
		return q.all(k.keys, m, no)
	case imap.KeyNot:
		return -q.judge(&k.keys[0], m)
	case imap.KeyNumbers:
		if k.Set.Saved {
			return q.saved(m)
		}
		return verdictOf(k.Set.Contains(m.Number, q.mailbox.LargestNumber))
	case imap.KeyUIDs:
		if k.Set.Saved {
			return q.saved(m)
		}
		return verdictOf(k.Set.Contains(m.UID, q.mailbox.LargestUID))
	case imap.KeyFlag:
		return verdictOf(m.has(k.Text))
	case imap.KeyRecent:
		return verdictOf(m.Recent)
	case imap.KeyHeader:
		return m.field(k.Field, k.needle)
	case imap.KeyBody:
		return m.body(k.needle)
	case imap.KeyText:
		return m.text(k.needle)
	case imap.KeyBefore:
		return verdictOf(imap.DateOf(m.At).Compare(k.Date) < 0)
	case imap.KeyOn:
		return verdictOf(imap.DateOf(m.At).Compare(k.Date) == 0)
	case imap.KeySince:
		return verdictOf(imap.DateOf(m.At).Compare(k.Date) >= 0)
	case imap.KeySentBefore:
		return m.sent(func(day imap.Date) bool { return day.Compare(k.Date) < 0 })
	case imap.KeySentOn:
		return m.sent(func(day imap.Date) bool { return day.Compare(k.Date) == 0 })
	case imap.KeySentSince:
		return m.sent(func(day imap.Date) bool { return day.Compare(k.Date) >= 0 })
	case imap.KeyLarger:
		return verdictOf(m.Size >= 0 && uint64(m.Size) > k.Number)
	case imap.KeySmaller:
		return verdictOf(m.Size < 0 || uint64(m.Size) < k.Number)
	case imap.KeyModSeq:
		return verdictOf(m.ModSeq >= k.Number)
	}
	return no
}

// all says whether all keys have the wanted verdict, and gives it then; one that has the opposite decides.
func (q *Query) all(keys []key, m *candidate, wanted verdict) verdict {
	together := wanted
	for i := range keys {
		switch q.judge(&keys[i], m) {
		case wanted:
		case unknown:
			together = unknown
		default:
			return -wanted
		}
	}
	return together
}

func (q *Query) saved(m *candidate) verdict { return verdictOf(q.mailbox.Saved.Contains(m.UID, 0)) }

// candidate is a message as far as it is known.
type candidate struct {
	Facts
	hasHeader bool
	header    []byte
	fields    []byte // the header's fields, decoded and folded; made when they are needed

	whole []byte
	root  *mime.Part // nil while whole is not read
	texts [][]byte   // of the body, folded; made when they are needed
	room  int        // octets that texts may still take
}

func (m *candidate) has(flag string) bool {
	for _, f := range m.Flags {
		if strings.EqualFold(f, flag) {
			return true
		}
	}
	return false
}

// sent holds the day of the Date field against a condition. The day is that of the zone in which the field was
// written; what is known without the field decides where that cannot matter.
func (m *candidate) sent(holds func(imap.Date) bool) verdict {
	if m.hasHeader {
		for _, value := range message.Values(m.header, "Date") {
			at, ok := message.ParseDate(value)
			return verdictOf(ok && holds(imap.DateOf(at)))
		}
		return no
	}
	if m.Sent.IsZero() {
		return unknown
	}
	const zones = 24 * time.Hour // no zone is further from UTC
	at := m.Sent.UTC()
	first, here, last := holds(imap.DateOf(at.Add(-zones))), holds(imap.DateOf(at)), holds(imap.DateOf(at.Add(zones)))
	if first == here && here == last {
		return verdictOf(here)
	}
	return unknown
}
