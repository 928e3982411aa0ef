package main

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"postroad/internal/service/control"
)

// dnssecPath is the path of a domain's signing.
func dnssecPath(domain string) string { return "/domains" + segment(domain) + "/dnssec" }

func (a *app) dnssecCommand() *cobra.Command {
	return group("dnssec", "Signatures of zones that our name servers answer for",
		a.dnssecOnCommand(), a.dnssecOffCommand(),
		&cobra.Command{
			Use: "show DOMAIN", Short: "Show what belongs at the registrar, the keys, and what the zone above says", Args: cobra.ExactArgs(1),
			Long: `Shows how a zone is signed: the DS to enter at the registrar, in the forms in which registrars ask for it, the keys and
where they are in their lives, when signatures run out, what all servers of the zone above say now, and what happens
next.`,
			RunE: work(func(cmd *cobra.Command, args []string) error {
				s, err := get[control.DNSSECStatus](cmd.Context(), a, dnssecPath(args[0]), nil)
				if err != nil {
					return err
				}
				if a.json {
					return a.printJSON(s)
				}
				return a.printDNSSEC(&s)
			}),
		},
		a.dnssecRollCommand(),
	)
}

func (a *app) dnssecOnCommand() *cobra.Command {
	var all bool
	var choice control.DNSSECChoice
	c := &cobra.Command{
		Use: "on [DOMAIN]", Short: "Sign a zone", Args: cobra.MaximumNArgs(1),
		Long: `Signs a zone: its keys are made, all of it is signed and verified, and signatures are renewed from then on. Nobody goes
by them until the DS that dnssec show gives stands at the registrar. On a signed zone --denial changes how it is shown
that a name does not exist, and a DS that was to be withdrawn is so no longer.`,
		RunE: work(func(cmd *cobra.Command, args []string) error {
			switch {
			case all && len(args) > 0:
				return usagef("give a domain or --all, not both")
			case all:
				return a.change(cmd.Context(), http.MethodPost, "/dnssec", nil, choice)
			case len(args) == 0:
				return usagef("give a domain, or --all")
			}
			return a.change(cmd.Context(), http.MethodPut, dnssecPath(args[0]), nil, choice)
		}),
	}
	c.Flags().BoolVar(&all, "all", false, "all zones that are hosted here, proved, and not signed")
	c.Flags().StringVar(&choice.Denial, "denial", "", "nsec, or nsec3 to make it harder to list all names (default nsec)")
	c.Flags().StringVar(&choice.Scheme, "keys", "", "csk: one key; ksk-zsk: one for the keys and one for the rest, replaced every 90 days (default csk)")
	c.Flags().StringVar(&choice.Algorithm, "algorithm", "", "ecdsap256sha256 or ed25519 (default ecdsap256sha256)")
	return a.changes(c)
}

func (a *app) dnssecOffCommand() *cobra.Command {
	var withdraw bool
	c := &cobra.Command{
		Use: "off DOMAIN", Short: "Sign a zone no longer", Args: cobra.ExactArgs(1),
		Long: `Removes the signatures of a zone. While the zone above has a DS, that makes the domain unreachable for everybody who
checks signatures. The order without an outage: have the DS removed at the registrar (with --withdraw the zone stays
signed and asks for that itself, by CDS and CDNSKEY records, which some registries follow), wait until dnssec show says
that no cache has it any more, then switch off.`,
		RunE: work(func(cmd *cobra.Command, args []string) error {
			query := url.Values{}
			if withdraw {
				query.Set("withdraw", "true")
			}
			return a.change(cmd.Context(), http.MethodDelete, dnssecPath(args[0]), query, nil)
		}),
	}
	c.Flags().BoolVar(&withdraw, "withdraw", false, "stay signed, and ask the zone above to remove the DS")
	return a.changes(c)
}

func (a *app) dnssecRollCommand() *cobra.Command {
	var ksk, zsk bool
	c := &cobra.Command{
		Use: "roll DOMAIN", Short: "Replace a key of a zone", Args: cobra.ExactArgs(1),
		Long: `Makes a new key, which takes over as soon as every cache knows it. A key whose DS stands at the registrar stays until the
DS of the new one has been seen there: dnssec show gives it, and says what is waited for. Zone signing keys are replaced
every 90 days without this.`,
		RunE: work(func(cmd *cobra.Command, args []string) error {
			body := map[string]any{}
			switch {
			case ksk && zsk:
				return usagef("give --ksk or --zsk, not both")
			case ksk:
				body["role"] = "ksk"
			case zsk:
				body["role"] = "zsk"
			}
			return a.change(cmd.Context(), http.MethodPost, dnssecPath(args[0])+"/roll", nil, body)
		}),
	}
	c.Flags().BoolVar(&ksk, "ksk", false, "the key signing key of a zone with two")
	c.Flags().BoolVar(&zsk, "zsk", false, "the zone signing key of a zone with two")
	return a.changes(c)
}

// printDNSSEC shows a zone's signing for people.
func (a *app) printDNSSEC(s *control.DNSSECStatus) error {
	if !s.Signed {
		a.say("%s is not signed.\n", clean(s.Domain))
	} else {
		a.say("%s is signed: keys %s, %s, %s\n", clean(s.Domain), s.Scheme, s.Algorithm, s.Denial)
		a.say("signatures    run out from %s on, are renewed %s at the latest\n\n", when(*s.ValidUntil), when(*s.RenewedAt))
		rows := make([][]string, len(s.Keys))
		for i, k := range s.Keys {
			seen := ""
			if k.Seen != nil {
				seen = when(*k.Seen)
			}
			rows[i] = []string{strconv.Itoa(int(k.Tag)), k.Role, k.Algorithm, k.State, when(k.Since), seen}
		}
		if err := a.table("KEY ROLE ALGORITHM STATE SINCE DS-SEEN", rows); err != nil {
			return err
		}
	}
	if len(s.DS) > 0 {
		from := ""
		if s.SubmitFrom != nil {
			from = ", from " + when(*s.SubmitFrom) + " on"
		}
		a.say("\nFor the registrar%s (one of the two digests is enough):\n", from)
		for _, d := range s.DS {
			a.say("  %s\n    key tag %d, algorithm %d, digest type %d, digest\n    %s\n", clean(d.Record), d.KeyTag, d.Algorithm, d.DigestType, d.Digest)
		}
		a.say("  or, where the key itself is asked for:\n  %s\n", clean(s.DS[0].DNSKEY))
	}
	a.say("\nThe zone above: ")
	switch s.Parent.State {
	case "unknown":
		a.say("not known: %s\n", clean(s.Parent.Problem))
	case "none":
		a.say("no DS (%s)\n", clean(s.Parent.Source))
	case "matches":
		a.say("its DS leads to this zone (%s)\n", clean(s.Parent.Source))
	default:
		a.say("%s: its DS is of none of this zone's keys (%s)\n", s.Parent.Finding, clean(s.Parent.Source))
	}
	for _, d := range s.Parent.DS {
		a.say("  %s\n", clean(strings.TrimSpace(d)))
	}
	a.say("\n%s\n", clean(s.Next))
	return nil
}
