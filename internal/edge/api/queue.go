package api

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"postroad/internal/service/control"
)

// QueueFilter selects queued mail; without any of its fields it selects all.
type QueueFilter struct {
	IDs    []string `query:"id,explode" maxItems:"1000" doc:"Queue ids"`
	Domain string   `query:"domain" doc:"Of the destination"`
	To     string   `query:"to" doc:"Next hop: a domain, or a host with or without port"`
	Older  int64    `query:"older_seconds" minimum:"0" maximum:"315360000" doc:"Received longer ago than this"`
}

func (f *QueueFilter) filter() control.QueueFilter {
	return control.QueueFilter{IDs: f.IDs, Domain: f.Domain, To: f.To, Older: time.Duration(f.Older) * time.Second}
}

type queueList struct {
	QueueFilter
	After string `query:"after" doc:"Messages whose ids come behind this one"`
	Limit int    `query:"limit" minimum:"1" maximum:"1000" default:"100"`
}

type queueChange struct {
	How
	QueueFilter
}

type queueID struct {
	ID string `path:"id"`
}

func (a *api) registerQueue() {
	listing(a, "queue-list", "/queue", "List queued messages", func(ctx context.Context, actor control.Actor, in *queueList) ([]control.QueuedMessage, error) {
		return a.control.QueueList(ctx, actor, in.filter(), in.After, in.Limit)
	})
	showing(a, "queue-count", "/queue/count", "Count queued messages", func(ctx context.Context, actor control.Actor, in *QueueFilter) (control.QueueCounts, error) {
		return a.control.QueueCount(ctx, actor, in.filter())
	})
	showing(a, "queue-show", "/queue/{id}", "Show a queued message", func(ctx context.Context, actor control.Actor, in *queueID) (control.QueuedMessage, error) {
		return a.control.QueueShow(ctx, actor, in.ID)
	})
	huma.Register(a.huma, a.streaming("queue-content", "/queue/{id}/content", "A queued message's exact bytes"),
		func(ctx context.Context, in *queueID) (*huma.StreamResponse, error) {
			content, err := a.control.QueueContent(ctx, actorOf(ctx), in.ID)
			if err != nil {
				return nil, a.refuse("queue-content", err)
			}
			body := io.NopCloser(bytes.NewReader(content.Inline))
			if content.Inline == nil && content.Open != nil {
				if body, err = content.Open(); err != nil {
					return nil, a.refuse("queue-content", err)
				}
			}
			return a.stream("queue-content", body), nil
		})
	for verb, summary := range map[control.Verb]string{
		control.VerbRetry:   "Try messages now; without a filter all",
		control.VerbHold:    "Hold messages until released",
		control.VerbRelease: "Let go held messages",
		control.VerbDrop:    "Remove messages; nobody is told",
	} {
		changing(a, "queue-"+string(verb), http.MethodPost, "/queue/"+string(verb), summary, func(ctx context.Context, actor control.Actor, in *queueChange) (control.Plan, error) {
			return a.control.PlanQueue(ctx, actor, verb, in.filter())
		})
	}
}
