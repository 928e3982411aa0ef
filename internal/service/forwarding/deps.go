package forwarding

import (
	"context"

	"postroad/internal/core/facts"
	"postroad/internal/proto/dkim"
)

// Keys has the keys that domains sign with.
type Keys interface {
	// Keys gives the keys of a domain, an A-label, that sign; none where there are none.
	Keys(ctx context.Context, domain string) []dkim.Key
}

// Resolver asks foreign DNS.
type Resolver interface {
	TXT(ctx context.Context, name string) facts.TXTAnswer
}
