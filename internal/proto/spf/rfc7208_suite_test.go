package spf_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"postroad/internal/proto/spf"
)

// suiteCases is the number of cases in the suite, so that none is lost without notice.
const suiteCases = 203

var errTimeout = errors.New("timeout")

// zone is a DNS in the form of the suite: names in lower case.
type zone map[string][]map[string]json.RawMessage

// strings reads a value that is one string or several that belong together.
func text(t *testing.T, raw json.RawMessage) string {
	t.Helper()
	var one string
	if json.Unmarshal(raw, &one) == nil {
		return latin(one)
	}
	var several []string
	if err := json.Unmarshal(raw, &several); err != nil {
		t.Fatalf("value %s: %v", raw, err)
	}
	return latin(strings.Join(several, ""))
}

// latin gives one octet for each character, as the suite writes octets.
func latin(s string) string {
	out := make([]byte, 0, len(s))
	for _, r := range s {
		out = append(out, byte(r))
	}
	return string(out)
}

// records gives the values of a type at a name; a name with SPF records and no TXT has these as TXT.
func (z suiteResolver) records(name, kind string, depth int) ([]json.RawMessage, error) {
	var out []json.RawMessage
	timeout, txt, spfs := false, false, []json.RawMessage(nil)
	for _, r := range z.zone[strings.ToLower(strings.TrimSuffix(name, "."))] {
		if _, ok := r["TIMEOUT"]; ok {
			timeout = true
		}
		if c, ok := r["CNAME"]; ok && kind != "CNAME" {
			if depth > 8 {
				return nil, errTimeout
			}
			return z.records(text(z.t, c), kind, depth+1)
		}
		if v, ok := r["TXT"]; ok {
			txt = true
			if kind == "TXT" && string(v) != `"NONE"` {
				out = append(out, v)
			}
		}
		if v, ok := r["SPF"]; ok {
			spfs = append(spfs, v)
		}
		if v, ok := r[kind]; ok && kind != "TXT" {
			out = append(out, v)
		}
	}
	if kind == "TXT" && !txt {
		out = spfs
	}
	switch {
	case len(out) > 0:
		return out, nil
	case timeout:
		return nil, errTimeout
	}
	return nil, spf.ErrNotFound
}

type suiteResolver struct {
	t    *testing.T
	zone zone
}

func (z suiteResolver) TXT(_ context.Context, name string) ([]string, error) {
	raws, err := z.records(name, "TXT", 0)
	var out []string
	for _, raw := range raws {
		out = append(out, text(z.t, raw))
	}
	return out, err
}

func (z suiteResolver) Addrs(_ context.Context, name string, six bool) ([]netip.Addr, error) {
	kind := "A"
	if six {
		kind = "AAAA"
	}
	raws, err := z.records(name, kind, 0)
	var out []netip.Addr
	for _, raw := range raws {
		out = append(out, netip.MustParseAddr(text(z.t, raw)))
	}
	return out, err
}

func (z suiteResolver) MX(_ context.Context, name string) ([]string, error) {
	raws, err := z.records(name, "MX", 0)
	var out []string
	for _, raw := range raws {
		var pair []any
		if err := json.Unmarshal(raw, &pair); err != nil {
			z.t.Fatal(err)
		}
		if host, _ := pair[1].(string); host != "" {
			out = append(out, host)
		}
	}
	return out, err
}

func (z suiteResolver) PTR(_ context.Context, a netip.Addr) ([]string, error) {
	raws, err := z.records(reverse(a), "PTR", 0)
	var out []string
	for _, raw := range raws {
		out = append(out, text(z.t, raw))
	}
	return out, err
}

func reverse(a netip.Addr) string {
	if a.Is4() {
		parts := strings.Split(a.String(), ".")
		slices.Reverse(parts)
		return strings.Join(parts, ".") + ".in-addr.arpa"
	}
	digits := strings.Split(strings.ReplaceAll(strings.ReplaceAll(a.StringExpanded(), ":", ""), "", "."), ".")
	digits = digits[1 : len(digits)-1]
	slices.Reverse(digits)
	return strings.Join(digits, ".") + ".ip6.arpa"
}

// shared finds a file of the folder of suites that lies beside the checkout.
func shared(t *testing.T, path string) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if file := filepath.Join(dir, "..", "shared", path); exists(file) {
			return file
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return ""
		}
		dir = parent
	}
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// TestRFC7208Suite runs the openspf suite (2014.04), which lies outside the repository.
func TestRFC7208Suite(t *testing.T) {
	file := shared(t, "conformance/spf/rfc7208-tests.json")
	if file == "" {
		t.Log("the suite is not there: ../shared/conformance/spf/rfc7208-tests.json; nothing of it was run")
		return
	}
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var scenarios []struct {
		Description string                                `json:"description"`
		Tests       map[string]map[string]json.RawMessage `json:"tests"`
		Zone        zone                                  `json:"zonedata"`
	}
	if err := json.Unmarshal(data, &scenarios); err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, s := range scenarios {
		folded := zone{}
		for name, records := range s.Zone {
			folded[strings.ToLower(name)] = records
		}
		for name, c := range s.Tests {
			n++
			t.Run(s.Description+"/"+name, func(t *testing.T) {
				got := spf.Check(t.Context(), suiteResolver{t, folded}, spf.Query{
					Addr: netip.MustParseAddr(text(t, c["host"])), Helo: text(t, c["helo"]), Sender: text(t, c["mailfrom"]),
				})
				var want []string
				if json.Unmarshal(c["result"], &want) != nil {
					want = []string{text(t, c["result"])}
				}
				if !slices.Contains(want, string(got.Result)) {
					t.Errorf("%s: got %s (%s), want %v; terms %+v", name, got.Result, got.Problem, want, got.Terms)
				}
				if raw, ok := c["explanation"]; ok {
					explanation := text(t, raw)
					if explanation == "DEFAULT" {
						explanation = ""
					}
					if got.Explanation != explanation {
						t.Errorf("explanation %q, want %q", got.Explanation, explanation)
					}
				}
			})
		}
	}
	if n != suiteCases {
		t.Errorf("the suite has %d cases, want %d", n, suiteCases)
	}
}
