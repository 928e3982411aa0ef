package main

import (
	"net"
	"net/url"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"postroad/internal/service/control"
)

func (a *app) explainCommand() *cobra.Command {
	var sender, client, as string
	c := &cobra.Command{
		Use: "explain ADDRESS", Short: "Tell what would happen to mail for an address, and why", Args: cobra.ExactArgs(1),
		RunE: work(func(cmd *cobra.Command, args []string) error {
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
	return c
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
		a.say("  %-10s %s (%s, preference %d)\n", head, clean(shownHop(h)), h.Transport, h.Preference)
	}
	a.say("Why:\n")
	for _, r := range e.Reasons {
		age := ""
		if r.Age > 0 {
			age = " [" + strconv.FormatInt(r.Age, 10) + " s old]"
		}
		a.say("  %s%s\n", clean(r.Sentence), age)
	}
}
