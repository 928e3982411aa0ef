package notice

import (
	"fmt"
	"strings"
	"time"

	"postroad/internal/proto/message"
)

// Mail is a message that carries notices to the addresses of one account.
type Mail struct {
	Hostname string // of the installation, whose postmaster writes
	To       []string
	ID       string // of the message
	Date     time.Time
	Notices  []Notice
}

// maxTold is how many notices one message tells in full; the others are listed by their subjects.
const maxTold = 50

// AppendTo appends the message: plain text, marked as written by a program, so that no program answers (RFC 3834 §5).
func (m *Mail) AppendTo(b []byte) ([]byte, error) {
	subject := m.Notices[0].Subject
	if n := len(m.Notices); n > 1 {
		subject = fmt.Sprintf("%d notices: %s, and others", n, m.Notices[0].Subject)
	}
	return appendMail(b, m, subject, m.text())
}

// appendMail appends a message of plain text in lines that end in LF.
func appendMail(b []byte, m *Mail, subject, text string) ([]byte, error) {
	var err error
	field := func(add func([]byte, string, string) ([]byte, error), name, value string) {
		if err == nil {
			b, err = add(b, name, value)
		}
	}
	b = message.AppendDate(append(b, "Date: "...), m.Date)
	b = append(b, "\r\n"...)
	field(message.AppendField, "From", "Postroad <postmaster@"+m.Hostname+">")
	field(message.AppendField, "To", strings.Join(m.To, ", "))
	field(message.AppendEncodedField, "Subject", subject)
	field(message.AppendField, "Message-ID", "<"+m.ID+"@"+m.Hostname+">")
	field(message.AppendField, "Auto-Submitted", "auto-generated")
	field(message.AppendField, "MIME-Version", "1.0")
	field(message.AppendField, "Content-Type", "text/plain; charset=utf-8")
	field(message.AppendField, "Content-Transfer-Encoding", "8bit")
	if err != nil {
		return nil, err
	}
	b = append(b, "\r\n"...)
	return append(b, strings.ReplaceAll(text, "\n", "\r\n")...), nil
}

// Letter is a message to one address that tells something else than notices do.
type Letter struct {
	Hostname string // of the installation, whose postmaster writes
	To       string
	ID       string // of the message
	Date     time.Time
	Subject  string
	Text     string // lines end in LF
}

// AppendTo appends the message, as that of Mail.
func (l *Letter) AppendTo(b []byte) ([]byte, error) {
	return appendMail(b, &Mail{Hostname: l.Hostname, To: []string{l.To}, ID: l.ID, Date: l.Date}, l.Subject,
		l.Text+"\n-- \n"+wrap("Written by the mail server "+l.Hostname+" by itself."))
}

// text is the body, in lines that end in LF.
func (m *Mail) text() string {
	var b strings.Builder
	told := m.Notices[:min(len(m.Notices), maxTold)]
	for i := range told {
		if i > 0 {
			b.WriteString("\n" + strings.Repeat("-", lineLength) + "\n\n")
		}
		b.WriteString(told[i].Text)
	}
	if rest := m.Notices[len(told):]; len(rest) > 0 {
		fmt.Fprintf(&b, "\n%s\n\nAnd %s:\n", strings.Repeat("-", lineLength), counted(int64(len(rest)), "more", "more"))
		for i := range rest[:min(len(rest), 10*maxTold)] {
			b.WriteString("  " + rest[i].Subject + "\n")
		}
	}
	b.WriteString("\n-- \n" + wrap("Written by the mail server "+m.Hostname+" by itself. All notices: postroad notice list. Who gets them: postroad account set ACCOUNT --notices ADDRESS."))
	return b.String()
}
