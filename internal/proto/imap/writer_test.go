package imap

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"postroad/internal/proto/mime"
)

func written(t *testing.T, utf8 bool, write func(*Writer)) string {
	t.Helper()
	var out bytes.Buffer
	w := NewWriter(&out)
	w.SetUTF8(utf8)
	write(w)
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	if w.buf != nil {
		t.Error("a buffer is kept after Flush")
	}
	return out.String()
}

// Responses as the standards show them.
func TestResponses(t *testing.T) {
	at := time.Date(1996, 7, 7, 2, 44, 25, 0, time.FixedZone("", -7*3600))
	for want, write := range map[string]func(*Writer){
		"* OK [CAPABILITY IMAP4rev2 AUTH=PLAIN] Hello": func(w *Writer) { w.Status(OK, CodeCapability([]string{"IMAP4rev2", "AUTH=PLAIN"}), "Hello") },
		"* BYE Done.":                        func(w *Writer) { w.Status(BYE, "", "") },
		"A1 NO [TRYCREATE] No such mailbox.": func(w *Writer) { w.Tagged("A1", NO, CodeTryCreate, "No such mailbox.") },
		"A1 BAD What?":                       func(w *Writer) { w.Refuse(&Error{Tag: "A1", Status: BAD, Text: "What?"}) },
		"* BAD What?":                        func(w *Writer) { w.Refuse(&Error{Status: BAD, Text: "What?"}) },
		"* BYE [TOOBIG] x":                   func(w *Writer) { w.Refuse(&Error{Tag: "A1", Status: BYE, Code: CodeTooBig, Text: "x"}) },
		"+ go on":                            func(w *Writer) { w.Continue("go on") },
		"+ ":                                 func(w *Writer) { w.Challenge(nil) },
		"+ cj1h":                             func(w *Writer) { w.Challenge([]byte("r=a")) },
		"* ENABLED CONDSTORE":                func(w *Writer) { w.Enabled([]string{"CONDSTORE"}) },
		"* ENABLED":                          func(w *Writer) { w.Enabled(nil) },
		"* 23 EXISTS":                        func(w *Writer) { w.Exists(23) },
		"* 0 RECENT":                         func(w *Writer) { w.Recent(0) },
		"* 44 EXPUNGE":                       func(w *Writer) { w.Expunge(44) },
		"* VANISHED (EARLIER) 41,43:116":     func(w *Writer) { w.Vanished(true, NewSet(Range{41, 41}, Range{43, 116})) },
		"* VANISHED 405":                     func(w *Writer) { w.Vanished(false, SetOf(405)) },
		`* FLAGS (\Seen $Junk \*)`:           func(w *Writer) { w.Flags([]string{Seen, "$Junk", `\*`}) },
		`* NAMESPACE (("" "/")) NIL NIL`:     func(w *Writer) { w.Namespace() },
		"* ID NIL":                           func(w *Writer) { w.ID(nil) },
		`* ID ("name" "Postroad")`:           func(w *Writer) { w.ID([]Param{{Name: "name", Value: "Postroad"}}) },
		`* LIST (\Noselect) "/" ""`:          func(w *Writer) { w.List(Listed{Attributes: []string{`\Noselect`}}) },
		`* LIST () "/" "Foo" ("CHILDINFO" ("SUBSCRIBED"))`: func(w *Writer) { w.List(Listed{Name: "Foo", ChildInfo: []string{"SUBSCRIBED"}}) },
		`* LSUB () "/" "Entw&APw-rfe"`:                     func(w *Writer) { w.LSub(Listed{Name: "Entwürfe"}) },
		`* STATUS "blurdybloop" (MESSAGES 231 APPENDLIMIT NIL)`: func(w *Writer) {
			w.MailboxStatus("blurdybloop", []StatusValue{{Item: StatusMessages, Value: 231}, {Item: StatusAppendLimit, Nil: true}})
		},
		"* SEARCH":                          func(w *Writer) { w.Search(nil, 5) },
		"* SEARCH 2 5 6 (MODSEQ 917162500)": func(w *Writer) { w.Search([]uint32{2, 5, 6}, 917162500) },
		`* ESEARCH (TAG "A285") UID MIN 7 MAX 3800 COUNT 2 ALL 7,3800 MODSEQ 9`: func(w *Writer) {
			w.ESearch("A285", Found{UID: true, Min: 7, Max: 3800, HasCount: true, Count: 2, All: SetOf(7, 3800), ModSeq: 9})
		},
		`* ESEARCH (TAG "A1") COUNT 0`: func(w *Writer) { w.ESearch("A1", Found{HasCount: true}) },
		`* QUOTA "" (STORAGE 10 512)`:  func(w *Writer) { w.Quota("", []QuotaUse{{"STORAGE", 10, 512}}) },
		`* QUOTAROOT "INBOX" ""`:       func(w *Writer) { w.QuotaRoot("INBOX", "") },
		`* 2 FETCH (UID 7 FLAGS (\Seen) INTERNALDATE " 7-Jul-1996 02:44:25 -0700" RFC822.SIZE 44827 MODSEQ (65402))`: func(w *Writer) {
			f := w.Fetch(2)
			f.UID(7)
			f.Flags([]string{Seen})
			f.InternalDate(at)
			f.Size(44827)
			f.ModSeq(65402)
			f.End()
		},
		"* 1 FETCH (BODY[HEADER.FIELDS (DATE \"A(B\")]<2> {3}\r\nabc RFC822.HEADER {0}\r\n BODY[1.2.MIME] NIL)": func(w *Writer) {
			f := w.Fetch(1)
			f.Content(Item{Kind: ItemSection, Section: mime.Section{Text: mime.HeaderFields, Fields: []string{"DATE", "A(B"}}, Partial: true, Offset: 2, Count: 3}, []byte("abc"))
			f.Content(Item{Kind: ItemRFC822Header}, nil)
			f.NoContent(Item{Kind: ItemSection, Section: mime.Section{Part: []int{1, 2}, Text: mime.MIMEHeader}})
			f.End()
		},
		"* 1 FETCH (BINARY[2] ~{3}\r\na\x00b BINARY.SIZE[2] 3 BODY[TEXT] {3}\r\na\x80b RFC822 {2}\r\n\x80x)": func(w *Writer) {
			f := w.Fetch(1)
			f.Content(Item{Kind: ItemBinary, Section: mime.Section{Part: []int{2}}}, []byte("a\x00b"))
			f.BinarySize(Item{Kind: ItemBinarySize, Section: mime.Section{Part: []int{2}}}, 3)
			f.Content(Item{Kind: ItemSection, Section: mime.Section{Text: mime.BodyText}}, []byte("a\x00b"))
			f.ContentFrom(Item{Kind: ItemRFC822}, strings.NewReader("\x00xyz"), 2)
			f.End()
		},
		"* 1 FETCH ()":                       func(w *Writer) { w.Fetch(1).End() },
		"* OK [HIGHESTMODSEQ 9] x":           func(w *Writer) { w.Status(OK, CodeHighestModSeq(9), "x") },
		"* OK [UIDNEXT 9] x":                 func(w *Writer) { w.Status(OK, CodeUIDNext(9), "x") },
		"* OK [UIDVALIDITY 9] x":             func(w *Writer) { w.Status(OK, CodeUIDValidity(9), "x") },
		"* OK [UNSEEN 9] x":                  func(w *Writer) { w.Status(OK, CodeUnseen(9), "x") },
		`* OK [PERMANENTFLAGS (\Seen \*)] x`: func(w *Writer) { w.Status(OK, CodePermanentFlags([]string{Seen, `\*`}), "x") },
		"a OK [APPENDUID 38505 3955:3957] x": func(w *Writer) { w.Tagged("a", OK, CodeAppendUID(38505, SetOf(3955, 3956, 3957)), "x") },
		"a OK [COPYUID 38505 304,319:320 3956:3958] x": func(w *Writer) {
			w.Tagged("a", OK, CodeCopyUID(38505, SetOf(304, 319, 320), SetOf(3956, 3957, 3958)), "x")
		},
		"a OK [MODIFIED 7,9] x": func(w *Writer) { w.Tagged("a", OK, CodeModified(SetOf(7, 9)), "x") },
	} {
		if got := written(t, false, write); got != want+"\r\n" {
			t.Errorf("got  %q\nwant %q", got, want)
		}
	}
	if got := written(t, false, func(w *Writer) { w.Vanished(false, Set{}) }); got != "" {
		t.Errorf("nothing vanished: %q", got)
	}
}

func TestStrings(t *testing.T) {
	long := strings.Repeat("x", 5000)
	for _, c := range []struct {
		text, want, wantUTF8 string
	}{
		{"", `""`, `""`},
		{`a"b\c`, `"a\"b\\c"`, `"a\"b\\c"`},
		{"a\r\n* BYE", "{8}\r\na\r\n* BYE", "{8}\r\na\r\n* BYE"},
		{"ä", "{2}\r\nä", `"ä"`},
		{"\xff", "{1}\r\n\xff", "{1}\r\n\xff"},
		{"a\x00b", "{3}\r\na\x80b", "{3}\r\na\x80b"},
		{"a\tb", "\"a\tb\"", "\"a\tb\""},
		{long, "{5000}\r\n" + long, "{5000}\r\n" + long},
	} {
		for _, mode := range []struct {
			utf8 bool
			want string
		}{{false, c.want}, {true, c.wantUTF8}} {
			if got := written(t, mode.utf8, func(w *Writer) { w.begin(); w.str(c.text) }); got != mode.want {
				t.Errorf("%q: got %q, want %q", c.text, got, mode.want)
			}
		}
	}
	if got := written(t, true, func(w *Writer) { w.LSub(Listed{Name: "Entwürfe"}) }); got != "* LSUB () \"/\" \"Entwürfe\"\r\n" {
		t.Errorf("got %q", got)
	}
}

// Nothing that others wrote begins a response.
func TestInjection(t *testing.T) {
	evil := "x\r\n* 1 EXPUNGE\r\n) \"] (\x00"
	got := written(t, false, func(w *Writer) {
		w.Status(OK, Code(evil), evil)
		w.Tagged(evil, NO, CodePermanentFlags([]string{evil}), "["+evil)
		w.Refuse(&Error{Tag: "a", Status: BAD, Code: Code(evil), Text: evil})
		w.Continue(evil)
		w.Capability([]string{evil})
		w.Flags([]string{evil, `\` + evil})
		f := w.Fetch(1)
		f.Flags([]string{evil})
		f.End()
	})
	for line := range strings.SplitSeq(got, "\r\n") {
		if strings.ContainsAny(line, "\r\n\x00") || strings.HasPrefix(line, "* 1 EXP") {
			t.Errorf("sent %q", line)
		}
	}
	if n := strings.Count(got, "\r\n"); n != 7 {
		t.Errorf("%d lines: %q", n, got)
	}
}

// What others wrote stands in a literal of the right length, wherever it is.
func TestInjectionByContent(t *testing.T) {
	const evil = "x\r\n* 1 EXPUNGE"
	part := &mime.Part{Content: mime.Content{
		Type: evil, Subtype: evil, Params: []mime.Param{{Name: evil, Value: evil}}, ID: evil, Description: evil, Encoding: evil, MD5: evil,
		Disposition: evil, DispositionParams: []mime.Param{{Name: evil, Value: evil}}, Language: []string{evil}, Location: evil,
	}}
	address := []mime.Address{{Name: evil, Route: evil, Local: evil, Domain: evil}, {Kind: mime.GroupStart, Name: evil}, {Kind: mime.GroupEnd}}
	got := written(t, true, func(w *Writer) {
		f := w.Fetch(1)
		f.Structure(Item{}, part)
		f.Envelope(&mime.Envelope{Date: evil, Subject: evil, From: address, Bcc: address, InReplyTo: evil, MessageID: evil})
		f.Content(Item{Kind: ItemSection, Section: mime.Section{Text: mime.HeaderFields, Fields: []string{evil}}}, []byte(evil))
		f.End()
		w.List(Listed{Name: evil, ChildInfo: []string{evil}})
		w.MailboxStatus(evil, nil)
		w.ID([]Param{{Name: evil, Value: evil}})
		w.Quota(evil, []QuotaUse{{Resource: evil}})
		w.QuotaRoot(evil, evil)
		w.ESearch(evil, Found{})
	})
	const literal = "{14}\r\n" + evil
	rest := strings.ReplaceAll(got, literal, "")
	if n := strings.Count(rest, "\r\n"); n != 7 || strings.Contains(rest, "\r\n* 1 ") {
		t.Errorf("%d lines: %q", n, rest)
	}
}

func TestStructures(t *testing.T) {
	const message = "Content-Type: multipart/mixed; boundary=b\r\n\r\n" +
		"--b\r\nContent-Language: de, en\r\n\r\none\r\ntwo\r\n" +
		"--b\r\nContent-Type: message/rfc822\r\nContent-Disposition: attachment; filename=x\r\n\r\nSubject: in\r\nFrom: a <a@b.example>\r\n\r\nthree\r\n" +
		"--b\r\nContent-Type: image/png\r\nContent-Transfer-Encoding: base64\r\n\r\nAAAA\r\n--b--\r\n"
	root := mime.Parse([]byte(message))
	from := `(("a" NIL "a" "b.example"))`
	got := written(t, false, func(w *Writer) {
		f := w.Fetch(1)
		f.Structure(Item{Kind: ItemBody}, root)
		f.Structure(Item{Kind: ItemStructure}, root)
		f.End()
	})
	want := `* 1 FETCH (BODY (("text" "plain" NIL NIL NIL "7bit" 8 1)` +
		`("message" "rfc822" NIL NIL NIL "7bit" 43 (NIL "in" ` + from + " " + from + " " + from + ` NIL NIL NIL NIL NIL) ("text" "plain" NIL NIL NIL "7bit" 5 0) 3)` +
		`("image" "png" NIL NIL NIL "base64" 4) "mixed") ` +
		`BODYSTRUCTURE (("text" "plain" NIL NIL NIL "7bit" 8 1 NIL NIL ("de" "en") NIL)` +
		`("message" "rfc822" NIL NIL NIL "7bit" 43 (NIL "in" ` + from + " " + from + " " + from + ` NIL NIL NIL NIL NIL) ("text" "plain" NIL NIL NIL "7bit" 5 0 NIL NIL NIL NIL) 3 NIL ("attachment" ("filename" "x")) NIL NIL)` +
		`("image" "png" NIL NIL NIL "base64" 4 NIL NIL NIL NIL) "mixed" ("boundary" "b") NIL NIL NIL))` + "\r\n"
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestLargeContent(t *testing.T) {
	large := strings.Repeat("0123456789", 10_000)
	want := "* 1 FETCH (BODY[] {100000}\r\n" + large + ")\r\n"
	item := Item{Kind: ItemSection}
	if got := written(t, false, func(w *Writer) {
		f := w.Fetch(1)
		f.Content(item, []byte(large))
		f.End()
	}); got != want {
		t.Errorf("got %d octets, want %d", len(got), len(want))
	}
	if got := written(t, false, func(w *Writer) {
		f := w.Fetch(1)
		f.ContentFrom(item, strings.NewReader(large+"more"), int64(len(large)))
		f.End()
	}); got != want {
		t.Errorf("read: got %d octets, want %d", len(got), len(want))
	}
	if got := written(t, false, func(w *Writer) {
		for range 10_000 {
			w.Exists(1)
		}
	}); got != strings.Repeat("* 1 EXISTS\r\n", 10_000) {
		t.Errorf("many responses: %d octets", len(got))
	}
}

func TestShortContent(t *testing.T) {
	var out bytes.Buffer
	w := NewWriter(&out)
	f := w.Fetch(1)
	f.ContentFrom(Item{Kind: ItemSection}, strings.NewReader("short"), 10)
	f.End()
	if err := w.Flush(); !errors.Is(err, io.ErrUnexpectedEOF) || strings.HasSuffix(out.String(), ")\r\n") {
		t.Errorf("got %v and sent %q", err, out.String())
	}
}
