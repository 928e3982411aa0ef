package notice

import (
	"fmt"
	"strings"
	"time"
	"unicode"

	"postroad/internal/core/directory"
	"postroad/internal/core/finding"
	"postroad/internal/proto/idna"
)

// words are a notice as people read it.
type words struct {
	subject string
	what    string // happened, with the time
	seen    string // evidence
	means   string
	do      string
	command []string // what shows more
}

// text gives the paragraphs of a notice.
func (w *words) text() string {
	var b strings.Builder
	paragraph := func(head, s string) {
		if s == "" {
			return
		}
		if b.Len() > 0 {
			b.WriteByte('\n')
		}
		b.WriteString(wrap(head + s))
	}
	paragraph("", w.what)
	paragraph("What was seen: ", w.seen)
	paragraph("What it means: ", w.means)
	paragraph("What to do: ", w.do)
	b.WriteString("\nMore is shown by:\n")
	for _, c := range w.command {
		b.WriteString("  " + c + "\n")
	}
	return b.String()
}

// show is a domain as people read it.
func show(domain string) string {
	if u := idna.ToUnicode(domain); u != domain {
		return u + " (" + domain + ")"
	}
	return domain
}

func when(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 UTC") }

func counted(n int64, one, many string) string {
	if n == 1 {
		return "one " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// begun tells of something that holds.
func begun(s *Seen, since time.Time) words {
	d := show(s.Domain)
	w := words{seen: plain(s.Evidence), command: []string{"postroad domain show " + s.Domain}}
	switch s.Event {
	case PrimaryDown:
		held := counted(s.Held, "message", "messages")
		w.subject = d + ": its mail server takes no mail, " + held + " held"
		w.what = fmt.Sprintf("The mail server of %s has taken no mail since %s. %s held here for it (each recipient counted).", d, when(since), sentence(held+verb(s.Held)))
		w.means = fmt.Sprintf("Nothing is lost. Mail is kept for %s after it came and handed on within seconds of the server's return; what is older by then goes back to its sender.", length(s.Hold))
		w.do = "See that the server runs and can be reached from here by SMTP. Nothing has to be done at this end."
		w.command = append(w.command, "postroad queue count --domain "+s.Domain)
	case RoutingLoop:
		w.subject = d + ": its mail goes in circles (" + string(s.Finding) + ")"
		w.what = fmt.Sprintf("Since %s mail for %s has been going in circles: %s", when(since), d, s.Finding.Sentence())
		w.means = "Mail that would go round and round is refused or held, so that it does no harm. Until the circle is opened it reaches nobody."
		w.do = loopRemedy(s.Finding)
		w.command = append(w.command, "postroad explain postmaster@"+s.Domain)
	case GatewayBypassed:
		w.subject = d + ": mail comes around its filter"
		w.what = fmt.Sprintf("Since %s somebody has been trying to deliver mail for %s here, who is none of its gateways.", when(since), d)
		w.means = "Such mail is refused for now (450), so an honest sender comes again by the exchangers in DNS. Spammers come this way on purpose, and so does everybody if DNS names this installation beside the filter."
		w.do = "See that the MX records name the filter alone. If the client belongs to the filter, add it: postroad gateway add " + s.Domain + " ADDRESS."
		w.command = append(w.command, "postroad gateway show "+s.Domain)
	case ForwardFuse:
		w.subject = d + ": a forward gets more mail than it may send on"
		w.what = fmt.Sprintf("Since %s a forward of %s has been getting more mail than it may send to other servers in an hour.", when(since), d)
		w.means = "Nothing is lost: what is over waits in the queue and leaves at the pace that is allowed. Other servers would else take this one for a source of spam."
		w.do = "See whether it is spam or a circle that comes in. If the mail is wanted, deliver it to a mailbox here, or ask the operator for a higher limits.forwards_per_hour."
		w.command = append(w.command, "postroad queue list --domain "+s.Domain)
	case StrandedMailboxes:
		w.subject = d + ": its mailboxes here get no mail"
		w.what = fmt.Sprintf("Since %s the mail of %s has been going elsewhere, and there are mailboxes of it here.", when(since), d)
		w.means = "What lies in these mailboxes stays and can be read; new mail does not come into them."
		w.do = "If the move is meant, have the users read at the new place and remove the mailboxes. If it is not, choose another mode: postroad domain choose " + s.Domain + " proposes one."
		w.command = append(w.command, "postroad mailbox list --domain "+s.Domain)
	case OwnershipLost:
		w.subject = d + ": its ownership is no longer shown"
		w.what = fmt.Sprintf("Since %s nothing in public DNS has shown that %s is yours.", when(since), d)
		w.means = fmt.Sprintf("For %s from then on all is as before. After that its mail is not taken here any more until its ownership is shown again: for %s senders are told to try again, then it is refused.", length(directory.ProofGrace), length(directory.ProofNotice))
		w.do = "Publish what the command below shows, at whoever answers for the domain in DNS now. If the domain is not yours any more, remove it."
		w.command = append(w.command, "postroad domain prove "+s.Domain)
	case SendingPaused:
		w.subject = d + ": a login is paused, it tried to send too much"
		w.what = fmt.Sprintf("Since %s a login of %s may send nothing: it had reached its limit and went on again and again.", when(since), d)
		w.means = "Such a login is often one whose password was stolen. Its user reads mail as before. What it has sent and was not delivered yet is held, and nothing of it is lost."
		w.do = "Ask the user. If the mail is not his, give the mailbox another password and drop what is held. Then let it send again: postroad mailbox resume ADDRESS; what is held then goes on its way."
		w.command = append(w.command, "postroad mailbox list --domain "+s.Domain, "postroad sending list --domain "+s.Domain)
	case SendingNear:
		w.subject = d + ": nearly all that may be sent is sent"
		w.what = fmt.Sprintf("At %s users of %s had sent nearly all that they may in an hour or in a day.", when(since), d)
		w.means = "Who reaches the limit is told so (450) until the hour or the day is over, and what was taken before goes on its way. Who then goes on again and again may be paused."
		w.do = "Nothing, if the mail is meant and the limit is enough. If it is not enough, ask the operator for another one. If nobody knows of the mail, give the mailbox another password."
		w.command = append(w.command, "postroad sending list --domain "+s.Domain)
	case CertExpiring:
		w.subject = d + ": a certificate runs out soon and was not renewed"
		w.what = fmt.Sprintf("Since %s a certificate of a name of %s has been close to its end, and could not be renewed.", when(since), d)
		w.means = "It is used to its end. From then on mail programs that connect by that name warn their users, or refuse; mail between servers goes on."
		w.do = "See below what kept it from being renewed; the second command says for each name what to do. It is tried again and again by itself."
		w.command = append(w.command, "postroad cert list")
	case ModeSwitched: // told by modes
	}
	return w
}

func verb(n int64) string {
	if n == 1 {
		return " is"
	}
	return " are"
}

// sentence begins a text with a capital letter.
func sentence(s string) string { return strings.ToUpper(s[:1]) + s[1:] }

func loopRemedy(name finding.Name) string {
	switch name {
	case finding.AliasLoop:
		return "Take one of the aliases, forwards or groups out of the circle."
	case finding.SplitLoop:
		return "Have the domain's own server forward to the routing addresses of mailboxes here, and send nothing else back. Or name another next hop."
	}
	return "Name the domain's own server as its next hop (postroad domain set … --next-hop HOST:PORT), or have its MX records name it."
}

// back tells that a domain's server takes mail again.
func back(m *Memory, now time.Time) words {
	d := show(m.Domain)
	return words{
		subject: d + ": nothing is held for its mail server any more",
		what: fmt.Sprintf("At %s nothing was held for the mail server of %s any more. It had taken no mail since %s, and up to %s had been held (each recipient counted).",
			when(now), d, when(m.Since), counted(m.Held, "message", "messages")),
		means:   "What was held has been handed on in the order in which it came, but for what got too old meanwhile or was dropped by a person.",
		do:      "Nothing.",
		command: []string{"postroad trace --recipient ADDRESS", "postroad domain show " + m.Domain},
	}
}

// modes tells the switches of a domain of mode auto.
func modes(m *Memory) words {
	d := show(m.Domain)
	lines := strings.Split(strings.TrimSuffix(m.Detail, "\n"), "\n")
	w := words{
		subject: d + ": the routing mode follows public DNS",
		what:    fmt.Sprintf("Mode auto is chosen for %s, and public DNS has changed: since %s its mail goes another way.", d, when(m.Since)),
		seen:    strings.Join(lines, "; "),
		means:   "In mode local mail is delivered into the mailboxes here, in mode backup it is held here for the domain's other exchangers, in mode remote it is received elsewhere.",
		do:      "Nothing, if the change of the MX records is meant. If it is not, have them set back, or choose a mode yourself: postroad domain choose " + m.Domain + " proposes one.",
		command: []string{"postroad domain show " + m.Domain, "postroad audit --domain " + m.Domain},
	}
	if len(lines) > 1 {
		w.what = fmt.Sprintf("Mode auto is chosen for %s, and public DNS has changed %d times since %s.", d, len(lines), when(m.Since))
	}
	return w
}

// switchLine is one switch, as one line.
func switchLine(s Switch) string {
	return fmt.Sprintf("%s from %s to %s (%s)", when(s.At), s.From, s.To, plain(s.Evidence))
}

// maxSwitches is how many switches one notice tells.
const maxSwitches = 20

// lastLines keeps the last lines of a text.
func lastLines(s string) string {
	lines := strings.SplitAfter(s, "\n")
	lines = lines[:len(lines)-1]
	return strings.Join(lines[max(0, len(lines)-maxSwitches):], "")
}

// length is a duration in words.
func length(d time.Duration) string {
	switch {
	case d >= 48*time.Hour:
		return fmt.Sprintf("%d days", d/(24*time.Hour))
	case d >= 2*time.Hour:
		return fmt.Sprintf("%d hours", d/time.Hour)
	}
	return d.String()
}

// maxEvidence bounds what a notice tells of an evidence, in octets.
const maxEvidence = 1000

// plain makes a text that strangers may have written one line of visible characters.
func plain(s string) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsGraphic(r) && r != unicode.ReplacementChar {
			return r
		}
		return ' '
	}, strings.ToValidUTF8(s[:min(len(s), maxEvidence)], " "))
	return strings.Join(strings.Fields(s), " ")
}

// lineLength is where lines of a notice are broken.
const lineLength = 76

// wrap breaks a paragraph into lines.
func wrap(s string) string {
	var b strings.Builder
	column := 0
	for word := range strings.FieldsSeq(s) {
		switch {
		case column == 0:
		case column+1+len(word) > lineLength:
			b.WriteByte('\n')
			column = 0
		default:
			b.WriteByte(' ')
			column++
		}
		b.WriteString(word)
		column += len(word)
	}
	b.WriteByte('\n')
	return b.String()
}
