package mime

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"postroad/internal/proto/message"
)

// FuzzParse holds what a tree promises: parts lie in each other and in order, the
// header is what message.SplitHeader finds, and no input takes long.
func FuzzParse(f *testing.F) {
	f.Add([]byte(crlf(sectioned)))
	f.Add([]byte("Content-Type: multipart/mixed; boundary=b\n\n--b\n\n--b--"))
	f.Add([]byte("Content-Type: message/rfc822\n\nTo: a: b, <c@d>;\n\nx"))
	f.Add([]byte("Content-Type: a/b; n*0*=x'y'z; n*1=\"q\\\"\"\r\nContent-Language: a,b\r\n\r\n"))
	f.Fuzz(func(t *testing.T, msg []byte) {
		began := time.Now()
		root := Parse(msg)
		if took, budget := time.Since(began), 100*time.Millisecond+time.Duration(len(msg))*10*time.Microsecond; took > budget {
			t.Errorf("%d octets took %v", len(msg), took)
		}
		header, body, _ := message.SplitHeader(msg)
		if !bytes.Equal(msg[:root.HeaderEnd], header) || !bytes.Equal(msg[root.Body:root.End], body) {
			t.Errorf("header %q, body %q", msg[:root.HeaderEnd], msg[root.Body:root.End])
		}
		check(t, msg, root)
		if parts, depth := count(root); parts > MaxParts || depth > MaxDepth {
			t.Errorf("%d parts, depth %d", parts, depth)
		}
	})
}

func check(t *testing.T, msg []byte, p *Part) {
	t.Helper()
	if p.Start > p.HeaderEnd || p.HeaderEnd > p.Body || p.Body > p.End || p.End > len(msg) {
		t.Fatalf("%d, %d, %d, %d of %d", p.Start, p.HeaderEnd, p.Body, p.End, len(msg))
	}
	if p.Lines != bytes.Count(msg[p.Body:p.End], []byte{'\n'}) {
		t.Errorf("%d lines in %q", p.Lines, msg[p.Body:p.End])
	}
	if (p.Type == "multipart") != (len(p.Parts) > 0) || p.isMessage() != (p.Message != nil) || (p.Message != nil) != (p.Envelope != nil) {
		t.Errorf("%s/%s has %d parts, message %v", p.Type, p.Subtype, len(p.Parts), p.Message != nil)
	}
	if _, err := Decode(p.Encoding, msg[p.Body:p.End]); err == nil && p.Type == "text" {
		if _, ok := p.ReadableText(msg); !ok {
			t.Error("a text that cannot be read")
		}
	}
	at := p.Body
	for _, child := range p.Parts {
		if child.Start < at || child.End > p.End {
			t.Errorf("part from %d to %d in one from %d to %d", child.Start, child.End, at, p.End)
		}
		at = child.End
		check(t, msg, child)
	}
	if p.Message != nil {
		check(t, msg, p.Message)
	}
}

// FuzzEnvelope reads envelopes from arbitrary headers in bounded time.
func FuzzEnvelope(f *testing.F) {
	f.Add([]byte("From: \"a\" <b@c> (d)\r\nTo: g: e@f, h@i;\r\nSubject: =?utf-8?q?x?=\r\n"))
	f.Add([]byte(strings.Repeat("To: <<<\"\r\n", 10)))
	f.Fuzz(func(t *testing.T, header []byte) {
		began := time.Now()
		e := ReadEnvelope(header)
		if took, budget := time.Since(began), 100*time.Millisecond+time.Duration(len(header))*10*time.Microsecond; took > budget {
			t.Errorf("%d octets took %v", len(header), took)
		}
		open := 0
		for _, a := range e.To {
			switch a.Kind {
			case GroupStart:
				open++
			case GroupEnd:
				open--
			}
			if open < 0 || open > 1 {
				t.Fatalf("groups in %q", header)
			}
		}
		if open != 0 {
			t.Errorf("a group without end in %q", header)
		}
	})
}
