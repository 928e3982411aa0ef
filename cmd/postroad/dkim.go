package main

import (
	"io"
	"net/http"
	"strings"

	"github.com/spf13/cobra"

	"postroad/cmd/postroad/cli"
	"postroad/cmd/postroad/sheet"
	"postroad/internal/service/control"
)

// dkimPath is the path of the keys by which a domain's mail is signed.
func dkimPath(domain string) string { return "/domains" + cli.Segment(domain) + "/dkim" }

func dkimCommand(a *cli.App) *cobra.Command {
	simple := func(use, short, long, method, path string) *cobra.Command {
		return a.Changes(&cobra.Command{
			Use: use + " DOMAIN", Short: short, Long: long, Args: cobra.ExactArgs(1),
			RunE: cli.Work(func(cmd *cobra.Command, args []string) error {
				return a.Change(cmd.Context(), method, dkimPath(args[0])+path, nil, nil)
			}),
		})
	}
	return cli.Group("dkim", "Keys by which mail is signed that is sent from here",
		dkimOnCommand(a),
		simple("off", "Sign a domain's mail no longer", `Has a domain's mail signed no longer. The records of its keys stay until mail that bears their signatures cannot be on its
way any more.`, http.MethodDelete, ""),
		cli.Listing(a, "List the keys of all domains", "/dkim", "DOMAIN SIGNED ALGORITHMS KEYS", func(d control.DKIMInfo) []string {
			keys := make([]string, len(d.Keys))
			for i, k := range d.Keys {
				keys[i] = k.Selector + " (" + k.State + ")"
			}
			return []string{d.Domain, sheet.YesNo(d.On), d.Algorithms, strings.Join(keys, ", ")}
		}),
		&cobra.Command{
			Use: "show DOMAIN", Short: "Show a domain's keys, what belongs into its zone, and what the world has there", Args: cobra.ExactArgs(1),
			Long: `Shows the keys by which a domain's mail is signed, their records in the forms in which DNS hosts ask for them (the whole
text, and the same in strings of at most 255 characters), and what the world has in their place now.`,
			RunE: cli.Work(func(cmd *cobra.Command, args []string) error {
				s, err := cli.Get[control.DKIMStatus](cmd.Context(), a, dkimPath(args[0]), nil)
				if err != nil {
					return err
				}
				if a.JSON {
					return a.PrintJSON(s)
				}
				return sheet.DKIM(a.Out, &s)
			}),
		},
		simple("activate", "Look at what the world has of a domain's keys", `Looks at what the world has of a domain's keys, which else happens every hour, and every minute while a key waits to be
seen. A key whose record is seen signs from then on.`, http.MethodPost, "/activate"),
		simple("rotate", "Replace a domain's keys", `Makes new keys. Their records are published at once where the zone is hosted here, and else to be entered as dkim show
tells. Each signs in the place of the one before when its record has been seen; the record of the one before stays for as
long as mail may be on its way, and a week more.`, http.MethodPost, "/rotate"),
		dkimImportCommand(a),
		a.Changes(&cobra.Command{
			Use: "remove DOMAIN SELECTOR", Short: "Remove a key and its record at once", Args: cobra.ExactArgs(2),
			RunE: cli.Work(func(cmd *cobra.Command, args []string) error {
				return a.Change(cmd.Context(), http.MethodDelete, dkimPath(args[0])+"/keys"+cli.Segment(args[1]), nil, nil)
			}),
		}),
	)
}

func dkimOnCommand(a *cli.App) *cobra.Command {
	var algorithms string
	var rotate int
	c := &cobra.Command{
		Use: "on DOMAIN", Short: "Sign a domain's mail", Args: cobra.ExactArgs(1),
		Long: `Has the mail signed that our own users send as a domain (RFC 6376). Keys are made and published where the zone is hosted
here; else dkim show tells what to enter. A key signs once the world has been seen to have its record. Without this keys
are made by themselves when somebody sends as a domain.`,
		RunE: cli.Work(func(cmd *cobra.Command, args []string) error {
			body := control.DKIMSpec{Algorithms: algorithms}
			if cmd.Flags().Changed("rotate") {
				body.Rotate = &rotate
			}
			return a.Change(cmd.Context(), http.MethodPut, dkimPath(args[0]), nil, body)
		}),
	}
	c.Flags().StringVar(&algorithms, "algorithms", "", "rsa, ed25519 or rsa,ed25519 (default rsa,ed25519: receivers pass over what they do not know)")
	c.Flags().IntVar(&rotate, "rotate", 0, "replace keys by themselves when they are so many days old, 30 at least; 0: only by dkim rotate")
	return a.Changes(c)
}

// maxKey bounds a private key that is read, in octets.
const maxKey = 64 << 10

func dkimImportCommand(a *cli.App) *cobra.Command {
	var stdin bool
	c := &cobra.Command{
		Use: "import DOMAIN SELECTOR --key-stdin", Short: "Sign with a key that the domain has had elsewhere", Args: cobra.ExactArgs(2),
		Long: `Has a domain's mail signed with a key that it has had at another host, so that nothing changes in DNS by the move. The
private key comes in PEM (PKCS #8 or PKCS #1) on stdin and is kept encrypted; the selector is what stands before
._domainkey in the name of its record.`,
		RunE: cli.Work(func(cmd *cobra.Command, args []string) error {
			if !stdin {
				return cli.Usagef("give the private key by --key-stdin")
			}
			key, err := io.ReadAll(io.LimitReader(a.In, maxKey))
			if err != nil {
				return err
			}
			return a.Change(cmd.Context(), http.MethodPost, dkimPath(args[0])+"/keys", nil, map[string]any{"selector": args[1], "key": string(key)})
		}),
	}
	c.Flags().BoolVar(&stdin, "key-stdin", false, "read the private key from stdin")
	return a.Changes(c)
}
