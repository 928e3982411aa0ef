package control_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"postroad/internal/core/account"
	"postroad/internal/core/finding"
	"postroad/internal/core/sending"
	"postroad/internal/service/control"
	"postroad/internal/service/control/controltest"
)

// counter has counted three recipients of a login today, and has limits.
type counter struct{ owner account.ID }

func (c *counter) Counts(_ context.Context, scope account.Scope) ([]sending.Count, error) {
	if !scope.Has(c.owner) {
		return nil, nil
	}
	return []sending.Count{{Key: sending.KeysOf(c.owner, "a@ann.example")[0], Tally: sending.Tally{HourCount: 3, DayCount: 3}}}, nil
}

func (c *counter) Limits(kind sending.Kind) sending.Limits {
	if kind == sending.Account {
		return sending.Limits{}
	}
	return sending.Limits{Hour: 100, Day: 1000}
}

var (
	loginA  = control.Sender{Kind: sending.Login, Name: "A@ann.example"}
	domainA = control.Sender{Kind: sending.Domain, Name: "ann.example"}
	allOfA  = control.Sender{Kind: sending.Account, Name: "ann"}
)

func TestAPauseOutlivesItsMailboxAndItsDomain(t *testing.T) {
	t.Parallel()
	for _, by := range []sending.Pauser{sending.ByOperator, sending.ByLimit} {
		t.Run(string(by), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.box("a@ann.example")
			if by == sending.ByOperator {
				w.ok(w.PlanMailboxPause(control.Operator(), "a@ann.example", "abuse"))
			} else if err := w.PauseLogin(t.Context(), w.annID, "a@ann.example", "too much"); err != nil {
				t.Fatal(err)
			}
			still := func(after string) {
				t.Helper()
				if w.pausedBy("a") != by {
					t.Errorf("after %s: paused by %q", after, w.pausedBy("a"))
				}
				if all, err := w.m.Load(t.Context(), account.System()); err != nil || len(all.Senders) != 1 || all.Senders[0].Pause == nil {
					t.Errorf("after %s: stored is %+v, %v", after, all.Senders, err)
				}
			}
			w.rerouted()
			p, err := w.PlanMailboxRemove(t.Context(), w.ann, "a@ann.example")
			w.by(w.ann, p, err)
			still("the removal")
			if got := w.rerouted(); len(got) != 0 {
				t.Errorf("the queue was told %+v", got)
			}
			if by == sending.ByOperator {
				if _, err := w.PlanSendingResume(w.ann, loginA); !errors.Is(err, control.ErrDenied) {
					t.Errorf("the owner resumes what is gone: %v", err)
				}
			}
			p, err = w.PlanMailboxAdd(w.ann, control.MailboxSpec{Address: "a@ann.example"})
			if w.by(w.ann, p, err); !strings.Contains(strings.Join(p.Sentences, "\n"), "It may send nothing until it is resumed: the login has been paused since ") {
				t.Errorf("the plan says %q", p.Sentences)
			}
			still("adding it anew")
			if err := w.undo(w.ann); err != nil {
				t.Error(err)
			}
			if err := w.undo(w.ann); err != nil {
				t.Error(err)
			}
			still("undoing that, and the undoing")
			p, err = w.PlanMailboxRemove(t.Context(), w.ann, "a@ann.example")
			w.by(w.ann, p, err)
			p, err = w.PlanMailboxImport(w.ann, []control.MailboxSpec{{Address: "b@ann.example"}, {Address: "a@ann.example"}})
			w.by(w.ann, p, err)
			still("an import")

			p, err = w.PlanDomainRemove(t.Context(), w.ann, "ann.example")
			w.by(w.ann, p, err)
			still("the removal of the domain")
			p, err = w.PlanDomainAdd(t.Context(), w.ann, control.DomainSpec{Name: "ann.example"})
			w.by(w.ann, p, err)
			p, err = w.PlanMailboxAdd(w.ann, control.MailboxSpec{Address: "a@ann.example"})
			w.by(w.ann, p, err)
			still("adding the domain anew")
			list, err := w.m.Findings(t.Context(), w.ann.Scope, "ann.example")
			if found := slices.ContainsFunc(list, func(f finding.Finding) bool { return f.Name == finding.SendingPaused }); err != nil || found != (by == sending.ByLimit) {
				t.Errorf("findings of the domain that came back: %+v, %v", list, err)
			}
			p, err = w.PlanDomainRemove(t.Context(), w.ann, "ann.example")
			w.by(w.ann, p, err)
			if err := w.undo(w.ann); err != nil {
				t.Error(err)
			}
			still("undoing the removal of the domain")

			// Another account that has the domain later begins anew, and changes nothing of that.
			p, err = w.PlanDomainRemove(t.Context(), w.ann, "ann.example")
			w.by(w.ann, p, err)
			proved := true
			w.ok(w.PlanDomainAdd(t.Context(), control.Operator(), control.DomainSpec{Name: "ann.example", Account: "bob", DomainSettings: control.DomainSettings{Proved: &proved}}))
			w.box("a@ann.example")
			if w.Directory().Paused(w.bobID, "a@ann.example") {
				t.Error("another account's login is paused")
			}
			still("another account has it")
			if p, err := w.PlanSendingResume(w.bob, loginA); err != nil || !p.Empty() {
				t.Errorf("another account resumes: %+v, %v", p, err)
			}

			// Who may lift it does.
			actor := w.ann
			if by == sending.ByOperator {
				actor = control.Operator()
				if p, err = w.PlanSendingResume(actor, loginA); err != nil || !p.Empty() {
					t.Errorf("the operator means the one who has it: %+v, %v", p, err)
				}
			}
			named := loginA
			named.Account = "ann"
			p, err = w.PlanSendingResume(actor, named)
			w.by(actor, p, err)
			if w.pausedBy("a") != "" {
				t.Errorf("resumed: %q", w.pausedBy("a"))
			}
		})
	}
}

func TestAPauseOfADomainOrAnAccountIsForAllOfTheirLogins(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.box("a@ann.example")
	w.rerouted()
	w.ok(w.PlanSendingPause(control.Operator(), domainA, "abuse"))
	if got := w.rerouted(); len(got) != 1 || got[0].Logins != "ann.example" || got[0].SentBy != w.annID || got[0].Login != "" {
		t.Errorf("the queue was told %+v", got)
	}
	p, err := w.PlanMailboxAdd(w.ann, control.MailboxSpec{Address: "new@ann.example"})
	w.by(w.ann, p, err)
	if w.pausedBy("a") != sending.ByOperator || w.pausedBy("new") != sending.ByOperator {
		t.Error("a login of the domain may send")
	}
	if _, err := w.PlanMailboxResume(w.ann, "a@ann.example"); err == nil || !strings.Contains(err.Error(), "is not paused by itself: the domain ann.example is") {
		t.Errorf("resume of one: %v", err)
	}
	if _, err := w.PlanSendingResume(w.ann, domainA); !errors.Is(err, control.ErrDenied) {
		t.Errorf("the owner resumes the domain: %v", err)
	}
	// Another domain of the account has logins of its own; a pause of the account is for them too.
	p, err = w.PlanDomainAdd(t.Context(), w.ann, control.DomainSpec{Name: "more.example"})
	w.by(w.ann, p, err)
	w.box("a@more.example")
	if w.Directory().Paused(w.annID, "a@more.example") {
		t.Error("another domain's login is paused")
	}
	w.ok(w.PlanSendingPause(control.Operator(), allOfA, ""))
	if got := w.rerouted(); len(got) != 1 || got[0].SentBy != w.annID || got[0].Login+got[0].Logins != "" {
		t.Errorf("the queue was told %+v", got)
	}
	p, err = w.PlanDomainAdd(t.Context(), w.ann, control.DomainSpec{Name: "evenmore.example"})
	w.by(w.ann, p, err)
	w.box("x@evenmore.example")
	for _, login := range []string{"a@ann.example", "a@more.example", "x@evenmore.example"} {
		if !w.Directory().Paused(w.annID, login) {
			t.Errorf("%s may send", login)
		}
	}
	w.ok(w.PlanSendingResume(control.Operator(), domainA))
	if w.pausedBy("a") != sending.ByOperator {
		t.Error("a login of a paused account may send")
	}
	w.ok(w.PlanSendingResume(control.Operator(), allOfA))
	if w.pausedBy("a") != "" || w.Directory().Paused(w.annID, "x@evenmore.example") {
		t.Error("still paused")
	}
	if _, err := w.PlanSendingPause(w.bob, allOfA, ""); !errors.Is(err, control.ErrNotFound) {
		t.Errorf("another account: %v", err)
	}
	if _, err := w.PlanSendingPause(w.ann, control.Sender{Kind: sending.Login, Name: "nobody@ann.example"}, ""); !errors.Is(err, control.ErrNotFound) {
		t.Errorf("nobody: %v", err)
	}
	// With its account everything that was decided goes.
	w.ok(w.PlanSendingPause(control.Operator(), domainA, ""))
	for _, name := range []string{"ann.example", "more.example", "evenmore.example"} {
		w.ok(w.PlanDomainRemove(t.Context(), control.Operator(), name))
	}
	w.ok(w.PlanAccountRemove(t.Context(), control.Operator(), "ann"))
	if all, err := w.m.Load(t.Context(), account.System()); err != nil || len(all.Senders) != 0 || w.Directory().Paused(w.annID, "a@ann.example") {
		t.Errorf("left: %+v, %v", all.Senders, err)
	}
}

func TestLimitsOfSenders(t *testing.T) {
	t.Parallel()
	m := controltest.NewMemory()
	o := controltest.Options(m)
	count := &counter{}
	o.Sending = count
	w := openWorld(t, m, o)
	count.owner = w.annID
	w.box("a@ann.example")
	limits := func(who control.Sender) (hour, day int64, by string) {
		t.Helper()
		list, err := w.Sending(t.Context(), w.ann, "")
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range list {
			if s.Kind == string(who.Kind) && s.Name == strings.ToLower(who.Name) {
				return s.HourLimit, s.DayLimit, s.HourBy + " " + s.DayBy
			}
		}
		return -1, -1, ""
	}
	is := func(who control.Sender, hour, day int64, by string) {
		t.Helper()
		if h, d, b := limits(who); h != hour || d != day || b != by {
			t.Errorf("limits of %s: %d, %d by %s", who.Name, h, d, b)
		}
	}
	set := func(actor control.Actor, who control.Sender, hour, day int64) error {
		t.Helper()
		p, err := w.PlanSendingSet(actor, who, control.SendingLimits{Hour: &hour, Day: &day})
		if err == nil {
			w.by(actor, p, err)
		}
		return err
	}
	refused := func(err, want error) {
		t.Helper()
		if !errors.Is(err, want) {
			t.Errorf("refused: %v", err)
		}
	}
	is(loginA, 100, 1000, "installation installation")
	refused(set(w.ann, loginA, 101, 1000), control.ErrDenied)
	refused(set(w.ann, loginA, 0, 1000), control.ErrDenied)
	refused(set(w.ann, loginA, -2, 1000), control.ErrInvalid)
	refused(set(control.Operator(), loginA, 1, 1_000_000_001), control.ErrInvalid)
	refused(set(w.bob, loginA, 1, 1), control.ErrNotFound)
	refused(set(w.ann, loginA, 50, 1000), nil)
	is(loginA, 50, 1000, "owner installation")
	refused(set(control.Operator(), loginA, 500, 0), nil) // the owner's stands where it is less
	is(loginA, 50, 1000, "owner owner")
	refused(set(w.ann, loginA, -1, -1), nil)
	is(loginA, 500, 0, "operator operator")
	refused(set(w.ann, loginA, 500, 2000), nil)
	is(loginA, 500, 2000, "operator owner")
	refused(set(control.Operator(), loginA, 400, 400), nil) // and not where it is more by now
	is(loginA, 400, 400, "operator operator")
	if err := w.undo(w.ann); !errors.Is(err, control.ErrDenied) {
		t.Errorf("the owner undoes what the operator has chosen: %v", err)
	}
	refused(w.undo(control.Operator()), nil)
	is(loginA, 500, 2000, "operator owner")
	w.ok(w.PlanSendingPause(control.Operator(), loginA, ""))
	refused(set(w.ann, loginA, 300, 3000), nil) // which leaves the pause alone
	if w.pausedBy("a") != sending.ByOperator {
		t.Errorf("paused by %q", w.pausedBy("a"))
	}
	refused(w.undo(w.ann), nil)
	is(loginA, 500, 2000, "operator owner")

	refused(set(control.Operator(), allOfA, 10, 10), nil)
	is(allOfA, 10, 10, "operator operator")
	refused(set(w.ann, domainA, 99, 1000), nil)
	is(domainA, 99, 1000, "owner installation")
	if list, err := w.Sending(t.Context(), w.bob, ""); err != nil || len(list) != 0 {
		t.Errorf("bob sees %+v, %v", list, err)
	}
	if list, err := w.Sending(t.Context(), control.Operator(), "ann.example"); err != nil || len(list) != 2 || list[0].Hour != 3 || list[0].Paused == nil {
		t.Errorf("of the domain: %+v, %v", list, err)
	}
	// A limit stays with the address as a pause does.
	p, err := w.PlanMailboxRemove(t.Context(), w.ann, "a@ann.example")
	w.by(w.ann, p, err)
	w.box("a@ann.example")
	is(loginA, 500, 2000, "operator owner")
	if p, err := w.PlanSendingSet(w.ann, loginA, control.SendingLimits{}); err != nil || !p.Empty() {
		t.Errorf("nothing: %+v, %v", p, err)
	}
}
