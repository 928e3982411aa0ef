package primary

import (
	"strings"
	"time"

	"postroad/internal/proto/dkim"
	"postroad/internal/proto/message"
)

// Letter is a probe as it is sent. The same values give the same octets, so that what comes back is held against it.
type Letter struct {
	Hostname string // of this installation, whose postmaster writes
	From, To string // of the forward that is tried
	Token    Token
	Date     time.Time
}

const boundary = "=_postroad-probe"

// AppendTo appends the message: text and HTML with what servers on the way like to change, namely a subject, an address of
// the web, characters outside ASCII, and an end below which a text can be added. It is marked as written by a program, so
// that none answers (RFC 3834 §5).
func (l *Letter) AppendTo(b []byte) ([]byte, error) {
	var err error
	field := func(name, value string) {
		if err == nil {
			b, err = message.AppendField(b, name, value)
		}
	}
	b = message.AppendDate(append(b, "Date: "...), l.Date)
	b = append(b, "\r\n"...)
	field("From", "Postroad <postmaster@"+l.Hostname+">")
	field("To", l.From)
	field("Subject", l.subject())
	field("Message-ID", "<"+l.Token.String()+"@"+l.Hostname+">")
	field("Auto-Submitted", "auto-generated")
	field("X-Auto-Response-Suppress", "OOF, AutoReply")
	field(ProbeField, l.Token.String())
	field("MIME-Version", "1.0")
	field("Content-Type", `multipart/alternative; boundary="`+boundary+`"`)
	if err != nil {
		return nil, err
	}
	return append(append(b, "\r\n"...), l.body()...), nil
}

func (l *Letter) subject() string { return "Test of mail forwarding" }

func (l *Letter) link() string { return "https://" + l.Hostname + "/?probe=1&part=2" }

// texts are the text and the HTML of a probe as people read them; lines end in LF.
func (l *Letter) texts() (plain, html string) {
	plain = "This message tests whether mail that comes for\n\n    " + l.From + "\n\nis forwarded, unchanged, to\n\n    " + l.To + "\n\n" +
		"It was sent by the mail server " + l.Hostname + ", where it is recognised and\n" +
		"removed when it comes back. There is nothing to do with it. If you read it\n" +
		"in a mailbox, your mail system keeps a copy of what it forwards, or it does\n" +
		"not forward yet.\n\n" +
		"What follows is there to be left as it is: " + l.link() + "\n" +
		"Grüße, and a line of two  spaces.\n"
	html = "<!DOCTYPE html>\n<html><body>\n<p>This message tests whether mail that comes for <b>" + escape(l.From) + "</b> is\n" +
		"forwarded, unchanged, to <b>" + escape(l.To) + "</b>.</p>\n" +
		"<p>There is nothing to do with it.</p>\n<p><a href=\"" + escape(l.link()) + "\">What is left as it is</a></p>\n</body></html>\n"
	return plain, html
}

func escape(s string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;").Replace(s)
}

func (l *Letter) body() []byte {
	plain, html := l.texts()
	var b []byte
	for _, part := range [...]struct{ kind, text string }{{"text/plain", plain}, {"text/html", html}} {
		b = append(b, "--"+boundary+"\r\nContent-Type: "+part.kind+"; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"...)
		b = appendPrintable(b, part.text)
	}
	return append(b, "--"+boundary+"--\r\n"...)
}

// appendPrintable appends a text as quoted-printable (RFC 2045 §6.7). Its lines end in LF.
func appendPrintable(b []byte, text string) []byte {
	const digits, longest = "0123456789ABCDEF", 72
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		column := 0
		for i := range len(line) {
			c := line[i]
			if column >= longest {
				b, column = append(b, "=\r\n"...), 0
			}
			if c < ' ' || c > '~' || c == '=' || c == ' ' && i == len(line)-1 {
				b = append(b, '=', digits[c>>4], digits[c&15])
				column += 3
				continue
			}
			b = append(b, c)
			column++
		}
		b = append(b, "\r\n"...)
	}
	return b
}

// sum is the hash of the body as signatures cover it.
func (l *Letter) sum() []byte {
	h := dkim.NewBody(dkim.Relaxed)
	_, _ = h.Write(l.body())
	sum, _ := h.Sum(dkim.Relaxed) // it was hashed so
	return sum
}
