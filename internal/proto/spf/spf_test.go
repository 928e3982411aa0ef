package spf_test

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"postroad/internal/proto/spf"
)

// names is a DNS of lines "name type value"; the type ERR makes every question for a name fail.
type names map[string][]string

func world(lines string) names {
	out := names{}
	for line := range strings.Lines(lines) {
		name, rest, ok := strings.Cut(strings.TrimSpace(line), " ")
		if ok {
			out[name] = append(out[name], rest)
		}
	}
	return out
}

func (n names) get(name, kind string) ([]string, error) {
	var out []string
	for _, r := range n[name] {
		k, v, _ := strings.Cut(r, " ")
		switch k {
		case "ERR":
			return nil, errors.New("no answer")
		case kind:
			out = append(out, v)
		}
	}
	if len(out) == 0 {
		return nil, spf.ErrNotFound
	}
	return out, nil
}

func (n names) TXT(_ context.Context, name string) ([]string, error) { return n.get(name, "TXT") }
func (n names) MX(_ context.Context, name string) ([]string, error)  { return n.get(name, "MX") }
func (n names) PTR(_ context.Context, a netip.Addr) ([]string, error) {
	return n.get(reverse(a), "PTR")
}

func (n names) Addrs(_ context.Context, name string, six bool) ([]netip.Addr, error) {
	kind := "A"
	if six {
		kind = "AAAA"
	}
	texts, err := n.get(name, kind)
	var out []netip.Addr
	for _, text := range texts {
		out = append(out, netip.MustParseAddr(text))
	}
	return out, err
}

// TestTermsAndCounts: each term tells what was looked up and what it cost, with what it led to (RFC 7208 §4.6.4).
func TestTermsAndCounts(t *testing.T) {
	dns := world(`
		acme.test TXT v=spf1 ip4:192.0.2.1 a:gone.acme.test include:_spf.host.test mx ~all
		_spf.host.test TXT v=spf1 a:out.host.test include:_b.host.test ?all
		out.host.test A 198.51.100.1
		_b.host.test TXT v=spf1 exists:%{i}.b.host.test -all
		acme.test MX mx.acme.test
		mx.acme.test A 203.0.113.5
		203.0.113.7.b.host.test A 127.0.0.2`)
	got := spf.Check(t.Context(), dns, spf.Query{Addr: netip.MustParseAddr("203.0.113.5"), Helo: "h.test", Sender: "a@Acme.test"})
	if got.Result != spf.Pass || got.Mechanism != "mx" || got.Lookups != 6 || got.Voids != 2 || got.Domain != "acme.test" {
		t.Fatalf("got %+v", got)
	}
	want := []spf.Term{
		{Domain: "acme.test", Text: "ip4:192.0.2.1"},
		{Domain: "acme.test", Text: "a:gone.acme.test", Target: "gone.acme.test", Lookups: 1, Void: true, Found: "nothing"},
		{Domain: "acme.test", Text: "include:_spf.host.test", Target: "_spf.host.test", Lookups: 4, Found: "neutral"},
		{Depth: 1, Domain: "_spf.host.test", Text: "a:out.host.test", Target: "out.host.test", Lookups: 1, Found: "198.51.100.1"},
		{Depth: 1, Domain: "_spf.host.test", Text: "include:_b.host.test", Target: "_b.host.test", Lookups: 2, Found: "fail"},
		{Depth: 2, Domain: "_b.host.test", Text: "exists:%{i}.b.host.test", Target: "203.0.113.5.b.host.test", Lookups: 1, Void: true, Found: "nothing"},
		{Depth: 2, Domain: "_b.host.test", Text: "-all", Match: true},
		{Depth: 1, Domain: "_spf.host.test", Text: "?all", Match: true},
		{Domain: "acme.test", Text: "mx", Target: "acme.test", Lookups: 1, Match: true, Found: "mx.acme.test"},
	}
	if len(got.Terms) != len(want) {
		t.Fatalf("terms %+v", got.Terms)
	}
	for i := range want {
		if got.Terms[i] != want[i] {
			t.Errorf("term %d: %+v, want %+v", i, got.Terms[i], want[i])
		}
	}
}

// TestVoidsOfExchangers: an mx is one void term when it has no exchangers, or none with an address of the client's family.
func TestVoidsOfExchangers(t *testing.T) {
	dns := world(`
		four.test TXT v=spf1 mx ?all
		four.test MX a.four.test
		four.test MX b.four.test
		four.test MX c.four.test
		four.test MX d.four.test
		a.four.test A 192.0.2.1`)
	for client, voids := range map[string]int{"2001:db8::1": 1, "192.0.2.9": 0} {
		got := spf.Check(t.Context(), dns, spf.Query{Addr: netip.MustParseAddr(client), Helo: "h.test", Sender: "a@four.test"})
		if got.Result != spf.Neutral || got.Voids != voids || got.Lookups != 1 {
			t.Errorf("%s: %s, %d void terms, %d look-ups (%s)", client, got.Result, got.Voids, got.Lookups, got.Problem)
		}
	}
}

// TestMacrosOfTimeAndHost: the macros for explanations alone.
func TestMacrosOfTimeAndHost(t *testing.T) {
	dns := world(`
		m.test TXT v=spf1 exp=why.m.test -all
		why.m.test TXT %{c} at %{r} at %{t} for %{s}`)
	q := spf.Query{Addr: netip.MustParseAddr("::ffff:192.0.2.1"), Helo: "h.test", Sender: "a@m.test", Receiver: "mx.test", At: time.Unix(1700000000, 0)}
	if got := spf.Check(t.Context(), dns, q); got.Explanation != "192.0.2.1 at mx.test at 1700000000 for a@m.test" {
		t.Errorf("explanation %q", got.Explanation)
	}
	q.Receiver = ""
	if got := spf.Check(t.Context(), dns, q); got.Explanation != "192.0.2.1 at unknown at 1700000000 for a@m.test" {
		t.Errorf("explanation %q", got.Explanation)
	}
}

// TestSurvey counts what a record costs whoever sends, over the limit too, and says what is wrong.
func TestSurvey(t *testing.T) {
	dns := world(`
		big.test TXT v=spf1 include:p1.test include:p2.test a mx ptr exists:%{i}.x.test a:no1.test a:no2.test a:no3.test -all a:never.test
		big.test A 192.0.2.1
		big.test MX m.big.test
		p1.test TXT v=spf1 a:h.p1.test a:h.p1.test -all
		h.p1.test AAAA 2001:db8::1
		p2.test TXT v=spf1 redirect=p3.test
		p3.test TXT v=spf1 ip4:192.0.2.0/24 -all
		loop.test TXT v=spf1 include:loop.test -all
		two.test TXT v=spf1 -all
		two.test TXT v=spf1 +all
		down.test ERR
		small.test TXT v=spf1 mx -all
		small.test MX m.small.test`)
	got := spf.Survey(t.Context(), dns, "Big.test")
	if got.Lookups != 12 || got.Voids != 3 || got.Result != spf.PermError {
		t.Errorf("%d look-ups, %d void, %q", got.Lookups, got.Voids, got.Result)
	}
	costs := map[string]int{}
	for _, term := range got.Terms {
		costs[term.Domain+" "+term.Text] = term.Lookups
	}
	for term, cost := range map[string]int{"big.test include:p1.test": 3, "big.test include:p2.test": 2, "big.test mx": 1, "p2.test redirect=p3.test": 1, "big.test -all": 0} {
		if costs[term] != cost {
			t.Errorf("%s costs %d, want %d", term, costs[term], cost)
		}
	}
	if _, there := costs["big.test a:never.test"]; there {
		t.Error("what stands after all was looked at")
	}
	for domain, want := range map[string]spf.Result{"loop.test": spf.PermError, "two.test": spf.PermError, "down.test": spf.TempError, "none.test": spf.None, "small.test": "", "museum": spf.None} {
		if got := spf.Survey(t.Context(), dns, domain); got.Result != want || (want != "") != (len(got.Problems) > 0) {
			t.Errorf("%s: %q %v, want %q", domain, got.Result, got.Problems, want)
		}
	}
}

// TestDNSDown: without DNS the result is temperror, and none is invented.
func TestDNSDown(t *testing.T) {
	for _, lines := range []string{
		"down.test ERR",
		"down.test TXT v=spf1 a:x.down.test -all\nx.down.test ERR",
		"down.test TXT v=spf1 redirect=x.down.test\nx.down.test ERR",
		"down.test TXT v=spf1 mx:x.down.test -all\nx.down.test MX y.down.test\ny.down.test ERR",
	} {
		got := spf.Check(t.Context(), world(lines), spf.Query{Addr: netip.MustParseAddr("192.0.2.1"), Helo: "h.test", Sender: "a@down.test"})
		if got.Result != spf.TempError || got.Problem == "" {
			t.Errorf("%q: %s %q", lines, got.Result, got.Problem)
		}
	}
}

// FuzzParse: a record that is read holds what can be evaluated, and no input takes long or ends the program.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		"v=spf1", "v=spf1 a mx/24//64 ip4:192.0.2.0/24 ip6:2001:db8::/32 -all", "v=spf1 exists:%{ir}.%{l1r-}.x.%{d2} ?all",
		"v=spf1 redirect=%{d}.x.test exp=a.b", "v=spf1 include:%%%_%-.test", "v=spf1 a:%{D9999r.-+,/_=}", "V=SPF1  a/0//0 ", "v=spf1 %{", "v=spf1 ip6:::/129",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		record, err := spf.Parse(text)
		if (record == nil) != (err != nil) || err != nil && !errors.Is(err, spf.ErrSyntax) {
			t.Fatalf("record %v, error %v", record, err)
		}
		dns := names{"x.test": {"TXT " + text}}
		got := spf.Check(t.Context(), dns, spf.Query{Addr: netip.MustParseAddr("2001:db8::1"), Helo: "h.test", Sender: "a@x.test"})
		if err != nil && spf.IsRecord(text) && got.Result != spf.PermError {
			t.Fatalf("%q: %s for a record with %v", text, got.Result, err)
		}
		if got.Lookups > spf.MaxLookups+1 || got.Voids > spf.MaxVoids+1 || len(got.Explanation) > 1<<20 {
			t.Fatalf("%q: limits %+v", text, got)
		}
		spf.Survey(t.Context(), dns, "x.test")
	})
}
