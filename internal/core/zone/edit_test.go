package zone

import (
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"postroad/internal/proto/dns"
)

// lines shows records, one string each.
func lines(records []dns.Record) []string {
	out := []string{}
	for _, r := range records {
		out = append(out, r.String())
	}
	return out
}

func TestRecordsAreAddedRemovedAndReplaced(t *testing.T) {
	base := records(t, "@ 300 MX 10 a\n@ 300 MX 20 B\nwww 60 A 192.0.2.1")
	for name, c := range map[string]struct {
		got  []dns.Record
		want string
	}{
		"add":              {Add(base, records(t, "@ 300 MX 5 c")...), "@ 300 MX 5 c\n@ 300 MX 10 a\n@ 300 MX 20 B\nwww 60 A 192.0.2.1"},
		"add with a TTL":   {Add(base, records(t, "@ 60 MX 5 c")...), "@ 60 MX 5 c\n@ 60 MX 10 a\n@ 60 MX 20 B\nwww 60 A 192.0.2.1"},
		"add again":        {Add(base, records(t, "@ 60 MX 20 b")...), "@ 60 MX 10 a\n@ 60 MX 20 b\nwww 60 A 192.0.2.1"},
		"add a name":       {Add(base, records(t, "ftp 60 A 192.0.2.1\nx 60 A 192.0.2.1")...), "@ 300 MX 10 a\n@ 300 MX 20 B\nwww 60 A 192.0.2.1\nftp 60 A 192.0.2.1\nx 60 A 192.0.2.1"},
		"add nothing":      {Add(base), "@ 300 MX 10 a\n@ 300 MX 20 B\nwww 60 A 192.0.2.1"},
		"remove":           {Remove(base, records(t, "@ 1 MX 20 b")...), "@ 300 MX 10 a\nwww 60 A 192.0.2.1"},
		"remove the last":  {Remove(base, records(t, "www 60 A 192.0.2.1")...), "@ 300 MX 10 a\n@ 300 MX 20 B"},
		"remove none":      {Remove(base, records(t, "www 60 A 192.0.2.2\ny 1 A 192.0.2.1\n@ 300 A 192.0.2.1")...), "@ 300 MX 10 a\n@ 300 MX 20 B\nwww 60 A 192.0.2.1"},
		"replace by one":   {Replace(base, "example.net.", dns.TypeMX, records(t, "x 60 MX 0 c")...), "@ 60 MX 0 c\nwww 60 A 192.0.2.1"},
		"replace by none":  {Replace(base, "example.net.", dns.TypeMX), "www 60 A 192.0.2.1"},
		"replace anew":     {Replace(base, "ftp.example.net.", dns.TypeA, records(t, "x 60 A 192.0.2.1\nx 60 A 192.0.2.1")...), "@ 300 MX 10 a\n@ 300 MX 20 B\nwww 60 A 192.0.2.1\nftp 60 A 192.0.2.1"},
		"sort repetitions": {Sort(records(t, "@ 1 MX 10 a\n@ 2 MX 10 A\n@ 3 MX 10 b\n@ 4 TXT a\n@ 4 TXT A")), "@ 1 MX 10 a\n@ 3 MX 10 b\n@ 4 TXT a\n@ 4 TXT A"},
	} {
		if want := records(t, c.want); !slices.Equal(lines(c.got), lines(want)) {
			t.Errorf("%s: %q, want %q", name, lines(c.got), lines(want))
		}
	}
	if !reflect.DeepEqual(base, records(t, "@ 300 MX 10 a\n@ 300 MX 20 B\nwww 60 A 192.0.2.1")) {
		t.Error("the records given were changed")
	}
	if set := RRset(base, "example.net.", dns.TypeMX); len(set) != 2 || len(RRset(base, "example.net.", dns.TypeA)) != 0 || len(RRset(nil, "a.", dns.TypeA)) != 0 {
		t.Errorf("sets: %v", set)
	}
}

// some gives random records of few owners, types and data, so that they often meet.
func some(tb testing.TB, rng *rand.Rand) []dns.Record {
	tb.Helper()
	all := records(tb, twelve+"www 60 A 192.0.2.9\nwww 60 A 192.0.2.8\n@ 60 MX 5 MX1.host.example.\nb\\.c.a 5 TXT x\n* 5 A 192.0.2.1")
	rng.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	all = all[:rng.IntN(len(all))]
	for i := range all {
		all[i].TTL = uint32(30 + 30*rng.IntN(2))
	}
	return all
}

func TestPlansLeadThere(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		current, wanted := Sort(some(t, rng)), Sort(some(t, rng))
		// The rule of RFC 2181 §5.2, as Replace keeps it.
		for _, side := range [][]dns.Record{current, wanted} {
			for i := range side {
				if i > 0 && compareSets(side[i-1], side[i]) == 0 {
					side[i].TTL = side[i-1].TTL
				}
			}
		}
		d := Plan(current, wanted)
		if got := d.Apply(current); !slices.Equal(lines(got), lines(wanted)) {
			t.Fatalf("from\n%q\nto\n%q\ncame\n%q\nby\n%s", lines(current), lines(wanted), lines(got), d.Text())
		}
		if got := d.Reverse().Apply(wanted); !slices.Equal(lines(got), lines(current)) {
			t.Fatalf("back from\n%q\nto\n%q\ncame\n%q", lines(wanted), lines(current), lines(got))
		}
		if again := Plan(wanted, wanted); len(again) != 0 || (len(d) == 0) != slices.Equal(lines(current), lines(wanted)) || (len(d) == 0) != (d.Text() == "") || (len(d) == 0) != (len(d.Sentences()) == 0) {
			t.Fatalf("%d changes: %q", len(d), d.Sentences())
		}
	}
}

func TestDifferencesAreToldInSentences(t *testing.T) {
	for name, c := range map[string]struct {
		before, after string
		say           []string
		text          string
	}{
		"added": {"", "@ 300 MX 10 mail", []string{"Adds MX 10 mail.example.net. to example.net."}, "+ example.net.\t300\tIN\tMX\t10 mail.example.net.\n"},
		"two removed": {
			"@ 300 MX 10 mail\n@ 300 MX 20 mx\nwww 300 A 192.0.2.1", "www 300 A 192.0.2.1",
			[]string{"Removes MX 10 mail.example.net. from example.net.", "Removes MX 20 mx.example.net. from example.net."},
			"- example.net.\t300\tIN\tMX\t10 mail.example.net.\n- example.net.\t300\tIN\tMX\t20 mx.example.net.\n",
		},
		"changed": {
			"xn--bcher-kva 300 A 192.0.2.1", "xn--bcher-kva 60 A 192.0.2.2",
			[]string{"Changes A of bücher.example.net (xn--bcher-kva.example.net) from 192.0.2.1 to 192.0.2.2.", "Changes the TTL of A at bücher.example.net (xn--bcher-kva.example.net) from 5m to 1m."},
			"- xn--bcher-kva.example.net.\t300\tIN\tA\t192.0.2.1\n+ xn--bcher-kva.example.net.\t60\tIN\tA\t192.0.2.2\n",
		},
		"TTL": {
			"@ 300 NS a\n@ 300 NS b", "@ 3600 NS a\n@ 3600 NS b",
			[]string{"Changes the TTL of NS at example.net from 5m to 1h."},
			"- example.net.\t300\tIN\tNS\ta.example.net.\n- example.net.\t300\tIN\tNS\tb.example.net.\n+ example.net.\t3600\tIN\tNS\ta.example.net.\n+ example.net.\t3600\tIN\tNS\tb.example.net.\n",
		},
		"TTLs made equal": {
			"@ 300 NS a\n@ 60 NS b", "@ 300 NS a\n@ 300 NS b",
			[]string{"Gives all of NS at example.net the same TTL, 5m."},
			"- example.net.\t60\tIN\tNS\tb.example.net.\n+ example.net.\t300\tIN\tNS\tb.example.net.\n",
		},
		"serial": {"@ 300 SOA a b 1 2 3 4 5", "@ 300 SOA a b 9 2 3 4 5", []string{}, ""},
		"SOA": {
			"@ 300 SOA a b 1 7200 3 4 5", "@ 300 SOA a c.d. 9 3600 3 4 5",
			[]string{"Changes the SOA of example.net: mailbox from b@example.net to c@d, refresh from 2h to 1h."},
			"- example.net.\t300\tIN\tSOA\ta.example.net. b.example.net. 1 7200 3 4 5\n+ example.net.\t300\tIN\tSOA\ta.example.net. c.d. 9 3600 3 4 5\n",
		},
		"case": {"@ 300 MX 10 Mail", "@ 300 MX 10 mail", []string{"Changes MX of example.net from 10 Mail.example.net. to 10 mail.example.net."}, "- example.net.\t300\tIN\tMX\t10 Mail.example.net.\n+ example.net.\t300\tIN\tMX\t10 mail.example.net.\n"},
	} {
		d := Plan(records(t, c.before), records(t, c.after))
		if got := d.Sentences(); !slices.Equal(got, c.say) || d.Text() != c.text {
			t.Errorf("%s: %q\n%s", name, got, d.Text())
		}
	}
}
