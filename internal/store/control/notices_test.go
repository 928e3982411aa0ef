package control_test

import (
	"testing"
	"time"

	"postroad/internal/core/account"
	"postroad/internal/core/directory"
	"postroad/internal/core/finding"
	"postroad/internal/core/notice"
	"postroad/internal/service/control"
)

func TestSwitchesAreToldOnceAndHistoryIsNot(t *testing.T) {
	engines(t, func(w *world) {
		t := w.t
		entry := func(actor, before, after string) control.Entry {
			return control.Entry{At: created, Actor: actor, Account: "a", Domain: "d.example", Action: "domain set", Subject: "d.example", Before: before, After: after}
		}
		local, backup := `{"effective_mode":"local"}`, `{"effective_mode":"backup","evidence":"MX 10 real"}`
		w.apply(t, control.Tx{PutAccounts: []account.Account{{ID: "a", Name: "a"}}, Entries: []control.Entry{entry("auto", local, backup)}})
		list, upTo, err := w.Switches(t.Context(), system, 10)
		must(t, err)
		if len(list) != 0 || upTo != 1 {
			t.Fatalf("at first: %+v up to %d", list, upTo)
		}
		must(t, w.KeepNotices(t.Context(), system, notice.Result{}, upTo))
		w.apply(t, control.Tx{Entries: []control.Entry{
			entry("operator", local, backup), entry("auto", local, `{"effective_mode":"remote"}`), entry("auto", "", `{}`), entry("auto", local, backup), entry("auto", backup, backup),
		}})
		for range 2 { // until it is kept
			list, upTo, err = w.Switches(t.Context(), system, 10)
			must(t, err)
			want := []notice.Switch{{Domain: "d.example", Account: "a", At: created, From: directory.ModeLocal, To: directory.ModeBackup, Evidence: "MX 10 real"}}
			same(t, "switches", want, list)
		}
		if upTo != 6 {
			t.Errorf("up to %d", upTo)
		}
		must(t, w.KeepNotices(t.Context(), system, notice.Result{}, upTo))
		if list, _, err = w.Switches(t.Context(), system, 10); err != nil || len(list) != 0 {
			t.Errorf("told again: %+v, %v", list, err)
		}
		w.apply(t, control.Tx{Entries: []control.Entry{entry("auto", local, backup), entry("auto", local, backup)}})
		if list, upTo, err = w.Switches(t.Context(), system, 1); err != nil || len(list) != 1 || upTo != 7 {
			t.Errorf("one of two: %+v up to %d, %v", list, upTo, err)
		}
	})
}

func TestNoticesAreDueUntilTheyAreSent(t *testing.T) {
	engines(t, func(w *world) {
		t := w.t
		one := notice.Notice{ID: "1", Account: "a", Domain: "d.example", Event: notice.PrimaryDown, At: created, Due: created}
		two := one
		two.ID, two.Due = "2", created.Add(time.Hour)
		must(t, w.KeepNotices(t.Context(), system, notice.Result{Notice: []notice.Notice{one, two}}, 0))
		due := func(at time.Time, want ...notice.Notice) {
			t.Helper()
			got, err := w.DueNotices(t.Context(), system, at, 10)
			must(t, err)
			same(t, "due", want, got)
		}
		due(created.Add(-time.Second))
		due(created, one)
		due(created.Add(time.Hour), one, two)
		must(t, w.SentNotices(t.Context(), system, []string{"1"}, created.Add(time.Minute), []string{"a@far.example"}, ""))
		must(t, w.SentNotices(t.Context(), system, []string{"1"}, created.Add(time.Hour), nil, "later"))
		due(created.Add(time.Hour), two)
		one.Sent, one.To = created.Add(time.Minute), []string{"a@far.example"}
		list, err := w.Notices(t.Context(), system, "d.example", "", 10)
		must(t, err)
		same(t, "all", []notice.Notice{two, one}, list)
		if list, err = w.Notices(t.Context(), system, "", "2", 10); err != nil || len(list) != 1 || list[0].ID != "1" {
			t.Errorf("before the second: %+v, %v", list, err)
		}
		must(t, w.ForgetNotices(t.Context(), system, created.Add(48*time.Hour)))
		due(created.Add(time.Hour), two)
		if list, err = w.Notices(t.Context(), system, "", "", 10); err != nil || len(list) != 1 {
			t.Errorf("what was sent is kept: %+v, %v", list, err)
		}
	})
}

func TestANewOwnerIsToldAfresh(t *testing.T) {
	engines(t, func(w *world) {
		t := w.t
		ann, bob := w.add(t, "ann"), w.add(t, "bob")
		moved := ann.Domain
		moved.Account = bob.Account.ID
		w.apply(t, control.Tx{PutDomains: []directory.Domain{moved}})
		list, err := w.Memories(t.Context(), system)
		must(t, err)
		same(t, "after the move", []notice.Memory{bob.Memory}, list)
		w.apply(t, control.Tx{Remove: []control.Removal{gone(control.KindDomain, bob.Domain.ID)}})
		if list, err = w.Memories(t.Context(), system); err != nil || len(list) != 0 {
			t.Errorf("after the removal: %+v, %v", list, err)
		}
		told, err := w.Notices(t.Context(), account.Of(ann.Account.ID), "", "", 10)
		must(t, err)
		same(t, "what ann was told", []notice.Notice{ann.Notice}, told)
		if told, err = w.Notices(t.Context(), account.Of(bob.Account.ID), ann.Domain.Name, "", 10); err != nil || len(told) != 0 {
			t.Errorf("bob reads what ann was told: %+v, %v", told, err)
		}
	})
}

func TestWhatPassesIsForgottenAndWhatStandsIsNot(t *testing.T) {
	engines(t, func(w *world) {
		t := w.t
		c := w.add(t, "ann")
		passing := finding.Finding{Name: finding.GatewayBypassed, Domain: c.Domain.Name, Evidence: "x", Since: created}
		loop := finding.Finding{Name: finding.SplitLoop, Domain: c.Domain.Name, Evidence: "by an override", Since: created}
		must(t, w.Find(t.Context(), system, passing, false))
		w.apply(t, control.Tx{PutFindings: []finding.Finding{loop}})
		must(t, w.Find(t.Context(), system, loop, false)) // it is seen too, and stands all the same
		must(t, w.ForgetPassed(t.Context(), system, time.Now().Add(-time.Hour)))
		list, err := w.Findings(t.Context(), system, c.Domain.Name)
		must(t, err)
		same(t, "at once", []finding.Finding{passing, c.Finding, loop}, list)
		must(t, w.ForgetPassed(t.Context(), system, time.Now().Add(time.Hour)))
		list, err = w.Findings(t.Context(), system, c.Domain.Name)
		must(t, err)
		same(t, "later", []finding.Finding{c.Finding, loop}, list)
	})
}
