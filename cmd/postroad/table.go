package main

import (
	"fmt"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"github.com/spf13/cobra"
)

// clean makes a text that strangers may have written safe for a terminal: what is not visible becomes a space.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if r == unicode.ReplacementChar || unicode.IsGraphic(r) {
			return r
		}
		return ' '
	}, strings.ToValidUTF8(s, "\uFFFD"))
}

// table prints columns under their heads; nothing but the heads for an empty one.
func (a *app) table(heads string, rows [][]string) error {
	w := tabwriter.NewWriter(a.out, 0, 8, 2, ' ', 0)
	if _, err := fmt.Fprintln(w, strings.ReplaceAll(heads, " ", "\t")); err != nil {
		return err
	}
	for _, r := range rows {
		for i := range r {
			r[i] = clean(r[i])
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

// when writes a time for people.
func when(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Local().Format("2006-01-02 15:04:05")
}

// show prints a listing: JSON, or a table made of it.
func show[T any](a *app, list []T, heads string, row func(v T) []string) error {
	if a.json {
		return a.printJSON(list)
	}
	rows := make([][]string, len(list))
	for i, v := range list {
		rows[i] = row(v)
	}
	return a.table(heads, rows)
}

// listing is the command that shows all there is of something, one in a row.
func listing[T any](a *app, short, path, heads string, row func(v T) []string) *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: short, Args: cobra.NoArgs,
		RunE: work(func(cmd *cobra.Command, _ []string) error {
			all, err := list[T](cmd.Context(), a, path, nil)
			if err != nil {
				return err
			}
			return show(a, all, heads, row)
		}),
	}
}
