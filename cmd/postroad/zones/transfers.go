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

func keyCommand(a *cli.App) *cobra.Command {
	var account, algorithm string
	given := false
	add := a.Changes(&cobra.Command{
		Use: "add NAME", Short: "Add a TSIG key under the name that the other server has for it, and show its secret, this once", Args: cobra.ExactArgs(1),
		RunE: cli.Work(func(cmd *cobra.Command, args []string) error {
			body := map[string]any{"name": args[0], "account": account, "algorithm": algorithm}
			if given {
				secret, err := a.Secret("--secret-stdin")
				if err != nil {
					return err
				}
				body["secret"] = secret
			}
			return a.Change(cmd.Context(), http.MethodPost, "/tsig-keys", nil, body)
		}),
	})
	add.Flags().StringVar(&account, "account", "", "account that it belongs to, by id or name (default the caller's own)")
	add.Flags().StringVar(&algorithm, "algorithm", "", "hmac-sha256, hmac-sha384 or hmac-sha512 (default hmac-sha256)")
	add.Flags().BoolVar(&given, "secret-stdin", false, "take the secret, in base64, from the first line of stdin (default one is made)")
	return cli.Group("tsig-key", "Secrets that name servers sign transfers of zones with (TSIG)", add,
		cli.Listing(a, "List keys without their secrets", "/tsig-keys", "NAME ALGORITHM ACCOUNT CREATED", func(k control.TSIGKey) []string {
			return []string{k.Name, k.Algorithm, string(k.Account), sheet.When(k.Created)}
		}),
		a.Changes(&cobra.Command{
			Use: "remove NAME", Short: "Remove a key that nothing goes by", Args: cobra.ExactArgs(1),
			RunE: cli.Work(func(cmd *cobra.Command, args []string) error {
				return a.Change(cmd.Context(), http.MethodDelete, "/tsig-keys"+cli.Segment(args[0]), nil, nil)
			}),
		}),
	)
}

func transferCommand(a *cli.App) *cobra.Command {
	var key, notifyKey string
	var from []string
	allow := a.Changes(&cobra.Command{
		Use: "allow ZONE", Short: "Let somebody fetch a domain's zone, or a catalog and every zone in it", Args: cobra.ExactArgs(1),
		RunE: cli.Work(func(cmd *cobra.Command, args []string) error {
			return a.Change(cmd.Context(), http.MethodPost, "/transfers", nil, map[string]any{"zone": args[0], "key": key, "from": from})
		}),
	})
	allow.Flags().StringVar(&key, "key", "", "TSIG key that requests must be signed with")
	allow.Flags().StringSliceVar(&from, "from", nil, "network or address that they must come from (may be repeated)")
	notify := a.Changes(&cobra.Command{
		Use: "notify ZONE HOST:PORT", Short: "Have a server told of changes of a domain's zone, or of a catalog and every zone in it", Args: cobra.ExactArgs(2),
		RunE: cli.Work(func(cmd *cobra.Command, args []string) error {
			return a.Change(cmd.Context(), http.MethodPost, "/transfers/notify", nil, map[string]any{"zone": args[0], "notify": args[1], "key": notifyKey})
		}),
	})
	notify.Flags().StringVar(&notifyKey, "key", "", "TSIG key to sign with")
	var gone struct {
		key, notify string
		from        []string
	}
	deny := a.Changes(&cobra.Command{
		Use: "deny ZONE", Short: "Take back what allow and notify have set: all of it, or what the flags name", Args: cobra.ExactArgs(1),
		RunE: cli.Work(func(cmd *cobra.Command, args []string) error {
			query := url.Values{"zone": {args[0]}}
			if gone.key != "" {
				query.Set("key", gone.key)
			}
			if len(gone.from) > 0 {
				query.Set("from", strings.Join(gone.from, ","))
			}
			if gone.notify != "" {
				query.Set("notify", gone.notify)
			}
			return a.Change(cmd.Context(), http.MethodDelete, "/transfers", query, nil)
		}),
	})
	deny.Flags().StringVar(&gone.key, "key", "", "only those with this key")
	deny.Flags().StringSliceVar(&gone.from, "from", nil, "only those with this network (may be repeated)")
	deny.Flags().StringVar(&gone.notify, "notify", "", "only this server that is told")
	return cli.Group("transfer", "Who may fetch zones from here, and who is told of their changes", allow, deny, notify,
		cli.Listing(a, "List who may fetch zones, and who is told", "/transfers", "ZONE KEY FROM NOTIFY", func(p control.TransferPeer) []string {
			return []string{p.Zone, p.Key, strings.Join(p.From, " "), p.Notify}
		}),
	)
}

func secondaryCommand(a *cli.App) *cobra.Command {
	key := ""
	set := a.Changes(&cobra.Command{
		Use: "set DOMAIN PRIMARY[:PORT]", Short: "Fetch a domain's zone from another server and answer for it", Args: cobra.ExactArgs(2),
		RunE: cli.Work(func(cmd *cobra.Command, args []string) error {
			return a.Change(cmd.Context(), http.MethodPut, "/secondaries"+cli.Segment(args[0]), nil, map[string]any{"primary": args[1], "key": key})
		}),
	})
	set.Flags().StringVar(&key, "key", "", "TSIG key to ask with, and that the primary signs NOTIFY with")
	return cli.Group("secondary", "Zones that have their home at another server and are served here too", set,
		cli.Listing(a, "List such zones, with the version that is here", "/secondaries", "DOMAIN PRIMARY KEY SERIAL REFRESHED", func(z control.SecondaryZone) []string {
			serial, refreshed := "", "never"
			if z.Refreshed != nil {
				serial, refreshed = strconv.FormatUint(uint64(z.Serial), 10), sheet.When(*z.Refreshed)
			}
			return []string{z.Domain, z.Primary, z.Key, serial, refreshed}
		}),
		a.Changes(&cobra.Command{
			Use: "remove DOMAIN", Short: "Answer for such a zone no longer", Args: cobra.ExactArgs(1),
			RunE: cli.Work(func(cmd *cobra.Command, args []string) error {
				return a.Change(cmd.Context(), http.MethodDelete, "/secondaries"+cli.Segment(args[0]), nil, nil)
			}),
		}),
	)
}

func catalogCommand(a *cli.App) *cobra.Command {
	account := ""
	on := a.Changes(&cobra.Command{
		Use: "on NAME", Short: "List the zones that are hosted here in a catalog, for secondaries that take them up by themselves", Args: cobra.ExactArgs(1),
		RunE: cli.Work(func(cmd *cobra.Command, args []string) error {
			return a.Change(cmd.Context(), http.MethodPut, "/catalogs"+cli.Segment(args[0]), nil, map[string]any{"account": account})
		}),
	})
	on.Flags().StringVar(&account, "account", "", "only the zones of this account, by id or name (default the caller's own, for the operator all)")
	return cli.Group("catalog", "Catalog zones, by which secondaries learn what zones there are", on,
		cli.Listing(a, "List catalogs", "/catalogs", "NAME ZONES-OF", func(c control.Catalog) []string {
			return []string{c.Name, map[bool]string{true: "(all)", false: string(c.Account)}[c.Every]}
		}),
		a.Changes(&cobra.Command{
			Use: "off NAME", Short: "End a catalog and what its peers may have by it", Args: cobra.ExactArgs(1),
			RunE: cli.Work(func(cmd *cobra.Command, args []string) error {
				return a.Change(cmd.Context(), http.MethodDelete, "/catalogs"+cli.Segment(args[0]), nil, nil)
			}),
		}),
	)
}
