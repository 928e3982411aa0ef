package control

import (
	"context"

	"postroad/internal/service/control/inspect"
	"postroad/internal/service/control/traces"
)

// Traces in the words of packages traces and inspect.
type (
	// Traces is what this service needs of the traces.
	Traces = traces.Traces
	// TraceFilter selects traces in the words of commands.
	TraceFilter = traces.Filter
	// TraceSummary is a message in a listing of traces.
	TraceSummary = traces.Summary
	// TraceDetail is a message with its steps.
	TraceDetail = traces.Detail
	// Replay is a message of which it is decided again.
	Replay = inspect.Replay
)

// TraceList gives at most limit messages, newest first, as far as the actor may see them.
func (s *Service) TraceList(ctx context.Context, actor Actor, f TraceFilter, limit int) ([]TraceSummary, error) {
	return s.traces.List(ctx, actor, f, limit)
}

// TraceShow gives one message's steps, as far as the actor may see them.
func (s *Service) TraceShow(ctx context.Context, actor Actor, id string) (TraceDetail, error) {
	return s.traces.Show(ctx, actor, id)
}

// TraceReplay decides again about a traced message, by the configuration and the facts of this moment.
func (s *Service) TraceReplay(ctx context.Context, actor Actor, id string) (Replay, error) {
	t, err := s.traces.Trace(ctx, actor, id)
	if err != nil {
		return Replay{}, err
	}
	return s.explainer.Replay(ctx, actor, s.current.Load(), t)
}
