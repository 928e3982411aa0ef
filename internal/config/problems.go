package config

import (
	"fmt"
	"slices"
	"strings"
)

// Problem is one thing that is wrong with the configuration.
type Problem struct {
	Source  string // file name, or the environment variable
	Line    int    // from 1; 0 when there is none
	Key     string // dotted key; empty when the text is no TOML at all
	Message string
	Hint    string // what to do; may be empty
}

// String is the problem in one line: place, key, what is wrong, hint.
func (p Problem) String() string {
	var b strings.Builder
	b.WriteString(p.Source)
	if p.Line > 0 {
		fmt.Fprintf(&b, ":%d", p.Line)
	}
	b.WriteString(": ")
	if p.Key != "" {
		b.WriteString(p.Key + ": ")
	}
	b.WriteString(p.Message)
	if p.Hint != "" {
		b.WriteString(" (" + p.Hint + ")")
	}
	return b.String()
}

// ProblemErrors is the error of Load: everything that is wrong, in the order of the file, then of the environment.
type ProblemErrors []Problem

// Error lists the problems, one per line.
func (p ProblemErrors) Error() string {
	lines := make([]string, len(p))
	for i := range p {
		lines[i] = p[i].String()
	}
	return strings.Join(lines, "\n")
}

// nearest gives the candidate that a misspelt word most likely means, empty when none is near.
func nearest(word string, candidates []string) string {
	best, distance := "", 1+len(word)/3
	for _, c := range candidates {
		if d := editDistance(word, c); d <= distance && (best == "" || d < distance) {
			best, distance = c, d
		}
	}
	return best
}

// editDistance counts the letters to add, drop, change or swap with a neighbour to make one word the other.
func editDistance(a, b string) int {
	if len(a) > 64 || len(b) > 64 {
		return 64
	}
	var before []int
	last := make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row := make([]int, len(b)+1)
		row[0] = i
		for j := 1; j <= len(b); j++ {
			change := last[j-1]
			if a[i-1] != b[j-1] {
				change++
			}
			row[j] = min(change, last[j]+1, row[j-1]+1)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last = last, row
	}
	return last[len(b)]
}

func keyNames(all []key) []string {
	names := make([]string, len(all))
	for i := range all {
		names[i] = all[i].name
	}
	return names
}

// unknownKey says what was probably meant by a key that does not exist.
func unknownKey(name string, all []key) (hint string) {
	names := keyNames(all)
	if near := nearest(name, names); near != "" {
		return "did you mean " + near + "?"
	}
	last := name[strings.LastIndexByte(name, '.')+1:]
	for _, n := range names {
		if n[strings.LastIndexByte(n, '.')+1:] == last {
			return "did you mean " + n + "?"
		}
	}
	if table, _, ok := strings.Cut(name, "."); ok {
		var same []string
		for _, n := range names {
			if rest, ok := strings.CutPrefix(n, table+"."); ok {
				same = append(same, rest)
			}
		}
		if len(same) > 0 {
			return "keys of [" + table + "]: " + strings.Join(same, ", ")
		}
		if near := nearest(table, tables(all)); near != "" {
			return "did you mean the table [" + near + "]?"
		}
	}
	return "see: postroad config reference"
}

func tables(all []key) []string {
	var out []string
	for _, k := range all {
		if t, _, ok := strings.Cut(k.name, "."); ok && !slices.Contains(out, t) {
			out = append(out, t)
		}
	}
	return out
}
