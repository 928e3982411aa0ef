package smtp

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
)

// readChunks reads in as chunks of the given sizes and gives the first error.
func readChunks(r *Reader, dst io.Writer, state *ChunkState, sizes []int) error {
	for _, n := range sizes {
		if err := r.ReadChunk(dst, int64(n), state); err != nil && state.err == nil {
			return err
		}
	}
	return state.End()
}

func TestReadChunk(t *testing.T) {
	tests := []struct {
		name, in string
		sizes    []int
		limit    int64
		want     string
		err      error
	}{
		{"one", "a\r\nb\r\n", []int{6}, 0, "a\r\nb\r\n", nil},
		{"empty last", "a\r\n", []int{3, 0}, 0, "a\r\n", nil},
		{"CRLF across chunks", "a\r\nb\r\n", []int{2, 3, 1}, 0, "a\r\nb\r\n", nil},
		{"CRLF across an empty chunk", "a\r\n", []int{2, 0, 1}, 0, "a\r\n", nil},
		{"dots are not stuffed", "..\r\n.\r\n", []int{7}, 0, "..\r\n.\r\n", nil},
		{"no final CRLF", "a", []int{1}, 0, "a", nil},
		{"NUL", "\x00", []int{1}, 0, "\x00", nil},
		{"bare LF", "a\nb", []int{3}, 0, "", ErrBareLF},
		{"bare LF first in a chunk", "a\n", []int{1, 1}, 0, "", ErrBareLF},
		{"bare CR", "a\rb", []int{3}, 0, "", ErrBareCR},
		{"bare CR across chunks", "a\rb", []int{2, 1}, 0, "", ErrBareCR},
		{"CR CR LF", "a\r\r\n", []int{4}, 0, "", ErrBareCR},
		{"CR CR LF across chunks", "a\r\r\n", []int{2, 1, 1}, 0, "", ErrBareCR},
		{"CR at the end", "a\r", []int{2}, 0, "", ErrBareCR},
		{"LF LF across chunks", "a\r\n\n", []int{2, 2}, 0, "", ErrBareLF},
		{"at the limit", "abcd", []int{2, 2}, 4, "abcd", nil},
		{"over the limit", "abcde", []int{2, 3}, 4, "", ErrTooLarge},
		{"over the limit at once", "abcde", []int{5}, 4, "", ErrTooLarge},
	}
	for _, tt := range tests {
		for _, size := range []int{1, 2, 3, 512} {
			var got bytes.Buffer
			r := smallReader(strings.NewReader(tt.in+"RSET\r\n"), size)
			state := &ChunkState{Limit: tt.limit}
			err := readChunks(r, &got, state, tt.sizes)
			if !errors.Is(err, tt.err) || err == nil && got.String() != tt.want || state.Written != int64(got.Len()) {
				t.Errorf("%s: buffer %d: %q (%d), %v", tt.name, size, got.String(), state.Written, err)
			}
			if !strings.HasPrefix(tt.in, got.String()) || tt.limit > 0 && int64(got.Len()) > tt.limit {
				t.Errorf("%s: buffer %d: wrote %q", tt.name, size, got.String())
			}
			if line, err := r.ReadLine(512); string(line) != "RSET" || err != nil {
				t.Errorf("%s: buffer %d: then %q, %v", tt.name, size, line, err)
			}
		}
	}
}

func TestReadChunkWriterFails(t *testing.T) {
	r := NewReader(strings.NewReader(strings.Repeat("a", 5000)+"RSET\r\n"), 512)
	state := &ChunkState{}
	err := readChunks(r, &fullDisk{room: 700}, state, []int{2000, 3000})
	if !errors.Is(err, errDisk) || state.Written != 700 {
		t.Errorf("%v, %d written", err, state.Written)
	}
	if line, err := r.ReadLine(512); string(line) != "RSET" || err != nil {
		t.Errorf("then %q, %v", line, err)
	}
}

func TestReadChunkEndsWithTheConnection(t *testing.T) {
	r := NewReader(strings.NewReader("abc"), 512)
	if err := r.ReadChunk(io.Discard, 4, &ChunkState{}); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Error(err)
	}
	// A size far over what comes must not be believed before it has come.
	r.Reset(strings.NewReader("abc"))
	if err := r.ReadChunk(io.Discard, 1<<62, &ChunkState{Limit: 1 << 20}); !errors.Is(err, io.ErrUnexpectedEOF) || len(r.buf) != 512 {
		t.Error(err, len(r.buf))
	}
}

func FuzzReadChunk(f *testing.F) {
	f.Add([]byte("a\r\nb\r\n"), uint8(2), uint8(3), uint8(1))
	f.Add([]byte("a\r\r\n\nb"), uint8(1), uint8(1), uint8(0))
	f.Add([]byte("\r\n\r\n\r"), uint8(1), uint8(4), uint8(9))
	f.Fuzz(func(t *testing.T, in []byte, first, second, size uint8) {
		a := min(int(first), len(in))
		b := min(int(second), len(in)-a)
		var want error
		for i, c := range in {
			if c == '\r' && (i+1 == len(in) || in[i+1] != '\n') {
				want = ErrBareCR
				break
			}
			if c == '\n' && (i == 0 || in[i-1] != '\r') {
				want = ErrBareLF
				break
			}
		}
		var got bytes.Buffer
		r := smallReader(&pieces{data: append(bytes.Clone(in), "X\r\n"...), sizes: []int{int(second), int(first)}}, 1+int(size))
		err := readChunks(r, &got, &ChunkState{}, []int{a, b, len(in) - a - b})
		if !errors.Is(err, want) || (err == nil) != (want == nil) || err == nil && !bytes.Equal(got.Bytes(), in) {
			t.Fatalf("%q in %d, %d: %q, %v; want %v", in, a, b, got.Bytes(), err, want)
		}
		if line, err := r.ReadLine(512); string(line) != "X" || err != nil {
			t.Fatalf("%q in %d, %d: then %q, %v", in, a, b, line, err)
		}
	})
}
