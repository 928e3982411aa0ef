package mail_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"postroad/internal/core/mailbox"
	"postroad/internal/service/mailstore"
	"postroad/internal/service/mailstore/mailtest"
)

// step is one random operation: it is done to a store and to the model, and says what came of it.
type step func(s *shelf) string

// steps are the operations among which chance chooses.
func steps(r *rand.Rand, folders []mailbox.Folder) step {
	some := func() int64 { return folders[r.IntN(len(folders))].Number }
	uids := func() []uint32 {
		list := make([]uint32, 1+r.IntN(6))
		for i := range list {
			list[i] = uint32(r.IntN(25)) //nolint:gosec // small
		}
		return slices.Compact(slices.Sorted(slices.Values(list)))
	}
	name := func() string {
		parts := make([]string, 1+r.IntN(3))
		for i := range parts {
			parts[i] = string(rune('a' + r.IntN(3)))
		}
		return strings.Join(parts, "/")
	}
	existing := func() string { return folders[r.IntN(len(folders))].Name }
	flags := func() []string {
		all := []string{`\Seen`, `\Deleted`, `\Flagged`, "work", "$Label1", fmt.Sprint("k", r.IntN(2*mailbox.MaxKeywords))}
		r.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
		return all[:r.IntN(4)]
	}
	a, b, list, mode, given, since := some(), some(), uids(), mailbox.FlagMode(1+r.IntN(3)), flags(), int64(r.IntN(40))-15 //nolint:gosec // small
	from, to, size := existing(), name(), r.IntN(100)
	switch r.IntN(12) {
	case 0, 1, 2:
		return func(s *shelf) string {
			p, err := s.Append(s.t.Context(), s.scope, "a", a, []mailbox.Appended{s.message(strings.Repeat("x", size), given...), s.message("y")})
			return fmt.Sprint("append ", p.UIDs, is(err))
		}
	case 3, 4:
		return func(s *shelf) string {
			p, err := s.SetFlags(s.t.Context(), s.scope, "a", a, mailbox.FlagChange{UIDs: list, Mode: mode, Flags: given, UnchangedSince: since})
			return fmt.Sprint("flags ", p, is(err))
		}
	case 5:
		return func(s *shelf) string {
			p, err := s.Copy(s.t.Context(), s.scope, "a", a, list, b)
			return fmt.Sprint("copy ", p.From, p.UIDs, err)
		}
	case 6, 7:
		return func(s *shelf) string {
			p, err := s.Move(s.t.Context(), s.scope, "a", a, list, b)
			return fmt.Sprint("move ", p.From, p.UIDs, err)
		}
	case 8:
		return func(s *shelf) string {
			p, err := s.Expunge(s.t.Context(), s.scope, "a", a, list)
			return fmt.Sprint("expunge ", p, err)
		}
	case 9:
		return func(s *shelf) string {
			_, err := s.CreateFolder(s.t.Context(), s.scope, "a", to, "")
			return fmt.Sprint("create ", to, is(err))
		}
	case 10:
		return func(s *shelf) string {
			return fmt.Sprint("rename ", from, to, is(s.RenameFolder(s.t.Context(), s.scope, "a", from, to)))
		}
	}
	return func(s *shelf) string {
		if len(from) > 3 && from != to {
			return fmt.Sprint("subscribe ", to, is(s.Subscribe(s.t.Context(), s.scope, "a", to, size > 30)))
		}
		return fmt.Sprint("delete ", from, is(s.DeleteFolder(s.t.Context(), s.scope, "a", from)))
	}
}

// is names an error by the first of core/mailbox's that it is.
func is(err error) string {
	if err == nil {
		return ""
	}
	text, _, _ := strings.Cut(err.Error(), ":")
	return " " + text
}

// state is all that can be seen of the mailbox, but for values of UIDVALIDITY.
func (s *shelf) state() map[string]string {
	s.t.Helper()
	list, err := s.Folders(s.t.Context(), s.scope, "a")
	must(s.t, err)
	out := map[string]string{"usage": fmt.Sprint(s.usage())}
	names, err := s.Subscriptions(s.t.Context(), s.scope, "a")
	must(s.t, err)
	out["subscribed"] = fmt.Sprint(names)
	for _, f := range list {
		f.UIDValidity = 0
		var text strings.Builder
		text.WriteString(fmt.Sprintf("%+v: ", f))
		x := s.index(f.Number)
		for _, e := range x.All() {
			names := x.Names(e.Flags)
			slices.Sort(names)
			text.WriteString(fmt.Sprintf("%d@%d%v ", e.UID, e.ModSeq, names))
		}
		gone, err := s.Vanished(s.t.Context(), s.scope, "a", f.Number, 0)
		must(s.t, err)
		sum, err := s.Summary(s.t.Context(), s.scope, "a", f.Name)
		must(s.t, err)
		out[f.Name] = text.String() + fmt.Sprint(gone, sum.FirstUnseen)
	}
	return out
}

func TestRandomChangesAreThoseOfTheModel(t *testing.T) {
	engines(t, func(w *world) {
		seed := rand.Uint64()
		w.t.Logf("seed %d", seed)
		r := rand.New(rand.NewPCG(seed, 1))
		memory := mailtest.NewStore()
		model := &shelf{Store: memory, t: w.t, scope: system, blobs: memory.Blobs()}
		s := &shelf{Store: w.Store, t: w.t, scope: system, blobs: files{w.blobs}}
		for _, store := range []mailstore.Store{memory, w.Store} {
			must(w.t, store.Create(w.t.Context(), system, mailbox.Mailbox{ID: "a", Account: "acc-a", Quota: 2500}))
		}
		have := map[int64]*mailbox.Index{}
		validities := map[uint32]int64{}
		for n := range 150 {
			folders, err := model.Folders(w.t.Context(), system, "a")
			must(w.t, err)
			do := steps(r, folders)
			want, got := do(model), do(s)
			if want != got {
				w.t.Fatalf("step %d: %s instead of %s", n, got, want)
			}
			if diff := cmp.Diff(model.state(), s.state()); diff != "" {
				w.t.Fatalf("after step %d, %s: %s", n, got, diff)
			}
			s.follow(have, validities)
		}
	})
}

// follow brings indexes up to date step by step and compares them with new ones.
func (s *shelf) follow(have map[int64]*mailbox.Index, validities map[uint32]int64) {
	s.t.Helper()
	list, err := s.Folders(s.t.Context(), s.scope, "a")
	must(s.t, err)
	for _, f := range list {
		if n, ok := validities[f.UIDValidity]; ok && n != f.Number {
			s.t.Fatalf("UIDVALIDITY %d is folder %d's and folder %d's", f.UIDValidity, n, f.Number)
		}
		validities[f.UIDValidity] = f.Number
		old := have[f.Number]
		next, err := s.Index(s.t.Context(), s.scope, "a", f.Number, old)
		must(s.t, err)
		fresh := s.index(f.Number)
		if diff := cmp.Diff(maps.Collect(fresh.All()), maps.Collect(next.All())); diff != "" || next.Folder() != fresh.Folder() || next.Len() != fresh.Len() {
			s.t.Fatalf("folder %s: %s", f.Name, diff)
		}
		if old != nil {
			d := next.Since(old)
			for _, e := range d.New {
				if e.UID < old.Folder().UIDNext || e.ModSeq <= old.Folder().HighestModSeq {
					s.t.Fatalf("folder %s: UID %d, MODSEQ %d are not new", f.Name, e.UID, e.ModSeq)
				}
			}
			for _, e := range d.Changed {
				if e.ModSeq <= old.Folder().HighestModSeq {
					s.t.Fatalf("folder %s: UID %d changed without a new MODSEQ", f.Name, e.UID)
				}
			}
		}
		have[f.Number] = next
	}
}
