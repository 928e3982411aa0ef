// Package sheet prints answers for people who read them on a terminal.
package sheet

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"
)

func say(w io.Writer, format string, args ...any) { _, _ = fmt.Fprintf(w, format, args...) }

// Clean makes a text that strangers may have written safe for a terminal: what is not visible becomes a space.
func Clean(s string) string {
	return strings.Map(func(r rune) rune {
		if r == unicode.ReplacementChar || unicode.IsGraphic(r) {
			return r
		}
		return ' '
	}, strings.ToValidUTF8(s, "\uFFFD"))
}

// Table prints columns under their heads; nothing but the heads for an empty one.
func Table(out io.Writer, heads string, rows [][]string) error {
	w := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	if _, err := fmt.Fprintln(w, strings.ReplaceAll(heads, " ", "\t")); err != nil {
		return err
	}
	for _, r := range rows {
		for i := range r {
			r[i] = Clean(r[i])
			if r[i] == "" {
				r[i] = "-"
			}
		}
		if _, err := fmt.Fprintln(w, strings.Join(r, "\t")); err != nil {
			return err
		}
	}
	return w.Flush()
}

// When writes a time for people.
func When(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Local().Format("2006-01-02 15:04:05")
}

// YesNo writes a truth for people.
func YesNo(v bool) string {
	if v {
		return "yes"
	}
	return "no"
}
