package main

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"postroad/cmd/postroad/cli"
	"postroad/cmd/postroad/sheet"
	"postroad/internal/service/control"
)

func accountCommand(a *cli.App) *cobra.Command {
	name, notices := "", []string{}
	set := a.Changes(&cobra.Command{
		Use: "set ACCOUNT", Short: "Rename an account, given by id or name, or set who is told of its domains' mail", Args: cobra.ExactArgs(1),
		RunE: cli.Work(func(cmd *cobra.Command, args []string) error {
			body := map[string]any{}
			if cmd.Flags().Changed("name") {
				body["name"] = name
			}
			if cmd.Flags().Changed("notices") {
				body["notices"] = notices
			}
			return a.Change(cmd.Context(), http.MethodPatch, "/accounts"+cli.Segment(args[0]), nil, body)
		}),
	})
	set.Flags().StringVar(&name, "name", "", "new name")
	set.Flags().StringArrayVar(&notices, "notices", nil, "address that is told of what happens to its domains' mail; may be repeated, none alone for the domain's own postmaster (the operator's: postmaster of the installation)")
	set.MarkFlagsOneRequired("name", "notices")
	return cli.Group("account", "Customers, who own domains",
		a.Changes(&cobra.Command{
			Use: "add NAME", Short: "Add an account", Args: cobra.ExactArgs(1),
			RunE: cli.Work(func(cmd *cobra.Command, args []string) error {
				return a.Change(cmd.Context(), http.MethodPost, "/accounts", nil, map[string]any{"name": args[0]})
			}),
		}),
		set,
		cli.Listing(a, "List accounts", "/accounts", "ID NAME DOMAINS NOTICES", func(i control.AccountInfo) []string {
			return []string{string(i.ID), i.Name, strconv.Itoa(i.Domains), strings.Join(i.Notices, ",")}
		}),
		a.Changes(&cobra.Command{
			Use: "remove ACCOUNT", Short: "Remove an account and its tokens; its domains must be gone", Args: cobra.ExactArgs(1),
			RunE: cli.Work(func(cmd *cobra.Command, args []string) error {
				return a.Change(cmd.Context(), http.MethodDelete, "/accounts"+cli.Segment(args[0]), nil, nil)
			}),
		}),
	)
}

func tokenCommand(a *cli.App) *cobra.Command {
	account := ""
	add := a.Changes(&cobra.Command{
		Use: "add NAME", Short: "Add a token and show its secret, this once", Args: cobra.ExactArgs(1),
		RunE: cli.Work(func(cmd *cobra.Command, args []string) error {
			return a.Change(cmd.Context(), http.MethodPost, "/tokens", nil, map[string]any{"name": args[0], "account": account})
		}),
	})
	add.Flags().StringVar(&account, "account", "", "account that it may touch, by id or name (default the caller's own; the operator's may touch everything)")
	return cli.Group("token", "Rights to use the API from afar",
		add,
		cli.Listing(a, "List tokens", "/tokens", "ID NAME ACCOUNT CREATED", func(t control.TokenInfo) []string {
			return []string{t.ID, t.Name, string(t.Account), sheet.When(t.Created)}
		}),
		a.Changes(&cobra.Command{
			Use: "remove ID", Short: "Revoke a token", Args: cobra.ExactArgs(1),
			RunE: cli.Work(func(cmd *cobra.Command, args []string) error {
				return a.Change(cmd.Context(), http.MethodDelete, "/tokens"+cli.Segment(args[0]), nil, nil)
			}),
		}),
	)
}

// auditPage is how many entries are asked for at a time.
const auditPage = 1000

func auditCommand(a *cli.App) *cobra.Command {
	domain, limit := "", 0
	c := &cobra.Command{
		Use: "audit", Short: "List changes, newest first", Args: cobra.NoArgs,
		RunE: cli.Work(func(cmd *cobra.Command, _ []string) error {
			if limit < 0 {
				return cli.Usagef("--limit %d is negative", limit)
			}
			all, err := entries(a, cmd, domain, limit)
			if err != nil {
				return err
			}
			return cli.Show(a, all, "ID AT ACTOR ACTION SUBJECT UNDO", func(e control.EntryInfo) []string {
				return []string{strconv.FormatInt(e.ID, 10), sheet.When(e.At), e.Actor, e.Action, e.Subject, sheet.YesNo(e.CanUndo)}
			})
		}),
	}
	c.Flags().StringVar(&domain, "domain", "", "only of this domain")
	c.Flags().IntVar(&limit, "limit", 100, "how many; 0 for all")
	return c
}

func undoCommand(a *cli.App) *cobra.Command {
	return a.Changes(&cobra.Command{
		Use: "undo CHANGE", Short: "Restore what was before a change, named by its id in the audit log", Args: cobra.ExactArgs(1),
		RunE: cli.Work(func(cmd *cobra.Command, args []string) error {
			if _, err := strconv.ParseUint(args[0], 10, 63); err != nil {
				return cli.Usagef("%q is no id of a change; postroad audit lists them", args[0])
			}
			return a.Change(cmd.Context(), http.MethodPost, "/audit"+cli.Segment(args[0])+"/undo", nil, nil)
		}),
	})
}

func entries(a *cli.App, cmd *cobra.Command, domain string, limit int) ([]control.EntryInfo, error) {
	all := []control.EntryInfo{}
	query := url.Values{}
	if domain != "" {
		query.Set("domain", domain)
	}
	for {
		page := auditPage
		if limit > 0 {
			page = min(page, limit-len(all))
		}
		query.Set("limit", strconv.Itoa(page))
		got, err := cli.List[control.EntryInfo](cmd.Context(), a, "/audit", query)
		if err != nil {
			return nil, err
		}
		all = append(all, got...)
		if len(got) < page || len(all) == limit {
			return all, nil
		}
		query.Set("before", strconv.FormatInt(got[len(got)-1].ID, 10))
	}
}
