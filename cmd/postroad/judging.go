package main

import (
	"net/http"
	"net/url"

	"github.com/spf13/cobra"

	"postroad/internal/service/control"
)

func (a *app) forwarderCommand() *cobra.Command {
	path := func(domain string) string { return "/domains" + segment(domain) + "/forwarders" }
	return group("forwarder", "A customer's own servers that forward mail to us",
		a.changes(&cobra.Command{
			Use: "add DOMAIN HOST|ADDRESS|NETWORK", Short: "Have a domain trust a server: who sent what it forwards is judged by where it had the mail from", Args: cobra.ExactArgs(2),
			RunE: work(func(cmd *cobra.Command, args []string) error {
				return a.change(cmd.Context(), http.MethodPost, path(args[0]), nil, map[string]any{"forwarder": args[1]})
			}),
		}),
		&cobra.Command{
			Use: "list DOMAIN", Short: "List the servers that a domain trusts to forward to it", Args: cobra.ExactArgs(1),
			RunE: work(func(cmd *cobra.Command, args []string) error {
				all, err := list[control.ForwarderInfo](cmd.Context(), a, path(args[0]), nil)
				if err != nil {
					return err
				}
				return show(a, all, "FORWARDER KNOWN-BY", func(f control.ForwarderInfo) []string { return []string{f.Forwarder, f.By} })
			}),
		},
		a.changes(&cobra.Command{
			Use: "remove DOMAIN HOST|ADDRESS|NETWORK", Short: "Have a domain trust a server no longer", Args: cobra.ExactArgs(2),
			RunE: work(func(cmd *cobra.Command, args []string) error {
				return a.change(cmd.Context(), http.MethodDelete, path(args[0]), url.Values{"forwarder": {args[1]}}, nil)
			}),
		}),
	)
}
