package smtp

import (
	"bytes"
	"fmt"
	"io"
	"math"
)

// ReadData copies the content that follows DATA to dst, up to and without the
// line that holds a single dot, with the dots of RFC 5321 §4.5.2 removed. The
// content keeps its final CRLF; a dot line right away is the empty content. n
// is the number of octets written; writes are as large as the buffer.
//
// Only CRLF.CRLF ends it. A CR or LF that stands alone is returned at once as
// ErrBareCR or ErrBareLF, the first of them in the stream; nobody knows where
// such content ends, so the caller replies and closes. Content over limit
// octets (negative: no limit) is consumed to its end, without writing what
// passes the limit, and gives ErrTooLarge. An error of dst is wrapped and
// returned after consuming to the end as well. After these two the session may
// go on. A source that ends gives io.ErrUnexpectedEOF.
//
// Lines of any length and all octets, NUL included, are taken as they are.
func (r *Reader) ReadData(dst io.Writer, limit int64) (n int64, err error) {
	out := contentWriter{dst: dst, limit: limit}
	if limit < 0 {
		out.limit = math.MaxInt64
	}
	bol := true // at the beginning of a line
	for taken := int64(0); ; {
		size, used, state, bare := unstuff(r.buf[r.r:r.w], bol)
		if bare != nil {
			return out.n, bare
		}
		if size > 0 {
			out.write(r.buf[r.r : r.r+size])
		}
		r.r += used
		taken += int64(used)
		if state == dataEnd {
			return out.n, out.err
		}
		bol = state == dataLineStart
		if err := r.fillContent(taken); err != nil {
			return out.n, endOfSource(err, true)
		}
	}
}

// contentWriter passes content on until something is wrong with it, and
// remembers what.
type contentWriter struct {
	dst   io.Writer
	limit int64
	n     int64 // octets written
	err   error
}

func (c *contentWriter) write(b []byte) {
	if c.err != nil {
		return
	}
	if int64(len(b)) > c.limit-c.n {
		c.err = ErrTooLarge
		return
	}
	n, err := c.dst.Write(b)
	c.n += int64(n)
	if err == nil && n < len(b) {
		err = io.ErrShortWrite
	}
	if err != nil {
		c.err = fmt.Errorf("write content: %w", err)
	}
}

// dataState is where the content stands after what was looked at.
type dataState uint8

const (
	dataWithin    dataState = iota // inside a line
	dataLineStart                  // behind a CRLF, or at the very beginning
	dataEnd                        // behind the dot line
)

// unstuff takes as much of b as can be judged, moving the content without its
// stuffed dots to the front. It returns the octets of content, those of b used,
// and the state behind them. What it leaves unused is the beginning of something
// whose end decides: a CR, or a dot at the beginning of a line.
func unstuff(b []byte, bol bool) (size, used int, state dataState, err error) {
	var (
		p     int // everything before has been judged
		lines int // CRLFs so far
		seg   int // b[seg:p] has not been moved yet
	)
	for p < len(b) {
		if bol && b[p] == '.' {
			rest := b[p+1:]
			if len(rest) == 0 || len(rest) == 1 && rest[0] == '\r' {
				return finish(b, size, seg, p, p, lines, dataLineStart)
			}
			if rest[0] == '\r' && rest[1] == '\n' {
				return finish(b, size, seg, p, p+3, lines, dataEnd)
			}
			size = move(b, size, seg, p)
			p++
			seg = p
		}
		i := bytes.IndexByte(b[p:], '\n')
		if i < 0 {
			p = len(b)
			if b[p-1] == '\r' {
				p--
			}
			// Nothing but a CR behind a CRLF: still at the beginning of a line as
			// far as a dot is concerned, but no dot can follow it.
			return finish(b, size, seg, p, p, lines, dataWithin)
		}
		if i == 0 || b[p+i-1] != '\r' {
			// A CR that stands alone before this LF came first.
			if _, _, _, err := finish(b, size, seg, p+i, p+i, lines, dataWithin); err != nil {
				return 0, 0, dataWithin, err
			}
			return 0, 0, dataWithin, ErrBareLF
		}
		p += i + 1
		lines++
		bol = true
	}
	state = dataWithin
	if bol {
		state = dataLineStart
	}
	return finish(b, size, seg, p, p, lines, state)
}

// finish moves the last segment and compares the CRs in the content with its
// CRLFs: each CRLF has one, so any more stand alone.
func finish(b []byte, size, seg, end, used, lines int, state dataState) (int, int, dataState, error) {
	size = move(b, size, seg, end)
	if bytes.Count(b[:size], crByte) != lines {
		return 0, 0, state, ErrBareCR
	}
	return size, used, state, nil
}

var crByte = []byte{'\r'}

func move(b []byte, size, seg, end int) int {
	if size == seg {
		return end
	}
	return size + copy(b[size:], b[seg:end])
}
