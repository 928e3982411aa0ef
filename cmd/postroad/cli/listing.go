package cli

import (
	"github.com/spf13/cobra"

	"postroad/cmd/postroad/sheet"
)

// Show prints a listing: JSON, or a table made of it.
func Show[T any](a *App, list []T, heads string, row func(v T) []string) error {
	if a.JSON {
		return a.PrintJSON(list)
	}
	rows := make([][]string, len(list))
	for i, v := range list {
		rows[i] = row(v)
	}
	return sheet.Table(a.Out, heads, rows)
}

// Listing is the command that shows all there is of something, one in a row.
func Listing[T any](a *App, short, path, heads string, row func(v T) []string) *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: short, Args: cobra.NoArgs,
		RunE: Work(func(cmd *cobra.Command, _ []string) error {
			all, err := List[T](cmd.Context(), a, path, nil)
			if err != nil {
				return err
			}
			return Show(a, all, heads, row)
		}),
	}
}
