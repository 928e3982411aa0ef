package main

import (
	"context"
	"net/http"
	"net/url"

	"postroad/internal/service/control"
)

// importFromDNS puts what a domain's present name servers say in the place of its zone here.
func (a *app) importFromDNS(ctx context.Context, domain, server string) error {
	query := url.Values{}
	if server != "" {
		query.Set("server", server)
	}
	z, err := get[control.FetchedZone](ctx, a, zonePath(domain)+"/from-dns", query)
	if err != nil {
		return err
	}
	if !a.json {
		a.say("%d records of %s from %s.\n%s\n\n", z.Records, clean(z.Domain), clean(z.Server), clean(z.Sentence))
	}
	return a.change(ctx, http.MethodPut, zonePath(domain), nil, map[string]any{"text": z.Text})
}
