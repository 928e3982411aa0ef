package zone

import (
	"bytes"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"

	"postroad/internal/proto/dns"
)

// records reads lines such as "www 300 A 192.0.2.1" of the zone example.net, "@" for its name.
func records(tb testing.TB, lines string) []dns.Record {
	tb.Helper()
	var out []dns.Record
	for line := range strings.Lines(lines) {
		fields := strings.SplitN(strings.TrimSpace(line), " ", 4)
		if len(fields) < 4 {
			continue
		}
		name, err := dns.Name(fields[0], "example.net.")
		if err != nil {
			tb.Fatal(err)
		}
		ttl, err := ParseTTL(fields[1])
		if err != nil {
			tb.Fatal(err)
		}
		kind, err := dns.ParseType(fields[2])
		if err != nil {
			tb.Fatal(err)
		}
		data, err := dns.Data(kind, fields[3], "example.net.")
		if err != nil {
			tb.Fatal(err)
		}
		out = append(out, dns.Record{Name: name, Type: kind, TTL: ttl, Data: data})
	}
	slices.SortFunc(out, dns.Compare)
	return out
}

// twelve is a small zone as most are.
const twelve = `@ 3600 SOA ns1.host.example. hostmaster.host.example. 7 7200 1800 1209600 300
@ 3600 NS ns1.host.example.
@ 3600 NS ns2.host.example.
@ 3600 A 192.0.2.1
@ 3600 MX 10 mx1.host.example.
@ 3600 MX 20 mx2.host.example.
@ 3600 TXT "v=spf1 mx -all"
@ 3600 CAA 0 issue "ca.example"
www 3600 CNAME example.net.
mail 3600 A 192.0.2.2
mail 3600 AAAA 2001:db8::2
_dmarc 3600 TXT "v=DMARC1; p=reject"
`

func TestEncodedRecordsAreReadAgain(t *testing.T) {
	for name, lines := range map[string]string{
		"none":       "",
		"one":        "@ 300 A 192.0.2.1",
		"twelve":     twelve,
		"odd owners": "a\\.b 300 A 192.0.2.1\n\\200\\000\\;c 1 A 192.0.2.1\nfar.example. 2147483647 A 192.0.2.1\n. 0 NS a.\nnet. 5 NS a.\nxexample.net. 5 NS a.",
		"root first": ". 300 NS a.\ncom. 300 NS a.\nb.com. 300 NS a.",
		"no data":    "@ 300 TYPE65400 \\# 0",
	} {
		t.Run(name, func(t *testing.T) {
			want := records(t, lines)
			b := Encode(want)
			got, err := Decode(b)
			if err != nil {
				t.Fatal(err)
			}
			if len(got) != len(want) {
				t.Fatalf("%d records, want %d", len(got), len(want))
			}
			for i := range want {
				if got[i].Name != want[i].Name || got[i].Type != want[i].Type || got[i].TTL != want[i].TTL || !bytes.Equal(got[i].Data, want[i].Data) {
					t.Errorf("%v, want %v", got[i], want[i])
				}
			}
			for cut := range b {
				if got, err := Decode(b[:cut]); !errors.Is(err, ErrEncoding) {
					t.Errorf("the first %d octets: %v, %v", cut, got, err)
				}
			}
			if _, err := Decode(append(bytes.Clone(b), 0)); !errors.Is(err, ErrEncoding) {
				t.Errorf("an octet too many: %v", err)
			}
		})
	}
}

func TestEncodingIsSmall(t *testing.T) {
	want := records(t, twelve)
	octets := 0
	for _, r := range want {
		octets += len(r.Data)
	}
	if b := Encode(want); len(b) > octets+100 {
		t.Errorf("%d octets for 12 records with %d octets of data", len(b), octets)
	}
}

func TestDecodeAllocatesLittle(t *testing.T) {
	b := Encode(records(t, twelve))
	if n := testing.AllocsPerRun(100, func() {
		if _, err := Decode(b); err != nil {
			t.Fatal(err)
		}
	}); n > 4 {
		t.Errorf("%v allocations for a zone of 12 records", n)
	}
}

func TestDataOfDecodedRecordsDoNotGrowIntoOneAnother(t *testing.T) {
	got, err := Decode(Encode(records(t, "a 300 A 192.0.2.1\nb 300 A 192.0.2.2")))
	if err != nil {
		t.Fatal(err)
	}
	_ = append(got[0].Data, 1, 2, 3, 4)
	if got[1].Text() != "192.0.2.2" || got[1].Name != "b.example.net." {
		t.Errorf("the second record became %v", got[1])
	}
}

func TestSerialsGrow(t *testing.T) {
	for _, c := range []struct {
		current uint32
		wanted  []uint32
		next    uint32
	}{
		{current: 0, next: 1},
		{current: 7, next: 8},
		{current: 7, wanted: []uint32{2026112801}, next: 2026112801},
		{current: 2026112801, wanted: []uint32{7}, next: 2026112802},
		{current: 7, wanted: []uint32{7}, next: 8},
		{current: 7, wanted: []uint32{7 + 1<<31}, next: 8},
		{current: 0, wanted: []uint32{4000000000}, next: 4000000000},
		{current: 1<<32 - 1, next: 1},
		{current: 1<<32 - 2, wanted: []uint32{0}, next: 1<<32 - 1},
		{current: 1<<32 - 2, wanted: []uint32{5}, next: 5},
	} {
		next := NextSerial(c.current, c.wanted...)
		if next != c.next || c.current != 0 && !Newer(next, c.current) || Newer(c.current, next) && c.current != 0 {
			t.Errorf("after %d (wanted %d) comes %d, want %d", c.current, c.wanted, next, c.next)
		}
	}
	if Newer(1<<31, 0) || Newer(0, 1<<31) || Newer(3, 3) {
		t.Error("serials that cannot be compared are compared")
	}
}

func TestSOAIsReadAndWritten(t *testing.T) {
	z := Zone{Domain: "example.net", Serial: 7, Records: records(t, twelve)}
	record, i := SOARecord(z.Records, z.Apex())
	if i != 3 {
		t.Fatalf("SOA at %d", i)
	}
	soa, err := ReadSOA(record)
	want := SOA{"ns1.host.example.", "hostmaster.host.example.", 7, 7200, 1800, 1209600, 300}
	if err != nil || soa != want || soa.Mailbox() != "hostmaster@host.example" {
		t.Errorf("%+v %s, %v; want %+v", soa, soa.Mailbox(), err, want)
	}
	if again, err := soa.Record(record.Name, record.TTL); err != nil || !reflect.DeepEqual(again, record) {
		t.Errorf("written: %v, %v; want %v", again, err, record)
	}
	before := slices.Clone(z.Records)
	z.SetSerial(4000000000)
	changed, err := ReadSOA(z.Records[3])
	want.Serial = 4000000000
	if err != nil || changed != want || z.Serial != 4000000000 {
		t.Errorf("with a new serial: %+v, %v; want %+v", changed, err, want)
	}
	if !reflect.DeepEqual(before, records(t, twelve)) || !reflect.DeepEqual(slices.Delete(before, 3, 4), slices.Delete(z.Records, 3, 4)) {
		t.Error("setting the serial changed something else")
	}
	for _, r := range []dns.Record{{Name: "a.", Type: dns.TypeNS, Data: record.Data}, {Name: "a.", Type: dns.TypeSOA, Data: record.Data[:30]}, {Name: "a.", Type: dns.TypeSOA}, {Name: "a.", Type: dns.TypeSOA, Data: append(bytes.Clone(record.Data), 0)}} {
		if got, err := ReadSOA(r); !errors.Is(err, dns.ErrSyntax) {
			t.Errorf("%v read as %+v, %v", r, got, err)
		}
	}
}

func TestMailboxesOfSOA(t *testing.T) {
	for address, name := range map[string]string{
		"hostmaster@example.net":  "hostmaster.example.net.",
		"ann.bea@example.net":     `ann\.bea.example.net.`,
		"a+b@Example.net":         "a+b.Example.net.",
		`a@b@example.net`:         `a\@b.example.net.`,
		"hostmaster@example.net.": "hostmaster.example.net.",
	} {
		got, err := RName(address)
		if err != nil || got != name || (SOA{RName: got}).Mailbox() != strings.TrimSuffix(address, ".") {
			t.Errorf("%s: %s, %v, back %s; want %s", address, got, err, SOA{RName: got}.Mailbox(), name)
		}
	}
	for _, address := range []string{"", "hostmaster", "@example.net", "a@", "a@b..c", strings.Repeat("a", 64) + "@example.net"} {
		if got, err := RName(address); !errors.Is(err, dns.ErrSyntax) {
			t.Errorf("%s: %s, %v", address, got, err)
		}
	}
	if m := (SOA{RName: "."}).Mailbox() + (SOA{RName: "root."}).Mailbox(); m != "root" {
		t.Errorf("mailboxes without a domain: %q", m)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(Encode(nil))
	f.Add(Encode(records(f, twelve)))
	f.Add(Encode(records(f, ". 300 NS a.\ncom. 300 NS a.")))
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := Decode(b)
		if err != nil {
			return
		}
		for _, r := range got {
			if _, err := dns.AppendName(nil, r.Name); err != nil {
				t.Fatal(err)
			}
		}
		again, err := Decode(Encode(got))
		if err != nil || !reflect.DeepEqual(again, got) {
			t.Errorf("%v read again as %v, %v", got, again, err)
		}
	})
}

func BenchmarkDecode(b *testing.B) {
	encoded := Encode(records(b, twelve))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Decode(encoded); err != nil {
			b.Fatal(err)
		}
	}
}
