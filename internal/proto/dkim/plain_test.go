package dkim

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// Here the plainest form of what the standard says is held against the one that is used.

var (
	inner = regexp.MustCompile(`[ \t]+`)
	outer = regexp.MustCompile(`[ \t]+(\r\n|$)`)
)

// relaxed is a body by RFC 6376 §3.4.4.
func relaxed(body string) string {
	body = outer.ReplaceAllString(inner.ReplaceAllString(body, " "), "$1")
	for strings.HasSuffix(body, "\r\n") {
		body = strings.TrimSuffix(body, "\r\n")
	}
	if body != "" {
		body += "\r\n"
	}
	return body
}

func TestBodyIsThatOfTheStandard(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	words := []string{"a", " ", "\t", "\r\n", "\r\n", "  ", "word", strings.Repeat("x", 127), strings.Repeat("y ", 70), strings.Repeat("z", 1500), ".", "\n", "\r", "!", strings.Repeat("w! w\r\n", 300)}
	for range 3000 {
		var text strings.Builder
		for range random.IntN(30) {
			text.WriteString(words[random.IntN(len(words))])
		}
		body, hashed := text.String(), NewBody(Relaxed)
		for rest := body; rest != ""; {
			n := 1 + random.IntN(len(rest))
			_, _ = hashed.Write([]byte(rest[:n]))
			rest = rest[n:]
		}
		got, err := hashed.Sum(Relaxed)
		if want := sha256.Sum256([]byte(relaxed(body))); err != nil || !bytes.Equal(got, want[:]) {
			t.Fatalf("%q, %v", body, err)
		}
	}
}

// covered is what a signature covers by RFC 6376 §5.4.2.
func covered(fields, names []string, self int) string {
	var out strings.Builder
	taken := map[int]bool{self: true}
	for _, name := range names {
		for i := len(fields) - 1; i >= 0; i-- {
			if of, _, _ := strings.Cut(fields[i], ":"); !taken[i] && strings.EqualFold(of, name) {
				taken[i] = true
				out.WriteString(fields[i])
				break
			}
		}
	}
	return out.String()
}

func TestCoverageIsThatOfTheStandard(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(3, 4))
	for range 500 {
		var fields, names []string
		for i := range random.IntN(3 * many) {
			fields = append(fields, fmt.Sprintf("%s: %d\r\n", []string{"From", "from", "X-A", "x-b", "DKIM-Signature", "Fro", "X-" + fmt.Sprint(i)}[random.IntN(7)], i))
		}
		for i := range random.IntN(3 * many) {
			names = append(names, []string{"from", "FROM", "x-a", "X-B", "dkim-signature", "none", "x-" + fmt.Sprint(i)}[random.IntN(7)])
		}
		self := random.IntN(len(fields)+1) - 1
		h := NewHeader([]byte(strings.Join(fields, "")))
		if got, want := string(h.AppendCovered(nil, names, Simple, self)), covered(fields, names, self); got != want {
			t.Fatalf("%q of %q without %d:\n%q\n%q", names, fields, self, got, want)
		}
		for _, name := range []string{"from", "x-a", "none"} {
			var want []int
			for i, f := range fields {
				if of, _, _ := strings.Cut(f, ":"); strings.EqualFold(of, name) {
					want = append(want, i)
				}
			}
			if got := h.Named(name); !slices.Equal(got, want) {
				t.Fatalf("%s in %q: %v, want %v", name, fields, got, want)
			}
		}
	}
}
