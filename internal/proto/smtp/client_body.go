package smtp

import (
	"errors"
	"fmt"
	"io"
)

const (
	// gatherPiece is the largest piece of content that is copied to leave together
	// with what is around it, in octets.
	gatherPiece = 32 << 10
	// gatherMax is how much is gathered before it is written, in octets.
	gatherMax = 64 << 10
	// fileBuffer is how much of an opened content is read at once, in octets.
	fileBuffer = 64 << 10
)

// writeContent sends e's content without its end. The last octets stay gathered
// in c.out, so that the final dot and the next commands leave with them.
func (c *Client) writeContent(e *envelope) error {
	c.out = c.out[:0]
	c.stuff.mid, c.stuff.cr = false, false
	for _, piece := range e.tx.Content {
		if err := c.writePiece(piece); err != nil {
			return err
		}
	}
	if e.body == nil {
		return nil
	}
	if c.file == nil {
		c.file = make([]byte, fileBuffer)
	}
	for empty := 0; ; {
		n, err := e.body.Read(c.file)
		if n > 0 {
			empty = 0
			if err := c.writePiece(c.file[:n]); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil && n == 0 {
			if empty++; empty == maxEmptyReads {
				err = io.ErrNoProgress
			}
		}
		if err != nil {
			return fmt.Errorf("%w: %w", ErrContent, err)
		}
	}
}

func (c *Client) writePiece(piece []byte) error {
	if len(piece) > gatherPiece {
		if err := c.flush(c.t.DataBlock); err != nil {
			return err
		}
		direct := len(piece) - stuffCopy
		if err := WriteDotStuffed(blockWriter{c}, piece[:direct], &c.stuff); err != nil {
			return err
		}
		piece = piece[direct:]
	}
	c.out = AppendDotStuffed(c.out, piece, &c.stuff)
	if len(c.out) >= gatherMax {
		return c.flush(c.t.DataBlock)
	}
	return nil
}

// blockWriter writes content to the connection, each write within its own
// DataBlock.
type blockWriter struct{ c *Client }

func (w blockWriter) Write(b []byte) (int, error) {
	if err := w.c.write(b, w.c.t.DataBlock); err != nil {
		return 0, err
	}
	return len(b), nil
}
