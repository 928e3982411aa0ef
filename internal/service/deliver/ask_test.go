package deliver_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"postroad/internal/core/directory"
	"postroad/internal/core/mail"
	"postroad/internal/service/deliver"
	"postroad/internal/sim"
)

// Who asks about recipients dials no more than a delivery does.
func TestAskingDialsWhatADeliveryMayDial(t *testing.T) {
	t.Parallel()
	play(t, sim.Zones{}, func(c *deliver.Config) { c.Allow = nil }, func(w *world) {
		w.peer("10.0.0.1:25", sim.Script{})
		for _, tc := range []struct {
			hop  directory.NextHop
			want bool
		}{
			{directory.NextHop{Host: "10.0.0.1", Port: 25}, false},
			{directory.NextHop{Host: "10.0.0.1", Port: 25, Operator: true}, true},
		} {
			lane := mail.MakeLane(mail.TransportRelay, directory.HopList([]directory.NextHop{tc.hop}))
			list, err := w.service.Hosts(w.t.Context(), lane)
			if err != nil || len(list) != 1 || list[0].Address() != "10.0.0.1:25" {
				t.Fatalf("%v, %v", list, err)
			}
			before := len(w.net.Dials())
			s, err := list[0].Open(w.t.Context())
			if (err == nil) != tc.want || (len(w.dials(before)) > 0) != tc.want {
				t.Errorf("operator %v: %v, dialled %v", tc.hop.Operator, err, w.dials(before))
			}
			if err == nil {
				s.Close()
			}
		}
	})
}

func TestAskingEndsWithItsContext(t *testing.T) {
	t.Parallel()
	play(t, sim.Zones{}, nil, func(w *world) {
		p := w.peer("192.0.2.1:25", sim.Script{Rcpt: map[string]string{"slow@d.example": sim.Hang}})
		list, err := w.service.Hosts(w.t.Context(), mail.MakeLane(mail.TransportRelay, "192.0.2.1:25"))
		if err != nil {
			t.Fatal(err)
		}
		s, err := list[0].Open(w.t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		ctx, cancel := context.WithTimeout(w.t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		if _, _, err := s.Ask(ctx, "slow@d.example"); err == nil || time.Since(start) != time.Second {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		if slices.ContainsFunc(p.Commands(), func(c string) bool { return strings.HasPrefix(c, "DATA") }) {
			t.Errorf("content was begun: %q", p.Commands())
		}
	})
}

func TestThereIsNobodyToAskWhereNoMailCanGo(t *testing.T) {
	t.Parallel()
	play(t, sim.Zones{}, nil, func(w *world) {
		if list, err := w.service.Hosts(w.t.Context(), mail.MakeLane(mail.TransportRelay, "no.such.example:25")); err == nil || len(list) != 0 {
			t.Errorf("%v, %v", list, err)
		}
	})
}
