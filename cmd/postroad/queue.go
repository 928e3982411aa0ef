package main

import (
	"net/http"
	"net/url"
	"strconv"

	"github.com/spf13/cobra"

	"postroad/cmd/postroad/cli"
	"postroad/cmd/postroad/sheet"
	"postroad/internal/service/control"
)

// queueFlags select queued mail.
type queueFlags struct {
	domain, to string
	older      cli.Duration
}

func (f *queueFlags) on(c *cobra.Command) *cobra.Command {
	c.Flags().StringVar(&f.domain, "domain", "", "only for recipients of this domain")
	c.Flags().StringVar(&f.to, "to", "", "only what waits for this next hop: a domain, or a host with or without port")
	c.Flags().Var(&f.older, "older", "only what was received longer ago than this, such as 4h")
	return c
}

func (f *queueFlags) query(ids []string) url.Values {
	q := url.Values{}
	for _, id := range ids {
		q.Add("id", id)
	}
	if f.domain != "" {
		q.Set("domain", f.domain)
	}
	if f.to != "" {
		q.Set("to", f.to)
	}
	if f.older.Given {
		q.Set("older_seconds", strconv.FormatInt(f.older.Seconds, 10))
	}
	return q
}

func (f *queueFlags) empty(ids []string) bool { return len(f.query(ids)) == 0 }

func queueCommand(a *cli.App) *cobra.Command {
	var listed, counted queueFlags
	return cli.Group("queue", "Mail that waits",
		listed.on(&cobra.Command{
			Use: "list [ID...]", Short: "List queued messages",
			RunE: cli.Work(func(cmd *cobra.Command, args []string) error { return queueList(a, cmd, listed.query(args)) }),
		}),
		counted.on(&cobra.Command{
			Use: "count [ID...]", Short: "Count messages, recipients, what is due and what is held",
			RunE: cli.Work(func(cmd *cobra.Command, args []string) error {
				c, err := cli.Get[control.QueueCounts](cmd.Context(), a, "/queue/count", counted.query(args))
				if err != nil {
					return err
				}
				if a.JSON {
					return a.PrintJSON(c)
				}
				a.Say("%d messages for %d recipients, %d due, %d held\n", c.Messages, c.Recipients, c.Due, c.Held)
				if c.Waiting != nil {
					printWaiting(a, c.Waiting)
				}
				return nil
			}),
		}),
		queueShow(a),
		queueChange(a, control.VerbRetry, "Try messages now; without id or filter all"),
		queueChange(a, control.VerbHold, "Hold messages until they are released"),
		queueChange(a, control.VerbRelease, "Let go what is held"),
		queueChange(a, control.VerbDrop, "Remove messages; nobody is told"),
	)
}

// printWaiting tells what is held for a domain's own server.
func printWaiting(a *cli.App, w *control.QueueWaiting) {
	a.Say("holding %d for the domain's own server since %s\n", w.Recipients, sheet.When(w.Since))
	if w.Failures > 0 {
		a.Say("it could not be reached: %s %s\n", sheet.Clean(w.Host), sheet.Clean(w.Reason))
	}
	if w.Next != nil {
		a.Say("next attempt %s\n", sheet.When(*w.Next))
	}
	a.Say("what is held here is safe; large senders whose mail was put off give up from %s on\n", sheet.When(w.GiveUpFrom))
}

func queueChange(a *cli.App, verb control.Verb, short string) *cobra.Command {
	var f queueFlags
	return f.on(a.Changes(&cobra.Command{
		Use: string(verb) + " [ID...]", Short: short,
		RunE: cli.Work(func(cmd *cobra.Command, args []string) error {
			if verb != control.VerbRetry && f.empty(args) {
				return cli.Usagef("queue %s needs ids, --domain, --to or --older", verb)
			}
			return a.Change(cmd.Context(), http.MethodPost, "/queue/"+string(verb), f.query(args), nil)
		}),
	}))
}

// queuePage is how many messages are asked for at a time.
const queuePage = 1000

func queueList(a *cli.App, cmd *cobra.Command, query url.Values) error {
	all := []control.QueuedMessage{}
	query.Set("limit", strconv.Itoa(queuePage))
	for {
		page, err := cli.List[control.QueuedMessage](cmd.Context(), a, "/queue", query)
		if err != nil {
			return err
		}
		all = append(all, page...)
		if len(page) < queuePage {
			break
		}
		query.Set("after", string(page[len(page)-1].ID))
	}
	if a.JSON {
		return a.PrintJSON(all)
	}
	rows := [][]string{}
	for _, m := range all {
		for _, r := range m.Recipients {
			rows = append(rows, []string{
				string(m.ID), sheet.When(m.Received), strconv.FormatInt(m.Size, 10), "<" + m.Sender + ">", r.Address, r.State, strconv.Itoa(r.Attempts), sheet.When(r.Next), r.LastReply,
			})
		}
	}
	return sheet.Table(a.Out, "ID RECEIVED SIZE SENDER RECIPIENT STATE ATTEMPTS NEXT LAST-REPLY", rows)
}

func queueShow(a *cli.App) *cobra.Command {
	content := false
	c := &cobra.Command{
		Use: "show ID", Short: "Show a queued message and where its recipients stand", Args: cobra.ExactArgs(1),
		RunE: cli.Work(func(cmd *cobra.Command, args []string) error {
			path := "/queue" + cli.Segment(args[0])
			if content {
				return a.Download(cmd.Context(), path+"/content", nil)
			}
			m, err := cli.Get[control.QueuedMessage](cmd.Context(), a, path, nil)
			if err != nil {
				return err
			}
			if a.JSON {
				return a.PrintJSON(m)
			}
			sheet.Queued(a.Out, &m)
			return nil
		}),
	}
	c.Flags().BoolVar(&content, "content", false, "write the message's exact bytes instead")
	return c
}
