package api

import (
	"context"

	"postroad/internal/service/control"
)

type traceList struct {
	Recipient string `query:"recipient" doc:"Address as given, or of a mailbox; this or a sender is needed"`
	Sender    string `query:"sender" doc:"Reverse-path"`
	Day       string `query:"day" doc:"YYYY-MM-DD, UTC"`
	Before    string `query:"before" doc:"Messages whose ids come before this one"`
	Limit     int    `query:"limit" minimum:"1" maximum:"1000" default:"100"`
}

type traceID struct {
	ID string `path:"id" doc:"Queue id, or the id of what was refused"`
}

func (a *api) registerTraces() {
	listing(a, "trace-list", "/traces", "List messages by recipient or sender, newest first", func(ctx context.Context, actor control.Actor, in *traceList) ([]control.TraceSummary, error) {
		f := control.TraceFilter{Recipient: in.Recipient, Sender: in.Sender, Day: in.Day, Before: in.Before}
		return a.control.TraceList(ctx, actor, f, in.Limit)
	})
	showing(a, "trace-show", "/traces/{id}", "Show a message's life, step by step", func(ctx context.Context, actor control.Actor, in *traceID) (control.TraceDetail, error) {
		return a.control.TraceShow(ctx, actor, in.ID)
	})
	showing(a, "trace-replay", "/traces/{id}/replay", "Decide again about a traced message, by what is configured and known now", func(ctx context.Context, actor control.Actor, in *traceID) (control.Replay, error) {
		return a.control.TraceReplay(ctx, actor, in.ID)
	})
}
