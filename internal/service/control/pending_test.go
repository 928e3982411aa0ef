package control_test

import (
	"slices"
	"testing"

	"postroad/internal/proto/dns"
	"postroad/internal/service/control"
)

// TestAPendingZoneNamesServersThatAreShownToBeItsAccounts: a registry that tests the servers before it hands out the zone
// finds those that it was told; nobody else is led to them.
func TestAPendingZoneNamesServersThatAreShownToBeItsAccounts(t *testing.T) {
	inNamed(t, func(t *testing.T, w *named) {
		servers := func(want ...string) {
			t.Helper()
			var got []string
			for _, r := range w.m.Answered["acme.example"].Records {
				if r.Type == dns.TypeNS {
					got = append(got, r.Text())
				}
			}
			if !slices.Equal(got, want) || !w.m.Answered["acme.example"].Pending {
				t.Errorf("the zone names %q, want %q", got, want)
			}
		}
		proved := func(name string, is bool) {
			t.Helper()
			w.ok(w.PlanDomainSet(t.Context(), control.Operator(), name, control.DomainSettings{Proved: &is}))
		}
		look := func() {
			t.Helper()
			if _, err := w.CheckDelegation(t.Context(), "acme.example"); err != nil {
				t.Fatal(err)
			}
		}
		operators, own := []string{"mx.host.example."}, []string{"ns1.ann.example.", "ns2.dns.ann.example."}
		w.own(w.annID, "ns1.ann.example", "ns2.dns.ann.example")
		w.add(w.ann, "acme.example", control.DomainSettings{Zone: new("hosted")})
		servers(own...)
		proved("ann.example", false)
		servers(operators...)
		proved("ann.example", true)
		servers(own...)
		// Nearer above a name there is a domain that is not shown to be the account's.
		w.add(w.ann, "dns.ann.example", control.DomainSettings{})
		w.ok(w.PlanRecordAdd(t.Context(), control.Operator(), "acme.example", control.RecordSpec{Owner: "www", Type: "A", Data: "192.0.2.1"}))
		servers(operators...)
		proved("dns.ann.example", true)
		servers(own...)
		w.ok(w.PlanDomainRemove(t.Context(), control.Operator(), "dns.ann.example"))
		servers(own...)
		// A start answers the same.
		clear(w.m.Answered)
		if err := w.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		servers(own...)
		// The world is not led here, or by the names of this account: nothing changes.
		look()
		servers(own...)
		// Somebody leads the world here by the operator's names: it may be whose domain this is.
		w.hand("acme.example", "mx.host.example", "ns9.far.example")
		look()
		servers(operators...)
		if d := w.domain("acme.example"); !d.Proof.TXTOnly || d.Proved {
			t.Errorf("%+v", d.Proof)
		}
		w.ok(w.PlanDomainRemove(t.Context(), control.Operator(), "acme.example"))
		w.add(w.ann, "acme.example", control.DomainSettings{Zone: new("hosted")})
		servers(operators...) // the world was led here before the domain was added, by others' names
		w.hand("acme.example", "ns1.ann.example", "ns9.far.example")
		w.ok(w.PlanDomainRemove(t.Context(), control.Operator(), "acme.example"))
		w.add(w.ann, "acme.example", control.DomainSettings{Zone: new("hosted")})
		servers(operators...) // or by its own
		w.hand("acme.example", "ns1.acme.example")
		w.ok(w.PlanDomainRemove(t.Context(), control.Operator(), "acme.example"))
		w.add(w.ann, "acme.example", control.DomainSettings{Zone: new("hosted")})
		servers(own...)
	})
}
