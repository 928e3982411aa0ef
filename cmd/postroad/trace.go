package main

import (
	"net/url"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"postroad/cmd/postroad/sheet"
	"postroad/internal/service/control"
)

// tracePage is how many messages are asked for at a time.
const tracePage = 200

func (a *app) traceCommand() *cobra.Command {
	var recipient, sender, day string
	var limit int
	c := &cobra.Command{
		Use:   "trace [ID]",
		Short: "Show a message's life, step by step, or list messages by recipient or sender",
		Long: "Shows the life of the message with this queue id: who brought it, where it was to go and why, each attempt, and what\n" +
			"came of it. With --recipient or --sender it lists messages instead, newest first, those that were refused among them.\n" +
			"An owner sees what concerns the own domains.",
		Args: cobra.MaximumNArgs(1),
		RunE: work(func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 {
				if recipient != "" || sender != "" || day != "" {
					return usagef("trace takes an id, or --recipient and --sender, not both")
				}
				return a.traceShow(cmd, args[0])
			}
			if recipient == "" && sender == "" {
				return usagef("trace needs an id, --recipient or --sender")
			}
			query := url.Values{}
			for key, value := range map[string]string{"recipient": recipient, "sender": sender, "day": day} {
				if value != "" {
					query.Set(key, value)
				}
			}
			return a.traceList(cmd, query, limit)
		}),
	}
	c.Flags().StringVar(&recipient, "recipient", "", "messages for this address")
	c.Flags().StringVar(&sender, "sender", "", "messages from this reverse-path")
	c.Flags().StringVar(&day, "day", "", "only of this day, YYYY-MM-DD in UTC")
	c.Flags().IntVar(&limit, "limit", 100, "at most so many messages; 0 for all")
	c.AddCommand(a.traceReplay())
	return c
}

func (a *app) traceShow(cmd *cobra.Command, id string) error {
	t, err := get[control.TraceDetail](cmd.Context(), a, "/traces"+segment(id), nil)
	if err != nil {
		return err
	}
	if a.json {
		return a.printJSON(t)
	}
	a.say("%s from <%s>\n", t.ID, clean(t.Sender))
	for _, s := range t.Steps {
		a.say("%s  %s\n", when(s.Time), clean(s.Sentence))
		for _, r := range s.Reasons {
			a.say("%19s  - %s\n", "", clean(r.Sentence))
		}
		for _, c := range s.Checks {
			a.say("%19s  - %s\n", "", clean(c.Sentence))
		}
	}
	return nil
}

func (a *app) traceList(cmd *cobra.Command, query url.Values, limit int) error {
	all := []control.TraceSummary{}
	for limit <= 0 || len(all) < limit {
		n := tracePage
		if limit > 0 {
			n = min(n, limit-len(all))
		}
		query.Set("limit", strconv.Itoa(n))
		page, err := list[control.TraceSummary](cmd.Context(), a, "/traces", query)
		if err != nil {
			return err
		}
		all = append(all, page...)
		if len(page) < n {
			break
		}
		query.Set("before", string(page[len(page)-1].ID))
	}
	return show(a, all, "ID TIME SENDER RECIPIENTS STATE LAST", func(t control.TraceSummary) []string {
		return []string{string(t.ID), when(t.Time), "<" + t.Sender + ">", strings.Join(t.Recipients, ","), t.State, t.Last}
	})
}

func (a *app) traceReplay() *cobra.Command {
	return &cobra.Command{
		Use: "replay ID", Short: "Decide again about a traced message, by what is configured and known now", Args: cobra.ExactArgs(1),
		RunE: work(func(cmd *cobra.Command, args []string) error {
			r, err := get[control.Replay](cmd.Context(), a, "/traces"+segment(args[0])+"/replay", nil)
			if err != nil {
				return err
			}
			if a.json {
				return a.printJSON(r)
			}
			if len(r.Recipients) == 0 {
				a.say("No recipient of this message is yours to ask for.\n")
			}
			for i, x := range r.Recipients {
				if i > 0 {
					a.say("\n")
				}
				a.say("Then: %s\n", clean(x.Then))
				for _, d := range x.Differs {
					a.say("Now differs: %s\n", clean(d))
				}
				if len(x.Differs) == 0 {
					a.say("Now the same would happen.\n")
				}
				a.say("Now: ")
				sheet.Explanation(a.out, x.Now)
			}
			return nil
		}),
	}
}
