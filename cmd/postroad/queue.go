package main

import (
	"net/http"
	"net/url"
	"strconv"

	"github.com/spf13/cobra"

	"postroad/cmd/postroad/sheet"
	"postroad/internal/service/control"
)

// queueFlags select queued mail.
type queueFlags struct {
	domain, to string
	older      durationFlag
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
	if f.older.set {
		q.Set("older_seconds", strconv.FormatInt(f.older.seconds, 10))
	}
	return q
}

func (f *queueFlags) empty(ids []string) bool { return len(f.query(ids)) == 0 }

func (a *app) queueCommand() *cobra.Command {
	var listed, counted queueFlags
	return group("queue", "Mail that waits",
		listed.on(&cobra.Command{
			Use: "list [ID...]", Short: "List queued messages",
			RunE: work(func(cmd *cobra.Command, args []string) error { return a.queueList(cmd, listed.query(args)) }),
		}),
		counted.on(&cobra.Command{
			Use: "count [ID...]", Short: "Count messages, recipients, what is due and what is held",
			RunE: work(func(cmd *cobra.Command, args []string) error {
				c, err := get[control.QueueCounts](cmd.Context(), a, "/queue/count", counted.query(args))
				if err != nil {
					return err
				}
				if a.json {
					return a.printJSON(c)
				}
				a.say("%d messages for %d recipients, %d due, %d held\n", c.Messages, c.Recipients, c.Due, c.Held)
				if c.Waiting != nil {
					a.printWaiting(c.Waiting)
				}
				return nil
			}),
		}),
		a.queueShow(),
		a.queueChange(control.VerbRetry, "Try messages now; without id or filter all"),
		a.queueChange(control.VerbHold, "Hold messages until they are released"),
		a.queueChange(control.VerbRelease, "Let go what is held"),
		a.queueChange(control.VerbDrop, "Remove messages; nobody is told"),
	)
}

// printWaiting tells what is held for a domain's own server.
func (a *app) printWaiting(w *control.QueueWaiting) {
	a.say("holding %d for the domain's own server since %s\n", w.Recipients, when(w.Since))
	if w.Failures > 0 {
		a.say("it could not be reached: %s %s\n", clean(w.Host), clean(w.Reason))
	}
	if w.Next != nil {
		a.say("next attempt %s\n", when(*w.Next))
	}
	a.say("what is held here is safe; large senders whose mail was put off give up from %s on\n", when(w.GiveUpFrom))
}

func (a *app) queueChange(verb control.Verb, short string) *cobra.Command {
	var f queueFlags
	return f.on(a.changes(&cobra.Command{
		Use: string(verb) + " [ID...]", Short: short,
		RunE: work(func(cmd *cobra.Command, args []string) error {
			if verb != control.VerbRetry && f.empty(args) {
				return usagef("queue %s needs ids, --domain, --to or --older", verb)
			}
			return a.change(cmd.Context(), http.MethodPost, "/queue/"+string(verb), f.query(args), nil)
		}),
	}))
}

// queuePage is how many messages are asked for at a time.
const queuePage = 1000

func (a *app) queueList(cmd *cobra.Command, query url.Values) error {
	all := []control.QueuedMessage{}
	query.Set("limit", strconv.Itoa(queuePage))
	for {
		page, err := list[control.QueuedMessage](cmd.Context(), a, "/queue", query)
		if err != nil {
			return err
		}
		all = append(all, page...)
		if len(page) < queuePage {
			break
		}
		query.Set("after", string(page[len(page)-1].ID))
	}
	if a.json {
		return a.printJSON(all)
	}
	rows := [][]string{}
	for _, m := range all {
		for _, r := range m.Recipients {
			rows = append(rows, []string{
				string(m.ID), when(m.Received), strconv.FormatInt(m.Size, 10), "<" + m.Sender + ">", r.Address, r.State, strconv.Itoa(r.Attempts), when(r.Next), r.LastReply,
			})
		}
	}
	return a.table("ID RECEIVED SIZE SENDER RECIPIENT STATE ATTEMPTS NEXT LAST-REPLY", rows)
}

func (a *app) queueShow() *cobra.Command {
	content := false
	c := &cobra.Command{
		Use: "show ID", Short: "Show a queued message and where its recipients stand", Args: cobra.ExactArgs(1),
		RunE: work(func(cmd *cobra.Command, args []string) error {
			path := "/queue" + segment(args[0])
			if content {
				return a.download(cmd.Context(), path+"/content", nil)
			}
			m, err := get[control.QueuedMessage](cmd.Context(), a, path, nil)
			if err != nil {
				return err
			}
			if a.json {
				return a.printJSON(m)
			}
			sheet.Queued(a.out, &m)
			return nil
		}),
	}
	c.Flags().BoolVar(&content, "content", false, "write the message's exact bytes instead")
	return c
}
