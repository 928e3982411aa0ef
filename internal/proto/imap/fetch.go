package imap

import (
	"slices"
	"strings"

	"postroad/internal/proto/mime"
)

// ItemKind is what FETCH tells of a message (RFC 9051 §6.4.5).
type ItemKind uint8

// The kinds of items.
const (
	ItemUID ItemKind = iota + 1
	ItemFlags
	ItemInternalDate
	ItemSize     // RFC822.SIZE
	ItemEnvelope // ENVELOPE

	ItemStructure // BODYSTRUCTURE
	ItemBody      // BODY: the structure without extension data

	ItemModSeq // RFC 7162 §3.1.5

	ItemSection    // BODY[...] and BODY.PEEK[...]
	ItemBinary     // BINARY[...] and BINARY.PEEK[...]
	ItemBinarySize // BINARY.SIZE[...]

	ItemRFC822       // RFC 3501 §6.4.5: as BODY[]
	ItemRFC822Header // as BODY.PEEK[HEADER]
	ItemRFC822Text   // as BODY[TEXT]
)

// Item is one thing that FETCH asks for.
type Item struct {
	Kind    ItemKind
	Section mime.Section // of ItemSection and the kinds of BINARY; what the RFC822 kinds mean
	Peek    bool         // \Seen is not set

	// Partial asks for at most Count octets from Offset on.
	Partial       bool
	Offset, Count uint64
}

func (p *parser) fetch(uid bool) Command {
	c := Fetch{UID: uid}
	p.space()
	c.Messages = p.set()
	p.space()
	if p.peek() == '(' {
		c.Items = make([]Item, 0, 8)
		p.list(func() { c.Items = append(c.Items, p.item()) })
		if p.err == nil && len(c.Items) == 0 {
			p.fail("FETCH asks for nothing.")
		}
	} else if c.Items = p.macro(); c.Items == nil {
		c.Items = []Item{p.item()}
	}
	if p.accept(' ') {
		p.list(func() { p.fetchModifier(&c) })
	}
	if c.Vanished && (!c.HasChanged || !uid) {
		p.fail("VANISHED needs UID FETCH with CHANGEDSINCE.")
	}
	if c.HasChanged && !slices.ContainsFunc(c.Items, func(i Item) bool { return i.Kind == ItemModSeq }) {
		c.Items = append(c.Items, Item{Kind: ItemModSeq})
	}
	return c
}

func (p *parser) fetchModifier(c *Fetch) {
	switch string(p.keyword()) {
	case "CHANGEDSINCE":
		p.space()
		c.ChangedSince, c.HasChanged = p.nzNumber63(), true
	case "VANISHED":
		c.Vanished = true
	default:
		p.fail("There is no such modifier of FETCH.")
	}
}

func (p *parser) macro() []Item {
	fast := []Item{{Kind: ItemFlags}, {Kind: ItemInternalDate}, {Kind: ItemSize}}
	switch {
	case p.next("FAST"):
		return fast
	case p.next("ALL"):
		return append(fast, Item{Kind: ItemEnvelope})
	case p.next("FULL"):
		return append(fast, Item{Kind: ItemEnvelope}, Item{Kind: ItemBody})
	}
	return nil
}

// item takes fetch-att.
func (p *parser) item() Item {
	from := p.pos
	for p.pos < len(p.text) && classes[p.text[p.pos]]&isAtom != 0 && p.text[p.pos] != '[' {
		p.pos++
	}
	switch string(p.capitals(p.text[from:p.pos])) {
	case "UID":
		return Item{Kind: ItemUID}
	case "FLAGS":
		return Item{Kind: ItemFlags}
	case "INTERNALDATE":
		return Item{Kind: ItemInternalDate}
	case "RFC822.SIZE":
		return Item{Kind: ItemSize}
	case "ENVELOPE":
		return Item{Kind: ItemEnvelope}
	case "BODYSTRUCTURE":
		return Item{Kind: ItemStructure}
	case "MODSEQ":
		return Item{Kind: ItemModSeq}
	case "RFC822":
		return Item{Kind: ItemRFC822}
	case "RFC822.HEADER":
		return Item{Kind: ItemRFC822Header, Section: mime.Section{Text: mime.Header}, Peek: true}
	case "RFC822.TEXT":
		return Item{Kind: ItemRFC822Text, Section: mime.Section{Text: mime.BodyText}}
	case "BODY":
		if p.peek() != '[' {
			return Item{Kind: ItemBody}
		}
		return p.partial(Item{Kind: ItemSection, Section: p.section()})
	case "BODY.PEEK":
		return p.partial(Item{Kind: ItemSection, Section: p.section(), Peek: true})
	case "BINARY":
		return p.partial(Item{Kind: ItemBinary, Section: p.binarySection()})
	case "BINARY.PEEK":
		return p.partial(Item{Kind: ItemBinary, Section: p.binarySection(), Peek: true})
	case "BINARY.SIZE":
		return Item{Kind: ItemBinarySize, Section: p.binarySection(), Peek: true}
	}
	p.fail("There is no such item of FETCH.")
	return Item{}
}

// partial takes <offset.count> if it is there.
func (p *parser) partial(i Item) Item {
	if p.accept('<') {
		i.Partial = true
		i.Offset = p.number63()
		p.expect('.')
		i.Count = p.nzNumber63()
		p.expect('>')
	}
	return i
}

// partNumbers takes what section-part begins with; dot says that a dot stands behind it.
func (p *parser) partNumbers() (part []int, dot bool) {
	for '1' <= p.peek() && p.peek() <= '9' {
		part = append(part, int(p.number(1, 1<<31-1)))
		if len(part) > maxDepth {
			p.fail("A section is nested too deeply.")
		}
		if dot = p.accept('.'); !dot {
			break
		}
	}
	return part, dot
}

func (p *parser) binarySection() mime.Section {
	p.expect('[')
	part, dot := p.partNumbers()
	if dot {
		p.fail("BINARY takes the number of a part.")
	}
	p.expect(']')
	return mime.Section{Part: part}
}

func (p *parser) section() mime.Section {
	var s mime.Section
	var dot bool
	p.expect('[')
	s.Part, dot = p.partNumbers()
	if p.peek() == ']' && !dot || len(s.Part) > 0 && !dot {
		p.expect(']')
		return s
	}
	switch string(p.keyword()) {
	case "HEADER":
		s.Text = mime.Header
	case "HEADER.FIELDS":
		s.Text = mime.HeaderFields
	case "HEADER.FIELDS.NOT":
		s.Text = mime.HeaderFieldsNot
	case "TEXT":
		s.Text = mime.BodyText
	case "MIME":
		if s.Text = mime.MIMEHeader; len(s.Part) == 0 {
			p.fail("MIME needs the number of a part.")
		}
	default:
		p.fail("There is no such section.")
	}
	if s.Text == mime.HeaderFields || s.Text == mime.HeaderFieldsNot {
		p.space()
		s.Fields = make([]string, 0, 8)
		p.list(func() { s.Fields = append(s.Fields, p.fieldName()) })
		if p.err == nil && len(s.Fields) == 0 {
			p.fail("HEADER.FIELDS names no field.")
		}
	}
	p.expect(']')
	return s
}

// fieldName takes header-fld-name; the names of Item.Section are in capitals.
func (p *parser) fieldName() string {
	name := p.astring()
	for i := range len(name) {
		if c := name[i]; c <= 0x20 || c >= 0x7f || c == ':' {
			p.fail("A name is none of a header field.")
			return ""
		}
	}
	if p.err == nil && name == "" {
		p.fail("The name of a header field is empty.")
	}
	return strings.ToUpper(name)
}
