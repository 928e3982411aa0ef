package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"postroad/cmd/postroad/client"
	"postroad/internal/edge/api"
	"postroad/internal/service/control"
)

// connect chooses the server: --server, or the socket in the data folder.
func (a *app) connect() (*client.Server, error) {
	server, token := a.server, a.token
	if server == "" && a.data == "" {
		server = os.Getenv("POSTROAD_SERVER")
	}
	if server == "" {
		return client.AtSocket(filepath.Join(a.dataDir(), socketName), token), nil
	}
	if token == "" {
		token = os.Getenv("POSTROAD_TOKEN")
	}
	c, err := client.AtURL(server, token)
	if err != nil {
		return nil, usagef("--server %v", err)
	}
	return c, nil
}

// send makes a request and gives the answer of one that went well.
func (a *app) send(ctx context.Context, method, path string, query url.Values, body any) (io.ReadCloser, error) {
	if a.proposed != nil {
		return nil, a.propose(method, path, query, body)
	}
	c, err := a.connect()
	if err != nil {
		return nil, err
	}
	answer, err := c.Send(ctx, method, path, query, body)
	if errors.Is(err, client.ErrUnreachable) {
		return nil, &doneError{exitUnreachable, err}
	}
	return answer, err
}

// get asks for one thing.
func get[T any](ctx context.Context, a *app, path string, query url.Values) (T, error) {
	var out T
	body, err := a.send(ctx, http.MethodGet, path, query, nil)
	if err != nil {
		return out, err
	}
	defer func() { _ = body.Close() }()
	if err := json.NewDecoder(body).Decode(&out); err != nil {
		return out, fmt.Errorf("the server's answer is cut or no JSON: %w", err)
	}
	return out, nil
}

// list asks for a listing; it is never nil.
func list[T any](ctx context.Context, a *app, path string, query url.Values) ([]T, error) {
	got, err := get[struct {
		Items []T `json:"items"`
	}](ctx, a, path, query)
	if err != nil || got.Items == nil {
		return []T{}, err
	}
	return got.Items, nil
}

// download writes exact bytes.
func (a *app) download(ctx context.Context, path string, query url.Values) error {
	body, err := a.send(ctx, http.MethodGet, path, query, nil)
	if err != nil {
		return err
	}
	defer func() { _ = body.Close() }()
	if _, err := io.Copy(a.out, body); err != nil {
		return fmt.Errorf("the message came cut: %w", err)
	}
	return nil
}

// change asks for a change: it shows the plan, asks when the plan asks, and applies it.
func (a *app) change(ctx context.Context, method, path string, query url.Values, body any) error {
	out, err := a.attempt(ctx, method, path, query, body)
	if err != nil {
		return err
	}
	if a.json {
		return a.printJSON(out)
	}
	a.printPlan(out.Plan)
	switch {
	case out.Plan.Empty():
		a.say("Nothing changes.\n")
	case !out.Applied:
		a.say("Nothing is done yet.\n")
	case out.Secret != "":
		a.say("The secret, shown this once:\n%s\n", out.Secret)
	}
	a.printServed(out.Zones)
	return nil
}

// attempt is change without the words about what came of it.
func (a *app) attempt(ctx context.Context, method, path string, query url.Values, body any) (api.Outcome, error) {
	if query == nil {
		query = url.Values{}
	}
	if a.plan {
		query.Set("dry_run", "true")
	}
	if a.yes {
		query.Set("confirm", "true")
	}
	out, err := a.once(ctx, method, path, query, body)
	var p *client.ProblemError
	if !errors.As(err, &p) || p.Type != api.TypeConfirm || p.Plan == nil {
		return out, err
	}
	if !a.terminal() {
		if a.json {
			if err := a.printJSON(p.Plan); err != nil {
				return out, err
			}
		} else {
			a.printPlan(*p.Plan)
		}
		return out, refused(errors.New("the plan wants a yes: say --yes to apply it"))
	}
	a.printPlan(*p.Plan)
	if !a.ask("Apply this?") {
		return out, refused(errors.New("nothing was changed"))
	}
	query.Set("confirm", "true")
	query.Set("version", strconv.FormatInt(p.Plan.Version, 10))
	return a.once(ctx, method, path, query, body)
}

func (a *app) once(ctx context.Context, method, path string, query url.Values, body any) (api.Outcome, error) {
	var out api.Outcome
	answer, err := a.send(ctx, method, path, query, body)
	if err != nil {
		return out, err
	}
	defer func() { _ = answer.Close() }()
	if err := json.NewDecoder(answer).Decode(&out); err != nil {
		return out, fmt.Errorf("the server's answer is cut or no JSON: %w", err)
	}
	return out, nil
}

// ask puts a question that only "y" or "yes" answers with yes.
func (a *app) ask(question string) bool {
	_, _ = fmt.Fprintf(a.err, "%s [y/N] ", question)
	line, err := bufio.NewReader(io.LimitReader(a.in, maxPassword)).ReadString('\n')
	if err != nil {
		return false
	}
	word := strings.ToLower(strings.TrimSpace(line))
	return word == "y" || word == "yes"
}

// printPlan shows a plan in its own words.
func (a *app) printPlan(p control.Plan) {
	for _, s := range p.Sentences {
		a.say("%s\n", clean(s))
	}
	for _, w := range p.Warnings {
		a.say("Warning: %s\n", clean(w))
	}
	if p.AlteredRoutes != nil {
		a.printAltered(*p.AlteredRoutes, shownAltered)
	}
}

// shownAltered is how many altered routes of a plan are shown to people; --json gives more.
const shownAltered = 20

// printAltered shows altered routes, at most as many as limit.
func (a *app) printAltered(r control.AlteredRoutes, limit int) {
	a.say("Routes altered: %d, of which %d stop being received.\n", r.Count, r.Stops)
	list := r.Routes[:min(limit, len(r.Routes))]
	for _, x := range list {
		when := x.From
		if x.Condition != "" {
			when += "; " + x.Condition
		}
		a.say("  %s %s (from %s)\n    before  %s\n    after   %s\n", clean(x.Address), x.Harm, clean(when), clean(x.Before), clean(x.After))
	}
	if r.Count > len(list) && len(list) == limit {
		a.say("  and more\n")
	}
}

// segment writes a text as one step of a path.
func segment(s string) string { return "/" + url.PathEscape(s) }
