package control_test

import (
	"fmt"
	"testing"
	"time"

	"postroad/internal/core/account"
	"postroad/internal/core/facts"
	"postroad/internal/service/control"
	"postroad/internal/service/verify"
)

// said is an answer that was learned some time after the world was made.
func said(p facts.Presence, after time.Duration) verify.Answer {
	return verify.Answer{RecipientAnswer: facts.RecipientAnswer{Presence: p, Origin: facts.Origin{Source: "mx", At: created.Add(after)}}, Way: "w"}
}

func TestTheLastAnswerCounts(t *testing.T) {
	engines(t, func(w *world) {
		t := w.t
		ann := w.add(t, "ann")
		second := said(facts.Present, time.Minute)
		second.Address = "anybody@ann.example"
		must(t, w.keep(system, ann.Domain.Name, "anybody", second))
		got, found, err := w.Answer(t.Context(), account.Of(ann.Account.ID), ann.Domain.Name, "anybody")
		must(t, err)
		same(t, "answer", second, got)
		if _, other, err := w.Answer(t.Context(), system, ann.Domain.Name, "nobody"); !found || other || err != nil {
			t.Errorf("%v, %v, %v", found, other, err)
		}
		must(t, w.keep(system, "nowhere.example", "anybody", second))
		if _, found, err := w.Answer(t.Context(), system, "nowhere.example", "anybody"); found || err != nil {
			t.Errorf("an answer for no domain: %v, %v", found, err)
		}
	})
}

func TestAnswersGoWithTheirDomain(t *testing.T) {
	engines(t, func(w *world) {
		t := w.t
		ann, bob := w.add(t, "ann"), w.add(t, "bob")
		moved := ann
		moved.Domain.Account = bob.Account.ID
		w.apply(t, control.Tx{PutDomains: moved.tx().PutDomains})
		for scope, want := range map[account.ID]bool{ann.Account.ID: false, bob.Account.ID: true} {
			if _, found, err := w.Answer(t.Context(), account.Of(scope), ann.Domain.Name, "anybody"); found != want || err != nil {
				t.Errorf("%s sees it: %v, %v", scope, found, err)
			}
		}
		w.apply(t, control.Tx{Remove: []control.Removal{gone(control.KindDomain, ann.Domain.ID)}})
		for domain, want := range map[string]bool{ann.Domain.Name: false, bob.Domain.Name: true} {
			if _, found, err := w.Answer(t.Context(), system, domain, "anybody"); found != want || err != nil {
				t.Errorf("%s: %v, %v", domain, found, err)
			}
		}
	})
}

func TestOldAnswersAreForgottenAndManyAreThinned(t *testing.T) {
	engines(t, func(w *world) {
		t := w.t
		ann := w.add(t, "ann")
		for i := range 20 {
			for _, p := range []facts.Presence{facts.Present, facts.Absent} {
				must(t, w.keep(system, ann.Domain.Name, fmt.Sprintf("%v-%02d", p, i), said(p, time.Duration(i)*time.Hour)))
			}
		}
		left := func() (first map[facts.Presence]int, n map[facts.Presence]int) {
			first, n = map[facts.Presence]int{}, map[facts.Presence]int{}
			for i := 19; i >= 0; i-- {
				for _, p := range []facts.Presence{facts.Present, facts.Absent} {
					_, found, err := w.Answer(t.Context(), system, ann.Domain.Name, fmt.Sprintf("%v-%02d", p, i))
					must(t, err)
					if found {
						first[p] = i
						n[p]++
					}
				}
			}
			return first, n
		}
		for _, step := range []struct {
			present, others time.Duration
			most            int
			wantPresent     int // the first that is left
			wantAbsent      int
		}{
			{2 * time.Hour, 5 * time.Hour, 100, 2, 5},
			{0, 0, 10, 10, 10},
			{0, 0, 10, 10, 10},
		} {
			must(t, w.ForgetAnswers(t.Context(), system, created.Add(step.present), created.Add(step.others), step.most))
			first, n := left()
			if first[facts.Present] != step.wantPresent || n[facts.Present] != 20-step.wantPresent || first[facts.Absent] != step.wantAbsent || n[facts.Absent] != 20-step.wantAbsent {
				t.Errorf("%+v leaves %v, %v", step, first, n)
			}
		}
	})
}

func TestAListIsReplacedAsAWhole(t *testing.T) {
	engines(t, func(w *world) {
		t := w.t
		ann, bob := w.add(t, "ann"), w.add(t, "bob")
		l := ann.List
		l.Locals = []string{"carol"}
		for i := range 3000 {
			l.Locals = append(l.Locals, fmt.Sprintf("u%04d", i))
		}
		for _, locals := range [][]string{l.Locals, l.Locals[:2], l.Locals[1:]} {
			l.Locals = locals
			w.apply(t, control.Tx{PutLists: []control.RecipientList{l}})
			got, err := w.Recipients(t.Context(), system, ann.Domain.Name)
			must(t, err)
			same(t, "list", l, got)
		}
		for local, want := range map[string]bool{"u0001": true, "carol": false, "": false} {
			got, err := w.Listed(t.Context(), account.Of(ann.Account.ID), ann.Domain.Name, []string{local})
			must(t, err)
			same(t, local, verify.List{There: true, Has: want, Source: l.Source, Learned: l.Learned, From: l.ListSource}, got)
		}
		w.apply(t, control.Tx{Remove: []control.Removal{gone(control.KindRecipients, ann.Domain.Name)}})
		got, err := w.Listed(t.Context(), system, ann.Domain.Name, []string{"u0001"})
		must(t, err)
		same(t, "removed", verify.List{}, got)
		if l, err := w.Recipients(t.Context(), system, bob.Domain.Name); err != nil || len(l.Locals) != 3 {
			t.Errorf("another domain's list: %v, %v", l, err)
		}
		w.refused(t, control.ErrNotFound, control.Tx{Remove: []control.Removal{gone(control.KindRecipients, ann.Domain.Name)}})
	})
}

func TestWhatIsFetchedFromElsewhereMeanwhileIsNotWritten(t *testing.T) {
	engines(t, func(w *world) {
		t := w.t
		ann := w.add(t, "ann")
		list, err := w.Syncs(t.Context(), account.Of(ann.Account.ID))
		must(t, err)
		y := verify.Sync{Domain: ann.Domain.Name, Learned: ann.List.Learned, From: ann.List.ListSource}
		same(t, "lists that are fetched", []verify.Sync{y}, list)
		want := ann.List
		y.Learned, y.From.ETag, y.From.Problem = created.Add(2*time.Hour), `"2"`, ""
		want.Learned, want.ETag, want.Problem = y.Learned, y.From.ETag, ""
		for _, step := range []struct {
			changed bool
			locals  []string
		}{{false, nil}, {true, []string{"carol"}}} {
			if step.changed {
				want.Locals = step.locals
			}
			must(t, w.Synced(t.Context(), system, y, step.changed, step.locals))
			got, err := w.Recipients(t.Context(), system, ann.Domain.Name)
			must(t, err)
			same(t, "fetched", want, got)
		}
		for _, other := range []verify.Sync{{Domain: y.Domain, From: facts.ListSource{URL: "https://other.example", Token: y.From.Token}}, {Domain: y.Domain, From: facts.ListSource{URL: y.From.URL, Token: "other"}}} {
			must(t, w.Synced(t.Context(), system, other, true, []string{"mallory"}))
		}
		got, err := w.Recipients(t.Context(), system, ann.Domain.Name)
		must(t, err)
		same(t, "after fetches from elsewhere", want, got)
	})
}
