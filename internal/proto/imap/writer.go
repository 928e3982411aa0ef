package imap

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"io"
	"strconv"
	"sync"
	"time"
	"unicode/utf8"
)

const (
	flushAt   = 16 << 10 // octets that are sent without waiting for Flush
	maxQuoted = 4 << 10  // longer strings are literals
)

// Writer makes every octet that is sent to one client. It is used by one goroutine at a time.
//
// Responses are gathered and sent by Flush, or when there are many. Between Flush and the next response a Writer holds
// no buffer. Once writing has failed, everything more is dropped and Flush gives the error.
type Writer struct {
	dst    io.Writer
	pooled *[]byte // where buf came from; nil while there is nothing to be sent
	buf    []byte
	utf8   bool
	err    error
}

var outputs = sync.Pool{New: func() any { b := make([]byte, 0, flushAt+4<<10); return &b }}

// NewWriter returns a Writer to dst.
func NewWriter(dst io.Writer) *Writer { return &Writer{dst: dst} }

// SetUTF8 says whether quoted strings and mailbox names may be in UTF-8: after ENABLE of UTF8=ACCEPT or IMAP4rev2
// (RFC 6855 §3, RFC 9051 §5.1).
func (w *Writer) SetUTF8(on bool) { w.utf8 = on }

// SetDestination makes w write to dst, as after STARTTLS, once everything was flushed.
func (w *Writer) SetDestination(dst io.Writer) { w.dst = dst }

// Flush sends what was gathered.
func (w *Writer) Flush() error {
	w.send()
	if w.pooled != nil {
		if cap(w.buf) <= 2*flushAt {
			*w.pooled = w.buf[:0]
			outputs.Put(w.pooled)
		}
		w.pooled, w.buf = nil, nil
	}
	return w.err
}

// Err is why nothing more can be sent, nil while it can.
func (w *Writer) Err() error { return w.err }

func (w *Writer) send() {
	if w.err == nil && len(w.buf) > 0 {
		_, w.err = w.dst.Write(w.buf)
	}
	w.buf = w.buf[:0]
}

// begin makes room for a response.
func (w *Writer) begin() {
	switch {
	case w.pooled == nil:
		w.pooled = outputs.Get().(*[]byte)
		w.buf = *w.pooled
	case len(w.buf) >= flushAt:
		w.send()
	}
}

func (w *Writer) raw(s string) { w.buf = append(w.buf, s...) }

func (w *Writer) number(n uint64) { w.buf = strconv.AppendUint(w.buf, n, 10) }

// end ends a response.
func (w *Writer) end() { w.raw("\r\n") }

// untagged begins a response of data.
func (w *Writer) untagged(name string) {
	w.begin()
	w.raw("* ")
	w.raw(name)
}

// str writes a string: quoted where its octets allow it, else a literal. What is no octet of a literal, NUL, becomes
// 0x80.
func (w *Writer) str(s string) {
	if !w.canQuote(s) {
		w.raw("{")
		w.number(uint64(len(s)))
		w.raw("}\r\n")
		for i := range len(s) {
			w.buf = append(w.buf, octet(s[i]))
		}
		return
	}
	w.raw(`"`)
	for i := range len(s) {
		if s[i] == '"' || s[i] == '\\' {
			w.raw(`\`)
		}
		w.buf = append(w.buf, s[i])
	}
	w.raw(`"`)
}

func octet(c byte) byte {
	if c == 0 {
		return 0x80
	}
	return c
}

func (w *Writer) canQuote(s string) bool {
	if len(s) > maxQuoted {
		return false
	}
	high := false
	for i := range len(s) {
		c := s[i]
		if c < 0x20 && c != '\t' || c == 0x7f {
			return false
		}
		high = high || c >= utf8.RuneSelf
	}
	return !high || w.utf8 && utf8.ValidString(s)
}

// nstring writes a string, NIL where it is empty.
func (w *Writer) nstring(s string) {
	if s == "" {
		w.raw("NIL")
		return
	}
	w.str(s)
}

// name writes a mailbox name.
func (w *Writer) name(name string) {
	if !w.utf8 {
		name = EncodeUTF7(name)
	}
	w.str(name)
}

// atom writes what is an atom as it is, and of what is none the octets that atoms have.
func (w *Writer) atom(s string) {
	for i := range len(s) {
		if classes[s[i]]&isAtom != 0 {
			w.buf = append(w.buf, s[i])
		}
	}
}

// flag writes a flag, a mailbox attribute, or `\*`.
func (w *Writer) flag(flag string) {
	if flag == `\*` {
		w.raw(flag)
		return
	}
	if len(flag) > 0 && flag[0] == '\\' {
		w.raw(`\`)
		flag = flag[1:]
	}
	w.atom(flag)
}

func (w *Writer) flags(list []string) {
	w.raw("(")
	for i, flag := range list {
		if i > 0 {
			w.raw(" ")
		}
		w.flag(flag)
	}
	w.raw(")")
}

// text writes resp-text: one line of printable octets.
func (w *Writer) text(s string) {
	if s == "" {
		s = "Done."
	}
	high := w.utf8 && utf8.ValidString(s)
	for i := range len(s) {
		c := s[i]
		if c < 0x20 || c == 0x7f || c >= utf8.RuneSelf && !high || i == 0 && c == '[' {
			c = '?'
		}
		w.buf = append(w.buf, c)
	}
}

// Status writes an untagged condition with a response code, which may be empty, and a sentence.
func (w *Writer) Status(status Status, code Code, text string) {
	w.untagged("")
	w.condition(status, code, text)
}

// Tagged ends a command.
func (w *Writer) Tagged(tag string, status Status, code Code, text string) {
	w.begin()
	for i := range len(tag) {
		if classes[tag[i]]&isTag != 0 {
			w.buf = append(w.buf, tag[i])
		}
	}
	w.raw(" ")
	w.condition(status, code, text)
}

// Refuse writes the response to a command that could not be read.
func (w *Writer) Refuse(e *Error) {
	if e.Tag == "" || e.Fatal() {
		w.Status(e.Status, e.Code, e.Text)
		return
	}
	w.Tagged(e.Tag, e.Status, e.Code, e.Text)
}

func (w *Writer) condition(status Status, code Code, text string) {
	w.raw(status.String())
	w.raw(" ")
	if code != "" {
		w.raw("[")
		for i := range len(code) {
			if c := code[i]; 0x20 <= c && c < 0x7f && c != ']' {
				w.buf = append(w.buf, c)
			}
		}
		w.raw("] ")
	}
	w.text(text)
	w.end()
}

// Continue asks the client to go on.
func (w *Writer) Continue(text string) {
	w.begin()
	w.raw("+ ")
	w.text(text)
	w.end()
}

// Challenge writes a challenge of AUTHENTICATE, which may be empty.
func (w *Writer) Challenge(challenge []byte) {
	w.begin()
	w.raw("+ ")
	w.buf = base64.StdEncoding.AppendEncode(w.buf, challenge)
	w.end()
}

// Capability writes CAPABILITY (RFC 9051 §7.2.2).
func (w *Writer) Capability(list []string) { w.words("CAPABILITY", list) }

// Enabled writes ENABLED (RFC 9051 §7.2.1).
func (w *Writer) Enabled(list []string) { w.words("ENABLED", list) }

func (w *Writer) words(name string, list []string) {
	w.untagged(name)
	for _, word := range list {
		w.raw(" ")
		w.atom(word)
	}
	w.end()
}

// Exists writes how many messages there are (RFC 9051 §7.4.1).
func (w *Writer) Exists(n uint32) { w.counted(n, " EXISTS") }

// Recent writes RECENT (RFC 3501 §7.3.2).
func (w *Writer) Recent(n uint32) { w.counted(n, " RECENT") }

// Expunge writes that a message is gone (RFC 9051 §7.5.1); number is its message number.
func (w *Writer) Expunge(number uint32) { w.counted(number, " EXPUNGE") }

func (w *Writer) counted(n uint32, what string) {
	w.untagged("")
	w.number(uint64(n))
	w.raw(what)
	w.end()
}

// Vanished writes UIDs of messages that are gone, or with earlier were gone before (RFC 7162 §3.2.10). An empty set is
// no response.
func (w *Writer) Vanished(earlier bool, uids Set) {
	if uids.Empty() {
		return
	}
	w.untagged("VANISHED ")
	if earlier {
		w.raw("(EARLIER) ")
	}
	w.buf = uids.append(w.buf)
	w.end()
}

// Flags writes the flags of a mailbox (RFC 9051 §7.3.5).
func (w *Writer) Flags(list []string) {
	w.untagged("FLAGS ")
	w.flags(list)
	w.end()
}

// Namespace writes NAMESPACE with one personal namespace that has no prefix, and no others (RFC 2342 §5).
func (w *Writer) Namespace() {
	w.untagged(`NAMESPACE (("" "` + delimiter + `")) NIL NIL`)
	w.end()
}

// ID writes ID (RFC 2971 §3.2).
func (w *Writer) ID(params []Param) {
	w.untagged("ID ")
	w.parameters(params)
	w.end()
}

func separator(i int) string {
	if i == 0 {
		return "("
	}
	return " "
}

// Listed is a mailbox as LIST shows it.
type Listed struct {
	Attributes []string // such as "\HasChildren"
	Name       string   // empty in the answer to an empty pattern
	ChildInfo  []string // selection options that mailboxes below it satisfy (RFC 5258 §3.5)
}

// List writes LIST (RFC 9051 §7.3.1).
func (w *Writer) List(l Listed) { w.listed("LIST ", l) }

// LSub writes LSUB (RFC 3501 §7.2.3).
func (w *Writer) LSub(l Listed) { w.listed("LSUB ", l) }

func (w *Writer) listed(response string, l Listed) {
	w.untagged(response)
	w.flags(l.Attributes)
	w.raw(` "` + delimiter + `" `)
	w.name(l.Name)
	if len(l.ChildInfo) > 0 {
		w.raw(` ("CHILDINFO" `)
		for i, option := range l.ChildInfo {
			w.raw(separator(i))
			w.str(option)
		}
		w.raw("))")
	}
	w.end()
}

// StatusValue is what STATUS tells of one item.
type StatusValue struct {
	Item  StatusItem
	Value uint64
	Nil   bool // no value, as of an APPENDLIMIT that is not there (RFC 7889 §3)
}

// MailboxStatus writes STATUS (RFC 9051 §7.3.4).
func (w *Writer) MailboxStatus(mailbox string, values []StatusValue) {
	w.untagged("STATUS ")
	w.name(mailbox)
	w.raw(" (")
	for i, v := range values {
		if i > 0 {
			w.raw(" ")
		}
		w.atom(string(v.Item))
		w.raw(" ")
		if v.Nil {
			w.raw("NIL")
		} else {
			w.number(v.Value)
		}
	}
	w.raw(")")
	w.end()
}

// Search writes SEARCH with message numbers or UIDs, and the highest mod-sequence of those messages where it is not 0
// (RFC 3501 §7.2.5, RFC 7162 §3.1.5).
func (w *Writer) Search(found []uint32, modSeq uint64) {
	w.untagged("SEARCH")
	for _, n := range found {
		w.raw(" ")
		w.number(uint64(n))
		if len(w.buf) > flushAt {
			w.send()
		}
	}
	if modSeq > 0 && len(found) > 0 {
		w.raw(" (MODSEQ ")
		w.number(modSeq)
		w.raw(")")
	}
	w.end()
}

// Found is the result of an extended SEARCH: what was asked for and is there.
type Found struct {
	UID      bool
	Min, Max uint32 // 0: not told
	Count    uint64
	HasCount bool
	All      Set    // empty: not told
	ModSeq   uint64 // 0: not told
}

// ESearch writes ESEARCH in answer to the command with tag (RFC 9051 §7.3.4, RFC 4731 §3.1).
func (w *Writer) ESearch(tag string, f Found) {
	w.untagged("ESEARCH (TAG ")
	w.str(tag)
	w.raw(")")
	if f.UID {
		w.raw(" UID")
	}
	if f.Min > 0 {
		w.raw(" MIN ")
		w.number(uint64(f.Min))
	}
	if f.Max > 0 {
		w.raw(" MAX ")
		w.number(uint64(f.Max))
	}
	if f.HasCount {
		w.raw(" COUNT ")
		w.number(f.Count)
	}
	if !f.All.Empty() {
		w.raw(" ALL ")
		w.buf = f.All.append(w.buf)
	}
	if f.ModSeq > 0 {
		w.raw(" MODSEQ ")
		w.number(f.ModSeq)
	}
	w.end()
}

// QuotaUse is what a quota root holds of a resource.
type QuotaUse struct {
	Resource    string // such as "STORAGE", which is in units of 1,024 octets
	Used, Limit uint64
}

// Quota writes QUOTA (RFC 9208 §4.2.1).
func (w *Writer) Quota(root string, uses []QuotaUse) {
	w.untagged("QUOTA ")
	w.str(root)
	w.raw(" (")
	for i, u := range uses {
		if i > 0 {
			w.raw(" ")
		}
		w.atom(u.Resource)
		w.raw(" ")
		w.number(u.Used)
		w.raw(" ")
		w.number(u.Limit)
	}
	w.raw(")")
	w.end()
}

// QuotaRoot writes QUOTAROOT (RFC 9208 §4.2.2).
func (w *Writer) QuotaRoot(mailbox string, roots ...string) {
	w.untagged("QUOTAROOT ")
	w.name(mailbox)
	for _, root := range roots {
		w.raw(" ")
		w.str(root)
	}
	w.end()
}

// literal writes content as a literal, or with binary as a literal8 where it has NUL. In a literal NUL becomes 0x80.
func (w *Writer) literal(content []byte, binary bool) {
	nul := bytes.IndexByte(content, 0) >= 0
	if nul && binary {
		w.raw("~")
	}
	w.raw("{")
	w.number(uint64(len(content)))
	w.raw("}\r\n")
	if nul && !binary {
		content = bytes.ReplaceAll(content, []byte{0}, []byte{0x80})
	}
	if len(content) < flushAt/2 {
		w.buf = append(w.buf, content...)
		return
	}
	w.send()
	if w.err == nil {
		_, w.err = w.dst.Write(content)
	}
}

// literalFrom writes size octets of content as a literal, in which NUL becomes 0x80, or with binary stays. Where content
// fails or is shorter, nothing more can be sent.
func (w *Writer) literalFrom(content io.Reader, size int64, binary bool) {
	w.raw("{")
	w.buf = strconv.AppendInt(w.buf, size, 10)
	w.raw("}\r\n")
	for size > 0 && w.err == nil {
		if len(w.buf) >= flushAt {
			w.send()
		}
		free := w.buf[len(w.buf):min(cap(w.buf), len(w.buf)+flushAt)]
		if len(free) == 0 {
			w.send()
			continue
		}
		n, err := content.Read(free[:min(int64(len(free)), size)])
		for i, c := range free[:n] {
			if !binary {
				free[i] = octet(c)
			}
		}
		w.buf = w.buf[:len(w.buf)+n]
		if size -= int64(n); err != nil && size > 0 {
			w.err = fmt.Errorf("read content to send: %w", within(err, true))
		}
	}
}

// dateTime writes date-time (RFC 9051 §9).
func (w *Writer) dateTime(t time.Time) {
	w.raw(`"`)
	w.buf = t.AppendFormat(w.buf, "_2-Jan-2006 15:04:05 -0700")
	w.raw(`"`)
}
