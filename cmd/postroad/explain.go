package main

import (
	"net/http"
	"net/url"

	"github.com/spf13/cobra"

	"postroad/cmd/postroad/cli"
	"postroad/cmd/postroad/sheet"
	"postroad/internal/edge/api"
	"postroad/internal/service/control"
)

func explainCommand(a *cli.App) *cobra.Command {
	var sender, client, as, change string
	c := &cobra.Command{
		Use: "explain ADDRESS", Short: "Tell what would happen to mail for an address, and why", Args: cobra.ExactArgs(1),
		RunE: cli.Work(func(cmd *cobra.Command, args []string) error {
			if change != "" {
				proposed, err := cli.Proposal(cmd.Context(), commands, change)
				if err != nil {
					return err
				}
				return explainChange(a, cmd, api.ExplainChange{Address: args[0], Sender: sender, Client: client, As: as, Change: proposed})
			}
			query := url.Values{"address": {args[0]}}
			for key, value := range map[string]string{"sender": sender, "client": client, "as": as} {
				if value != "" {
					query.Set(key, value)
				}
			}
			e, err := cli.Get[control.Explanation](cmd.Context(), a, "/explain", query)
			if err != nil {
				return err
			}
			if a.JSON {
				return a.PrintJSON(e)
			}
			sheet.Explanation(a.Out, e)
			return nil
		}),
	}
	c.Flags().StringVar(&sender, "sender", "", "address that the mail is from")
	c.Flags().StringVar(&client, "client", "", "IP address that it comes from")
	c.Flags().StringVar(&as, "as", "", "who sends it: stranger (default), a login's full address, or local")
	c.Flags().StringVar(&change, "change", "", "a command that changes something, such as 'domain set acme.example --mode remote': tell what it would do, and do nothing")
	return c
}

// explainChange tells what a proposed change would do.
func explainChange(a *cli.App, cmd *cobra.Command, q api.ExplainChange) error {
	e, err := cli.Ask[control.ChangedExplanation](cmd.Context(), a, http.MethodPost, "/explain", nil, q)
	if err != nil {
		return err
	}
	if a.JSON {
		return a.PrintJSON(e)
	}
	a.PrintPlan(control.Plan{Sentences: e.Sentences, Warnings: e.Warnings})
	a.Say("\nBefore\n")
	sheet.Explanation(a.Out, e.Before)
	a.Say("\nAfter\n")
	sheet.Explanation(a.Out, e.After)
	a.Say("\n")
	a.PrintAltered(e.AlteredRoutes, len(e.AlteredRoutes.Routes))
	a.Say("Nothing is done yet.\n")
	return nil
}
