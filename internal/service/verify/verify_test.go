package verify_test

import (
	"context"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"postroad/internal/core/facts"
	"postroad/internal/core/routing"
	"postroad/internal/service/verify"
)

// dns answers every domain with one exchanger, until it is broken.
type dns struct {
	asked  int
	broken bool
}

func (d *dns) MX(_ context.Context, name string) facts.MXAnswer {
	d.asked++
	if d.broken {
		return facts.MXAnswer{Name: name, Status: facts.Temporary}
	}
	return facts.MXAnswer{Name: name, Status: facts.Found, Records: []facts.MX{{Preference: 10, Host: "mx." + name}}, Origin: facts.Origin{TTL: time.Hour}}
}

func (d *dns) Addrs(_ context.Context, host string) facts.AddrAnswer {
	return facts.AddrAnswer{Name: host, Status: facts.Found, Addrs: []netip.Addr{netip.MustParseAddr("192.0.2.1")}, Origin: facts.Origin{TTL: time.Minute}}
}

func TestExchangersAreRememberedAsLongAsDNSAllows(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := &dns{}
		s := verify.New(verify.Options{Resolver: d})
		need := routing.Need{Kind: routing.NeedExchangers, Domain: "d.example"}
		if _, ok := s.Exchangers("d.example"); ok {
			t.Fatal("known before it was asked")
		}
		s.Fetch(t.Context(), need)
		if x, ok := s.Exchangers("d.example"); !ok || x.MX.Records[0].Host != "mx.d.example" || len(x.Addrs) != 1 {
			t.Fatalf("%v %v", x, ok)
		}
		time.Sleep(time.Minute - time.Millisecond) // the address may be kept for a minute
		if _, ok := s.Exchangers("d.example"); !ok {
			t.Error("forgotten too early")
		}
		time.Sleep(time.Millisecond)
		if _, ok := s.Exchangers("d.example"); ok {
			t.Error("remembered for too long")
		}
		d.broken = true
		s.Fetch(t.Context(), need)
		if x, ok := s.Exchangers("d.example"); !ok || x.MX.Status != facts.Temporary {
			t.Errorf("a failure is a fact too: %v %v", x, ok)
		}
		time.Sleep(5 * time.Second)
		if _, ok := s.Exchangers("d.example"); ok || d.asked != 2 {
			t.Errorf("a failure is remembered for too long, or DNS was asked %d times", d.asked)
		}
	})
}
