package zones

import (
	"net/http"
	"strings"

	"github.com/spf13/cobra"

	"postroad/cmd/postroad/cli"
	"postroad/internal/service/control"
)

func providerCommand(a *cli.App) *cobra.Command {
	body := map[string]any{}
	var zone, server, key, algorithm string
	var secret bool
	set := a.Changes(&cobra.Command{
		Use: "set DOMAIN rfc2136|cloudflare|hetzner", Short: "Set how a domain's zone is written to", Args: cobra.ExactArgs(2),
		Long: "Sets how the zone of a domain is written to that others answer for: by dynamic update (RFC 2136) with a TSIG key, or by\n" +
			"the interface of a DNS service with a token. Nothing is written before somebody says postroad publish. The secret is\n" +
			"kept encrypted and never shown.",
		RunE: cli.Work(func(cmd *cobra.Command, args []string) error {
			body["kind"], body["zone"], body["server"], body["key"], body["algorithm"] = args[1], zone, server, key, algorithm
			if secret {
				text, err := a.Secret("--secret-stdin")
				if err != nil {
					return err
				}
				body["secret"] = text
			} else {
				return cli.Usagef("give the key's secret or the token by --secret-stdin")
			}
			return a.Change(cmd.Context(), http.MethodPut, "/domains"+cli.Segment(args[0])+"/provider", nil, body)
		}),
	})
	set.Flags().StringVar(&zone, "zone", "", "the zone there, when it is one above the domain")
	set.Flags().StringVar(&server, "server", "", "rfc2136: HOST or HOST:PORT of the zone's primary; else, for the operator, the URL of the interface")
	set.Flags().StringVar(&key, "key", "", "rfc2136: name of the TSIG key")
	set.Flags().StringVar(&algorithm, "algorithm", "", "rfc2136: hmac-sha256 (default), hmac-sha384 or hmac-sha512")
	set.Flags().BoolVar(&secret, "secret-stdin", false, "read the key's secret (base64) or the service's token from the first line of stdin")
	return cli.Group("provider", "How zones are written to that others answer for", set,
		cli.Listing(a, "List how zones are written to", "/providers", "DOMAIN ZONE KIND SERVER KEY", func(p control.ProviderInfo) []string {
			return []string{p.Domain, p.Zone, p.Kind, p.Server, strings.TrimSpace(p.Key + " " + p.Algorithm)}
		}),
		a.Changes(&cobra.Command{
			Use: "remove DOMAIN", Short: "Write to a domain's zone no more, and forget its secret", Args: cobra.ExactArgs(1),
			RunE: cli.Work(func(cmd *cobra.Command, args []string) error {
				return a.Change(cmd.Context(), http.MethodDelete, "/domains"+cli.Segment(args[0])+"/provider", nil, nil)
			}),
		}),
	)
}

func publishCommand(a *cli.App) *cobra.Command {
	return a.Changes(&cobra.Command{
		Use: "publish DOMAIN", Short: "Write the records by which mail comes here into a zone that others answer for", Args: cobra.ExactArgs(1),
		Long: "Writes the MX records and the SPF record that mx list shows into the zone of a domain, where others answer\n" +
			"for it and provider set has said how it is written to; before the domain's ownership is shown, the proof of that alone.\n" +
			"The difference is shown first; all else in the zone stays as it is. postroad undo takes it back. Without a provider,\n" +
			"postroad mx list DOMAIN shows what to enter by hand.",
		RunE: cli.Work(func(cmd *cobra.Command, args []string) error {
			return a.Change(cmd.Context(), http.MethodPost, "/domains"+cli.Segment(args[0])+"/publish", nil, nil)
		}),
	})
}
