package receive

import (
	"errors"
	"time"

	"postroad/internal/core/mail"
	"postroad/internal/proto/smtp"
)

// bdat answers BDAT (RFC 3030 §2). Whatever the answer, exactly the octets of the chunk are read, so that
// content is never taken for commands.
func (s *session) bdat(arg []byte) error {
	size, last, err := smtp.ParseBDAT(arg)
	if err != nil {
		// The length is unknown: what follows cannot be told from commands.
		s.say(501, smtp.Enhanced{5, 5, 4}, "chunk size not understood")
		return errQuit
	}
	if s.tx.begun.IsZero() || len(s.tx.rows) == 0 {
		if err := s.skip(size); err != nil {
			return err
		}
		return s.mistake(smtp.Reply{Code: 503, Enhanced: smtp.Enhanced{5, 5, 1}, Text: "no valid recipients"})
	}
	if s.tx.chunks == nil {
		s.tx.chunks = s.newBody(newContent(s.service.blobs, s.service.memory, s.trace(s.chunkID()), min(size, mail.InlineLimit)))
		s.tx.chunk.Limit = s.service.cfg.MessageSize
		s.tx.border = s.newBorder(s.tx.chunks)
	}
	err = s.receive(func() error { return s.in.ReadChunk(s.tx.border, size, &s.tx.chunk) })
	if err == nil && last {
		err = s.tx.chunk.End()
	}
	if err == nil && !last {
		s.say(250, smtp.Enhanced{2, 0, 0}, "chunk taken")
		return nil
	}
	c, id := s.tx.chunks, s.tx.chunkOf
	s.tx.chunks = nil
	if err != nil && !last && (errors.Is(err, smtp.ErrTooLarge) || errors.Is(err, errNoBlob)) {
		s.tx.rows = nil // the rest of the chunks finds no transaction and is read past
	}
	return s.finish(id, c, err)
}

// chunkID gives the id under which the chunks of this transaction will be queued.
func (s *session) chunkID() mail.ID {
	s.tx.chunkOf = s.service.queue.NewID(time.Now())
	return s.tx.chunkOf
}

// skip reads past a chunk that nobody wants.
func (s *session) skip(size int64) error {
	state := smtp.ChunkState{Limit: 0}
	err := s.receive(func() error { return s.in.ReadChunk(nowhere{}, size, &state) })
	if errors.Is(err, smtp.ErrTooLarge) || errors.Is(err, smtp.ErrBareCR) || errors.Is(err, smtp.ErrBareLF) {
		return nil
	}
	return err
}

// nowhere takes octets and forgets them.
type nowhere struct{}

func (nowhere) Write(p []byte) (int, error) { return len(p), nil }
