package smtp

import (
	"bytes"
	"errors"
	"io"
)

const (
	minBuffer = 512      // smallest buffer of a Reader, in octets
	bigBuffer = 64 << 10 // what a Reader uses while content flows, in octets

	// bigAfter is how many buffers of content must have come before the big one
	// is worth its allocation.
	bigAfter = 4

	maxEmptyReads = 100
)

// Reader reads the lines and contents of a peer. It is used by one goroutine.
// Deadlines are its source's affair. After an error of the source ReadLine may be
// called again and goes on with what it had; contents, chunks and replies that
// were cut off are lost.
type Reader struct {
	src  io.Reader
	buf  []byte // holds the unread octets buf[r:w]
	base []byte // the buffer asked for; buf is another one while more is needed
	r, w int
	err  error // of the source, to be told once the octets before it are used

	// memo holds the last reply texts seen, so that the same "2.1.5 Ok" is not
	// allocated for each recipient.
	memo     [4]string
	memoNext int
}

// NewReader returns a Reader of src with a buffer of size octets (at least 512).
// Lines over that and large contents take a bigger buffer for as long as they
// last.
func NewReader(src io.Reader, size int) *Reader {
	base := make([]byte, max(size, minBuffer))
	return &Reader{src: src, buf: base, base: base}
}

// Reset makes r read from src and drops everything else but its buffer.
func (r *Reader) Reset(src io.Reader) {
	*r = Reader{src: src, buf: r.base, base: r.base}
}

// Buffered is how many octets have been received and not yet been used: the
// peer is pipelining when it is not 0.
func (r *Reader) Buffered() int { return r.w - r.r }

// Discard drops what is buffered and returns how many octets that were. After
// STARTTLS they are plaintext that somebody may have injected (RFC 3207 §4.2).
func (r *Reader) Discard() int {
	n := r.w - r.r
	r.r, r.w = 0, 0
	return n
}

// hasLine reports whether a whole line is buffered, so that reading it does not
// wait.
func (r *Reader) hasLine() bool {
	return bytes.IndexByte(r.buf[r.r:r.w], '\n') >= 0
}

// fill reads once, after making room: by moving what is unread to the front, or
// by a buffer of up to limit octets. It fails with errFull when there is no
// room within the limit.
func (r *Reader) fill(limit int) error {
	if r.r == r.w {
		r.r, r.w = 0, 0
		if len(r.buf) > limit || len(r.buf) != len(r.base) && limit <= len(r.base) {
			r.buf = r.base
		}
	}
	if r.err != nil {
		err := r.err
		r.err = nil
		return err
	}
	if r.w == len(r.buf) {
		switch {
		case r.r > 0:
			copy(r.buf, r.buf[r.r:r.w])
		case len(r.buf) >= limit:
			return errFull
		default:
			buf := make([]byte, min(limit, 2*len(r.buf)))
			copy(buf, r.buf[:r.w])
			r.buf = buf
		}
		r.r, r.w = 0, r.w-r.r
	}
	for range maxEmptyReads {
		n, err := r.src.Read(r.buf[r.w:])
		r.w += n
		if n > 0 {
			r.err = err
			return nil
		}
		if err != nil {
			return err
		}
	}
	return io.ErrNoProgress
}

var errFull = errors.New("buffer full")

// ReadLine returns the next line without its CRLF, valid until the next call. No
// more than max octets are taken, CRLF included.
//
// A line that is not right is consumed to its LF and refused: ErrLineTooLong,
// ErrBareCR, ErrBareLF, ErrControl for a NUL, in this order. Other controls are
// left to the parsers. A source that ends gives io.EOF between lines and
// io.ErrUnexpectedEOF within one.
func (r *Reader) ReadLine(max int) ([]byte, error) {
	line, err := r.rawLine(max)
	if err != nil {
		return nil, err
	}
	body := line[:len(line)-1]
	bareLF := len(body) == 0 || body[len(body)-1] != '\r'
	if !bareLF {
		body = body[:len(body)-1]
	}
	switch {
	case bytes.IndexByte(body, '\r') >= 0:
		return nil, ErrBareCR
	case bareLF:
		return nil, ErrBareLF
	case bytes.IndexByte(body, 0) >= 0:
		return nil, ErrControl
	}
	return body, nil
}

// rawLine returns the next line up to and with its LF. A line over limit octets
// is consumed, however long, in constant memory.
func (r *Reader) rawLine(limit int) ([]byte, error) {
	for scanned := 0; ; {
		if i := bytes.IndexByte(r.buf[r.r+scanned:r.w], '\n'); i >= 0 {
			line := r.buf[r.r : r.r+scanned+i+1]
			r.r += len(line)
			if len(line) > limit {
				return nil, ErrLineTooLong
			}
			return line, nil
		}
		scanned = r.w - r.r
		if scanned >= limit {
			return nil, r.skipLine()
		}
		if err := r.fill(max(limit, len(r.base))); err != nil {
			return nil, endOfSource(err, scanned > 0)
		}
	}
}

func (r *Reader) skipLine() error {
	for {
		if i := bytes.IndexByte(r.buf[r.r:r.w], '\n'); i >= 0 {
			r.r += i + 1
			return ErrLineTooLong
		}
		r.r = r.w
		if err := r.fill(len(r.base)); err != nil {
			return endOfSource(err, true)
		}
	}
}

func endOfSource(err error, within bool) error {
	if within && errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// fillContent is fill for contents: the big buffer is taken when taken octets
// have shown that it pays.
func (r *Reader) fillContent(taken int64) error {
	limit := len(r.base)
	if taken >= int64(bigAfter*len(r.base)) {
		limit = max(limit, bigBuffer)
		if len(r.buf) < limit {
			buf := make([]byte, limit)
			r.w = copy(buf, r.buf[r.r:r.w])
			r.r, r.buf = 0, buf
		}
	}
	return r.fill(max(limit, len(r.buf)))
}
