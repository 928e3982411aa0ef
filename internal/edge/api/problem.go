package api

import (
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"

	"postroad/internal/obs"
	"postroad/internal/service/access"
	"postroad/internal/service/control"
)

// The types of problems that programs tell apart beside the status (RFC 9457 §3.1.1).
const (
	TypeConfirm = "urn:postroad:problem:confirm" // the plan asks: send confirm to apply it
	TypeVersion = "urn:postroad:problem:version" // the configuration has changed: look again
	TypeExists  = "urn:postroad:problem:exists"  // a name or an address is taken
	TypeInUse   = "urn:postroad:problem:in-use"  // something else must go first
	TypeInvalid = "urn:postroad:problem:invalid" // what was asked for makes no sense
)

// ProblemError is a refusal (RFC 9457). Detail tells the caller; what went wrong inside stays in the log.
type ProblemError struct {
	Type    string        `json:"type,omitempty" doc:"What programs tell apart; absent when the status says enough"`
	Title   string        `json:"title"`
	Status  int           `json:"status"`
	Detail  string        `json:"detail"`
	Hint    string        `json:"hint,omitempty" doc:"What to do instead"`
	Finding string        `json:"finding,omitempty" doc:"Diagnosis by name"`
	Path    []string      `json:"path,omitempty" doc:"The steps of a loop"`
	Entry   int           `json:"entry,omitempty" doc:"Which of many is refused, from 1"`
	Plan    *control.Plan `json:"plan,omitempty" doc:"The plan that wants a yes"`
}

// Error is the detail.
func (p *ProblemError) Error() string { return p.Detail }

// GetStatus gives the HTTP status.
func (p *ProblemError) GetStatus() int { return p.Status }

// ContentType makes JSON a problem.
func (p *ProblemError) ContentType(string) string { return "application/problem+json" }

// problemOf turns an error into what the caller is told.
func problemOf(err error) *ProblemError {
	var told *ProblemError
	if errors.As(err, &told) {
		return told
	}
	p := &ProblemError{Detail: err.Error()}
	var confirm *confirmError
	if errors.As(err, &confirm) {
		p.Status, p.Type, p.Plan, p.Title = http.StatusConflict, TypeConfirm, &confirm.plan, http.StatusText(http.StatusConflict)
		if against := confirm.plan.Overrides; len(against) > 0 {
			p.Finding = string(against[0].Finding)
		}
		return p
	}
	var refused *control.RefusedError
	if errors.As(err, &refused) {
		p.Hint, p.Finding, p.Path, p.Entry = refused.Hint, string(refused.Finding), refused.Path, refused.Entry
	}
	switch {
	case errors.Is(err, access.ErrUnknown):
		p.Status, p.Detail = http.StatusUnauthorized, "A token that this server knows is wanted."
	case errors.Is(err, control.ErrNotFound):
		p.Status = http.StatusNotFound
	case errors.Is(err, control.ErrDenied):
		p.Status = http.StatusForbidden
	case errors.Is(err, control.ErrExists):
		p.Status, p.Type = http.StatusConflict, TypeExists
	case errors.Is(err, control.ErrInUse):
		p.Status, p.Type = http.StatusConflict, TypeInUse
	case errors.Is(err, control.ErrVersion):
		p.Status, p.Type, p.Detail = http.StatusConflict, TypeVersion, "The configuration has changed meanwhile; look at the plan again."
	case errors.Is(err, control.ErrInvalid):
		p.Status, p.Type = http.StatusUnprocessableEntity, TypeInvalid
	default:
		p.Status, p.Detail = http.StatusInternalServerError, "The server could not do it; its log tells why."
	}
	p.Title = http.StatusText(p.Status)
	return p
}

// refuse is problemOf for operations: it logs what the caller is not told.
func (a *api) refuse(operation string, err error) error {
	p := problemOf(err)
	if p.Status == http.StatusInternalServerError {
		a.log.Error("an operation failed", slog.String(obs.KeyOperation, operation), slog.Any(obs.KeyError, err))
	}
	return p
}

func writeProblem(w http.ResponseWriter, p *ProblemError) {
	if p.Title == "" {
		p.Title = http.StatusText(p.Status)
	}
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(p.Status)
	_ = json.NewEncoder(w).Encode(p)
}
