package server

import (
	"testing"

	"postroad/internal/service/control"
	"postroad/internal/service/control/controltest"
)

func TestDemoCanBeRepeated(t *testing.T) {
	t.Parallel()
	m := controltest.NewMemory()
	start := func() *control.Service {
		s := control.New(controltest.Options(m))
		if err := s.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		return s
	}
	s := start()
	first, err := makeDemo(t.Context(), s)
	if err != nil || len(first.Mailboxes) != 2 {
		t.Fatalf("%+v %v", first, err)
	}
	again, err := makeDemo(t.Context(), start())
	if err != nil || len(again.Mailboxes) != 2 || again.Mailboxes[0].Password == first.Mailboxes[0].Password {
		t.Fatalf("%+v %v", again, err)
	}
	if d, ok := s.Directory().Domain("demo.example"); !ok || !d.Proved {
		t.Error("no proved domain")
	}
	if len(m.Mailboxes) != 2 || len(m.Boxes) != 2 || len(m.Domains) != 1 {
		t.Errorf("%d mailboxes, %d boxes, %d domains", len(m.Mailboxes), len(m.Boxes), len(m.Domains))
	}
}
