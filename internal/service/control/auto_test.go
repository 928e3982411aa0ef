package control_test

import (
	"strings"
	"testing"
	"time"

	"postroad/internal/core/directory"
	"postroad/internal/service/control"
)

func TestASwitchByPublicDNSIsAChangeLikeAnyOther(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	auto := "auto"
	w.ok(w.PlanDomainSet(t.Context(), control.Operator(), "ann.example", control.DomainSettings{Mode: &auto}))
	w.rerouted()
	for _, mode := range []directory.Mode{directory.ModeLocal, directory.ModeRemote, directory.ModeBackup} {
		if err := w.SwitchAuto(t.Context(), "ann.example", mode, "MX records of ann.example: 10 mx", 72*time.Hour); err != nil {
			t.Fatal(err)
		}
		d, _ := w.Directory().Domain("ann.example")
		if d.Effective() != mode || !d.AutoSince.After(d.ModeSince) {
			t.Errorf("%s: effective %s since %s", mode, d.Effective(), d.AutoSince)
		}
		leaving := time.Until(d.Leaving.Until)
		if remote := mode == directory.ModeRemote; remote != (leaving > 71*time.Hour) || remote && d.Leaving.From != directory.ModeLocal {
			t.Errorf("%s: leaving %+v", mode, d.Leaving)
		}
	}
	if got := w.rerouted(); len(got) != 2 || !got[0].Moved {
		t.Errorf("the queue was told %+v", got)
	}
	list, err := w.Audit(t.Context(), control.Operator(), "ann.example", 0, 1)
	if err != nil || len(list) != 1 || list[0].Actor != "auto" || !strings.Contains(string(list[0].After), "10 mx") {
		t.Errorf("audit: %+v, %v", list, err)
	}
}

func TestWhatSomebodyChoseMeanwhileStands(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	before := w.Version()
	if err := w.SwitchAuto(t.Context(), "ann.example", directory.ModeRemote, "", 0); err != nil {
		t.Fatal(err)
	}
	if d, _ := w.Directory().Domain("ann.example"); d.Effective() != directory.ModeLocal || w.Version() != before {
		t.Errorf("effective %s", d.Effective())
	}
}
