package message

import (
	"bytes"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/mail"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const original = "From: me@mine.example\r\nSubject: Lunch\r\nDate: Sun, 22 Nov 2026 11:59:00 +0100\r\nMessage-ID: <1@mine.example>\r\n\r\nAt noon?\r\n"

func failedReport() Report {
	return Report{
		ReportingMTA: "mx.example", To: "me@mine.example", MessageID: "r1@mx.example", Date: noon, ArrivalDate: noon.Add(-time.Minute),
		EnvID: "QQ314159", Original: []byte(original), Kind: Failed,
		Recipients: []ReportRecipient{{
			Original: "rfc822;jon@other.example", Final: "jon@other.example", Action: Failed, Status: "5.1.1",
			RemoteMTA: "mail.other.example", Diagnostic: "550 5.1.1 <jon@other.example> User unknown", LastAttempt: noon,
			Suggestion: "john@other.example",
		}},
	}
}

func TestReportFailedText(t *testing.T) {
	const want = `From: Mail Delivery System <postmaster@mx.example>
To: <me@mine.example>
Date: Sun, 22 Nov 2026 12:00:00 +0100
Message-ID: <r1@mx.example>
Subject: Your message could not be delivered
References: <1@mine.example>
Auto-Submitted: auto-replied
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status;
	boundary="BOUNDARY"

This is a report about a message, in MIME format.

--BOUNDARY
Content-Type: text/plain; charset=us-ascii

This is the mail system at mx.example.

Your message could not be delivered to this address:

    jon@other.example
      Reason: There is no mailbox with this address.
      Did you mean: john@other.example
      The other mail server (mail.other.example) answered:
        550 5.1.1 <jon@other.example> User unknown

It will not be tried again. Please check the address for typing
mistakes, then send the message again to the right one.

About your message:

    Subject: Lunch
    Sent: Sun, 22 Nov 2026 11:59:00 +0100
    Received here: Sun, 22 Nov 2026 11:59:00 +0100
    The whole message is attached.

--BOUNDARY
Content-Type: message/delivery-status

Original-Envelope-Id: QQ314159
Reporting-MTA: dns; mx.example
Arrival-Date: Sun, 22 Nov 2026 11:59:00 +0100

Original-Recipient: rfc822; jon@other.example
Final-Recipient: rfc822; jon@other.example
Action: failed
Status: 5.1.1
Remote-MTA: dns; mail.other.example
Diagnostic-Code: smtp; 550 5.1.1 <jon@other.example> User unknown
Last-Attempt-Date: Sun, 22 Nov 2026 12:00:00 +0100

--BOUNDARY
Content-Type: message/rfc822

From: me@mine.example
Subject: Lunch
Date: Sun, 22 Nov 2026 11:59:00 +0100
Message-ID: <1@mine.example>

At noon?

--BOUNDARY--
`
	got := string(failedReport().AppendTo(nil))
	_, boundary, _ := strings.Cut(got, `boundary="`)
	boundary, _, _ = strings.Cut(boundary, `"`)
	got = strings.ReplaceAll(got, boundary, "BOUNDARY")
	if diff := cmp.Diff(strings.ReplaceAll(want, "\n", "\r\n"), got); diff != "" {
		t.Error(diff)
	}
}

// parsedReport is a report as the standard library reads it.
type parsedReport struct {
	header mail.Header
	parts  []parsedPart
}

type parsedPart struct {
	mediaType, encoding string
	content             string // decoded
}

func parseReport(t *testing.T, b []byte) parsedReport {
	t.Helper()
	m, err := mail.ReadMessage(bytes.NewReader(b))
	if err != nil {
		t.Fatalf("%v in %q", err, b)
	}
	mediaType, params, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	if err != nil || mediaType != "multipart/report" || params["report-type"] != "delivery-status" {
		t.Fatalf("Content-Type %s %v %v", mediaType, params, err)
	}
	parsed := parsedReport{header: m.Header}
	reader := multipart.NewReader(m.Body, params["boundary"])
	for {
		p, err := reader.NextRawPart()
		if errors.Is(err, io.EOF) {
			return parsed
		}
		if err != nil {
			t.Fatalf("%v in %q", err, b)
		}
		var in io.Reader = p
		part := parsedPart{encoding: p.Header.Get("Content-Transfer-Encoding")}
		if part.encoding == "quoted-printable" {
			in = quotedprintable.NewReader(p)
		}
		content, err := io.ReadAll(in)
		if err != nil {
			t.Fatalf("%v in %q", err, b)
		}
		part.mediaType, part.content = p.Header.Get("Content-Type"), string(content)
		parsed.parts = append(parsed.parts, part)
	}
}

func mediaTypes(r parsedReport) string {
	var types []string
	for _, p := range r.parts {
		name, _, _ := strings.Cut(p.mediaType, ";")
		if p.encoding != "" {
			name += " " + p.encoding
		}
		types = append(types, name)
	}
	return strings.Join(types, ", ")
}

func TestReportHeader(t *testing.T) {
	got := parseReport(t, failedReport().AppendTo(nil)).header
	for name, want := range map[string]string{
		"From": "Mail Delivery System <postmaster@mx.example>", "To": "<me@mine.example>", "Message-Id": "<r1@mx.example>",
		"Auto-Submitted": "auto-replied", "References": "<1@mine.example>", "Mime-Version": "1.0",
	} {
		if got.Get(name) != want {
			t.Errorf("%s: %q, want %q", name, got.Get(name), want)
		}
	}
	r := failedReport()
	r.From, r.MessageID, r.Original = "Post <mail@mx.example>", "not an id", nil
	header := parseReport(t, r.AppendTo(nil)).header
	if header.Get("From") != r.From || !strings.HasSuffix(header.Get("Message-Id"), "@mx.example>") || header.Get("References") != "" {
		t.Errorf("header %v", header)
	}
	if got := mediaTypes(parseReport(t, r.AppendTo(nil))); got != "text/plain, message/delivery-status" {
		t.Errorf("without the original: %s", got)
	}
}

func TestReportDelayedText(t *testing.T) {
	r := failedReport()
	r.Kind, r.Until = Delayed, noon.Add(4*24*time.Hour+20*time.Hour)
	r.Recipients = []ReportRecipient{
		{Final: "a@other.example", Status: "4.4.1", Reason: "mail.other.example does not answer.", LastAttempt: noon},
		{Final: "b@third.example", Status: "4.4.4", WillRetryUntil: noon.Add(25 * time.Hour)},
	}
	got := parseReport(t, r.AppendTo(nil))
	if s := got.header.Get("Subject"); s != "Your message is delayed and will be tried further" {
		t.Errorf("subject %q", s)
	}
	text := strings.Join(strings.Fields(got.parts[0].content), " ")
	for _, want := range []string{
		"has not been delivered yet to these 2 addresses: a@other.example Reason: mail.other.example does not answer.",
		"b@third.example Reason: It could not be found out which server takes mail for this domain. " +
			"We keep trying until Monday, 23 November 2026, 12:00 UTC (1 day and 1 hour from now).",
		"You need not do anything and need not send the message again. " +
			"We keep trying until Friday, 27 November 2026, 07:00 UTC (4 days and 20 hours from now).",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in %q", want, text)
		}
	}
	for _, want := range []string{
		"Final-Recipient: rfc822; a@other.example\r\nAction: delayed\r\nStatus: 4.4.1\r\n",
		"Will-Retry-Until: Fri, 27 Nov 2026 08:00:00 +0100\r\n",
		"Will-Retry-Until: Mon, 23 Nov 2026 13:00:00 +0100\r\n",
	} {
		if !strings.Contains(got.parts[1].content, want) {
			t.Errorf("%q is not in %q", want, got.parts[1].content)
		}
	}
	r.Until, r.Recipients = time.Time{}, r.Recipients[:1]
	if text := parseReport(t, r.AppendTo(nil)).parts[0].content; !strings.Contains(text, "We keep trying, and you will be") {
		t.Errorf("no limit: %q", text)
	}
}

func TestReportKinds(t *testing.T) {
	for kind, want := range map[ReportKind]struct{ subject, text, status string }{
		Failed:    {"Your message could not be delivered", "could not be delivered to this address", "5.0.0"},
		Delayed:   {"Your message is delayed and will be tried further", "not been delivered yet", "4.0.0"},
		Delivered: {"Your message was delivered", "Your message was delivered to this address", "2.0.0"},
		Relayed:   {"Your message was passed on", "sends no confirmations", "2.0.0"},
		Expanded:  {"Your message was passed on to several addresses", "addresses that stand behind this address", "2.0.0"},
		"odd":     {"Your message could not be delivered", "could not be delivered to this address", "5.0.0"},
	} {
		r := failedReport()
		r.Kind, r.Recipients = kind, []ReportRecipient{{Final: "a@b.c", Status: "odd"}}
		got := parseReport(t, r.AppendTo(nil))
		text := strings.Join(strings.Fields(got.parts[0].content), " ")
		if got.header.Get("Subject") != want.subject || !strings.Contains(text, want.text) {
			t.Errorf("%s: %v %q", kind, got.header, text)
		}
		if !strings.Contains(got.parts[1].content, "Status: "+want.status+"\r\n") {
			t.Errorf("%s: %q", kind, got.parts[1].content)
		}
	}
}

func TestReportMixedActions(t *testing.T) {
	r := failedReport()
	r.Recipients = append(r.Recipients, ReportRecipient{Final: "b@c.d", Action: Relayed, Status: "2.1.5"})
	got := parseReport(t, r.AppendTo(nil))
	failed := strings.Index(got.parts[0].content, "jon@other.example")
	relayed := strings.Index(got.parts[0].content, "b@c.d")
	if failed < 0 || relayed < failed || strings.Count(got.parts[1].content, "\r\n\r\n") != 2 {
		t.Errorf("%q", got.parts)
	}
}

func TestReportNamesTheAddressTheSenderKnows(t *testing.T) {
	for _, tt := range []struct{ original, final, want string }{
		{"rfc822;me@known.example", "secret@target.example", "me@known.example"},
		{"me@known.example", "secret@target.example", "me@known.example"},
		{"", "me@known.example", "me@known.example"},
		{"x400;/C=de/", "me@known.example", "me@known.example"},
	} {
		r := failedReport()
		r.Recipients = []ReportRecipient{{Original: tt.original, Final: tt.final, Status: "5.0.0"}}
		text := parseReport(t, r.AppendTo(nil)).parts[0].content
		if !strings.Contains(text, "    "+tt.want+"\r\n") || strings.Contains(text, "secret") {
			t.Errorf("%q: %q", tt.original, text)
		}
	}
}

func TestReportStatusFitsAction(t *testing.T) {
	for _, tt := range []struct {
		status string
		action Action
		want   string
	}{
		{"5.1.1", Failed, "5.1.1"},
		{"4.4.7", Failed, "4.4.7"},
		{"2.0.0", Failed, "5.0.0"},
		{"5.1.1", Delayed, "4.0.0"},
		{"4.7.999", Delayed, "4.7.999"},
		{"2.1.5", Delivered, "2.1.5"},
		{"", Relayed, "2.0.0"},
		{"5.1", Failed, "5.0.0"},
		{"5.1.1.1", Failed, "5.0.0"},
		{"5.1.1\r\nX: y", Failed, "5.0.0"},
		{"5.1.1000", Failed, "5.0.0"},
	} {
		if got := statusCode(tt.status, tt.action); got != tt.want {
			t.Errorf("statusCode(%q, %s) = %s, want %s", tt.status, tt.action, got, tt.want)
		}
	}
}

func TestReportOriginal(t *testing.T) {
	const header = "Subject: x\r\n"
	const german = "Subject: grüß\r\n"
	for _, tt := range []struct {
		name, original    string
		headersOnly, utf8 bool
		types, content    string
	}{
		{"whole", header + "\r\nbody\r\n", false, false, "message/rfc822", header + "\r\nbody\r\n"},
		{"last line open", header + "\r\nbody", false, false, "message/rfc822", header + "\r\nbody"},
		{"header asked for", header + "\r\nbody\r\n", true, false, "text/rfc822-headers", header},
		{"header given", header, true, false, "text/rfc822-headers", header},
		{"8-bit body", header + "\r\ngrüß\r\n", false, false, "text/rfc822-headers", header},
		{"8-bit header", german + "\r\nbody\r\n", false, false, "text/rfc822-headers quoted-printable", german},
		{"bare LF", header + "\r\na\nb\r\n", false, false, "text/rfc822-headers", header},
		{"bare CR", header + "\r\na\rb\r\n", false, false, "text/rfc822-headers", header},
		{"NUL", header + "\r\na\x00b\r\n", false, false, "text/rfc822-headers", header},
		{"NUL in the header", "Subject: \x00\r\n\r\nb\r\n", false, false, "text/rfc822-headers quoted-printable", "Subject: \x00\r\n"},
		{"line of 998", header + "\r\n" + strings.Repeat("x", 998) + "\r\n", false, false, "message/rfc822", header + "\r\n" + strings.Repeat("x", 998) + "\r\n"},
		{"line of 999", header + "\r\n" + strings.Repeat("x", 999) + "\r\n", false, false, "text/rfc822-headers", header},
		{"UTF8", german + "\r\ngrüß\r\n", false, true, "message/global 8bit", german + "\r\ngrüß\r\n"},
		{"UTF8 header", german + "\r\ngrüß\r\n", true, true, "message/global-headers 8bit", german},
		{"UTF8, header is not", "Subject: \xff\r\n\r\nx\r\n", true, true, "message/global-headers quoted-printable", "Subject: \xff\r\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := failedReport()
			r.Original, r.HeadersOnly, r.UTF8 = []byte(tt.original), tt.headersOnly, tt.utf8
			b := r.AppendTo(nil)
			checkLines(t, b)
			got := parseReport(t, b)
			last := got.parts[2]
			if !strings.HasSuffix(mediaTypes(got), tt.types) || last.content != tt.content {
				t.Errorf("%s: %q", mediaTypes(got), last.content)
			}
			whole := strings.Contains(got.parts[0].content, "whole message is attached")
			if whole != (tt.types == "message/rfc822" || tt.types == "message/global 8bit") {
				t.Errorf("text says whole = %v for %s", whole, tt.types)
			}
			if !tt.utf8 && !isASCII(string(b)) {
				t.Errorf("not ASCII: %q", b)
			}
		})
	}
}

func TestReportInternational(t *testing.T) {
	r := failedReport()
	r.Recipients = []ReportRecipient{{
		Original: "utf-8;jürgen@münchen.example", Final: "jürgen+x@münchen.example", Status: "5.6.7", Diagnostic: "550 5.6.7 für jürgen",
	}}
	b := r.AppendTo(nil)
	got := parseReport(t, b)
	if !isASCII(string(b)) || r.NeedsSMTPUTF8() {
		t.Errorf("not ASCII: %q", b)
	}
	if !strings.Contains(got.parts[0].content, "    jürgen@münchen.example\r\n") {
		t.Errorf("text: %q", got.parts[0].content)
	}
	for _, want := range []string{
		`Original-Recipient: utf-8; j\x{FC}rgen@m\x{FC}nchen.example`, `Final-Recipient: utf-8; j\x{FC}rgen\x{2B}x@m\x{FC}nchen.example`,
		"Diagnostic-Code: smtp; 550 5.6.7 f?r j?rgen",
	} {
		if !strings.Contains(got.parts[1].content, want+"\r\n") {
			t.Errorf("%q is not in %q", want, got.parts[1].content)
		}
	}
	// A sender outside ASCII makes the whole report international.
	r.To = "ich@münchen.example"
	got = parseReport(t, r.AppendTo(nil))
	if !r.NeedsSMTPUTF8() || got.header.Get("To") != "<ich@münchen.example>" {
		t.Errorf("To %q", got.header.Get("To"))
	}
	if types := mediaTypes(got); types != "text/plain 8bit, message/global-delivery-status 8bit, message/global 8bit" {
		t.Errorf("parts %s", types)
	}
	for _, want := range []string{"Final-Recipient: utf-8; jürgen+x@münchen.example", "Diagnostic-Code: smtp; 550 5.6.7 für jürgen"} {
		if !strings.Contains(got.parts[1].content, want+"\r\n") {
			t.Errorf("%q is not in %q", want, got.parts[1].content)
		}
	}
}

func TestReportBoundaryIsNotInTheContent(t *testing.T) {
	parts := []bodyPart{{content: []byte("text")}}
	first := chooseBoundary(parts)
	parts = append(parts, bodyPart{content: []byte("x --" + first + "--")})
	if second := chooseBoundary(parts); second == first || len(second) > 70 {
		t.Errorf("boundary %q after %q", second, first)
	}
	// A returned report brings its own boundaries.
	r := failedReport()
	r.Original = failedReport().AppendTo(nil)
	got := parseReport(t, r.AppendTo(nil))
	if len(got.parts) != 3 || got.parts[2].content != string(r.Original) {
		t.Errorf("%d parts", len(got.parts))
	}
}

func TestReportHostileValues(t *testing.T) {
	const evil = "x\r\nBcc: a@b\r\n\r\n--\x00\x1b[31m\u202e"
	long := strings.Repeat("y", 5000)
	for _, s := range []string{evil, long, strings.Repeat("ü", 3000), "<>", "a@b>, c@d", "\"", "\xff\xfe", " ", ";"} {
		for _, utf8 := range []bool{false, true} {
			r := Report{
				ReportingMTA: s, From: s, To: s, MessageID: s, EnvID: s, UTF8: utf8, Kind: ReportKind(s), Original: []byte(s), HeadersOnly: true,
				Recipients: []ReportRecipient{{
					Original: s, Final: s, Action: Action(s), Status: s, RemoteMTA: s, Diagnostic: s, Reason: s, Suggestion: s,
				}},
			}
			checkReport(t, r)
		}
	}
}

// checkReport fails when the report is not exactly the message it should be.
func checkReport(t *testing.T, r Report) {
	t.Helper()
	b := r.AppendTo(nil)
	checkLines(t, b)
	if !r.NeedsSMTPUTF8() && !isASCII(string(b)) {
		t.Fatalf("not ASCII: %q", b)
	}
	header, _, _ := SplitHeader(b)
	known := map[string]bool{
		"From": true, "To": true, "Date": true, "Message-ID": true, "Subject": true, "References": true, "Auto-Submitted": true,
		"MIME-Version": true, "Content-Type": true, "Content-Transfer-Encoding": true,
	}
	for f := range Fields(header) {
		if !known[f.Name] || Count(header, f.Name) != 1 {
			t.Fatalf("field %q in %q", f.Name, header)
		}
	}
	if from, _, ok := FromAddresses(header); !ok || len(from) != 1 {
		t.Fatalf("From %q in %q", from, header)
	}
	got := parseReport(t, b)
	want := 2
	if len(r.Original) > 0 {
		want = 3
	}
	if len(got.parts) != want {
		t.Fatalf("%d parts in %q", len(got.parts), b)
	}
	for i, group := range strings.Split(strings.TrimSuffix(got.parts[1].content, "\r\n"), "\r\n\r\n") {
		if i > len(r.Recipients) {
			t.Fatalf("too many groups in %q", got.parts[1].content)
		}
		for f := range Fields([]byte(group + "\r\n")) {
			switch f.Name {
			case "Original-Envelope-Id", "Reporting-MTA", "Arrival-Date", "Original-Recipient", "Final-Recipient", "Action", "Status",
				"Remote-MTA", "Diagnostic-Code", "Last-Attempt-Date", "Will-Retry-Until":
			default:
				t.Fatalf("field %q in %q", f.Name, group)
			}
		}
	}
}

func FuzzReport(f *testing.F) {
	f.Add("mx.example", "me@a.b", "id@x", "env", "rfc822;a@b", "a@b", "5.1.1", "mail.b", "550 no", "Because.", []byte(original), false)
	f.Add("\r\n", "a@b>\r\nX: y", "<\r\n>", "\r", "\n;\n", "\r\n.\r\n", "4", "\x00", "a\r\n\r\nb", "ü\xff", []byte("a\n\r\xff"), true)
	f.Fuzz(func(t *testing.T, mta, to, id, env, orcpt, final, status, remote, diagnostic, reason string, original []byte, flag bool) {
		checkReport(t, Report{
			ReportingMTA: mta, From: reason, To: to, MessageID: id, EnvID: env, Original: original, HeadersOnly: flag, UTF8: flag,
			Kind: Delayed, Date: noon, Until: noon.Add(time.Hour),
			Recipients: []ReportRecipient{
				{Original: orcpt, Final: final, Status: status, RemoteMTA: remote, Diagnostic: diagnostic, Reason: reason, Suggestion: final},
				{Final: orcpt, Action: Failed, Diagnostic: reason},
			},
		})
	})
}
