package main

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"postroad/internal/config"
	"postroad/internal/service/control"
)

// domainFlags are the settings of a domain as flags. Only flags that are given are sent.
type domainFlags struct {
	account, mode, zone, recipients string
	nextHops                        []string
	hold                            durationFlag
	proved                          bool
}

func (f *domainFlags) on(c *cobra.Command) {
	c.Flags().StringVar(&f.mode, "mode", "", "local delivers here (default), relay hands on to a next hop, remote leaves mail to others")
	c.Flags().StringVar(&f.zone, "zone", "", "who answers for the DNS zone: hosted or external (default external)")
	c.Flags().StringArrayVar(&f.nextHops, "next-hop", nil, "HOST:PORT to hand mail on to, lmtp://HOST:PORT or lmtp:///SOCKET by LMTP; may be repeated, tried in this order")
	c.Flags().StringVar(&f.recipients, "recipients", "", "mode relay: how recipients are judged; accept takes every one")
	c.Flags().Var(&f.hold, "hold", "how long its mail is kept in the queue, at most 30d; 0s for the installation's time")
	c.Flags().BoolVar(&f.proved, "proved", false, "the operator's word that ownership is shown; without proof a domain is inert")
}

// body is what is sent: the flags that were given.
func (f *domainFlags) body(c *cobra.Command) map[string]any {
	out := map[string]any{}
	for flag, field := range map[string]struct {
		key   string
		value any
	}{
		"account": {"account", f.account}, "mode": {"mode", f.mode}, "zone": {"zone", f.zone}, "next-hop": {"next_hops", f.nextHops},
		"recipients": {"recipients", f.recipients}, "hold": {"hold_seconds", f.hold.seconds}, "proved": {"proved", f.proved},
	} {
		if c.Flags().Changed(flag) {
			out[field.key] = field.value
		}
	}
	return out
}

func (a *app) domainCommand() *cobra.Command {
	var added, changed domainFlags
	add := a.changes(&cobra.Command{
		Use: "add NAME", Short: "Add a domain", Args: cobra.ExactArgs(1),
		RunE: work(func(cmd *cobra.Command, args []string) error {
			body := added.body(cmd)
			body["name"] = args[0]
			return a.change(cmd.Context(), http.MethodPost, "/domains", nil, body)
		}),
	})
	add.Flags().StringVar(&added.account, "account", "", "account that owns it, by id or name (default the caller's own)")
	added.on(add)
	set := a.changes(&cobra.Command{
		Use: "set NAME", Short: "Change a domain's settings", Args: cobra.ExactArgs(1),
		RunE: work(func(cmd *cobra.Command, args []string) error {
			body := changed.body(cmd)
			if len(body) == 0 {
				return usagef("nothing to set is given")
			}
			return a.change(cmd.Context(), http.MethodPatch, "/domains"+segment(args[0]), nil, body)
		}),
	})
	changed.on(set)
	return group("domain", "Mail domains", add, set,
		&cobra.Command{
			Use: "show NAME", Short: "Show chosen mode, effective mode, why, and arrangement", Args: cobra.ExactArgs(1),
			RunE: work(func(cmd *cobra.Command, args []string) error {
				d, err := get[control.DomainDetail](cmd.Context(), a, "/domains"+segment(args[0]), nil)
				if err != nil {
					return err
				}
				if a.json {
					return a.printJSON(d)
				}
				a.printDomain(d)
				return nil
			}),
		},
		&cobra.Command{
			Use: "list", Short: "List domains", Args: cobra.NoArgs,
			RunE: work(func(cmd *cobra.Command, _ []string) error {
				all, err := list[control.DomainInfo](cmd.Context(), a, "/domains", nil)
				if err != nil {
					return err
				}
				return show(a, all, "DOMAIN MODE EFFECTIVE ARRANGEMENT PROVED ZONE NEXT-HOPS", func(d control.DomainInfo) []string {
					return []string{shownName(d), d.Mode, d.EffectiveMode, d.Arrangement, yesNo(d.Proved), d.Zone, strings.Join(d.NextHops, " ")}
				})
			}),
		},
		a.changes(&cobra.Command{
			Use: "remove NAME", Short: "Remove a domain with everything in it", Args: cobra.ExactArgs(1),
			RunE: work(func(cmd *cobra.Command, args []string) error {
				return a.change(cmd.Context(), http.MethodDelete, "/domains"+segment(args[0]), nil, nil)
			}),
		}),
	)
}

func shownName(d control.DomainInfo) string {
	if d.Unicode != "" {
		return d.Unicode
	}
	return d.Name
}

func yesNo(v bool) string {
	if v {
		return "yes"
	}
	return "no"
}

func (a *app) printDomain(d control.DomainDetail) {
	line := func(name, value string) {
		if value != "" {
			a.say("%-15s %s\n", name, clean(value))
		}
	}
	line("domain", d.Name)
	line("shown as", d.Unicode)
	line("account", string(d.Account))
	line("mode", d.Mode)
	line("effective mode", d.EffectiveMode)
	line("why", d.Why)
	line("arrangement", d.Arrangement)
	line("proved", yesNo(d.Proved))
	line("zone", d.Zone)
	hops := strings.Join(d.NextHops, ", ")
	if d.OperatorHops {
		hops += " (named by the operator)"
	}
	line("next hops", hops)
	line("recipients", d.Recipients)
	if d.HoldSeconds > 0 {
		line("hold", config.FormatDuration(time.Duration(d.HoldSeconds)*time.Second))
	}
	line("mailboxes", strconv.Itoa(d.Mailboxes))
	line("other addresses", strconv.Itoa(d.Addresses))
	line("created", when(d.Created))
	for _, f := range d.Findings {
		a.say("\n%s since %s\n  %s\n  %s\n", clean(string(f.Name)), when(f.Since), clean(f.Sentence), clean(f.Evidence))
	}
}
