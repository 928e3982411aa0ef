package main

import (
	"net/http"
	"net/url"

	"github.com/spf13/cobra"

	"postroad/cmd/postroad/cli"
	"postroad/cmd/postroad/sheet"
	"postroad/internal/service/control"
)

func identityCommand(a *cli.App) *cobra.Command {
	of := func(mailbox string) string { return "/mailboxes" + cli.Segment(mailbox) + "/identities" }
	return cli.Group("identity", "Addresses elsewhere as which mailboxes' logins may send",
		a.Changes(&cobra.Command{
			Use: "add MAILBOX ADDRESS", Short: "Let a mailbox's login send as an address", Args: cobra.ExactArgs(2),
			Long: `Lets a mailbox's login send as an address elsewhere, in the From field and in the envelope, once it was shown that it is
theirs: at once where the address's domain is the account's own here and proved, else by a code that is mailed to the
address and entered by identity confirm. That holds for a year; the same command renews it. Tells whether the domain
authorises it, by its SPF record or by a key that signs here; outbound set --identity has it leave through the domain's own
server.`,
			RunE: cli.Work(func(cmd *cobra.Command, args []string) error {
				return a.Change(cmd.Context(), http.MethodPost, of(args[0]), nil, map[string]any{"address": args[1]})
			}),
		}),
		a.Changes(&cobra.Command{
			Use: "confirm MAILBOX ADDRESS CODE", Short: "Confirm an address by the code that was mailed there", Args: cobra.ExactArgs(3),
			RunE: cli.Work(func(cmd *cobra.Command, args []string) error {
				return a.Change(cmd.Context(), http.MethodPost, of(args[0])+cli.Segment(args[1])+"/confirm", nil, map[string]any{"code": args[2]})
			}),
		}),
		&cobra.Command{
			Use: "list [MAILBOX]", Short: "List identities", Args: cobra.MaximumNArgs(1),
			RunE: cli.Work(func(cmd *cobra.Command, args []string) error {
				query := url.Values{}
				if len(args) > 0 {
					query.Set("mailbox", args[0])
				}
				all, err := cli.List[control.IdentityInfo](cmd.Context(), a, "/identities", query)
				if err != nil {
					return err
				}
				return cli.Show(a, all, "MAILBOX SENDS-AS STATE PROOF EXPIRES THROUGH", func(i control.IdentityInfo) []string {
					until := ""
					if i.Expires != nil {
						until = sheet.When(*i.Expires)
					}
					return []string{i.Mailbox, i.Address, i.State, i.Proof, until, i.Relay}
				})
			}),
		},
		a.Changes(&cobra.Command{
			Use: "remove MAILBOX ADDRESS", Short: "Let a mailbox's login send as an address no more", Args: cobra.ExactArgs(2),
			RunE: cli.Work(func(cmd *cobra.Command, args []string) error {
				return a.Change(cmd.Context(), http.MethodDelete, of(args[0])+cli.Segment(args[1]), nil, nil)
			}),
		}),
	)
}
