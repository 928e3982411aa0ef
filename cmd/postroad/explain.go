package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"

	"github.com/spf13/cobra"

	"postroad/cmd/postroad/sheet"
	"postroad/internal/edge/api"
	"postroad/internal/service/control"
)

func (a *app) explainCommand() *cobra.Command {
	var sender, client, as, change string
	c := &cobra.Command{
		Use: "explain ADDRESS", Short: "Tell what would happen to mail for an address, and why", Args: cobra.ExactArgs(1),
		RunE: work(func(cmd *cobra.Command, args []string) error {
			if change != "" {
				proposed, err := proposal(cmd, change)
				if err != nil {
					return err
				}
				return a.explainChange(cmd, api.ExplainChange{Address: args[0], Sender: sender, Client: client, As: as, Change: proposed})
			}
			query := url.Values{"address": {args[0]}}
			for key, value := range map[string]string{"sender": sender, "client": client, "as": as} {
				if value != "" {
					query.Set(key, value)
				}
			}
			e, err := get[control.Explanation](cmd.Context(), a, "/explain", query)
			if err != nil {
				return err
			}
			if a.json {
				return a.printJSON(e)
			}
			sheet.Explanation(a.out, e)
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
func (a *app) explainChange(cmd *cobra.Command, q api.ExplainChange) error {
	answer, err := a.send(cmd.Context(), http.MethodPost, "/explain", nil, q)
	if err != nil {
		return err
	}
	defer func() { _ = answer.Close() }()
	var e control.ChangedExplanation
	if err := json.NewDecoder(answer).Decode(&e); err != nil {
		return fmt.Errorf("the server's answer is cut or no JSON: %w", err)
	}
	if a.json {
		return a.printJSON(e)
	}
	a.printPlan(control.Plan{Sentences: e.Sentences, Warnings: e.Warnings})
	a.say("\nBefore\n")
	sheet.Explanation(a.out, e.Before)
	a.say("\nAfter\n")
	sheet.Explanation(a.out, e.After)
	a.say("\n")
	a.printAltered(e.AlteredRoutes, len(e.AlteredRoutes.Routes))
	a.say("Nothing is done yet.\n")
	return nil
}
