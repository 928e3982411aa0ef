package smtp

import (
	"errors"
	"io"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestReadReply(t *testing.T) {
	tests := []struct {
		name, in string
		want     Reply
		err      error
	}{
		{"plain", "250 ok\r\n", Reply{250, Enhanced{}, "ok"}, nil},
		{"code alone", "250\r\n", Reply{Code: 250}, nil},
		{"code and space", "250 \r\n", Reply{Code: 250}, nil},
		{"enhanced", "550 5.7.1 no\r\n", Reply{550, Enhanced{5, 7, 1}, "no"}, nil},
		{"enhanced alone", "250 2.0.0\r\n", Reply{250, Enhanced{2, 0, 0}, ""}, nil},
		{"enhanced of another class", "550 2.1.0 no\r\n", Reply{550, Enhanced{}, "2.1.0 no"}, nil},
		{"no enhanced", "250 2.1.0x no\r\n", Reply{250, Enhanced{}, "2.1.0x no"}, nil},
		{"multi-line", "250-a\r\n250-b\r\n250 c\r\n", Reply{250, Enhanced{}, "a\nb\nc"}, nil},
		{"multi-line enhanced", "550-5.1.1 a\r\n550 5.1.1 b\r\n", Reply{550, Enhanced{5, 1, 1}, "a\nb"}, nil},
		{"two enhanced", "550-5.1.1 a\r\n550 5.1.2 b\r\n", Reply{550, Enhanced{5, 1, 1}, "a\n5.1.2 b"}, nil},
		{"bare LF", "250-a\n250 b\n", Reply{250, Enhanced{}, "a\nb"}, nil},
		{"controls", "550 a\x00\x1b[2J\x7f\tb\rc\u0085\u202ed\xff\r\n", Reply{550, Enhanced{}, "a[2J bcd"}, nil},
		{"UTF-8", "550 zoë\r\n", Reply{550, Enhanced{}, "zoë"}, nil},
		{"cut", "250 " + strings.Repeat("a", 1000) + "\r\n", Reply{250, Enhanced{}, strings.Repeat("a", 508)}, nil},
		{"codes differ", "250-a\r\n251 b\r\n", Reply{}, ErrBadReply},
		{"no code", "hello\r\n", Reply{}, ErrBadReply},
		{"empty line", "\r\n", Reply{}, ErrBadReply},
		{"short", "25\r\n", Reply{}, ErrBadReply},
		{"long code", "2500 a\r\n", Reply{}, ErrBadReply},
		{"letters in code", "2a0 a\r\n", Reply{}, ErrBadReply},
		{"1xx", "150 a\r\n", Reply{}, ErrBadReply},
		{"6xx", "650 a\r\n", Reply{}, ErrBadReply},
		{"wrong separator", "250/a\r\n", Reply{}, ErrBadReply},
		{"HTTP", "HTTP/1.1 400 Bad Request\r\n", Reply{}, ErrBadReply},
		{"line too long", "250 " + strings.Repeat("a", 5000) + "\r\n", Reply{}, ErrReplyTooLong},
		{"too many lines", strings.Repeat("250-a\r\n", 101) + "250 b\r\n", Reply{}, ErrReplyTooLong},
		{"end", "", Reply{}, io.EOF},
		{"end within a line", "250 a", Reply{}, io.ErrUnexpectedEOF},
		{"end within a reply", "250-a\r\n", Reply{}, io.ErrUnexpectedEOF},
	}
	for _, tt := range tests {
		for _, sizes := range [][]int{nil, {1}} {
			r := NewReader(&pieces{data: []byte(tt.in), sizes: sizes}, 512)
			if got, err := r.ReadReply(); got != tt.want || !errors.Is(err, tt.err) {
				t.Errorf("%s: %#v, %v; want %#v, %v", tt.name, got, err, tt.want, tt.err)
			}
		}
	}
}

func TestSameReplyCostsNoAllocation(t *testing.T) {
	r := NewReader(strings.NewReader(strings.Repeat("250 2.1.0 ok\r\n250 2.1.5 ok, too\r\n354 go on\r\n", 200)), 4096)
	if n := testing.AllocsPerRun(500, func() {
		if _, err := r.ReadReply(); err != nil {
			t.Fatal(err)
		}
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func FuzzReadReply(f *testing.F) {
	for _, s := range []string{"250 ok\r\n", "250-a\r\n250 b\r\n", "550 5.7.1 \x1b\r\n", "250-2.0.0 a\n250 2.0.0\n", "250\r\n"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		r := NewReader(&pieces{data: in, sizes: []int{7, 1, 300}}, 512)
		reply, err := r.ReadReply()
		if err != nil {
			return
		}
		if reply.Code < 200 || reply.Code > 599 || !utf8.ValidString(reply.Text) || strings.ContainsAny(reply.Text, "\r\x00\x1b") {
			t.Fatalf("%q is read as %#v", in, reply)
		}
		again, err := NewReader(&pieces{data: reply.AppendTo(nil)}, 512).ReadReply()
		if err != nil || again.Code != reply.Code {
			t.Fatalf("%#v is sent as %q, which is read as %#v, %v", reply, reply.AppendTo(nil), again, err)
		}
		if strings.ContainsAny(reply.String(), "\r\n") {
			t.Fatalf("%q is not one line", reply.String())
		}
	})
}
