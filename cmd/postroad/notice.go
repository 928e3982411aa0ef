package main

import (
	"net/url"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"postroad/cmd/postroad/cli"
	"postroad/cmd/postroad/sheet"
	"postroad/internal/service/control"
)

// noticePage is how many notices are asked for at a time.
const noticePage = 500

func noticeCommand(a *cli.App) *cobra.Command {
	domain, limit, text := "", 0, false
	c := &cobra.Command{
		Use: "list", Short: "List what people were told, newest first", Args: cobra.NoArgs,
		RunE: cli.Work(func(cmd *cobra.Command, _ []string) error {
			all := []control.NoticeInfo{}
			query := url.Values{}
			if domain != "" {
				query.Set("domain", domain)
			}
			for limit <= 0 || len(all) < limit {
				page := noticePage
				if limit > 0 {
					page = min(page, limit-len(all))
				}
				query.Set("limit", strconv.Itoa(page))
				got, err := cli.List[control.NoticeInfo](cmd.Context(), a, "/notices", query)
				if err != nil {
					return err
				}
				all = append(all, got...)
				if len(got) < page {
					break
				}
				query.Set("before", got[len(got)-1].ID)
			}
			if text && !a.JSON {
				printNotices(a, all)
				return nil
			}
			return cli.Show(a, all, "AT ACCOUNT STATE TO SUBJECT", func(n control.NoticeInfo) []string {
				return []string{sheet.When(n.At), string(n.Account), n.State, strings.Join(n.To, ","), n.Subject}
			})
		}),
	}
	c.Flags().StringVar(&domain, "domain", "", "only about this domain")
	c.Flags().IntVar(&limit, "limit", 100, "at most so many; 0 for all")
	c.Flags().BoolVar(&text, "text", false, "with their texts")
	return cli.Group("notice", "What people were told of their domains' mail", c)
}

// printNotices shows notices in full.
func printNotices(a *cli.App, all []control.NoticeInfo) {
	for i := range all {
		n := &all[i]
		if i > 0 {
			a.Say("\n")
		}
		a.Say("%s  %s\n", sheet.When(n.At), sheet.Clean(n.Subject))
		for line := range strings.SplitSeq(strings.TrimSuffix(n.Text, "\n"), "\n") {
			a.Say("  %s\n", sheet.Clean(line))
		}
		if n.Problem != "" {
			a.Say("  %s\n", sheet.Clean(n.Problem))
		}
	}
}
