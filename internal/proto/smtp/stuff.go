package smtp

import (
	"bytes"
	"io"
)

const (
	// stuffDirect is the largest write of content straight from its own slice, in
	// octets: what a slow peer must take within one Timeouts.DataBlock.
	stuffDirect = 128 << 10
	// stuffCopy is how much content is copied at once when it must be changed.
	stuffCopy = 16 << 10
)

// StuffState is where the content being sent stands between two pieces. The zero
// value is its beginning.
type StuffState struct {
	mid bool // inside a line
	cr  bool // a CR was taken and not yet sent: what follows decides
	buf []byte
}

// AppendDotStuffed appends a piece of content to dst as DATA has it: a dot more
// at the beginning of each line that begins with one (RFC 5321 §4.5.2). A CR or
// LF that stands alone is sent as CRLF, so that what leaves is read the same by
// every receiver.
func AppendDotStuffed(dst, content []byte, s *StuffState) []byte {
	if n := len(content); n > 0 && !s.cr && content[n-1] != '\r' && isStuffed(content, s.mid) {
		s.mid = content[n-1] != '\n'
		return append(dst, content...)
	}
	for len(content) > 0 {
		if s.cr {
			s.cr, s.mid = false, false
			dst = append(dst, '\r', '\n')
			if content[0] == '\n' {
				content = content[1:]
				continue
			}
		}
		if !s.mid && content[0] == '.' {
			dst = append(dst, '.')
		}
		line := content
		lf := bytes.IndexByte(content, '\n')
		if lf >= 0 {
			line = content[:lf]
		}
		if cr := bytes.IndexByte(line, '\r'); cr >= 0 {
			if lf == cr+1 {
				dst = append(dst, content[:lf+1]...)
				s.mid, content = false, content[lf+1:]
				continue
			}
			dst = append(dst, line[:cr]...)
			s.mid, s.cr, content = true, true, content[cr+1:]
			continue
		}
		dst = append(dst, line...)
		if lf < 0 {
			s.mid = true
			return dst
		}
		dst = append(dst, '\r', '\n')
		s.mid, content = false, content[lf+1:]
	}
	return dst
}

// AppendDataEnd appends the end of the content: CRLF if its last line has none,
// and the dot line. It sets s back to the beginning of another content.
func AppendDataEnd(dst []byte, s *StuffState) []byte {
	if s.mid || s.cr {
		dst = append(dst, '\r', '\n')
	}
	s.mid, s.cr = false, false
	return append(dst, '.', '\r', '\n')
}

// WriteDotStuffed is AppendDotStuffed into a writer. Content that needs no
// change, as nearly all does, is written from its own slice in writes of up to
// 128 KiB; the rest is copied.
func WriteDotStuffed(w io.Writer, content []byte, s *StuffState) error {
	for len(content) > 0 {
		part := content[:min(len(content), stuffDirect)]
		if part[len(part)-1] == '\r' {
			part = part[:len(part)-1]
		}
		if len(part) > 0 && !s.cr && isStuffed(part, s.mid) {
			s.mid = part[len(part)-1] != '\n'
			if _, err := w.Write(part); err != nil {
				return err
			}
			content = content[len(part):]
			continue
		}
		part = content[:min(len(content), stuffCopy)]
		s.buf = AppendDotStuffed(s.buf[:0], part, s)
		if len(s.buf) > 0 {
			if _, err := w.Write(s.buf); err != nil {
				return err
			}
		}
		content = content[len(part):]
	}
	return nil
}

// isStuffed reports whether b, which does not end in CR, goes out as it is.
func isStuffed(b []byte, mid bool) bool {
	if !mid && b[0] == '.' {
		return false
	}
	lines := 0
	for p := 0; ; {
		i := bytes.IndexByte(b[p:], '\n')
		if i < 0 {
			break
		}
		if i == 0 || b[p+i-1] != '\r' {
			return false
		}
		lines++
		p += i + 1
		if p < len(b) && b[p] == '.' {
			return false
		}
	}
	return bytes.Count(b, crByte) == lines
}
