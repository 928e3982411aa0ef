package mail_test

import (
	"maps"
	"testing"

	"github.com/google/go-cmp/cmp"

	"postroad/internal/core/mailbox"
)

// many puts messages into INBOX, in thousands.
func (s *shelf) many(thousands int) {
	s.t.Helper()
	first := make([]mailbox.Appended, mailbox.MaxAppend)
	for i := range first {
		first[i] = s.message("x")
	}
	uids := s.append(mailbox.Inbox, first...)
	for len(uids) < 1000*thousands {
		part := uids[:min(len(uids), mailbox.MaxAtATime, 1000*thousands-len(uids))]
		placed, err := s.Copy(s.t.Context(), s.scope, "a", mailbox.Inbox, part, mailbox.Inbox)
		must(s.t, err)
		uids = append(uids, placed.UIDs...)
	}
}

func TestWhatWasRemovedLongAgoIsForgotten(t *testing.T) {
	shelves(t, func(s *shelf) {
		ctx := s.t.Context()
		s.many(8)
		old := s.index(mailbox.Inbox)
		part := func(from int) []uint32 {
			uids := make([]uint32, mailbox.MaxAtATime)
			for i := range uids {
				uids[i] = uint32(from + i) //nolint:gosec // small
			}
			return uids
		}
		vanished := func(since int64) mailbox.Vanished {
			s.t.Helper()
			gone, err := s.Vanished(ctx, s.scope, "a", mailbox.Inbox, since)
			must(s.t, err)
			return gone
		}
		var modseqs []int64
		for n := range 6 {
			s.remove(mailbox.Inbox, part(1+1000*n)...)
			modseqs = append(modseqs, s.folder("INBOX").HighestModSeq)
		}
		if gone := vanished(old.Folder().HighestModSeq); gone.Forgotten || len(gone.UIDs) != 6000 {
			s.t.Errorf("%d of 6000 are remembered, forgotten: %v", len(gone.UIDs), gone.Forgotten)
		}
		s.remove(mailbox.Inbox, part(6001)...)
		if f := s.folder("INBOX"); f.Forgotten != modseqs[1] {
			s.t.Errorf("what was removed up to %d is forgotten, not up to %d", f.Forgotten, modseqs[1])
		}
		if gone := vanished(modseqs[1] - 1); !gone.Forgotten {
			s.t.Error("the memory of what is forgotten is taken for whole")
		}
		if gone := vanished(modseqs[1]); gone.Forgotten || len(gone.UIDs) != mailbox.MaxGone || gone.UIDs[0] != 2001 {
			s.t.Errorf("%d are remembered, forgotten: %v", len(gone.UIDs), gone.Forgotten)
		}
		fresh := s.index(mailbox.Inbox)
		for what, have := range map[string]*mailbox.Index{"an old index": old, "a new one": fresh} {
			next, err := s.Index(ctx, s.scope, "a", mailbox.Inbox, have)
			must(s.t, err)
			if diff := cmp.Diff(maps.Collect(fresh.All()), maps.Collect(next.All())); diff != "" || next.Folder() != s.folder("INBOX") {
				s.t.Errorf("%s: %s", what, diff)
			}
		}
		if d := fresh.Since(old); len(d.Gone) != 7000 || len(d.New)+len(d.Changed) != 0 {
			s.t.Errorf("%d are gone", len(d.Gone))
		}
	})
}

func TestRenamingALargeINBOXForgetsWhatWasInIt(t *testing.T) {
	shelves(t, func(s *shelf) {
		s.many(6)
		s.remove(mailbox.Inbox, 1)
		old := s.index(mailbox.Inbox)
		must(s.t, s.RenameFolder(s.t.Context(), s.scope, "a", "INBOX", "old"))
		f := s.folder("INBOX")
		gone, err := s.Vanished(s.t.Context(), s.scope, "a", mailbox.Inbox, old.Folder().HighestModSeq)
		if must(s.t, err); !gone.Forgotten || len(gone.UIDs) != 0 || f.Forgotten != f.HighestModSeq {
			s.t.Errorf("%d are remembered, %+v", len(gone.UIDs), f)
		}
		next, err := s.Index(s.t.Context(), s.scope, "a", mailbox.Inbox, old)
		if must(s.t, err); next.Len() != 0 || len(next.Since(old).Gone) != old.Len() {
			s.t.Errorf("%d messages", next.Len())
		}
		s.append(mailbox.Inbox, s.message("y"))
		s.remove(mailbox.Inbox, s.index(mailbox.Inbox).At(0).UID)
		if gone, err = s.Vanished(s.t.Context(), s.scope, "a", mailbox.Inbox, f.HighestModSeq); err != nil || gone.Forgotten || len(gone.UIDs) != 1 {
			s.t.Errorf("%+v, %v", gone, err)
		}
		if moved := s.folder("old"); moved.Forgotten != 0 || moved.Messages != int64(old.Len()) {
			s.t.Errorf("%+v", moved)
		}
	})
}

func TestTheFirstUnreadMessageIsFound(t *testing.T) {
	shelves(t, func(s *shelf) {
		uids := make([]uint32, 300)
		for range 3 {
			first := make([]mailbox.Appended, mailbox.MaxAppend)
			for i := range first {
				first[i] = s.message("x")
			}
			s.append(mailbox.Inbox, first...)
		}
		for i := range uids {
			uids[i] = uint32(i + 1) //nolint:gosec // small
		}
		seen := []string{`\Seen`}
		expect := func(what string, want int64) {
			s.t.Helper()
			for range 2 { // the second time by what the first one has found
				sum, err := s.Summary(s.t.Context(), s.scope, "a", "INBOX")
				if must(s.t, err); sum.FirstUnseen != want || sum.Folder != s.folder("INBOX") {
					s.t.Fatalf("%s: place %d instead of %d, %+v", what, sum.FirstUnseen, want, sum)
				}
				s.create(what + string(rune('0'+len(s.list())))) // what nobody waits for goes before what comes after it
			}
		}
		expect("nothing is read", 1)
		s.flags(mailbox.Inbox, mailbox.FlagsAdd, seen, uids[:250]...)
		expect("250 are read", 251)
		s.remove(mailbox.Inbox, 3, 4, 252)
		expect("some are gone", 249)
		_, err := s.Move(s.t.Context(), s.scope, "a", mailbox.Inbox, []uint32{5, 6, 251}, mailbox.Inbox)
		must(s.t, err)
		expect("some have moved", 247)
		s.flags(mailbox.Inbox, mailbox.FlagsReplace, nil, 10)
		expect("one is unread again", 6)
		s.flags(mailbox.Inbox, mailbox.FlagsAdd, seen, append(uids, 301, 302, 303)...)
		expect("all are read", 0)
		s.flags(mailbox.Inbox, mailbox.FlagsRemove, seen, 200)
		expect("one of them is not", 196)
		s.append(mailbox.Inbox, s.message("new"))
		s.flags(mailbox.Inbox, mailbox.FlagsAdd, seen, 200)
		expect("the new one is not", s.folder("INBOX").Messages)
		must(s.t, s.RenameFolder(s.t.Context(), s.scope, "a", "INBOX", "old"))
		sum, err := s.Summary(s.t.Context(), s.scope, "a", "old")
		if must(s.t, err); sum.FirstUnseen != sum.Messages {
			s.t.Errorf("in the folder that took them: place %d of %d", sum.FirstUnseen, sum.Messages)
		}
		s.append(mailbox.Inbox, s.message("1", `\Seen`), s.message("2"))
		expect("in INBOX after it", 2)
	})
}

// list is the folders.
func (s *shelf) list() []mailbox.Folder {
	s.t.Helper()
	list, err := s.Folders(s.t.Context(), s.scope, "a")
	must(s.t, err)
	return list
}
