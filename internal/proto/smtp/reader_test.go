package smtp

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

// pieces gives what it holds in reads of the given sizes, in turn.
type pieces struct {
	data  []byte
	sizes []int
	turn  int
}

func (p *pieces) Read(b []byte) (int, error) {
	if len(p.data) == 0 {
		return 0, io.EOF
	}
	n := len(p.data)
	if len(p.sizes) > 0 {
		n = min(n, max(1, p.sizes[p.turn%len(p.sizes)]))
		p.turn++
	}
	n = copy(b, p.data[:n])
	p.data = p.data[n:]
	return n, nil
}

// smallReader has a buffer smaller than NewReader allows, to meet every border.
func smallReader(src io.Reader, size int) *Reader {
	base := make([]byte, size)
	return &Reader{src: src, buf: base, base: base}
}

func TestReadLine(t *testing.T) {
	tests := []struct {
		name, in string
		max      int
		lines    []string
		err      error // after the lines
		rest     string
	}{
		{"lines", "a\r\n\r\nbc\r\n", 512, []string{"a", "", "bc"}, io.EOF, ""},
		{"end within", "a\r\nb", 512, []string{"a"}, io.ErrUnexpectedEOF, ""},
		{"end behind CR", "a\r", 512, nil, io.ErrUnexpectedEOF, ""},
		{"exactly max", "abc\r\n", 5, []string{"abc"}, io.EOF, ""},
		{"one over max", "abcd\r\nx\r\n", 5, nil, ErrLineTooLong, "x"},
		{"far over max", strings.Repeat("a", 5000) + "\r\nx\r\n", 512, nil, ErrLineTooLong, "x"},
		{"longer than the buffer", strings.Repeat("a", 5000) + "\r\nx\r\n", 12288, []string{strings.Repeat("a", 5000), "x"}, io.EOF, ""},
		{"bare LF", "a\nb\r\n", 512, nil, ErrBareLF, "b"},
		{"only LF", "\nb\r\n", 512, nil, ErrBareLF, "b"},
		{"bare CR", "a\rb\r\nc\r\n", 512, nil, ErrBareCR, "c"},
		{"CR CR LF", "a\r\r\nc\r\n", 512, nil, ErrBareCR, "c"},
		{"bare CR before bare LF", "a\rb\nc\r\n", 512, nil, ErrBareCR, "c"},
		{"NUL", "a\x00b\r\nc\r\n", 512, nil, ErrControl, "c"},
		{"other controls pass", "a\x01\x1b\r\n", 512, []string{"a\x01\x1b"}, io.EOF, ""},
	}
	for _, tt := range tests {
		for _, size := range []int{1, 2, 7, 512, 4096} {
			r := smallReader(&pieces{data: []byte(tt.in), sizes: []int{3, 1, 7}}, size)
			for _, want := range tt.lines {
				if line, err := r.ReadLine(tt.max); string(line) != want || err != nil {
					t.Fatalf("%s: buffer %d: line %.60q, %v; want %.60q", tt.name, size, line, err, want)
				}
			}
			if line, err := r.ReadLine(tt.max); !errors.Is(err, tt.err) {
				t.Errorf("%s: buffer %d: %.60q, %v; want %v", tt.name, size, line, err, tt.err)
			}
			if tt.rest == "" {
				continue
			}
			if line, err := r.ReadLine(tt.max); string(line) != tt.rest || err != nil {
				t.Errorf("%s: buffer %d: then %q, %v; want %q", tt.name, size, line, err, tt.rest)
			}
		}
	}
}

func TestLongLineTakesNoMemory(t *testing.T) {
	r := NewReader(&endless{}, 4096)
	n := testing.AllocsPerRun(3, func() {
		if _, err := r.ReadLine(512); !errors.Is(err, ErrLineTooLong) {
			t.Errorf("%v", err)
		}
	})
	if n > 0 || len(r.buf) != 4096 {
		t.Errorf("%v allocations, buffer of %d", n, len(r.buf))
	}
}

// endless gives lines of 10 MB.
type endless struct{ n int }

func (e *endless) Read(b []byte) (int, error) {
	clear(b)
	if e.n += len(b); e.n > 10<<20 {
		e.n = 0
		b[len(b)-1] = '\n'
	}
	return len(b), nil
}

func TestBufferShrinksAgain(t *testing.T) {
	in := strings.Repeat("a", 5000) + "\r\n" + strings.Repeat(strings.Repeat("b", 98)+"\r\n", 5000) + ".\r\nQUIT\r\n"
	r := NewReader(iotest.HalfReader(strings.NewReader(in)), 1024)
	if _, err := r.ReadLine(12288); err != nil || len(r.buf) <= 1024 {
		t.Fatalf("%v, buffer of %d", err, len(r.buf))
	}
	if n, err := r.ReadData(io.Discard, -1); n != 500000 || err != nil || len(r.buf) != bigBuffer {
		t.Fatalf("%d, %v, buffer of %d", n, err, len(r.buf))
	}
	if line, err := r.ReadLine(512); string(line) != "QUIT" || err != nil {
		t.Fatalf("%q, %v", line, err)
	}
	if _, err := r.ReadLine(512); !errors.Is(err, io.EOF) || len(r.buf) != 1024 {
		t.Fatalf("%v, buffer of %d", err, len(r.buf))
	}
}

func TestErrorOfSourceComesAfterItsOctets(t *testing.T) {
	r := NewReader(iotest.DataErrReader(strings.NewReader("a\r\nb\r\n")), 512)
	for _, want := range []string{"a", "b"} {
		if line, err := r.ReadLine(512); string(line) != want || err != nil {
			t.Errorf("%q, %v; want %q", line, err, want)
		}
	}
	if _, err := r.ReadLine(512); !errors.Is(err, io.EOF) {
		t.Error(err)
	}
	boom := errors.New("boom")
	r.Reset(io.MultiReader(strings.NewReader("half"), iotest.ErrReader(boom)))
	if _, err := r.ReadLine(512); !errors.Is(err, boom) {
		t.Error(err)
	}
	r.Reset(stuck{})
	if _, err := r.ReadLine(512); !errors.Is(err, io.ErrNoProgress) {
		t.Error(err)
	}
}

type stuck struct{}

func (stuck) Read([]byte) (int, error) { return 0, nil }

func TestReadLineGoesOnAfterTimeout(t *testing.T) {
	r := NewReader(iotest.TimeoutReader(&pieces{data: []byte("NOOP\r\n"), sizes: []int{2}}), 512)
	if _, err := r.ReadLine(512); !errors.Is(err, iotest.ErrTimeout) {
		t.Fatal(err)
	}
	if line, err := r.ReadLine(512); string(line) != "NOOP" || err != nil {
		t.Errorf("%q, %v", line, err)
	}
}

func TestDiscardDropsInjectedPlaintext(t *testing.T) {
	r := NewReader(strings.NewReader("STARTTLS\r\nMAIL FROM:<evil@example.org>\r\n"), 512)
	if line, err := r.ReadLine(512); string(line) != "STARTTLS" || err != nil {
		t.Fatalf("%q, %v", line, err)
	}
	if n := r.Buffered(); n != 30 {
		t.Errorf("%d octets buffered", n)
	}
	if n := r.Discard(); n != 30 || r.Buffered() != 0 {
		t.Errorf("%d octets dropped, %d left", n, r.Buffered())
	}
	r.Reset(bytes.NewReader([]byte("EHLO a\r\n")))
	if line, err := r.ReadLine(512); string(line) != "EHLO a" || err != nil {
		t.Errorf("%q, %v", line, err)
	}
}
