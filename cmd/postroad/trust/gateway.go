package trust

import (
	"net/http"
	"net/url"

	"github.com/spf13/cobra"

	"postroad/cmd/postroad/cli"
	"postroad/cmd/postroad/sheet"
	"postroad/internal/service/control"
)

func gatewayCommand(a *cli.App) *cobra.Command {
	path := func(domain string) string { return "/domains" + cli.Segment(domain) + "/gateways" }
	return cli.Group("gateway", "Filters in front of us, from which alone a domain takes mail",
		a.Changes(&cobra.Command{
			Use: "add DOMAIN ADDRESS|NETWORK|HOST", Short: "Have a domain take mail from a filter, and from nobody else outside", Args: cobra.ExactArgs(2),
			Long: `Has a domain take mail from outside only from its gateways; everybody else is told 450 and finds the filter by the MX
records. Who brought the mail to the filter is judged as its sender. A host is looked up once, and its addresses are added.
It is the same list as that of domain set --gateway.`,
			RunE: cli.Work(func(cmd *cobra.Command, args []string) error {
				return a.Change(cmd.Context(), http.MethodPost, path(args[0]), nil, map[string]any{"gateway": args[1]})
			}),
		}),
		&cobra.Command{
			Use: "list DOMAIN", Short: "List the gateways of a domain", Args: cobra.ExactArgs(1),
			RunE: cli.Work(func(cmd *cobra.Command, args []string) error {
				all, err := cli.List[control.GatewayInfo](cmd.Context(), a, path(args[0]), nil)
				if err != nil {
					return err
				}
				return cli.Show(a, all, "GATEWAY EXCHANGER-SET", func(g control.GatewayInfo) []string { return []string{g.Gateway, g.Set} })
			}),
		},
		&cobra.Command{
			Use: "show DOMAIN", Short: "Tell whether mail comes through the gateways, who came around them, and which may be lacking", Args: cobra.ExactArgs(1),
			RunE: cli.Work(func(cmd *cobra.Command, args []string) error {
				r, err := cli.Get[control.GatewayReport](cmd.Context(), a, path(args[0])+"/report", nil)
				if err != nil {
					return err
				}
				if a.JSON {
					return a.PrintJSON(r)
				}
				return sheet.Gateways(a.Out, &r)
			}),
		},
		a.Changes(&cobra.Command{
			Use: "remove DOMAIN ADDRESS|NETWORK|HOST", Short: "Have a domain take mail from a filter no longer; without the last one everybody may deliver", Args: cobra.ExactArgs(2),
			RunE: cli.Work(func(cmd *cobra.Command, args []string) error {
				return a.Change(cmd.Context(), http.MethodDelete, path(args[0]), url.Values{"gateway": {args[1]}}, nil)
			}),
		}),
	)
}
