package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"postroad/internal/service/control"
)

// zonePath is the path of a domain's zone.
func zonePath(domain string) string { return "/domains" + segment(domain) + "/zone" }

func (a *app) zoneCommand() *cobra.Command {
	return group("zone", "Zones that our name servers answer for",
		a.zoneImport(),
		a.zoneExport(),
		&cobra.Command{
			Use: "check DOMAIN [FILE|-]", Short: "Hold a zone, or a zone file in its place, against all rules", Args: cobra.RangeArgs(1, 2),
			Long: "Hold a zone, or a zone file in its place, against all rules. It ends with 1 when there is something for which a zone is not published.",
			RunE: work(func(cmd *cobra.Command, args []string) error { return a.checkZone(cmd.Context(), args) }),
		},
		&cobra.Command{
			Use: "show DOMAIN", Short: "Show a zone's records, serial and state", Args: cobra.ExactArgs(1),
			RunE: work(func(cmd *cobra.Command, args []string) error {
				z, err := get[control.ZoneDetail](cmd.Context(), a, zonePath(args[0]), nil)
				if err != nil {
					return err
				}
				if a.json {
					return a.printJSON(z)
				}
				return a.printZone(z)
			}),
		},
	)
}

func (a *app) zoneExport() *cobra.Command {
	signed := false
	c := &cobra.Command{
		Use: "export DOMAIN", Short: "Write a zone as a zone file", Args: cobra.ExactArgs(1),
		RunE: work(func(cmd *cobra.Command, args []string) error {
			query := url.Values{}
			if signed {
				query.Set("signed", "true")
			}
			f, err := get[control.ZoneFile](cmd.Context(), a, zonePath(args[0])+"/file", query)
			if err != nil {
				return err
			}
			if a.json {
				return a.printJSON(f)
			}
			a.say("%s", f.Text)
			return nil
		}),
	}
	c.Flags().BoolVar(&signed, "signed", false, "with the keys, signatures and proofs of a signed zone; zone import leaves them out")
	return c
}

// printZone shows a zone for people.
func (a *app) printZone(z control.ZoneDetail) error {
	a.say("zone     %s\nserial   %d\n", clean(z.Domain), z.Serial)
	if !z.Changed.IsZero() {
		a.say("since    %s\n", when(z.Changed))
	}
	answered := "yes"
	switch {
	case !z.Served:
		answered = "no: its domain's zone is external"
	case z.Pending:
		answered = "SOA and NS only, until the domain's ownership is shown"
	}
	a.say("answered %s\nsigned   %s\n", answered, yesNo(z.Signed))
	if s := z.Statistics; s != nil {
		a.say("given    %d with records, %d referred on, %d without such records, %d for names that are not there; by this node since it answers for the zone\n", s.Answers, s.Referrals, s.NoData, s.NXDomain)
	}
	a.say("\n")
	rows := make([][]string, len(z.Records))
	for i, r := range z.Records {
		rows[i] = []string{r.Owner, strconv.FormatUint(uint64(r.TTL), 10), r.Type, r.Data, r.ID}
	}
	return a.table("OWNER TTL TYPE DATA ID", rows)
}

// shownServed is how many zones printServed tells of.
const shownServed = 10

// printServed tells when our name server began to answer as a change has left zones.
func (a *app) printServed(list []control.ZoneServed) {
	for _, z := range list[:min(len(list), shownServed)] {
		a.say("Our name server answers for %s with serial %d, %.1f ms after it was asked for.\n", clean(z.Domain), z.Serial, z.Milliseconds)
	}
	if more := list[min(len(list), shownServed):]; len(more) > 0 {
		a.say("So it does for %d more, the last after %.1f ms.\n", len(more), more[len(more)-1].Milliseconds)
	}
}

func (a *app) recordCommand() *cobra.Command {
	var ttl string
	lives := func(c *cobra.Command) *cobra.Command {
		c.Flags().StringVar(&ttl, "ttl", "", "how long others may keep it, such as 3600, 1h or 1h30m (default that of the records that are there, or one hour)")
		return a.changes(c)
	}
	const owner = "OWNER is relative to the zone: www, or @ for the zone's own name; or absolute with its last dot.\n"
	const data = "DATA is as in a zone file; TXT need not be quoted. In it a name with a dot is absolute, one without is completed by the zone's name."
	return group("record", "Records of zones that our name servers answer for",
		lives(&cobra.Command{
			Use: "add DOMAIN OWNER TYPE DATA...", Short: "Add a record", Args: cobra.MinimumNArgs(4),
			Long: "Add a record.\n" + owner + data,
			RunE: work(func(cmd *cobra.Command, args []string) error {
				body := map[string]any{"owner": args[1], "type": args[2], "data": strings.Join(args[3:], " ")}
				if ttl != "" {
					body["ttl"] = ttl
				}
				return a.change(cmd.Context(), http.MethodPost, zonePath(args[0])+"/records", nil, body)
			}),
		}),
		lives(&cobra.Command{
			Use: "edit DOMAIN OWNER TYPE OLD [DATA...]", Short: "Replace a record by another one, or change its TTL", Args: cobra.MinimumNArgs(4),
			Long: "Replace a record by another one of the same owner and type; without DATA the TTL alone changes.\nOLD is the data of the record, or its id as zone show tells it.\n" + owner + data,
			RunE: work(func(cmd *cobra.Command, args []string) error {
				body := map[string]any{"owner": args[1], "type": args[2], "old": args[3]}
				if len(args) > 4 {
					body["data"] = strings.Join(args[4:], " ")
				}
				if ttl != "" {
					body["ttl"] = ttl
				}
				return a.change(cmd.Context(), http.MethodPatch, zonePath(args[0])+"/records", nil, body)
			}),
		}),
		a.changes(&cobra.Command{
			Use: "remove DOMAIN OWNER TYPE [DATA...]", Short: "Remove a record, or all of an owner and type", Args: cobra.MinimumNArgs(3),
			Long: "Remove a record, named by its data or by its id as zone show tells it; without DATA all of this owner and type.\n" + owner + data,
			RunE: work(func(cmd *cobra.Command, args []string) error {
				query := url.Values{"owner": {args[1]}, "type": {args[2]}}
				if len(args) > 3 {
					query.Set("data", strings.Join(args[3:], " "))
				}
				return a.change(cmd.Context(), http.MethodDelete, zonePath(args[0])+"/records", query, nil)
			}),
		}),
	)
}

// maxZoneFile bounds a zone file, in octets; the server takes less.
const maxZoneFile = 8 << 20

// readZone reads a zone file, or stdin.
func (a *app) readZone(file string) (string, error) {
	in := a.in
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

func (a *app) checkZone(ctx context.Context, args []string) error {
	path := zonePath(args[0]) + "/check"
	var found struct {
		Items []control.ZoneProblem `json:"items"`
	}
	if len(args) == 1 {
		var err error
		if found.Items, err = list[control.ZoneProblem](ctx, a, path, nil); err != nil {
			return err
		}
	} else {
		text, err := a.readZone(args[1])
		if err != nil {
			return err
		}
		answer, err := a.send(ctx, http.MethodPost, path, nil, map[string]any{"text": text})
		if err != nil {
			return err
		}
		defer func() { _ = answer.Close() }()
		if err := json.NewDecoder(answer).Decode(&found); err != nil {
			return fmt.Errorf("the server's answer is cut or no JSON: %w", err)
		}
	}
	refusals := 0
	for _, p := range found.Items {
		if p.Severity == "refuse" {
			refusals++
		}
	}
	if a.json {
		if err := a.printJSON(found.Items); err != nil {
			return err
		}
	} else {
		a.printProblems(found.Items)
	}
	if refusals > 0 {
		return refused(errors.New("such a zone is not published"))
	}
	return nil
}

// printProblems shows what is wrong with a zone.
func (a *app) printProblems(found []control.ZoneProblem) {
	if len(found) == 0 {
		a.say("Nothing is wrong with the zone.\n")
	}
	for _, p := range found {
		where := ""
		if p.Line > 0 {
			where = fmt.Sprintf("line %d: ", p.Line)
		}
		a.say("%s (%s) %s%s\n", clean(string(p.Rule)), clean(p.Severity), where, clean(p.Sentence))
		if p.Hint != "" {
			a.say("  %s\n", clean(p.Hint))
		}
		for _, r := range p.Records {
			a.say("    %s\n", clean(r))
		}
	}
}
