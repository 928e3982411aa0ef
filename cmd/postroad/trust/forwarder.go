package trust

import (
	"net/http"
	"net/url"

	"github.com/spf13/cobra"

	"postroad/cmd/postroad/cli"
	"postroad/internal/service/control"
)

func forwarderCommand(a *cli.App) *cobra.Command {
	path := func(domain string) string { return "/domains" + cli.Segment(domain) + "/forwarders" }
	return cli.Group("forwarder", "A customer's own servers that forward mail to us",
		a.Changes(&cobra.Command{
			Use: "add DOMAIN HOST|ADDRESS|NETWORK", Short: "Have a domain trust a server: who sent what it forwards is judged by where it had the mail from", Args: cobra.ExactArgs(2),
			RunE: cli.Work(func(cmd *cobra.Command, args []string) error {
				return a.Change(cmd.Context(), http.MethodPost, path(args[0]), nil, map[string]any{"forwarder": args[1]})
			}),
		}),
		&cobra.Command{
			Use: "list DOMAIN", Short: "List the servers that a domain trusts to forward to it", Args: cobra.ExactArgs(1),
			RunE: cli.Work(func(cmd *cobra.Command, args []string) error {
				all, err := cli.List[control.ForwarderInfo](cmd.Context(), a, path(args[0]), nil)
				if err != nil {
					return err
				}
				return cli.Show(a, all, "FORWARDER KNOWN-BY", func(f control.ForwarderInfo) []string { return []string{f.Forwarder, f.By} })
			}),
		},
		a.Changes(&cobra.Command{
			Use: "remove DOMAIN HOST|ADDRESS|NETWORK", Short: "Have a domain trust a server no longer", Args: cobra.ExactArgs(2),
			RunE: cli.Work(func(cmd *cobra.Command, args []string) error {
				return a.Change(cmd.Context(), http.MethodDelete, path(args[0]), url.Values{"forwarder": {args[1]}}, nil)
			}),
		}),
	)
}
