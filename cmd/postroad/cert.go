package main

import (
	"net/http"
	"time"

	"github.com/spf13/cobra"

	"postroad/cmd/postroad/cli"
	"postroad/cmd/postroad/sheet"
	"postroad/internal/service/control"
)

func certCommand(a *cli.App) *cobra.Command {
	var domain string
	add := a.Changes(&cobra.Command{
		Use: "add NAME", Short: "Have a certificate fetched for a name, and renewed", Args: cobra.ExactArgs(1),
		Long: "Has a certificate fetched for the name of a host, such as mail.example.com, so that clients can connect by it for\n" +
			"submission, IMAP and HTTPS. The name lies in a domain whose ownership is shown, and points to this server. postroad\n" +
			"cert show NAME tells how far it has come, and what to do when it has not.",
		RunE: cli.Work(func(cmd *cobra.Command, args []string) error {
			body := map[string]any{"name": args[0]}
			if domain != "" {
				body["domain"] = domain
			}
			return a.Change(cmd.Context(), http.MethodPost, "/certificates", nil, body)
		}),
	})
	add.Flags().StringVar(&domain, "domain", "", "the domain in which it lies (default: found by itself)")
	return cli.Group("cert", "Certificates of names", add,
		cli.Listing(a, "List the names that have a certificate of their own, or are to have one", "/certificates", "NAME STATE UNTIL SOURCE DOMAIN PROBLEM", func(c control.CertificateInfo) []string {
			return []string{c.Name, c.State, shownDay(c.Until), c.Source, c.Domain, c.Problem}
		}),
		&cobra.Command{
			Use: "show NAME", Short: "Show a name's certificate, and what keeps it from having one", Args: cobra.ExactArgs(1),
			RunE: cli.Work(func(cmd *cobra.Command, args []string) error {
				c, err := cli.Get[control.CertificateInfo](cmd.Context(), a, "/certificates"+cli.Segment(args[0]), nil)
				if err != nil {
					return err
				}
				if a.JSON {
					return a.PrintJSON(c)
				}
				sheet.Certificate(a.Out, &c)
				return nil
			}),
		},
		a.Changes(&cobra.Command{
			Use: "remove NAME", Short: "Have no certificate for a name any more", Args: cobra.ExactArgs(1),
			RunE: cli.Work(func(cmd *cobra.Command, args []string) error {
				return a.Change(cmd.Context(), http.MethodDelete, "/certificates"+cli.Segment(args[0]), nil, nil)
			}),
		}),
		a.Changes(&cobra.Command{
			Use: "renew NAME", Short: "Fetch a new certificate for a name now", Args: cobra.ExactArgs(1),
			RunE: cli.Work(func(cmd *cobra.Command, args []string) error {
				return a.Change(cmd.Context(), http.MethodPost, "/certificates"+cli.Segment(args[0])+"/renew", nil, nil)
			}),
		}),
	)
}

// shownDay is a moment's day; empty for none.
func shownDay(t *time.Time) string {
	if t == nil {
		return ""
	}
	return t.UTC().Format(time.DateOnly)
}
