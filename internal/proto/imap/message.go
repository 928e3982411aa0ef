package imap

import (
	"bytes"
	"io"
	"strconv"
	"time"
)

// Message is one message of an APPEND, still on the connection (RFC 9051 §6.3.12, RFC 3502).
type Message struct {
	Flags  []string  // to be set
	Date   time.Time // internal date; zero where the client gave none
	Size   int64     // octets
	Binary bool      // sent as literal8: it may contain NUL (RFC 3516 §4.4)
	UTF8   bool      // its header may be in UTF-8 (RFC 6855 §4)

	r    *Reader
	sync bool  // nothing comes before it is asked for
	left int64 // octets not read
	open bool
	over bool // its literal is read, or will never come
	nul  bool
}

// Open asks for the message's octets, which are then read from m. An *Error says that it is too large or empty;
// nothing was asked for then.
func (m *Message) Open() error {
	limits := m.r.limits
	var refused *Error
	switch {
	case m.Size > limits.Message:
		refused = &Error{
			Status: NO, Code: "TOOBIG",
			Text: "A message must not be larger than " + strconv.FormatInt(limits.Message, 10) + " octets here.",
		}
	case m.Size == 0:
		refused = &Error{Status: NO, Text: "A message without a single octet is not stored."}
	default:
		refused = limits.noSync(m.Size, m.sync)
	}
	if refused != nil {
		refused.Tag = m.r.tag
		return refused
	}
	m.open = true
	if m.sync {
		return m.r.proceed()
	}
	return nil
}

// Read gives the octets of an opened message, then io.EOF. ErrNUL comes in its place where there was a NUL that must
// not be.
func (m *Message) Read(p []byte) (int, error) {
	if !m.open {
		return 0, io.ErrClosedPipe
	}
	if m.left == 0 {
		m.over = true
		if m.nul {
			return 0, ErrNUL
		}
		return 0, io.EOF
	}
	if len(p) == 0 {
		return 0, nil
	}
	n, err := m.r.take(p[:min(int64(len(p)), m.left)])
	m.left -= int64(n)
	if !m.Binary && bytes.IndexByte(p[:n], 0) >= 0 {
		m.nul = true
	}
	return n, within(err, true)
}

// take reads into p what is buffered, else from the source without a copy between.
func (r *Reader) take(p []byte) (int, error) {
	if r.r < r.w {
		n := copy(p, (*r.buf)[r.r:r.w])
		r.r += n
		return n, nil
	}
	for range maxEmptyReads {
		n, err := r.src.Read(p)
		if n > 0 {
			return n, nil
		}
		if err != nil {
			return 0, err
		}
	}
	return 0, io.ErrNoProgress
}

// More gives the next message of an APPEND whose last one was read to its end, nil after the last.
func (r *Reader) More() (*Message, error) {
	m := r.message
	if m == nil {
		return nil, nil
	}
	if !m.open || m.left > 0 {
		return nil, &Error{Tag: r.tag, Status: NO, Text: "The message before was not taken."}
	}
	begin := len(r.text)
	if err := r.line(r.limits.Command - r.used); err != nil {
		return nil, within(err, true)
	}
	r.message = nil
	a, ok := announcement(r.text[begin:])
	p := r.parser()
	p.pos = begin
	if ok {
		p.text = p.text[:begin+a.at]
		r.message = &Message{Size: a.size, Binary: a.binary, r: r, sync: a.sync, left: a.size}
	}
	if m.UTF8 {
		p.expect(')')
	}
	if !ok {
		p.end()
		return nil, p.failure(r.tag)
	}
	p.space()
	p.appendMessage(r.message)
	if err := p.failure(r.tag); err != nil {
		return nil, err
	}
	return r.message, nil
}

// beginsMessage says whether a literal behind text is the message of an APPEND: its mailbox stands before it.
func beginsMessage(text []byte, lits []literal) bool {
	_, rest, _ := bytes.Cut(text, []byte{' '})
	const word = "APPEND "
	if len(rest) < len(word) || !equalFold(string(rest[:len(word)]), word) {
		return false
	}
	return len(rest) > len(word) || len(lits) > 0
}

// discard drops what of an APPEND is still to come. It gives a fatal *Error where that is more than is read for
// nothing.
func (r *Reader) discard() error {
	m := r.message
	r.message = nil
	if m == nil {
		return nil
	}
	left := m.left
	for asked := m.open; ; asked = false {
		switch {
		case !asked && m.sync:
			return nil // the client sends no more of the command
		case !asked && left > maxDrain:
			return &Error{Status: BYE, Code: "TOOBIG", Text: "What was refused is too long to be skipped."}
		}
		if err := r.drop(left); err != nil {
			return err
		}
		begin := len(r.text)
		if err := r.line(r.limits.Command - r.used); err != nil {
			return within(err, true)
		}
		a, ok := announcement(r.text[begin:])
		if !ok {
			return nil
		}
		m, left = &Message{sync: a.sync}, a.size
	}
}
