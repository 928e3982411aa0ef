package zones

import (
	"context"
	"time"

	"postroad/internal/core/account"
	"postroad/internal/core/finding"
	"postroad/internal/core/zone"
)

// Store is what is kept of zones. A zone lies in the domain of the same name. Whether it is answered for follows from the
// domain: the store knows nothing of zone.Zone's Pending.
type Store interface {
	// Zone reads one zone; words.ErrNotFound. Of one whose row is damaged it gives domain, account, serial and time with an
	// error that wraps zone.ErrEncoding.
	Zone(ctx context.Context, scope account.Scope, domain string) (zone.Zone, error)
	// Zones reads all zones in the order of their domains, and ends at the first error of yield. One whose row is damaged
	// comes without records. Zones may come again from the first when the connection to the store was lost.
	Zones(ctx context.Context, scope account.Scope, yield func(zone.Zone) error) error
	// Serials gives the serials of all zones by their domains.
	Serials(ctx context.Context, scope account.Scope) (map[string]uint32, error)
}

// Findings is where it is kept what is wrong with a zone.
type Findings interface {
	Findings(ctx context.Context, scope account.Scope, domain string) ([]finding.Finding, error)
	Find(ctx context.Context, scope account.Scope, f finding.Finding, gone bool) error
}

// Names answers for zones in DNS. What its methods cost does not depend on the number of zones.
type Names interface {
	// Prepare makes the answers of a zone; publish puts them in the place of those that the zone had. An error refuses the
	// zone and says why, and what was answered before is answered on. Prepare may be called by any goroutine; it neither
	// changes the zone nor keeps it after publish was called.
	Prepare(z *zone.Zone) (publish func(), err error)
	// Withdraw ends the answers of a zone, if there are any. Neither it nor a publish is called while another of them runs.
	Withdraw(domain string)
	// Statistics is what this node has answered from a zone since it began to answer for it; false when it does not.
	Statistics(domain string) (zone.Statistics, bool)
}

// Signer signs the zones that have a Signing. It may be called by several goroutines.
type Signer interface {
	// Sign takes the steps that are due in the lives of the zone's keys, and fills Signatures, NewKeys and a clone of Signing for
	// the records and the serial that the zone has now. What it gives has been verified; an error refuses the zone and
	// says why, and what was published before stays. It writes nothing. For a zone without Signing it empties Signatures.
	Sign(ctx context.Context, z *zone.Zone, at time.Time) error
}
