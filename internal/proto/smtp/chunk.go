package smtp

import (
	"bytes"
	"io"
	"math"
)

// ChunkState is what the chunks of one message have in common. Set Limit and
// leave the rest; a new message takes a new one.
type ChunkState struct {
	// Limit is how many octets all chunks together may have; 0 or less means no
	// limit.
	Limit int64
	// Written is how many octets have gone to dst.
	Written int64

	cr  bool // the last octet was a CR
	err error
}

// End tells after the last chunk whether the content stopped inside a CRLF,
// which is ErrBareCR, or what was wrong before.
func (s *ChunkState) End() error {
	if s.err == nil && s.cr {
		s.err = ErrBareCR
	}
	return s.err
}

// ReadChunk copies the n octets that follow BDAT (RFC 3030 §2) to dst. Exactly n
// octets are consumed whatever is wrong with them, so that none is ever read as
// a command; the error then is the first of ErrBareCR and ErrBareLF (judged
// across the borders of chunks), ErrTooLarge (nothing over the limit is
// written) or dst's, wrapped. It is kept in state and returned for every
// further chunk, which is consumed unwritten. Only an error of the source ends
// the reading early; the session cannot go on then.
func (r *Reader) ReadChunk(dst io.Writer, n int64, state *ChunkState) error {
	out := contentWriter{dst: dst, limit: state.Limit, n: state.Written, err: state.err}
	if state.Limit <= 0 {
		out.limit = math.MaxInt64
	}
	if out.err == nil && n > out.limit-out.n {
		out.err = ErrTooLarge
	}
	for taken := int64(0); taken < n; {
		if r.r == r.w {
			if err := r.fillContent(taken); err != nil {
				return endOfSource(err, true)
			}
		}
		b := r.buf[r.r:r.w]
		if int64(len(b)) > n-taken {
			b = b[:n-taken]
		}
		if out.err == nil {
			out.err = state.check(b)
		}
		out.write(b)
		r.r += len(b)
		taken += int64(len(b))
	}
	state.Written, state.err = out.n, out.err
	return state.err
}

// check finds the first CR or LF in b that stands alone.
func (s *ChunkState) check(b []byte) error {
	start := 0
	if s.cr {
		if b[0] != '\n' {
			return ErrBareCR
		}
		start = 1
	}
	lines := 0
	for p := start; ; {
		i := bytes.IndexByte(b[p:], '\n')
		if i < 0 {
			break
		}
		if i == 0 || b[p+i-1] != '\r' {
			if bytes.Count(b[start:p+i], crByte) != lines {
				return ErrBareCR
			}
			return ErrBareLF
		}
		lines++
		p += i + 1
	}
	s.cr = len(b) > start && b[len(b)-1] == '\r'
	if s.cr {
		lines++
	}
	if bytes.Count(b[start:], crByte) != lines {
		return ErrBareCR
	}
	return nil
}
