package mime

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

const sectioned = `Subject: outer
To: a
Content-Type: multipart/mixed; boundary=b

--b

one
--b
Content-Type: message/rfc822
X: y

Subject: inner
Content-Type: multipart/alternative; boundary=c

--c
Content-Type: text/plain

two
--c
Content-Type: text/html

three
--c--

--b
Content-Type: message/rfc822

Subject: flat

four
--b--
`

func TestSections(t *testing.T) {
	msg := crlf(sectioned)
	flat := crlf("Subject: x\n\nbody\n")
	letter := crlf("Content-Type: message/rfc822\n\nSubject: y\n\nbody\n")
	none := "-"
	tests := []struct {
		name, msg string
		section   Section
		want      string
	}{
		{"all", msg, Section{}, msg},
		{"header", msg, Section{Text: Header}, "Subject: outer\nTo: a\nContent-Type: multipart/mixed; boundary=b\n\n"},
		{"1", msg, Section{Part: []int{1}}, "one"},
		{"1.MIME", msg, Section{Part: []int{1}, Text: MIMEHeader}, "\n"},
		{"1.HEADER", msg, Section{Part: []int{1}, Text: Header}, none},
		{"1.TEXT", msg, Section{Part: []int{1}, Text: BodyText}, none},
		{"1.1", msg, Section{Part: []int{1, 1}}, none},
		{"2.MIME", msg, Section{Part: []int{2}, Text: MIMEHeader}, "Content-Type: message/rfc822\nX: y\n\n"},
		{"2.HEADER", msg, Section{Part: []int{2}, Text: Header}, "Subject: inner\nContent-Type: multipart/alternative; boundary=c\n\n"},
		{"2.1", msg, Section{Part: []int{2, 1}}, "two"},
		{"2.2.MIME", msg, Section{Part: []int{2, 2}, Text: MIMEHeader}, "Content-Type: text/html\n\n"},
		{"2.2", msg, Section{Part: []int{2, 2}}, "three"},
		{"2.3", msg, Section{Part: []int{2, 3}}, none},
		{"3", msg, Section{Part: []int{3}}, "Subject: flat\n\nfour"},
		{"3.TEXT", msg, Section{Part: []int{3}, Text: BodyText}, "four"},
		{"3.1", msg, Section{Part: []int{3, 1}}, "four"},
		{"3.1.MIME", msg, Section{Part: []int{3, 1}, Text: MIMEHeader}, "Subject: flat\n\n"},
		{"3.2", msg, Section{Part: []int{3, 2}}, none},
		{"4", msg, Section{Part: []int{4}}, none},
		{"0", msg, Section{Part: []int{0}}, none},
		{"MIME", msg, Section{Text: MIMEHeader}, none},
		{"flat TEXT", flat, Section{Text: BodyText}, "body\n"},
		{"flat 1", flat, Section{Part: []int{1}}, "body\n"},
		{"flat 1.MIME", flat, Section{Part: []int{1}, Text: MIMEHeader}, "Subject: x\n\n"},
		{"flat 2", flat, Section{Part: []int{2}}, none},
		{"flat 1.1", flat, Section{Part: []int{1, 1}}, none},
		{"letter 1", letter, Section{Part: []int{1}}, "Subject: y\n\nbody\n"},
		{"letter 1.HEADER", letter, Section{Part: []int{1}, Text: Header}, "Subject: y\n\n"},
		{"letter 1.1", letter, Section{Part: []int{1, 1}}, "body\n"},
		{"letter 1.1.1", letter, Section{Part: []int{1, 1, 1}}, none},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			start, end, ok := Parse([]byte(tt.msg)).Range(tt.section)
			got := none
			if ok {
				got = tt.msg[start:end]
			}
			if want := crlf(tt.want); tt.want != tt.msg && got != want || tt.want == tt.msg && got != tt.msg {
				t.Errorf("section is %q, want %q", got, tt.want)
			}
		})
	}
}

func TestSelectFields(t *testing.T) {
	header := "A: 1\r\nB: 2\r\n more\r\nno field\r\na: 3\r\n"
	tests := []struct {
		names  []string
		others bool
		want   string
	}{
		{[]string{"a"}, false, "A: 1\r\na: 3\r\n\r\n"},
		{[]string{"B", "x"}, false, "B: 2\r\n more\r\n\r\n"},
		{[]string{"A"}, true, "B: 2\r\n more\r\nno field\r\n\r\n"},
		{nil, true, header + "\r\n"},
		{nil, false, "\r\n"},
	}
	for _, tt := range tests {
		if got := string(SelectFields([]byte(header+"\r\n"), tt.names, tt.others)); got != tt.want {
			t.Errorf("%v, %v: %q, want %q", tt.names, tt.others, got, tt.want)
		}
	}
	if got := string(SelectFields([]byte(header), []string{"B"}, false)); got != "B: 2\r\n more\r\n" {
		t.Errorf("without an empty line: %q", got)
	}
}

func TestDecode(t *testing.T) {
	tests := []struct{ encoding, in, want string }{
		{"7bit", "a=20", "a=20"},
		{"", "a", "a"},
		{"BASE64", "aGVs\r\nbG8=", "hello"},
		{"base64", "aGV!s bG8", "hello"},
		{"base64", "aGVsbG8=aGVs", "hello"},
		{"base64", "a", ""},
		{"base64", "", ""},
		{"quoted-printable", "a=20b=\r\nc  \r\nd=3d=3D\r\n", "a bc\r\nd==\r\n"},
		{"quoted-printable", "=C3=A4=zz==4", "ä=zz==4"},
		{"quoted-printable", "a= \r\nb=", "ab"},
		{"quoted-printable", "a=\nb", "ab"},
	}
	for _, tt := range tests {
		if got, err := Decode(tt.encoding, []byte(tt.in)); err != nil || string(got) != tt.want {
			t.Errorf("%s %q: %q, %v, want %q", tt.encoding, tt.in, got, err, tt.want)
		}
	}
	if _, err := Decode("x-uuencode", nil); !errors.Is(err, ErrEncoding) {
		t.Errorf("unknown encoding: %v", err)
	}
}

func TestReadableText(t *testing.T) {
	tests := []struct {
		msg, want string
		ok        bool
	}{
		{"\nplain", "plain", true},
		{"Content-Type: text/plain; charset=iso-8859-1\nContent-Transfer-Encoding: quoted-printable\n\nJ=FCrgen", "Jürgen", true},
		{"Content-Type: text/html; charset=utf-8\nContent-Transfer-Encoding: base64\n\nSsO8cmdlbg==", "Jürgen", true},
		{"Content-Type: image/png\n\nx", "", false},
		{"Content-Transfer-Encoding: x-own\n\nx", "", false},
	}
	for _, tt := range tests {
		msg := []byte(crlf(tt.msg))
		if got, ok := Parse(msg).ReadableText(msg); string(got) != tt.want || ok != tt.ok {
			t.Errorf("%q: %q, %v", tt.msg, got, ok)
		}
	}
}

// What is read piece by piece is what is decoded at once.
func TestNewDecoder(t *testing.T) {
	body := strings.Repeat("a=20b=\r\nc  \r\nd=3d=3D \t =\r\n=C3=A4=zz==4 x\r\n", 2000) + "end= "
	for _, encoding := range []string{"base64", "quoted-printable", "8bit"} {
		want, err := Decode(encoding, []byte(body))
		if err != nil {
			t.Fatal(err)
		}
		r, err := NewDecoder(encoding, iotest.OneByteReader(strings.NewReader(body)))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: %d octets, %v, want %d", encoding, len(got), err, len(want))
		}
	}
	broken := errors.New("broken")
	r, err := NewDecoder("base64", io.MultiReader(strings.NewReader("aGVsbG8="), iotest.ErrReader(broken)))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(r); string(got) != "hello" || !errors.Is(err, broken) {
		t.Errorf("%q, %v", got, err)
	}
}
