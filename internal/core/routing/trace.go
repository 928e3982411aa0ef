package routing

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"hash"
	"slices"
	"strconv"
	"strings"
	"sync"

	"postroad/internal/core/mail"
	"postroad/internal/proto/message"
)

// TraceField is the trace field by which an installation knows a message that it has sent on before: the root queue
// id, then a token for each recipient.
const TraceField = "Postroad-Trace"

// Tracer writes and reads trace fields. A token is the MAC of root queue id and final recipient, so that nobody else
// can make one; what another installation wrote means nothing. Its methods may be called at once; without a Tracer
// (nil) nothing is written and nothing has passed.
type Tracer struct {
	macs sync.Pool // of *mac
}

// NewTracer makes the tracer of an installation from its secret.
func NewTracer(secret string) *Tracer {
	t := &Tracer{}
	t.macs.New = func() any { return &mac{h: hmac.New(sha256.New, []byte(secret))} }
	return t
}

// mac is a MAC with room for what it is made of and what it becomes.
type mac struct {
	h       hash.Hash
	in, out []byte
}

// token is a MAC cut to a length that cannot be guessed and is short in a header.
type token [12]byte

// The forms of a trace field.
const (
	tokenLength   = 16 // characters of a token
	tokensPerLine = 4
	// leastTokens is the least number of tokens in a field; their number is always this or a doubling of it, filled
	// up with tokens of nobody, so that recipients do not learn how many others there are.
	leastTokens = 4
	// maxTraces is how many trace fields of a message are looked at, the uppermost ones.
	maxTraces = 10
)

func (m *mac) token(root mail.ID, recipient string) (t token) {
	m.in = append(append(append(m.in[:0], root...), 0), strings.ToLower(recipient)...)
	return m.sum()
}

// filler is the token of nobody: no address is a number.
func (m *mac) filler(root mail.ID, n int) token {
	m.in = strconv.AppendInt(append(append(m.in[:0], root...), 0), int64(n), 10)
	return m.sum()
}

func (m *mac) sum() (t token) {
	m.h.Reset()
	_, _ = m.h.Write(m.in) // a hash never fails
	m.out = m.h.Sum(m.out[:0])
	copy(t[:], m.out)
	return t
}

// AppendTo appends the trace field of a message that leaves for the destinations of some rows.
func (t *Tracer) AppendTo(b []byte, root mail.ID, rows []mail.Recipient) []byte {
	if t == nil {
		return b
	}
	slots := leastTokens
	for slots < len(rows) {
		slots *= 2
	}
	b = slices.Grow(b, len(TraceField)+len(root)+slots*(tokenLength+2)+8)
	b = append(append(append(b, TraceField...), ": "...), root...)
	m, _ := t.macs.Get().(*mac)
	for i := range slots {
		if i%tokensPerLine == 0 {
			b = append(b, "\r\n"...)
		}
		var of token
		if i < len(rows) {
			of = m.token(root, rows[i].Destination)
		} else {
			of = m.filler(root, i)
		}
		b = base64.RawURLEncoding.AppendEncode(append(b, ' '), of[:])
	}
	t.macs.Put(m)
	return append(b, "\r\n"...)
}

// Passage is what a header says of earlier passages through this installation.
type Passage struct {
	tracer *Tracer
	roots  []mail.ID
	tokens []map[token]struct{} // of roots
}

// Read reads the trace fields of a header.
func (t *Tracer) Read(header []byte) Passage {
	p := Passage{tracer: t}
	if t == nil || !message.HasField(header, TraceField) {
		return p
	}
	values := message.Values(header, TraceField)
	for _, value := range values[:min(len(values), maxTraces)] {
		word, rest, _ := strings.Cut(value, " ")
		root, err := mail.ParseID(word)
		if err != nil {
			continue
		}
		tokens := map[token]struct{}{}
		for word := range strings.FieldsSeq(rest) {
			var of token
			if len(word) != tokenLength {
				continue
			}
			if _, err := base64.RawURLEncoding.Decode(of[:], []byte(word)); err == nil {
				tokens[of] = struct{}{}
			}
		}
		p.roots, p.tokens = append(p.roots, root), append(p.tokens, tokens)
	}
	return p
}

// Empty reports whether the header tells of no passage at all.
func (p *Passage) Empty() bool { return len(p.roots) == 0 }

// Of reports whether the message has left for this final recipient before.
func (p *Passage) Of(recipient string) bool {
	if p.Empty() {
		return false
	}
	m, _ := p.tracer.macs.Get().(*mac)
	defer p.tracer.macs.Put(m)
	for i, root := range p.roots {
		if _, passed := p.tokens[i][m.token(root, recipient)]; passed {
			return true
		}
	}
	return false
}
