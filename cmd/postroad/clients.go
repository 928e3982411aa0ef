package main

import (
	"net/http"

	"github.com/spf13/cobra"

	"postroad/cmd/postroad/cli"
	"postroad/cmd/postroad/sheet"
	"postroad/internal/service/control"
)

func clientsPath(domain string) string { return "/domains" + cli.Segment(domain) + "/client-setup" }

func clientSetupCommand(a *cli.App) *cobra.Command {
	return cli.Group("client-setup", "How mail programs of a domain's users find their servers",
		&cobra.Command{
			Use: "show DOMAIN", Short: "Show servers and ports, and the records that lead programs there", Args: cobra.ExactArgs(1),
			Long: "Shows the servers and ports that a user enters by hand, and the records by which programs find them (RFC 6186, RFC 8314,\n" +
				"autoconfig, Autodiscover): for a zone hosted here how they stand in it, else what to enter where the zone is. New zones of\n" +
				"domains of mode local and split have them by themselves.",
			RunE: cli.Work(func(cmd *cobra.Command, args []string) error {
				s, err := cli.Get[control.ClientSetup](cmd.Context(), a, clientsPath(args[0]), nil)
				if err != nil {
					return err
				}
				if a.JSON {
					return a.PrintJSON(s)
				}
				return sheet.ClientSetup(a.Out, s)
			}),
		},
		a.Changes(&cobra.Command{
			Use: "publish DOMAIN", Short: "Put the records that are missing into a zone that is hosted here", Args: cobra.ExactArgs(1),
			RunE: cli.Work(func(cmd *cobra.Command, args []string) error {
				return a.Change(cmd.Context(), http.MethodPost, clientsPath(args[0]), nil, nil)
			}),
		}),
	)
}
