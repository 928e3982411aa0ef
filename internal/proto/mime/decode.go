package mime

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"strings"

	"postroad/internal/proto/message"
)

// ErrEncoding says that a Content-Transfer-Encoding is not known (RFC 3516 §4.3).
var ErrEncoding = errors.New("unknown content transfer encoding")

// NewDecoder gives the content of a body in one of the encodings of RFC 2045 §6, as far as it can be read: what is
// no part of the encoding is passed over in base64, and stays in quoted-printable. ErrEncoding for other encodings.
func NewDecoder(encoding string, body io.Reader) (io.Reader, error) {
	switch strings.ToLower(encoding) {
	case "", "7bit", "8bit", "binary":
		return body, nil
	case "base64":
		return &decoder{body: bufio.NewReader(body), octet: (&base64Decoder{}).octet}, nil
	case "quoted-printable":
		q := &printableDecoder{}
		return &decoder{body: bufio.NewReader(body), octet: q.octet, end: q.end}, nil
	}
	return nil, ErrEncoding
}

// Decode is NewDecoder for a body in memory. The result may share memory with body.
func Decode(encoding string, body []byte) ([]byte, error) {
	r, err := NewDecoder(encoding, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	d, ok := r.(*decoder)
	if !ok {
		return body, nil
	}
	out := make([]byte, 0, len(body))
	for _, c := range body {
		out = d.octet(out, c)
	}
	if d.end != nil {
		out = d.end(out)
	}
	return out, nil
}

// decoder reads a body octet by octet.
type decoder struct {
	body  *bufio.Reader
	octet func(out []byte, c byte) []byte // appends what is known of the content after one more octet
	end   func(out []byte) []byte         // likewise after the last one; nil for nothing
	out   []byte                          // not given yet
	read  int                             // of out, what was given
	err   error
}

// Read implements io.Reader.
func (d *decoder) Read(p []byte) (int, error) {
	if d.read == len(d.out) {
		d.out, d.read = d.out[:0], 0
		for len(d.out) < 4<<10 && d.err == nil {
			var c byte
			if c, d.err = d.body.ReadByte(); d.err == nil {
				d.out = d.octet(d.out, c)
			} else if errors.Is(d.err, io.EOF) && d.end != nil {
				d.out = d.end(d.out)
			}
		}
	}
	n := copy(p, d.out[d.read:])
	d.read += n
	if n == 0 && len(p) > 0 {
		return 0, d.err
	}
	return n, nil
}

// base64Decoder holds up to three digits.
type base64Decoder struct {
	group uint32
	bits  int
	over  bool // the padding was seen
}

func (d *base64Decoder) octet(out []byte, c byte) []byte {
	value, ok := base64Digit(c)
	if !ok || d.over {
		d.over = d.over || c == '='
		return out
	}
	d.group = d.group<<6 | value
	if d.bits += 6; d.bits >= 8 {
		d.bits -= 8
		out = append(out, byte(d.group>>d.bits)) //nolint:gosec // the lowest eight bits are meant
	}
	return out
}

func base64Digit(c byte) (uint32, bool) {
	switch {
	case 'A' <= c && c <= 'Z':
		return uint32(c - 'A'), true
	case 'a' <= c && c <= 'z':
		return uint32(c-'a') + 26, true
	case '0' <= c && c <= '9':
		return uint32(c-'0') + 52, true
	case c == '+':
		return 62, true
	case c == '/':
		return 63, true
	}
	return 0, false
}

// maxBlank is the longest white space at the end of a line that is taken for what was added on the way, in octets.
const maxBlank = 1000

// printableDecoder holds what may turn out to be the end of a line or an escape: "=" with up to one digit, and white
// space with a CR, before or after "=".
type printableDecoder struct{ held []byte }

func (d *printableDecoder) octet(out []byte, c byte) []byte {
	if c == '\n' {
		return d.line(out)
	}
	if c == ' ' || c == '\t' || c == '\r' || c == '=' {
		if c == '=' || len(d.held) > maxBlank {
			out = d.flush(out)
		}
		d.held = append(d.held, c)
		return out
	}
	if len(d.held) == 0 || d.held[0] != '=' {
		return append(d.flush(out), c)
	}
	if d.held = append(d.held, c); len(d.held) < 3 {
		return out
	}
	high, ok1 := hexDigit(d.held[1])
	low, ok2 := hexDigit(d.held[2])
	if ok1 && ok2 && len(d.held) == 3 {
		d.held = d.held[:0]
		return append(out, high<<4|low)
	}
	return d.flush(out)
}

// line ends a line: white space before its end was added on the way (RFC 2045 §6.7 rule 3), and after "=" there is none.
func (d *printableDecoder) line(out []byte) []byte {
	text, hasCR := bytes.CutSuffix(d.held, []byte{'\r'})
	text = bytes.TrimRight(text, " \t\r")
	d.held = d.held[:0]
	if soft, ok := bytes.CutSuffix(text, []byte{'='}); ok {
		return append(out, soft...)
	}
	out = append(out, text...)
	if hasCR {
		out = append(out, '\r')
	}
	return append(out, '\n')
}

// flush gives up what was held as it is.
func (d *printableDecoder) flush(out []byte) []byte {
	out = append(out, d.held...)
	d.held = d.held[:0]
	return out
}

// end is that of the last line, which has no line end.
func (d *printableDecoder) end(out []byte) []byte {
	text := bytes.TrimRight(d.held, " \t\r")
	d.held = d.held[:0]
	return append(out, bytes.TrimSuffix(text, []byte{'='})...)
}

func hexDigit(c byte) (byte, bool) {
	switch {
	case '0' <= c && c <= '9':
		return c - '0', true
	case 'A' <= c && c <= 'F':
		return c - 'A' + 10, true
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10, true
	}
	return 0, false
}

// ReadableText gives the text of a part as UTF-8, for whoever searches in it: the body
// of a text part, decoded. ok is false for other parts and for unknown encodings.
func (p *Part) ReadableText(msg []byte) (text []byte, ok bool) {
	if p.Type != "text" {
		return nil, false
	}
	body, err := Decode(p.Encoding, msg[p.Body:p.End])
	if err != nil {
		return nil, false
	}
	return message.ToUTF8(param(p.Params, "charset"), body), true
}
