package zones

import (
	"context"
	"net/http"
	"net/url"

	"postroad/cmd/postroad/cli"
	"postroad/cmd/postroad/sheet"
	"postroad/internal/service/control"
)

// importFromDNS puts what a domain's present name servers say in the place of its zone here.
func importFromDNS(ctx context.Context, a *cli.App, domain, server string) error {
	query := url.Values{}
	if server != "" {
		query.Set("server", server)
	}
	z, err := cli.Get[control.FetchedZone](ctx, a, zonePath(domain)+"/from-dns", query)
	if err != nil {
		return err
	}
	if !a.JSON {
		a.Say("%d records of %s from %s.\n%s\n\n", z.Records, sheet.Clean(z.Domain), sheet.Clean(z.Server), sheet.Clean(z.Sentence))
	}
	return a.Change(ctx, http.MethodPut, zonePath(domain), nil, map[string]any{"text": z.Text})
}
