package message

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestSplitHeader(t *testing.T) {
	long := "Subject: " + strings.Repeat("x", MaxHeader)
	fits := "A: " + strings.Repeat("x", MaxHeader-5) + "\r\n"
	tests := []struct {
		name, msg, header, body string
		refused                 bool
	}{
		{name: "usual", msg: "A: 1\r\nB: 2\r\n\r\ntext\r\n", header: "A: 1\r\nB: 2\r\n", body: "text\r\n"},
		{name: "empty message"},
		{name: "no header", msg: "\r\ntext\r\n", body: "text\r\n"},
		{name: "no body", msg: "A: 1\r\n\r\n", header: "A: 1\r\n"},
		{name: "no empty line", msg: "A: 1\r\nB: 2\r\n", header: "A: 1\r\nB: 2\r\n"},
		{name: "no line end", msg: "A: 1", header: "A: 1"},
		{name: "first line is no field", msg: "hello\r\nA: 1\r\n\r\ntext", header: "hello\r\nA: 1\r\n", body: "text"},
		{name: "mbox line", msg: "From x@y Thu\r\nA: 1\r\n\r\ntext", header: "From x@y Thu\r\nA: 1\r\n", body: "text"},
		{name: "bare LF ends lines too", msg: "A: 1\n\nB: 2\r\n\r\ntext", header: "A: 1\n", body: "B: 2\r\n\r\ntext"},
		{name: "mixed line ends", msg: "A: 1\n\r\nB: 2\n\ntext", header: "A: 1\n", body: "B: 2\n\ntext"},
		{name: "white space is no empty line", msg: "A: 1\r\n \r\nB: 2\r\n\r\n", header: "A: 1\r\n \r\nB: 2\r\n"},
		{name: "bare CR is no line end", msg: "A: 1\r\rB: 2\r\n\r\nx", header: "A: 1\r\rB: 2\r\n", body: "x"},
		{name: "largest header", msg: fits + "\r\nx", header: fits, body: "x"},
		{name: "one octet too many", msg: "A" + fits + "\r\nx", body: "A" + fits + "\r\nx", refused: true},
		{name: "too large without lines", msg: long, body: long, refused: true},
		{name: "too large after a field", msg: "A: 1\r\n" + long, header: "A: 1\r\n", body: long, refused: true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			header, body, ok := SplitHeader([]byte(tt.msg))
			if string(header) != tt.header || string(body) != tt.body || ok == tt.refused {
				t.Errorf("SplitHeader(%.80q) = %.80q, %.80q, %v", tt.msg, header, body, ok)
			}
		})
	}
}

func TestFields(t *testing.T) {
	type field struct{ Name, Raw, Value string }
	tests := []struct {
		name, header string
		want         []field
	}{
		{"folded", "Subject: a\r\n  b\r\n\tc\r\nTo: x\r\n", []field{
			{"Subject", "Subject: a\r\n  b\r\n\tc\r\n", "a  b\tc"},
			{"To", "To: x\r\n", "x"},
		}},
		{"obsolete space before the colon", "Subject \t: a\r\n", []field{{"Subject", "Subject \t: a\r\n", "a"}}},
		{"no space after the colon", "A:1\r\n", []field{{"A", "A:1\r\n", "1"}}},
		{"empty value", "A:\r\nB: \r\n", []field{{"A", "A:\r\n", ""}, {"B", "B: \r\n", ""}}},
		{"no field", "hello world\r\nA: 1\r\n", []field{{"", "hello world\r\n", "hello world"}, {"A", "A: 1\r\n", "1"}}},
		{"no name", ": x\r\n", []field{{"", ": x\r\n", ": x"}}},
		{"begins folded", " x: y\r\nA: 1\r\n", []field{{"", " x: y\r\n", "x: y"}, {"A", "A: 1\r\n", "1"}}},
		{"name outside ASCII", "Fröm: x\r\n", []field{{"", "Fröm: x\r\n", "Fröm: x"}}},
		{"NUL in the name", "Fr\x00om: x\r\n", []field{{"", "Fr\x00om: x\r\n", "Fr\x00om: x"}}},
		{"octets are kept", "A: \xff\x00\r\r\n", []field{{"A", "A: \xff\x00\r\r\n", "\xff\x00\r"}}},
		{"last line open", "A: 1\r\nB: 2", []field{{"A", "A: 1\r\n", "1"}, {"B", "B: 2", "2"}}},
		{"empty line is no field", "A: 1\r\n\r\nB: 2\r\n", []field{{"A", "A: 1\r\n", "1"}, {"", "\r\n", ""}, {"B", "B: 2\r\n", "2"}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var got []field
			for f := range Fields([]byte(tt.header)) {
				got = append(got, field{f.Name, string(f.Raw), f.Value()})
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestFieldsStopsWhenAsked(t *testing.T) {
	n := 0
	for range Fields([]byte("A: 1\r\nB: 2\r\n")) {
		n++
		break
	}
	if n != 1 {
		t.Errorf("%d fields", n)
	}
}

func TestCountAndValues(t *testing.T) {
	header := []byte("Received: a\r\nRECEIVED : b\r\n c\r\nReceived-SPF: no\r\nReceive: no\r\n Received: no\r\nreceived:d\r\nDelivered-To: x@y \r\n")
	if n := Count(header, "Received"); n != 3 {
		t.Errorf("Count = %d, want 3", n)
	}
	if got, want := Values(header, "received"), []string{"a", "b c", "d"}; !slices.Equal(got, want) {
		t.Errorf("Values = %q, want %q", got, want)
	}
	if got := Values(header, "Delivered-To"); !slices.Equal(got, []string{"x@y"}) {
		t.Errorf("Values = %q", got)
	}
	for name, want := range map[string]bool{"delivered-to": true, "Received": true, "Date": false, "": false, "Receiv": false} {
		if HasField(header, name) != want {
			t.Errorf("HasField(%q) = %v", name, !want)
		}
	}
}

func FuzzFields(f *testing.F) {
	for _, s := range []string{
		"A: 1\r\nB: 2\r\n\r\nbody", " x\r\nA : b\r\n", "\r\n", "A", "a\n\nb", ":\r\n \r\n", "A: \r\r\n\r\n",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, msg []byte) {
		header, body, _ := SplitHeader(msg)
		between := len(msg) - len(header) - len(body)
		if between < 0 || between > 2 || !bytes.HasPrefix(msg, header) || !bytes.HasSuffix(msg, body) {
			t.Fatalf("SplitHeader(%q) = %q, %q", msg, header, body)
		}
		var joined []byte
		counts := map[string]int{}
		for field := range Fields(msg) {
			joined = append(joined, field.Raw...)
			if field.Name != "" {
				counts[strings.ToLower(field.Name)]++
			}
			if bytes.IndexByte(field.Body(), '\n') >= 0 {
				t.Fatalf("line end in %q", field.Body())
			}
		}
		if !bytes.Equal(joined, msg) {
			t.Fatalf("fields of %q joined are %q", msg, joined)
		}
		for name, n := range counts {
			if got := Count(msg, name); got != n || len(Values(msg, name)) != n || !HasField(msg, name) {
				t.Fatalf("Count(%q, %q) = %d, want %d", msg, name, got, n)
			}
		}
	})
}

// TestTextIsBody: both are the same octets.
func TestTextIsBody(t *testing.T) {
	t.Parallel()
	for _, header := range []string{"", "A: b\r\n", "A: b\r\n c\r\n\td\n e\r f\r\n", "A:\r\n", "A:", "no field\r\n more\r\n", "A: b\r\n\r\n", "A: x\n"} {
		for f := range Fields([]byte(header)) {
			if f.Text() != string(f.Body()) {
				t.Errorf("%q: %q, %q", header, f.Text(), f.Body())
			}
		}
	}
}
