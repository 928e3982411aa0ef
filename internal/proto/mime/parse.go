package mime

import (
	"bytes"

	"postroad/internal/proto/message"
)

// Limits of a tree.
const (
	MaxDepth = 100     // levels, messages in messages counted too
	MaxParts = 10_000  // parts, multiparts and messages in messages counted too
	MaxText  = 1 << 20 // octets of parameters, identifiers and nested envelopes
)

// maxBoundary is the longest boundary that is looked for, in octets; RFC 2046
// §5.1.1 allows 70.
const maxBoundary = 1000

// Part is a message or a part of one: header fields and a body. Offsets count
// from the beginning of the message that was parsed.
type Part struct {
	Start     int // where its header begins
	HeaderEnd int // where its fields end, the last line end included
	Body      int // where its body begins, behind the empty line
	End       int // where its body ends; the line end before a boundary is no part of it
	Lines     int // line ends in the body

	Content

	// Parts are the parts of a multipart, at least one; only a multipart has some.
	Parts []*Part
	// Message is the message in a message/rfc822 or message/global part; only such a part has one.
	Message *Part
	// Envelope is that of Message.
	Envelope *Envelope
}

// Size is the number of octets of the body.
func (p *Part) Size() int { return p.End - p.Body }

// Parse gives the tree of a message.
func Parse(msg []byte) *Part {
	p := parser{msg: msg, boundaries: map[string]int{}, text: MaxText}
	root, _ := p.part(0, 0, false)
	return root
}

// parser goes through a message once, from its first octet to its last.
type parser struct {
	msg        []byte
	boundaries map[string]int // of the multiparts that are open, to their level
	level      int            // number of multiparts that are open
	parts      int
	text       int // octets that Content and envelopes may still take
	lines      lineCounter
}

// delimiter is a line that separates parts (RFC 2046 §5.1.1), or the end of the message.
type delimiter struct {
	level    int // of the multipart it belongs to, 0 at the end of the message
	start    int // where the line begins
	next     int // where the line after it begins
	closing  bool
	endOfAll bool
}

// bodyEnd gives the end of a body that begins at start and is ended by d: the
// line end before a delimiter belongs to it.
func (p *parser) bodyEnd(start int, d delimiter) int {
	if d.endOfAll {
		return d.start
	}
	end := d.start
	if end > start && p.msg[end-1] == '\n' {
		end--
		if end > start && p.msg[end-1] == '\r' {
			end--
		}
	}
	return end
}

// part reads the part that begins at start, up to the delimiter that ends it.
func (p *parser) part(start, depth int, digest bool) (*Part, delimiter) {
	p.parts++
	part := &Part{Start: start}
	d, ended := p.header(part)
	part.Content = readContent(p.msg[part.Start:part.HeaderEnd], digest, &p.text)
	before := p.lines.upTo(p.msg, part.Body)
	room := depth < MaxDepth && p.parts < MaxParts
	boundary := part.boundary()
	switch {
	case part.Type == "multipart" && room && boundary != "" && !ended:
		d = p.multipart(part, boundary, depth)
	case part.isMessage() && room && !ended:
		part.Message, d = p.part(part.Body, depth+1, false)
		part.Envelope = p.envelope(part.Message)
	case !ended:
		d = p.delimiter(part.Body)
	}
	if part.Type == "multipart" && len(part.Parts) == 0 || part.isMessage() && part.Message == nil {
		part.Type, part.Subtype, part.Params = "text", "plain", nil
	}
	part.End = p.bodyEnd(part.Body, d)
	if n := len(part.Parts); n > 0 {
		part.End = max(part.End, part.Parts[n-1].End) // where a delimiter ended the header of the last one
	} else if part.Message != nil {
		part.End = max(part.End, part.Message.End)
	}
	part.Lines = p.lines.upTo(p.msg, part.End) - before
	return part, d
}

// header finds where the part's header ends, as message.SplitHeader does, but not
// past a delimiter: ended tells that there was one, so that there is no body.
func (p *parser) header(part *Part) (d delimiter, ended bool) {
	at := part.Start
	for at < len(p.msg) {
		n := bytes.IndexByte(p.msg[at:], '\n') + 1
		if n == 0 {
			n = len(p.msg) - at
		}
		line := p.msg[at : at+n]
		if isDelimiter, ok := p.match(at, line); ok {
			part.HeaderEnd, part.Body = at, at
			return isDelimiter, true
		}
		if string(line) == "\r\n" || string(line) == "\n" {
			part.HeaderEnd, part.Body = at, at+n
			return delimiter{}, false
		}
		if at+n-part.Start > message.MaxHeader {
			break
		}
		at += n
	}
	part.HeaderEnd, part.Body = at, at
	return delimiter{}, false
}

// multipart reads the parts of a multipart and what stands around them.
func (p *parser) multipart(part *Part, boundary string, depth int) delimiter {
	outer, shadows := p.boundaries[boundary]
	p.level++
	own := p.level
	p.boundaries[boundary] = own
	d := p.delimiter(part.Body)
	for d.level == own && !d.closing {
		var child *Part
		child, d = p.part(d.next, depth+1, part.Subtype == "digest")
		part.Parts = append(part.Parts, child)
	}
	p.level--
	delete(p.boundaries, boundary)
	if shadows {
		p.boundaries[boundary] = outer
	}
	if d.level == own {
		d = p.delimiter(d.next)
	}
	return d
}

// delimiter finds the next one from the line on that begins at from.
func (p *parser) delimiter(from int) delimiter {
	for len(p.boundaries) > 0 && p.parts < MaxParts && from < len(p.msg) {
		if p.msg[from] == '-' {
			n := bytes.IndexByte(p.msg[from:], '\n') + 1
			if n == 0 {
				n = len(p.msg) - from
			}
			if d, ok := p.match(from, p.msg[from:from+n]); ok {
				return d
			}
		}
		n := bytes.Index(p.msg[from:], []byte("\n--"))
		if n < 0 {
			break
		}
		from += n + 1
	}
	return delimiter{start: len(p.msg), next: len(p.msg), endOfAll: true}
}

// match tells whether a line that begins at the given place is a delimiter of an
// open multipart.
func (p *parser) match(at int, line []byte) (delimiter, bool) {
	if len(line) < 3 || line[0] != '-' || line[1] != '-' || len(p.boundaries) == 0 || p.parts >= MaxParts {
		return delimiter{}, false
	}
	next := at + len(line)
	line = bytes.TrimRight(line[2:], " \t\r\n")
	if len(line) > maxBoundary+2 {
		return delimiter{}, false
	}
	if level, ok := p.boundaries[string(line)]; ok {
		return delimiter{level: level, start: at, next: next}, true
	}
	if line, closes := bytes.CutSuffix(line, []byte("--")); closes {
		if level, ok := p.boundaries[string(line)]; ok {
			return delimiter{level: level, start: at, next: next, closing: true}, true
		}
	}
	return delimiter{}, false
}

// envelope gives the envelope of a message in a message, as far as there is room.
func (p *parser) envelope(m *Part) *Envelope {
	size := m.HeaderEnd - m.Start
	if size > p.text {
		return &Envelope{}
	}
	e := ReadEnvelope(p.msg[m.Start:m.HeaderEnd])
	p.text -= e.size()
	if p.text < 0 {
		return &Envelope{}
	}
	return &e
}

// lineCounter counts line ends from the beginning of a message. It is asked about
// places that hardly ever lie before the last one.
type lineCounter struct{ at, lines int }

func (c *lineCounter) upTo(msg []byte, at int) int {
	if at >= c.at {
		c.lines += bytes.Count(msg[c.at:at], []byte{'\n'})
	} else {
		c.lines -= bytes.Count(msg[at:c.at], []byte{'\n'})
	}
	c.at = at
	return c.lines
}
