package control_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"postroad/internal/service/control"
	"postroad/internal/service/control/controltest"
)

func TestAnotherNodesChangesAreTakenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		mine := controltest.NewMemory() // what this node answers for: the store is the other's
		o := controltest.Options(w.m)
		o.Names = controltest.Options(mine).Names
		node := control.New(o)
		if err := node.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		go node.Follow(t.Context())
		pass := func() {
			time.Sleep(time.Second)
			synctest.Wait()
		}
		w.ok(hosting(w, "ann.example", "hosted"))
		pass()
		if node.Version() != w.Version() || mine.Answered["ann.example"].Serial != w.m.Answered["ann.example"].Serial {
			t.Fatalf("version %d of %d, answered %+v", node.Version(), w.Version(), mine.Answered["ann.example"])
		}
		w.ok(w.PlanRecordAdd(t.Context(), control.Operator(), "ann.example", control.RecordSpec{Owner: "www", Type: "A", Data: "192.0.2.1"}))
		w.ok(w.PlanDomainSet(t.Context(), control.Operator(), "bob.example", control.DomainSettings{Zone: new("hosted"), Proved: new(bool)}))
		pass()
		if mine.Answered["ann.example"].Serial != w.m.Answered["ann.example"].Serial || !mine.Answered["bob.example"].Pending {
			t.Errorf("answered %+v", mine.Answered)
		}
		w.ok(w.PlanDomainSet(t.Context(), control.Operator(), "bob.example", control.DomainSettings{Proved: new(true)}))
		w.ok(hosting(w, "ann.example", "external"))
		pass()
		if _, there := mine.Answered["ann.example"]; there || mine.Answered["bob.example"].Pending {
			t.Errorf("answered %+v", mine.Answered)
		}
		// What could not be answered for at once is later.
		mine.Lock()
		mine.FailPrepare = errors.New("no memory")
		mine.Unlock()
		w.ok(hosting(w, "ann.example", "hosted"))
		pass()
		mine.Lock()
		mine.FailPrepare = nil
		mine.Unlock()
		w.ok(w.PlanRecordAdd(t.Context(), control.Operator(), "ann.example", control.RecordSpec{Owner: "ftp", Type: "A", Data: "192.0.2.1"}))
		pass()
		if mine.Answered["ann.example"].Serial != w.m.Answered["ann.example"].Serial {
			t.Errorf("answered %+v", mine.Answered["ann.example"])
		}
		// A change of this node meets one of the other that it has not seen yet.
		w.ok(w.PlanRecordAdd(t.Context(), control.Operator(), "ann.example", control.RecordSpec{Owner: "a", Type: "A", Data: "192.0.2.1"}))
		if _, err := node.Make(t.Context(), control.Operator(), func() (control.Plan, error) {
			return node.PlanRecordAdd(t.Context(), control.Operator(), "ann.example", control.RecordSpec{Owner: "b", Type: "A", Data: "192.0.2.1"})
		}); err != nil {
			t.Fatal(err)
		}
		if z := w.m.Hosted["ann.example"]; len(z.Records) != len(mine.Answered["ann.example"].Records) || z.Serial != mine.Answered["ann.example"].Serial {
			t.Errorf("stored %d records, answered %d", len(z.Records), len(mine.Answered["ann.example"].Records))
		}
	})
}
