package imap

import (
	"io"
	"strconv"
	"time"

	"postroad/internal/proto/mime"
)

// Fetched writes one FETCH response (RFC 9051 §7.5.2). Each method adds an item; End ends it. Nothing else may be
// written by the Writer before End.
type Fetched struct {
	w     *Writer
	items int
}

// Fetch begins a FETCH response for the message with that number.
func (w *Writer) Fetch(number uint32) *Fetched {
	w.untagged("")
	w.number(uint64(number))
	w.raw(" FETCH ")
	return &Fetched{w: w}
}

// item begins an item.
func (f *Fetched) item(name string) *Writer {
	f.w.raw(separator(f.items))
	f.w.raw(name)
	f.items++
	return f.w
}

// End ends the response.
func (f *Fetched) End() {
	if f.items == 0 {
		f.w.raw("(")
	}
	f.w.raw(")")
	f.w.end()
}

// UID adds UID.
func (f *Fetched) UID(uid uint32) { f.item("UID ").number(uint64(uid)) }

// Flags adds FLAGS.
func (f *Fetched) Flags(flags []string) { f.item("FLAGS ").flags(flags) }

// InternalDate adds INTERNALDATE.
func (f *Fetched) InternalDate(at time.Time) { f.item("INTERNALDATE ").dateTime(at) }

// Size adds RFC822.SIZE, in octets.
func (f *Fetched) Size(size int64) { f.item("RFC822.SIZE ").number(uint64(max(size, 0))) }

// ModSeq adds MODSEQ (RFC 7162 §3.1.5).
func (f *Fetched) ModSeq(n uint64) {
	w := f.item("MODSEQ (")
	w.number(n)
	w.raw(")")
}

// Envelope adds ENVELOPE.
func (f *Fetched) Envelope(e *mime.Envelope) { f.item("ENVELOPE ").envelope(e) }

// Structure adds BODYSTRUCTURE, or BODY for an item of that kind.
func (f *Fetched) Structure(i Item, root *mime.Part) {
	if i.Kind == ItemBody {
		f.item("BODY ").structure(root, false)
		return
	}
	f.item("BODYSTRUCTURE ").structure(root, true)
}

// Content adds what an item asks for: the octets of a section, of which the caller has cut out what Partial asks for.
func (f *Fetched) Content(i Item, content []byte) {
	f.content(i).literal(content, i.Kind == ItemBinary)
}

// ContentFrom is Content of a section that is too large to be held: size octets are read from content. It is not for
// ItemBinary.
func (f *Fetched) ContentFrom(i Item, content io.Reader, size int64) {
	f.content(i).literalFrom(content, size, false)
}

// BinaryFrom is ContentFrom for ItemBinary; nul says that there is a NUL in what is read.
func (f *Fetched) BinaryFrom(i Item, content io.Reader, size int64, nul bool) {
	w := f.content(i)
	if nul {
		w.raw("~")
	}
	w.literalFrom(content, size, nul)
}

// NoContent adds that there is no such section.
func (f *Fetched) NoContent(i Item) { f.content(i).raw("NIL") }

// BinarySize adds BINARY.SIZE (RFC 3516 §4.3).
func (f *Fetched) BinarySize(i Item, size int64) { f.content(i).number(uint64(max(size, 0))) }

// content begins an item of content with the name that its answer has.
func (f *Fetched) content(i Item) *Writer {
	switch i.Kind {
	case ItemRFC822:
		return f.item("RFC822 ")
	case ItemRFC822Header:
		return f.item("RFC822.HEADER ")
	case ItemRFC822Text:
		return f.item("RFC822.TEXT ")
	case ItemBinarySize:
		return f.named("BINARY.SIZE[", i)
	case ItemBinary:
		return f.named("BINARY[", i)
	default:
		return f.named("BODY[", i)
	}
}

func (f *Fetched) named(name string, i Item) *Writer {
	w := f.item(name)
	w.section(i.Section)
	w.raw("]")
	if i.Partial {
		w.raw("<")
		w.number(i.Offset)
		w.raw(">")
	}
	w.raw(" ")
	return w
}

// section writes a section as it stands between the brackets.
func (w *Writer) section(s mime.Section) {
	for i, n := range s.Part {
		if i > 0 {
			w.raw(".")
		}
		w.buf = strconv.AppendInt(w.buf, int64(n), 10)
	}
	if len(s.Part) > 0 && s.Text != mime.Whole {
		w.raw(".")
	}
	switch s.Text {
	case mime.Whole:
	case mime.Header:
		w.raw("HEADER")
	case mime.HeaderFields:
		w.fields("HEADER.FIELDS ", s.Fields)
	case mime.HeaderFieldsNot:
		w.fields("HEADER.FIELDS.NOT ", s.Fields)
	case mime.BodyText:
		w.raw("TEXT")
	case mime.MIMEHeader:
		w.raw("MIME")
	}
}

func (w *Writer) fields(name string, fields []string) {
	w.raw(name)
	for i, field := range fields {
		w.raw(separator(i))
		w.astring(field)
	}
	w.raw(")")
}

// astring writes an atom where s is one, else a string.
func (w *Writer) astring(s string) {
	for i := range len(s) {
		if classes[s[i]]&isAtom == 0 {
			w.str(s)
			return
		}
	}
	if s == "" {
		w.str(s)
		return
	}
	w.raw(s)
}

func (w *Writer) envelope(e *mime.Envelope) {
	w.raw("(")
	w.nstring(e.Date)
	w.raw(" ")
	w.nstring(e.Subject)
	for _, list := range [][]mime.Address{e.From, e.Sender, e.ReplyTo, e.To, e.Cc, e.Bcc} {
		w.raw(" ")
		w.addresses(list)
	}
	w.raw(" ")
	w.nstring(e.InReplyTo)
	w.raw(" ")
	w.nstring(e.MessageID)
	w.raw(")")
}

func (w *Writer) addresses(list []mime.Address) {
	if len(list) == 0 {
		w.raw("NIL")
		return
	}
	w.raw("(")
	for _, a := range list {
		switch a.Kind {
		case mime.GroupStart:
			w.raw("(NIL NIL ")
			w.str(a.Name)
			w.raw(" NIL)")
		case mime.GroupEnd:
			w.raw("(NIL NIL NIL NIL)")
		default: // without a host it would be a group
			w.raw("(")
			w.nstring(a.Name)
			w.raw(" ")
			w.nstring(a.Route)
			w.raw(" ")
			w.str(a.Local)
			w.raw(" ")
			w.str(a.Domain)
			w.raw(")")
		}
	}
	w.raw(")")
}

// structure writes body (RFC 9051 §9), with extension data for BODYSTRUCTURE.
func (w *Writer) structure(p *mime.Part, extended bool) {
	w.raw("(")
	switch {
	case len(p.Parts) > 0:
		for _, part := range p.Parts {
			w.structure(part, extended)
		}
		w.raw(" ")
		w.str(p.Subtype)
		if extended {
			w.raw(" ")
			w.parameters(p.Params)
		}
	default:
		w.single(p, extended)
	}
	if extended {
		w.raw(" ")
		w.disposition(p)
		w.raw(" ")
		w.languages(p.Language)
		w.raw(" ")
		w.nstring(p.Location)
	}
	w.raw(")")
}

// single writes body-type-1part without the extension data that multiparts have too.
func (w *Writer) single(p *mime.Part, extended bool) {
	mediaType, subtype := p.Type, p.Subtype
	if p.Message == nil && (mediaType == "multipart" || mediaType == "message" && (subtype == "rfc822" || subtype == "global")) {
		mediaType, subtype = "application", "octet-stream" // of these the grammar wants more than there is
	}
	w.str(mediaType)
	w.raw(" ")
	w.str(subtype)
	w.raw(" ")
	w.parameters(p.Params)
	w.raw(" ")
	w.nstring(p.ID)
	w.raw(" ")
	w.nstring(p.Description)
	w.raw(" ")
	w.str(p.Encoding)
	w.raw(" ")
	w.number(uint64(p.Size()))
	if p.Message != nil {
		w.raw(" ")
		w.envelope(p.Envelope)
		w.raw(" ")
		w.structure(p.Message, extended)
	}
	if p.Message != nil || p.Type == "text" {
		w.raw(" ")
		w.number(uint64(p.Lines))
	}
	if extended {
		w.raw(" ")
		w.nstring(p.MD5)
	}
}

// parameters writes names and values, NIL where there are none.
func (w *Writer) parameters(params []mime.Param) {
	if len(params) == 0 {
		w.raw("NIL")
		return
	}
	for i, p := range params {
		w.raw(separator(i))
		w.str(p.Name)
		w.raw(" ")
		w.str(p.Value)
	}
	w.raw(")")
}

func (w *Writer) disposition(p *mime.Part) {
	if p.Disposition == "" {
		w.raw("NIL")
		return
	}
	w.raw("(")
	w.str(p.Disposition)
	w.raw(" ")
	w.parameters(p.DispositionParams)
	w.raw(")")
}

func (w *Writer) languages(list []string) {
	if len(list) == 0 {
		w.raw("NIL")
		return
	}
	for i, language := range list {
		w.raw(separator(i))
		w.str(language)
	}
	w.raw(")")
}
