package verify

import (
	"context"
	"log/slog"

	"postroad/internal/core/policy"
	"postroad/internal/service/resolver"
)

// SPF looks at a domain's SPF record by one DNS server, an address or address:port; ip may be empty.
func SPF(ctx context.Context, server, domain, ip, helo, sender string) (policy.SPFView, error) {
	cfg := resolver.Config{Servers: []string{server}}
	if err := cfg.Validate(); err != nil {
		return policy.SPFView{}, err
	}
	q, err := policy.AskSPF(domain, ip, helo, sender)
	if err != nil {
		return policy.SPFView{}, err
	}
	return policy.ViewSPF(ctx, resolver.New(cfg, slog.New(slog.DiscardHandler)), q), nil
}
