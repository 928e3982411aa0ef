package main

import (
	"net/url"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"postroad/cmd/postroad/cli"
	"postroad/cmd/postroad/sheet"
	"postroad/internal/service/control"
)

// tracePage is how many messages are asked for at a time.
const tracePage = 200

func traceCommand(a *cli.App) *cobra.Command {
	var recipient, sender, day string
	var limit int
	c := &cobra.Command{
		Use:   "trace [ID]",
		Short: "Show a message's life, step by step, or list messages by recipient or sender",
		Long: "Shows the life of the message with this queue id: who brought it, where it was to go and why, each attempt, and what\n" +
			"came of it. With --recipient or --sender it lists messages instead, newest first, those that were refused among them.\n" +
			"An owner sees what concerns the own domains.",
		Args: cobra.MaximumNArgs(1),
		RunE: cli.Work(func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 {
				if recipient != "" || sender != "" || day != "" {
					return cli.Usagef("trace takes an id, or --recipient and --sender, not both")
				}
				return traceShow(a, cmd, args[0])
			}
			if recipient == "" && sender == "" {
				return cli.Usagef("trace needs an id, --recipient or --sender")
			}
			query := url.Values{}
			for key, value := range map[string]string{"recipient": recipient, "sender": sender, "day": day} {
				if value != "" {
					query.Set(key, value)
				}
			}
			return traceList(a, cmd, query, limit)
		}),
	}
	c.Flags().StringVar(&recipient, "recipient", "", "messages for this address")
	c.Flags().StringVar(&sender, "sender", "", "messages from this reverse-path")
	c.Flags().StringVar(&day, "day", "", "only of this day, YYYY-MM-DD in UTC")
	c.Flags().IntVar(&limit, "limit", 100, "at most so many messages; 0 for all")
	c.AddCommand(traceReplay(a))
	return c
}

func traceShow(a *cli.App, cmd *cobra.Command, id string) error {
	t, err := cli.Get[control.TraceDetail](cmd.Context(), a, "/traces"+cli.Segment(id), nil)
	if err != nil {
		return err
	}
	if a.JSON {
		return a.PrintJSON(t)
	}
	a.Say("%s from <%s>\n", t.ID, sheet.Clean(t.Sender))
	for _, s := range t.Steps {
		a.Say("%s  %s\n", sheet.When(s.Time), sheet.Clean(s.Sentence))
		for _, r := range s.Reasons {
			a.Say("%19s  - %s\n", "", sheet.Clean(r.Sentence))
		}
		for _, c := range s.Checks {
			a.Say("%19s  - %s\n", "", sheet.Clean(c.Sentence))
		}
	}
	return nil
}

func traceList(a *cli.App, cmd *cobra.Command, query url.Values, limit int) error {
	all := []control.TraceSummary{}
	for limit <= 0 || len(all) < limit {
		n := tracePage
		if limit > 0 {
			n = min(n, limit-len(all))
		}
		query.Set("limit", strconv.Itoa(n))
		page, err := cli.List[control.TraceSummary](cmd.Context(), a, "/traces", query)
		if err != nil {
			return err
		}
		all = append(all, page...)
		if len(page) < n {
			break
		}
		query.Set("before", string(page[len(page)-1].ID))
	}
	return cli.Show(a, all, "ID TIME SENDER RECIPIENTS STATE LAST", func(t control.TraceSummary) []string {
		return []string{string(t.ID), sheet.When(t.Time), "<" + t.Sender + ">", strings.Join(t.Recipients, ","), t.State, t.Last}
	})
}

func traceReplay(a *cli.App) *cobra.Command {
	return &cobra.Command{
		Use: "replay ID", Short: "Decide again about a traced message, by what is configured and known now", Args: cobra.ExactArgs(1),
		RunE: cli.Work(func(cmd *cobra.Command, args []string) error {
			r, err := cli.Get[control.Replay](cmd.Context(), a, "/traces"+cli.Segment(args[0])+"/replay", nil)
			if err != nil {
				return err
			}
			if a.JSON {
				return a.PrintJSON(r)
			}
			if len(r.Recipients) == 0 {
				a.Say("No recipient of this message is yours to ask for.\n")
			}
			for i, x := range r.Recipients {
				if i > 0 {
					a.Say("\n")
				}
				a.Say("Then: %s\n", sheet.Clean(x.Then))
				for _, d := range x.Differs {
					a.Say("Now differs: %s\n", sheet.Clean(d))
				}
				if len(x.Differs) == 0 {
					a.Say("Now the same would happen.\n")
				}
				a.Say("Now: ")
				sheet.Explanation(a.Out, x.Now)
			}
			return nil
		}),
	}
}
