package lookup

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"postroad/internal/service/control/rights"
	"postroad/internal/service/control/words"
)

func TestWhoAsksTooMuchIsRefusedForAWhile(t *testing.T) {
	t.Parallel()
	var l limits
	ann, now := rights.Customer("ann", "a"), time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	look := func(actor rights.Actor) error {
		release, err := l.enter(actor, now)
		if err == nil {
			release()
		}
		return err
	}
	for i := range burst {
		if err := look(ann); err != nil {
			t.Fatalf("look %d: %v", i, err)
		}
	}
	if err := look(ann); !errors.Is(err, words.ErrDenied) {
		t.Errorf("one more: %v", err)
	}
	if err := look(rights.Customer("bob", "b")); err != nil {
		t.Errorf("another caller: %v", err)
	}
	for range 3 * burst {
		if err := look(rights.Operator()); err != nil {
			t.Fatalf("the operator: %v", err)
		}
	}
	if now = now.Add(refill); look(ann) != nil || look(ann) == nil {
		t.Error("time gives back one look")
	}
	for i := range remembers {
		if err := look(rights.Customer(fmt.Sprint("c", i), "c")); err != nil {
			t.Fatal(err)
		}
	}
	if len(l.callers) > remembers {
		t.Errorf("%d callers are remembered", len(l.callers))
	}
	var held []func()
	for range atOnce {
		release, err := l.enter(rights.Operator(), now)
		if err != nil {
			t.Fatal(err)
		}
		held = append(held, release)
	}
	if err := look(rights.Operator()); !errors.Is(err, words.ErrDenied) {
		t.Errorf("too many at once: %v", err)
	}
	held[0]()
	if err := look(rights.Operator()); err != nil {
		t.Error(err)
	}
}
