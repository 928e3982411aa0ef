package imapd

import (
	"encoding/binary"

	"postroad/internal/proto/mime"
)

// noteVersion is another one when what a note means changes; notes of other versions are passed over.
const noteVersion = 1

// note is what is kept of a message so that it need not be taken apart again.
type note struct {
	envelope *mime.Envelope // nil: not known
	tree     *mime.Part     // nil: not known
}

// append writes a note in the form in which the store keeps it.
func (n note) append(b []byte) []byte {
	w := noteWriter{b: append(b, noteVersion)}
	w.bool(n.envelope != nil)
	if n.envelope != nil {
		w.envelope(n.envelope)
	}
	w.bool(n.tree != nil)
	if n.tree != nil {
		w.part(n.tree)
	}
	return w.b
}

// readNote reads a note; what cannot be read is not known.
func readNote(b []byte) note {
	if len(b) == 0 || b[0] != noteVersion {
		return note{}
	}
	var n note
	r := noteReader{s: string(b[1:])}
	if r.bool() {
		n.envelope = &mime.Envelope{}
		r.envelope(n.envelope)
	}
	if r.bool() {
		n.tree = r.part(0)
	}
	if r.bad || r.s != "" {
		return note{}
	}
	return n
}

type noteWriter struct{ b []byte }

func (w *noteWriter) int(n int)    { w.b = binary.AppendUvarint(w.b, uint64(n)) }
func (w *noteWriter) str(s string) { w.int(len(s)); w.b = append(w.b, s...) }

func (w *noteWriter) bool(v bool) {
	if v {
		w.b = append(w.b, 1)
	} else {
		w.b = append(w.b, 0)
	}
}

func (w *noteWriter) envelope(e *mime.Envelope) {
	w.str(e.Date)
	w.str(e.Subject)
	for _, list := range [][]mime.Address{e.From, e.Sender, e.ReplyTo, e.To, e.Cc, e.Bcc} {
		w.int(len(list))
		for _, a := range list {
			w.b = append(w.b, byte(a.Kind))
			w.str(a.Name)
			w.str(a.Route)
			w.str(a.Local)
			w.str(a.Domain)
		}
	}
	w.str(e.InReplyTo)
	w.str(e.MessageID)
}

func (w *noteWriter) params(list []mime.Param) {
	w.int(len(list))
	for _, p := range list {
		w.str(p.Name)
		w.str(p.Value)
	}
}

func (w *noteWriter) part(p *mime.Part) {
	for _, n := range []int{p.Start, p.HeaderEnd, p.Body, p.End, p.Lines} {
		w.int(n)
	}
	for _, s := range []string{p.Type, p.Subtype, p.ID, p.Description, p.Encoding, p.MD5, p.Disposition, p.Location} {
		w.str(s)
	}
	w.params(p.Params)
	w.params(p.DispositionParams)
	w.int(len(p.Language))
	for _, l := range p.Language {
		w.str(l)
	}
	w.int(len(p.Parts))
	for _, child := range p.Parts {
		w.part(child)
	}
	w.bool(p.Message != nil)
	if p.Message != nil {
		w.part(p.Message)
		w.envelope(p.Envelope)
	}
}

// noteReader reads what noteWriter wrote. Its texts share the note's memory.
type noteReader struct {
	s   string
	bad bool
}

// int reads a number; one that is larger than what a note can be about is a fault.
func (r *noteReader) int() int {
	var n uint64
	for shift := 0; shift < 63 && r.s != ""; shift += 7 {
		c := r.s[0]
		r.s = r.s[1:]
		n |= uint64(c&0x7f) << shift
		if c < 0x80 {
			return int(n)
		}
	}
	r.bad = true
	return 0
}

// count reads how many things follow, each of which has at least one octet.
func (r *noteReader) count() int {
	n := r.int()
	if n > len(r.s) {
		r.bad = true
		return 0
	}
	return n
}

func (r *noteReader) str() string {
	n := r.count()
	s := r.s[:n]
	r.s = r.s[n:]
	return s
}

func (r *noteReader) byte() byte {
	if r.s == "" {
		r.bad = true
		return 0
	}
	c := r.s[0]
	r.s = r.s[1:]
	return c
}

func (r *noteReader) bool() bool { return r.byte() == 1 }

func (r *noteReader) envelope(e *mime.Envelope) {
	e.Date, e.Subject = r.str(), r.str()
	for _, list := range []*[]mime.Address{&e.From, &e.Sender, &e.ReplyTo, &e.To, &e.Cc, &e.Bcc} {
		n := r.count()
		if n > 0 {
			*list = make([]mime.Address, 0, n)
		}
		for range n {
			a := mime.Address{Kind: mime.AddressKind(r.byte())}
			a.Name, a.Route, a.Local, a.Domain = r.str(), r.str(), r.str(), r.str()
			*list = append(*list, a)
		}
	}
	e.InReplyTo, e.MessageID = r.str(), r.str()
}

func (r *noteReader) params() []mime.Param {
	var list []mime.Param
	for range r.count() {
		list = append(list, mime.Param{Name: r.str(), Value: r.str()})
	}
	return list
}

func (r *noteReader) part(depth int) *mime.Part {
	p := &mime.Part{}
	if r.bad || depth > mime.MaxDepth {
		r.bad = true
		return p
	}
	for _, n := range []*int{&p.Start, &p.HeaderEnd, &p.Body, &p.End, &p.Lines} {
		*n = r.int()
	}
	for _, s := range []*string{&p.Type, &p.Subtype, &p.ID, &p.Description, &p.Encoding, &p.MD5, &p.Disposition, &p.Location} {
		*s = r.str()
	}
	p.Params, p.DispositionParams = r.params(), r.params()
	for range r.count() {
		p.Language = append(p.Language, r.str())
	}
	for range r.count() {
		p.Parts = append(p.Parts, r.part(depth+1))
	}
	if r.bool() {
		p.Message = r.part(depth + 1)
		p.Envelope = &mime.Envelope{}
		r.envelope(p.Envelope)
	}
	return p
}
