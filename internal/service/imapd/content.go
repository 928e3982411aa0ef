package imapd

import (
	"bytes"
	"errors"
	"io"

	"postroad/internal/core/mailbox"
	"postroad/internal/proto/imap"
	"postroad/internal/proto/message"
	"postroad/internal/proto/mime"
)

// content is the octets of one message: all of them in memory, or in the store.
type content struct {
	octets []byte       // a small message
	body   mailbox.Body // else a large one
	size   int64        // of body
	head   []byte       // header with the empty line, once it was read
	err    error        // why the store could not give what was asked for
}

// readAll reads a small message.
func readAll(body mailbox.Body) ([]byte, error) {
	octets := make([]byte, body.Size())
	n, err := body.ReadAt(octets, 0)
	if errors.Is(err, io.EOF) && n == len(octets) {
		err = nil
	}
	return octets, err
}

// header gives the header with the empty line that ends it. No more of the message is read than that takes.
func (c *content) header() ([]byte, error) {
	if c.head != nil {
		return c.head, nil
	}
	for want := int64(8 << 10); ; want *= 4 {
		octets := c.octets
		whole := c.body == nil
		if !whole {
			whole = want >= c.size
			octets = make([]byte, min(want, c.size))
			if n, err := c.body.ReadAt(octets, 0); err != nil && !(errors.Is(err, io.EOF) && n == len(octets)) {
				return nil, err
			}
		}
		fields, rest, ok := message.SplitHeader(octets)
		if whole || rest != nil || !ok {
			if ok {
				c.head = octets[:len(octets)-len(rest)]
			} else {
				c.head = fields
			}
			return c.head, nil
		}
	}
}

// slice gives a part of the message in memory.
func (c *content) slice(from, to int64) ([]byte, error) {
	if c.body == nil {
		return c.octets[from:to], nil
	}
	octets := make([]byte, to-from)
	n, err := c.body.ReadAt(octets, from)
	if errors.Is(err, io.EOF) && n == len(octets) {
		err = nil
	}
	return octets, err
}

// length is the number of octets.
func (c *content) length() int64 {
	if c.body == nil {
		return int64(len(c.octets))
	}
	return c.size
}

// needsTree reports whether some item asks for a part by its number.
func needsTree(items []imap.Item) bool {
	for _, i := range items {
		switch {
		case i.Kind == imap.ItemBinary, i.Kind == imap.ItemBinarySize:
			return true
		case i.Kind == imap.ItemSection && len(i.Section.Part) > 0:
			return true
		}
	}
	return false
}

// parse takes a message apart. Large ones are taken apart a few at a time.
func (f *fetching) parse(c *content) (*mime.Part, error) {
	if c.body == nil {
		return mime.Parse(c.octets), nil
	}
	release, err := f.largeSlot()
	if err != nil {
		return nil, err
	}
	defer release()
	octets, err := c.slice(0, c.size)
	if err != nil {
		return nil, err
	}
	return mime.Parse(octets), nil
}

// largeSlot waits for the right to hold a large message in memory.
func (s *session) largeSlot() (release func(), err error) {
	select {
	case s.service.large <- struct{}{}:
		return func() { <-s.service.large }, nil
	case <-s.context().Done():
		return nil, s.context().Err()
	}
}

// section writes BODY[…] and what RFC822 items mean.
func (f *fetching) section(out *imap.Fetched, i imap.Item, k *known, c *content) {
	sect := i.Section
	from, to, ok := int64(0), c.length(), true
	switch {
	case len(sect.Part) > 0:
		var start, end int
		start, end, ok = k.note.tree.Range(sect)
		from, to = int64(start), int64(end)
	case sect.Text != mime.Whole:
		header, err := c.header()
		if err != nil {
			c.err = err
		}
		if sect.Text == mime.BodyText {
			from = int64(len(header))
		} else {
			to = int64(len(header))
		}
	}
	if !ok || c.err != nil {
		out.NoContent(i)
		return
	}
	if sect.Text == mime.HeaderFields || sect.Text == mime.HeaderFieldsNot {
		header, err := c.slice(from, to)
		if err != nil {
			c.err = err
			out.NoContent(i)
			return
		}
		chosen := mime.SelectFields(header, sect.Fields, sect.Text == mime.HeaderFieldsNot)
		out.Content(i, partial(i, chosen))
		return
	}
	if i.Partial {
		length := to - from
		begin := int64(min(i.Offset, uint64(length)))
		from, to = from+begin, from+begin+int64(min(i.Count, uint64(length-begin)))
	}
	f.copyRange(out, i, c, from, to)
}

// copyRange writes a part of the message as it is.
func (f *fetching) copyRange(out *imap.Fetched, i imap.Item, c *content, from, to int64) {
	if c.body == nil {
		out.Content(i, c.octets[from:to])
		return
	}
	in := &checked{r: io.NewSectionReader(c.body, from, to-from)}
	if from == 0 && to == c.size {
		in.r = c.body.Whole()
	}
	out.ContentFrom(i, in, to-from)
	c.err = in.err
}

// checked remembers the error of a reader.
type checked struct {
	r   io.Reader
	err error
}

func (c *checked) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		c.err = err
	}
	return n, err
}

// partial cuts out of a content what an item asks for.
func partial(i imap.Item, b []byte) []byte {
	if !i.Partial {
		return b
	}
	b = b[min(i.Offset, uint64(len(b))):]
	return b[:min(i.Count, uint64(len(b)))]
}

// decoded gives the content of a part (RFC 3516 §4.2), each time from its beginning; nil when there is no such part.
func (f *fetching) decoded(i imap.Item, k *known, c *content) func() (io.Reader, error) {
	part := k.note.tree.Find(i.Section.Part)
	if part == nil {
		return nil
	}
	from, encoding := part.Body, part.Encoding
	switch {
	case len(i.Section.Part) == 0: // the message itself has no encoding of its own
		from, encoding = part.Start, ""
	case len(part.Parts) > 0 || part.Message != nil:
		encoding = ""
	}
	return func() (io.Reader, error) {
		if c.body == nil {
			b, err := mime.Decode(encoding, c.octets[from:part.End])
			return bytes.NewReader(b), err
		}
		return mime.NewDecoder(encoding, io.NewSectionReader(c.body, int64(from), int64(part.End-from)))
	}
}

// measure is the length of a decoded part, and whether there is a NUL in it.
func (f *fetching) measure(open func() (io.Reader, error), c *content) (size int64, nul, ok bool) {
	r, err := open()
	if err != nil {
		f.cte = true
		return 0, false, false
	}
	pooled, _ := copyBuffers.Get().(*[]byte)
	defer copyBuffers.Put(pooled)
	for {
		n, err := r.Read(*pooled)
		size += int64(n)
		nul = nul || bytes.IndexByte((*pooled)[:n], 0) >= 0
		switch {
		case errors.Is(err, io.EOF):
			return size, nul, true
		case err != nil:
			c.err = err
			return 0, false, false
		}
	}
}

// binary writes BINARY[…]. A part is decoded twice and never held: its length stands before it.
func (f *fetching) binary(out *imap.Fetched, i imap.Item, k *known, c *content) {
	open := f.decoded(i, k, c)
	if open == nil {
		out.NoContent(i)
		return
	}
	size, nul, ok := f.measure(open, c)
	if !ok {
		out.NoContent(i)
		return
	}
	r, err := open()
	if err == nil && i.Partial {
		skip := int64(min(i.Offset, uint64(size)))
		_, err = io.CopyN(io.Discard, r, skip)
		size = int64(min(i.Count, uint64(size-skip)))
	}
	in := &checked{r: r}
	if err != nil {
		in.err = err
		out.NoContent(i)
	} else {
		out.BinaryFrom(i, in, size, nul)
	}
	c.err = in.err
}

// binarySize writes BINARY.SIZE[…].
func (f *fetching) binarySize(out *imap.Fetched, i imap.Item, k *known, c *content) {
	var size int64
	if open := f.decoded(i, k, c); open != nil {
		size, _, _ = f.measure(open, c)
	}
	out.BinarySize(i, size)
}
