package receive

import (
	"errors"
	"io"

	"postroad/internal/core/budget"
	"postroad/internal/core/mail"
	"postroad/internal/proto/message"

	"github.com/cespare/xxhash/v2"
)

// content gathers a message: in memory up to mail.InlineLimit, or to shortInline while memory is short, beyond that
// in a blob.
type content struct {
	blobs  Blobs
	memory *budget.Budget
	held   int64  // octets of memory counted for it
	limit  int    // from which length on it is a blob
	buf    []byte // all of it while inline; else the beginning, as far as the header goes
	whole  bool   // buf holds the whole header; more need not be kept
	blob   Blob
	body   io.Writer // gets the body of what lies in a blob, as it comes; nil: nobody wants it
	hash   *xxhash.Digest
	size   int64
	beside int64 // octets of memory held beside buf: the header as it came
}

const (
	// shortInline is how much of a content is kept in memory while that is short, in octets.
	shortInline = 8 << 10
	// firstInline is what is expected of a content whose length is not known.
	firstInline = 4 << 10
	// streamBuffers is what a content costs while it streams into a blob, in octets: the reader's large buffer.
	streamBuffers = 64 << 10
)

// errNoBlob says that the content could not be stored; temporary.
var errNoBlob = errors.New("content not stored")

// newContent starts a content with the trace field that we add (RFC 5321 §4.4).
func newContent(blobs Blobs, memory *budget.Budget, trace message.Received, expect int64) *content {
	c := &content{blobs: blobs, memory: memory, limit: mail.InlineLimit}
	if memory.Short() {
		c.limit = shortInline
	}
	if expect == 0 && c.limit > shortInline {
		expect = firstInline
	}
	c.buf = make([]byte, 0, max(1024, min(expect+512, int64(c.limit))))
	c.count()
	c.buf = trace.AppendTo(c.buf)
	c.size = int64(len(c.buf))
	return c
}

// count keeps the books on the memory that the content holds. What is held already cannot be refused any more.
func (c *content) count() {
	n := int64(cap(c.buf)) + c.beside
	if c.hash != nil {
		n += streamBuffers
	}
	if n != c.held {
		c.memory.Force(n - c.held)
		c.held = n
	}
}

// release gives the memory back in the books; seal and abort do not. It may be called twice.
func (c *content) release() {
	c.memory.Give(c.held)
	c.held, c.memory = 0, nil
}

// Write takes the next octets of the content.
func (c *content) Write(p []byte) (int, error) {
	c.size += int64(len(p))
	if c.blob == nil {
		if len(c.buf)+len(p) <= c.limit && (len(c.buf)+len(p) <= max(cap(c.buf), shortInline) || !c.memory.Short()) {
			c.buf = append(c.buf, p...)
			c.count()
			return len(p), nil
		}
		if err := c.spill(); err != nil {
			return 0, err
		}
	}
	c.pass(p)
	_, _ = c.hash.Write(p)
	if _, err := c.blob.Write(p); err != nil {
		return 0, errors.Join(errNoBlob, err)
	}
	return len(p), nil
}

// spill moves what is in memory into a blob.
func (c *content) spill() error {
	blob, err := c.blobs.Create()
	if err != nil {
		return errors.Join(errNoBlob, err)
	}
	c.blob, c.hash = blob, xxhash.New()
	c.count()
	if c.whole = c.headerEnds(); c.whole {
		c.passBody(nil)
	}
	_, _ = c.hash.Write(c.buf)
	if _, err := blob.Write(c.buf); err != nil {
		return errors.Join(errNoBlob, err)
	}
	return nil
}

// seal ends the content. For a blob it is durable afterwards.
func (c *content) seal() (mail.Content, uint64, error) {
	if c.blob == nil {
		return mail.Content{Inline: c.buf}, xxhash.Sum64(c.buf), nil
	}
	hash := c.hash.Sum64()
	name, open, err := c.blob.Commit(c.size, hash)
	if err != nil {
		return mail.Content{}, 0, errors.Join(errNoBlob, err)
	}
	return mail.Content{Blob: name, Open: open}, hash, nil
}

// abort removes what was stored.
func (c *content) abort() {
	if c.blob != nil {
		c.blob.Abort()
		c.blob = nil
	}
}

// pass keeps of the next octets of a blob what belongs to its header, and passes on what belongs to its body.
func (c *content) pass(p []byte) {
	if c.whole {
		if c.body != nil {
			_, _ = c.body.Write(p)
		}
		return
	}
	kept := len(c.buf)
	c.keepHeader(p)
	if c.whole {
		c.passBody(p[len(c.buf)-kept:])
	}
}

// passBody passes on the beginning of a body, which lies behind the header, and what follows it.
func (c *content) passBody(rest []byte) {
	if c.body == nil {
		return
	}
	_, body, _ := message.SplitHeader(c.buf)
	_, _ = c.body.Write(body)
	_, _ = c.body.Write(rest)
}

// keepHeader goes on gathering the beginning of a blob until its header has ended or is too large to be one.
func (c *content) keepHeader(p []byte) {
	if c.whole {
		return
	}
	room := message.MaxHeader + 2 - len(c.buf)
	c.buf = append(c.buf, p[:max(0, min(room, len(p)))]...)
	c.count()
	c.whole = room <= len(p) || c.headerEnds()
}

// headerEnds reports whether the end of the header has come.
func (c *content) headerEnds() bool {
	header, _, _ := message.SplitHeader(c.buf)
	return len(header) < len(c.buf)
}

// header is the content's header; ok is false when it does not end within message.MaxHeader octets.
func (c *content) header() (header []byte, ok bool) {
	header, _, ok = message.SplitHeader(c.buf)
	return header, ok
}
