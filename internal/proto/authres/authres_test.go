package authres_test

import (
	"errors"
	"reflect"
	"strings"
	"testing"

	"postroad/internal/proto/authres"
)

type (
	results  = authres.Results
	method   = authres.Method
	property = authres.Property
)

// TestExamples reads the fields of RFC 8601 appendix B.
func TestExamples(t *testing.T) {
	for _, c := range []struct {
		name, body string
		want       results
	}{
		{"B.2 none", " example.org 1; none", results{ID: "example.org"}},
		{
			"B.3 one", " example.com; spf=pass smtp.mailfrom=example.net",
			results{ID: "example.com", Methods: []method{{Name: "spf", Result: "pass", Properties: []property{{"smtp", "mailfrom", "example.net"}}}}},
		},
		{
			"B.4 two", " example.com; auth=pass (cram-md5) smtp.auth=sender@example.net; spf=pass smtp.mailfrom=example.net",
			results{ID: "example.com", Methods: []method{
				{Name: "auth", Result: "pass", Properties: []property{{"smtp", "auth", "sender@example.net"}}},
				{Name: "spf", Result: "pass", Properties: []property{{"smtp", "mailfrom", "example.net"}}},
			}},
		},
		{
			"B.6 reason", ` example.com; dkim=pass reason="good signature" header.i=@mail-router.example.net; dkim=fail reason="bad signature" header.i=@newyork.example.com`,
			results{ID: "example.com", Methods: []method{
				{Name: "dkim", Result: "pass", Reason: "good signature", Properties: []property{{"header", "i", "@mail-router.example.net"}}},
				{Name: "dkim", Result: "fail", Reason: "bad signature", Properties: []property{{"header", "i", "@newyork.example.com"}}},
			}},
		},
		{
			"B.7 comments", ` foo.example.net (foobar) 1 (baz); dkim (Because I like it) / 1 (One yay) = (wait for it) fail policy (A dot can go here) . (like that) expired (this surprised me) = (as I wasn't expecting it) 1362471462`,
			results{ID: "foo.example.net", Methods: []method{{Name: "dkim", Result: "fail", Properties: []property{{"policy", "expired", "1362471462"}}}}},
		},
	} {
		got, err := authres.Parse(c.body)
		if err != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %+v, %v", c.name, got, err)
		}
	}
	for _, bad := range []string{"", ";", "example.com", "example.com spf=pass", "example.com; spf", "example.com; spf=", "example.com 2; none", "example.com; none; spf=pass", "(", "example.com; spf=pass smtp.mailfrom", `"example.com; none`, "example.com; spf=pass smtp", "example.com; =pass"} {
		if _, err := authres.Parse(bad); !errors.Is(err, authres.ErrSyntax) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

// TestWritten: what is written is read as it was, whatever strangers put into it, in lines of SMTP.
func TestWritten(t *testing.T) {
	r := results{ID: "mx.postroad.example", Methods: []method{
		{Name: "spf", Result: "fail", Comment: "192.0.2.1 is not allowed", Properties: []property{{"smtp", "mailfrom", "a b\r\nX: y@ex\"ample.com"}, {"smtp", "helo", ""}}},
		{Name: "dkim", Result: "pass", Comment: "evil) header.d=bank.example (", Reason: `a "quoted" \ reason; dkim=pass`, Properties: []property{{"header", "d", "bücher.example"}, {"header", "b", "abcd/+=="}}},
		{Name: "dmarc", Result: "fail", Properties: []property{{"header", "from", "acme.example"}, {"polrec", "p", "reject"}, {"smtp", "mailfrom", strings.Repeat("ü", 2000)}}},
	}}
	text := string(r.AppendTo(nil))
	body, ok := strings.CutPrefix(text, authres.Name+": ")
	if !ok || !strings.HasSuffix(text, "\r\n") || strings.Count(text, "\r\n") != strings.Count(text, "\n") || strings.Contains(text, "evil") {
		t.Fatalf("field %q", text)
	}
	lines := strings.Split(strings.TrimSuffix(text, "\r\n"), "\r\n")
	for i, line := range lines {
		if len(line) > 998 || i > 0 && line[0] != '\t' {
			t.Errorf("line %q", line)
		}
	}
	got, err := authres.Parse(strings.ReplaceAll(body, "\r\n", ""))
	if err != nil {
		t.Fatalf("%v in %q", err, text)
	}
	if len(got.Methods) != 3 || got.Methods[1].Reason != r.Methods[1].Reason || got.Methods[0].Get("smtp", "mailfrom") != "a b??X: y@ex\"ample.com" ||
		got.Methods[1].Get("header", "d") != "bücher.example" || got.Methods[2].Get("polrec", "P") != "reject" || got.Methods[1].Get("header", "b") != "abcd/+==" {
		t.Errorf("read back %+v", got)
	}
	none := results{ID: "mx.postroad.example"}
	if got := string(none.AppendTo(nil)); got != "Authentication-Results: mx.postroad.example; none\r\n" {
		t.Errorf("%q", got)
	}
}

// TestClaims: fields that say they are ours, in whatever spelling, and those that nobody can read (RFC 8601 §5).
func TestClaims(t *testing.T) {
	ids := []string{"mx.postroad.example", "xn--bcher-kva.example"}
	for body, want := range map[string]bool{
		" mx.postroad.example; spf=pass":               true,
		" MX.Postroad.EXAMPLE 1; none":                 true,
		` "mx.postroad.example"; none`:                 true,
		" (c) mx.postroad.example(x); spf=pass":        true,
		" mx.postroad.example.; none":                  true,
		" bücher.example; none":                        true,
		" BÜCHER.example; none":                        true,
		" mx.postroad.example":                         true,
		" mx.postroad.example; spf=pass (unfinished":   true,
		" mx.postroad.example spf=pass":                true,
		" (unfinished mx.postroad.example; none":       true,
		"":                                             true,
		" other.example; spf=pass":                     false,
		" xmx.postroad.example; none":                  false,
		" other.example; x=mx.postroad.example":        false,
		" other.example (mx.postroad.example); none":   false,
		` "other.example; mx.postroad.example"; none `: false,
	} {
		if got := authres.Claims(body, ids); got != want {
			t.Errorf("%q: %v", body, got)
		}
	}
}

// FuzzParse: what is read can be written and read again to the same.
func FuzzParse(f *testing.F) {
	f.Add(` example.com 1; dkim=pass reason="x" header.i=@a.example; spf=fail smtp.mailfrom="a b"@c (d(e\)))`)
	f.Add(` "ex\"ample" ; none`)
	f.Fuzz(func(t *testing.T, body string) {
		authres.Claims(body, []string{"a.example"})
		r, err := authres.Parse(body)
		if err != nil {
			return
		}
		text := string(r.AppendTo(nil))
		again, err := authres.Parse(strings.ReplaceAll(strings.TrimPrefix(text, authres.Name+":"), "\r\n", ""))
		if err != nil {
			t.Fatalf("%q was written as %q: %v", body, text, err)
		}
		if len(again.Methods) != len(r.Methods) {
			t.Fatalf("%q was written as %q", body, text)
		}
	})
}
