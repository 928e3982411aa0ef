// Package api is the HTTP interface for programs: /api/v1, with OpenAPI 3.1 at /api/openapi.json and problems by
// RFC 9457.
//
// Each operation is one command of the command line, under the same words. Whoever comes through the socket of the
// data folder is the operator; everybody else shows a token as "Authorization: Bearer" (RFC 6750). Operations that
// change something take three query parameters: dry_run shows the plan and changes nothing; confirm says yes to a
// plan that asks; version refuses when the configuration is no longer that of the plan that was seen.
//
// # Failure
//
// Every refusal is application/problem+json. What is out of scope is 404, as what does not exist. A plan that asks
// and is not confirmed is 409 with the plan in it.
package api

import (
	"context"
	"encoding/json"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"postroad/internal/obs"
	"postroad/internal/service/access"
	"postroad/internal/service/control"
)

// Prefix begins the path of every operation.
const Prefix = "/api/v1"

// maxBody is the largest request body, in octets.
const maxBody = 1 << 20

// bodyLimit is the largest request body that a path takes, in octets.
func bodyLimit(path string) int64 {
	if strings.HasSuffix(path, "/zone") || strings.HasSuffix(path, "/zone/check") || path == Prefix+"/zones/import" {
		return maxZones
	}
	return maxBody
}

// bodyTimeout is how long a request body may take to arrive.
const bodyTimeout = 30 * time.Second

// Options are what the handler is made of. Control and Access are required.
type Options struct {
	Control *control.Service
	Access  *access.Service
	Metrics *obs.Metrics
	Log     *slog.Logger
	Version string // of the program, in the OpenAPI document
}

type socketKey struct{}

type actorKey struct{}

// ConnContext marks connections of the socket in the data folder: set it as http.Server.ConnContext of that server
// and of no other.
func ConnContext(ctx context.Context, _ net.Conn) context.Context {
	return context.WithValue(ctx, socketKey{}, true)
}

// api is the handler with what its operations need.
type api struct {
	control *control.Service
	access  *access.Service
	metrics *obs.Metrics
	log     *slog.Logger
	huma    huma.API
	mux     *http.ServeMux  // of the operations
	changes map[string]bool // patterns of the mux under which something is changed
}

// Handler serves Prefix and /api/openapi.json.
func Handler(o Options) (http.Handler, error) {
	a := &api{control: o.Control, access: o.Access, metrics: o.Metrics, log: o.Log}
	if a.metrics == nil {
		a.metrics = obs.NewMetrics()
	}
	if a.log == nil {
		a.log = slog.New(slog.DiscardHandler)
	}
	mux := http.NewServeMux()
	a.mux, a.changes = mux, map[string]bool{}
	a.huma = humago.New(mux, humaConfig(o.Version))
	a.huma.UseMiddleware(a.measure)
	a.register()
	document, err := json.Marshal(a.huma.OpenAPI())
	if err != nil {
		return nil, err
	}
	root := http.NewServeMux()
	root.HandleFunc("GET /api/openapi.json", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/openapi+json")
		_, _ = w.Write(document)
	})
	root.Handle(Prefix+"/", a.authenticate(mux))
	root.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		writeProblem(w, &ProblemError{Status: http.StatusNotFound, Detail: "There is nothing at this address."})
	})
	guard := http.NewCrossOriginProtection()
	guard.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		writeProblem(w, &ProblemError{Status: http.StatusForbidden, Detail: "Requests from pages of other origins change nothing here."})
	}))
	return a.protect(guard.Handler(root)), nil
}

// humaConfig is huma without pages that load scripts, without links to schemas, and strict about parameters.
func humaConfig(version string) huma.Config {
	c := huma.DefaultConfig("Postroad", version)
	c.DocsPath, c.SchemasPath, c.OpenAPIPath = "", "", ""
	c.CreateHooks = nil
	c.RejectUnknownQueryParameters = true
	c.Components.SecuritySchemes = map[string]*huma.SecurityScheme{
		"token": {Type: "http", Scheme: "bearer", Description: "The secret of a token, pr_…"},
	}
	c.Security = []map[string][]string{{"token": {}}}
	return c
}

// protect sets headers that every answer has and turns a panic into a problem.
func (a *api) protect(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Cache-Control", "no-store")
		defer func() {
			if v := recover(); v != nil {
				if v == http.ErrAbortHandler { //nolint:errorlint // a value to compare, by its documentation
					panic(v)
				}
				a.log.ErrorContext(r.Context(), "an operation panicked", slog.Any(obs.KeyError, v), slog.String(obs.KeyOperation, r.Method+" "+r.URL.Path))
				writeProblem(w, &ProblemError{Status: http.StatusInternalServerError, Detail: "The server has a fault; its log tells which."})
			}
		}()
		next.ServeHTTP(w, r)
	})
}

// authenticate finds out who asks and lets nobody else in.
func (a *api) authenticate(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id, err := a.identity(r)
		if err != nil {
			p := problemOf(err)
			if p.Status == http.StatusUnauthorized {
				w.Header().Set("WWW-Authenticate", `Bearer realm="postroad"`)
			} else {
				a.log.ErrorContext(r.Context(), "a token could not be checked", slog.Any(obs.KeyError, err))
			}
			writeProblem(w, p)
			return
		}
		actor := control.Customer(id.Name, id.Account)
		if id.Operator {
			actor = control.Operator()
			actor.Name = id.Name
		}
		r.Body = http.MaxBytesReader(w, r.Body, bodyLimit(r.URL.Path))
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), actorKey{}, actor)))
	})
}

func (a *api) identity(r *http.Request) (access.Identity, error) {
	given := r.Header.Values("Authorization")
	if len(given) == 0 {
		if socket, ok := r.Context().Value(socketKey{}).(bool); ok && socket {
			return access.Socket(), nil
		}
		return access.Identity{}, access.ErrUnknown
	}
	scheme, secret, ok := strings.Cut(given[0], " ")
	if !ok || len(given) > 1 || !strings.EqualFold(scheme, "Bearer") {
		return access.Identity{}, access.ErrUnknown
	}
	return a.access.Bearer(r.Context(), strings.TrimSpace(secret))
}

func actorOf(ctx context.Context) control.Actor {
	actor, _ := ctx.Value(actorKey{}).(control.Actor) // the zero actor may do nothing
	return actor
}

// measure counts requests by operation.
func (a *api) measure(ctx huma.Context, next func(huma.Context)) {
	begin := time.Now()
	next(ctx)
	id := ctx.Operation().OperationID
	a.metrics.APIRequests.WithLabelValues(id, strconv.Itoa(ctx.Status())).Inc()
	a.metrics.APISeconds.WithLabelValues(id).Observe(time.Since(begin).Seconds())
}
