package main

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"postroad/cmd/postroad/cli"
	"postroad/cmd/postroad/sheet"
	"postroad/internal/core/zone"
	"postroad/internal/edge/api"
	"postroad/internal/service/control"
)

// preferenceFlag is the preference of an exchanger.
type preferenceFlag struct{ value *int }

// String gives the value for help texts.
func (p *preferenceFlag) String() string { return "" }

// Set reads the value.
func (p *preferenceFlag) Set(text string) error {
	n, err := zone.ReadPreference(text)
	if err != nil {
		return err
	}
	value := int(n)
	p.value = &value
	return nil
}

// Type names the value in help texts.
func (p *preferenceFlag) Type() string { return "number" }

// typedList reads exchangers as arguments, HOST or HOST:PREFERENCE. "none" alone is none at all.
func typedList(args []string) ([]api.ExchangerTyped, error) {
	out := make([]api.ExchangerTyped, 0, len(args))
	if len(args) == 1 && args[0] == zone.None {
		return out, nil
	}
	for _, arg := range args {
		host, preference, err := zone.SplitPreference(arg)
		if err != nil {
			return nil, err
		}
		out = append(out, api.ExchangerTyped{Host: host, Preference: preference})
	}
	return out, nil
}

func exchangersPath(domain string) string { return "/domains" + cli.Segment(domain) + "/exchangers" }

func mxCommand(a *cli.App) *cobra.Command {
	return cli.Group("mx", "Exchangers: the servers that take a domain's mail",
		&cobra.Command{
			Use: "list DOMAIN", Short: "Show the exchangers of a domain, or what to enter where its zone is", Args: cobra.ExactArgs(1),
			RunE: cli.Work(func(cmd *cobra.Command, args []string) error {
				l, err := cli.Get[control.ExchangerListing](cmd.Context(), a, exchangersPath(args[0]), nil)
				if err != nil {
					return err
				}
				if a.JSON {
					return a.PrintJSON(l)
				}
				return sheet.Exchangers(a.Out, l)
			}),
		},
		mxAdd(a), mxEdit(a),
		a.Changes(&cobra.Command{
			Use: "remove DOMAIN HOST", Short: "Remove an exchanger", Args: cobra.ExactArgs(2),
			RunE: cli.Work(func(cmd *cobra.Command, args []string) error {
				host := args[1]
				if host == zone.NullHost {
					host = zone.None // a dot alone is no part of a path
				}
				return a.Change(cmd.Context(), http.MethodDelete, exchangersPath(args[0])+cli.Segment(host), nil, nil)
			}),
		}),
		mxReplace(a),
	)
}

func mxAdd(a *cli.App) *cobra.Command {
	var preference preferenceFlag
	c := a.Changes(&cobra.Command{
		Use: "add DOMAIN HOST", Short: "Add an exchanger", Args: cobra.ExactArgs(2),
		RunE: cli.Work(func(cmd *cobra.Command, args []string) error {
			return a.Change(cmd.Context(), http.MethodPost, exchangersPath(args[0]), nil, api.ExchangerTyped{Host: args[1], Preference: preference.value})
		}),
	})
	c.Flags().Var(&preference, "preference", "0 to 65535; the lower one is tried first, equal ones share the mail (default 10)")
	return c
}

func mxEdit(a *cli.App) *cobra.Command {
	var preference preferenceFlag
	var to string
	c := a.Changes(&cobra.Command{
		Use: "edit DOMAIN HOST", Short: "Change the preference or the host of an exchanger", Args: cobra.ExactArgs(2),
		RunE: cli.Work(func(cmd *cobra.Command, args []string) error {
			body := map[string]any{}
			if preference.value != nil {
				body["preference"] = *preference.value
			}
			if cmd.Flags().Changed("to") {
				body["to"] = to
			}
			if len(body) == 0 {
				return cli.Usagef("nothing to change is given: --preference, --to")
			}
			return a.Change(cmd.Context(), http.MethodPatch, exchangersPath(args[0])+cli.Segment(args[1]), nil, body)
		}),
	})
	c.Flags().Var(&preference, "preference", "another preference, 0 to 65535")
	c.Flags().StringVar(&to, "to", "", "another host")
	return c
}

func mxReplace(a *cli.App) *cobra.Command {
	var null bool
	c := a.Changes(&cobra.Command{
		Use: "replace DOMAIN HOST[:PREFERENCE]...", Short: "Replace all exchangers in one step; none says that the domain takes no mail",
		Args: func(cmd *cobra.Command, args []string) error {
			if null {
				return cobra.ExactArgs(1)(cmd, args)
			}
			return cobra.MinimumNArgs(2)(cmd, args)
		},
		RunE: cli.Work(func(cmd *cobra.Command, args []string) error {
			list, err := typedList(args[1:])
			if err != nil {
				return err
			}
			return a.Change(cmd.Context(), http.MethodPut, exchangersPath(args[0]), nil, map[string]any{"exchangers": list})
		}),
	})
	c.Flags().BoolVar(&null, "null", false, "the domain takes no mail: the null MX (RFC 7505)")
	return c
}

// setFlags are what an exchanger set says, as flags.
type setFlags struct {
	account, spf string
	gateways     []string
}

func (f *setFlags) on(c *cobra.Command) *cobra.Command {
	c.Flags().StringVar(&f.account, "account", "", "account whose set it is, by id or name (default the caller's own)")
	c.Flags().StringArrayVar(&f.gateways, "gateway", nil, "network that its exchangers deliver from; only these may deliver then for domains that follow it; may be repeated, none lets everybody deliver")
	c.Flags().StringVar(&f.spf, "spf", "", `SPF record of domains that follow it, none for none (default one that passes the exchangers and this installation)`)
	return c
}

func (f *setFlags) body(c *cobra.Command, hosts []string) (map[string]any, error) {
	out := map[string]any{}
	if len(hosts) > 0 {
		list, err := typedList(hosts)
		if err != nil {
			return nil, err
		}
		out["exchangers"] = list
	}
	for flag, field := range map[string]any{"account": f.account, "spf": f.spf} {
		if c.Flags().Changed(flag) {
			out[flag] = field
		}
	}
	if c.Flags().Changed("gateway") {
		out["gateways"] = f.gateways
	}
	return out, nil
}

func exchangerSetCommand(a *cli.App) *cobra.Command {
	const path = "/exchanger-sets"
	var added, changed setFlags
	return cli.Group("exchanger-set", "Named lists of exchangers that domains follow",
		cli.Listing(a, "List exchanger sets", path, "NAME ACCOUNT EXCHANGERS GATEWAYS SPF DOMAINS", func(s control.ExchangerSet) []string {
			var hosts []string
			for _, x := range s.Exchangers {
				hosts = append(hosts, x.Host+":"+strconv.Itoa(int(x.Preference)))
			}
			return []string{s.Name, string(s.Account), strings.Join(hosts, " "), strings.Join(s.Gateways, " "), s.SPF, strconv.Itoa(s.Domains)}
		}),
		added.on(a.Changes(&cobra.Command{
			Use: "add NAME HOST[:PREFERENCE]...", Short: "Add an exchanger set", Args: cobra.MinimumNArgs(2),
			RunE: cli.Work(func(cmd *cobra.Command, args []string) error {
				body, err := added.body(cmd, args[1:])
				if err != nil {
					return err
				}
				body["name"] = args[0]
				return a.Change(cmd.Context(), http.MethodPost, path, nil, body)
			}),
		})),
		changed.on(a.Changes(&cobra.Command{
			Use: "set NAME [HOST[:PREFERENCE]...]", Short: "Change an exchanger set, and all domains that follow it in the same step", Args: cobra.MinimumNArgs(1),
			RunE: cli.Work(func(cmd *cobra.Command, args []string) error {
				body, err := changed.body(cmd, args[1:])
				if err != nil {
					return err
				}
				if len(body) == 0 {
					return cli.Usagef("nothing to set is given")
				}
				return a.Change(cmd.Context(), http.MethodPatch, path+cli.Segment(args[0]), nil, body)
			}),
		})),
		setRemove(a, path, "Remove an exchanger set that no domain follows"),
	)
}

func setRemove(a *cli.App, path, short string) *cobra.Command {
	var account string
	c := a.Changes(&cobra.Command{
		Use: "remove NAME", Short: short, Args: cobra.ExactArgs(1),
		RunE: cli.Work(func(cmd *cobra.Command, args []string) error {
			query := url.Values{}
			if account != "" {
				query.Set("account", account)
			}
			return a.Change(cmd.Context(), http.MethodDelete, path+cli.Segment(args[0]), query, nil)
		}),
	})
	c.Flags().StringVar(&account, "account", "", "account whose set it is, by id or name (default the caller's own)")
	return c
}

func nameServerSetCommand(a *cli.App) *cobra.Command {
	const path = "/nameserver-sets"
	var account string
	owned := func(c *cobra.Command) *cobra.Command {
		c.Flags().StringVar(&account, "account", "", "account whose set it is, by id or name (default the caller's own)")
		return c
	}
	body := func(hosts []string) map[string]any {
		out := map[string]any{"hosts": hosts}
		if account != "" {
			out["account"] = account
		}
		return out
	}
	return cli.Group("nameserver-set", "Named lists of name servers for zones hosted here",
		cli.Listing(a, "List name-server sets", path, "NAME ACCOUNT HOSTS DOMAINS", func(s control.NameServerSet) []string {
			return []string{s.Name, string(s.Account), strings.Join(s.Hosts, " "), strconv.Itoa(s.Domains)}
		}),
		owned(a.Changes(&cobra.Command{
			Use: "add NAME HOST...", Short: "Add a name-server set; the first host is the primary", Args: cobra.MinimumNArgs(2),
			RunE: cli.Work(func(cmd *cobra.Command, args []string) error {
				out := body(args[1:])
				out["name"] = args[0]
				return a.Change(cmd.Context(), http.MethodPost, path, nil, out)
			}),
		})),
		owned(a.Changes(&cobra.Command{
			Use: "set NAME HOST...", Short: "Change a name-server set, and all zones that follow it in the same step", Args: cobra.MinimumNArgs(2),
			RunE: cli.Work(func(cmd *cobra.Command, args []string) error {
				return a.Change(cmd.Context(), http.MethodPatch, path+cli.Segment(args[0]), nil, body(args[1:]))
			}),
		})),
		setRemove(a, path, "Remove a name-server set that no domain follows"),
	)
}
