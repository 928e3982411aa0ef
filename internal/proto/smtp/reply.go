package smtp

import (
	"errors"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxReplyLine is the longest reply line in octets, CRLF included
// (RFC 5321 §4.5.3.1.5).
const maxReplyLine = 512

// Reply is an answer to a command (RFC 5321 §4.2).
type Reply struct {
	Code     int      // 200 to 599; 0 means that there is no reply
	Enhanced Enhanced // zero when there is none
	Text     string   // without the codes; lines split by \n
}

// Positive reports a 2xx or 3xx reply.
func (r Reply) Positive() bool { return r.Code >= 200 && r.Code < 400 }

// Temporary reports a 4xx reply: the same command may succeed later.
func (r Reply) Temporary() bool { return r.Code >= 400 && r.Code < 500 }

// Permanent reports a 5xx reply: the same command will not succeed.
func (r Reply) Permanent() bool { return r.Code >= 500 && r.Code < 600 }

// AppendTo appends the reply as it goes over the wire. Each line of Text becomes
// a reply line, with the enhanced code on every one (RFC 2034 §4) unless the
// code is 3xx; controls in it become spaces, invalid UTF-8 becomes '?', and a
// line is cut at 512 octets.
func (r Reply) AppendTo(b []byte) []byte {
	text := r.Text
	for {
		line, rest, more := strings.Cut(text, "\n")
		start := len(b)
		b = append(b, byte('0'+r.Code/100%10), byte('0'+r.Code/10%10), byte('0'+r.Code%10))
		if more {
			b = append(b, '-')
		} else {
			b = append(b, ' ')
		}
		if !r.Enhanced.IsZero() && r.Code/100 != 3 {
			b = r.Enhanced.appendTo(b)
			b = append(b, ' ')
		}
		b = appendClean(b, line, start+maxReplyLine-2-len(b))
		b = append(b, '\r', '\n')
		if !more {
			return b
		}
		text = rest
	}
}

// String gives the reply in one line, as logs and reports show it
// ("550 5.1.1 no such mailbox"), free of controls; "" for the zero value.
func (r Reply) String() string {
	if r.Code == 0 && r.Text == "" {
		return ""
	}
	b := make([]byte, 0, 16+len(r.Text))
	b = append(b, byte('0'+r.Code/100%10), byte('0'+r.Code/10%10), byte('0'+r.Code%10))
	if !r.Enhanced.IsZero() {
		b = append(b, ' ')
		b = r.Enhanced.appendTo(b)
	}
	if r.Text != "" {
		b = append(b, ' ')
		b = appendClean(b, r.Text, len(r.Text))
	}
	return string(b)
}

// appendClean appends at most room octets of s, never half a character.
func appendClean(b []byte, s string, room int) []byte {
	end := len(b) + room
	for i := 0; i < len(s) && len(b) < end; {
		c := s[i]
		switch {
		case c < ' ', c == 0x7f:
			b = append(b, ' ')
			i++
		case c < utf8.RuneSelf:
			b = append(b, c)
			i++
		default:
			r, n := utf8.DecodeRuneInString(s[i:])
			switch {
			case r == utf8.RuneError && n == 1:
				b = append(b, '?')
			case !unicode.IsGraphic(r):
				b = append(b, ' ')
			case len(b)+n > end:
				return b
			default:
				b = append(b, s[i:i+n]...)
			}
			i += n
		}
	}
	return b
}

// ReplyError is an error that carries the reply to be given for it, or that was
// given. It comes as a pointer.
type ReplyError struct {
	Reply Reply
}

// Error is the reply in one line.
func (e *ReplyError) Error() string { return e.Reply.String() }

// ReplyOf returns the reply that err carries, if it wraps a *ReplyError.
func ReplyOf(err error) (Reply, bool) {
	var e *ReplyError
	if errors.As(err, &e) {
		return e.Reply, true
	}
	return Reply{}, false
}

func refuse(code int, e Enhanced, text string) error {
	return &ReplyError{Reply: Reply{Code: code, Enhanced: e, Text: text}}
}
