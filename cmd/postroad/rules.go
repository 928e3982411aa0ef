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

// ruleWords are what differs between alias, forward and group.
type ruleWords struct {
	name, path, short, one string
	keep                   bool
}

var (
	aliasWords   = ruleWords{"alias", "/aliases", "Other names of addresses here", "an alias", false}
	forwardWords = ruleWords{"forward", "/forwards", "Addresses whose mail is sent on", "a forward", true}
	groupWords   = ruleWords{"group", "/groups", "Addresses that stand for several others", "a group", false}
)

func ruleCommand(a *cli.App, w ruleWords) *cobra.Command {
	write := func(use, short, method string, request func(address string) (path string, body map[string]any)) *cobra.Command {
		keep, archive := false, false
		c := a.Changes(&cobra.Command{
			Use: use + " ADDRESS TARGET...", Short: short, Args: cobra.MinimumNArgs(2),
			RunE: cli.Work(func(cmd *cobra.Command, args []string) error {
				path, body := request(args[0])
				body["targets"] = args[1:]
				if w.keep {
					body["keep"], body["archive"] = keep, archive
				}
				return a.Change(cmd.Context(), method, path, nil, body)
			}),
		})
		if w.keep {
			c.Flags().BoolVar(&keep, "keep", false, "the mailbox of the same address gets a copy too")
			c.Flags().BoolVar(&archive, "archive", false, "what is sent on is an archive copy: its sender is never told anything of it")
		}
		return c
	}
	more := []*cobra.Command{}
	if w.keep {
		more = append(more, forwardShow(a))
	}
	return cli.Group(w.name, w.short, append(more,
		write("add", "Add "+w.one, http.MethodPost, func(address string) (string, map[string]any) {
			return w.path, map[string]any{"address": address}
		}),
		write("set", "Replace the targets of "+w.one, http.MethodPatch, func(address string) (string, map[string]any) {
			return w.path + cli.Segment(address), map[string]any{}
		}),
		ruleList(a, w.path),
		a.Changes(&cobra.Command{
			Use: "remove ADDRESS", Short: "Remove " + w.one, Args: cobra.ExactArgs(1),
			RunE: cli.Work(func(cmd *cobra.Command, args []string) error {
				return a.Change(cmd.Context(), http.MethodDelete, w.path+cli.Segment(args[0]), nil, nil)
			}),
		}),
	)...)
}

func forwardShow(a *cli.App) *cobra.Command {
	return &cobra.Command{
		Use: "show ADDRESS", Short: "Show a forward, and how its mail fares at other servers", Args: cobra.ExactArgs(1),
		RunE: cli.Work(func(cmd *cobra.Command, args []string) error {
			f, err := cli.Get[control.ForwardHealth](cmd.Context(), a, "/forwards"+cli.Segment(args[0]), nil)
			if err != nil {
				return err
			}
			if a.JSON {
				return a.PrintJSON(f)
			}
			a.Say("%s is sent on to %s.\n%s\n", sheet.Clean(f.Address), sheet.Clean(strings.Join(f.Targets, ", ")), sheet.Clean(f.Advice))
			return nil
		}),
	}
}

func ruleList(a *cli.App, path string) *cobra.Command {
	domain := ""
	c := &cobra.Command{
		Use: "list", Short: "List by address", Args: cobra.NoArgs,
		RunE: cli.Work(func(cmd *cobra.Command, _ []string) error {
			query := url.Values{}
			if domain != "" {
				query.Set("domain", domain)
			}
			all, err := cli.List[control.RuleInfo](cmd.Context(), a, path, query)
			if err != nil {
				return err
			}
			return cli.Show(a, all, "ADDRESS TARGETS KEEP ARCHIVE", func(r control.RuleInfo) []string {
				yes := map[bool]string{true: "yes"}
				return []string{r.Address, strings.Join(r.Targets, " "), yes[r.Keep], yes[r.Archive]}
			})
		}),
	}
	c.Flags().StringVar(&domain, "domain", "", "only of this domain")
	return c
}

func catchAllCommand(a *cli.App) *cobra.Command {
	const path = "/catch-alls"
	domain := func(s string) string { return cli.Segment(strings.TrimPrefix(s, "@")) }
	return cli.Group("catch-all", "Where mail for addresses that are nothing else goes",
		a.Changes(&cobra.Command{
			Use: "set DOMAIN TARGET...", Short: "Set a domain's catch-all", Args: cobra.MinimumNArgs(2),
			RunE: cli.Work(func(cmd *cobra.Command, args []string) error {
				return a.Change(cmd.Context(), http.MethodPut, path+domain(args[0]), nil, map[string]any{"targets": args[1:]})
			}),
		}),
		ruleList(a, path),
		a.Changes(&cobra.Command{
			Use: "remove DOMAIN", Short: "Remove a domain's catch-all", Args: cobra.ExactArgs(1),
			RunE: cli.Work(func(cmd *cobra.Command, args []string) error {
				return a.Change(cmd.Context(), http.MethodDelete, path+domain(args[0]), nil, nil)
			}),
		}),
	)
}

func outboundCommand(a *cli.App) *cobra.Command {
	var domain, identity, account, source, tls, user string
	var password bool
	set := a.Changes(&cobra.Command{
		Use: "set [HOST:PORT]", Short: "Set the smart host of the installation, of a sender's domain or of an identity, or the addresses from which mail leaves", Args: cobra.MaximumNArgs(1),
		Long: `Sets through which smart host mail to foreign domains leaves, or from which addresses of this machine: of the whole
installation, with --domain of our users who send as a domain that is here, with --identity of what an account's logins send
as an address elsewhere that was shown to be theirs (identity add), or as any such address in a domain. The latter goes through
that domain's own server, so that its SPF and DKIM hold. The password is kept encrypted.`,
		RunE: cli.Work(func(cmd *cobra.Command, args []string) error {
			body := map[string]any{"domain": domain, "identity": identity, "account": account, "tls": tls, "user": user}
			if len(args) > 0 {
				body["hop"] = args[0]
			}
			if cmd.Flags().Changed("source") {
				body["source"] = source
			}
			if password {
				p, err := a.Password()
				if err != nil {
					return err
				}
				body["password"] = p
			}
			return a.Change(cmd.Context(), http.MethodPut, "/outbound", nil, body)
		}),
	})
	set.Flags().StringVar(&domain, "domain", "", "sender's domain (default the whole installation)")
	set.Flags().StringVar(&identity, "identity", "", "address elsewhere as which logins send, or the domain of such addresses")
	set.Flags().StringVar(&account, "account", "", "with --identity: whose logins (default the only account that has shown it)")
	set.Flags().StringVar(&source, "source", "", "`address` of this machine from which mail leaves, or an IPv4 and an IPv6 one with a comma between, each with =NAME for another name in EHLO; empty: none is chosen")
	set.Flags().StringVar(&tls, "tls", "", "verified demands TLS with a verified certificate, opportunistic takes what is offered (default opportunistic without a user)")
	set.Flags().StringVar(&user, "user", "", "user to log in as, over verified TLS only")
	set.Flags().BoolVar(&password, "password-stdin", false, "take the password from the first line of stdin")
	set.MarkFlagsRequiredTogether("user", "password-stdin")
	set.MarkFlagsMutuallyExclusive("domain", "identity")
	set.MarkFlagsMutuallyExclusive("source", "identity")
	gone, of, owner, keep := "", "", "", false
	remove := a.Changes(&cobra.Command{
		Use: "remove", Short: "Remove the smart host and the addresses of the installation, of a sender's domain or of an identity", Args: cobra.NoArgs,
		RunE: cli.Work(func(cmd *cobra.Command, _ []string) error {
			query := url.Values{"domain": {gone}, "identity": {of}, "account": {owner}, "keep_source": {strconv.FormatBool(keep)}}
			return a.Change(cmd.Context(), http.MethodDelete, "/outbound", query, nil)
		}),
	})
	remove.Flags().StringVar(&gone, "domain", "", "sender's domain (default the whole installation)")
	remove.Flags().StringVar(&of, "identity", "", "address elsewhere as which logins send, or the domain of such addresses")
	remove.Flags().StringVar(&owner, "account", "", "with --identity: whose route (default the only one)")
	remove.MarkFlagsMutuallyExclusive("domain", "identity")
	remove.Flags().BoolVar(&keep, "keep-source", false, "remove the smart host alone: the addresses stay")
	return cli.Group("outbound", "Smart hosts and addresses of this machine, by which mail to foreign domains leaves", set,
		cli.Listing(a, "List smart hosts and addresses", "/outbound", "FOR HOST FROM TLS USER", func(o control.OutboundInfo) []string {
			whose := o.Domain
			switch {
			case o.Identity != "":
				whose = "as " + o.Identity + " (" + string(o.Account) + ")"
			case whose == "":
				whose = "(all)"
			}
			return []string{whose, o.Hop, o.Source, o.TLS, o.User}
		}), remove)
}
