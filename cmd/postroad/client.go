package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"postroad/internal/edge/api"
	"postroad/internal/service/control"
)

// client talks to the API of one server.
type client struct {
	http  *http.Client
	base  string
	where string // for people
	token string
}

// dialTimeout is how long a server may take to answer a connection.
const dialTimeout = 10 * time.Second

// connect chooses the server: --server, or the socket in the data folder.
func (a *app) connect() (*client, error) {
	server, token := a.server, a.token
	if server == "" && a.data == "" {
		server = os.Getenv("POSTROAD_SERVER")
	}
	if server == "" {
		path := filepath.Join(a.dataDir(), socketName)
		dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
			return dialSocket(ctx, path)
		}
		return &client{http: &http.Client{Transport: &http.Transport{DialContext: dial}}, base: "http://postroad", where: path, token: token}, nil
	}
	if token == "" {
		token = os.Getenv("POSTROAD_TOKEN")
	}
	u, err := url.Parse(server)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || u.User != nil {
		return nil, usagef("--server %q is no URL such as https://mx.example.org", server)
	}
	transport := &http.Transport{Proxy: http.ProxyFromEnvironment, DialContext: (&net.Dialer{Timeout: dialTimeout}).DialContext}
	return &client{http: &http.Client{Transport: transport}, base: strings.TrimRight(server, "/"), where: server, token: token}, nil
}

// maxSocketPath is the longest path that a socket's address takes on Linux.
const maxSocketPath = 107

// dialSocket opens a socket; one in a folder with a long name is reached through the folder's descriptor.
func dialSocket(ctx context.Context, path string) (net.Conn, error) {
	d := &net.Dialer{Timeout: dialTimeout}
	if len(path) <= maxSocketPath {
		return d.DialContext(ctx, "unix", path)
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return nil, err
	}
	defer func() { _ = dir.Close() }()
	return d.DialContext(ctx, "unix", fmt.Sprintf("/proc/self/fd/%d/%s", dir.Fd(), filepath.Base(path)))
}

// problemError is a refusal by the server.
type problemError struct{ api.ProblemError }

func (e *problemError) Error() string {
	s := e.Detail
	if s == "" {
		s = http.StatusText(e.Status)
	}
	return s
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
	var content io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return nil, err
		}
		content = bytes.NewReader(text)
	}
	target := c.base + api.Prefix + path
	if len(query) > 0 {
		target += "?" + query.Encode()
	}
	r, err := http.NewRequestWithContext(ctx, method, target, content)
	if err != nil {
		return nil, err
	}
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	if c.token != "" {
		r.Header.Set("Authorization", "Bearer "+c.token)
	}
	resp, err := c.http.Do(r)
	if err != nil {
		return nil, unreachable(c.where, err)
	}
	if resp.StatusCode == http.StatusOK {
		return resp.Body, nil
	}
	defer func() { _ = resp.Body.Close() }()
	return nil, a.problem(resp)
}

// unreachable tells what to do when there is no server.
func unreachable(where string, err error) error {
	var op *net.OpError
	reason := err
	if errors.As(err, &op) {
		reason = op.Err
	}
	hint := "is the server running there?"
	if strings.HasSuffix(where, socketName) {
		hint = "is the server running? --data DIR names its data folder"
	}
	return &doneError{exitUnreachable, fmt.Errorf("the server at %s cannot be reached: %w (%s)", where, reason, hint)}
}

// maxProblem bounds what is read of a refusal, in octets.
const maxProblem = 8 << 20

func (a *app) problem(resp *http.Response) error {
	p := &problemError{}
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxProblem))
	if err != nil {
		return err
	}
	if json.Unmarshal(text, &p.ProblemError) != nil || p.Status == 0 {
		return fmt.Errorf("the server answers %s and is no Postroad", resp.Status)
	}
	var more struct {
		Errors []struct {
			Message  string `json:"message"`
			Location string `json:"location"`
		} `json:"errors"`
	}
	if json.Unmarshal(text, &more) == nil {
		for _, e := range more.Errors {
			p.Detail += fmt.Sprintf("; %s: %s", e.Location, e.Message)
		}
	}
	return p
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
func (a *app) download(ctx context.Context, path string) error {
	body, err := a.send(ctx, http.MethodGet, path, nil, nil)
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
	var p *problemError
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
