package message

import (
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// wrapAt is the widest line of the explanation, in characters.
const wrapAt = 72

// textPart writes the part for people. It is in UTF-8 when it has to name
// something outside ASCII, encoded unless the report is UTF8 itself.
func (r Report) textPart(host string) bodyPart {
	b := wrap(nil, "", "This is the mail system at "+host+".")
	for _, action := range []Action{Failed, Delayed, Delivered, Relayed, Expanded} {
		b = r.appendGroup(b, action)
	}
	b = r.appendAbout(b)
	switch {
	case isASCII(string(b)):
		return bodyPart{"text/plain; charset=us-ascii", "", b}
	case r.UTF8:
		return bodyPart{"text/plain; charset=utf-8", "8bit", b}
	}
	return bodyPart{"text/plain; charset=utf-8", "quoted-printable", quotePrintable(b)}
}

// appendGroup tells of all recipients with the same action.
func (r Report) appendGroup(b []byte, action Action) []byte {
	var group []ReportRecipient
	for _, p := range r.Recipients {
		if r.action(p) == action {
			group = append(group, p)
		}
	}
	if len(group) == 0 {
		return b
	}
	b = append(b, "\r\n"...)
	b = wrap(b, "", opening(action, len(group)))
	until := r.until(group[0])
	for _, p := range group {
		b = append(b, "\r\n"...)
		b = wrap(b, "    ", p.address())
		b = r.appendWhy(b, p, action)
		if own := r.until(p); action == Delayed && !own.Equal(until) && !own.IsZero() {
			b = wrap(b, "      ", "We keep trying until "+r.deadline(own)+".")
		}
	}
	advice := r.advice(group, action, until)
	if advice == "" {
		return b
	}
	b = append(b, "\r\n"...)
	return wrap(b, "", advice)
}

func opening(action Action, n int) string {
	what := "Your message could not be delivered to"
	switch action {
	case Delayed:
		what = "Your message has not been delivered yet to"
	case Delivered:
		what = "Your message was delivered to"
	case Relayed:
		what = "Your message was passed on to a mail server that sends no confirmations, for"
	case Expanded:
		what = "Your message was passed on to all addresses that stand behind"
	case Failed:
	}
	if n == 1 {
		return what + " this address:"
	}
	return what + " these " + strconv.Itoa(n) + " addresses:"
}

// address returns the address that the sender knows.
func (p ReportRecipient) address() string {
	kind, address, typed := strings.Cut(p.Original, ";")
	switch {
	case typed && (strings.EqualFold(kind, "rfc822") || strings.EqualFold(kind, "utf-8")):
	case p.Original != "" && !typed:
		address = p.Original
	default:
		address = p.Final
	}
	return oneLine(address, maxReportAddress)
}

func (r Report) appendWhy(b []byte, p ReportRecipient, action Action) []byte {
	reason := oneLine(p.Reason, maxReportReason)
	switch action {
	case Failed, Delayed:
		if reason == "" {
			reason = explainStatus(p.Status, p.Diagnostic != "")
		}
	case Delivered, Relayed, Expanded:
	}
	if reason != "" {
		b = wrap(b, "      ", "Reason: "+reason)
	}
	if s := oneLine(p.Suggestion, maxReportAddress); s != "" {
		b = wrap(b, "      ", "Did you mean: "+s)
	}
	reply := oneLine(p.Diagnostic, maxReportDiagnostic)
	if reply == "" || action != Failed && action != Delayed {
		return b
	}
	by := "The mail server"
	if name := oneLine(p.RemoteMTA, maxHostName); name != "" {
		by = "The other mail server (" + name + ")"
	}
	b = wrap(b, "      ", by+" answered:")
	return wrap(b, "        ", reply)
}

func (r Report) advice(group []ReportRecipient, action Action, until time.Time) string {
	switch action {
	case Failed:
		for _, p := range group {
			if p.Suggestion != "" || strings.HasPrefix(p.Status, "5.1.") {
				return "It will not be tried again. Please check the address for typing mistakes, " +
					"then send the message again to the right one."
			}
		}
		return "It will not be tried again. If the matter is important, please reach the person " +
			"in another way, and show this report to whoever looks after your mail."
	case Delayed:
		s := "This is only a notice. You need not do anything and need not send the message again. "
		if until.IsZero() {
			return s + "We keep trying, and you will be told if it cannot be delivered."
		}
		return s + "We keep trying until " + r.deadline(until) +
			". If it cannot be delivered by then, you will be told."
	case Relayed, Expanded:
		return "You will get no further report about it unless something goes wrong."
	case Delivered:
	}
	return ""
}

// deadline returns a point in time for people, and how far off it is.
func (r Report) deadline(t time.Time) string {
	s := t.UTC().Format("Monday, 2 January 2006, 15:04") + " UTC"
	left := t.Sub(r.Date).Round(time.Hour)
	if r.Date.IsZero() || left < time.Hour {
		return s
	}
	days, hours := int(left/(24*time.Hour)), int(left%(24*time.Hour)/time.Hour)
	var words []string
	if days > 0 {
		words = append(words, plural(days, "day"))
	}
	if hours > 0 {
		words = append(words, plural(hours, "hour"))
	}
	return s + " (" + strings.Join(words, " and ") + " from now)"
}

func plural(n int, word string) string {
	if n == 1 {
		return "1 " + word
	}
	return strconv.Itoa(n) + " " + word + "s"
}

// appendAbout says which message is meant and what of it is attached.
func (r Report) appendAbout(b []byte) []byte {
	header, _, _ := SplitHeader(r.Original)
	s := Summarize(header)
	if s.Subject == "" && !s.HasDate && r.ArrivalDate.IsZero() && len(r.Original) == 0 {
		return b
	}
	b = append(b, "\r\nAbout your message:\r\n\r\n"...)
	if s.Subject != "" {
		b = wrap(b, "    ", "Subject: "+s.Subject)
	}
	if s.HasDate {
		b = wrap(b, "    ", "Sent: "+string(AppendDate(nil, s.Date)))
	}
	if !r.ArrivalDate.IsZero() {
		b = wrap(b, "    ", "Received here: "+string(AppendDate(nil, r.ArrivalDate)))
	}
	if len(r.Original) == 0 {
		return b
	}
	ascii, travels := inspect(r.Original)
	if r.returnsWhole(ascii, travels) {
		return wrap(b, "    ", "The whole message is attached.")
	}
	return wrap(b, "    ", "Its header is attached.")
}

// wrap appends text in lines of at most wrapAt characters, each with the indent
// and CRLF. Words that are longer stand on a line of their own.
func wrap(b []byte, indent, text string) []byte {
	col := 0
	for word := range strings.FieldsSeq(breakWords(text, 900)) {
		n := utf8.RuneCountInString(word)
		switch {
		case col == 0:
			b = append(b, indent...)
			col = len(indent)
		case col+1+n > wrapAt:
			b = append(b, "\r\n"...)
			b = append(b, indent...)
			col = len(indent)
		default:
			b = append(b, ' ')
			col++
		}
		b = append(b, word...)
		col += n
	}
	return append(b, "\r\n"...)
}

// explainStatus says in words what an enhanced status code means (RFC 3463,
// RFC 7505, RFC 7372). answered tells whether another server's reply is shown.
func explainStatus(status string, answered bool) string {
	_, rest, _ := strings.Cut(status, ".")
	switch rest {
	case "1.1":
		return "There is no mailbox with this address."
	case "1.2":
		return "The domain behind the @ does not exist."
	case "1.3":
		return "The address is not written correctly."
	case "1.6":
		return "The mailbox has moved."
	case "1.10":
		return "The domain behind the @ does not accept mail."
	case "2.1":
		return "The mailbox is switched off."
	case "2.2":
		return "The mailbox is full."
	case "2.3", "3.4":
		return "The message is too large."
	case "4.1":
		return "The other mail server does not answer."
	case "4.2":
		return "The connection to the other mail server broke."
	case "4.3", "4.4":
		return "It could not be found out which server takes mail for this domain."
	case "4.6":
		return "The message went round in a circle between mail servers."
	case "4.7":
		return "The message could not be delivered in the time allowed."
	case "6.7":
		return "The other mail server cannot take addresses with such letters."
	case "7.1":
		return "The other side does not accept this message."
	}
	switch {
	case strings.HasPrefix(rest, "7."):
		return "The message was refused for reasons of security or policy."
	case answered:
		return "The other mail server did not take the message."
	}
	return "The message could not be handed over."
}
