package smtp

import (
	"errors"
	"unicode"
	"unicode/utf8"
)

const (
	maxReplyLines   = 100
	maxReplyRawLine = 4096
)

// ReadReply reads one reply, all its lines (RFC 5321 §4.2.1). Of each line 512
// octets are kept and controls are dropped; the enhanced code (RFC 2034), when
// there is one, is taken out of the text. An LF alone ends a line as well: some
// servers send it, and a reply is never passed on as it came.
//
// ErrBadReply is returned for another shape and for lines whose codes differ,
// ErrReplyTooLong for more than 100 lines or a line over 4,096 octets. After
// either the connection cannot be used any more.
func (r *Reader) ReadReply() (Reply, error) {
	var (
		reply Reply
		long  []byte // the text of more than one line
	)
	for n := 0; ; n++ {
		if n == maxReplyLines {
			return Reply{}, ErrReplyTooLong
		}
		line, err := r.rawLine(maxReplyRawLine)
		if err != nil {
			if errors.Is(err, ErrLineTooLong) {
				err = ErrReplyTooLong
			}
			return Reply{}, endOfSource(err, n > 0)
		}
		code, last, text, ok := splitReply(line)
		if !ok || n > 0 && code != reply.Code {
			return Reply{}, ErrBadReply
		}
		reply.Code = code
		e, size := cutEnhanced(text)
		switch {
		case size == 0 || int(e[0]) != code/100:
		case n == 0:
			reply.Enhanced = e
			fallthrough
		case e == reply.Enhanced:
			text = text[size:]
			if len(text) > 0 {
				text = text[1:]
			}
		}
		if last && n == 0 {
			reply.Text = r.text(cleanInPlace(text))
			return reply, nil
		}
		if n > 0 {
			long = append(long, '\n')
		}
		long = append(long, cleanInPlace(text)...)
		if last {
			reply.Text = r.text(long)
			return reply, nil
		}
	}
}

// splitReply takes a raw reply line apart.
func splitReply(line []byte) (code int, last bool, text []byte, ok bool) {
	line = line[:min(len(line), maxReplyLine)]
	for len(line) > 0 && (line[len(line)-1] == '\n' || line[len(line)-1] == '\r') {
		line = line[:len(line)-1]
	}
	if len(line) < 3 || line[0] < '2' || line[0] > '5' ||
		line[1] < '0' || line[1] > '9' || line[2] < '0' || line[2] > '9' {
		return 0, false, nil, false
	}
	code = int(line[0]-'0')*100 + int(line[1]-'0')*10 + int(line[2]-'0')
	if len(line) == 3 {
		return code, true, nil, true
	}
	return code, line[3] == ' ', line[4:], line[3] == ' ' || line[3] == '-'
}

// cleanInPlace drops controls, direction marks and what is no UTF-8; a tab
// becomes a space.
func cleanInPlace(b []byte) []byte {
	i := 0
	for i < len(b) && b[i] >= ' ' && b[i] < 0x7f {
		i++
	}
	if i == len(b) {
		return b
	}
	out := b[:i]
	for i < len(b) {
		c, n := utf8.DecodeRune(b[i:])
		switch {
		case c == '\t':
			out = append(out, ' ')
		case c == utf8.RuneError && n == 1:
		case unicode.IsGraphic(c):
			out = append(out, b[i:i+n]...)
		}
		i += n
	}
	return out
}

// text makes a string of b, or gives one of the last ones again.
func (r *Reader) text(b []byte) string {
	if len(b) == 0 {
		return ""
	}
	for _, s := range &r.memo {
		if s == string(b) {
			return s
		}
	}
	s := string(b)
	r.memo[r.memoNext] = s
	r.memoNext = (r.memoNext + 1) % len(r.memo)
	return s
}
