package main

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"postroad/cmd/postroad/cli"
	"postroad/cmd/postroad/sheet"
	"postroad/internal/config"
	"postroad/internal/service/control"
)

// domainFlags are the settings of a domain as flags. Only flags that are given are sent.
type domainFlags struct {
	account, mode, zone, recipients, unreachable string
	exchangerSet, nameServerSet                  string
	judge, spfFail, unchecked, primary           string
	nextHops, gateways                           []string
	hold, onboarding                             cli.Duration
	dual, proved                                 bool
}

func (f *domainFlags) on(c *cobra.Command) {
	c.Flags().StringVar(&f.mode, "mode", "", "local delivers here (default), split delivers here what is known here, backup holds mail for better exchangers, relay hands on to a next hop, remote leaves mail to others, auto is what public DNS says")
	c.Flags().StringVar(&f.zone, "zone", "", "who answers for the DNS zone: hosted or external (default external)")
	c.Flags().StringArrayVar(&f.nextHops, "next-hop", nil, "HOST:PORT to hand mail on to, lmtp://HOST:PORT or lmtp:///SOCKET by LMTP; may be repeated, tried in this order")
	c.Flags().StringVar(&f.recipients, "recipients", "", "how recipients unknown here are judged in the modes split, backup and relay: probe asks the domain's own server (default), list believes a list, accept takes every one")
	c.Flags().StringVar(&f.unreachable, "unreachable", "", "what becomes of them while that server cannot be asked: queue takes them (default of backup), 450 refuses them for now (default else)")
	c.Flags().BoolVar(&f.dual, "dual", false, "mode local: a copy of each message goes to exchangers better than ours, or to the next hops")
	c.Flags().StringArrayVar(&f.gateways, "gateway", nil, "network that may deliver from outside, others are refused for now; may be repeated, none alone lets everybody deliver")
	c.Flags().StringVar(&f.exchangerSet, "exchanger-set", "", "exchanger set to follow, which says MX, SPF and gateways; none for none (default of a zone hosted here: direct)")
	c.Flags().StringVar(&f.nameServerSet, "nameserver-set", "", "name-server set that the zone follows; none for none (default of a zone hosted here: default)")
	c.Flags().StringVar(&f.judge, "judge", "", "what is done with what is found out about strangers' mail: enforce refuses or puts aside what its author's domain asks to be (default), note only writes it above the message, off checks nothing")
	c.Flags().StringVar(&f.spfFail, "spf-fail", "", "what is done with mail that fails SPF and that DMARC does not stand for: accept (default), quarantine or reject")
	c.Flags().StringVar(&f.unchecked, "unchecked", "", "what is done with mail that cannot be checked while DNS does not answer: accept (default), or 450 to refuse it for now")
	c.Flags().StringVar(&f.primary, "primary", "", "domain at which its users have their mail, which is to forward it here; none for the one above (default)")
	c.Flags().Var(&f.onboarding, "onboarding", "how long from now on unknown recipients are refused for now only, at most 30d; 0s ends it")
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
		"recipients": {"recipients", f.recipients}, "hold": {"hold_seconds", f.hold.Seconds}, "proved": {"proved", f.proved},
		"unreachable": {"unreachable", f.unreachable}, "dual": {"dual", f.dual}, "gateway": {"gateways", f.gateways},
		"onboarding": {"onboarding_seconds", f.onboarding.Seconds}, "exchanger-set": {"exchanger_set", f.exchangerSet},
		"nameserver-set": {"nameserver_set", f.nameServerSet},
		"judge":          {"judge", f.judge}, "spf-fail": {"spf_fail", f.spfFail}, "unchecked": {"unchecked", f.unchecked},
		"primary": {"primary", f.primary},
	} {
		if c.Flags().Changed(flag) {
			out[field.key] = field.value
		}
	}
	return out
}

func domainCommand(a *cli.App) *cobra.Command {
	var added, changed domainFlags
	add := a.Changes(&cobra.Command{
		Use: "add NAME", Short: "Add a domain", Args: cobra.ExactArgs(1),
		RunE: cli.Work(func(cmd *cobra.Command, args []string) error {
			body := added.body(cmd)
			body["name"] = args[0]
			return a.Change(cmd.Context(), http.MethodPost, "/domains", nil, body)
		}),
	})
	add.Flags().StringVar(&added.account, "account", "", "account that owns it, by id or name (default the caller's own)")
	added.on(add)
	set := a.Changes(&cobra.Command{
		Use: "set NAME", Short: "Change a domain's settings", Args: cobra.ExactArgs(1),
		RunE: cli.Work(func(cmd *cobra.Command, args []string) error {
			body := changed.body(cmd)
			if len(body) == 0 {
				return cli.Usagef("nothing to set is given")
			}
			return a.Change(cmd.Context(), http.MethodPatch, "/domains"+cli.Segment(args[0]), nil, body)
		}),
	})
	changed.on(set)
	var arrangement string
	var leaving bool
	listed := func(c *cobra.Command) *cobra.Command {
		c.Flags().StringVar(&arrangement, "arrangement", "", "only those of this arrangement: FULL, EMAIL, PARTIAL or none")
		c.Flags().BoolVar(&leaving, "leaving", false, "only those in their leaving window, and with them those that were removed")
		return c
	}
	return cli.Group("domain", "Mail domains", add, set,
		&cobra.Command{
			Use: "show NAME", Short: "Show chosen mode, effective mode, why, and arrangement", Args: cobra.ExactArgs(1),
			RunE: cli.Work(func(cmd *cobra.Command, args []string) error {
				d, err := cli.Get[control.DomainDetail](cmd.Context(), a, "/domains"+cli.Segment(args[0]), nil)
				if err != nil {
					return err
				}
				if a.JSON {
					return a.PrintJSON(d)
				}
				printDomain(a, d)
				return nil
			}),
		},
		listed(&cobra.Command{
			Use: "list", Short: "List domains", Args: cobra.NoArgs,
			RunE: cli.Work(func(cmd *cobra.Command, _ []string) error {
				query := url.Values{}
				if arrangement != "" {
					query.Set("arrangement", arrangement)
				}
				if leaving {
					query.Set("leaving", "true")
				}
				all, err := cli.List[control.DomainInfo](cmd.Context(), a, "/domains", query)
				if err != nil {
					return err
				}
				return cli.Show(a, all, "DOMAIN MODE EFFECTIVE ARRANGEMENT PROVED ZONE NEXT-HOPS", func(d control.DomainInfo) []string {
					return []string{shownName(d), d.Mode, d.EffectiveMode, d.Arrangement, sheet.YesNo(d.Proved), d.Zone, strings.Join(d.NextHops, " ")}
				})
			}),
		}),
		domainChoose(a), domainProve(a),
		a.Changes(&cobra.Command{
			Use: "remove NAME", Short: "Remove a domain with everything in it", Args: cobra.ExactArgs(1),
			RunE: cli.Work(func(cmd *cobra.Command, args []string) error {
				return a.Change(cmd.Context(), http.MethodDelete, "/domains"+cli.Segment(args[0]), nil, nil)
			}),
		}),
	)
}

func domainChoose(a *cli.App) *cobra.Command {
	var hops []string
	var forSupport bool
	c := &cobra.Command{
		Use: "choose NAME", Short: "Propose a routing mode from what can be observed, with the reasons", Args: cobra.ExactArgs(1),
		RunE: cli.Work(func(cmd *cobra.Command, args []string) error {
			p, err := cli.Get[control.Advice](cmd.Context(), a, "/domains"+cli.Segment(args[0])+"/choose", url.Values{"next_hop": hops})
			if err != nil {
				return err
			}
			if a.JSON {
				return a.PrintJSON(p)
			}
			if forSupport {
				printSupport(a, p.Support)
				return nil
			}
			a.Say("Proposed for %s: %s\n", sheet.Clean(p.Domain), sheet.Clean(p.Mode))
			for _, reason := range p.Reasons {
				a.Say("  %s\n", sheet.Clean(reason))
			}
			a.Say("To choose it:\n  %s\n", sheet.Clean(p.Command))
			if p.Support != nil && p.Support.Link != "" {
				a.Say("If unsure, ask support, with what --for-support prints:\n  %s\n", sheet.Clean(shortLink(p.Support.Link)))
			}
			return nil
		}),
	}
	c.Flags().StringArrayVar(&hops, "next-hop", nil, "the domain's own server, HOST:PORT, where that is known; may be repeated")
	c.Flags().BoolVar(&forSupport, "for-support", false, "print what is known of the domain as a text for support, and where to send it")
	return c
}

// shortLink is a link without the facts that it carries, for people to read.
func shortLink(link string) string {
	if strings.HasPrefix(link, "mailto:") {
		link, _, _ = strings.Cut(link, "?")
	}
	return link
}

// printSupport shows what support is to be told, whole, and where.
func printSupport(a *cli.App, s *control.Support) {
	if s == nil {
		return
	}
	for line := range strings.SplitSeq(strings.TrimSuffix(s.Text, "\n"), "\n") {
		a.Say("%s\n", sheet.Clean(line))
	}
	if s.Link != "" {
		a.Say("\nSend this to support:\n%s\n", sheet.Clean(s.Link))
	}
}

func shownName(d control.DomainInfo) string {
	if d.Unicode != "" {
		return d.Unicode
	}
	return d.Name
}

func printDomain(a *cli.App, d control.DomainDetail) {
	line := func(name, value string) {
		if value != "" {
			a.Say("%-15s %s\n", name, sheet.Clean(value))
		}
	}
	line("domain", d.Name)
	line("shown as", d.Unicode)
	line("account", string(d.Account))
	line("mode", d.Mode)
	line("effective mode", d.EffectiveMode)
	if d.Since != nil {
		line("since", sheet.When(*d.Since))
	}
	line("why", d.Why)
	line("machine", d.Machine)
	line("arrangement", d.Arrangement)
	proved := sheet.YesNo(d.Proved)
	if d.Proved && d.ProofBy != "" {
		proved += ", by " + map[string]string{"operator": "the operator's word", "txt": "its TXT record", "delegation": "its delegation"}[d.ProofBy]
	}
	line("proved", proved)
	if d.ProofLostAt != nil && d.ProofEndsAt != nil {
		line("proof lost", sheet.When(*d.ProofLostAt)+"; all is as before until "+sheet.When(*d.ProofEndsAt))
	}
	line("zone", d.Zone)
	if d.Delegation != nil {
		line("delegation", d.Delegation.State+": "+d.Delegation.Evidence)
		line("that is", d.Delegation.Sentence)
	}
	line("name servers", strings.Join(d.NameServers, ", "))
	line("exchanger set", d.Exchangers)
	line("nameserver set", d.Servers)
	hops := strings.Join(d.NextHops, ", ")
	if d.OperatorHops {
		hops += " (named by the operator)"
	}
	line("next hops", hops)
	line("recipients", d.Recipients)
	line("unreachable", d.Unreachable)
	if d.Dual {
		line("dual delivery", "yes")
	}
	line("gateways", strings.Join(d.Gateways, ", "))
	line("judging", d.Judge+"; what fails SPF alone: "+d.SPFFail+"; while DNS does not answer: "+d.Unchecked)
	line("forwarders", strings.Join(d.Forwarders, ", "))
	line("primary", d.Primary)
	if d.Onboarding != nil {
		line("onboarding", "until "+sheet.When(*d.Onboarding))
	}
	if d.LeavingUntil != nil {
		line("leaving", "until "+sheet.When(*d.LeavingUntil)+", before "+d.LeavingFrom)
	}
	if d.HoldSeconds > 0 {
		line("hold", config.FormatDuration(time.Duration(d.HoldSeconds)*time.Second))
	}
	line("mailboxes", strconv.Itoa(d.Mailboxes))
	line("other addresses", strconv.Itoa(d.Addresses))
	line("created", sheet.When(d.Created))
	if d.Support != nil {
		line("support", shortLink(d.Support.Link))
	}
	for _, f := range d.Findings {
		a.Say("\n%s since %s\n  %s\n  %s\n", sheet.Clean(string(f.Name)), sheet.When(f.Since), sheet.Clean(f.Sentence), sheet.Clean(f.Evidence))
	}
}
