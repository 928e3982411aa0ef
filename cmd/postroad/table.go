package main

import (
	"time"

	"github.com/spf13/cobra"

	"postroad/cmd/postroad/sheet"
)

// clean is sheet.Clean.
func clean(s string) string { return sheet.Clean(s) }

// table prints columns under their heads.
func (a *app) table(heads string, rows [][]string) error { return sheet.Table(a.out, heads, rows) }

// when is sheet.When.
func when(t time.Time) string { return sheet.When(t) }

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
