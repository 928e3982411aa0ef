package api

import (
	"context"
	"net/http"

	"postroad/internal/service/control"
)

type providerSet struct {
	How
	DomainPath
	Body struct {
		Kind      string `json:"kind" doc:"rfc2136, cloudflare or hetzner"`
		Zone      string `json:"zone,omitempty" doc:"The zone there, when it is one above the domain"`
		Server    string `json:"server,omitempty" doc:"rfc2136: host or host:port of the zone's primary; else, for the operator, the URL of the interface"`
		Key       string `json:"key,omitempty" doc:"rfc2136: name of the TSIG key"`
		Algorithm string `json:"algorithm,omitempty" doc:"rfc2136: hmac-sha256 (when absent), hmac-sha384 or hmac-sha512"`
		Secret    string `json:"secret" doc:"rfc2136: the key's secret in base64; else the service's token. It is never shown again."`
	}
}

type providerPath struct {
	How
	DomainPath
}

func (a *api) registerPublishing() {
	listing(a, "provider-list", "/providers", "List how zones are written to that others answer for", func(ctx context.Context, actor control.Actor, _ *struct{}) ([]control.ProviderInfo, error) {
		return a.control.Providers(ctx, actor)
	})
	changing(a, "provider-set", http.MethodPut, "/domains/{domain}/provider", "Set how a domain's zone is written to that others answer for", func(ctx context.Context, actor control.Actor, in *providerSet) (control.Plan, error) {
		b := &in.Body
		spec := control.ProviderSpec{Kind: b.Kind, Zone: b.Zone, Server: b.Server, Key: b.Key, Algorithm: b.Algorithm}
		if b.Secret != "" {
			spec.Secret = control.NewSecret(b.Secret)
		}
		return a.control.PlanProviderSet(ctx, actor, in.Domain, spec)
	})
	changing(a, "provider-remove", http.MethodDelete, "/domains/{domain}/provider", "Write to a domain's zone no more, and forget its secret", func(ctx context.Context, actor control.Actor, in *providerPath) (control.Plan, error) {
		return a.control.PlanProviderRemove(ctx, actor, in.Domain)
	})
	changing(a, "publish", http.MethodPost, "/domains/{domain}/publish", "Write the records by which mail comes here into a zone that others answer for", func(ctx context.Context, actor control.Actor, in *providerPath) (control.Plan, error) {
		return a.control.PlanPublish(ctx, actor, in.Domain)
	})
}
