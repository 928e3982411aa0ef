package resolver

import (
	"context"
	"net/netip"
	"reflect"
	"testing"
	"testing/synctest"
	"time"

	"postroad/internal/core/facts"
	"postroad/internal/sim"
)

// asker is a resolver, whether it asks anybody or not.
type asker interface {
	MX(ctx context.Context, name string) facts.MXAnswer
	TXT(ctx context.Context, name string) facts.TXTAnswer
	Family(ctx context.Context, host string, six bool) facts.AddrAnswer
	Names(ctx context.Context, addr netip.Addr) facts.NamesAnswer
}

// answers are those to some questions, and their statuses.
func answers(t *testing.T, a asker) (all []any, statuses []facts.Status) {
	t.Helper()
	mx, txt, null := a.MX(t.Context(), "Example.Net."), a.TXT(t.Context(), "example.net"), a.TXT(t.Context(), "nobody.example.net")
	four, six := a.Family(t.Context(), "mx1.example.net", false), a.Family(t.Context(), "mx2.example.net", true)
	names := a.Names(t.Context(), netip.MustParseAddr("192.0.2.25"))
	return []any{mx, txt, null, four, six, names}, []facts.Status{mx.Status, txt.Status, null.Status, four.Status, six.Status, names.Status}
}

// TestKnown: what was asked for is told without asking until its time is over, and nothing else.
func TestKnown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, world := world(t)
		nothing := func(when string) {
			t.Helper()
			before := len(world.Questions())
			_, statuses := answers(t, s.Known())
			for i, status := range statuses {
				if status != facts.Temporary {
					t.Errorf("%s, question %d: %v", when, i, status)
				}
			}
			if after := len(world.Questions()); after != before {
				t.Errorf("%s: %d questions", when, after-before)
			}
		}
		nothing("before anything was asked for")
		answers(t, s)
		want, _ := answers(t, s) // from the cache
		asked, hits := len(world.Questions()), s.Stats().Hits
		if got, _ := answers(t, s.Known()); !reflect.DeepEqual(got, want) {
			t.Errorf("%+v\nwant %+v", got, want)
		}
		if len(world.Questions()) != asked || s.Stats().Hits != hits+6 {
			t.Errorf("%d questions, %d hits", len(world.Questions())-asked, s.Stats().Hits-hits)
		}
		pass(time.Hour)
		nothing("when their time is over")
		world.Script("example.net", "TXT", sim.DNSServFail)
		if got := s.TXT(t.Context(), "example.net"); got.Status != facts.Temporary {
			t.Fatal(got)
		}
		nothing("of a failure")
		if got := s.Known().Family(t.Context(), "localhost", false); got.Status != facts.Found {
			t.Errorf("localhost: %+v", got)
		}
		if got := s.Known().TXT(t.Context(), "a..b"); got.Status != facts.NXDomain {
			t.Errorf("a name that cannot be: %+v", got)
		}
		if got := s.Known().Names(t.Context(), netip.Addr{}); got.Status != facts.NXDomain {
			t.Errorf("no address: %+v", got)
		}
	})
}
