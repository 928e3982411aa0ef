package trace

import (
	"strconv"
	"strings"

	"postroad/internal/core/mail"
	"postroad/internal/core/policy"
	"postroad/internal/core/routing"
	"postroad/internal/proto/message"
)

// timeForm is how times stand in sentences.
const timeForm = "2006-01-02 15:04:05 MST"

// Sentence is the step in plain words.
func (s *Step) Sentence() string {
	switch s.Kind {
	case Accepted:
		return s.accepted()
	case Refused:
		return s.refused()
	case Decided:
		return s.decided()
	case Delivered:
		if s.Lane.Transport() == mail.TransportLocal {
			return "Delivered into the mailbox " + s.Destination + "."
		}
		return "Handed to " + s.host() + s.named() + s.as() + said(s.Reply)
	case Deferred:
		if s.Attempts == 0 {
			return s.waits()
		}
		return "Attempt " + strconv.Itoa(s.Attempts) + s.way() + " did not succeed" + s.by() + said(s.Reply) + " It is tried again after " + s.Until.UTC().Format(timeForm) + "."
	case Failed:
		return "Given up after " + attempts(s.Attempts) + s.way() + s.by() + said(s.Reply)
	case Held:
		return "Held until what is wrong has been mended" + s.by() + said(s.Reply)
	case Dead:
		return "Given up after " + attempts(s.Attempts) + s.way() + s.by() + said(s.Reply) + " The sender may not be told; the message is kept for 30 days."
	case Reported:
		return s.reported()
	case Acted:
		return s.acted()
	case Judged:
		return s.judged()
	}
	return "Something happened that this program does not know."
}

// waits is said of what was not attempted, since its destination cannot be reached.
func (s *Step) waits() string {
	text := "It waits in the queue" + s.named() + s.by() + said(s.Reply)
	if !s.Until.IsZero() {
		text += " Its destination is not tried before " + s.Until.UTC().Format(timeForm) + "."
	}
	return text
}

func (s *Step) accepted() string {
	if s.Asker == routing.Local {
		return "Made here: a report of " + strconv.FormatInt(s.Size, 10) + " octets."
	}
	return "Accepted from " + s.client() + ", " + strconv.FormatInt(s.Size, 10) + " octets."
}

// client names who sent it.
func (s *Step) client() string {
	var b strings.Builder
	b.WriteString("a client")
	if s.Client.Helo != "" {
		b.Reset()
		b.WriteString(s.Client.Helo)
	}
	if s.Client.Addr.IsValid() {
		b.WriteString(" [" + s.Client.Addr.String() + "]")
	}
	if s.Client.TLS != "" {
		b.WriteString(" under " + s.Client.TLS)
	} else {
		b.WriteString(" in clear")
	}
	switch {
	case s.Client.Login != "":
		b.WriteString(", logged in as " + s.Client.Login)
	case s.Asker == routing.Login:
		b.WriteString(", a user of this server")
	case s.Asker == routing.Trusted:
		b.WriteString(", in a trusted network")
	}
	return b.String()
}

func (s *Step) refused() string {
	when := "at RCPT"
	switch {
	case s.Content:
		when = "after its content"
	case s.Recipient == "":
		when = "at MAIL"
	}
	return strings.TrimSpace("Refused " + when + ", from " + s.client() + said(s.Reply) + " " + s.Note)
}

// judged tells what became of it by what was found out about who sent it; Word is the action.
func (s *Step) judged() string {
	done := "Taken for " + s.Recipient + " after its checks."
	if s.Word == string(policy.Quarantine) {
		done = "Put aside for " + s.Recipient + "."
	}
	return strings.TrimSpace(done + " " + s.Note)
}

func (s *Step) decided() string {
	if len(s.Targets) == 0 {
		return "Taken for " + s.Recipient + "; where that leads is for its owner to see."
	}
	parts := make([]string, len(s.Targets))
	for i, t := range s.Targets {
		parts[i] = t.words(s.Recipient)
	}
	text := "Mail for " + s.Recipient
	if s.Lane != "" {
		text = "Decided anew: mail for " + s.Recipient
	}
	text += " goes " + strings.Join(parts, ", and ") + "."
	switch {
	case s.Via:
		text += " An address of another owner led here."
	case s.Partial:
		text += " It goes to others too, which is for their owners to see."
	}
	return text
}

// words tells where a target is; its address is named when it is not the recipient's own.
func (t Target) words(recipient string) string {
	as := ""
	if !strings.EqualFold(t.Address, recipient) {
		as = " as " + t.Address
	}
	key := t.Lane.Key()
	switch t.Lane.Transport() {
	case mail.TransportLocal:
		return "into the mailbox " + t.Address
	case mail.TransportRemote:
		domain, _ := routing.ParseRemote(key)
		return "to the exchangers of " + domain + as
	case mail.TransportRelay, mail.TransportLMTP:
		return "to " + hosts(key) + as
	}
	return "to " + t.Address
}

// hosts are those of a relay or LMTP lane's key, without what is for the program alone.
func hosts(key string) string {
	hops, _, _ := routing.ParseHops(key)
	names := make([]string, len(hops))
	for i, h := range hops {
		names[i] = h.Host
		if !h.Socket() {
			names[i] += ":" + strconv.Itoa(int(h.Port))
		}
	}
	return strings.Join(names, " or ")
}

// way tells what an attempt was made at.
func (s *Step) way() string {
	switch s.Lane.Transport() {
	case mail.TransportLocal:
		return " at the mailbox " + s.Destination
	case mail.TransportRemote:
		domain, _ := routing.ParseRemote(s.Lane.Key())
		return " at the exchangers of " + domain + s.named()
	case mail.TransportRelay, mail.TransportLMTP:
		return " at " + hosts(s.Lane.Key()) + s.named()
	}
	return ""
}

// named names the destination where it is not the recipient as given.
func (s *Step) named() string {
	if s.Destination == "" || strings.EqualFold(s.Destination, s.Recipient) {
		return ""
	}
	return " for " + s.Destination
}

// as tells of a reverse-path that is not the message's.
func (s *Step) as() string {
	if s.As == "" {
		return ""
	}
	return " as from " + s.As
}

func (s *Step) host() string {
	if s.Host == "" {
		return "the next hop"
	}
	return s.Host + s.address()
}

// address is where the host was, in brackets.
func (s *Step) address() string {
	if !s.Client.Addr.IsValid() {
		return ""
	}
	return " [" + s.Client.Addr.String() + "]"
}

func (s *Step) by() string {
	if s.Host == "" {
		return ""
	}
	return "; " + s.Host + s.address() + " answered"
}

func said(reply string) string {
	if reply == "" {
		return "."
	}
	return ": " + strings.TrimSuffix(reply, ".") + "."
}

func attempts(n int) string {
	if n == 1 {
		return "1 attempt"
	}
	return strconv.Itoa(n) + " attempts"
}

func (s *Step) reported() string {
	about := map[string]string{
		string(message.Failed): "that it could not be delivered", string(message.Delayed): "that it is late",
		string(message.Delivered): "that it was delivered", string(message.Relayed): "that it was handed on",
	}[s.Word]
	if s.Report == "" {
		return "The sender is told " + about + "."
	}
	return "The sender is told " + about + ", by message " + string(s.Report) + "."
}

func (s *Step) acted() string {
	done := map[string]string{
		"retry": "Made due at once", "hold": "Held", "release": "Let go", "drop": "Removed from the queue; nobody is told,",
	}[s.Word]
	return done + " by " + s.By + "."
}
