package message

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"mime/quotedprintable"
	"strings"
	"time"
	"unicode/utf8"
)

// ReportKind is what a delivery status notification tells: the Action field of
// RFC 3464 §2.3.3. Its text is the word of the standard.
type ReportKind string

// The actions of RFC 3464 §2.3.3.
const (
	// Failed: the message could not be delivered and is given up.
	Failed ReportKind = "failed"
	// Delayed: the message is not delivered yet and is tried further.
	Delayed ReportKind = "delayed"
	// Delivered: the message is in the recipient's mailbox.
	Delivered ReportKind = "delivered"
	// Relayed: the message went to a server that sends no confirmations.
	Relayed ReportKind = "relayed"
	// Expanded: the message went to the several addresses behind this one.
	Expanded ReportKind = "expanded"
)

// Action is what happened to one recipient.
type Action = ReportKind

// Report is a delivery status notification (RFC 3461 §6, RFC 3464). Texts may
// come from hostile peers; they are cleaned and cut when the report is written.
// It must be sent from the null reverse-path (RFC 3461 §6.1).
type Report struct {
	// ReportingMTA is the name of this host.
	ReportingMTA string
	// From is the From field; empty means
	// "Mail Delivery System <postmaster@ReportingMTA>".
	From string
	// To is the sender of the original message, an address without brackets.
	To string
	// MessageID is the identifier of the report itself, with or without angle
	// brackets; when empty one is made from the content.
	MessageID string
	// Date is the time of the report.
	Date time.Time
	// ArrivalDate is when the original message was received; may be zero.
	ArrivalDate time.Time
	// EnvID is the sender's envelope identifier (RFC 3461 §4.4), decoded from
	// xtext; may be empty.
	EnvID string
	// Original is the message reported on or its header; may be empty.
	Original []byte
	// HeadersOnly returns only the header of Original (RFC 3461 §4.3, RET=HDRS).
	// A message that could not travel inside the report unchanged (8-bit content
	// without UTF8, bare CR or LF, NUL, lines over 998 octets) is cut to its
	// header too.
	HeadersOnly bool
	// UTF8 makes an internationalized report (RFC 6533) for SMTPUTF8. It is
	// implied by a To outside ASCII; see [Report.NeedsSMTPUTF8].
	UTF8 bool
	// Kind decides the subject, and the action of recipients without one.
	Kind ReportKind
	// Until is when a delayed message is given up; may be zero.
	Until time.Time
	// Recipients are the recipients reported on.
	Recipients []ReportRecipient
}

// ReportRecipient is what a [Report] tells about one recipient.
type ReportRecipient struct {
	// Original is the ORCPT value, "rfc822;user@example.com", decoded from
	// xtext (RFC 3461 §4.2); may be empty.
	Original string
	// Final is the address the message was meant for in the end. The text for
	// people names Original instead when it is known, so that the target of a
	// forward is not shown there.
	Final string
	// Action is what happened; empty means the report's Kind.
	Action Action
	// Status is the enhanced status code (RFC 3463), "5.1.1".
	Status string
	// RemoteMTA is the name of the server that answered; may be empty.
	RemoteMTA string
	// Diagnostic is that server's reply as one line; may be empty.
	Diagnostic string
	// LastAttempt is when delivery was tried last; may be zero.
	LastAttempt time.Time
	// WillRetryUntil is when this recipient is given up, if that differs from
	// the report's Until; may be zero.
	WillRetryUntil time.Time
	// Reason says why, as a plain sentence; when empty it is derived from
	// Status.
	Reason string
	// Suggestion is an address that exists and was probably meant; may be empty.
	Suggestion string
}

// Longest texts in a report, in octets.
const (
	maxReportAddress    = 320
	maxReportDiagnostic = 1024
	maxReportReason     = 1024
	maxReportID         = 200
)

// NeedsSMTPUTF8 reports whether the written report must be sent with SMTPUTF8.
func (r Report) NeedsSMTPUTF8() bool { return r.UTF8 || !isASCII(r.To) }

// AppendTo appends the report as a complete message to b: multipart/report
// (RFC 6522) with an explanation for people, the delivery status and the
// original message or its header. Lines end in CRLF and are at most 998 octets
// long. Unless [Report.NeedsSMTPUTF8] all of it is ASCII. It is marked
// auto-replied because it answers one message (RFC 3834 §5).
func (r Report) AppendTo(b []byte) []byte {
	r.UTF8 = r.NeedsSMTPUTF8()
	host := r.host()
	parts := []bodyPart{r.textPart(host), r.statusPart(host)}
	if len(r.Original) > 0 {
		parts = append(parts, r.originalPart())
	}
	boundary := chooseBoundary(parts)
	b = r.appendHeader(b, host, boundary)
	b = append(b, "\r\nThis is a report about a message, in MIME format.\r\n"...)
	for _, part := range parts {
		b = append(b, "\r\n--"...)
		b = append(b, boundary...)
		b = append(b, "\r\nContent-Type: "...)
		b = append(b, part.contentType...)
		if part.encoding != "" {
			b = append(b, "\r\nContent-Transfer-Encoding: "...)
			b = append(b, part.encoding...)
		}
		b = append(b, "\r\n\r\n"...)
		b = append(b, part.content...)
	}
	b = append(b, "\r\n--"...)
	b = append(b, boundary...)
	return append(b, "--\r\n"...)
}

// host returns this host's name, "localhost" when it is none.
func (r Report) host() string {
	if len(r.ReportingMTA) > maxHostName || !isASCII(r.ReportingMTA) || !plainPath("postmaster@"+r.ReportingMTA) {
		return "localhost"
	}
	return strings.TrimSpace(r.ReportingMTA)
}

// bodyPart is one part of a report; encoding is empty for 7bit.
type bodyPart struct {
	contentType string
	encoding    string
	content     []byte
}

// chooseBoundary returns a boundary that does not occur in the parts. It is
// drawn from all their octets, so that no content can be made to hold it.
func chooseBoundary(parts []bodyPart) string {
	h := sha256.New()
	for _, part := range parts {
		h.Write(part.content)
	}
	for {
		boundary := "report-" + hex.EncodeToString(h.Sum(nil)[:16])
		free := true
		for _, part := range parts {
			free = free && !bytes.Contains(part.content, []byte(boundary))
		}
		if free {
			return boundary
		}
		h.Write([]byte(boundary))
	}
}

func (r Report) appendHeader(b []byte, host, boundary string) []byte {
	b = r.appendText(b, "From", r.fromField(host))
	b = r.appendText(b, "To", "<"+r.toAddress()+">")
	b = append(b, "Date: "...)
	b = AppendDate(b, r.Date)
	b = append(b, "\r\nMessage-ID: "...)
	id := messageID(r.MessageID)
	if id == "" {
		id = "<" + boundary + "@" + host + ">"
	}
	b = append(b, id...)
	b = append(b, "\r\nSubject: "...)
	b = append(b, r.subject()...)
	b = append(b, "\r\n"...)
	if len(r.Original) > 0 {
		header, _, _ := SplitHeader(r.Original)
		if id := messageID(Summarize(header).MessageID); id != "" {
			b = append(b, "References: "...)
			b = append(b, id...)
			b = append(b, "\r\n"...)
		}
	}
	b = append(b, "Auto-Submitted: auto-replied\r\nMIME-Version: 1.0\r\n"...)
	b = append(b, "Content-Type: multipart/report; report-type=delivery-status;\r\n\tboundary=\""...)
	b = append(b, boundary...)
	b = append(b, "\"\r\n"...)
	if r.UTF8 {
		b = append(b, "Content-Transfer-Encoding: 8bit\r\n"...)
	}
	return b
}

func (r Report) subject() string {
	switch r.Kind {
	case Delayed:
		return "Your message is delayed and will be tried further"
	case Delivered:
		return "Your message was delivered"
	case Relayed:
		return "Your message was passed on"
	case Expanded:
		return "Your message was passed on to several addresses"
	case Failed:
	}
	return "Your message could not be delivered"
}

func (r Report) fromField(host string) string {
	from := r.line(r.From, maxReportAddress)
	p := addressParser{s: from}
	if p.addressList() && len(p.found) == 1 {
		return from
	}
	return "Mail Delivery System <postmaster@" + host + ">"
}

// toAddress returns To as it may stand between angle brackets.
func (r Report) toAddress() string {
	to := r.line(strings.Trim(r.To, "<>"), maxReportAddress)
	if plainPath(to) {
		return to
	}
	return strings.Map(func(c rune) rune {
		if strings.ContainsRune(`<>()[]"\,;: `, c) {
			return '?'
		}
		return c
	}, to)
}

// messageID returns id in angle brackets, "" when it is not fit for a header.
func messageID(id string) string {
	id = strings.TrimSuffix(strings.TrimPrefix(id, "<"), ">")
	if id == "" || len(id) > maxReportID {
		return ""
	}
	for i := range len(id) {
		if id[i] <= ' ' || id[i] > '~' || id[i] == '<' || id[i] == '>' {
			return ""
		}
	}
	return "<" + id + ">"
}

// line returns s as one line, in ASCII unless the report is UTF8.
func (r Report) line(s string, limit int) string {
	s = oneLine(s, limit)
	if !r.UTF8 {
		s = asciiOnly(s)
	}
	return s
}

// appendText appends a field whose value is free text: what cannot be folded is
// broken so that no line passes 998 octets.
func (r Report) appendText(b []byte, name, value string) []byte {
	b = append(b, name...)
	b = append(b, ": "...)
	b, _ = appendFolded(b, breakWords(value, 900), len(name)+2)
	return append(b, "\r\n"...)
}

// breakWords puts a space into every word longer than limit octets.
func breakWords(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	var b strings.Builder
	n := 0
	for _, c := range s {
		if n += utf8.RuneLen(c); n > limit {
			b.WriteByte(' ')
			n = utf8.RuneLen(c)
		}
		if c == ' ' {
			n = 0
		}
		b.WriteRune(c)
	}
	return b.String()
}

// statusPart writes the part for programs (RFC 3464 §2, RFC 6533 §3).
func (r Report) statusPart(host string) bodyPart {
	var b []byte
	if id := r.line(r.EnvID, maxReportID); id != "" {
		b = r.appendText(b, "Original-Envelope-Id", id)
	}
	b = r.appendText(b, "Reporting-MTA", "dns; "+host)
	b = appendDateField(b, "Arrival-Date", r.ArrivalDate)
	for _, recipient := range r.Recipients {
		b = r.appendRecipient(append(b, "\r\n"...), recipient)
	}
	if r.UTF8 {
		return bodyPart{"message/global-delivery-status", "8bit", b}
	}
	return bodyPart{"message/delivery-status", "", b}
}

func (r Report) appendRecipient(b []byte, p ReportRecipient) []byte {
	action := r.action(p)
	if p.Original != "" {
		kind, address, typed := strings.Cut(p.Original, ";")
		if !typed {
			kind, address = "rfc822", p.Original
		}
		b = r.appendText(b, "Original-Recipient", r.typedAddress(kind, address))
	}
	b = r.appendText(b, "Final-Recipient", r.typedAddress("rfc822", p.Final))
	b = r.appendText(b, "Action", string(action))
	b = r.appendText(b, "Status", statusCode(p.Status, action))
	if name := r.line(p.RemoteMTA, maxHostName); name != "" {
		b = r.appendText(b, "Remote-MTA", "dns; "+name)
	}
	if text := r.line(p.Diagnostic, maxReportDiagnostic); text != "" {
		b = r.appendText(b, "Diagnostic-Code", "smtp; "+text)
	}
	b = appendDateField(b, "Last-Attempt-Date", p.LastAttempt)
	if action == Delayed {
		b = appendDateField(b, "Will-Retry-Until", r.until(p))
	}
	return b
}

func appendDateField(b []byte, name string, t time.Time) []byte {
	if t.IsZero() {
		return b
	}
	b = append(b, name...)
	b = append(b, ": "...)
	b = AppendDate(b, t)
	return append(b, "\r\n"...)
}

func (r Report) action(p ReportRecipient) Action {
	for _, action := range []Action{p.Action, r.Kind} {
		switch action {
		case Failed, Delayed, Delivered, Relayed, Expanded:
			return action
		}
	}
	return Failed
}

// until returns when a delayed recipient is given up.
func (r Report) until(p ReportRecipient) time.Time {
	if p.WillRetryUntil.IsZero() {
		return r.Until
	}
	return p.WillRetryUntil
}

// statusCode returns a well-formed status code whose class fits the action.
func statusCode(status string, action Action) string {
	class, rest, _ := strings.Cut(status, ".")
	subject, detail, _ := strings.Cut(rest, ".")
	_, ok1 := number(class, 1, 1, 5)
	_, ok2 := number(subject, 1, 3, 999)
	_, ok3 := number(detail, 1, 3, 999)
	want := "2"
	switch action {
	case Failed:
		want = "5"
	case Delayed:
		want = "4"
	case Delivered, Relayed, Expanded:
	}
	if !ok1 || !ok2 || !ok3 {
		return want + ".0.0"
	}
	// A delivery given up after days of trying fails with the code of a
	// persistent transient failure, such as 4.4.7 (RFC 3463 §2).
	if class != want && (action != Failed || class != "4") {
		return want + ".0.0"
	}
	return status
}

// typedAddress returns "type; address". An address outside ASCII gets the type
// utf-8 and, in an ASCII report, the escapes of RFC 6533 §3.
func (r Report) typedAddress(kind, address string) string {
	kind = strings.ToLower(strings.Trim(kind, " \t"))
	if kind == "" || traceAtom(kind) == "" {
		kind = "rfc822"
	}
	address = oneLine(address, maxReportAddress)
	if isASCII(address) {
		return kind + "; " + address
	}
	if !r.UTF8 {
		address = escapeUTF8Address(address)
	}
	return "utf-8; " + address
}

// escapeUTF8Address writes an address as utf-8-addr-xtext (RFC 6533 §3).
func escapeUTF8Address(s string) string {
	const digits = "0123456789ABCDEF"
	var b strings.Builder
	for _, c := range s {
		if c > ' ' && c <= '~' && c != '+' && c != '=' && c != '\\' {
			b.WriteRune(c)
			continue
		}
		b.WriteString(`\x{`)
		width := 2
		for c>>(4*width) != 0 {
			width++
		}
		for i := width - 1; i >= 0; i-- {
			b.WriteByte(digits[c>>(4*i)&15])
		}
		b.WriteByte('}')
	}
	return b.String()
}

// originalPart returns the message reported on, or its header (RFC 6522 §3,
// RFC 6533 §4).
func (r Report) originalPart() bodyPart {
	ascii, travels := inspect(r.Original)
	if r.returnsWhole(ascii, travels) {
		if r.UTF8 {
			return bodyPart{"message/global", "8bit", r.Original}
		}
		return bodyPart{"message/rfc822", "", r.Original}
	}
	header, _, _ := SplitHeader(r.Original)
	part := bodyPart{"text/rfc822-headers", "", header}
	if r.UTF8 {
		part = bodyPart{"message/global-headers", "8bit", header}
	}
	ascii, travels = inspect(header)
	if !travels || !ascii && (!r.UTF8 || !utf8.Valid(header)) {
		part.encoding = "quoted-printable"
		part.content = quotePrintable(header)
	}
	return part
}

func (r Report) returnsWhole(ascii, travels bool) bool {
	return !r.HeadersOnly && travels && (ascii || r.UTF8)
}

// inspect reports whether b is all ASCII, and whether it can travel as it is:
// every CR and LF in a CRLF, no NUL, no line over 998 octets.
func inspect(b []byte) (ascii, travels bool) {
	ascii, travels = true, true
	start := 0
	for i, c := range b {
		switch {
		case c >= utf8.RuneSelf:
			ascii = false
		case c == 0:
			travels = false
		case c == '\r':
			travels = travels && i+1 < len(b) && b[i+1] == '\n' && i-start <= maxLine
		case c == '\n':
			travels = travels && i > 0 && b[i-1] == '\r'
			start = i + 1
		}
	}
	return ascii, travels && len(b)-start <= maxLine
}

// quotePrintable encodes text; a bare CR or LF becomes a line end.
func quotePrintable(b []byte) []byte {
	var out bytes.Buffer
	w := quotedprintable.NewWriter(&out)
	// Writing into a bytes.Buffer cannot fail.
	_, _ = w.Write(b)
	_ = w.Close()
	return out.Bytes()
}
