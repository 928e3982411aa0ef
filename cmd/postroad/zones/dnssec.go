package zones

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

// dnssecPath is the path of a domain's signing.
func dnssecPath(domain string) string { return "/domains" + cli.Segment(domain) + "/dnssec" }

func dnssecCommand(a *cli.App) *cobra.Command {
	return cli.Group("dnssec", "Signatures of zones that our name servers answer for",
		dnssecOnCommand(a), dnssecOffCommand(a),
		&cobra.Command{
			Use: "show DOMAIN", Short: "Show what belongs at the registrar, the keys, and what the zone above says", Args: cobra.ExactArgs(1),
			Long: `Shows how a zone is signed: the DS to enter at the registrar, in the forms in which registrars ask for it, the keys and
where they are in their lives, when signatures run out, what all servers of the zone above say now, and what happens
next.`,
			RunE: cli.Work(func(cmd *cobra.Command, args []string) error {
				s, err := cli.Get[control.DNSSECStatus](cmd.Context(), a, dnssecPath(args[0]), nil)
				if err != nil {
					return err
				}
				if a.JSON {
					return a.PrintJSON(s)
				}
				return printDNSSEC(a, &s)
			}),
		},
		dnssecRollCommand(a),
	)
}

func dnssecOnCommand(a *cli.App) *cobra.Command {
	var all bool
	var choice control.DNSSECChoice
	c := &cobra.Command{
		Use: "on [DOMAIN]", Short: "Sign a zone", Args: cobra.MaximumNArgs(1),
		Long: `Signs a zone: its keys are made, all of it is signed and verified, and signatures are renewed from then on. Nobody goes
by them until the DS that dnssec show gives stands at the registrar. On a signed zone --denial changes how it is shown
that a name does not exist, and a DS that was to be withdrawn is so no longer.`,
		RunE: cli.Work(func(cmd *cobra.Command, args []string) error {
			switch {
			case all && len(args) > 0:
				return cli.Usagef("give a domain or --all, not both")
			case all:
				return a.Change(cmd.Context(), http.MethodPost, "/dnssec", nil, choice)
			case len(args) == 0:
				return cli.Usagef("give a domain, or --all")
			}
			return a.Change(cmd.Context(), http.MethodPut, dnssecPath(args[0]), nil, choice)
		}),
	}
	c.Flags().BoolVar(&all, "all", false, "all zones that are hosted here, proved, and not signed")
	c.Flags().StringVar(&choice.Denial, "denial", "", "nsec, or nsec3 to make it harder to list all names (default nsec)")
	c.Flags().StringVar(&choice.Scheme, "keys", "", "csk: one key; ksk-zsk: one for the keys and one for the rest, replaced every 90 days (default csk)")
	c.Flags().StringVar(&choice.Algorithm, "algorithm", "", "ecdsap256sha256 or ed25519 (default ecdsap256sha256)")
	return a.Changes(c)
}

func dnssecOffCommand(a *cli.App) *cobra.Command {
	var withdraw bool
	c := &cobra.Command{
		Use: "off DOMAIN", Short: "Sign a zone no longer", Args: cobra.ExactArgs(1),
		Long: `Removes the signatures of a zone. While the zone above has a DS, that makes the domain unreachable for everybody who
checks signatures. The order without an outage: have the DS removed at the registrar (with --withdraw the zone stays
signed and asks for that itself, by CDS and CDNSKEY records, which some registries follow), wait until dnssec show says
that no cache has it any more, then switch off.`,
		RunE: cli.Work(func(cmd *cobra.Command, args []string) error {
			query := url.Values{}
			if withdraw {
				query.Set("withdraw", "true")
			}
			return a.Change(cmd.Context(), http.MethodDelete, dnssecPath(args[0]), query, nil)
		}),
	}
	c.Flags().BoolVar(&withdraw, "withdraw", false, "stay signed, and ask the zone above to remove the DS")
	return a.Changes(c)
}

func dnssecRollCommand(a *cli.App) *cobra.Command {
	var ksk, zsk bool
	c := &cobra.Command{
		Use: "roll DOMAIN", Short: "Replace a key of a zone", Args: cobra.ExactArgs(1),
		Long: `Makes a new key, which takes over as soon as every cache knows it. A key whose DS stands at the registrar stays until the
DS of the new one has been seen there: dnssec show gives it, and says what is waited for. Zone signing keys are replaced
every 90 days without this.`,
		RunE: cli.Work(func(cmd *cobra.Command, args []string) error {
			body := map[string]any{}
			switch {
			case ksk && zsk:
				return cli.Usagef("give --ksk or --zsk, not both")
			case ksk:
				body["role"] = "ksk"
			case zsk:
				body["role"] = "zsk"
			}
			return a.Change(cmd.Context(), http.MethodPost, dnssecPath(args[0])+"/roll", nil, body)
		}),
	}
	c.Flags().BoolVar(&ksk, "ksk", false, "the key signing key of a zone with two")
	c.Flags().BoolVar(&zsk, "zsk", false, "the zone signing key of a zone with two")
	return a.Changes(c)
}

// printDNSSEC shows a zone's signing for people.
func printDNSSEC(a *cli.App, s *control.DNSSECStatus) error {
	if !s.Signed {
		a.Say("%s is not signed.\n", sheet.Clean(s.Domain))
	} else {
		a.Say("%s is signed: keys %s, %s, %s\n", sheet.Clean(s.Domain), s.Scheme, s.Algorithm, s.Denial)
		a.Say("signatures    run out from %s on, are renewed %s at the latest\n\n", sheet.When(*s.ValidUntil), sheet.When(*s.RenewedAt))
		rows := make([][]string, len(s.Keys))
		for i, k := range s.Keys {
			seen := ""
			if k.Seen != nil {
				seen = sheet.When(*k.Seen)
			}
			rows[i] = []string{strconv.Itoa(int(k.Tag)), k.Role, k.Algorithm, k.State, sheet.When(k.Since), seen}
		}
		if err := sheet.Table(a.Out, "KEY ROLE ALGORITHM STATE SINCE DS-SEEN", rows); err != nil {
			return err
		}
	}
	if len(s.DS) > 0 {
		from := ""
		if s.SubmitFrom != nil {
			from = ", from " + sheet.When(*s.SubmitFrom) + " on"
		}
		a.Say("\nFor the registrar%s (one of the two digests is enough):\n", from)
		for _, d := range s.DS {
			a.Say("  %s\n    key tag %d, algorithm %d, digest type %d, digest\n    %s\n", sheet.Clean(d.Record), d.KeyTag, d.Algorithm, d.DigestType, d.Digest)
		}
		a.Say("  or, where the key itself is asked for:\n  %s\n", sheet.Clean(s.DS[0].DNSKEY))
	}
	a.Say("\nThe zone above: ")
	switch s.Parent.State {
	case "unknown":
		a.Say("not known: %s\n", sheet.Clean(s.Parent.Problem))
	case "none":
		a.Say("no DS (%s)\n", sheet.Clean(s.Parent.Source))
	case "matches":
		a.Say("its DS leads to this zone (%s)\n", sheet.Clean(s.Parent.Source))
	default:
		a.Say("%s: its DS is of none of this zone's keys (%s)\n", s.Parent.Finding, sheet.Clean(s.Parent.Source))
	}
	for _, d := range s.Parent.DS {
		a.Say("  %s\n", sheet.Clean(strings.TrimSpace(d)))
	}
	a.Say("\n%s\n", sheet.Clean(s.Next))
	return nil
}
