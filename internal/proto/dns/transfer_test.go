package dns

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	codec "github.com/miekg/dns"
)

var roomy = Limits{Octets: 1 << 24, Records: 100_000}

// zoneRecord makes a record of example.net. from "NAME TTL TYPE DATA".
func zoneRecord(tb testing.TB, line string) Record {
	tb.Helper()
	f := strings.SplitN(line, " ", 4)
	kind, err := ParseType(f[2])
	if err != nil {
		tb.Fatal(err)
	}
	r := Record{Type: kind, TTL: 300}
	if r.Name, err = Name(f[0], "example.net."); err != nil {
		tb.Fatal(err)
	}
	if r.Data, err = Data(kind, f[3], "example.net."); err != nil {
		tb.Fatal(err)
	}
	if _, err := fmt.Sscan(f[1], &r.TTL); err != nil {
		tb.Fatal(err)
	}
	return r
}

func soaOf(tb testing.TB, serial int) Record {
	tb.Helper()
	return zoneRecord(tb, fmt.Sprintf("@ 300 SOA ns1 Host.example.net. %d 3600 600 86400 60", serial))
}

func zoneRecords(tb testing.TB, lines ...string) []Record {
	tb.Helper()
	out := make([]Record, 0, len(lines))
	for _, line := range lines {
		out = append(out, zoneRecord(tb, line))
	}
	slices.SortFunc(out, Compare)
	return out
}

func transferRequest(tb testing.TB, kind Type, serial int) []byte {
	tb.Helper()
	soa := soaOf(tb, serial)
	msg, err := TransferRequest(77, "example.net.", kind, &soa)
	if err != nil {
		tb.Fatal(err)
	}
	return msg
}

// transferMessages writes records as answers to a request.
func transferMessages(tb testing.TB, kind Type, limit int, list ...Record) [][]byte {
	tb.Helper()
	var out [][]byte
	s, err := NewStream(transferRequest(tb, kind, 1), limit, func(msg []byte) error { out = append(out, bytes.Clone(msg)); return nil })
	if err != nil {
		tb.Fatal(err)
	}
	for i := range list {
		if err := s.Add(&list[i]); err != nil {
			tb.Fatal(err)
		}
	}
	if err := s.Flush(); err != nil {
		tb.Fatal(err)
	}
	return out
}

func readAll(in *Inbound, msgs [][]byte) (Received, error) {
	for i, msg := range msgs {
		done, err := in.Read(msg)
		if err != nil {
			return Received{}, err
		}
		if done != (i == len(msgs)-1) {
			return Received{}, fmt.Errorf("message %d of %d: done is %v", i+1, len(msgs), done)
		}
	}
	return in.Result(), nil
}

var zoneLines = []string{
	"@ 300 NS ns1", "@ 300 NS ns2.Elsewhere.example.", "@ 300 MX 10 mx", "@ 60 TXT \"v=spf1 mx -all\"", "www 300 A 192.0.2.1", "www 300 AAAA 2001:db8::1",
	"_sip._tcp 300 SRV 0 0 5060 sip", "*.w 300 CNAME www", "sub 300 DS 1 13 2 " + strings.Repeat("ab", 32), "x 300 TYPE65400 \\# 3 010203",
	"h 300 HTTPS 1 . alpn=\"h2\"", "n 300 NAPTR 1 2 \"s\" \"SIP+D2U\" \"\" _sip._udp", "dn 300 DNAME other.example.", "rp 300 RP a b", "c 300 CAA 0 issue \"ca\"",
}

// A whole zone written and read again is the same (RFC 5936 §2.2), in one message and in many, and so says the library.
func TestAWholeZoneIsWrittenAndRead(t *testing.T) {
	soa, zone := soaOf(t, 7), zoneRecords(t, zoneLines...)
	for i := range 3000 {
		zone = append(zone, zoneRecord(t, fmt.Sprintf("host%d 300 A 192.0.%d.%d", i, i>>8, i&255)))
	}
	slices.SortFunc(zone, Compare)
	want := append(slices.Clone(zone), soa)
	slices.SortFunc(want, Compare)
	for _, limit := range []int{300, 4096, 65535} {
		msgs := transferMessages(t, TypeAXFR, limit, slices.Concat([]Record{soa}, zone, []Record{soa})...)
		var seen []codec.RR
		for _, msg := range msgs {
			if len(msg) > limit {
				t.Errorf("a message of %d octets, allowed are %d", len(msg), limit)
			}
			var m codec.Msg
			if err := m.Unpack(msg); err != nil {
				t.Fatal(err)
			}
			if m.Question[0].Name != "example.net." || !m.Authoritative || !m.Response {
				t.Errorf("%v", m.MsgHdr)
			}
			seen = append(seen, m.Answer...)
		}
		if len(seen) != len(zone)+2 {
			t.Fatalf("%d records, want %d", len(seen), len(zone)+2)
		}
		for i, rr := range seen[1 : len(seen)-1] {
			if mine, err := zone[i].library(); err != nil || mine.String() != rr.String() {
				t.Errorf("the library reads %s, written was %s", rr, mine)
			}
		}
		got, err := readAll(NewInbound(77, "example.net.", TypeAXFR, 0, roomy), msgs)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.EqualFunc(got.Records, want, func(a, b Record) bool { return Compare(a, b) == 0 && a.TTL == b.TTL }) {
			t.Errorf("limit %d: not the zone that was written", limit)
		}
		if limit == 65535 && len(msgs) > 2 {
			t.Errorf("%d messages: names are not compressed", len(msgs))
		}
	}
}

func TestAnswersToIXFR(t *testing.T) {
	one, two, three := soaOf(t, 1), soaOf(t, 2), soaOf(t, 3)
	a, b, c := zoneRecord(t, "a 300 A 192.0.2.1"), zoneRecord(t, "b 300 A 192.0.2.2"), zoneRecord(t, "c 300 A 192.0.2.3")
	for name, answer := range map[string][]Record{
		"in two steps":   {three, one, a, two, b, two, b, three, c, three},
		"condensed":      {three, one, a, three, c, three},
		"the whole zone": {three, c, three},
		"current":        {one},
		"older":          {soaOf(t, 0)},
	} {
		for _, limit := range []int{90, 65535} {
			if name != "the whole zone" && limit == 90 && len(answer) == 1 {
				continue
			}
			got, err := readAll(NewInbound(77, "example.net.", TypeIXFR, 1, roomy), transferMessages(t, TypeIXFR, limit, answer...))
			if err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			records := []Record{one, a}
			slices.SortFunc(records, Compare)
			for _, step := range got.Steps {
				if records, err = step.Apply(records); err != nil {
					t.Errorf("%s: %v", name, err)
				}
			}
			if got.Records != nil {
				records = got.Records
			}
			want := []Record{three, c}
			if got.Current {
				want = []Record{one, a}
			}
			slices.SortFunc(want, Compare)
			if !slices.EqualFunc(records, want, func(a, b Record) bool { return Compare(a, b) == 0 }) || got.Current != (len(answer) == 1) {
				t.Errorf("%s: %v, want %v", name, records, want)
			}
		}
	}
}

func TestDifferencesApplyExactly(t *testing.T) {
	before := append(zoneRecords(t, "a 300 A 192.0.2.1", "b 300 A 192.0.2.2", "t 300 A 192.0.2.4"), soaOf(t, 1))
	after := append(zoneRecords(t, "a 300 A 192.0.2.1", "c 300 A 192.0.2.3", "t 60 A 192.0.2.4"), soaOf(t, 2))
	slices.SortFunc(before, Compare)
	slices.SortFunc(after, Compare)
	d := Differ(before, after)
	if len(d.Removed) != 3 || len(d.Added) != 3 || d.Removed[0].Type != TypeSOA || d.Added[0].Type != TypeSOA {
		t.Errorf("%v", d)
	}
	got, err := d.Apply(before)
	if err != nil || !slices.EqualFunc(got, after, func(a, b Record) bool { return Compare(a, b) == 0 && a.TTL == b.TTL }) {
		t.Errorf("%v, %v; want %v", got, err, after)
	}
	if _, err := d.Apply(after); !errors.Is(err, ErrTransfer) {
		t.Errorf("applied twice: %v", err)
	}
	if _, err := (Difference{Added: before[:1]}).Apply(before); !errors.Is(err, ErrTransfer) {
		t.Errorf("added what is there: %v", err)
	}
}

// What a primary that is broken or hostile sends is refused, each with its reason.
func TestTransfersThatAreRefused(t *testing.T) {
	soa, other, a := soaOf(t, 7), soaOf(t, 8), zoneRecord(t, "a 300 A 192.0.2.1")
	sub := soa
	sub.Name = "sub.example.net."
	foreign := a
	foreign.Name = "a.example.org."
	meta := Record{Name: "a.example.net.", Type: TypeANY}
	one := func(list ...Record) []byte { return transferMessages(t, TypeAXFR, 65535, list...)[0] }
	edit := func(msg []byte, f func(msg []byte) []byte) []byte { return f(msg) }
	good := one(soa, a, soa)
	for _, c := range []struct {
		name, want string
		kind       Type
		msg        []byte
	}{
		{"without a SOA record", "does not begin", TypeAXFR, one(a, soa)},
		{"ends with another SOA record", "is not the first", TypeAXFR, one(soa, a, other)},
		{"a SOA record below the apex", "a SOA record of sub", TypeAXFR, one(soa, sub, soa)},
		{"a name of another zone", "not in the zone", TypeAXFR, one(soa, foreign, soa)},
		{"records after the end", "after the end", TypeAXFR, one(soa, a, soa, a)},
		{"a question type as a record", "of type ANY", TypeAXFR, one(soa, meta, soa)},
		{"class CHAOS", "of class 3", TypeAXFR, edit(one(soa, a, soa), func(msg []byte) []byte { msg[headerSize+17+2+3] = 3; return msg })},
		{"another id", "does not answer", TypeAXFR, edit(one(soa, a, soa), func(msg []byte) []byte { msg[0]++; return msg })},
		{"a request", "does not answer", TypeAXFR, edit(one(soa, a, soa), func(msg []byte) []byte { msg[2] = 0; return msg })},
		{"truncated", "truncated", TypeAXFR, edit(one(soa, a, soa), func(msg []byte) []byte { msg[2] |= 2; return msg })},
		{"another question", "another question", TypeIXFR, good},
		{"another zone", "another question", TypeAXFR, edit(one(soa, a, soa), func(msg []byte) []byte { msg[headerSize+1] = 'f'; return msg })},
		{"an answer section alone", "authority section", TypeAXFR, edit(one(soa, a, soa), func(msg []byte) []byte { msg[9] = 1; return msg })},
		{"an octet too much", "after the message", TypeAXFR, append(one(soa, a, soa), 0)},
		{"cut short", "wire", TypeAXFR, good[:len(good)-60]},
		{"of no octets", "0 octets", TypeAXFR, nil},
		{"a difference that goes back", "from serial 7 to 7", TypeIXFR, transferMessages(t, TypeIXFR, 65535, other, soa, soa, a)[0]},
		{"a difference from elsewhere", "from serial 1", TypeIXFR, transferMessages(t, TypeIXFR, 65535, other, soaOf(t, 1), a)[0]},
		{"differences that lead elsewhere", "is reached", TypeIXFR, transferMessages(t, TypeIXFR, 65535, soaOf(t, 9), soa, a, other, soa)[0]},
		{"data that is none", "wire", TypeAXFR, edit(one(soa, a, soa), func(msg []byte) []byte {
			at := bytes.Index(msg, []byte{192, 0, 2, 1})
			msg[at-1] = 3
			return slices.Delete(msg, at, at+1)
		})},
	} {
		in := NewInbound(77, "example.net.", c.kind, 7, roomy)
		done, err := in.Read(c.msg)
		if !errors.Is(err, ErrTransfer) || c.want != "wire" && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, %v; want %q", c.name, done, err, c.want)
		}
	}
	var refusal RefusedError
	refused := bytes.Clone(good)
	refused[3] = 5
	if _, err := NewInbound(77, "example.net.", TypeAXFR, 0, roomy).Read(refused); !errors.As(err, &refusal) || refusal != 5 {
		t.Errorf("REFUSED: %v", err)
	}

	endless := NewInbound(77, "example.net.", TypeAXFR, 0, Limits{Octets: 1 << 30, Records: 1000})
	if _, err := endless.Read(one(soa)); err != nil {
		t.Fatal(err)
	}
	more := one(a)
	for i := 0; ; i++ {
		if _, err := endless.Read(more); errors.Is(err, ErrTransfer) {
			if i < 990 || i > 1000 {
				t.Errorf("stopped after %d messages", i)
			}
			break
		} else if err != nil || i > 2000 {
			t.Fatalf("message %d: %v", i, err)
		}
	}
	huge := NewInbound(77, "example.net.", TypeAXFR, 0, Limits{Octets: 100, Records: 1000})
	if _, err := huge.Read(one(soa, a, soa)); !errors.Is(err, ErrTransfer) {
		t.Errorf("too many octets: %v", err)
	}
}

func TestRecordsThatDoNotFitAndRequests(t *testing.T) {
	s, err := NewStream(transferRequest(t, TypeAXFR, 1), 65535, func([]byte) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Add(&Record{Name: "a.example.net.", Type: 65400, Data: make([]byte, 65530)}); !errors.Is(err, ErrTransfer) {
		t.Errorf("a record that fits into no message: %v", err)
	}
	if _, err := NewStream(make([]byte, headerSize), 65535, nil); !errors.Is(err, ErrSyntax) {
		t.Errorf("no question: %v", err)
	}
	soa := soaOf(t, 5)
	note, err := NotifyRequest(9, soa.Name)
	if err != nil {
		t.Fatal(err)
	}
	var m codec.Msg
	if err := m.Unpack(note); err != nil || m.Opcode != codec.OpcodeNotify || !m.Authoritative || m.Id != 9 || m.Question[0].Qtype != codec.TypeSOA {
		t.Errorf("NOTIFY (RFC 1996 §3.7): %v, %v", &m, err)
	}
	if err := m.Unpack(transferRequest(t, TypeIXFR, 3)); err != nil || m.Question[0].Qtype != codec.TypeIXFR || m.Ns[0].(*codec.SOA).Serial != 3 {
		t.Errorf("IXFR (RFC 1995 §3): %v, %v", &m, err)
	}
	timers, err := TimersOf(&soa)
	if serial, errSerial := SerialOf(&soa); err != nil || errSerial != nil || serial != 5 || timers != (Timers{3600, 600, 86400}) {
		t.Errorf("%v, %v, %v", timers, err, errSerial)
	}
}

// The reader of transfers takes what anybody sends: it ends within its bounds, and what it takes can be written again
// and is read as the same.
func FuzzTransfer(f *testing.F) {
	soa := soaOf(f, 7)
	f.Add(false, bytes.Join(framed(transferMessages(f, TypeAXFR, 200, slices.Concat([]Record{soa}, zoneRecords(f, zoneLines...), []Record{soa})...)), nil))
	a := zoneRecord(f, "a 300 A 192.0.2.1")
	f.Add(true, bytes.Join(framed(transferMessages(f, TypeIXFR, 65535, soa, soaOf(f, 1), a, soa, a, soa)), nil))
	f.Fuzz(func(t *testing.T, ixfr bool, stream []byte) {
		kind := TypeAXFR
		if ixfr {
			kind = TypeIXFR
		}
		in := NewInbound(77, "example.net.", kind, 1, Limits{Octets: 1 << 20, Records: 2000})
		for len(stream) > 2 {
			size := min(int(binary.BigEndian.Uint16(stream)), len(stream)-2)
			done, err := in.Read(stream[2 : 2+size])
			if stream = stream[2+size:]; err != nil {
				return
			}
			if done {
				break
			}
		}
		got := in.Result()
		if in.stage != stageDone || got.Records == nil {
			return
		}
		list := slices.DeleteFunc(slices.Clone(got.Records), func(r Record) bool { return r.Type == TypeSOA })
		again, err := readAll(NewInbound(77, "example.net.", kind, 1, roomy), transferMessages(t, kind, 65535, slices.Concat([]Record{got.SOA}, list, []Record{got.SOA})...))
		if err != nil || !slices.EqualFunc(again.Records, got.Records, func(a, b Record) bool { return Compare(a, b) == 0 && a.TTL == b.TTL }) {
			t.Errorf("read again: %v, %v\nwant %v", again.Records, err, got.Records)
		}
	})
}

func framed(msgs [][]byte) [][]byte {
	out := make([][]byte, len(msgs))
	for i, msg := range msgs {
		out[i] = append(binary.BigEndian.AppendUint16(nil, uint16(len(msg))), msg...)
	}
	return out
}
