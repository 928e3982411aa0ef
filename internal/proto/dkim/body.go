package dkim

import (
	"bytes"
	"crypto/sha256"
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

var twoSpaces = []byte("  ")

// run is how many octets stay as they are, of those that p begins with; the first one does. Single spaces between words are
// among them, and LF, which means something only after a CR.
func run(p []byte) int {
	const most = 128 // what is looked at again when little of it stays
	p = p[:min(len(p), most)]
	if i := bytes.IndexByte(p, '\r'); i >= 0 {
		p = p[:i]
	}
	if i := bytes.IndexByte(p, '\t'); i >= 0 {
		p = p[:i]
	}
	if i := bytes.Index(p, twoSpaces); i >= 0 {
		p = p[:i]
	}
	return len(bytes.TrimSuffix(p, twoSpaces[:1]))
}

func (r *relaxedBody) write(p []byte) {
	b := borrow()
	r.out = (*b)[:0]
	defer func() {
		r.flush()
		*b, r.out = r.out, nil
		giveBack(b)
	}()
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
		n := run(p)
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
