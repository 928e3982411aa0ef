package main

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

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
			a.printExplanation(e)
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
	a.printExplanation(e.Before)
	a.say("\nAfter\n")
	a.printExplanation(e.After)
	a.say("\n")
	a.printAltered(e.AlteredRoutes, len(e.AlteredRoutes.Routes))
	a.say("Nothing is done yet.\n")
	return nil
}

// shownHop is a next hop in one word; a unix socket is its path.
func shownHop(h control.ExplainHop) string {
	if h.Port == 0 {
		return h.Host
	}
	return net.JoinHostPort(h.Host, strconv.Itoa(int(h.Port)))
}

func (a *app) printExplanation(e control.Explanation) {
	verdict := "refused"
	if e.Reply.Code == 250 {
		verdict = "accepted"
	}
	a.say("%s: %s, %d %s %s\n", clean(e.Address), verdict, e.Reply.Code, e.Reply.Enhanced, clean(e.Reply.Text))
	if e.EffectiveMode != "" {
		a.say("  mode       %s\n", e.EffectiveMode)
	}
	if len(e.Mailboxes) > 0 {
		a.say("  mailboxes  %s\n", clean(strings.Join(e.Mailboxes, ", ")))
	}
	for i, h := range e.NextHops {
		head := ""
		if i == 0 {
			head = "next hops"
		}
		a.say("  %-10s %s (%s, preference %d, TLS %s)\n", head, clean(shownHop(h)), h.Transport, h.Preference, h.TLS)
	}
	a.say("Why:\n")
	for _, r := range e.Reasons {
		age := ""
		if r.Age > 0 {
			age = " [" + strconv.FormatInt(r.Age, 10) + " s old]"
		}
		a.say("  %s%s\n", clean(r.Sentence), age)
	}
	a.say("Why not otherwise:\n")
	for _, n := range e.WhyNot {
		a.say("  %s\n", clean(n.Sentence))
	}
}
