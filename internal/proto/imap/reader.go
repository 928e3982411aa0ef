package imap

import (
	"bytes"
	"encoding/base64"
	"errors"
	"io"
	"strconv"
	"strings"
	"sync"
)

const (
	bufferSize = 4 << 10
	keptText   = 16 << 10 // a longer buffer for a command's text is not kept for the next one

	// maxDrain is how much of what was refused is read and dropped, in octets, so that the connection can go on.
	maxDrain = 256 << 10

	maxLiterals   = 1000    // of one command
	maxAnswer     = 8 << 10 // octets of a line that is no command, CRLF included
	maxEmptyReads = 100
)

// Limits bound what one command may be.
type Limits struct {
	Command   int   // octets of its lines, CRLF included and literals left out
	Literals  int   // octets of its literals together, messages of APPEND left out
	Message   int64 // octets of one message of APPEND; 0: APPEND is not allowed yet, its message counts as a literal
	MaxNoSync int64 // octets of a non-synchronising literal, messages included (RFC 7888 §5); 0 without another limit
}

// BeforeLogin are the limits for somebody who may be anybody.
func BeforeLogin() Limits { return Limits{Command: 8 << 10, Literals: 1 << 10} }

// AfterLogin are the limits for a user, who may append messages of up to message octets.
func AfterLogin(message int64) Limits {
	return Limits{Command: 64 << 10, Literals: 64 << 10, Message: message}
}

// Reader reads the commands of one client. It is used by one goroutine. Deadlines are its source's affair.
//
// While a Reader waits for input and has none, it holds no buffer: it borrows one when octets come.
type Reader struct {
	src     io.Reader
	proceed func() error // sends a continuation request
	limits  Limits
	utf8    bool

	buf   *[]byte // nil while there is nothing unread
	r, w  int     // unread octets of buf
	first [16]byte

	text   []byte    // of the command being read: its lines without their CRLF, each literal behind its announcement
	pooled *[]byte   // where text came from
	lits   []literal // of text
	used   int       // octets of lines, CRLF included
	held   int       // octets of literals in text
	tag    string    // of the command read last

	message *Message // whose content, or what follows it, is still on the connection
}

// A literal of a command's text: it is announced at text[at:start] and lies in text[start:end].
type literal struct {
	at, start, end int
	binary         bool
}

var (
	buffers = sync.Pool{New: func() any { b := make([]byte, bufferSize); return &b }}
	texts   = sync.Pool{New: func() any { b := make([]byte, 0, 512); return &b }}
)

// NewReader returns a Reader of src. It calls proceed where the client waits for a continuation request, which has to
// be sent and flushed.
func NewReader(src io.Reader, limits Limits, proceed func() error) *Reader {
	return &Reader{src: src, limits: limits, proceed: proceed}
}

// SetLimits sets the limits of commands from now on.
func (r *Reader) SetLimits(limits Limits) { r.limits = limits }

// SetUTF8 says whether mailbox names come in UTF-8: after ENABLE of UTF8=ACCEPT or IMAP4rev2 (RFC 6855 §3, RFC 9051
// §5.1). Else they come in modified UTF-7.
func (r *Reader) SetUTF8(on bool) { r.utf8 = on }

// SetSource makes r read from src, as after STARTTLS. What was buffered of the old source is dropped; Buffered tells
// before how much that is.
func (r *Reader) SetSource(src io.Reader) {
	r.release()
	r.src = src
}

// Buffered is how many octets have been received and not yet been used. The client is pipelining when it is not 0, and
// responses may wait.
func (r *Reader) Buffered() int { return r.w - r.r }

// Close gives back what r holds. It must not be used any more.
func (r *Reader) Close() {
	r.release()
	r.begin()
	r.lits, r.message = nil, nil
}

// begin forgets the text that was read and gives its buffer back. One that has grown large is left to the collector.
func (r *Reader) begin() {
	if r.pooled != nil && cap(r.text) <= keptText {
		*r.pooled = r.text[:0]
		texts.Put(r.pooled)
	}
	r.text, r.pooled = nil, nil
	if cap(r.lits) > 16 {
		r.lits = nil
	}
	r.lits, r.used, r.held = r.lits[:0], 0, 0
	if r.r == r.w {
		r.release()
	}
}

func (r *Reader) release() {
	if r.buf != nil {
		buffers.Put(r.buf)
	}
	r.buf, r.r, r.w = nil, 0, 0
}

// fill waits for octets when none are unread.
func (r *Reader) fill() error {
	if r.r < r.w {
		return nil
	}
	r.r, r.w = 0, 0
	for range maxEmptyReads {
		n, err := r.read()
		if n > 0 {
			return nil // an error comes again
		}
		if err != nil {
			r.release()
			return err
		}
	}
	return io.ErrNoProgress
}

func (r *Reader) read() (int, error) {
	if r.buf != nil {
		n, err := r.src.Read(*r.buf)
		r.w = n
		return n, err
	}
	n, err := r.src.Read(r.first[:])
	if n > 0 {
		r.buf = buffers.Get().(*[]byte)
		r.w = copy(*r.buf, r.first[:n])
	}
	return n, err
}

// line appends the next line without its CRLF to r.text, at most max octets with it.
func (r *Reader) line(max int) error {
	start, taken := len(r.text), 0
	for {
		if err := r.fill(); err != nil {
			return within(err, taken > 0)
		}
		if r.pooled == nil {
			r.pooled = texts.Get().(*[]byte)
			r.text = *r.pooled
		}
		unread := (*r.buf)[r.r:r.w]
		n := bytes.IndexByte(unread, '\n') + 1
		whole := n > 0
		if !whole {
			n = len(unread)
		}
		if taken += n; taken > max {
			return &Error{Status: BYE, Text: "The line is too long."}
		}
		r.text = append(r.text, unread[:n]...)
		r.r += n
		if whole {
			break
		}
	}
	r.used += taken
	end := len(r.text) - 2
	if end < start || r.text[end] != '\r' || bytes.IndexByte(r.text[start:end], '\r') >= 0 {
		return &Error{Status: BYE, Text: "Lines end with CRLF; a CR or LF must not stand alone."}
	}
	r.text = r.text[:end]
	return nil
}

func within(err error, inside bool) error {
	if inside && errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// announced is a literal that a line's end announces.
type announced struct {
	at     int // where the announcement begins, the "~" of literal8 included
	size   int64
	sync   bool // the client waits for a continuation request
	binary bool
}

// announcement reads the literal that text ends with, if it does: {5}, {5+}, ~{5}, ~{5+}. A number over 18 digits is
// taken as the largest.
func announcement(text []byte) (a announced, ok bool) {
	end := len(text) - 1
	if end < 2 || text[end] != '}' {
		return a, false
	}
	a.sync = true
	if text[end-1] == '+' {
		a.sync = false
		end--
	}
	open := bytes.LastIndexByte(text[:end], '{')
	if open < 0 || open+1 == end {
		return a, false
	}
	for _, c := range text[open+1 : end] {
		switch {
		case c < '0' || c > '9':
			return a, false
		case a.size > 1e17:
			a.size = 1e18
		default:
			a.size = a.size*10 + int64(c-'0')
		}
	}
	a.at = open
	if open > 0 && text[open-1] == '~' {
		a.binary = true
		a.at--
	}
	return a, true
}

// Next reads the next command. An *Error refuses one; if it is not Fatal, Next can be called again. io.EOF comes
// between commands, io.ErrUnexpectedEOF within one. A message of the command before that was not read is dropped
// first.
func (r *Reader) Next() (*Request, error) {
	if err := r.discard(); err != nil {
		return nil, err
	}
	r.begin()
	if err := r.collect(); err != nil {
		return nil, r.tagged(err)
	}
	return r.parse()
}

// tagged gives an error the tag of the command that was being read.
func (r *Reader) tagged(err error) error {
	if refused, ok := errors.AsType[*Error](err); ok && refused.Status != BYE {
		refused.Tag = leadingTag(r.text)
	}
	return err
}

// collect reads lines and literals until the command ends or its message begins.
func (r *Reader) collect() error {
	var refused error // what makes the command BAD once all of it is read
	for {
		begin := len(r.text)
		if err := r.line(r.limits.Command - r.used); err != nil {
			return within(err, begin > 0)
		}
		a, ok := announcement(r.text[begin:])
		if !ok {
			return refused
		}
		a.at += begin
		if r.limits.Message > 0 && refused == nil && beginsMessage(r.text[:a.at], r.lits) {
			r.text = r.text[:a.at]
			r.message = &Message{Size: a.size, Binary: a.binary, r: r, sync: a.sync, left: a.size}
			return nil
		}
		if err := r.admit(a); err != nil {
			if fatal := r.refuse(a, err); fatal != nil || a.sync {
				return cmpErr(fatal, err) // a client that waits for a continuation sends no more of the command
			}
			refused = err
			continue
		}
		if err := r.literal(a); err != nil {
			refused = cmpErr(refused, err)
			if e, ok := errors.AsType[*Error](err); !ok || e.Fatal() {
				return err
			}
		}
	}
}

func cmpErr(first, second error) error {
	if first != nil {
		return first
	}
	return second
}

// admit holds an announced literal against the limits.
func (r *Reader) admit(a announced) *Error {
	switch {
	case a.size > int64(r.limits.Literals-r.held):
		return &Error{
			Status: BAD, Code: "TOOBIG",
			Text: "The literals of a command must not be longer than " + strconv.Itoa(r.limits.Literals) + " octets here.",
		}
	case len(r.lits) == maxLiterals:
		return &Error{Status: BAD, Text: "A command must not have more than " + strconv.Itoa(maxLiterals) + " literals."}
	}
	return r.limits.noSync(a.size, a.sync)
}

func (l Limits) noSync(size int64, sync bool) *Error {
	if sync || l.MaxNoSync == 0 || size <= l.MaxNoSync {
		return nil
	}
	return &Error{
		Status: BAD, Code: "TOOBIG",
		Text: "A non-synchronising literal must not be longer than " + strconv.FormatInt(l.MaxNoSync, 10) + " octets.",
	}
}

// refuse drops the octets of a literal that come without being asked for, or gives the error that ends the connection
// where they are too many.
func (r *Reader) refuse(a announced, why *Error) error {
	if a.sync {
		return nil
	}
	if a.size > maxDrain {
		return &Error{Status: BYE, Code: why.Code, Text: why.Text}
	}
	return r.drop(a.size)
}

func (r *Reader) drop(n int64) error {
	for n > 0 {
		if err := r.fill(); err != nil {
			return within(err, true)
		}
		taken := min(n, int64(r.w-r.r))
		r.r += int(taken)
		n -= taken
	}
	return nil
}

// literal reads an admitted literal behind the text.
func (r *Reader) literal(a announced) error {
	if a.sync {
		if err := r.proceed(); err != nil {
			return err
		}
	}
	start, missing := len(r.text), int(a.size)
	r.held += missing
	for missing > 0 {
		if err := r.fill(); err != nil {
			return within(err, true)
		}
		n := min(missing, r.w-r.r)
		r.text = append(r.text, (*r.buf)[r.r:r.r+n]...)
		r.r += n
		missing -= n
	}
	r.lits = append(r.lits, literal{at: a.at, start: start, end: len(r.text), binary: a.binary})
	if !a.binary && bytes.IndexByte(r.text[start:], 0) >= 0 {
		return &Error{Status: BAD, Text: "NUL stands in literal8 only."}
	}
	return nil
}

// Answer reads a client's answer to a challenge of AUTHENTICATE: base64 on a line of its own. ErrCancelled says that
// the client gave up.
func (r *Reader) Answer() ([]byte, error) {
	text, err := r.loneLine()
	if err != nil {
		return nil, err
	}
	if text == "*" {
		return nil, ErrCancelled
	}
	answer, err := base64.StdEncoding.Strict().DecodeString(text)
	if err != nil {
		return nil, &Error{Status: BAD, Text: "The answer to the challenge is not base64."}
	}
	return answer, nil
}

// Done waits for the line that ends IDLE (RFC 2177 §3).
func (r *Reader) Done() error {
	text, err := r.loneLine()
	if err == nil && !strings.EqualFold(text, "DONE") {
		err = &Error{Status: BAD, Text: "IDLE is ended by DONE on a line of its own."}
	}
	return err
}

func (r *Reader) loneLine() (string, error) {
	r.begin()
	if err := r.line(maxAnswer); err != nil {
		return "", err
	}
	return string(r.text), nil
}
