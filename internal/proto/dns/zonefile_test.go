package dns

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// shown gives records as lines.
func shown(records []Record) string {
	var b strings.Builder
	for _, r := range records {
		fmt.Fprintf(&b, "%s\n", r)
	}
	return b.String()
}

// tabbed turns the blanks between the columns of lines into what Record.String has there.
func tabbed(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		if f := strings.SplitN(strings.TrimSpace(line), " ", 4); len(f) == 4 {
			fmt.Fprintf(&b, "%s\t%s\tIN\t%s\t%s\n", f[0], f[1], f[2], f[3])
		}
	}
	return b.String()
}

const bindFile = `; a zone as people write it for BIND
$TTL 1h
@	IN	SOA	ns1 hostmaster (
		2026112801	; serial
		2h 30m 2w	; refresh, retry, expire
		300 )		; negative TTL
	IN	NS	ns1
		NS	ns2.host.example.
	MX	10 mail	; our server
	300 IN	MX	20 Backup.Host.example.
ns1	A	192.0.2.53
mail	IN 600 A 192.0.2.25
	AAAA	2001:db8::25
www	CNAME	@
$ORIGIN lab.example.net.
@	A	192.0.2.80
long	TXT	( "one"
		  "two; with a \"mark\"" )
$ORIGIN example.net.
a\.b	60	TXT	plain
_25._tcp.mail TYPE52 \# 35 030101 ( 0000000000000000000000000000000000000000
        000000000000000000000000 )
last A 192.0.2.99`

const bindRecords = `example.net. 3600 SOA ns1.example.net. hostmaster.example.net. 2026112801 7200 1800 1209600 300
example.net. 3600 NS ns1.example.net.
example.net. 3600 NS ns2.host.example.
example.net. 3600 MX 10 mail.example.net.
example.net. 300 MX 20 Backup.Host.example.
ns1.example.net. 3600 A 192.0.2.53
mail.example.net. 600 A 192.0.2.25
mail.example.net. 3600 AAAA 2001:db8::25
www.example.net. 3600 CNAME example.net.
lab.example.net. 3600 A 192.0.2.80
long.lab.example.net. 3600 TXT "one" "two; with a \"mark\""
a\.b.example.net. 60 TXT "plain"
_25._tcp.mail.example.net. 3600 TLSA 3 1 1 0000000000000000000000000000000000000000000000000000000000000000
last.example.net. 3600 A 192.0.2.99
`

const cpanelFile = `; cPanel first:11.110.0.12 (update_time):1700000000 Cpanel::ZoneFile::VERSION:1.3 hostname:web7.host.example latest:11.110.0.12
; Zone file for example.net
$TTL 14400
example.net.	86400	IN	SOA	ns1.host.example.	root.web7.host.example.	(
						2026112800 ;Serial Number
						3600 ;refresh
						1800 ;retry
						1209600 ;expire
						86400 ;minimum
	)
example.net.	86400	IN	NS	ns1.host.example.
example.net.	86400	IN	NS	ns2.host.example.

example.net.	14400	IN	A	192.0.2.80

localhost	14400	IN	A	127.0.0.1

example.net.	14400	IN	MX	0	example.net.

mail	14400	IN	CNAME	example.net.
default._domainkey	14400	IN	TXT	"v=DKIM1; k=rsa; p=MIIBIjANBg" "kqhkiG9w0B;"
example.net.	14400	IN	TXT	"v=spf1 +a +mx ~all"
_caldavs._tcp	14400	IN	SRV	0	0	2080	web7.host.example.
`

const cpanelRecords = `example.net. 86400 SOA ns1.host.example. root.web7.host.example. 2026112800 3600 1800 1209600 86400
example.net. 86400 NS ns1.host.example.
example.net. 86400 NS ns2.host.example.
example.net. 14400 A 192.0.2.80
localhost.example.net. 14400 A 127.0.0.1
example.net. 14400 MX 0 example.net.
mail.example.net. 14400 CNAME example.net.
default._domainkey.example.net. 14400 TXT "v=DKIM1; k=rsa; p=MIIBIjANBg" "kqhkiG9w0B;"
example.net. 14400 TXT "v=spf1 +a +mx ~all"
_caldavs._tcp.example.net. 14400 SRV 0 0 2080 web7.host.example.
`

const windowsFile1 = "\xef\xbb\xbf;\r\n;  Database file example.net.dns for example.net zone.\r\n;      Zone version:  42\r\n;\r\n\r\n" +
	"@                       IN  SOA dc1.corp.example.net.  hostmaster.corp.example.net. (\r\n" +
	"                        \t42           ; serial number\r\n                        \t900          ; refresh\r\n                        \t600          ; retry\r\n" +
	"                        \t86400        ; expire\r\n                        \t3600       ) ; default TTL\r\n\r\n;\r\n;  Zone NS records\r\n;\r\n\r\n" +
	"@                       NS\tdc1.corp.example.net.\r\n@                       600\tA\t192.0.2.1\r\n@                       MX\t10\tmail.example.net.\r\n" +
	"host-7                  [AGE:3624871]\t1200\tA\t192.0.2.7\r\n                        AAAA\t2001:db8::7\r\n@                       TXT\t( \"v=spf1 mx -all\" )\r\n"

const windowsRecords = `example.net. 3600 SOA dc1.corp.example.net. hostmaster.corp.example.net. 42 900 600 86400 3600
example.net. 3600 NS dc1.corp.example.net.
example.net. 600 A 192.0.2.1
example.net. 3600 MX 10 mail.example.net.
host-7.example.net. 1200 A 192.0.2.7
host-7.example.net. 3600 AAAA 2001:db8::7
example.net. 3600 TXT "v=spf1 mx -all"
`

func TestZoneFilesAreRead(t *testing.T) {
	for name, c := range map[string]struct {
		text, want string
		lines      []int
	}{
		"BIND":    {bindFile, bindRecords, []int{6, 7, 8, 9, 10, 11, 12, 13, 14, 16, 18, 20, 22, 23}},
		"cPanel":  {cpanelFile, cpanelRecords, nil},
		"Windows": {windowsFile1, windowsRecords, []int{11, 17, 18, 19, 20, 21, 22}},
		"no $TTL, the last one holds": {
			"@ SOA a b 1 2 3 4 5\n@ NS c\nx 60 A 192.0.2.1\ny A 192.0.2.2",
			"example.net. 5 SOA a.example.net. b.example.net. 1 2 3 4 5\nexample.net. 5 NS c.example.net.\nx.example.net. 60 A 192.0.2.1\ny.example.net. 60 A 192.0.2.2\n",
			[]int{1, 2, 3, 4},
		},
		"BIND, as it writes itself": {
			"$ORIGIN .\n$TTL 3600\t; 1 hour\nexample.net\t\tIN SOA\tns1.example.net. root.example.net. (\n\t\t\t\t1  ; serial\n\t\t\t\t2  ; refresh\n\t\t\t\t3  ; retry\n\t\t\t\t4  ; expire\n\t\t\t\t5  ; minimum\n\t\t\t\t)\n" +
				"\t\t\tNS\tns1.example.net.\n$ORIGIN example.net.\n$TTL 300\t; 5 minutes\nns1\t\t\tA\t192.0.2.53\n$ORIGIN _tcp.example.net.\n_imap\t\t\tSRV\t0 5 143 imap.example.net.\n",
			"example.net. 3600 SOA ns1.example.net. root.example.net. 1 2 3 4 5\nexample.net. 3600 NS ns1.example.net.\nns1.example.net. 300 A 192.0.2.53\n_imap._tcp.example.net. 300 SRV 0 5 143 imap.example.net.\n",
			[]int{9, 10, 13, 15},
		},
		"empty":          {"\n; nothing\n\n", "", nil},
		"only a comment": {"; nothing", "", nil},
		"UTF-8 in texts": {"$TTL 5\n@ TXT \"gr\xc3\xbc\xc3\x9fe\" ; gr\xc3\xbc\xc3\x9fe", `example.net. 5 TXT "gr\195\188\195\159e"`, []int{2}},
		"odd owners":     {"$TTL 5\n\\$ttl A 192.0.2.1\n\\@ A 192.0.2.1\n\"\" A 192.0.2.1", "", nil},
	} {
		got, err := ReadZone(strings.NewReader(c.text), "example.net.", Limits{})
		if name == "odd owners" {
			if err == nil {
				t.Errorf("a name in quotation marks was taken: %s", shown(got.Records))
			}
			continue
		}
		if err != nil || shown(got.Records) != tabbed(c.want) || c.lines != nil && !slices.Equal(got.Lines, c.lines) || got.Signing != 0 {
			t.Errorf("%s: %v, lines %v\n%s\nwant\n%s", name, err, got.Lines, shown(got.Records), tabbed(c.want))
		}
	}
}

func TestRecordsOfSigningAreLeftOut(t *testing.T) {
	text := `$TTL 300
@ SOA a b 1 2 3 4 5
@ DNSKEY 257 3 13 mdsswUyr3DPW132mOi8V9xESWE8jTo0dxCjjnopKl+GqJxpVXckHAeF+KkxLbxILfDLUT0rAK9iUzy1L53eKGQ==
@ RRSIG SOA 13 2 300 20261231000000 20261201000000 1 example.net. AAAA
@ NSEC a SOA DNSKEY RRSIG NSEC
@ NSEC3PARAM 1 0 0 -
@ CDS 0 0 0 00
sub NS ns.far.example.
sub DS 1 13 2 0123456789012345678901234567890123456789012345678901234567890123
`
	got, err := ReadZone(strings.NewReader(text), "example.net.", Limits{Records: 3})
	if err != nil || got.Signing != 5 || len(got.Records) != 3 || got.Records[2].Type != TypeDS {
		t.Errorf("%d left out, %v\n%s", got.Signing, err, shown(got.Records))
	}
}

func TestZoneFilesThatAreRefused(t *testing.T) {
	for text, want := range map[string]string{
		"$TTL 5\n@ A 192.0.2.1\n$INCLUDE /etc/passwd\n":         "line 3: $INCLUDE is not taken",
		"$TTL 5\n($include /etc/passwd\n)":                      "line 2: $INCLUDE is not taken",
		"$TTL 5\n$GENERATE 1-3 a$ A 192.0.2.$\n":                "line 2: $GENERATE is not taken",
		"$TTL 5\n \t($generate 1-3 a$ A 192.0.2.$\n)":           "line 2: $GENERATE is not taken",
		"\"x\"$GENERATE 1-3 a$ A 192.0.2.$\n":                   "line 1: $GENERATE is not taken",
		"$DATE x\n":                                             `line 1: "$DATE" is no directive`,
		"$TTL 5\n@ CH TXT x\n":                                  "line 2: A record has a class other than IN",
		"$TTL 5\n@ CLASS7 TXT x\n":                              "line 2: A record has a class other than IN",
		"@ A 192.0.2.1\n":                                       "line 1: The first record has no TTL",
		"$TTL 5\n A 192.0.2.1\n":                                "line 2: The first record has no owner",
		"$TTL 5\n\n\nwww A 192.0.2\n":                           "line 4: A record of type A has \"192.0.2\" in place of its A. (write it like this: A 192.0.2.1)",
		"$TTL 5\nwww A 192.0.2.1 192.0.2.2\n":                   "line 2: \"192.0.2.2\" follows data that is complete",
		"$TTL 5\nwww TEN A 192.0.2.1\n":                         "line 2: \"TEN\" is neither a TTL nor a type",
		"$TTL 5\nwww 2147483648 A 192.0.2.1\n":                  "line 2: The TTL 2147483648 is too great",
		"$TTL 5\nwww A\n":                                       "line 2: ",
		"$TTL 5\nwww A":                                         "line 2: ",
		"$TTL 5\nwww TXT":                                       "line 2: ",
		"$TTL 5\nwww IN MX":                                     "line 2: The line ends before its data",
		"www IN SOA":                                            "line 1: The line ends before its data",
		"$TTL 5\nwww MX 10":                                     "line 2: ",
		"$TTL 5\nwww":                                           "line 2: ",
		"$TTL 5\nwww TXT \"open\nb A 192.0.2.1\n":               "line 2: A quotation mark is not closed",
		"$TTL 5\nwww TXT \"open":                                "line 2: A quotation mark is not closed",
		"$TTL 5\nwww TXT ( a\nb A 192.0.2.1\n":                  "line ",
		"$TTL 5\nwww TXT a )\n":                                 "line 2: A ) has no (.",
		"$TTL 5\nb\xc3\xbccher A 192.0.2.1\n":                   "line 2: There is a letter beyond ASCII",
		"$TTL 5\rwww A 192.0.2.1\r":                             "line 1: A line ends in CR alone",
		"; old\rwww 5 A 192.0.2.1\r":                            "line 1: A line ends in CR alone",
		"$TTL 5\nw\x00w A 192.0.2.1\n":                          "line 2: There is a control character, number 0",
		"$TTL 5\nw TXT \"a\x07\"\n":                             "line 2: There is a control character, number 7",
		"\xff\xfea\x00":                                         "line 1: The file is UTF-16 text",
		"$TTL 5\nw A \\# 5 C000020101\n":                        "line 2: What a record of type A says in hexadecimal",
		"$TTL 5\nw MX \\# 2 000A\n":                             "line 2: What a record of type MX says is no data of that type. (write it like this: MX 10 mail.example.net.)",
		"$TTL 5\nw A \\# four C0000201\n":                       "line 2: \"four\" is no number of octets",
		"$TTL 5\n" + strings.Repeat("a", 64) + " A 192.0.2.1\n": "line 2: \"aaaa",
		"$TTL 5\nw ANY \\# 0\n":                                 "line 2: ",
		"$TTL 5\na A 192.0.2.1\nb A 192.0.2.1\nc A 192.0.2.1\n": "line 4: The zone file has more than 2 records",
		"$TTL 5\n" + strings.Repeat("; much\n", 200):            "The zone file has more than 1000 octets",
		"$TTL 99999999999\n":                                    "line 1: \"99999999999\" is no TTL",
		"$ORIGIN a..b.\n":                                       "line 1: \"a..b.\" is no name for $ORIGIN",
	} {
		got, err := ReadZone(strings.NewReader(text), "example.net.", Limits{Octets: 1000, Records: 2})
		var wrong *TextError
		if !errors.As(err, &wrong) || !errors.Is(err, ErrSyntax) || !strings.HasPrefix(err.Error(), want) || wrong.Hint == "" || !strings.HasSuffix(wrong.Sentence, ".") {
			t.Errorf("%q: %v (%s), want %s", text, err, shown(got.Records), want)
		}
	}
	if _, err := ReadZone(strings.NewReader(strings.Repeat("a", 1<<20)), "example.net.", Limits{}); err == nil || len(err.Error()) > 300 {
		t.Errorf("a name of a MiB: %.400v", err)
	}
	if _, err := ReadZone(failing{}, "example.net.", Limits{}); !errors.Is(err, errFailing) {
		t.Errorf("a reader that fails: %v", err)
	}
}

var errFailing = errors.New("cannot be read")

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, errFailing }

func TestZoneFilesAreWritten(t *testing.T) {
	got, err := ReadZone(strings.NewReader(bindFile+"\n\\$ttl 5 A 192.0.2.1\nother.far. 5 A 192.0.2.1\nlong TXT \""+strings.Repeat("a", 60)+"\" \""+strings.Repeat("b", 60)+`"`), "example.net.", Limits{})
	if err != nil {
		t.Fatal(err)
	}
	want := `$ORIGIN example.net.
$TTL 3600
@                  IN SOA   ns1.example.net. hostmaster.example.net. (
                              2026112801 ; serial
                              7200       ; refresh
                              1800       ; retry
                              1209600    ; expire
                              300        ) ; negative TTL
@                  IN NS    ns1.example.net.
`
	text := string(WriteZone("example.net.", got.Records))
	for i, line := range strings.Split(strings.TrimSuffix(want, "\n"), "\n") {
		if have := strings.ReplaceAll(strings.Split(text, "\n")[i], " ", ""); have != strings.ReplaceAll(line, " ", "") {
			t.Errorf("line %d: %q, want %q", i+1, have, line)
		}
	}
	again, err := ReadZone(strings.NewReader(text), "example.net.", Limits{})
	sorted := slices.Clone(got.Records)
	slices.SortStableFunc(sorted, Compare)
	slices.SortStableFunc(again.Records, Compare)
	if err != nil || shown(again.Records) != shown(sorted) {
		t.Errorf("%v\n%s\nread again as\n%s", err, text, shown(again.Records))
	}
	if twice := WriteZone("example.net.", again.Records); string(twice) != text {
		t.Errorf("written twice:\n%s\nand\n%s", text, twice)
	}
	if text := string(WriteZone(".", []Record{{Name: "a.", Type: TypeA, TTL: 5, Data: []byte{192, 0, 2, 1}}})); text != "$ORIGIN .\n$TTL 5\na. IN A 192.0.2.1\n" {
		t.Errorf("the root: %q", text)
	}
	if text := string(WriteZone("a.", nil)); text != "$ORIGIN a.\n$TTL 3600\n" {
		t.Errorf("no records: %q", text)
	}
}

func TestUnchangedRecordsKeepTheirLines(t *testing.T) {
	got, err := ReadZone(strings.NewReader(bindFile), "example.net.", Limits{})
	if err != nil {
		t.Fatal(err)
	}
	before := strings.Split(string(WriteZone("example.net.", got.Records)), "\n")
	changed := slices.Delete(slices.Clone(got.Records), 6, 7) // one of 14
	after := strings.Split(string(WriteZone("example.net.", changed)), "\n")
	if kept := slices.DeleteFunc(before, func(line string) bool { return slices.Contains(after, line) }); len(kept) != 1 || !strings.Contains(kept[0], "192.0.2.25") {
		t.Errorf("lines that are gone: %q", kept)
	}
}

// everyType are texts of the types that zones commonly have, and of one that nobody knows.
var everyType = [][2]string{
	{"A", "192.0.2.1"},
	{"AAAA", "2001:db8::1"},
	{"AAAA", "::ffff:192.0.2.1"},
	{"NS", "ns1.example.net."},
	{"CNAME", `odd\.label.\000\255.Example.`},
	{"PTR", "host.example."},
	{"DNAME", "far.example."},
	{"MX", "0 ."},
	{"MX", "65535 Mail.Example.net."},
	{"TXT", `"v=spf1 mx -all"`},
	{"TXT", `"" "\"\\\000\255;" "` + strings.Repeat("x", 255) + `"`},
	{"SOA", "ns1.example. host\\.master.example. 4294967295 7200 1800 1209600 300"},
	{"SRV", "1 2 443 srv.example."},
	{"CAA", `128 issue "ca.example; account=\"7\""`},
	{"TLSA", "3 1 1 " + strings.Repeat("0f", 32)},
	{"SSHFP", "4 2 " + strings.Repeat("0F", 32)},
	{"NAPTR", `100 10 "u" "E2U+sip" "!^.*$!sip:info@example.net!" .`},
	{"SVCB", `1 svc.example. alpn="h2,h3" port="8443" ipv4hint="192.0.2.1,192.0.2.2" ipv6hint="2001:db8::1" key65280="a\"b"`},
	{"HTTPS", `1 . alpn="h2" no-default-alpn="" mandatory="alpn"`},
	{"HTTPS", "0 alias.example."},
	{"DS", "12345 13 2 " + strings.Repeat("AB", 32)},
	{"OPENPGPKEY", "AQIDBA=="},
	{"SMIMEA", "3 1 1 " + strings.Repeat("0f", 32)},
	{"URI", `10 1 "https://example.net/"`},
	{"LOC", "52 22 23.000 N 4 53 32.000 E -2.00m 0.00m 10000m 10m"},
	{"HINFO", `"a" "b"`},
	{"RP", "ann.example. txt.example."},
	{"TYPE65400", `\# 4 DEADBEEF`},
	{"TYPE65400", `\# 0`},
	{"NULL", `\# 2 0001`},
	{"NULL", `\# 0`},
	{"APL", "1:192.0.2.0/24 !2:2001:db8::/32"},
	{"APL", ""},
}

func TestEveryTypeSurvivesTheWayToTextAndBack(t *testing.T) {
	var all []Record
	for i, c := range everyType {
		kind, err := ParseType(c[0])
		if err != nil {
			t.Fatal(err)
		}
		data, err := Data(kind, c[1], "example.net.")
		if err != nil {
			t.Errorf("%s %s: %v", c[0], c[1], err)
			continue
		}
		r := Record{Name: fmt.Sprintf("n%02d.example.net.", i), Type: kind, TTL: uint32(300 + i%3), Data: data}
		if err := r.Valid(); err != nil {
			t.Error(err)
		}
		again, err := Data(kind, r.Text(), ".")
		if err != nil || !bytes.Equal(again, data) {
			t.Errorf("%s: shown as %s, read again as %x, %v; want %x", c[0], r.Text(), again, err, data)
		}
		if again, err = Data(kind, r.generic(), "."); err != nil || !bytes.Equal(again, data) {
			t.Errorf("%s: in the form of RFC 3597 %s, read again as %x, %v; want %x", c[0], r.generic(), again, err, data)
		}
		all = append(all, r)
	}
	got, err := ReadZone(bytes.NewReader(WriteZone("example.net.", all)), "example.net.", Limits{})
	if err != nil || shown(got.Records) != shown(all) {
		t.Errorf("%v\n%s\nwant\n%s", err, shown(got.Records), shown(all))
	}
}

// FuzzRecord holds unpack, pack, unpack, and the way through zone text, to what the wire said.
func FuzzRecord(f *testing.F) {
	for _, c := range everyType {
		kind, _ := ParseType(c[0])
		data, _ := Data(kind, c[1], ".")
		f.Add(uint16(kind), data)
	}
	f.Fuzz(func(t *testing.T, kind uint16, data []byte) {
		r := Record{Name: "a.example.net.", Type: Type(kind), TTL: 300, Data: data}
		text := r.Text()
		if strings.ContainsAny(text, "\r\n\x00") {
			t.Fatalf("%q", text)
		}
		_ = r.CanonicalData()
		if again, err := Data(r.Type, r.generic(), "."); r.Valid() == nil != (err == nil) || err == nil && !bytes.Equal(again, data) {
			t.Fatalf("%s: valid: %v, read as %x, %v", r, r.Valid(), again, err)
		}
		if len(data) > MaxData || r.Type.Meta() || r.Valid() != nil {
			return
		}
		rr, err := r.library()
		if err != nil {
			t.Fatal(err)
		}
		if packed, err := wireData(rr); err != nil || !bytes.Equal(packed, data) {
			t.Fatalf("%s %x packed as %x, %v", r.Type, data, packed, err)
		}
		if again, err := Data(r.Type, text, "."); err != nil || !bytes.Equal(again, data) {
			t.Fatalf("%s %x shown as %s, read again as %x, %v", r.Type, data, text, again, err)
		}
		got, err := ReadZone(bytes.NewReader(WriteZone("example.net.", []Record{r})), "example.net.", Limits{})
		if err != nil || r.Type.DNSSEC() != (got.Signing == 1) || got.Signing == 0 && shown(got.Records) != shown([]Record{r}) {
			t.Fatalf("%s written as\n%s\nread as %s, %v", r, WriteZone("example.net.", []Record{r}), shown(got.Records), err)
		}
	})
}

// FuzzZoneFile holds that whatever is read is written so that it is read again.
func FuzzZoneFile(f *testing.F) {
	for _, text := range []string{bindFile, cpanelFile, windowsFile1, "$TTL 5\n\\$a TXT a\"b\"c", "@ 5 A \\# 4 C0000201", "a 5 TXT (\n) b ;(", ". 0 NS a"} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		got, err := ReadZone(bytes.NewReader(text), "example.net.", Limits{Octets: 1 << 16, Records: 1000})
		if err != nil {
			if !errors.Is(err, ErrSyntax) {
				t.Fatal(err)
			}
			return
		}
		if len(got.Lines) != len(got.Records) {
			t.Fatalf("%d lines for %d records", len(got.Lines), len(got.Records))
		}
		for _, r := range got.Records {
			if err := r.Valid(); err != nil {
				t.Fatalf("%s is not valid: %v", r, err)
			}
		}
		written := WriteZone("example.net.", got.Records)
		again, err := ReadZone(bytes.NewReader(written), "example.net.", Limits{Octets: 1 << 20})
		slices.SortStableFunc(got.Records, Compare)
		slices.SortStableFunc(again.Records, Compare)
		if err != nil || shown(again.Records) != shown(got.Records) {
			t.Fatalf("%v\n%s\nwritten as\n%s\nread again as\n%s", err, shown(got.Records), written, shown(again.Records))
		}
	})
}
