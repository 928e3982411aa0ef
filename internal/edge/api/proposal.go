package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"postroad/internal/service/control"
)

// Proposal is a change that is planned and not made, as the request of its operation.
type Proposal struct {
	Method string          `json:"method" enum:"POST,PUT,PATCH,DELETE"`
	Path   string          `json:"path" doc:"Behind /api/v1, as in /domains/acme.example"`
	Query  string          `json:"query,omitempty" doc:"Parameters of the operation"`
	Body   json.RawMessage `json:"body,omitempty" doc:"Body of the operation"`
}

// ExplainChange asks what a proposed change would do to mail for an address.
type ExplainChange struct {
	Address string   `json:"address"`
	Sender  string   `json:"sender,omitempty" doc:"Reverse-path"`
	Client  string   `json:"client,omitempty" doc:"IP address"`
	As      string   `json:"as,omitempty" doc:"stranger, local, or a login's full address"`
	Change  Proposal `json:"change"`
}

// tries is how often a proposed change is looked at while others change something.
const tries = 50

func (a *api) registerExplainChange() {
	op := a.operation("explain-change", http.MethodPost, "/explain", "Tell what a proposed change would do to mail for an address, and to all others")
	op.Errors = append(op.Errors, http.StatusForbidden, http.StatusConflict, http.StatusUnprocessableEntity)
	huma.Register(a.huma, op, func(ctx context.Context, in *struct{ Body ExplainChange }) (*shown[control.ChangedExplanation], error) {
		q := control.ExplainRequest{Address: in.Body.Address, Sender: in.Body.Sender, Client: in.Body.Client, As: in.Body.As}
		for try := 1; ; try++ {
			plan, err := a.propose(ctx, in.Body.Change)
			if err != nil {
				return nil, a.refuse(op.OperationID, err)
			}
			found, err := a.control.ExplainChange(ctx, actorOf(ctx), q, plan)
			if errors.Is(err, control.ErrVersion) && try < tries {
				continue
			}
			if err != nil {
				return nil, a.refuse(op.OperationID, err)
			}
			return &shown[control.ChangedExplanation]{found}, nil
		}
	})
}

// proposalKey marks the context of a request whose plan is wanted and nothing else.
type proposalKey struct{}

// answer is a response that nobody gets.
type answer struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (w *answer) Header() http.Header         { return w.header }
func (w *answer) WriteHeader(status int)      { w.status = status }
func (w *answer) Write(p []byte) (int, error) { return w.body.Write(p) }

// propose has the operation of a proposal make its plan, in the name of whoever asks.
func (a *api) propose(ctx context.Context, change Proposal) (control.Plan, error) {
	var plan control.Plan
	ctx = context.WithValue(ctx, proposalKey{}, &plan)
	target := Prefix + change.Path
	if change.Query != "" {
		target += "?" + change.Query
	}
	r, err := http.NewRequestWithContext(ctx, change.Method, target, bytes.NewReader(change.Body))
	if err != nil || !strings.HasPrefix(change.Path, "/") {
		return plan, unusable("The change's path or query cannot be read.")
	}
	if len(change.Body) > 0 {
		r.Header.Set("Content-Type", "application/json")
	}
	if _, pattern := a.mux.Handler(r); !a.changes[pattern] {
		return plan, unusable("There is no operation " + change.Method + " " + change.Path + " that changes something.")
	}
	w := &answer{header: http.Header{}}
	a.mux.ServeHTTP(w, r)
	if w.status == http.StatusOK {
		return plan, nil
	}
	var problem struct {
		ProblemError
		Errors []struct {
			Message  string `json:"message"`
			Location string `json:"location"`
		} `json:"errors"`
	}
	if json.Unmarshal(w.body.Bytes(), &problem) != nil || problem.Status == 0 { // a redirection
		return plan, unusable("The change's path is not as it should be written.")
	}
	for _, e := range problem.Errors {
		problem.Detail += "; change " + e.Location + ": " + e.Message
	}
	return plan, &problem.ProblemError
}

// unusable refuses a proposal that is no operation.
func unusable(detail string) error {
	return &ProblemError{Type: TypeInvalid, Title: http.StatusText(http.StatusUnprocessableEntity), Status: http.StatusUnprocessableEntity, Detail: detail}
}
