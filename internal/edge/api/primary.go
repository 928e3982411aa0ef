package api

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"postroad/internal/core/primary"
	"postroad/internal/service/control"
)

type primaryExport struct {
	DomainPath
	Format string `query:"format" enum:"text,csv,json" default:"text" doc:"text is for people, with what to do in common mail systems; csv has the columns from and to"`
}

// exported is a list of forwards in one of the formats.
type exported struct {
	ContentType string `header:"Content-Type"`
	Body        []byte
}

type primaryProbe struct {
	How
	DomainPath
	Body struct {
		Addresses []string `json:"addresses,omitempty" maxItems:"1000" doc:"As they are here or at the primary; absent: all"`
		Within    int64    `json:"within_seconds,omitempty" minimum:"0" maximum:"86400" doc:"How long a probe may take to come back, from when the primary took it; absent: 900"`
	}
}

func (a *api) registerPrimaries() {
	const path = "/domains/{domain}/primary"
	showing(a, "primary-show", path, "Show a domain's primary and the forwards that it has to make, with what their probes have told", func(ctx context.Context, actor control.Actor, in *DomainPath) (control.PrimaryInfo, error) {
		return a.control.Primary(ctx, actor, in.Domain)
	})
	op := a.operation("primary-export", http.MethodGet, path+"/forwards", "Give the list of these forwards for the primary's administrator")
	op.Responses = map[string]*huma.Response{"200": {Description: "The list", Content: map[string]*huma.MediaType{}}}
	for _, f := range primary.Formats() {
		op.Responses["200"].Content[f.MediaType()] = &huma.MediaType{Schema: &huma.Schema{Type: "string"}}
	}
	huma.Register(a.huma, op, func(ctx context.Context, in *primaryExport) (*exported, error) {
		text, kind, err := a.control.ExportForwards(actorOf(ctx), in.Domain, primary.Format(in.Format))
		if err != nil {
			return nil, a.refuse("primary-export", err)
		}
		return &exported{kind, text}, nil
	})
	changing(a, "primary-probe", http.MethodPost, path+"/probe", "Try which of these forwards work, by messages that are to come back", func(ctx context.Context, actor control.Actor, in *primaryProbe) (control.Plan, error) {
		return a.control.PlanPrimaryProbe(ctx, actor, in.Domain, in.Body.Addresses, time.Duration(in.Body.Within)*time.Second)
	})
}
