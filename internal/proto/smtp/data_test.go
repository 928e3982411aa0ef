package smtp

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
)

// slowData is ReadData octet by octet.
func slowData(in []byte) (content []byte, used int, err error) {
	bol := true
	for i := 0; i < len(in); {
		switch {
		case bol && in[i] == '.':
			if bytes.HasPrefix(in[i:], []byte(".\r\n")) {
				return content, i + 3, nil
			}
			if i+1 == len(in) || in[i+1] == '\r' && i+2 == len(in) {
				return content, 0, io.ErrUnexpectedEOF
			}
			i++
			bol = false
		case in[i] == '\r':
			if i+1 == len(in) {
				return content, 0, io.ErrUnexpectedEOF
			}
			if in[i+1] != '\n' {
				return content, 0, ErrBareCR
			}
			content = append(content, '\r', '\n')
			i += 2
			bol = true
		case in[i] == '\n':
			return content, 0, ErrBareLF
		default:
			content = append(content, in[i])
			i++
			bol = false
		}
	}
	return content, 0, io.ErrUnexpectedEOF
}

// compareData holds ReadData against slowData.
func compareData(t *testing.T, in []byte, size int, sizes []int) {
	t.Helper()
	want, used, wantErr := slowData(in)
	r := smallReader(&pieces{data: in, sizes: sizes}, size)
	var got bytes.Buffer
	n, err := r.ReadData(&got, -1)
	if !errors.Is(err, wantErr) || (err == nil) != (wantErr == nil) {
		t.Fatalf("%q, buffer %d, reads %v: %v, want %v", in, size, sizes, err, wantErr)
	}
	if n != int64(got.Len()) || !bytes.HasPrefix(want, got.Bytes()) {
		t.Fatalf("%q, buffer %d, reads %v: wrote %d, %q, want %q", in, size, sizes, n, got.Bytes(), want)
	}
	if err != nil {
		return
	}
	if !bytes.Equal(got.Bytes(), want) {
		t.Fatalf("%q, buffer %d, reads %v: %q, want %q", in, size, sizes, got.Bytes(), want)
	}
	rest, err := io.ReadAll(io.MultiReader(bytes.NewReader(r.buf[r.r:r.w]), r.src))
	if err != nil || !bytes.Equal(rest, in[used:]) {
		t.Fatalf("%q, buffer %d, reads %v: %q is left, want %q", in, size, sizes, rest, in[used:])
	}
}

func TestReadData(t *testing.T) {
	tests := []struct{ name, in, want string }{
		{"empty", ".\r\n", ""},
		{"one line", "a\r\n.\r\n", "a\r\n"},
		{"one empty line", "\r\n.\r\n", "\r\n"},
		{"stuffed dots", "..\r\n...\r\n.a\r\n..b\r\na.\r\n.\r\n", ".\r\n..\r\na\r\n.b\r\na.\r\n"},
		{"stuffed first line", ".a\r\n.\r\n", "a\r\n"},
		{"NUL and 8-bit", "a\x00\xff\xfeb\r\n.\r\n", "a\x00\xff\xfeb\r\n"},
		{"a line of 100,000 octets", strings.Repeat("a", 100000) + "\r\n.\r\n", strings.Repeat("a", 100000) + "\r\n"},
		{"many lines", strings.Repeat("0123456789\r\n", 20000) + ".\r\n", strings.Repeat("0123456789\r\n", 20000)},
		{"many dot lines", strings.Repeat("..\r\n", 20000) + ".\r\n", strings.Repeat(".\r\n", 20000)},
	}
	for _, tt := range tests {
		for _, size := range []int{4, 5, 64, 512, 4096} {
			var got bytes.Buffer
			r := smallReader(strings.NewReader(tt.in+"QUIT\r\n"), size)
			if n, err := r.ReadData(&got, -1); n != int64(len(tt.want)) || err != nil || got.String() != tt.want {
				t.Errorf("%s: buffer %d: %d, %v, %.60q", tt.name, size, n, err, got.String())
			}
			if line, err := r.ReadLine(512); string(line) != "QUIT" || err != nil {
				t.Errorf("%s: buffer %d: then %q, %v", tt.name, size, line, err)
			}
		}
	}
}

// TestSmuggling sends what other servers have taken for the end of data. None of
// it may end the content; a second message hides behind.
func TestSmuggling(t *testing.T) {
	ends := map[string]error{
		"\n.\n":                 ErrBareLF,
		"\n.\r\n":               ErrBareLF,
		"\r\n.\n":               ErrBareLF,
		"\r.\r":                 ErrBareCR,
		"\r.\r\n":               ErrBareCR,
		"\r\n.\r":               ErrBareCR,
		"\n.\r":                 ErrBareLF,
		"\r.\n":                 ErrBareCR,
		"\r\r\n.\r\n":           ErrBareCR,
		"\r\n.\r\r\n":           ErrBareCR,
		"\r\r\n.\r\r\n":         ErrBareCR,
		"\n\n.\r\n":             ErrBareLF,
		"\r\n\n.\r\n":           ErrBareLF,
		"\r\n\r.\r\n":           ErrBareCR,
		"\n\r.\r\n":             ErrBareLF,
		"\r\n.\r\x00\n":         ErrBareCR,
		"\r\x00\n.\r\n":         ErrBareCR,
		"\r\n.\rX":              ErrBareCR,
		"\r\n.\n\r\n.\r\n":      ErrBareLF,
		"\n.\n\r\n.\r\n":        ErrBareLF,
		"\x85.\x85":             nil,
		"\u0085.\u0085":         nil,
		"\u2028.\u2028":         nil,
		"\r\n\x00.\r\n":         nil,
		"\r\n.\x00\r\n":         nil,
		"\r\n. \r\n":            nil,
		"\r\n \r\n..\r\n":       nil,
		"\r\n\x2e\x2e\r\n":      nil,
		"\x0d\x0a\x0b.\x0d\x0a": nil,
		"\r\n．\r\n":             nil,
	}
	for end, want := range ends {
		in := "Subject: a\r\n\r\nbody" + end + "MAIL FROM:<evil@example.org>\r\nRCPT TO:<b@c>\r\nDATA\r\nx\r\n.\r\nQUIT\r\n"
		for _, sizes := range [][]int{nil, {1}, {2, 3}} {
			var got bytes.Buffer
			r := smallReader(&pieces{data: []byte(in), sizes: sizes}, 512)
			_, err := r.ReadData(&got, -1)
			if !errors.Is(err, want) || want == nil && err != nil {
				t.Errorf("%q: %v, want %v", end, err, want)
			}
			if want == nil {
				if !strings.Contains(got.String(), "MAIL FROM:<evil@example.org>") {
					t.Errorf("%q ends the content", end)
				}
				if line, err := r.ReadLine(512); string(line) != "QUIT" {
					t.Errorf("%q: then %q, %v", end, line, err)
				}
			}
		}
	}
}

func TestReadDataSplitEverywhere(t *testing.T) {
	for _, in := range []string{
		"Subject: a\r\n\r\nfirst\r\n..second\r\n...\r\n.x\r\n\r\n.\r\nQUIT\r\n",
		".\r\nQUIT\r\n",
		"a\r\n.\rb\r\n.\r\n",
		"a\r\r\n.\r\n",
		"a\r\n\n.\r\n",
		"a\r\n..\r",
	} {
		for at := range len(in) + 1 {
			for size := 4; size < len(in)+4; size++ {
				compareData(t, []byte(in), size, []int{at, len(in)})
			}
			compareData(t, []byte(in), 512, []int{at, 1})
		}
	}
}

func TestReadDataRandom(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	tokens := []string{"\r\n", "\r\n", "\r\n", "\r\n.", "\r\n..", ".", "a", "bb", "\r", "\n", "\r\n.\r\n", strings.Repeat("x", 100)}
	for range 20000 {
		var in []byte
		for range rng.IntN(30) {
			token := tokens[rng.IntN(len(tokens))]
			if (token == "\r" || token == "\n") && rng.IntN(10) > 0 {
				continue
			}
			in = append(in, token...)
		}
		in = append(in, "\r\n.\r\nQUIT"...)
		compareData(t, in, 4+rng.IntN(100), []int{1 + rng.IntN(5), 1 + rng.IntN(60), 1 + rng.IntN(9)})
	}
}

func TestReadDataLimit(t *testing.T) {
	content := strings.Repeat("0123456789012345678\r\n", 1000) // 21,000 octets
	for _, tt := range []struct {
		limit int64
		err   error
	}{{21000, nil}, {30000, nil}, {20999, ErrTooLarge}, {100, ErrTooLarge}, {0, ErrTooLarge}} {
		var got bytes.Buffer
		r := NewReader(strings.NewReader(content+".\r\nRSET\r\n"), 512)
		n, err := r.ReadData(&got, tt.limit)
		if !errors.Is(err, tt.err) || n > tt.limit || n != int64(got.Len()) || !strings.HasPrefix(content, got.String()) {
			t.Errorf("limit %d: %d, %v", tt.limit, n, err)
		}
		if line, err := r.ReadLine(512); string(line) != "RSET" || err != nil {
			t.Errorf("limit %d: then %q, %v", tt.limit, line, err)
		}
	}
	r := NewReader(strings.NewReader(content+"\n.\n"), 512)
	if _, err := r.ReadData(io.Discard, 10); !errors.Is(err, ErrBareLF) {
		t.Errorf("bare LF behind the limit: %v", err)
	}
	r = NewReader(strings.NewReader(".\r\n"), 512)
	if _, err := r.ReadData(io.Discard, 0); err != nil {
		t.Errorf("empty content, limit 0: %v", err)
	}
}

// fullDisk takes room octets.
type fullDisk struct{ room, writes int }

var errDisk = errors.New("no space left")

func (d *fullDisk) Write(b []byte) (int, error) {
	d.writes++
	n := min(len(b), d.room)
	d.room -= n
	if n < len(b) {
		return n, errDisk
	}
	return n, nil
}

func TestReadDataWriterFails(t *testing.T) {
	in := strings.Repeat("0123456789\r\n", 5000) + ".\r\nRSET\r\n"
	disk := &fullDisk{room: 1000}
	r := NewReader(strings.NewReader(in), 512)
	n, err := r.ReadData(disk, -1)
	if !errors.Is(err, errDisk) || n != 1000 {
		t.Errorf("%d, %v", n, err)
	}
	writes := disk.writes
	if line, err := r.ReadLine(512); string(line) != "RSET" || err != nil || writes > 3 {
		t.Errorf("then %q, %v; %d writes", line, err, writes)
	}
}

func TestReadDataWritesAreLarge(t *testing.T) {
	for _, line := range []string{"0123456789\r\n", "..\r\n"} {
		disk := &fullDisk{room: 1 << 30}
		r := NewReader(strings.NewReader(strings.Repeat(line, 100000)+".\r\n"), 4096)
		n, err := r.ReadData(disk, -1)
		if err != nil || disk.writes > 10+int(n/4096) {
			t.Errorf("%q: %d octets in %d writes, %v", line, n, disk.writes, err)
		}
	}
}

func TestReadDataEndsWithTheConnection(t *testing.T) {
	for _, in := range []string{"", "a", "a\r", "a\r\n", "a\r\n.", "a\r\n.\r", ".", ".\r"} {
		r := NewReader(strings.NewReader(in), 512)
		if _, err := r.ReadData(io.Discard, -1); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%q: %v", in, err)
		}
	}
}

func FuzzReadData(f *testing.F) {
	for _, s := range []string{
		"a\r\n.\r\n", "..\r\n.\r\nx", "a\r\n.\n", "a\r\r\n.\r\n", "\r\n..\r\n.\r\n", ".\rX\r\n.\r\n", "a\r\n\r\n.a\r\n...\r\n.\r\n",
	} {
		f.Add([]byte(s), uint8(0), uint8(3), uint8(200))
	}
	f.Fuzz(func(t *testing.T, in []byte, size, first, second uint8) {
		compareData(t, bytes.Clone(in), 4+int(size), []int{int(first), int(second)})
	})
}

func BenchmarkReadData(b *testing.B) {
	content := []byte(strings.Repeat(strings.Repeat("x", 76)+"\r\n", 14000) + ".\r\n")
	src := bytes.NewReader(nil)
	r := NewReader(src, 4096)
	var to bytes.Buffer
	b.SetBytes(int64(len(content)))
	b.ReportAllocs()
	for b.Loop() {
		src.Reset(content)
		to.Reset()
		if _, err := r.ReadData(&to, -1); err != nil {
			b.Fatal(err)
		}
	}
}
