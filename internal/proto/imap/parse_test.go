package imap

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"postroad/internal/proto/mime"
)

var whole = cmp.AllowUnexported(Set{})

func parseOne(t *testing.T, text string) (Command, error) {
	t.Helper()
	s := read("A1 "+text+"\r\n", AfterLogin(1000))
	r, err := s.Next()
	if err != nil {
		return nil, err
	}
	return r.Command, nil
}

// Commands as the standards show them, and others.
func TestCommands(t *testing.T) {
	seen := flagKey(Seen)
	for text, want := range map[string]Command{
		"capability": Capability{}, "NOOP": Noop{}, "LOGOUT": Logout{}, "STARTTLS": StartTLS{}, "NAMESPACE": Namespace{},
		"IDLE": Idle{}, "CHECK": Check{}, "CLOSE": Close{}, "UNSELECT": Unselect{}, "EXPUNGE": Expunge{},

		"AUTHENTICATE scram-sha-256":       Authenticate{Mechanism: "SCRAM-SHA-256"},
		"AUTHENTICATE PLAIN dGVzdA==":      Authenticate{Mechanism: "PLAIN", HasInitial: true, Initial: []byte("test")},
		"AUTHENTICATE EXTERNAL =":          Authenticate{Mechanism: "EXTERNAL", HasInitial: true},
		`LOGIN SMITH "se\"sa\\me"`:         Login{User: "SMITH", Password: `se"sa\me`},
		`LOGIN "" ""`:                      Login{},
		`LOGIN "Bjørn" "%*"`:               Login{User: "Bjørn", Password: "%*"},
		"ENABLE condstore X-Good":          Enable{Capabilities: []string{"CONDSTORE", "X-GOOD"}},
		"ID NIL":                           ID{},
		`ID ("name" "sodr" "version" NIL)`: ID{Params: []Param{{Name: "name", Value: "sodr"}}},

		"SELECT inbox":             Select{Mailbox: "INBOX"},
		"EXAMINE blurdybloop":      Select{Mailbox: "blurdybloop", ReadOnly: true},
		"SELECT \"ä&-&AOQ-\"":      Select{Mailbox: "ä&ä"},
		"SELECT INBOX (CONDSTORE)": Select{Mailbox: "INBOX", CondStore: true},
		"SELECT INBOX (QRESYNC (67890007 20050715194045000 41,43:211,214:541))": Select{Mailbox: "INBOX", QResync: &QResync{
			UIDValidity: 67890007, ModSeq: 20050715194045000, Known: NewSet(Range{41, 41}, Range{43, 211}, Range{214, 541}),
		}},
		"SELECT INBOX (QRESYNC (1 90060115205545359 41:211 (5,10:11 41,50:51)))": Select{Mailbox: "INBOX", QResync: &QResync{
			UIDValidity: 1, ModSeq: 90060115205545359, Known: NewSet(Range{41, 211}),
			Numbers: NewSet(Range{5, 5}, Range{10, 11}), UIDs: NewSet(Range{41, 41}, Range{50, 51}),
		}},
		"SELECT INBOX (QRESYNC (1 2 (1 9)))": Select{Mailbox: "INBOX", QResync: &QResync{
			UIDValidity: 1, ModSeq: 2, Numbers: SetOf(1), UIDs: SetOf(9),
		}},

		"CREATE owatagusiam/":                         Create{Mailbox: "owatagusiam", Folder: true},
		`CREATE Mail/X (USE (\sent))`:                 Create{Mailbox: "Mail/X", Use: `\Sent`},
		"DELETE foo":                                  Delete{Mailbox: "foo"},
		"RENAME blurdybloop {5+}\r\nsar w":            Rename{From: "blurdybloop", To: "sar w"},
		`SUBSCRIBE "~peter/mail/&U,BTFw-/&ZeVnLIqe-"`: Subscribe{Mailbox: "~peter/mail/台北/日本語"},
		"UNSUBSCRIBE a&-b":                            Unsubscribe{Mailbox: "a&b"},

		`LIST "" *`:                   List{Patterns: []string{"*"}},
		`LIST "" ""`:                  List{Patterns: []string{""}},
		`LIST ~/Mail/ %`:              List{Reference: "~/Mail/", Patterns: []string{"%"}},
		`LSUB "#news." "comp.mail.*"`: LSub{Reference: "#news.", Pattern: "comp.mail.*"},
		`LIST (SUBSCRIBED RECURSIVEMATCH REMOTE) "" ("INBOX" %/%) RETURN (CHILDREN SPECIAL-USE STATUS (MESSAGES UNSEEN))`: List{
			Extended: true, Subscribed: true, RecursiveMatch: true, Remote: true, Patterns: []string{"INBOX", "%/%"},
			ReturnChildren: true, ReturnSpecialUse: true, ReturnStatus: []StatusItem{StatusMessages, StatusUnseen},
		},
		`LIST () "" "%" RETURN (SUBSCRIBED)`: List{Extended: true, Patterns: []string{"%"}, ReturnSubscribed: true},
		`LIST (SPECIAL-USE) "" "*"`:          List{Extended: true, SpecialUse: true, Patterns: []string{"*"}},

		"STATUS blurdybloop (UIDNEXT MESSAGES SIZE messages)": StatusOf{
			Mailbox: "blurdybloop", Items: []StatusItem{StatusUIDNext, StatusMessages, StatusSize},
		},
		"UID EXPUNGE 3000:3002": Expunge{UID: true, Messages: NewSet(Range{3000, 3002})},
		"COPY 2:4 MEETING":      Copy{Messages: NewSet(Range{2, 4}), Mailbox: "MEETING"},
		"UID MOVE $ foo":        Move{UID: true, Messages: Set{Saved: true}, Mailbox: "foo"},

		`STORE 2:4 +FLAGS (\Deleted)`: Store{Messages: NewSet(Range{2, 4}), Mode: AddFlags, Flags: []string{Deleted}},
		`UID STORE 6,4,8 (UNCHANGEDSINCE 12121230045) -FLAGS.SILENT $Processed \SEEN \seen`: Store{
			UID: true, Messages: SetOf(4, 6, 8), Mode: RemoveFlags, Silent: true, Flags: []string{"$Processed", Seen},
			HasUnchanged: true, UnchangedSince: 12121230045,
		},
		"STORE 1 FLAGS ()": Store{Messages: SetOf(1), Flags: []string{}},

		"FETCH 2:4 (FLAGS BODY[HEADER.FIELDS (Date From)])": Fetch{Messages: NewSet(Range{2, 4}), Items: []Item{
			{Kind: ItemFlags}, {Kind: ItemSection, Section: mime.Section{Text: mime.HeaderFields, Fields: []string{"DATE", "FROM"}}},
		}},
		"FETCH 1 FULL": Fetch{Messages: SetOf(1), Items: []Item{
			{Kind: ItemFlags}, {Kind: ItemInternalDate}, {Kind: ItemSize}, {Kind: ItemEnvelope}, {Kind: ItemBody},
		}},
		"FETCH * BODY.PEEK[4.2.HEADER]<0.2048>": Fetch{Messages: NewSet(Range{}), Items: []Item{{
			Kind: ItemSection, Peek: true, Section: mime.Section{Part: []int{4, 2}, Text: mime.Header}, Partial: true, Count: 2048,
		}}},
		"FETCH 1 (BODY[] BODY[1] BODY[1.MIME] BODY[TEXT] RFC822.HEADER RFC822.SIZE RFC822 RFC822.TEXT BODYSTRUCTURE)": Fetch{
			Messages: SetOf(1), Items: []Item{
				{Kind: ItemSection},
				{Kind: ItemSection, Section: mime.Section{Part: []int{1}}},
				{Kind: ItemSection, Section: mime.Section{Part: []int{1}, Text: mime.MIMEHeader}},
				{Kind: ItemSection, Section: mime.Section{Text: mime.BodyText}},
				{Kind: ItemRFC822Header, Section: mime.Section{Text: mime.Header}, Peek: true},
				{Kind: ItemSize},
				{Kind: ItemRFC822},
				{Kind: ItemRFC822Text, Section: mime.Section{Text: mime.BodyText}},
				{Kind: ItemStructure},
			},
		},
		"UID FETCH 300:500 (FLAGS) (CHANGEDSINCE 12345 VANISHED)": Fetch{
			UID: true, Messages: NewSet(Range{300, 500}), Items: []Item{{Kind: ItemFlags}, {Kind: ItemModSeq}},
			HasChanged: true, ChangedSince: 12345, Vanished: true,
		},
		"FETCH 1 (BINARY.PEEK[1.2]<4.5> BINARY.SIZE[3] BINARY[])": Fetch{Messages: SetOf(1), Items: []Item{
			{Kind: ItemBinary, Peek: true, Section: mime.Section{Part: []int{1, 2}}, Partial: true, Offset: 4, Count: 5},
			{Kind: ItemBinarySize, Peek: true, Section: mime.Section{Part: []int{3}}},
			{Kind: ItemBinary},
		}},

		"GETQUOTA #user/alice":      GetQuota{Root: "#user/alice"},
		`GETQUOTA ""`:               GetQuota{},
		"GETQUOTAROOT INBOX":        GetQuotaRoot{Mailbox: "INBOX"},
		`SETQUOTA "" (storage 512)`: SetQuota{Limits: []QuotaLimit{{"STORAGE", 512}}},

		"SEARCH ALL": Search{Key: Key{}},
		`SEARCH FLAGGED SINCE 1-Feb-1994 NOT FROM "Smith"`: Search{Key: Key{Op: KeyAnd, Keys: []Key{
			flagKey(Flagged),
			{Op: KeySince, Date: Date{1994, time.February, 1}},
			not(Key{Op: KeyHeader, Field: "FROM", Text: "Smith"}),
		}}},
		"SEARCH CHARSET utf-8 TEXT {8+}\r\nмать":  Search{Charset: "UTF-8", Key: Key{Op: KeyText, Text: "мать"}},
		"SEARCH CHARSET KOI8-R ALL":               Search{Charset: "KOI8-R", BadCharset: true, Key: Key{Op: KeyAll}},
		"SEARCH TEXT {1+}\r\n\xff":                Search{BadCharset: true, Key: Key{Op: KeyText, Text: "\xff"}},
		"UID SEARCH RETURN (MIN COUNT) UNDELETED": Search{UID: true, Extended: true, Min: true, Count: true, Key: not(flagKey(Deleted))},
		"SEARCH RETURN () 1:* UID 5": Search{Extended: true, All: true, Key: Key{Op: KeyAnd, Keys: []Key{
			{Op: KeyNumbers, Set: NewSet(Range{From: 1})}, {Op: KeyUIDs, Set: SetOf(5)},
		}}},
		"SEARCH RETURN (SAVE) $": Search{Extended: true, Save: true, Key: Key{Op: KeyNumbers, Set: Set{Saved: true}}},
		`SEARCH OR (SEEN LARGER 5) MODSEQ "/flags/\\draft" all 620162338`: Search{Key: Key{Op: KeyOr, Keys: []Key{
			{Op: KeyAnd, Keys: []Key{seen, {Op: KeyLarger, Number: 5}}}, {Op: KeyModSeq, Number: 620162338},
		}}},
		"SEARCH NEW OLD UNKEYWORD $Junk": Search{Key: Key{Op: KeyAnd, Keys: []Key{
			{Op: KeyAnd, Keys: []Key{{Op: KeyRecent}, not(seen)}}, not(Key{Op: KeyRecent}), not(flagKey("$Junk")),
		}}},
		`SEARCH HEADER Message-ID "<a@b>" SENTON "7-Jul-2001"`: Search{Key: Key{Op: KeyAnd, Keys: []Key{
			{Op: KeyHeader, Field: "MESSAGE-ID", Text: "<a@b>"}, {Op: KeySentOn, Date: Date{2001, time.July, 7}},
		}}},
	} {
		got, err := parseOne(t, text)
		if err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		if diff := cmp.Diff(want, got, whole); diff != "" {
			t.Errorf("%q: %s", text, diff)
		}
		if name, sent := got.Name(), strings.ToUpper(text); !strings.HasPrefix(sent, name) {
			t.Errorf("%q is named %q", text, name)
		}
	}
}

func TestRefusedCommands(t *testing.T) {
	deep := strings.Repeat("(", 150) + "ALL" + strings.Repeat(")", 150)
	for _, text := range []string{
		"", " ", "NONSENSE", "NOOP ", "NOOP x", "NOOP  ", "UID", "UID NOOP", "UID FETCH", " NOOP",
		"LOGIN", "LOGIN a", "LOGIN a b c", "LOGIN a  b", `LOGIN a "b`, `LOGIN a "b\c"`, "LOGIN a \"b\x00\"", "LOGIN (a) b", "LOGIN a \"\xff\"",
		"AUTHENTICATE", "AUTHENTICATE PLAIN ", "AUTHENTICATE PLAIN x", "AUTHENTICATE PLAIN dGVzdA", "AUTHENTICATE PLAIN = ",
		"ENABLE", "ENABLE ", "ENABLE A ", "ID", `ID ("a")`, `ID (a "b")`,
		"SELECT", `SELECT ""`, "SELECT a ()x", "SELECT a (X)", "SELECT a (QRESYNC (0 1))", "SELECT a (QRESYNC (1 1 *))",
		"SELECT a (QRESYNC (1 1 1 (1:2 1)))", "SELECT \"a\tb\"", "SELECT a*", "SELECT &AGE-", "SELECT ä", "SELECT \"ä&x\"", "SELECT \"\x7f\"", "SELECT {3+}\r\na\r\n",
		"SELECT " + strings.Repeat("x", 1001),
		"CREATE /", `CREATE a (USE (\Nonsense))`, `CREATE a (USE (\Sent \Junk))`, "CREATE a (X)",
		"LIST", `LIST ""`, `LIST "" ()`, `LIST (X) "" *`, `LIST "" (` + strings.Repeat("x", 900) + strings.Repeat(" "+strings.Repeat("x", 900), 4) + ")", `LIST (RECURSIVEMATCH) "" *`, `LIST "" * RETURN (X)`, `LIST "" * (CHILDREN)`,
		"STATUS a ()", "STATUS a (X)", "STATUS a MESSAGES",
		"COPY 0 a", "COPY 1: a", "COPY :1 a", "COPY 1,,2 a", "COPY 4294967296 a", "COPY 1 ", "COPY 1.2 a", "COPY $,1 a", "COPY -1 a",
		"STORE 1 FLAGS", `STORE 1 FLAGS (\Recent)`, `STORE 1 FLAGS (\Nonsense)`, `STORE 1 FLAGS (a(b))`, `STORE 1 FLAGS (\*)`, `STORE 1 FLAGS ("a")`,
		"STORE 1 *FLAGS (a)", "STORE 1 (X 1) FLAGS (a)", "STORE 1 (UNCHANGEDSINCE 9223372036854775808) FLAGS (a)",
		"STORE 1 FLAGS (" + strings.Repeat("x", 101) + ")",
		"FETCH 1", "FETCH 1 ()", "FETCH 1 X", "FETCH 1 (ALL)", "FETCH 1 BODY[", "FETCH 1 BODY[0]", "FETCH 1 BODY[1.]", "FETCH 1 BODY[MIME]",
		"FETCH 1 BODY[HEADER.FIELDS]", "FETCH 1 BODY[HEADER.FIELDS ()]", `FETCH 1 BODY[HEADER.FIELDS ("a:b")]`, `FETCH 1 BODY[HEADER.FIELDS ("")]`,
		"FETCH 1 BODY[]<1>", "FETCH 1 BODY[]<1.0>", "FETCH 1 BINARY[1.TEXT]", "FETCH 1 BINARY[1.]", "FETCH 1 FLAGS (CHANGEDSINCE 0)", "FETCH 1 FLAGS (X)",
		"FETCH 1 FLAGS (CHANGEDSINCE 1 VANISHED)", "UID FETCH 1 FLAGS (VANISHED)", "FETCH 1 BODY[" + strings.Repeat("1.", 200) + "1]",
		"SEARCH", "SEARCH ", "SEARCH X", "SEARCH ()", "SEARCH NOT", "SEARCH OR ALL", "SEARCH (ALL", "SEARCH ALL)", "SEARCH CHARSET UTF-8",
		"SEARCH RETURN (X) ALL", "SEARCH SINCE 31-Feb-2026", "SEARCH SINCE x", "SEARCH KEYWORD (", "SEARCH LARGER x", "SEARCH MODSEQ x", `SEARCH MODSEQ "/f" x 1`,
		"SEARCH " + deep, "SEARCH " + strings.Repeat("NOT ", 150) + "ALL", "SEARCH ALL" + strings.Repeat(" ALL", 1000), "SEARCH ALL" + strings.Repeat(" TEXT x", 51),
		"SETQUOTA a", "SETQUOTA a (b)", "SETQUOTA a (b -1)", "APPEND", "APPEND x", "APPEND x y",
	} {
		got, err := parseOne(t, text)
		if err == nil {
			t.Errorf("%q: got %+v", text, got)
			continue
		}
		if refused := refusal(t, err); refused.Tag != "A1" || refused.Fatal() {
			t.Errorf("%q: got %+v", text, refused)
		}
	}
}

func TestNamesInUTF8(t *testing.T) {
	s := read("a SELECT \"Entwürfe & mehr\"\r\nb SELECT {5+}\r\ncafe\u0301\r\n", AfterLogin(0))
	s.SetUTF8(true)
	for _, want := range []string{"Entwürfe & mehr", ""} {
		r, err := s.Next()
		if want == "" {
			refusal(t, err) // the literal ends inside a character
			continue
		}
		if err != nil || r.Command.(Select).Mailbox != want {
			t.Fatalf("got %+v, %v", r, err)
		}
	}
}

func BenchmarkParse(b *testing.B) {
	const command = "A142 UID FETCH 1:100,200:300 (UID RFC822.SIZE FLAGS BODY.PEEK[HEADER.FIELDS (From To Cc Subject Date)])\r\n"
	b.ReportAllocs()
	r := NewReader(&repeat{text: command}, AfterLogin(0), nil)
	for b.Loop() {
		if _, err := r.Next(); err != nil {
			b.Fatal(err)
		}
	}
}

// repeat is a source that gives one text again and again.
type repeat struct {
	text string
	at   int
}

func (r *repeat) Read(p []byte) (int, error) {
	n := copy(p, r.text[r.at:])
	r.at = (r.at + n) % len(r.text)
	return n, nil
}
