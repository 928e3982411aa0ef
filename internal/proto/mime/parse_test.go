package mime

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// crlf writes messages as people read them.
func crlf(s string) string { return strings.ReplaceAll(s, "\n", "\r\n") }

// outline draws a tree: type, body, and the same of what is inside.
func outline(msg string, p *Part) string {
	var b strings.Builder
	var walk func(p *Part, number string)
	walk = func(p *Part, number string) {
		_, _ = fmt.Fprintf(&b, "%s %s/%s %q\n", number, p.Type, p.Subtype, msg[p.Body:p.End])
		for i, part := range p.Parts {
			walk(part, number+"."+strconv.Itoa(i+1))
		}
		if p.Message != nil {
			walk(p.Message, number+".m")
		}
	}
	walk(p, "")
	return b.String()
}

func TestParse(t *testing.T) {
	tests := []struct{ name, msg, want string }{
		{"text", "Subject: a\n\nhello\n", ` text/plain "hello\r\n"`},
		{"empty", "", ` text/plain ""`},
		{"header only", "Subject: a\n", ` text/plain ""`},
		{"body only", "\nhello", ` text/plain "hello"`},
		{"html", "Content-Type: Text/HTML; charset=x\n\nhello", ` text/html "hello"`},
		{"type that is none", "Content-Type: text\n\nhello", ` text/plain "hello"`},
		{
			"multipart", "Content-Type: multipart/mixed; boundary=b\n\npreamble\n--b\n\none\n--b\nContent-Type: text/html\n\ntwo\n\n--b--\nepilogue\n",
			` multipart/mixed "preamble\r\n--b\r\n\r\none\r\n--b\r\nContent-Type: text/html\r\n\r\ntwo\r\n\r\n--b--\r\nepilogue\r\n"
.1 text/plain "one"
.2 text/html "two\r\n"`,
		},
		{
			"delimiter with white space, quoted boundary", "Content-Type: multipart/mixed; boundary=\"b c\"\n\n--b c \t\n\none\n--b c--  \n",
			` multipart/mixed "--b c \t\r\n\r\none\r\n--b c--  \r\n"
.1 text/plain "one"`,
		},
		{
			"never closed", "Content-Type: multipart/mixed; boundary=b\n\n--b\n\none\n",
			` multipart/mixed "--b\r\n\r\none\r\n"
.1 text/plain "one\r\n"`,
		},
		{
			"inner never closed", "Content-Type: multipart/mixed; boundary=a\n\n--a\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\none\n--a\n\ntwo\n--a--\n",
			` multipart/mixed "--a\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\none\r\n--a\r\n\r\ntwo\r\n--a--\r\n"
.1 multipart/mixed "--b\r\n\r\none"
.1.1 text/plain "one"
.2 text/plain "two"`,
		},
		{
			"boundary that begins another", "Content-Type: multipart/mixed; boundary=a\n\n--a\nContent-Type: multipart/mixed; boundary=ab\n\n--ab\n\none\n--ab--\n--a--\n",
			` multipart/mixed "--a\r\nContent-Type: multipart/mixed; boundary=ab\r\n\r\n--ab\r\n\r\none\r\n--ab--\r\n--a--\r\n"
.1 multipart/mixed "--ab\r\n\r\none\r\n--ab--"
.1.1 text/plain "one"`,
		},
		{
			"same boundary inside", "Content-Type: multipart/mixed; boundary=a\n\n--a\nContent-Type: multipart/mixed; boundary=a\n\n--a\n\none\n--a--\n--a\n\ntwo\n--a--\n",
			` multipart/mixed "--a\r\nContent-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\n\r\none\r\n--a--\r\n--a\r\n\r\ntwo\r\n--a--\r\n"
.1 multipart/mixed "--a\r\n\r\none\r\n--a--"
.1.1 text/plain "one"
.2 text/plain "two"`,
		},
		{"no boundary named", "Content-Type: multipart/mixed\n\n--b\n\none\n", ` text/plain "--b\r\n\r\none\r\n"`},
		{"no part", "Content-Type: multipart/mixed; boundary=b\n\nhello\n--b--\n", ` text/plain "hello\r\n--b--\r\n"`},
		{
			"header that a delimiter ends", "Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: text/html\n--b\n--b\n\n--b--\n",
			` multipart/mixed "--b\r\nContent-Type: text/html\r\n--b\r\n--b\r\n\r\n--b--\r\n"
.1 text/html ""
.2 text/plain ""
.3 text/plain ""`,
		},
		{
			"digest", "Content-Type: multipart/digest; boundary=b\n\n--b\n\nSubject: x\n\none\n--b--\n",
			` multipart/digest "--b\r\n\r\nSubject: x\r\n\r\none\r\n--b--\r\n"
.1 message/rfc822 "Subject: x\r\n\r\none"
.1.m text/plain "one"`,
		},
		{
			"message", "Content-Type: message/rfc822\n\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\none\n--b--\n",
			` message/rfc822 "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\none\r\n--b--\r\n"
.m multipart/mixed "--b\r\n\r\none\r\n--b--\r\n"
.m.1 text/plain "one"`,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			msg := crlf(tt.msg)
			if diff := cmp.Diff(tt.want+"\n", outline(msg, Parse([]byte(msg)))); diff != "" {
				t.Errorf("tree (-want +got):\n%s", diff)
			}
		})
	}
}

func TestLineFeedsAloneEndLinesToo(t *testing.T) {
	msg := "Content-Type: multipart/mixed; boundary=b\n\n--b\n\none\n--b--\n"
	want := " multipart/mixed \"--b\\n\\none\\n--b--\\n\"\n.1 text/plain \"one\"\n"
	if got := outline(msg, Parse([]byte(msg))); got != want {
		t.Errorf("tree is\n%s", got)
	}
}

func TestSizesAndLines(t *testing.T) {
	msg := crlf("Content-Type: multipart/mixed; boundary=b\n\n--b\n\none\ntwo\n--b\nContent-Type: message/rfc822\n\nSubject: x\n\nthree\n\n--b--\n")
	root := Parse([]byte(msg))
	for _, tt := range []struct {
		p           *Part
		size, lines int
	}{
		{root.Parts[0], 8, 1},
		{root.Parts[1], 21, 3},
		{root.Parts[1].Message, 7, 1},
		{root, len(msg) - len("Content-Type: multipart/mixed; boundary=b\r\n\r\n"), 12},
	} {
		if tt.p.Size() != tt.size || tt.p.Lines != tt.lines {
			t.Errorf("%s/%s: %d octets in %d lines, want %d in %d", tt.p.Type, tt.p.Subtype, tt.p.Size(), tt.p.Lines, tt.size, tt.lines)
		}
	}
}

func count(p *Part) (parts, depth int) {
	parts = 1
	inside := p.Parts
	if p.Message != nil {
		inside = []*Part{p.Message}
	}
	for _, child := range inside {
		n, d := count(child)
		parts += n
		depth = max(depth, d+1)
	}
	return parts, depth
}

func TestHostileTrees(t *testing.T) {
	nested := func(n int) string {
		var b strings.Builder
		for i := range n {
			_, _ = fmt.Fprintf(&b, "Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n", i, i)
		}
		return b.String()
	}
	tests := []struct {
		name, msg    string
		parts, depth int
	}{
		{"2,000 multiparts in each other", nested(2000), MaxDepth + 1, MaxDepth},
		{"2,000 messages in each other", strings.Repeat("Content-Type: message/rfc822\n\n", 2000), MaxDepth + 1, MaxDepth},
		{"50,000 parts", "Content-Type: multipart/mixed; boundary=b\n\n" + strings.Repeat("--b\n\nx\n", 50_000), MaxParts, 1},
		{"50,000 messages", "Content-Type: multipart/digest; boundary=b\n\n" + strings.Repeat("--b\n\nA: b\n\nx\n", 50_000), MaxParts, 2},
		{"a million lines that look like delimiters", "Content-Type: multipart/mixed; boundary=b\n\n" + strings.Repeat("--c\n", 1_000_000), 1, 0},
		{"delimiters below 90 open multiparts", nested(90) + strings.Repeat("--x\n", 1_000_000), 91, 90},
		{"a header of 1 MiB", "Subject: " + strings.Repeat("x\n y\n", 200_000) + "\nbody", 1, 0},
		{"a million parameters", "Content-Type: text/plain" + strings.Repeat("; a=b", 50_000) + "\n\nbody", 1, 0},
		{"parts with many parameters", "Content-Type: multipart/mixed; boundary=b\n\n" + strings.Repeat("--b\nContent-Type: text/x"+strings.Repeat(";a=b", 100)+"\n\n", 5_000), 5_001, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			msg := []byte(crlf(tt.msg))
			root := Parse(msg)
			if parts, depth := count(root); parts != tt.parts || depth != tt.depth {
				t.Errorf("%d parts in %d levels, want %d in %d", parts, depth, tt.parts, tt.depth)
			}
			if root.End != len(msg) {
				t.Errorf("the tree ends at %d of %d octets", root.End, len(msg))
			}
		})
	}
}

func TestWhatATreeHoldsIsBounded(t *testing.T) {
	part := "--b\nContent-Type: message/rfc822\nContent-ID: " + strings.Repeat("i", 500) + "\n\nTo: " + strings.Repeat("a@b,", 500) + "\n\n"
	root := Parse([]byte(crlf("Content-Type: multipart/mixed; boundary=b\n\n" + strings.Repeat(part, 2000))))
	held := 0
	for _, p := range root.Parts {
		held += len(p.ID)
		if p.Envelope != nil {
			held += p.Envelope.size()
		}
	}
	if held > 2*MaxText || held < MaxText/2 {
		t.Errorf("%d octets are held, limit %d", held, MaxText)
	}
}

func TestContent(t *testing.T) {
	tests := []struct {
		name, header string
		want         Content
	}{
		{"nothing", "", Content{Type: "text", Subtype: "plain", Encoding: "7bit"}},
		{
			"everything", "Content-Type: Image/PNG (a \\) comment); Name=\"a \\\"b\\\".png\" ; X=y\nContent-ID: <1@x>\nContent-Description: a\n picture\n" +
				"Content-Transfer-Encoding: BASE64 (as ever)\nContent-MD5: Q2hlY2s=\nContent-Disposition: Attachment; filename=b.png\nContent-Language: de, en (x),fr\nContent-Location: http://x/\n",
			Content{
				Type: "image", Subtype: "png", Params: []Param{{"name", `a "b".png`}, {"x", "y"}}, ID: "<1@x>", Description: "a picture",
				Encoding: "base64", MD5: "Q2hlY2s=", Disposition: "attachment", DispositionParams: []Param{{"filename", "b.png"}},
				Language: []string{"de", "en", "fr"}, Location: "http://x/",
			},
		},
		{"first of two", "Content-Type: a/b\nContent-Type: c/d\n", Content{Type: "a", Subtype: "b", Encoding: "7bit"}},
		{"white space everywhere", "Content-Type : text / html ;; charset = utf-8 ; ;x;y=\n", Content{
			Type: "text", Subtype: "html", Encoding: "7bit", Params: []Param{{"charset", "utf-8"}, {"y", ""}},
		}},
		{"quotes never closed", "Content-Type: text/html; name=\"a b;c\\\n", Content{
			Type: "text", Subtype: "html", Encoding: "7bit", Params: []Param{{"name", "a b;c\\"}},
		}},
		{"pieces", "Content-Disposition: attachment; filename*1=\"b.txt\"; filename*0=\"a \"; x=y\n", Content{
			Type: "text", Subtype: "plain", Encoding: "7bit", Disposition: "attachment", DispositionParams: []Param{{"filename", "a b.txt"}, {"x", "y"}},
		}},
		{"pieces with a character set", "Content-Type: a/b; name*0*=utf-8'en'a%20; name*1=\"b%\"; name*2*=%C3%A4\n", Content{
			Type: "a", Subtype: "b", Encoding: "7bit", Params: []Param{{"name*", "utf-8'en'a%20b%25%C3%A4"}},
		}},
		{"pieces that do not follow each other", "Content-Type: a/b; name*0=a; name*2=b\n", Content{
			Type: "a", Subtype: "b", Encoding: "7bit", Params: []Param{{"name*0", "a"}, {"name*2", "b"}},
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			room := MaxText
			if diff := cmp.Diff(tt.want, readContent([]byte(crlf(tt.header)), false, &room)); diff != "" {
				t.Errorf("content (-want +got):\n%s", diff)
			}
		})
	}
}
