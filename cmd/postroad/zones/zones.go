// Package zones is the commands for zones that our name servers answer for, and for those that we write to elsewhere.
package zones

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"postroad/cmd/postroad/cli"
	"postroad/cmd/postroad/sheet"
	"postroad/internal/service/control"
)

// Commands gives the commands.
func Commands(a *cli.App) []*cobra.Command {
	return []*cobra.Command{
		zoneCommand(a), recordCommand(a), dnssecCommand(a),
		keyCommand(a), transferCommand(a), secondaryCommand(a), catalogCommand(a),
		providerCommand(a), publishCommand(a),
	}
}

// zonePath is the path of a domain's zone.
func zonePath(domain string) string { return "/domains" + cli.Segment(domain) + "/zone" }

func zoneCommand(a *cli.App) *cobra.Command {
	return cli.Group("zone", "Zones that our name servers answer for",
		zoneImport(a),
		zoneExport(a),
		&cobra.Command{
			Use: "check DOMAIN [FILE|-]", Short: "Hold a zone, or a zone file in its place, against all rules", Args: cobra.RangeArgs(1, 2),
			Long: "Hold a zone, or a zone file in its place, against all rules. It ends with 1 when there is something for which a zone is not published.",
			RunE: cli.Work(func(cmd *cobra.Command, args []string) error { return checkZone(cmd.Context(), a, args) }),
		},
		&cobra.Command{
			Use: "show DOMAIN", Short: "Show a zone's records, serial and state", Args: cobra.ExactArgs(1),
			RunE: cli.Work(func(cmd *cobra.Command, args []string) error {
				z, err := cli.Get[control.ZoneDetail](cmd.Context(), a, zonePath(args[0]), nil)
				if err != nil {
					return err
				}
				if a.JSON {
					return a.PrintJSON(z)
				}
				return printZone(a, z)
			}),
		},
	)
}

func zoneExport(a *cli.App) *cobra.Command {
	signed := false
	c := &cobra.Command{
		Use: "export DOMAIN", Short: "Write a zone as a zone file", Args: cobra.ExactArgs(1),
		RunE: cli.Work(func(cmd *cobra.Command, args []string) error {
			query := url.Values{}
			if signed {
				query.Set("signed", "true")
			}
			f, err := cli.Get[control.ZoneFile](cmd.Context(), a, zonePath(args[0])+"/file", query)
			if err != nil {
				return err
			}
			if a.JSON {
				return a.PrintJSON(f)
			}
			a.Say("%s", f.Text)
			return nil
		}),
	}
	c.Flags().BoolVar(&signed, "signed", false, "with the keys, signatures and proofs of a signed zone; zone import leaves them out")
	return c
}

// printZone shows a zone for people.
func printZone(a *cli.App, z control.ZoneDetail) error {
	a.Say("zone     %s\nserial   %d\n", sheet.Clean(z.Domain), z.Serial)
	if !z.Changed.IsZero() {
		a.Say("since    %s\n", sheet.When(z.Changed))
	}
	answered := "yes"
	switch {
	case !z.Served:
		answered = "no: its domain's zone is external"
	case z.Pending:
		answered = "SOA and NS only, until the domain's ownership is shown"
	}
	a.Say("answered %s\nsigned   %s\n", answered, sheet.YesNo(z.Signed))
	if s := z.Statistics; s != nil {
		a.Say("given    %d with records, %d referred on, %d without such records, %d for names that are not there; by this node since it answers for the zone\n", s.Answers, s.Referrals, s.NoData, s.NXDomain)
	}
	a.Say("\n")
	rows := make([][]string, len(z.Records))
	for i, r := range z.Records {
		rows[i] = []string{r.Owner, strconv.FormatUint(uint64(r.TTL), 10), r.Type, r.Data, r.ID}
	}
	return sheet.Table(a.Out, "OWNER TTL TYPE DATA ID", rows)
}

func recordCommand(a *cli.App) *cobra.Command {
	var ttl string
	lives := func(c *cobra.Command) *cobra.Command {
		c.Flags().StringVar(&ttl, "ttl", "", "how long others may keep it, such as 3600, 1h or 1h30m (default that of the records that are there, or one hour)")
		return a.Changes(c)
	}
	const owner = "OWNER is relative to the zone: www, or @ for the zone's own name; or absolute with its last dot.\n"
	const data = "DATA is as in a zone file; TXT need not be quoted. In it a name with a dot is absolute, one without is completed by the zone's name."
	return cli.Group("record", "Records of zones that our name servers answer for",
		lives(&cobra.Command{
			Use: "add DOMAIN OWNER TYPE DATA...", Short: "Add a record", Args: cobra.MinimumNArgs(4),
			Long: "Add a record.\n" + owner + data,
			RunE: cli.Work(func(cmd *cobra.Command, args []string) error {
				body := map[string]any{"owner": args[1], "type": args[2], "data": strings.Join(args[3:], " ")}
				if ttl != "" {
					body["ttl"] = ttl
				}
				return a.Change(cmd.Context(), http.MethodPost, zonePath(args[0])+"/records", nil, body)
			}),
		}),
		lives(&cobra.Command{
			Use: "edit DOMAIN OWNER TYPE OLD [DATA...]", Short: "Replace a record by another one, or change its TTL", Args: cobra.MinimumNArgs(4),
			Long: "Replace a record by another one of the same owner and type; without DATA the TTL alone changes.\nOLD is the data of the record, or its id as zone show tells it.\n" + owner + data,
			RunE: cli.Work(func(cmd *cobra.Command, args []string) error {
				body := map[string]any{"owner": args[1], "type": args[2], "old": args[3]}
				if len(args) > 4 {
					body["data"] = strings.Join(args[4:], " ")
				}
				if ttl != "" {
					body["ttl"] = ttl
				}
				return a.Change(cmd.Context(), http.MethodPatch, zonePath(args[0])+"/records", nil, body)
			}),
		}),
		a.Changes(&cobra.Command{
			Use: "remove DOMAIN OWNER TYPE [DATA...]", Short: "Remove a record, or all of an owner and type", Args: cobra.MinimumNArgs(3),
			Long: "Remove a record, named by its data or by its id as zone show tells it; without DATA all of this owner and type.\n" + owner + data,
			RunE: cli.Work(func(cmd *cobra.Command, args []string) error {
				query := url.Values{"owner": {args[1]}, "type": {args[2]}}
				if len(args) > 3 {
					query.Set("data", strings.Join(args[3:], " "))
				}
				return a.Change(cmd.Context(), http.MethodDelete, zonePath(args[0])+"/records", query, nil)
			}),
		}),
	)
}

// maxZoneFile bounds a zone file, in octets; the server takes less.
const maxZoneFile = 8 << 20

// readZone reads a zone file, or stdin.
func readZone(a *cli.App, file string) (string, error) {
	in := a.In
	if file != "-" {
		f, err := os.Open(file)
		if err != nil {
			return "", err
		}
		defer func() { _ = f.Close() }()
		in = f
	}
	text, err := io.ReadAll(io.LimitReader(in, maxZoneFile+1))
	if err != nil {
		return "", fmt.Errorf("read the zone file: %w", err)
	}
	if len(text) > maxZoneFile {
		return "", errors.New("the zone file is too large")
	}
	return string(text), nil
}

func checkZone(ctx context.Context, a *cli.App, args []string) error {
	path := zonePath(args[0]) + "/check"
	var found []control.ZoneProblem
	var err error
	if len(args) == 1 {
		found, err = cli.List[control.ZoneProblem](ctx, a, path, nil)
	} else {
		found, err = checkText(ctx, a, path, args[1])
	}
	if err != nil {
		return err
	}
	refusals := 0
	for _, p := range found {
		if p.Severity == "refuse" {
			refusals++
		}
	}
	if a.JSON {
		if err := a.PrintJSON(found); err != nil {
			return err
		}
	} else {
		printProblems(a, found)
	}
	if refusals > 0 {
		return cli.Refused(errors.New("such a zone is not published"))
	}
	return nil
}

// checkText asks what is wrong with a zone file in the place of a zone.
func checkText(ctx context.Context, a *cli.App, path, file string) ([]control.ZoneProblem, error) {
	text, err := readZone(a, file)
	if err != nil {
		return nil, err
	}
	found, err := cli.Ask[struct {
		Items []control.ZoneProblem `json:"items"`
	}](ctx, a, http.MethodPost, path, nil, map[string]any{"text": text})
	return found.Items, err
}

// printProblems shows what is wrong with a zone.
func printProblems(a *cli.App, found []control.ZoneProblem) {
	if len(found) == 0 {
		a.Say("Nothing is wrong with the zone.\n")
	}
	for _, p := range found {
		where := ""
		if p.Line > 0 {
			where = fmt.Sprintf("line %d: ", p.Line)
		}
		a.Say("%s (%s) %s%s\n", sheet.Clean(string(p.Rule)), sheet.Clean(p.Severity), where, sheet.Clean(p.Sentence))
		if p.Hint != "" {
			a.Say("  %s\n", sheet.Clean(p.Hint))
		}
		for _, r := range p.Records {
			a.Say("    %s\n", sheet.Clean(r))
		}
	}
}
