package zones

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"postroad/cmd/postroad/cli"
	"postroad/cmd/postroad/sheet"
	"postroad/internal/edge/api"
	"postroad/internal/service/control"
)

// A batch of an import is sent as one change: so many zones at most, and so many octets of zone files, which is less than
// what the server takes however JSON has to write them.
const (
	zonesAtOnce  = 500
	octetsAtOnce = 512 << 10
)

// zoneSuffix ends the names of zone files in a folder.
const zoneSuffix = ".zone"

func zoneImport(a *cli.App) *cobra.Command {
	var folder, owner, server string
	var proved, fromDNS bool
	c := a.Changes(&cobra.Command{
		Use: "import DOMAIN FILE|-", Short: "Put a zone file in the place of a whole zone", Args: cobra.MaximumNArgs(2),
		Long: "Put a zone file in the place of a whole zone; SOA and NS become what the file says. A serial in the file that is not ahead of\n" +
			"the zone's is passed over. With --all every NAME" + zoneSuffix + " in a folder, of which missing domains are made, hosted here and in mode\n" +
			"local; a file that is refused is told with line and reason, and does not keep the others from being imported.\n" +
			"With --from-dns the domain's present name servers are asked for what is there: for the whole zone, and where they do not give it,\n" +
			"for usual names. SOA and NS stay ours.",
		RunE: cli.Work(func(cmd *cobra.Command, args []string) error {
			if fromDNS {
				if len(args) != 1 || folder != "" || owner != "" || proved {
					return cli.Usagef("--from-dns takes a domain and nothing else")
				}
				return importFromDNS(cmd.Context(), a, args[0], server)
			}
			if server != "" {
				return cli.Usagef("--at is for --from-dns")
			}
			if folder != "" {
				if len(args) > 0 {
					return cli.Usagef("--all takes a folder and no domain")
				}
				return importZones(cmd.Context(), a, folder, owner, proved)
			}
			if len(args) != 2 {
				return cli.Usagef("a domain and a zone file are needed, or --all DIR")
			}
			if owner != "" || proved {
				return cli.Usagef("--account and --proved are for --all: the domain of a single zone must be there")
			}
			text, err := readZone(a, args[1])
			if err != nil {
				return err
			}
			return a.Change(cmd.Context(), http.MethodPut, zonePath(args[0]), nil, map[string]any{"text": text})
		}),
	})
	c.Flags().BoolVar(&fromDNS, "from-dns", false, "import what the domain's present name servers say")
	c.Flags().StringVar(&server, "at", "", "with --from-dns: the server to ask, by name or address (default the domain's present name servers)")
	c.Flags().StringVar(&folder, "all", "", "import every NAME"+zoneSuffix+" of this folder")
	c.Flags().StringVar(&owner, "account", "", "account that owns the domains that are missing, by id or name (default the caller's own)")
	c.Flags().BoolVar(&proved, "proved", false, "the operator's word that ownership of the domains that are missing is shown")
	return c
}

// zoneEntry is one zone of an import.
type zoneEntry struct {
	Domain string `json:"domain"`
	Text   string `json:"text"`
}

// zoneImports is an import of a folder under way.
type zoneImports struct {
	a       *cli.App
	folder  string
	names   []string // of all files
	query   url.Values
	account string
	proved  bool

	batch    []zoneEntry
	octets   int
	read     int // files
	imported int // zones
	fresh    int // domains
	refused  []control.PlanRefusal
	last     api.Outcome
}

// importZones imports every zone file of a folder. What is refused is told in the end.
func importZones(ctx context.Context, a *cli.App, folder, owner string, proved bool) error {
	if a.Proposing() {
		return errors.New("it imports many zones, one after the other")
	}
	names, err := zoneFiles(folder)
	if err != nil {
		return err
	}
	z := &zoneImports{a: a, folder: folder, names: names, account: owner, proved: proved, query: url.Values{}}
	for _, name := range names {
		if err := z.add(ctx, name); err != nil {
			return z.stopped(err)
		}
	}
	if err := z.send(ctx); err != nil {
		return z.stopped(err)
	}
	return z.finish()
}

// zoneFiles lists the zone files of a folder in order.
func zoneFiles(folder string) ([]string, error) {
	list, err := os.ReadDir(folder)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range list {
		if name, ok := strings.CutSuffix(e.Name(), zoneSuffix); ok && name != "" && !e.IsDir() {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("there is no NAME%s in %s", zoneSuffix, folder)
	}
	return names, nil
}

// stopped tells how far the import came.
func (z *zoneImports) stopped(err error) error {
	if z.a.Progress() {
		_, _ = fmt.Fprintln(z.a.Err)
	}
	if z.imported == 0 {
		return err
	}
	return fmt.Errorf("%w; %d zones were imported before", err, z.imported)
}

// add puts a file into the batch, and sends the batch when it is full.
func (z *zoneImports) add(ctx context.Context, name string) error {
	z.read++
	text, err := readZone(z.a, filepath.Join(z.folder, name+zoneSuffix))
	if err != nil {
		z.refused = append(z.refused, control.PlanRefusal{Subject: name, Sentence: err.Error()})
		return nil
	}
	if len(z.batch) == zonesAtOnce || z.octets+len(text) > octetsAtOnce {
		if err := z.send(ctx); err != nil {
			return err
		}
	}
	z.batch, z.octets = append(z.batch, zoneEntry{Domain: name, Text: text}), z.octets+len(text)
	return nil
}

// send sends the batch.
func (z *zoneImports) send(ctx context.Context) error {
	if len(z.batch) == 0 {
		return nil
	}
	body := map[string]any{"zones": z.batch}
	if z.account != "" {
		body["account"] = z.account
	}
	if z.proved {
		body["proved"] = true
	}
	out, err := z.a.Attempt(ctx, http.MethodPost, "/zones/import", z.query, body)
	if err != nil {
		return err
	}
	if z.query.Get("confirm") != "" { // a yes holds for all of them; what was seen was the first batch
		z.query = url.Values{"confirm": {"true"}}
	}
	written := len(slices.DeleteFunc(slices.Clone(out.Plan.Changes), func(c control.Change) bool { return c.Kind != control.KindZone && c.Verb != control.VerbAdd }))
	for _, c := range out.Plan.Changes {
		if c.Kind == control.KindDomain && c.Verb == control.VerbAdd {
			z.fresh++
		}
	}
	z.imported += written
	z.refused = append(z.refused, out.Plan.Refused...)
	z.last, z.batch, z.octets = out, nil, 0
	if z.a.Progress() {
		_, _ = fmt.Fprintf(z.a.Err, "\r%d of %d zones", z.read, len(z.names))
	}
	return nil
}

// finish tells what came of the import.
func (z *zoneImports) finish() error {
	a := z.a
	if a.Progress() {
		_, _ = fmt.Fprintln(a.Err)
	}
	if a.JSON {
		if z.refused == nil {
			z.refused = []control.PlanRefusal{}
		}
		if err := a.PrintJSON(map[string]any{"imported": z.imported, "domains_added": z.fresh, "refused": z.refused, "version": z.last.Version, "applied": !a.Plan}); err != nil {
			return err
		}
	} else {
		a.Say("%s %d of %d zones, %d of them with a new domain.\n", map[bool]string{true: "Would import", false: "Imported"}[a.Plan], z.imported, len(z.names), z.fresh)
	}
	for _, r := range z.refused {
		where := filepath.Join(z.folder, r.Subject+zoneSuffix)
		if r.Line > 0 {
			where += fmt.Sprintf(":%d", r.Line)
		}
		reason := r.Sentence
		if r.Hint != "" {
			reason += " (" + r.Hint + ")"
		}
		a.Complain("%s: %s", sheet.Clean(where), sheet.Clean(reason))
	}
	if n := len(z.refused); n > 0 {
		return cli.Refused(fmt.Errorf("%d of %d zones were refused", n, len(z.names)))
	}
	return nil
}
