package spf_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"testing"

	"postroad/internal/proto/spf"
)

// pyspf evaluates cases with the Debian package python3-spf over a DNS that it is handed.
const pyspf = `
import json, sys, spf
case = json.load(sys.stdin)
zone = case["zone"]
def lookup(name, qtype, strict=True, timeout=None):
    name = name.lower().rstrip(".")
    for r in zone.get(name, []):
        kind, _, value = r.partition(" ")
        if kind == "ERR":
            raise spf.TempError("DNS timeout")
        if kind != qtype:
            continue
        if kind == "MX":
            value = (10, value)
        if kind == "TXT":
            value = (value.encode(),)
        if kind == "AAAA":
            value = str(value)
        yield ((name, qtype), value)
spf.DNSLookup = lookup
print(json.dumps([spf.check2(i=q[0], s=q[1], h=q[2])[0] for q in case["queries"]]))
`

// chance makes DNS worlds of SPF records.
type chance struct{ *rand.Rand }

func (c chance) of(words ...string) string { return words[c.IntN(len(words))] }

// term is one mechanism or modifier, seldom a wrong one. Exchangers have addresses of both families: about those that have
// none the two programs count differently. No record includes itself: pyspf says so before it evaluates anything.
func (c chance) term(own, n int) string {
	domain := fmt.Sprintf("d%d.test", c.IntN(n))
	if c.IntN(4) == 0 {
		domain = c.of("h1.test", "h2.test", "%{d}", "%{d1r}.test", "%{l}.h.test", "%{i}.x.test", "%{ir}.%{v}.y.test", "%{o2}", "gone.test", "%{h}", "%%.test")
	}
	term := c.of("", "", "", "-", "~", "?", "+")
	switch c.IntN(12) {
	case 0, 1:
		return term + "a:" + domain + c.of("", "", "/24", "/24//64", "//64", "/33")
	case 2:
		return term + "a" + c.of("", "/16")
	case 3:
		return term + "mx" + c.of("", "", "/24", "//48", ":m.test")
	case 4, 5:
		return fmt.Sprintf("include:d%d.test", (own+1+c.IntN(n-1))%n)
	case 6:
		return term + "exists:" + domain
	case 7:
		return term + c.of("ip4:192.0.2.0/24", "ip4:192.0.2.1", "ip6:2001:db8::/32", "ip4:198.51.100.7/31", "ip4:192.0.2.256", "ip6:2001:db8::1")
	case 8:
		return term + "ptr" + c.of("", ":h1.test")
	case 9:
		return term + "all"
	case 10:
		return c.of("exp=why.test", fmt.Sprintf("foo.%d=%%{d}", c.IntN(1<<20)), "ip4:192.0.2.9")
	}
	return c.of(term+"ip4:203.0.113.0/24", term+"a:h1.test", term+"mx:m.test", c.of("moo", "a:", "all:x", "include", "ip4", "x=%q", "a:museum"))
}

func (c chance) world(n int) names {
	dns := world(`
		h1.test A 192.0.2.1
		h1.test AAAA 2001:db8::1
		h2.test A 198.51.100.6
		h2.test AAAA 2001:db8:1::1
		m.test MX h1.test
		m.test MX h2.test
		1.2.0.192.in-addr.arpa PTR h1.test
		down.test ERR
		bob.h.test A 127.0.0.2
		192.0.2.1.x.test A 127.0.0.2
		1.2.0.192.in-addr.y.test A 127.0.0.2`)
	for i := range n {
		name := fmt.Sprintf("d%d.test", i)
		terms := []string{"v=spf1"}
		for range 1 + c.IntN(5) {
			terms = append(terms, c.term(i, n))
		}
		if c.IntN(4) == 0 {
			terms = append(terms, "redirect="+fmt.Sprintf("d%d.test", c.IntN(n)))
		} else if c.IntN(2) == 0 {
			terms = append(terms, c.of("-all", "~all", "?all"))
		}
		switch c.IntN(20) {
		case 0:
			continue // no record
		case 1:
			dns[name] = append(dns[name], "TXT v=spf1 -all")
		}
		dns[name] = append(dns[name], "TXT "+strings.Join(terms, " "), "MX h1.test", "MX h2.test", "A 192.0.2.77", "AAAA 2001:db8:2::2")
	}
	return dns
}

// TestAgainstPySPF compares results for records made by chance with those of pyspf.
func TestAgainstPySPF(t *testing.T) {
	const worlds, domains = 12, 30
	for seed := range uint64(worlds) {
		c := chance{rand.New(rand.NewPCG(seed, 7208))}
		dns := c.world(domains)
		var queries [][3]string
		for i := range domains {
			client := c.of("192.0.2.1", "198.51.100.6", "203.0.113.9", "2001:db8::1", "2001:db8:2::9")
			queries = append(queries, [3]string{client, c.of("bob", "al") + fmt.Sprintf("@d%d.test", i), c.of("h1.test", "h9.test")})
		}
		input, err := json.Marshal(map[string]any{"zone": dns, "queries": queries})
		if err != nil {
			t.Fatal(err)
		}
		cmd := exec.CommandContext(t.Context(), "/usr/bin/python3", "-W", "ignore", "-c", pyspf)
		cmd.Stdin, cmd.Stderr = bytes.NewReader(input), os.Stderr
		output, err := cmd.Output()
		if err != nil {
			t.Fatalf("python3 with python3-spf: %v", err)
		}
		var want []spf.Result
		if err := json.Unmarshal(output, &want); err != nil {
			t.Fatal(err)
		}
		for i, q := range queries {
			got := spf.Check(t.Context(), dns, spf.Query{Addr: netip.MustParseAddr(q[0]), Sender: q[1], Helo: q[2]})
			if got.Result != want[i] {
				name := fmt.Sprintf("d%d.test", i)
				t.Errorf("world %d, %v: %s (%s), pyspf says %s; record %v", seed, q, got.Result, got.Problem, want[i], dns[name])
			}
		}
	}
}
