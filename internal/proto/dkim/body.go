package dkim

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"hash"
	"io"
)

// ErrBodyHash says that a body was not hashed by the canonicalization that is asked for.
var ErrBodyHash = errors.New("dkim: the body was not hashed by this canonicalization")

// Body hashes the body of a message, once for each canonicalization that is wanted (RFC 6376 §3.7). What is written is
// everything after the empty line that ends the header, in pieces of any size. The hash is SHA-256, the only one that is
// left (RFC 8301, RFC 8463). A Body is for one goroutine at a time.
type Body struct {
	simple  *simpleBody
	relaxed *relaxedBody
	sums    [2][]byte
	n       int64
}

// NewBody hashes for the given canonicalizations; naming one twice costs nothing, and without any nothing is hashed.
func NewBody(wanted ...Canonicalization) *Body {
	b := &Body{}
	for _, c := range wanted {
		switch {
		case c == Simple && b.simple == nil:
			b.simple = &simpleBody{sum: sha256.New()}
		case c == Relaxed && b.relaxed == nil:
			b.relaxed = &relaxedBody{sum: sha256.New()}
		}
	}
	return b
}

// Write takes the next octets of the body. It fails only after [Body.Sum].
func (b *Body) Write(p []byte) (int, error) {
	if b.sums[Simple] != nil || b.sums[Relaxed] != nil {
		return 0, errors.New("dkim: more of a body after its hash was taken")
	}
	b.n += int64(len(p))
	if b.simple != nil {
		b.simple.write(p)
	}
	if b.relaxed != nil {
		b.relaxed.write(p)
	}
	return len(p), nil
}

// Len is how many octets were written.
func (b *Body) Len() int64 { return b.n }

// Sum gives the hash by a canonicalization; it ends the body. The error is [ErrBodyHash].
func (b *Body) Sum(c Canonicalization) ([]byte, error) {
	if sum := b.sums[c]; sum != nil {
		return sum, nil
	}
	switch {
	case c == Simple && b.simple != nil:
		b.sums[c] = b.simple.close()
	case c == Relaxed && b.relaxed != nil:
		b.sums[c] = b.relaxed.close()
	default:
		return nil, ErrBodyHash
	}
	return b.sums[c], nil
}

// lineEnds counts empty lines that are hashed only if something follows them.
type lineEnds int

// flush writes the line ends that turned out not to be the last.
func (n *lineEnds) flush(w io.Writer) {
	const block = "\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n"
	for left := int(*n) * 2; left > 0; left -= len(block) {
		_, _ = io.WriteString(w, block[:min(left, len(block))])
	}
	*n = 0
}

// simpleBody hashes by RFC 6376 §3.4.3: octets as they are, with exactly one CRLF at the end.
type simpleBody struct {
	sum  hash.Hash
	ends lineEnds
	// cr: the last octet was a CR whose LF may follow.
	cr bool
}

func (s *simpleBody) write(p []byte) {
	if len(p) == 0 {
		return
	}
	if s.cr {
		s.cr = false
		if p[0] == '\n' {
			s.ends++
			p = p[1:]
		} else {
			s.ends.flush(s.sum)
			_, _ = s.sum.Write([]byte{'\r'})
		}
	}
	rest := p
	if n := len(rest); n > 0 && rest[n-1] == '\r' {
		s.cr = true
		rest = rest[:n-1]
	}
	text := rest
	for bytes.HasSuffix(text, []byte("\r\n")) {
		text = text[:len(text)-2]
	}
	if len(text) > 0 {
		s.ends.flush(s.sum)
		_, _ = s.sum.Write(text)
	}
	s.ends += lineEnds((len(rest) - len(text)) / 2)
}

func (s *simpleBody) close() []byte {
	if s.cr {
		s.ends.flush(s.sum)
		_, _ = s.sum.Write([]byte{'\r'})
	}
	_, _ = io.WriteString(s.sum, "\r\n")
	return s.sum.Sum(nil)
}

// relaxedBody hashes by RFC 6376 §3.4.4: white space within a line is one SP, at its end none; a body that is not empty
// ends with exactly one CRLF.
type relaxedBody struct {
	sum  hash.Hash
	ends lineEnds
	// space, then cr, stand after the last octet that was hashed and its line ends.
	space, cr bool
	some      bool
	out       []byte // what is put together; only while octets come
}

// gathered is how many octets are put together before they are hashed.
const gathered = 2 << 10

// run is how many octets stay as they are, of those that p begins with; the first one does. Lines and single spaces between
// words are among them, and bare CR and LF, which are text; what may change at its end is left.
func run(p []byte) int {
	if i := bytes.IndexByte(p, '\t'); i >= 0 {
		p = p[:i]
	}
	n := spaceThatGoes(p)
	for n > 1 {
		switch {
		case p[n-1] == ' ', p[n-1] == '\r':
			n--
		case p[n-1] == '\n' && p[n-2] == '\r':
			n -= 2
		default:
			return n
		}
	}
	return 1
}

// spaceThatGoes finds the first SP that another one or a CR follows; without one it is the length of p.
func spaceThatGoes(p []byte) int {
	const (
		ones   = 0x0101010101010101
		highs  = 0x8080808080808080
		spaces = ' ' * ones
		crs    = '\r' * ones
	)
	goes := func(i int) bool { return p[i] == ' ' && (p[i+1] == ' ' || p[i+1] == '\r') }
	i := 0
	for ; i+9 <= len(p); i += 8 {
		// The high bit of an octet is set where a space stands, and sometimes where none does, but never the other way round.
		here, next := binary.LittleEndian.Uint64(p[i:]), binary.LittleEndian.Uint64(p[i+1:])
		space, after, cr := here^spaces, next^spaces, next^crs
		if (space-ones)&^space&((after-ones)&^after|(cr-ones)&^cr)&highs == 0 {
			continue
		}
		for n := range 8 {
			if goes(i + n) {
				return i + n
			}
		}
	}
	for ; i+1 < len(p); i++ {
		if goes(i) {
			return i
		}
	}
	return len(p)
}

func (r *relaxedBody) write(p []byte) {
	b := borrow()
	r.out = (*b)[:0]
	defer func() {
		r.flush()
		*b, r.out = r.out, nil
		giveBack(b)
	}()
	const least, most = 128, 4 << 10 // what is looked at again when little of it stays
	window := most
	for len(p) > 0 {
		o := p[0]
		if r.cr {
			r.cr = false
			if o == '\n' {
				r.space = false
				r.ends++
				p = p[1:]
				continue
			}
			r.text([]byte{'\r'})
		}
		switch o {
		case ' ', '\t':
			r.space = true
			p = p[1:]
			continue
		case '\r':
			r.cr = true
			p = p[1:]
			continue
		}
		n := run(p[:min(len(p), window)])
		if n < window/2 {
			window = max(window/2, least)
		} else {
			window = min(window*2, most)
		}
		r.text(p[:n])
		p = p[n:]
	}
}

// text hashes octets of a line, and before them what was held back.
func (r *relaxedBody) text(p []byte) {
	r.some = true
	if len(r.out)+len("\r\n ")+len(p) > gathered {
		r.flush()
	}
	if r.ends == 1 {
		r.out = append(r.out, '\r', '\n')
		r.ends = 0
	} else if r.ends > 0 {
		r.flush()
		r.ends.flush(r.sum)
	}
	if r.space {
		r.out = append(r.out, ' ')
		r.space = false
	}
	if len(p) > gathered/2 {
		r.flush()
		_, _ = r.sum.Write(p)
		return
	}
	r.out = append(r.out, p...)
}

func (r *relaxedBody) flush() {
	_, _ = r.sum.Write(r.out)
	r.out = r.out[:0]
}

func (r *relaxedBody) close() []byte {
	if r.cr {
		r.text([]byte{'\r'})
	}
	r.flush()
	if r.some {
		_, _ = io.WriteString(r.sum, "\r\n")
	}
	return r.sum.Sum(nil)
}
