package main

import (
	"net/url"
	"strconv"

	"github.com/spf13/cobra"

	"postroad/cmd/postroad/cli"
	"postroad/cmd/postroad/sheet"
	"postroad/internal/service/control"
)

func sendingCommand(a *cli.App) *cobra.Command {
	var domain string
	c := &cobra.Command{
		Use: "list", Short: "List how many recipients users have had today, and how many they may have", Args: cobra.NoArgs,
		Long: "Lists the recipients of each login, of its domain and of its account in this hour and in this day of UTC, with the limits\n" +
			"of [sending] in the configuration. Who has reached one is told 450 4.7.1 at RCPT until the time in the last column.",
		RunE: cli.Work(func(cmd *cobra.Command, _ []string) error {
			query := url.Values{}
			if domain != "" {
				query.Set("domain", domain)
			}
			all, err := cli.List[control.SendingInfo](cmd.Context(), a, "/sending", query)
			if err != nil {
				return err
			}
			return cli.Show(a, all, "KIND NAME HOUR OF DAY OF UNTIL", func(s control.SendingInfo) []string {
				until := ""
				if s.Until != nil {
					until = sheet.When(*s.Until)
				}
				return []string{s.Kind, s.Name, strconv.FormatInt(s.Hour, 10), limit(s.HourLimit), strconv.FormatInt(s.Day, 10), limit(s.DayLimit), until}
			})
		}),
	}
	c.Flags().StringVar(&domain, "domain", "", "only this domain and its logins")
	return cli.Group("sending", "What users send", c)
}

// limit is a limit in a table; 0 is none.
func limit(n int64) string {
	if n == 0 {
		return ""
	}
	return strconv.FormatInt(n, 10)
}
