package deliver_test

import (
	"testing"
	"time"

	"postroad/internal/core/mail"
	"postroad/internal/sim"
)

func TestALookTakesNoMailAndLeavesNoTrace(t *testing.T) {
	t.Parallel()
	play(t, twoOfEach, nil, func(w *world) {
		const lane = mail.Lane("remote/example.net")
		w.net.Refuse("192.0.2.11:25")
		second := w.peer("192.0.2.21:25", sim.Script{})
		if err := w.service.Probe(w.t.Context(), lane); err != nil {
			t.Errorf("the second exchanger answers: %v", err)
		}
		if n := len(second.Messages()); n != 0 || second.Connections() != 1 {
			t.Errorf("%d messages over %d connections", n, second.Connections())
		}
		if text := w.log.String(); text != "" {
			t.Errorf("logged: %s", text)
		}
	})
}

func TestALookAtAHostOfNoUseFails(t *testing.T) {
	t.Parallel()
	for _, c := range unusable[:12] {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			play(t, oneExchanger, nil, func(w *world) {
				c.put(w, "192.0.2.11:25")
				begun := time.Now()
				if err := w.service.Probe(w.t.Context(), "remote/example.net"); err == nil {
					t.Error("it counts as back")
				}
				if took := time.Since(begun); took > 12*time.Second {
					t.Errorf("it took %s", took)
				}
			})
		})
	}
}

func TestALookGoesWhereMailMayGoOnly(t *testing.T) {
	t.Parallel()
	synced := func(w *world) {
		w.peer("192.0.2.11:25", sim.Script{})
		if err := w.service.Probe(w.t.Context(), "remote/nothing.example"); err == nil {
			t.Error("a domain without DNS counts as back")
		}
	}
	play(t, oneExchanger, nil, synced)
}
