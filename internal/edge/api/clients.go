package api

import (
	"context"
	"net/http"

	"postroad/internal/service/control"
)

type clientRecords struct {
	How
	DomainPath
}

func (a *api) registerClients() {
	const path = "/domains/{domain}/client-setup"
	showing(a, "client-setup-show", path, "Show how mail programs of a domain's users find their servers", func(ctx context.Context, actor control.Actor, in *DomainPath) (control.ClientSetup, error) {
		return a.control.ClientSetup(ctx, actor, in.Domain)
	})
	changing(a, "client-setup-publish", http.MethodPost, path, "Put the records for that into a zone that is hosted here", func(ctx context.Context, actor control.Actor, in *clientRecords) (control.Plan, error) {
		return a.control.PlanClientRecords(ctx, actor, in.Domain)
	})
}
