package main

import (
	"cmp"
	"context"
	"fmt"
	"net/url"
	"strings"

	"github.com/spf13/cobra"

	"postroad/cmd/postroad/cli"
	"postroad/cmd/postroad/sheet"
	"postroad/cmd/postroad/verify"
	"postroad/internal/core/facts"
	"postroad/internal/proto/dkim"
	"postroad/internal/service/control"
)

func toolCommand(a *cli.App) *cobra.Command {
	return cli.Group("tool", "Look at what others publish, and at messages, as a receiving server does", toolDKIM(a), toolSPF(a))
}

func toolDKIM(a *cli.App) *cobra.Command {
	var server string
	c := &cobra.Command{
		Use: "dkim [DOMAIN SELECTOR]", Short: "Verify the DKIM signatures of a message on stdin, or look at the key of a selector",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 0 && len(args) != 2 {
				return fmt.Errorf("either a domain and a selector, or none and a message on stdin")
			}
			return nil
		},
		Long: `Without a domain a message is read from stdin. The first lines are the results of its signatures, one word each in the order
of the header (pass, fail, policy, neutral, temperror, permerror), none for a message without signatures; indented below
stands why, and what a chain of ARC is worth. The message stays on this machine: only keys are asked for.
With a domain and a selector: the key that is published for them, and what is wrong with it.
A message whose lines end in LF alone, as files do, is taken for one whose lines end in CRLF.`,
		RunE: cli.Work(func(cmd *cobra.Command, args []string) error {
			if len(args) == 2 {
				return showDKIMKey(cmd.Context(), a, args[0], args[1], server)
			}
			lookup := keysOfServer(a)
			if server != "" {
				var err error
				if lookup, err = verify.Keys(server); err != nil {
					return cli.Usagef("--resolver: %v", err)
				}
			}
			return verifyDKIM(cmd.Context(), a, lookup)
		}),
	}
	c.Flags().StringVar(&server, "resolver", "", "the DNS server to ask, as address or address:port; without it the server's own resolvers are asked")
	return c
}

func toolSPF(a *cli.App) *cobra.Command {
	var ip, helo, sender, server string
	c := &cobra.Command{
		Use: "spf [DOMAIN]", Short: "Evaluate a domain's SPF record for a client, or count what the record costs", Args: cobra.MaximumNArgs(1),
		Long: `The first line is the result for the client at --ip: pass, fail, softfail, neutral, none, temperror or permerror. Without --ip
it is what every client gets, usable where that differs. Below it, indented: each term with the look-ups that it costs, what
was found, and what is wrong. The domain is that of --mail-from, or --helo, where none is named.`,
		RunE: cli.Work(func(cmd *cobra.Command, args []string) error {
			v, err := spf(cmd.Context(), a, strings.Join(args, ""), ip, helo, sender, server)
			if err != nil {
				return err
			}
			if a.JSON {
				return a.PrintJSON(v)
			}
			for _, line := range v.Lines() {
				a.Say("%s\n", sheet.Clean(line))
			}
			return nil
		}),
	}
	c.Flags().StringVar(&ip, "ip", "", "address of the client")
	c.Flags().StringVar(&helo, "helo", "", "name that the client gives")
	c.Flags().StringVar(&sender, "mail-from", "", "reverse-path (default postmaster of the domain)")
	c.Flags().StringVar(&server, "resolver", "", "the DNS server to ask, as address or address:port; without it the server's own resolvers are asked")
	return c
}

// spf asks the server, or DNS itself.
func spf(ctx context.Context, a *cli.App, domain, ip, helo, sender, server string) (control.SPFView, error) {
	if server != "" {
		return verify.SPF(ctx, server, domain, ip, helo, sender)
	}
	domain = cmp.Or(domain, sender[strings.LastIndexByte(sender, '@')+1:], helo)
	if domain == "" {
		return control.SPFView{}, cli.Usagef("name a domain, --mail-from or --helo")
	}
	return cli.Get[control.SPFView](ctx, a, "/tools/spf"+cli.Segment(domain), url.Values{"ip": {ip}, "helo": {helo}, "mail_from": {sender}})
}

// keysOfServer looks keys up through the server.
func keysOfServer(a *cli.App) dkim.Lookup {
	return func(ctx context.Context, name string) ([]string, error) {
		selector, domain, _ := strings.Cut(name, "._domainkey.")
		k, err := dkimKey(ctx, a, domain, selector, "")
		switch {
		case err != nil:
			return nil, err
		case k.Status == facts.Temporary.String():
			return nil, fmt.Errorf("%w: %s", dkim.ErrTemporary, k.Detail)
		case len(k.Records) == 0:
			return nil, dkim.ErrNoRecord
		}
		var texts []string
		for _, r := range k.Records {
			texts = append(texts, r.Text)
		}
		return texts, nil
	}
}

func dkimKey(ctx context.Context, a *cli.App, domain, selector, at string) (control.FoundDKIMKey, error) {
	query := url.Values{}
	if at != "" {
		query.Set("at", at)
	}
	return cli.Get[control.FoundDKIMKey](ctx, a, "/tools/dkim/"+url.PathEscape(domain)+"/"+url.PathEscape(selector), query)
}

// verifyDKIM judges a message on stdin.
func verifyDKIM(ctx context.Context, a *cli.App, lookup dkim.Lookup) error {
	out, err := verify.DKIM(ctx, a.In, lookup)
	if err != nil {
		return err
	}
	if a.JSON {
		return a.PrintJSON(out)
	}
	for _, line := range out.Lines() {
		a.Say("%s\n", sheet.Clean(line))
	}
	return nil
}

// showDKIMKey shows the key of a selector.
func showDKIMKey(ctx context.Context, a *cli.App, domain, selector, at string) error {
	k, err := dkimKey(ctx, a, domain, selector, at)
	if err != nil {
		return err
	}
	if a.JSON {
		return a.PrintJSON(k)
	}
	a.Say("%s: %s, asked %s\n", k.Name, k.Status, sheet.Clean(k.Server.Address))
	for _, r := range k.Records {
		if r.Bits > 0 {
			a.Say("\nA key of type %s with %d bits, kept %d s:\n", sheet.Clean(r.Type), r.Bits, k.TTL)
		} else {
			a.Say("\nA record, kept %d s:\n", k.TTL)
		}
		a.Say("  %s\n", sheet.Clean(dkim.Quote(dkim.SplitText(r.Text))))
	}
	if len(k.Problems) == 0 {
		a.Say("\nReceivers can use it.\n")
		return nil
	}
	a.Say("\nWhat is wrong:\n")
	for _, p := range k.Problems {
		a.Say("  %s\n", sheet.Clean(p))
	}
	return nil
}
