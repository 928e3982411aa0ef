// Package primary is the commands about the mail systems that domains' users have elsewhere: the forwards that these are to
// make, and the probes that tell which of them work.
package primary

import (
	"net/http"
	"net/url"
	"time"

	"github.com/spf13/cobra"

	"postroad/cmd/postroad/cli"
	"postroad/cmd/postroad/sheet"
	"postroad/internal/config"
	"postroad/internal/service/control"
)

// Commands gives the commands.
func Commands(a *cli.App) []*cobra.Command {
	return []*cobra.Command{cli.Group("primary", "The mail system that a domain's users have elsewhere, and its forwards", showCommand(a), exportCommand(a), probeCommand(a))}
}

func path(domain string) string { return "/domains" + cli.Segment(domain) + "/primary" }

func showCommand(a *cli.App) *cobra.Command {
	return &cobra.Command{
		Use: "show DOMAIN", Short: "Show the forwards that a domain's primary has to make, and which of them work", Args: cobra.ExactArgs(1),
		Long: `Shows where the users of a domain have their mail, the forwards that bring it here, and what the last probe of each has
told: intact, rewritten (it came back, and signatures do not survive that), refused (given back, with the reply), missing
(taken, and not come back), sent (under way). The domain at which users have their mail is the one above a sub-domain; another
one is named by domain set --primary.`,
		RunE: cli.Work(func(cmd *cobra.Command, args []string) error {
			p, err := cli.Get[control.PrimaryInfo](cmd.Context(), a, path(args[0]), nil)
			if err != nil {
				return err
			}
			if a.JSON {
				return a.PrintJSON(p)
			}
			chosen := "as its name says"
			if p.Chosen {
				chosen = "chosen by domain set --primary"
			}
			a.Say("The users of %s have their mail at %s (%s).\n", p.Domain, p.Primary, chosen)
			return cli.Show(a, p.Forwards, "FROM TO STATE PROBED AFTER BY DETAIL", row)
		}),
	}
}

// row is a forward in a table.
func row(f control.PrimaryForward) []string {
	state, probed, after := f.State, "", ""
	if f.Before != "" {
		state += " (" + f.Before + " before)"
	}
	if f.Sent != nil {
		probed = sheet.When(*f.Sent)
	}
	if f.After > 0 {
		after = time.Duration(f.After * float64(time.Second)).Round(time.Millisecond).String()
	}
	return []string{f.From, f.To, state, probed, after, f.Hop, f.Detail}
}

func exportCommand(a *cli.App) *cobra.Command {
	var format string
	c := &cobra.Command{
		Use: "export DOMAIN", Short: "Write the list of forwards for the administrator of a domain's primary", Args: cobra.ExactArgs(1),
		Long: `Writes the forwards that a domain's primary has to make, for whoever looks after it: as a text that says what to do, with
commands for common mail systems, as CSV with the columns from and to, or as JSON.`,
		RunE: cli.Work(func(cmd *cobra.Command, args []string) error {
			if a.JSON {
				format = "json"
			}
			return a.Download(cmd.Context(), path(args[0])+"/forwards", url.Values{"format": {format}})
		}),
	}
	c.Flags().StringVar(&format, "format", "text", "text, csv or json")
	return c
}

func probeCommand(a *cli.App) *cobra.Command {
	var within string
	c := &cobra.Command{
		Use: "probe DOMAIN [ADDRESS…]", Short: "Try which forwards of a domain's primary work", Args: cobra.MinimumNArgs(1),
		Long: `Sends a small message to each address at a domain's primary, or to those that are named, as they are here or there. When it
comes back it is recognised, held against what was sent, and not put into a mailbox; primary show tells what came of it, and
the domain has the findings FORWARD_MISSING and FORWARD_REWRITES_BODY. An address is probed once in ten minutes at most, and
100 addresses of an account.`,
		RunE: cli.Work(func(cmd *cobra.Command, args []string) error {
			body := map[string]any{"addresses": args[1:]}
			if within != "" {
				d, err := config.ParseDuration(within)
				if err != nil {
					return cli.Usagef("--within %v", err)
				}
				body["within_seconds"] = int64(d / time.Second)
			}
			return a.Change(cmd.Context(), http.MethodPost, path(args[0])+"/probe", nil, body)
		}),
	}
	c.Flags().StringVar(&within, "within", "", "how long a probe may take to come back, from when the primary took it (default 15m)")
	return a.Changes(c)
}
