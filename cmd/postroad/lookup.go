package main

import (
	"net/url"

	"github.com/spf13/cobra"

	"postroad/cmd/postroad/cli"
	"postroad/cmd/postroad/sheet"
	"postroad/internal/service/control"
)

func lookUpCommand(a *cli.App) *cobra.Command {
	var at, kind string
	c := &cobra.Command{
		Use: "look-up DOMAIN", Short: "Tell what DNS says of a domain, who says it, and whether it is right for mail", Args: cobra.ExactArgs(1),
		Long: `Asks DNS about any domain, as nslookup does after "set type=mx": who was asked, the exchangers with their preferences and
addresses, and the name servers of the zone, each with its own answer. Without --at the configured resolvers are asked,
which is what others see; with it, the server named. The last lines are the same question for a machine of your own.`,
		RunE: cli.Work(func(cmd *cobra.Command, args []string) error {
			query := url.Values{}
			for key, value := range map[string]string{"at": at, "type": kind} {
				if value != "" {
					query.Set(key, value)
				}
			}
			l, err := cli.Get[control.LookUpAnswer](cmd.Context(), a, "/look-up/"+url.PathEscape(args[0]), query)
			if err != nil {
				return err
			}
			if a.JSON {
				return a.PrintJSON(l)
			}
			return sheet.LookUp(a.Out, &l)
		}),
	}
	c.Flags().StringVar(&at, "at", "", "the server to ask, by name or address: one of the zone's own, or a resolver")
	c.Flags().StringVar(&kind, "type", "", "type of record, as A, NS, SOA, TXT (default MX)")
	return c
}
