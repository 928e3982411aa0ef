package api

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"postroad/internal/service/control"
)

// How is how a change is wanted.
type How struct {
	DryRun  bool  `query:"dry_run" doc:"Show the plan and change nothing"`
	Confirm bool  `query:"confirm" doc:"Say yes to a plan that asks"`
	Version int64 `query:"version" minimum:"0" doc:"Version of the plan that was seen; refused when the configuration has changed since"`
}

func (h How) how() How { return h }

// Outcome is what came of a change.
type Outcome struct {
	Applied bool   `json:"applied" doc:"False for a dry run"`
	Version int64  `json:"version" doc:"Version of the configuration now"`
	Secret  string `json:"secret,omitempty" doc:"The secret of a new token. It is shown this once."`
	Rows    int64  `json:"rows,omitempty" doc:"Rows of the queue that were changed"`

	Zones []control.ZoneServed `json:"zones,omitempty" doc:"Zones that our name servers answer for as the change has left them"`

	Plan control.Plan `json:"plan"`
}

type outcome struct{ Body Outcome }

// planner makes the plan of an operation.
type planner[I any] func(ctx context.Context, actor control.Actor, in *I) (control.Plan, error)

// changing registers an operation that changes something: plan, ask, apply.
func changing[I interface{ how() How }](a *api, id, method, path, summary string, plan planner[I]) {
	replanning(a, id, method, path, summary, func(ctx context.Context, in *I) func(control.Actor) (control.Plan, error) {
		return func(actor control.Actor) (control.Plan, error) { return plan(ctx, actor, in) }
	})
}

// replanning is changing for operations that prepare something once, such as the hash of a password, however often
// the plan is made again.
func replanning[I interface{ how() How }](a *api, id, method, path, summary string, prepare func(ctx context.Context, in *I) func(control.Actor) (control.Plan, error)) {
	op := a.operation(id, method, path, summary)
	op.MaxBodyBytes = bodyLimit(op.Path)
	a.changes[method+" "+op.Path] = true
	op.Errors = append(op.Errors, http.StatusForbidden, http.StatusConflict, http.StatusUnprocessableEntity)
	huma.Register(a.huma, op, func(ctx context.Context, in *I) (*outcome, error) {
		out, err := a.change(ctx, (*in).how(), prepare(ctx, in))
		if err != nil {
			return nil, a.refuse(id, err)
		}
		return out, nil
	})
}

// change makes a plan and, if wanted, makes it true.
func (a *api) change(ctx context.Context, how How, plan func(actor control.Actor) (control.Plan, error)) (*outcome, error) {
	actor, begun := actorOf(ctx), time.Now()
	var p control.Plan
	done, err := a.control.Make(ctx, actor, func() (control.Plan, error) {
		var err error
		p, err = plan(actor)
		proposed, ok := ctx.Value(proposalKey{}).(*control.Plan)
		switch {
		case err != nil:
			return p, err
		case ok:
			*proposed = p
			return p, errShown
		case how.Version > 0 && how.Version != p.Version:
			return p, control.ErrVersion
		case how.DryRun:
			return p, errShown
		case p.Asks && !how.Confirm:
			return p, &confirmError{p}
		}
		return p, nil
	})
	if errors.Is(err, errShown) {
		return &outcome{Outcome{Version: p.Version, Plan: p}}, nil
	}
	if err != nil {
		return nil, err
	}
	for i := range done.Zones {
		z := &done.Zones[i]
		z.Milliseconds = float64(z.Since.Sub(begun).Microseconds()) / 1000
	}
	return &outcome{Outcome{Applied: true, Version: done.Version, Secret: done.Secret, Rows: done.Rows, Zones: done.Zones, Plan: p}}, nil
}

// errShown ends a change whose plan is shown and not made true.
var errShown = errors.New("the plan is shown")

// confirmError says that a plan wants a yes.
type confirmError struct{ plan control.Plan }

func (e *confirmError) Error() string { return "The plan wants a yes: send confirm to apply it." }

// operation gives what all operations have in common.
func (a *api) operation(id, method, path, summary string) huma.Operation {
	return huma.Operation{
		OperationID: id, Method: method, Path: Prefix + path, Summary: summary, MaxBodyBytes: maxBody, BodyReadTimeout: bodyTimeout,
		Errors: []int{http.StatusUnauthorized, http.StatusNotFound},
	}
}

// items is a listing.
type items[T any] struct {
	Body struct {
		Items []T `json:"items" nullable:"false"`
	}
}

// listing registers an operation that lists things.
func listing[I, T any](a *api, id, path, summary string, list func(ctx context.Context, actor control.Actor, in *I) ([]T, error)) {
	huma.Register(a.huma, a.operation(id, http.MethodGet, path, summary), func(ctx context.Context, in *I) (*items[T], error) {
		found, err := list(ctx, actorOf(ctx), in)
		if err != nil {
			return nil, a.refuse(id, err)
		}
		if found == nil {
			found = []T{}
		}
		out := &items[T]{}
		out.Body.Items = found
		return out, nil
	})
}

// shown is one thing.
type shown[T any] struct{ Body T }

// showing registers an operation that shows one thing.
func showing[I, T any](a *api, id, path, summary string, show func(ctx context.Context, actor control.Actor, in *I) (T, error)) {
	huma.Register(a.huma, a.operation(id, http.MethodGet, path, summary), func(ctx context.Context, in *I) (*shown[T], error) {
		found, err := show(ctx, actorOf(ctx), in)
		if err != nil {
			return nil, a.refuse(id, err)
		}
		return &shown[T]{found}, nil
	})
}
