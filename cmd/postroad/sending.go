package main

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"postroad/cmd/postroad/cli"
	"postroad/cmd/postroad/sheet"
	"postroad/internal/service/control"
)

// senderFlag says whose sender is meant.
type senderFlag struct{ account string }

func (f *senderFlag) on(c *cobra.Command) {
	c.Flags().StringVar(&f.account, "account", "", "an account, by id or name: all of it without NAME, else its NAME, which another one may have by now")
}

// path is where the sender lies that is named by an address, a domain or the flag.
func (f *senderFlag) path(args []string) (path string, query url.Values, err error) {
	switch {
	case len(args) == 0 && f.account == "":
		return "", nil, cli.Usagef("nobody is named: give an address, a domain or --account")
	case len(args) == 0:
		return "/sending/account" + cli.Segment(f.account), nil, nil
	}
	kind := "domain"
	if strings.Contains(args[0], "@") {
		kind = "login"
	}
	if f.account != "" {
		query = url.Values{"account": {f.account}}
	}
	return "/sending/" + kind + cli.Segment(args[0]), query, nil
}

// limitFlag is a number of recipients, or a word.
type limitFlag struct {
	n   int64
	set bool
}

func (f *limitFlag) String() string { return "" }
func (f *limitFlag) Type() string   { return "N|none|default" }

func (f *limitFlag) Set(text string) error {
	f.set = true
	switch text {
	case "none":
		f.n = control.SendingUnlimited
		return nil
	case "default":
		f.n = control.SendingUnchosen
		return nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if f.n = n; err != nil || n <= 0 {
		return fmt.Errorf("%q is no number of recipients: a whole number from 1 on, none, or default", text)
	}
	return nil
}

func sendingCommand(a *cli.App) *cobra.Command {
	return cli.Group("sending", "What users send", sendingList(a), sendingSet(a), sendingPause(a), sendingResume(a))
}

func sendingList(a *cli.App) *cobra.Command {
	var domain string
	c := &cobra.Command{
		Use: "list", Short: "List how many recipients users have had today, and how many they may have", Args: cobra.NoArgs,
		Long: "Lists the recipients of each login, of its domain and of its account in this hour and in this day of UTC, with their limits:\n" +
			"those of [sending] in the configuration, or what sending set has chosen. Who has reached one is told 450 4.7.1 at RCPT until\n" +
			"the time in the last column.",
		RunE: cli.Work(func(cmd *cobra.Command, _ []string) error {
			query := url.Values{}
			if domain != "" {
				query.Set("domain", domain)
			}
			all, err := cli.List[control.SendingInfo](cmd.Context(), a, "/sending", query)
			if err != nil {
				return err
			}
			return cli.Show(a, all, "KIND NAME THIS-HOUR TODAY LIMITS-BY PAUSED-BY UNTIL", func(s control.SendingInfo) []string {
				until, paused, by := "", "", s.HourBy
				if s.Until != nil {
					until = sheet.When(*s.Until)
				}
				if s.Paused != nil {
					paused = string(s.Paused.By)
				}
				if s.DayBy != s.HourBy {
					by += "/" + s.DayBy
				}
				return []string{s.Kind, s.Name, usage(s.Hour, s.HourLimit), usage(s.Day, s.DayLimit), by, paused, until}
			})
		}),
	}
	c.Flags().StringVar(&domain, "domain", "", "only this domain and its logins")
	return c
}

// usage is a count in a table with its limit; 0 is none.
func usage(n, limit int64) string {
	if limit == 0 {
		return strconv.FormatInt(n, 10)
	}
	return fmt.Sprintf("%d of %d", n, limit)
}

func sendingSet(a *cli.App) *cobra.Command {
	var who senderFlag
	var hour, day limitFlag
	c := a.Changes(&cobra.Command{
		Use: "set [NAME]", Short: "Change how many recipients a login, a domain or an account may have", Args: cobra.MaximumNArgs(1),
		Long: "Changes the limits of an address, of a domain or of an account (--account). What the operator chooses takes the place of the\n" +
			"limits in the configuration; what the account itself chooses holds where it is less, and cannot be more. none is no limit,\n" +
			"default takes back what was chosen. A limit stays with the address or the name when the mailbox or the domain is removed.",
		RunE: cli.Work(func(cmd *cobra.Command, args []string) error {
			path, query, err := who.path(args)
			if err != nil {
				return err
			}
			body := map[string]any{}
			if hour.set {
				body["hour"] = hour.n
			}
			if day.set {
				body["day"] = day.n
			}
			if len(body) == 0 {
				return cli.Usagef("nothing to set is given: --hour or --day")
			}
			return a.Change(cmd.Context(), http.MethodPatch, path, query, body)
		}),
	})
	who.on(c)
	c.Flags().Var(&hour, "hour", "recipients in an hour")
	c.Flags().Var(&day, "day", "recipients in a day of UTC")
	return c
}

func sendingPause(a *cli.App) *cobra.Command {
	var who senderFlag
	reason := ""
	c := a.Changes(&cobra.Command{
		Use: "pause [NAME]", Short: "Have a login, all of a domain or all of an account send nothing for now, and hold what is queued of them", Args: cobra.MaximumNArgs(1),
		Long: "Pauses an address, the logins of a domain or those of an account (--account): they read mail as before, and are told\n" +
			"450 4.7.1 when they send. What was sent and not delivered yet is held in the queue, where nothing of it is lost, until\n" +
			"sending resume. What the operator has paused nobody else resumes, and removing it and adding it again changes nothing.",
		RunE: cli.Work(func(cmd *cobra.Command, args []string) error {
			path, query, err := who.path(args)
			if err != nil {
				return err
			}
			return a.Change(cmd.Context(), http.MethodPost, path+"/pause", query, map[string]any{"reason": reason})
		}),
	})
	who.on(c)
	c.Flags().StringVar(&reason, "reason", "", "one line, for those who look at it")
	return c
}

func sendingResume(a *cli.App) *cobra.Command {
	var who senderFlag
	c := a.Changes(&cobra.Command{
		Use: "resume [NAME]", Short: "Let them send again, and what was held of them go", Args: cobra.MaximumNArgs(1),
		RunE: cli.Work(func(cmd *cobra.Command, args []string) error {
			path, query, err := who.path(args)
			if err != nil {
				return err
			}
			return a.Change(cmd.Context(), http.MethodPost, path+"/resume", query, nil)
		}),
	})
	who.on(c)
	return c
}
