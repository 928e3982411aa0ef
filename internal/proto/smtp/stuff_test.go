package smtp

import (
	"bytes"
	"io"
	"strings"
	"testing"
)

func TestDotStuffing(t *testing.T) {
	tests := []struct{ name, in, want string }{
		{"empty", "", ".\r\n"},
		{"a line", "a\r\n", "a\r\n.\r\n"},
		{"no final CRLF", "a", "a\r\n.\r\n"},
		{"dots", ".\r\n..\r\na.\r\n.b", "..\r\n...\r\na.\r\n..b\r\n.\r\n"},
		{"only a dot", ".", "..\r\n.\r\n"},
		{"bare LF", "a\n.\nb\n", "a\r\n..\r\nb\r\n.\r\n"},
		{"bare CR", "a\r.\rb\r", "a\r\n..\r\nb\r\n.\r\n"},
		{"CR CR LF", "a\r\r\n.\r\n", "a\r\n\r\n..\r\n.\r\n"},
		{"LF CR", "a\n\rb", "a\r\n\r\nb\r\n.\r\n"},
		{"smuggling", "a\n.\nMAIL FROM:<>\n", "a\r\n..\r\nMAIL FROM:<>\r\n.\r\n"},
		{"smuggling by CR", "a\r\n.\rMAIL FROM:<>\r\n", "a\r\n..\r\nMAIL FROM:<>\r\n.\r\n"},
		{"NUL and 8-bit", "\x00\xff\r\n", "\x00\xff\r\n.\r\n"},
	}
	for _, tt := range tests {
		for at := range len(tt.in) + 1 {
			for second := at; second <= len(tt.in); second++ {
				var s StuffState
				got := AppendDotStuffed(nil, []byte(tt.in[:at]), &s)
				got = AppendDotStuffed(got, []byte(tt.in[at:second]), &s)
				got = AppendDotStuffed(got, []byte(tt.in[second:]), &s)
				if got = AppendDataEnd(got, &s); string(got) != tt.want {
					t.Errorf("%s, split at %d and %d: %q, want %q", tt.name, at, second, got, tt.want)
				}
				var w bytes.Buffer
				for _, part := range []string{tt.in[:at], tt.in[at:second], tt.in[second:]} {
					if err := WriteDotStuffed(&w, []byte(part), &s); err != nil {
						t.Fatal(err)
					}
				}
				if got := AppendDataEnd(w.Bytes(), &s); string(got) != tt.want {
					t.Errorf("%s, written, split at %d and %d: %q, want %q", tt.name, at, second, got, tt.want)
				}
			}
		}
	}
}

func TestWriteDotStuffedWritesLargePieces(t *testing.T) {
	content := []byte(strings.Repeat("0123456789\r\n", 100000))
	disk := &fullDisk{room: 1 << 30}
	if err := WriteDotStuffed(disk, content, &StuffState{}); err != nil || disk.writes > 11 {
		t.Errorf("%d writes, %v", disk.writes, err)
	}
	disk.room = 10
	if err := WriteDotStuffed(disk, content, &StuffState{}); err == nil {
		t.Error("no error of a full disk")
	}
}

func FuzzDotStuff(f *testing.F) {
	for _, s := range []string{"", "a", ".\r\n..", "a\r\n.\r\nb\r\n", "\n.\n", "\r.\r", "\r\r\n", strings.Repeat(".\r\n", 9)} {
		f.Add([]byte(s), uint16(1))
	}
	f.Fuzz(func(t *testing.T, content []byte, at uint16) {
		if len(content) > 0 && len(content) < 1000 && at%7 == 0 {
			content = bytes.Repeat(content, stuffDirect/len(content)/2+1)
		}
		split := min(int(at), len(content))
		var s, w StuffState
		wire := AppendDotStuffed(nil, content[:split], &s)
		wire = AppendDataEnd(AppendDotStuffed(wire, content[split:], &s), &s)
		var written bytes.Buffer
		for _, part := range [][]byte{content[:split], content[split:]} {
			if err := WriteDotStuffed(&written, part, &w); err != nil {
				t.Fatal(err)
			}
		}
		if !bytes.Equal(AppendDataEnd(written.Bytes(), &w), wire) {
			t.Fatalf("%q: written %q, appended %q", content, written.Bytes(), wire)
		}
		var got bytes.Buffer
		r := NewReader(bytes.NewReader(append(wire, "QUIT\r\n"...)), 512)
		if _, err := r.ReadData(&got, -1); err != nil {
			t.Fatalf("%q is sent as %q: %v", content, wire, err)
		}
		if line, err := r.ReadLine(512); string(line) != "QUIT" || err != nil {
			t.Fatalf("%q is sent as %q: then %q, %v", content, wire, line, err)
		}
		if want := normal(content); !bytes.Equal(got.Bytes(), want) {
			t.Fatalf("%q arrives as %q, want %q", content, got.Bytes(), want)
		}
	})
}

// normal is content with every line end a CRLF and the last line ended.
func normal(content []byte) []byte {
	var out []byte
	for i := 0; i < len(content); i++ {
		switch c := content[i]; c {
		case '\r':
			if i+1 < len(content) && content[i+1] == '\n' {
				i++
			}
			out = append(out, '\r', '\n')
		case '\n':
			out = append(out, '\r', '\n')
		default:
			out = append(out, c)
		}
	}
	if len(out) > 0 && out[len(out)-1] != '\n' {
		out = append(out, '\r', '\n')
	}
	return out
}

func BenchmarkWriteDotStuffed(b *testing.B) {
	content := []byte(strings.Repeat(strings.Repeat("x", 76)+"\r\n", 14000))
	var s StuffState
	b.SetBytes(int64(len(content)))
	b.ReportAllocs()
	for b.Loop() {
		if err := WriteDotStuffed(io.Discard, content, &s); err != nil {
			b.Fatal(err)
		}
	}
}
