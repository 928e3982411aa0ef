package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strconv"
	"strings"

	"postroad/cmd/postroad/sheet"
	"postroad/internal/edge/api"
	"postroad/internal/service/control"
)

// Change asks for a change: it shows the plan, asks when the plan asks, and applies it.
func (a *App) Change(ctx context.Context, method, path string, query url.Values, body any) error {
	out, err := a.Attempt(ctx, method, path, query, body)
	if err != nil {
		return err
	}
	if a.JSON {
		return a.PrintJSON(out)
	}
	a.PrintPlan(out.Plan)
	switch {
	case out.Plan.Empty():
		a.Say("Nothing changes.\n")
	case !out.Applied:
		a.Say("Nothing is done yet.\n")
	case out.Secret != "":
		a.Say("The secret, shown this once:\n%s\n", out.Secret)
	}
	a.printServed(out.Zones)
	return nil
}

// Attempt is Change without the words about what came of it.
func (a *App) Attempt(ctx context.Context, method, path string, query url.Values, body any) (api.Outcome, error) {
	if query == nil {
		query = url.Values{}
	}
	if a.Plan {
		query.Set("dry_run", "true")
	}
	if a.yes {
		query.Set("confirm", "true")
	}
	out, err := Ask[api.Outcome](ctx, a, method, path, query, body)
	var p *ProblemError
	if !errors.As(err, &p) || p.Type != api.TypeConfirm || p.Plan == nil {
		return out, err
	}
	if !a.terminal() {
		if a.JSON {
			if err := a.PrintJSON(p.Plan); err != nil {
				return out, err
			}
		} else {
			a.PrintPlan(*p.Plan)
		}
		return out, Refused(errors.New("the plan wants a yes: say --yes to apply it"))
	}
	a.PrintPlan(*p.Plan)
	if !a.confirms("Apply this?") {
		return out, Refused(errors.New("nothing was changed"))
	}
	query.Set("confirm", "true")
	query.Set("version", strconv.FormatInt(p.Plan.Version, 10))
	return Ask[api.Outcome](ctx, a, method, path, query, body)
}

// confirms puts a question that only "y" or "yes" answers with yes.
func (a *App) confirms(question string) bool {
	_, _ = fmt.Fprintf(a.Err, "%s [y/N] ", question)
	line, err := bufio.NewReader(io.LimitReader(a.In, maxLine)).ReadString('\n')
	if err != nil {
		return false
	}
	word := strings.ToLower(strings.TrimSpace(line))
	return word == "y" || word == "yes"
}

// PrintPlan shows a plan in its own words.
func (a *App) PrintPlan(p control.Plan) {
	for _, s := range p.Sentences {
		a.Say("%s\n", sheet.Clean(s))
	}
	for _, w := range p.Warnings {
		a.Say("Warning: %s\n", sheet.Clean(w))
	}
	if p.AlteredRoutes != nil {
		a.PrintAltered(*p.AlteredRoutes, shownAltered)
	}
}

// shownAltered is how many altered routes of a plan are shown to people; --json gives more.
const shownAltered = 20

// PrintAltered shows altered routes, at most as many as limit.
func (a *App) PrintAltered(r control.AlteredRoutes, limit int) {
	a.Say("Routes altered: %d, of which %d stop being received.\n", r.Count, r.Stops)
	list := r.Routes[:min(limit, len(r.Routes))]
	for _, x := range list {
		when := x.From
		if x.Condition != "" {
			when += "; " + x.Condition
		}
		a.Say("  %s %s (from %s)\n    before  %s\n    after   %s\n", sheet.Clean(x.Address), x.Harm, sheet.Clean(when), sheet.Clean(x.Before), sheet.Clean(x.After))
	}
	if r.Count > len(list) && len(list) == limit {
		a.Say("  and more\n")
	}
}

// shownServed is how many zones printServed tells of.
const shownServed = 10

// printServed tells when our name server began to answer as a change has left zones.
func (a *App) printServed(list []control.ZoneServed) {
	for _, z := range list[:min(len(list), shownServed)] {
		a.Say("Our name server answers for %s with serial %d, %.1f ms after it was asked for.\n", sheet.Clean(z.Domain), z.Serial, z.Milliseconds)
	}
	if more := list[min(len(list), shownServed):]; len(more) > 0 {
		a.Say("So it does for %d more, the last after %.1f ms.\n", len(more), more[len(more)-1].Milliseconds)
	}
}
