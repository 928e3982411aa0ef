package control_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"postroad/internal/service/control"
)

func TestAnAccountSaysWhoIsTold(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ann := control.Customer("ann", w.annID)
	set := func(list ...string) control.Plan {
		t.Helper()
		p, err := w.PlanAccountSet(ann, string(w.annID), control.AccountSettings{Notices: &list})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Apply(t.Context(), ann, p); err != nil {
			t.Fatal(err)
		}
		return p
	}
	p := set("it@ann.example", "it@ann.example", "it@FAR.example")
	if got := w.NoticeAddresses(w.annID); !slices.Equal(got, []string{"it@ann.example", "it@far.example"}) || !strings.Contains(strings.Join(p.Sentences, " "), "go to it@ann.example, it@far.example") {
		t.Errorf("%v, %v", got, p.Sentences)
	}
	for _, wrong := range [][]string{{"nobody"}, {"ü@ann.example"}, {"a@b.example\r\nBcc: c@d.example"}, strings.Split("a@b.example"+strings.Repeat(" a@b.example", 10), " ")} {
		if _, err := w.PlanAccountSet(ann, string(w.annID), control.AccountSettings{Notices: &wrong}); !errors.Is(err, control.ErrInvalid) {
			t.Errorf("%q: %v", wrong, err)
		}
	}
	if _, err := w.PlanAccountSet(control.Customer("bob", "bob"), string(w.annID), control.AccountSettings{Notices: &[]string{"bob@far.example"}}); !errors.Is(err, control.ErrNotFound) {
		t.Errorf("another account: %v", err)
	}
	if p := set("none"); !strings.Contains(strings.Join(p.Sentences, " "), "postmaster of the domain concerned") || len(w.NoticeAddresses(w.annID)) != 0 {
		t.Errorf("none: %v, %v", p.Sentences, w.NoticeAddresses(w.annID))
	}
	entries, err := w.Audit(t.Context(), ann, "", 0, 1)
	if err != nil {
		t.Fatal(err)
	}
	back, err := w.PlanUndo(t.Context(), ann, entries[0].ID)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Apply(t.Context(), ann, back); err != nil || len(w.NoticeAddresses(w.annID)) != 2 {
		t.Errorf("undone: %v, %v", err, w.NoticeAddresses(w.annID))
	}
}
