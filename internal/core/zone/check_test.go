package zone

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"postroad/internal/core/finding"
	"postroad/internal/proto/dns"
)

// whole is the least that a zone has.
const whole = "@ 3600 SOA ns1.host.example. hostmaster.host.example. 7 7200 1800 1209600 300\n@ 3600 NS ns1.host.example.\n@ 3600 NS ns2.host.example.\n"

// broken are zones that break one rule each, and others only where they are named.
var broken = map[finding.Name][]string{
	NameInvalid:       {whole + "!UPPER.example.net. 300 A 192.0.2.1", whole + "!a..example.net. 300 A 192.0.2.1", whole + "!www 300 A 192.0.2.1"},
	NameOutsideZone:   {whole + "bank.example. 300 A 192.0.2.1", whole + "net. 300 NS a.", whole + "xexample.net. 300 A 192.0.2.1"},
	NameAppended:      {whole + "www.example.net.example.net. 300 A 192.0.2.1", whole + "example.net.example.net. 300 TXT x"},
	TypeNotForZones:   {whole + `@ 300 DNSKEY 257 3 13 AAAA`, whole + "a 300 !TYPE250", whole + "a 300 NSEC b. A"},
	DataInvalid:       {whole + `a 300 !A C0000201FF`, whole + `a 300 !MX 000A`, whole + `a 300 !A`, whole + "a 300 !TXT", whole + "a 300 !HTTPS 0001000003000200"},
	DuplicateRecord:   {whole + "a 300 A 192.0.2.1\na 300 A 192.0.2.1", whole + "a 300 MX 10 Mail.host.example.\na 300 MX 10 mail.host.example."},
	TTLsDiffer:        {whole + "a 300 A 192.0.2.1\na 301 A 192.0.2.2"},
	TTLTooShort:       {whole + "a 29 A 192.0.2.1", whole + "a 0 A 192.0.2.1\nb 5 A 192.0.2.1"},
	TTLTooLong:        {whole + "a !2147483648 A 192.0.2.1"},
	SOAMissing:        {"@ 3600 NS ns1.host.example.\n@ 3600 NS ns2.host.example."},
	SOAMoreThanOne:    {whole + "@ 3600 SOA a. b. 1 2 3 4 5"},
	SOANotAtApex:      {whole + "sub 3600 SOA a. b. 1 2 3 4 5"},
	SOATimes:          {strings.Replace(whole, "1209600", "7200", 1)},
	NSMissing:         {"@ 3600 SOA a. b. 1 7200 1800 1209600 300"},
	NSSingle:          {"@ 3600 SOA a. b. 1 7200 1800 1209600 300\n@ 3600 NS ns1.host.example."},
	NSTooMany:         {whole + many("sub 300 NS ns%d.far.example.\n", 14), whole + many("@ 3600 NS ns%d.far.example.\n", 12)},
	GlueMissing:       {whole + "sub 300 NS ns1.sub\nsub 300 NS ns2.far.example.", whole + "sub 300 NS sub", whole + "*.sub 300 A 192.0.2.1\nsub 300 NS ns1.sub OCCLUDED"},
	Occluded:          {whole + "sub 300 NS a.example.\nsub 300 A 192.0.2.1", whole + "sub 300 NS a.example.\nb.sub 300 A 192.0.2.1", whole + "sub 300 NS a.sub\na.sub 300 A 192.0.2.1\na.sub 300 TXT x", whole + "sub 300 NS a.example.\nb.sub 300 NS c.example."},
	DSWithoutNS:       {whole + "sub 300 DS 1 13 2 0123456789012345678901234567890123456789012345678901234567890123", whole + "@ 300 DS 1 13 2 0123456789012345678901234567890123456789012345678901234567890123"},
	CNAMEAtApex:       {whole + "@ 300 CNAME host.example."},
	CNAMENotAlone:     {whole + "www 300 CNAME host.example.\nwww 300 A 192.0.2.1", whole + "www 300 CNAME host.example.\nwww 300 CNAME other.example.", whole + "www 300 CNAME a.example.\nwww 300 DNAME b.example."},
	CNAMELoop:         {whole + "www 300 CNAME www", whole + "a 300 CNAME b\nb 300 CNAME a", whole + "a 300 CNAME b\nb 300 CNAME c\nc 300 CNAME b", whole + "*.x 300 CNAME y.x"},
	DNAMEMoreThanOne:  {whole + "a 300 DNAME b.example.\na 300 DNAME c.example."},
	DNAMEWithNS:       {whole + "a 300 DNAME b.example.\na 300 NS ns.example."},
	DNAMENamesBelow:   {whole + "a 300 DNAME b.example.\nx.y.a 300 TXT z", whole + "@ 300 DNAME b.example.\nwww 300 TXT z"},
	WildcardNS:        {whole + "* 300 NS ns.example."},
	WildcardDNAME:     {whole + "* 300 DNAME b.example."},
	WildcardInside:    {whole + "a.*.b 300 A 192.0.2.1"},
	WildcardPartial:   {whole + "*foo 300 A 192.0.2.1", whole + "a.b*.c 300 A 192.0.2.1"},
	WildcardSkips:     {whole + "* 300 MX 10 mail.host.example.\nwww 300 A 192.0.2.1"},
	NullMXNotAlone:    {whole + "@ 300 MX 0 .\n@ 300 MX 10 mail.host.example."},
	TargetNoHostName:  {whole + "@ 300 MX 10 my_host.far.example.", whole + `@ 300 MX 10 10\032mail.far.example.`, whole + "sub 300 NS -a.far.example.", whole + "_imap._tcp 300 SRV 0 0 143 a*.far.example."},
	SPFMoreThanOne:    {whole + `@ 300 TXT "v=spf1 mx -all"` + "\n" + `@ 300 TXT "v=sp" "f1 a -all"`, whole + "@ 300 TXT v=spf1\n@ 300 TXT \"V=SPF1 -all\""},
	NSTargetIsIP:      {whole + "sub 300 NS 192.0.2.1", whole + "sub 300 NS 192.0.2.1."},
	NSTargetCNAME:     {whole + "sub 300 NS a\na 300 CNAME b.far.example."},
	NSTargetAppended:  {whole + "sub 300 NS ns1.host.example"},
	NSTargetNXDOMAIN:  {whole + "sub 300 NS a", whole + "@ 3600 NS ns3"},
	NSTargetNoAddress: {whole + "@ 3600 NS ns3\nns3 300 TXT x"},

	finding.MXTargetIsIP:           {whole + "@ 300 MX 10 192.0.2.1", whole + "@ 300 MX 10 192.0.2.1.", whole + "@ 300 MX 10 2001:db8::1", whole + "@ 300 MX 10 [192.0.2.1].", whole + "@ 300 MX 10 192.0.2.1\n* 300 A 192.0.2.1"},
	finding.MXTargetCNAME:          {whole + "@ 300 MX 10 mail\nmail 300 CNAME a.far.example.", whole + "@ 300 MX 10 a.mail\n*.mail 300 CNAME a.far.example.", whole + "@ 300 MX 10 a.mail\nmail 300 DNAME a.far.example."},
	finding.MXTargetAppendedOrigin: {whole + "@ 300 MX 10 mx.host.example", whole + "@ 300 MX 10 mail.example.net", whole + "@ 300 MX 10 aspmx.l.host.com", whole + "@ 300 MX 10 mx.host.de", whole + "@ 300 MX 10 mx.host.example\n* 300 A 192.0.2.1"},
	finding.MXTargetNXDomain:       {whole + "@ 300 MX 10 mail", whole + "@ 300 MX 10 mail.sub"},
	finding.MXTargetNoAddress:      {whole + "@ 300 MX 10 mail\nmail 300 TXT x", whole + "@ 300 MX 10 mail\na.mail 300 A 192.0.2.1", whole + "@ 300 MX 10 a.mail\n*.mail 300 TXT x"},
	finding.MXWrongOwner:           {whole + "www 300 MX 10 mail.host.example.", whole + "example.net.example.net. 300 MX 10 mail.host.example.", whole + "mail 300 MX 10 mail\nmail 300 A 192.0.2.1"},

	SRVTargetIsIP:          {whole + "_a._tcp 300 SRV 0 0 1 192.0.2.1"},
	SRVTargetCNAME:         {whole + "_a._tcp 300 SRV 0 0 1 b\nb 300 CNAME a.far.example."},
	SRVTargetAppended:      {whole + "_a._tcp 300 SRV 0 0 1 imap.host.example"},
	SRVTargetNXDOMAIN:      {whole + "_a._tcp 300 SRV 0 0 1 imap"},
	SRVTargetNoAddress:     {whole + "_a._tcp 300 SRV 0 0 1 imap\nimap 300 TXT x"},
	CNAMETargetIsIP:        {whole + "www 300 CNAME 192.0.2.1", whole + "www 300 CNAME 192.0.2.1.\nb 300 A 192.0.2.1"},
	CNAMETargetAppended:    {whole + "www 300 CNAME web.host.example"},
	CNAMETargetNXDOMAIN:    {whole + "www 300 CNAME web"},
	CAATag:                 {whole + "@ 300 !CAA 0000", whole + "@ 300 !CAA 0003612D62"},
	CAAValue:               {whole + `@ 300 CAA 0 issue "https://ca.example/"`, whole + `@ 300 CAA 0 iodef "ann@example.net"`, whole + `@ 300 CAA 0 issue ".."`, whole + `@ 300 CAA 0 issue "-"`},
	CAACritical:            {whole + `@ 300 CAA 128 isue "ca.example"`},
	SVCBAliasParameters:    {whole + "@ 300 HTTPS 0 a.far.example. alpn=h2"},
	SVCBAliasNotAlone:      {whole + "@ 300 HTTPS 0 a.far.example.\n@ 300 HTTPS 1 . alpn=h2", whole + "a 300 SVCB 0 a.far.example.\na 300 SVCB 0 b.far.example."},
	SVCBAliasToItself:      {whole + "@ 300 HTTPS 0 example.net."},
	SVCBMandatoryParameter: {whole + "@ 300 !HTTPS 00010000000002000300010003026832"},
}

func many(format string, n int) string {
	var b strings.Builder
	for i := range n {
		if strings.Contains(format, "%[2]d") {
			fmt.Fprintf(&b, format, i, i+1)
			continue
		}
		fmt.Fprintf(&b, format, i)
	}
	return b.String()
}

// unchecked reads lines as records does, and more: an owner after "!" is taken as it is, a TTL after "!" is any number, and data after a type
// with "!" is hexadecimal.
func unchecked(t *testing.T, text string) []dns.Record {
	t.Helper()
	var out []dns.Record
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if !strings.Contains(line, "!") {
			out = append(out, records(t, line)...)
			continue
		}
		r := dns.Record{Name: fields[0]}
		if name, as := strings.CutPrefix(fields[0], "!"); as {
			r.Name = name
		} else {
			name, err := dns.Name(fields[0], "example.net.")
			if err != nil {
				t.Fatal(err)
			}
			r.Name = name
		}
		if _, err := fmt.Sscan(strings.TrimPrefix(fields[1], "!"), &r.TTL); err != nil {
			t.Fatal(err)
		}
		name, hexadecimal := strings.CutPrefix(fields[2], "!")
		kind, err := dns.ParseType(name)
		if err != nil {
			t.Fatal(err)
		}
		r.Type = kind
		if hexadecimal && len(fields) == 4 {
			if _, err := fmt.Sscanf(fields[3], "%x", &r.Data); err != nil {
				t.Fatal(err)
			}
		} else if !hexadecimal {
			if r.Data, err = dns.Data(kind, strings.Join(fields[3:], " "), "example.net."); err != nil {
				t.Fatal(err)
			}
		}
		out = append(out, r)
	}
	return out
}

// names gives the rules that problems are about, each once.
func names(problems []Problem) []finding.Name {
	var out []finding.Name
	for _, p := range problems {
		if !slices.Contains(out, p.Rule) {
			out = append(out, p.Rule)
		}
	}
	return out
}

// beside are rules that cannot be broken without others.
var beside = map[finding.Name][]finding.Name{
	CNAMEAtApex: {}, CNAMELoop: {}, WildcardNS: {}, CAATag: {DataInvalid}, SVCBMandatoryParameter: {DataInvalid}, DNAMENamesBelow: {},
}

func TestEveryRuleIsTold(t *testing.T) {
	for _, rule := range Rules() {
		if len(broken[rule.Name]) == 0 && rule.Name != TooManyRecords && rule.Name != TooLarge {
			t.Errorf("no zone here breaks %s", rule.Name)
		}
		if rule.Why == "" || !strings.HasSuffix(rule.Why, ".") || rule.Severity != Refuse && rule.Severity != Warn {
			t.Errorf("%s: %q, %s", rule.Name, rule.Why, rule.Severity)
		}
		for _, text := range broken[rule.Name] {
			text, also, _ := strings.Cut(text, " OCCLUDED")
			zone := &Zone{Domain: "example.net", Records: unchecked(t, text)}
			problems := Check(zone, Limits{})
			want := []finding.Name{rule.Name}
			if also != "" || strings.Contains(text, "*.sub 300 A") {
				want = append(want, Occluded)
			}
			got := slices.DeleteFunc(names(problems), func(n finding.Name) bool { return slices.Contains(beside[rule.Name], n) })
			if !slices.Equal(got, want) {
				t.Errorf("%s: told %v of\n%s", rule.Name, got, strings.TrimPrefix(text, whole))
			}
			for _, p := range problems {
				if !strings.HasSuffix(p.Sentence, ".") || p.Hint == "" || strings.HasSuffix(p.Hint, "..") || strings.Contains(p.Sentence, "%!") || strings.Contains(p.Hint, "%!") {
					t.Errorf("%s: %q %q", p.Rule, p.Sentence, p.Hint)
				}
				if p.Rule != SOAMissing && p.Rule != NSMissing && len(p.Records) == 0 {
					t.Errorf("%s: no record is shown", p.Rule)
				}
				if p.Severity == Refuse != (len(Refused([]Problem{p})) == 1) {
					t.Errorf("%s: severity %s", p.Rule, p.Severity)
				}
			}
		}
	}
}

func TestGoodZonesHaveNoProblem(t *testing.T) {
	for name, text := range map[string]string{
		"least":  whole,
		"twelve": strings.ReplaceAll(twelve, " 3600 NS ns1.host.example.", " 3600 NS ns1.host.example."),
		"more": whole + `@ 300 A 192.0.2.1
@ 300 MX 10 mail
@ 300 MX 20 backup.mail
@ 300 MX 30 any.pool
@ 300 HTTPS 1 . alpn=h2,h3
@ 300 CAA 128 issue "ca.example; account=7"
@ 300 CAA 0 issuewild ";"
@ 300 CAA 0 iodef "mailto:ann@example.net"
@ 300 TXT "v=spf1 mx -all"
@ 300 TXT "v=spf10 no"
mail 300 A 192.0.2.1
backup.mail 300 AAAA 2001:db8::1
*.pool 300 A 192.0.2.1
_imap._tcp 300 SRV 0 0 143 mail
_pop._tcp 300 SRV 0 0 0 .
sub 300 NS ns.sub
sub 300 NS ns.other.sub2
sub 300 NS outside.example.
sub 300 DS 1 13 2 0123456789012345678901234567890123456789012345678901234567890123
ns.sub 300 A 192.0.2.1
sub2 300 NS far.example.
alias 300 CNAME alias2
alias2 300 CNAME www.far.example.
deep 300 CNAME x.sub
away 300 DNAME far.example.
old 300 TYPE65400 \# 2 0102
example.net._report._dmarc 300 TXT "v=DMARC1"
1.2.0.192 300 PTR a.b
`,
		"null MX":    whole + "@ 300 MX 0 .",
		"number":     whole + "@ 300 MX 10 192.0.2.1\n192.0.2.1 300 A 192.0.2.1",
		"sub-domain": whole + "@ 300 MX 10 mail.host.example.\ncrm 300 MX 10 mail.host.example.\nwww 300 MX 10 mail.host.example.",
	} {
		for _, p := range Check(&Zone{Domain: "example.net", Records: records(t, text)}, Limits{}) {
			t.Errorf("%s: %s: %s", name, p.Rule, p.Sentence)
		}
	}
}

func TestLimitsOfAZone(t *testing.T) {
	zone := &Zone{Domain: "example.net", Records: unchecked(t, whole+many("h%d 60 A 192.0.2.1\n", 98))}
	if got := names(Check(zone, Limits{Records: 100})); !slices.Equal(got, []finding.Name{TooManyRecords}) {
		t.Errorf("101 of 100 records: %v", got)
	}
	if got := names(Check(zone, Limits{Records: 101})); len(got) > 0 {
		t.Errorf("101 of 101 records: %v", got)
	}
	large := &Zone{Domain: "example.net", Records: unchecked(t, whole+many("h%d 60 TXT "+strings.Repeat(strings.Repeat("x", 250)+" ", 100)+"\n", 3))}
	deep := &Zone{Domain: "example.net", Records: unchecked(t, whole+many(strings.Repeat("a.", 115)+"h%d 60 A 192.0.2.1\n", 6))}
	for name, z := range map[string]*Zone{"data": large, "names of 118 labels": deep} { // 75,300 and some 80,000 octets
		if got := names(Check(z, Limits{Octets: 70_000})); !slices.Equal(got, []finding.Name{TooLarge}) {
			t.Errorf("too many octets of %s: %v", name, got)
		}
		if got := names(Check(z, Limits{Octets: 90_000})); len(got) > 0 {
			t.Errorf("%s: %v", name, got)
		}
	}
	if l := (Limits{}).filled(); l.Octets != MaxOctets {
		t.Errorf("%+v", l)
	}
	problems := Check(zone, Limits{MinTTL: 61})
	if got := names(problems); !slices.Equal(got, []finding.Name{TTLTooShort}) || len(problems[0].Records) != maxEvidence || !strings.Contains(problems[0].Sentence, "97 more") {
		t.Errorf("TTLs of 60 s where 61 s is the least: %v", problems)
	}
	zone.Records = unchecked(t, whole+many("h%d 60 CNAME 192.0.2.1\n", 98))
	if n := len(Check(zone, Limits{})); n != maxProblems {
		t.Errorf("%d problems of one rule", n)
	}
}

func TestHostileZonesAreCheckedInTime(t *testing.T) {
	const n = MaxRecords - 100
	var deep strings.Builder
	deep.WriteString("d")
	for range 100 {
		deep.WriteString(".d")
	}
	for name, text := range map[string]string{
		"a chain of aliases":                 many("a%d 300 CNAME a%[2]d\n", n),
		"exchangers that are addresses":      many("a%d 300 A 192.0.2.1\n", n/2) + many("a%d 300 MX 10 192.0.2.9\n", n/2),
		"one name with everything":           many("x 300 TXT %d\n", n/2) + many("%d.x 300 CNAME x\n", n/2),
		"wildcards that skip":                many("w 300 TXT %d\n", n/2) + many("*.w%d 300 MX 10 x\n", n/4) + many("a.w%d 300 A 192.0.2.1\n", n/4),
		"deep names":                         many("%d."+deep.String()+" 300 MX 10 y."+deep.String()+"\n", n),
		"addresses that all exchangers have": many("x 300 TYPE65400 \\# 2 %04x\n", n/2) + many("e%d 300 MX 10 x\n", n/2),
	} {
		z := &Zone{Domain: "example.net", Records: records(t, whole+text)}
		began := time.Now()
		problems := Check(z, Limits{})
		d := Plan(nil, z.Records)
		d.Sentences()
		again := d.Apply(nil)
		tidied, _ := Tidy(z.Records, Limits{})
		if took := time.Since(began); took > 5*time.Second || len(problems) > 5*maxProblems || len(again) != len(z.Records) || len(tidied) != len(z.Records) {
			t.Errorf("%s: %v, %d problems, %d records", name, took, len(problems), len(again))
		} else {
			t.Logf("%s: %v, %d problems", name, took, len(problems))
		}
	}
}

func TestCopiesAreRefusedForTheirStructureAlone(t *testing.T) {
	for name := range structural {
		if !slices.ContainsFunc(Rules(), func(r Rule) bool { return r.Name == name && r.Severity == Refuse }) {
			t.Errorf("%s is structural and no rule for which zones are refused", name)
		}
	}
	problems := Check(&Zone{Domain: "example.net", Records: records(t, whole+"@ 5 MX 10 192.0.2.1\nwww 300 CNAME a.\nwww 300 CNAME b.")}, Limits{})
	if got := names(Structural(problems)); !slices.Equal(got, []finding.Name{CNAMENotAlone}) || len(problems) != 3 {
		t.Errorf("structural: %v of %v", got, names(problems))
	}
	if tidied := Structural([]Problem{{Rule: DuplicateRecord, Severity: Warn}}); len(tidied) > 0 {
		t.Errorf("what was mended is told as %v", tidied)
	}
}

func TestSentencesOfProblems(t *testing.T) {
	for text, want := range map[string]string{
		"@ 300 MX 10 192.0.2.7":                                             "example.net MX leads to 192.0.2.7, which is an address where only a name may stand: it is not taken for an address there. | add mail.example.net A 192.0.2.7, and write mail.example.net here",
		"@ 300 MX 10 192.0.2.7\nmx1 300 A 192.0.2.7":                        "example.net MX leads to 192.0.2.7, which is an address where only a name may stand: it is not taken for an address there. | write mx1.example.net, which has this address",
		"@ 300 MX 10 mail\nmail 300 CNAME a.far.example.":                   "The exchanger mail.example.net of example.net is an alias; it must have addresses itself. | name a.far.example instead",
		"@ 300 MX 10 mx.host.example":                                       "The exchanger mx.host.example.example.net of example.net does not exist: it looks as if the zone's name had been appended because the last dot was left out. | write mx.host.example. with the last dot, or add an A or AAAA record for mx.host.example.example.net",
		"@ 300 MX 10 mx.host.example\n* 300 A 192.0.2.1":                    "The exchanger mx.host.example.example.net of example.net is there by a wildcard or a DNAME only: it looks as if the zone's name had been appended because the last dot was left out. | write mx.host.example. with the last dot, or add an A or AAAA record for mx.host.example.example.net",
		"www 300 MX 10 a.far.example.":                                      "The MX records stand at www.example.net; mail for addresses of example.net does not look there. | let the MX records stand at example.net, which is written @",
		"www 300 CNAME 2001:db8::1":                                         "www.example.net CNAME leads to 2001:db8::1, which is an address where only a name may stand: it is not taken for an address there. | write www.example.net AAAA 2001:db8::1 in place of the CNAME record",
		"www 300 CNAME web":                                                 "web.example.net, for which www.example.net is an alias, does not exist. | correct the name, or add an A or AAAA record for it",
		"xn--bcher-kva 300 CNAME a.example.\nxn--bcher-kva 300 A 192.0.2.1": "bücher.example.net (xn--bcher-kva.example.net) is an alias and has a record of type A too: whoever has seen the alias does not find it. | leave out the CNAME record or the others",
	} {
		problems := Check(&Zone{Domain: "example.net", Records: records(t, whole+text)}, Limits{})
		if len(problems) != 1 || problems[0].Sentence+" | "+problems[0].Hint != want {
			t.Errorf("%s: %+v\nwant %s", text, problems, want)
		}
	}
}

func TestRecordsAreTidied(t *testing.T) {
	in := unchecked(t, whole+"a 5 A 192.0.2.1\na 300 A 192.0.2.2\na 40 A 192.0.2.1\n!B.Example.NET. !4294967295 A 192.0.2.1\nm 60 MX 10 a\nm 60 MX 10 A\n!..bad 300 A 192.0.2.1")
	before := slices.Clone(in)
	got, problems := Tidy(in, Limits{})
	want := unchecked(t, whole+"a 30 A 192.0.2.1\na 30 A 192.0.2.2\nb 2147483647 A 192.0.2.1\nm 60 MX 10 A\n!..bad 300 A 192.0.2.1")
	slices.SortFunc(want, dns.Compare)
	if a, b := lines(got), lines(want); !slices.Equal(a, b) && !slices.Equal(slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b))) {
		t.Errorf("%q, want %q", a, b)
	}
	if rules := names(problems); !slices.Equal(rules, []finding.Name{TTLTooShort, TTLTooLong, TTLsDiffer, DuplicateRecord}) || len(Refused(problems)) > 0 {
		t.Errorf("told: %v", rules)
	}
	if !slices.Equal(lines(in), lines(before)) {
		t.Error("the records given were changed")
	}
	if left := names(Check(&Zone{Domain: "example.net", Records: got}, Limits{})); !slices.Equal(left, []finding.Name{NameInvalid, finding.MXTargetNXDomain}) && !slices.Equal(left, []finding.Name{NameInvalid}) {
		t.Errorf("still wrong: %v", left)
	}
	again, problems := Tidy(got, Limits{})
	if !slices.Equal(lines(again), lines(got)) || len(problems) > 0 {
		t.Errorf("tidied again: %q, %v", lines(again), problems)
	}
}

// FuzzCheck holds that no records, whatever they say, stop a check, and that what was tidied has nothing left to tidy.
func FuzzCheck(f *testing.F) {
	for _, zones := range broken {
		for _, text := range zones {
			if !strings.Contains(text, "!") && !strings.Contains(text, "OCCLUDED") {
				f.Add(Encode(records(f, text)))
			}
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		all, err := Decode(b)
		if err != nil || len(all) > 500 {
			return
		}
		Check(&Zone{Domain: "example.net", Records: all}, Limits{})
		tidied, _ := Tidy(all, Limits{})
		for _, p := range Check(&Zone{Domain: "example.net", Records: tidied}, Limits{}) {
			if slices.Contains([]finding.Name{TTLsDiffer, TTLTooShort, TTLTooLong, DuplicateRecord, NameInvalid}, p.Rule) {
				t.Errorf("tidied, and still: %s", p.Sentence)
			}
		}
		if again, problems := Tidy(tidied, Limits{}); len(problems) > 0 || !slices.Equal(lines(again), lines(tidied)) {
			t.Errorf("tidied again: %v", problems)
		}
		d := Plan(all, tidied)
		d.Sentences()
		if got := d.Apply(Sort(all)); !slices.Equal(lines(got), lines(tidied)) {
			t.Errorf("the plan does not lead there:\n%s", d.Text())
		}
	})
}
