package api

import (
	"context"
	"net/http"

	"postroad/internal/service/control"
)

type dkimOn struct {
	How
	DomainPath
	Body control.DKIMSpec
}

type dkimChange struct {
	How
	DomainPath
}

type dkimRemove struct {
	How
	DomainPath
	Selector string `path:"selector" doc:"Name of the key"`
}

type dkimImport struct {
	How
	DomainPath
	Body struct {
		Selector string `json:"selector" doc:"Name of the key, as it stands before ._domainkey"`
		Key      string `json:"key" doc:"The private key in PEM: PKCS #8 or PKCS #1, RSA of 2048 bits or more, or Ed25519. It is never shown again."`
	}
}

func (a *api) registerDKIM() {
	const path = "/domains/{domain}/dkim"
	listing(a, "dkim-list", "/dkim", "List the keys by which domains' mail is signed", func(ctx context.Context, actor control.Actor, _ *struct{}) ([]control.DKIMInfo, error) {
		return a.control.DKIMDomains(ctx, actor)
	})
	showing(a, "dkim-show", path, "Show the keys by which a domain's mail is signed, what belongs into its zone, and what the world has there", func(ctx context.Context, actor control.Actor, in *DomainPath) (control.DKIMStatus, error) {
		return a.control.DKIM(ctx, actor, in.Domain)
	})
	changing(a, "dkim-on", http.MethodPut, path, "Sign a domain's mail, or in another way", func(ctx context.Context, actor control.Actor, in *dkimOn) (control.Plan, error) {
		return a.control.PlanDKIMOn(ctx, actor, in.Domain, in.Body)
	})
	changing(a, "dkim-off", http.MethodDelete, path, "Sign a domain's mail no longer", func(ctx context.Context, actor control.Actor, in *dkimChange) (control.Plan, error) {
		return a.control.PlanDKIMOff(ctx, actor, in.Domain)
	})
	changing(a, "dkim-rotate", http.MethodPost, path+"/rotate", "Replace the keys by which a domain's mail is signed", func(ctx context.Context, actor control.Actor, in *dkimChange) (control.Plan, error) {
		return a.control.PlanDKIMRotate(ctx, actor, in.Domain)
	})
	changing(a, "dkim-activate", http.MethodPost, path+"/activate", "Look at what the world has of a domain's keys, and have those sign that were seen", func(ctx context.Context, actor control.Actor, in *dkimChange) (control.Plan, error) {
		return a.control.PlanDKIMActivate(ctx, actor, in.Domain)
	})
	changing(a, "dkim-import", http.MethodPost, path+"/keys", "Sign a domain's mail with a key that it has had elsewhere", func(ctx context.Context, actor control.Actor, in *dkimImport) (control.Plan, error) {
		return a.control.PlanDKIMImport(ctx, actor, in.Domain, in.Body.Selector, control.NewSecret(in.Body.Key))
	})
	changing(a, "dkim-remove", http.MethodDelete, path+"/keys/{selector}", "Remove a key and its record at once", func(ctx context.Context, actor control.Actor, in *dkimRemove) (control.Plan, error) {
		return a.control.PlanDKIMRemove(ctx, actor, in.Domain, in.Selector)
	})
}
