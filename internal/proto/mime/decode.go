package mime

import (
	"bytes"
	"errors"
	"strings"

	"postroad/internal/proto/message"
)

// ErrEncoding says that a Content-Transfer-Encoding is not known (RFC 3516 §4.3).
var ErrEncoding = errors.New("unknown content transfer encoding")

// Decode gives the content of a body in one of the encodings of RFC 2045 §6, as far
// as it can be read: what is no part of the encoding is passed over in base64, and
// stays in quoted-printable. The result may share memory with body.
func Decode(encoding string, body []byte) ([]byte, error) {
	switch strings.ToLower(encoding) {
	case "", "7bit", "8bit", "binary":
		return body, nil
	case "base64":
		return decodeBase64(body), nil
	case "quoted-printable":
		return decodeQuotedPrintable(body), nil
	}
	return nil, ErrEncoding
}

func decodeBase64(body []byte) []byte {
	out := make([]byte, 0, len(body)/4*3+3)
	var group uint32
	bits := 0
	for _, c := range body {
		value, ok := base64Digit(c)
		if !ok {
			if c == '=' {
				break
			}
			continue
		}
		group = group<<6 | value
		if bits += 6; bits >= 8 {
			bits -= 8
			out = append(out, byte(group>>bits)) //nolint:gosec // the lowest eight bits are meant
		}
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

func decodeQuotedPrintable(body []byte) []byte {
	out := make([]byte, 0, len(body))
	for len(body) > 0 {
		line := body
		if i := bytes.IndexByte(body, '\n'); i >= 0 {
			line = body[:i+1]
		}
		body = body[len(line):]
		text := bytes.TrimRight(line, "\r\n")
		end := line[len(text):]
		text = bytes.TrimRight(text, " \t") // added on the way (RFC 2045 §6.7 rule 3)
		if soft, ok := bytes.CutSuffix(text, []byte{'='}); ok {
			text, end = soft, nil
		}
		for i := 0; i < len(text); i++ {
			if text[i] == '=' && i+2 < len(text) {
				high, ok1 := hexDigit(text[i+1])
				low, ok2 := hexDigit(text[i+2])
				if ok1 && ok2 {
					out = append(out, high<<4|low)
					i += 2
					continue
				}
			}
			out = append(out, text[i])
		}
		out = append(out, end...)
	}
	return out
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
