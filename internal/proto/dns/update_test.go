package dns_test

import (
	"bytes"
	"errors"
	"testing"

	codec "github.com/miekg/dns"

	"postroad/internal/proto/dns"
)

func mx(t *testing.T, ttl uint32, text string) dns.Record {
	t.Helper()
	data, err := dns.Data(dns.TypeMX, text, "")
	if err != nil {
		t.Fatal(err)
	}
	return dns.Record{Name: "acme.example.", Type: dns.TypeMX, TTL: ttl, Data: data}
}

// TestUpdateMessagesAreThoseOfRFC2136 has another implementation read them.
func TestUpdateMessagesAreThoseOfRFC2136(t *testing.T) {
	t.Parallel()
	old, next := mx(t, 600, "10 old.far.example."), mx(t, 300, "10 mx.host.example.")
	msg, err := dns.UpdateRequest(7, "acme.example.", []dns.SetUpdate{
		{Name: old.Name, Type: old.Type, Before: []dns.Record{old}, After: []dns.Record{next}},
		{Name: "new.acme.example.", Type: dns.TypeTXT, After: []dns.Record{{Name: "new.acme.example.", Type: dns.TypeTXT, TTL: 60, Data: []byte("\x01x")}}},
		{Name: "gone.acme.example.", Type: dns.TypeTXT, Before: []dns.Record{{Name: "gone.acme.example.", Type: dns.TypeTXT, TTL: 60, Data: []byte("\x01y")}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	var got codec.Msg
	if err := got.Unpack(msg); err != nil {
		t.Fatal(err)
	}
	if got.Opcode != codec.OpcodeUpdate || got.Id != 7 || len(got.Question) != 1 || got.Question[0].Qtype != codec.TypeSOA || got.Question[0].Name != "acme.example." {
		t.Errorf("the zone: %v", got.Question)
	}
	type line struct {
		name  string
		kind  uint16
		class uint16
		ttl   uint32
	}
	show := func(rrs []codec.RR) (out []line) {
		for _, rr := range rrs {
			h := rr.Header()
			out = append(out, line{h.Name, h.Rrtype, h.Class, h.Ttl})
		}
		return out
	}
	wantPrerequisites := []line{
		{"acme.example.", codec.TypeMX, codec.ClassINET, 0}, {"new.acme.example.", codec.TypeTXT, codec.ClassNONE, 0}, {"gone.acme.example.", codec.TypeTXT, codec.ClassINET, 0},
	}
	wantUpdates := []line{
		{"acme.example.", codec.TypeMX, codec.ClassANY, 0},
		{"acme.example.", codec.TypeMX, codec.ClassINET, 300},
		{"new.acme.example.", codec.TypeTXT, codec.ClassINET, 60},
		{"gone.acme.example.", codec.TypeTXT, codec.ClassANY, 0},
	}
	for what, pair := range map[string][2][]line{"prerequisites": {wantPrerequisites, show(got.Answer)}, "updates": {wantUpdates, show(got.Ns)}} {
		if len(pair[0]) != len(pair[1]) {
			t.Fatalf("%s: %v", what, pair[1])
		}
		for i := range pair[0] {
			if pair[0][i] != pair[1][i] {
				t.Errorf("%s: %v, want %v", what, pair[1][i], pair[0][i])
			}
		}
	}
	answer := bytes.Clone(msg[:12])
	answer[2] |= 0x80
	for code, want := range map[byte]error{0: nil, 3: dns.ErrPrerequisite, 6: dns.ErrPrerequisite, 7: dns.ErrPrerequisite, 8: dns.ErrPrerequisite, 5: dns.RefusedError(5), 9: dns.RefusedError(9)} {
		answer[3] = code
		if err := dns.ReadUpdate(msg, answer); !errors.Is(err, want) {
			t.Errorf("code %d: %v", code, err)
		}
	}
	answer[3], answer[0] = 0, 99
	if err := dns.ReadUpdate(msg, answer); err == nil {
		t.Error("an answer to something else is taken for one")
	}
}

func TestAnRRsetIsReadFromAnAuthoritativeAnswerOnly(t *testing.T) {
	t.Parallel()
	request, err := dns.TransferRequest(7, "acme.example.", dns.TypeMX, nil)
	if err != nil {
		t.Fatal(err)
	}
	answer := func(change func(m *codec.Msg), lines ...string) []byte {
		var q, m codec.Msg
		if err := q.Unpack(request); err != nil {
			t.Fatal(err)
		}
		m.SetReply(&q)
		m.Authoritative = true
		for _, l := range lines {
			rr, err := codec.NewRR(l)
			if err != nil {
				t.Fatal(err)
			}
			m.Answer = append(m.Answer, rr)
		}
		change(&m)
		b, err := m.Pack()
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	const one, other = "acme.example. 600 IN MX 10 a.far.example.", "other.example. 600 IN MX 10 a.far.example."
	same := func(*codec.Msg) {}
	got, err := dns.ReadSet(request, answer(same, one, other), "acme.example.", dns.TypeMX)
	if err != nil || len(got) != 1 || got[0].TTL != 600 || got[0].Text() != "10 a.far.example." {
		t.Errorf("%v, %v", got, err)
	}
	if got, err := dns.ReadSet(request, answer(func(m *codec.Msg) { m.Rcode = codec.RcodeNameError }), "acme.example.", dns.TypeMX); err != nil || len(got) != 0 {
		t.Errorf("no such name: %v, %v", got, err)
	}
	for what, bad := range map[string][]byte{
		"not authoritative": answer(func(m *codec.Msg) { m.Authoritative = false }, one),
		"cut":               answer(func(m *codec.Msg) { m.Truncated = true }, one),
		"refused":           answer(func(m *codec.Msg) { m.Rcode = codec.RcodeRefused }),
		"another id":        answer(func(m *codec.Msg) { m.Id++ }, one),
		"a question":        answer(func(m *codec.Msg) { m.Response = false }, one),
		"an alias":          answer(same, "acme.example. 600 IN CNAME b.example."),
		"nothing":           nil,
	} {
		if got, err := dns.ReadSet(request, bad, "acme.example.", dns.TypeMX); err == nil {
			t.Errorf("%s: %v", what, got)
		}
	}
}

// FuzzReadSet reads what a name server that went mad may send.
func FuzzReadSet(f *testing.F) {
	request, err := dns.TransferRequest(7, "acme.example.", dns.TypeMX, nil)
	if err != nil {
		f.Fatal(err)
	}
	begin := bytes.Clone(request)
	begin[2] |= 0x84
	begin[7] = 1
	f.Add(append(begin, "\xc0\x0c\x00\x0f\x00\x01\x00\x00\x02\x58\x00\x06\x00\x0a\x01a\xc0\x0c"...))
	f.Add(begin)
	f.Fuzz(func(t *testing.T, answer []byte) {
		got, err := dns.ReadSet(request, answer, "acme.example.", dns.TypeMX)
		for _, r := range got {
			if err == nil && (r.Name != "acme.example." || r.Type != dns.TypeMX || r.Valid() != nil) {
				t.Errorf("%v", r)
			}
		}
		_ = dns.ReadUpdate(request, answer)
	})
}
