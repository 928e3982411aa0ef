package main

import (
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"postroad/cmd/postroad/cli"
	"postroad/cmd/postroad/sheet"
	"postroad/internal/service/control"
)

// mailboxFlags are what can be chosen for a mailbox.
type mailboxFlags struct {
	password bool
	quota    cli.Size
}

func (f *mailboxFlags) on(c *cobra.Command) {
	c.Flags().BoolVar(&f.password, "password-stdin", false, "take the password from the first line of stdin")
	c.Flags().Var(&f.quota, "quota", "how much it may hold, such as 1GiB; 0 without limit")
}

func mailboxBody(a *cli.App, f *mailboxFlags) (map[string]any, error) {
	body := map[string]any{}
	if f.quota.Given {
		body["quota"] = f.quota.Octets
	}
	if f.password {
		p, err := a.Password()
		if err != nil {
			return nil, err
		}
		body["password"] = p
	}
	return body, nil
}

func mailboxCommand(a *cli.App) *cobra.Command {
	var added, changed mailboxFlags
	add := a.Changes(&cobra.Command{
		Use: "add ADDRESS", Short: "Add a mailbox; without a password nobody can log in to it", Args: cobra.ExactArgs(1),
		RunE: cli.Work(func(cmd *cobra.Command, args []string) error {
			body, err := mailboxBody(a, &added)
			if err != nil {
				return err
			}
			body["address"] = args[0]
			return a.Change(cmd.Context(), http.MethodPost, "/mailboxes", nil, body)
		}),
	})
	added.on(add)
	set := a.Changes(&cobra.Command{
		Use: "set ADDRESS", Short: "Change a mailbox's password or quota", Args: cobra.ExactArgs(1),
		RunE: cli.Work(func(cmd *cobra.Command, args []string) error {
			body, err := mailboxBody(a, &changed)
			if err != nil {
				return err
			}
			if len(body) == 0 {
				return cli.Usagef("nothing to set is given: --password-stdin or --quota")
			}
			return a.Change(cmd.Context(), http.MethodPatch, "/mailboxes"+cli.Segment(args[0]), nil, body)
		}),
	})
	changed.on(set)
	return cli.Group("mailbox", "Where messages are read", add, set,
		mailboxList(a), mailboxShow(a), mailboxPause(a),
		a.Changes(&cobra.Command{
			Use: "resume ADDRESS", Short: "Let a mailbox's user send again, and what was held of it go", Args: cobra.ExactArgs(1),
			RunE: cli.Work(func(cmd *cobra.Command, args []string) error {
				return a.Change(cmd.Context(), http.MethodPost, "/mailboxes"+cli.Segment(args[0])+"/resume", nil, nil)
			}),
		}),
		a.Changes(&cobra.Command{
			Use: "remove ADDRESS", Short: "Remove a mailbox with its messages", Args: cobra.ExactArgs(1),
			RunE: cli.Work(func(cmd *cobra.Command, args []string) error {
				return a.Change(cmd.Context(), http.MethodDelete, "/mailboxes"+cli.Segment(args[0]), nil, nil)
			}),
		}),
		a.Changes(&cobra.Command{
			Use: "import FILE.csv", Short: "Add many mailboxes from lines of address,password; - is stdin", Args: cobra.ExactArgs(1),
			RunE: cli.Work(func(cmd *cobra.Command, args []string) error { return importMailboxes(cmd.Context(), a, args[0]) }),
		}),
		mailboxMessages(a), mailboxMessage(a),
	)
}

func showMailboxes(a *cli.App, all []control.MailboxUsage) error {
	return cli.Show(a, all, "ADDRESS MESSAGES BYTES QUOTA USED PAUSED-BY ROUTING-ADDRESS", func(m control.MailboxUsage) []string {
		quota, used, paused := "-", "-", "-"
		if m.Paused != nil {
			paused = string(m.Paused.By)
		}
		if m.Quota > 0 {
			quota, used = strconv.FormatInt(m.Quota, 10), strconv.FormatInt(m.Bytes*100/m.Quota, 10)+"%"
		}
		return []string{m.Address, strconv.FormatInt(m.Messages, 10), strconv.FormatInt(m.Bytes, 10), quota, used, paused, m.Routing}
	})
}

// showFolders lists a mailbox's folders.
func showFolders(a *cli.App, all []control.MailboxFolder) error {
	return cli.Show(a, all, "FOLDER MESSAGES UNSEEN BYTES SUBSCRIBED USE", func(f control.MailboxFolder) []string {
		subscribed := "no"
		if f.Subscribed {
			subscribed = "yes"
		}
		return []string{f.Name, strconv.FormatInt(f.Messages, 10), strconv.FormatInt(f.Unseen, 10), strconv.FormatInt(f.Bytes, 10), subscribed, f.SpecialUse}
	})
}

func mailboxPause(a *cli.App) *cobra.Command {
	reason := ""
	c := a.Changes(&cobra.Command{
		Use: "pause ADDRESS", Short: "Have a mailbox's user send nothing for now, and hold what is queued of it", Args: cobra.ExactArgs(1),
		Long: "Pauses a login: it reads its mail as before, and is told 450 4.7.1 when it sends. What it has sent and was not delivered yet\n" +
			"is held in the queue, where nothing of it is lost, until mailbox resume. What the operator has paused nobody else resumes.\n" +
			"The pause is of the address: it outlives the mailbox. sending pause does the same for a domain and an account.",
		RunE: cli.Work(func(cmd *cobra.Command, args []string) error {
			return a.Change(cmd.Context(), http.MethodPost, "/mailboxes"+cli.Segment(args[0])+"/pause", nil, map[string]any{"reason": reason})
		}),
	})
	c.Flags().StringVar(&reason, "reason", "", "one line, for those who look at the mailbox")
	return c
}

func mailboxShow(a *cli.App) *cobra.Command {
	return &cobra.Command{
		Use: "show ADDRESS", Short: "Show a mailbox with its routing address, its folders and what they hold", Args: cobra.ExactArgs(1),
		RunE: cli.Work(func(cmd *cobra.Command, args []string) error {
			m, err := cli.Get[control.MailboxDetail](cmd.Context(), a, "/mailboxes"+cli.Segment(args[0]), nil)
			if err != nil {
				return err
			}
			if a.JSON {
				return a.PrintJSON(m)
			}
			if err := showMailboxes(a, []control.MailboxUsage{m.Usage}); err != nil {
				return err
			}
			a.Say("\n")
			return showFolders(a, m.Folders)
		}),
	}
}

func mailboxList(a *cli.App) *cobra.Command {
	domain := ""
	c := &cobra.Command{
		Use: "list", Short: "List mailboxes with what they hold", Args: cobra.NoArgs,
		RunE: cli.Work(func(cmd *cobra.Command, _ []string) error {
			query := url.Values{}
			if domain != "" {
				query.Set("domain", domain)
			}
			all, err := cli.List[control.MailboxUsage](cmd.Context(), a, "/mailboxes", query)
			if err != nil {
				return err
			}
			return showMailboxes(a, all)
		}),
	}
	c.Flags().StringVar(&domain, "domain", "", "only of this domain")
	return c
}

// messagesPage is how many messages are asked for at a time.
const messagesPage = 1000

// folderFlag lets a command say which folder it means.
func folderFlag(c *cobra.Command) *string {
	return c.Flags().String("folder", "INBOX", "the folder, as mailbox show names it")
}

func mailboxMessages(a *cli.App) *cobra.Command {
	c := &cobra.Command{Use: "messages ADDRESS", Short: "List all messages of a folder", Args: cobra.ExactArgs(1)}
	folder := folderFlag(c)
	c.RunE = cli.Work(func(cmd *cobra.Command, args []string) error {
		all, query := []control.MessageInfo{}, url.Values{"limit": {strconv.Itoa(messagesPage)}, "folder": {*folder}}
		for {
			page, err := cli.List[control.MessageInfo](cmd.Context(), a, "/mailboxes"+cli.Segment(args[0])+"/messages", query)
			if err != nil {
				return err
			}
			all = append(all, page...)
			if len(page) < messagesPage {
				break
			}
			query.Set("after", strconv.FormatUint(uint64(page[len(page)-1].UID), 10))
		}
		return cli.Show(a, all, "UID DATE SIZE FROM SUBJECT FLAGS", func(m control.MessageInfo) []string {
			return []string{
				strconv.FormatUint(uint64(m.UID), 10), sheet.When(m.Date), strconv.FormatInt(m.Size, 10), m.From, m.Subject, strings.Join(m.Flags, " "),
			}
		})
	})
	return c
}

func mailboxMessage(a *cli.App) *cobra.Command {
	c := &cobra.Command{Use: "message ADDRESS UID", Short: "Write one message's exact bytes", Args: cobra.ExactArgs(2)}
	folder := folderFlag(c)
	c.RunE = cli.Work(func(cmd *cobra.Command, args []string) error {
		if _, err := strconv.ParseUint(args[1], 10, 32); err != nil {
			return cli.Usagef("%q is no UID", args[1])
		}
		return a.Download(cmd.Context(), "/mailboxes"+cli.Segment(args[0])+"/messages"+cli.Segment(args[1]), url.Values{"folder": {*folder}})
	})
	return c
}

var errNothingImported = errors.New("nothing was added")
