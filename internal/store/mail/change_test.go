package mail_test

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	coremail "postroad/internal/core/mail"
	"postroad/internal/core/mailbox"
)

func TestFlagsAreAddedRemovedAndReplaced(t *testing.T) {
	shelves(t, func(s *shelf) {
		s.append(mailbox.Inbox, s.message("1"), s.message("2", `\Seen`, "Work"), s.message("3", `\deleted`))
		before := s.folder("INBOX")
		r := s.flags(mailbox.Inbox, mailbox.FlagsAdd, []string{`\SEEN`, "work", "$Forwarded"}, 1, 2, 9)
		if fmt.Sprint(r.Changed, r.Failed) != "[1 2] []" || r.HighestModSeq != before.HighestModSeq+1 {
			s.t.Errorf("%+v", r)
		}
		if got := s.text(mailbox.Inbox); got != `1[\Seen Work $Forwarded] 2[\Seen Work $Forwarded] 3[\Deleted] ` {
			s.t.Error(got)
		}
		for i, e := range s.index(mailbox.Inbox).All() {
			if want := []int64{r.HighestModSeq, r.HighestModSeq, before.HighestModSeq}[i]; e.ModSeq != want {
				s.t.Errorf("UID %d: MODSEQ %d instead of %d", e.UID, e.ModSeq, want)
			}
		}
		again := s.flags(mailbox.Inbox, mailbox.FlagsAdd, []string{`\Seen`}, 1, 2)
		if len(again.Changed) > 0 || again.HighestModSeq != r.HighestModSeq {
			s.t.Errorf("nothing changed, and yet %+v", again)
		}
		s.flags(mailbox.Inbox, mailbox.FlagsRemove, []string{`\Seen`, "never", "WORK"}, 2)
		s.flags(mailbox.Inbox, mailbox.FlagsReplace, []string{`\Answered`}, 3)
		s.flags(mailbox.Inbox, mailbox.FlagsReplace, nil, 1)
		if got := s.text(mailbox.Inbox); got != `1[] 2[$Forwarded] 3[\Answered] ` {
			s.t.Error(got)
		}
		if f := s.folder("INBOX"); f.Unseen != 3 || f.Deleted != 0 || f.HighestModSeq != r.HighestModSeq+3 {
			s.t.Errorf("%+v", f)
		}
	})
}

func TestUnchangedSinceLeavesAloneWhatChanged(t *testing.T) {
	shelves(t, func(s *shelf) {
		s.append(mailbox.Inbox, s.message("1"), s.message("2"), s.message("3"))
		since := s.folder("INBOX").HighestModSeq
		s.flags(mailbox.Inbox, mailbox.FlagsAdd, []string{`\Flagged`}, 2)
		change := mailbox.FlagChange{UIDs: []uint32{1, 2, 3}, Mode: mailbox.FlagsAdd, Flags: []string{`\Seen`}, UnchangedSince: since}
		r, err := s.SetFlags(s.t.Context(), s.scope, "a", mailbox.Inbox, change)
		if must(s.t, err); fmt.Sprint(r.Changed, r.Failed) != "[1 3] [2]" {
			s.t.Errorf("%+v", r)
		}
		change.UnchangedSince = 0
		if r, err = s.SetFlags(s.t.Context(), s.scope, "a", mailbox.Inbox, change); err != nil || fmt.Sprint(r.Changed, r.Failed) != "[] [1 2 3]" {
			s.t.Errorf("since 0: %+v, %v", r, err)
		}
	})
}

func TestKeywordsHaveALimit(t *testing.T) {
	shelves(t, func(s *shelf) {
		s.append(mailbox.Inbox, s.message("1"))
		var names []string
		for n := range mailbox.MaxKeywords {
			names = append(names, fmt.Sprintf("k%d", n))
		}
		s.flags(mailbox.Inbox, mailbox.FlagsAdd, names, 1)
		change := mailbox.FlagChange{UIDs: []uint32{1}, Mode: mailbox.FlagsAdd, Flags: []string{`\Seen`, "more"}, UnchangedSince: -1}
		_, err := s.SetFlags(s.t.Context(), s.scope, "a", mailbox.Inbox, change)
		s.check("one more", err, mailbox.ErrLimit)
		if x := s.index(mailbox.Inbox); len(x.Names(x.At(0).Flags)) != mailbox.MaxKeywords {
			s.t.Error(x.Names(x.At(0).Flags))
		}
		for _, bad := range []string{"", "two words", "a(b", "\\Recent", "a\"", strings.Repeat("x", mailbox.MaxKeyword+1), "é", "a]"} {
			change.Flags = []string{bad}
			_, err := s.SetFlags(s.t.Context(), s.scope, "a", mailbox.Inbox, change)
			s.check(fmt.Sprintf("%q", bad), err, mailbox.ErrFlag)
		}
	})
}

// What is delivered with $MDNSent has it as any other keyword (RFC 3503 §3.1).
func TestMailHasAKeywordFromTheBeginning(t *testing.T) {
	shelves(t, func(s *shelf) {
		s.deliverMarked("", mailbox.MDNSent, "1")
		s.deliver("", "2")
		s.deliverMarked(`\Junk`, mailbox.MDNSent, "3")
		s.deliverMarked("", mailbox.MDNSent, "4")
		if got := s.text(mailbox.Inbox); got != "1[$MDNSent] 2[] 3[$MDNSent] " {
			s.t.Error(got)
		}
		if got := s.text(s.folder("Junk").Number); got != "1[$MDNSent] " {
			s.t.Error(got)
		}
	})
}

// Keywords that no message has give way to that of mail; where all are in use it comes all the same.
func TestMailFindsRoomForItsKeyword(t *testing.T) {
	shelves(t, func(s *shelf) {
		s.append(mailbox.Inbox, s.message("1"))
		var names []string
		for n := range mailbox.MaxKeywords {
			names = append(names, fmt.Sprintf("k%d", n))
		}
		s.flags(mailbox.Inbox, mailbox.FlagsAdd, names, 1)
		s.deliverMarked("", mailbox.MDNSent, "2")
		s.flags(mailbox.Inbox, mailbox.FlagsRemove, []string{"k7"}, 1)
		s.deliverMarked("", mailbox.MDNSent, "3")
		x := s.index(mailbox.Inbox)
		if got := fmt.Sprint(len(x.Names(x.At(0).Flags)), x.Names(x.At(1).Flags), x.Names(x.At(2).Flags)); x.Len() != 3 || got != "47 [] [$MDNSent]" {
			s.t.Error(got)
		}
	})
}

func TestAppendIsAllOrNothing(t *testing.T) {
	shelves(t, func(s *shelf) {
		ctx := s.t.Context()
		large := strings.Repeat("0123456789abcdef", 8192)
		first := s.message("Subject: one\r\n\r\n1", `\Seen`, "$Label")
		s.quota(int64(len(large)) + 40)
		placed, err := s.Append(ctx, s.scope, "a", mailbox.Inbox, []mailbox.Appended{first, s.message(large, `\Draft`)})
		if must(s.t, err); fmt.Sprint(placed.UIDs) != "[1 2]" || placed.UIDValidity != s.folder("INBOX").UIDValidity {
			s.t.Errorf("%+v", placed)
		}
		if s.read(mailbox.Inbox, 1) != "Subject: one\r\n\r\n1" || s.read(mailbox.Inbox, 2) != large {
			s.t.Error("other bytes came back")
		}
		if got := s.text(mailbox.Inbox); got != `1[\Seen $Label] 2[\Draft] ` {
			s.t.Error(got)
		}
		list, err := s.Messages(ctx, s.scope, "a", "INBOX", 0, 10)
		if must(s.t, err); list[0].Subject != "one" || !list[0].At.Equal(first.At) || list[0].Size != 17 || fmt.Sprint(list[0].Flags) != `[\Seen $Label]` {
			s.t.Errorf("%+v", list[0])
		}
		_, err = s.Append(ctx, s.scope, "a", mailbox.Inbox, []mailbox.Appended{s.message("0123456789"), s.message("0123456789abcdef")})
		s.check("beyond the quota", err, mailbox.ErrQuota)
		_, err = s.Append(ctx, s.scope, "a", 99, []mailbox.Appended{s.message(large)})
		s.check("no folder", err, mailbox.ErrNoFolder)
		_, err = s.Append(ctx, s.scope, "a", mailbox.Inbox, []mailbox.Appended{s.message("1"), s.message("2", "bad flag")})
		s.check("bad flag", err, mailbox.ErrFlag)
		if f := s.folder("INBOX"); f.UIDNext != 3 || f.Messages != 2 || f.Unseen != 1 || s.usage().Bytes != f.Bytes {
			s.t.Errorf("%+v", f)
		}
	})
}

func TestCopiesAreMessagesOfTheirOwn(t *testing.T) {
	shelves(t, func(s *shelf) {
		ctx := s.t.Context()
		large := strings.Repeat("0123456789abcdef", 8192)
		s.append(mailbox.Inbox, s.message("1"), s.message("22", `\Seen`, "word"), s.message(large))
		to := s.create("copies")
		placed, err := s.Copy(ctx, s.scope, "a", mailbox.Inbox, []uint32{2, 3, 7}, to)
		if must(s.t, err); fmt.Sprint(placed.From, placed.UIDs) != "[2 3] [1 2]" || placed.UIDValidity != s.folder("copies").UIDValidity {
			s.t.Errorf("%+v", placed)
		}
		placed, err = s.Copy(ctx, s.scope, "a", mailbox.Inbox, []uint32{1}, mailbox.Inbox)
		if must(s.t, err); fmt.Sprint(placed.From, placed.UIDs) != "[1] [4]" {
			s.t.Errorf("into the same folder: %+v", placed)
		}
		if got := s.text(to) + s.text(mailbox.Inbox); got != `1[\Seen word] 2[] 1[] 2[\Seen word] 3[] 4[] ` {
			s.t.Error(got)
		}
		s.remove(mailbox.Inbox, 2, 3)
		if s.read(to, 1) != "22" || s.read(to, 2) != large || s.read(mailbox.Inbox, 4) != "1" {
			s.t.Error("other bytes came back")
		}
		if f := s.folder("copies"); f.Messages != 2 || f.Unseen != 1 || f.Bytes != int64(len(large))+2 || s.usage().Bytes != f.Bytes+2 || s.usage().Messages != 4 {
			s.t.Errorf("%+v, %+v", f, s.usage())
		}
		s.quota(int64(len(large)) + 10)
		_, err = s.Copy(ctx, s.scope, "a", to, []uint32{1, 2}, mailbox.Inbox)
		s.check("beyond the quota", err, mailbox.ErrQuota)
		_, err = s.Copy(ctx, s.scope, "a", to, []uint32{1}, 99)
		s.check("to nowhere", err, mailbox.ErrNoFolder)
		if got := s.text(mailbox.Inbox); got != "1[] 4[] " {
			s.t.Error(got)
		}
	})
}

func TestMoveTakesThemAlong(t *testing.T) {
	shelves(t, func(s *shelf) {
		ctx := s.t.Context()
		s.append(mailbox.Inbox, s.message("1"), s.message("22", `\Seen`, "word"), s.message("333", `\Deleted`))
		s.quota(6) // what moves needs no room
		to := s.create("there")
		before := s.folder("INBOX").HighestModSeq
		placed, err := s.Move(ctx, s.scope, "a", mailbox.Inbox, []uint32{1, 2, 3, 9}, to)
		if must(s.t, err); fmt.Sprint(placed.From, placed.UIDs) != "[1 2 3] [1 2 3]" || placed.UIDValidity != s.folder("there").UIDValidity {
			s.t.Errorf("%+v", placed)
		}
		if got := s.text(to) + s.text(mailbox.Inbox); got != `1[] 2[\Seen word] 3[\Deleted] ` || s.read(to, 3) != "333" {
			s.t.Error(got)
		}
		gone, err := s.Vanished(ctx, s.scope, "a", mailbox.Inbox, before)
		in, out := s.folder("INBOX"), s.folder("there")
		if must(s.t, err); fmt.Sprint(gone.UIDs) != "[1 2 3]" || in.Messages+in.Unseen+in.Deleted+in.Bytes != 0 || out.Messages != 3 || out.Unseen != 2 || out.Deleted != 1 || out.Bytes != 6 {
			s.t.Errorf("%v, %+v, %+v", gone, in, out)
		}
		placed, err = s.Move(ctx, s.scope, "a", to, []uint32{2}, to)
		if must(s.t, err); fmt.Sprint(placed.From, placed.UIDs) != "[2] [4]" {
			s.t.Errorf("within the folder: %+v", placed)
		}
		if got := s.text(to); got != `1[] 3[\Deleted] 4[\Seen word] ` {
			s.t.Error(got)
		}
		placed, err = s.Move(ctx, s.scope, "a", to, []uint32{77}, mailbox.Inbox)
		if must(s.t, err); len(placed.UIDs) != 0 || placed.UIDValidity == 0 {
			s.t.Errorf("nothing: %+v", placed)
		}
		_, err = s.Move(ctx, s.scope, "a", to, []uint32{1}, 99)
		s.check("to nowhere", err, mailbox.ErrNoFolder)
		if u := s.usage(); u.Messages != 3 || u.Bytes != 6 {
			s.t.Errorf("%+v", u)
		}
	})
}

func TestExpungeTakesOnlyWhatIsDeleted(t *testing.T) {
	shelves(t, func(s *shelf) {
		ctx := s.t.Context()
		s.append(mailbox.Inbox, s.message("1", `\Deleted`), s.message("2"), s.message("3", `\Deleted`, `\Seen`), s.message("4", `\Deleted`))
		before := s.folder("INBOX").HighestModSeq
		gone, err := s.Expunge(ctx, s.scope, "a", mailbox.Inbox, []uint32{1, 2, 3, 99})
		if must(s.t, err); fmt.Sprint(gone) != "[1 3]" {
			s.t.Error(gone)
		}
		f := s.folder("INBOX")
		if f.Messages != 2 || f.Unseen != 2 || f.Deleted != 1 || f.Bytes != 2 || f.HighestModSeq != before+1 || s.usage().Bytes != 2 {
			s.t.Errorf("%+v", f)
		}
		vanished, err := s.Vanished(ctx, s.scope, "a", mailbox.Inbox, before)
		if must(s.t, err); fmt.Sprint(vanished.UIDs) != "[1 3]" {
			s.t.Error(vanished)
		}
		if vanished, err = s.Vanished(ctx, s.scope, "a", mailbox.Inbox, f.HighestModSeq); err != nil || len(vanished.UIDs) != 0 || vanished.Forgotten {
			s.t.Error(vanished, err)
		}
	})
}

func TestFactsNotesAndBodies(t *testing.T) {
	shelves(t, func(s *shelf) {
		ctx := s.t.Context()
		large := strings.Repeat("0123456789abcdef", 8192)
		first := s.message("1")
		s.append(mailbox.Inbox, first, s.message(large), s.message("333"))
		must(s.t, s.Store.Note(ctx, s.scope, "a", mailbox.Inbox, []mailbox.Note{{UID: 1, Text: []byte("old")}, {UID: 9, Text: []byte("nobody's")}}))
		notes := []mailbox.Note{{UID: 1, Text: []byte("note")}, {UID: 3, Text: make([]byte, mailbox.MaxNote+1)}}
		must(s.t, s.Store.Note(ctx, s.scope, "a", mailbox.Inbox, notes))
		notes[0] = mailbox.Note{UID: 2, Text: []byte("of the next list")}
		to := s.create("there") // what nobody waits for goes before what comes after it
		facts, err := s.Facts(ctx, s.scope, "a", mailbox.Inbox, []uint32{1, 2, 3, 4})
		if must(s.t, err); len(facts) != 3 || string(facts[0].Notes) != "note" || !facts[0].At.Equal(first.At) || facts[1].Size != int64(len(large)) || facts[1].Notes != nil || facts[2].Notes != nil {
			s.t.Errorf("%+v", facts)
		}
		_, err = s.Move(ctx, s.scope, "a", mailbox.Inbox, []uint32{1}, to)
		must(s.t, err)
		if facts, err = s.Facts(ctx, s.scope, "a", to, []uint32{1}); err != nil || string(facts[0].Notes) != "note" {
			s.t.Errorf("after a move: %+v, %v", facts, err)
		}
		seen := ""
		must(s.t, s.Bodies(ctx, s.scope, "a", mailbox.Inbox, []uint32{1, 2, 3, 4}, func(uid uint32, body mailbox.Body, err error) error {
			must(s.t, err)
			part := make([]byte, 3)
			n, err := body.ReadAt(part, body.Size()-3)
			if err != nil && err != io.EOF || n != 3 { //nolint:errorlint // io.EOF comes bare
				s.t.Errorf("UID %d: %d, %v", uid, n, err)
			}
			seen += fmt.Sprintf("%d %d %s ", uid, body.Size(), part)
			return nil
		}))
		if seen != "2 131072 def 3 3 333 " {
			s.t.Error(seen)
		}
		if err := s.Bodies(ctx, s.scope, "a", mailbox.Inbox, []uint32{2, 3}, func(uint32, mailbox.Body, error) error { return io.ErrUnexpectedEOF }); err != io.ErrUnexpectedEOF { //nolint:errorlint // as it was given
			s.t.Error(err)
		}
	})
}

func TestEveryChangeIsAnotherVersion(t *testing.T) {
	shelves(t, func(s *shelf) {
		ctx := s.t.Context()
		to := s.create("there")
		last := int64(-1)
		for what, change := range []func() error{
			func() error { s.append(mailbox.Inbox, s.message("1"), s.message("2")); return nil },
			func() error { s.deliver("", "3"); return nil },
			func() error { s.deliver(`\Junk`, "4"); return nil },
			func() error { s.flags(mailbox.Inbox, mailbox.FlagsAdd, []string{`\Seen`}, 1); return nil },
			func() error { s.remove(mailbox.Inbox, 1); return nil },
			func() error { _, err := s.Copy(ctx, s.scope, "a", mailbox.Inbox, []uint32{2}, to); return err },
			func() error { _, err := s.Move(ctx, s.scope, "a", mailbox.Inbox, []uint32{2}, to); return err },
			func() error { return s.Subscribe(ctx, s.scope, "a", "x", true) },
			func() error { return s.RenameFolder(ctx, s.scope, "a", "there", "here") },
			func() error { return s.DeleteFolder(ctx, s.scope, "a", "here") },
			func() error { s.create("new"); return nil },
		} {
			must(s.t, change())
			versions, err := s.Versions(ctx, system, []string{"a", "nobody"})
			if must(s.t, err); len(versions) != 1 || versions["a"] <= last {
				s.t.Errorf("change %d: %v after %d", what, versions, last)
			}
			last = versions["a"]
		}
	})
}

func TestTheQuotaHoldsFor50DeliveriesOf1MBAndReadersBeside(t *testing.T) {
	engines(t, func(w *world) {
		t, ctx := w.t, w.t.Context()
		const quota, size = 10 << 20, 1 << 20
		must(t, w.Create(ctx, system, mailbox.Mailbox{ID: "a", Account: "acc-a", Quota: quota}))
		blob, err := w.blobs.Create()
		must(t, err)
		content := strings.Repeat("0123456789abcdef", size/16)
		_, err = io.WriteString(blob, content)
		must(t, errors.Join(err, blob.Commit()))
		var wg sync.WaitGroup
		var stored, refused atomic.Int64
		count := func(err error) {
			switch {
			case err == nil:
				stored.Add(1)
			case errors.Is(err, mailbox.ErrQuota):
				refused.Add(1)
			default:
				t.Error(err)
			}
		}
		for range 50 {
			wg.Go(func() {
				m := item("a", content)
				m.Content = coremail.Content{Blob: blob.Name()}
				count(w.Deliver(ctx, system, []mailbox.Item{m})[0])
			})
		}
		for range 5 {
			wg.Go(func() {
				placed, err := w.Copy(ctx, system, "a", mailbox.Inbox, []uint32{1}, 2)
				if err == nil && len(placed.UIDs) == 0 {
					return // before the first delivery
				}
				count(err)
			})
		}
		wg.Wait()
		usage, err := w.Usage(ctx, system, []string{"a"})
		must(t, err)
		entries, err := os.ReadDir(w.blobs.Dir())
		must(t, err)
		if stored.Load() != 10 || refused.Load() == 0 || usage["a"].Bytes != quota || usage["a"].Messages != 10 || len(entries) != 11 {
			t.Errorf("%d stored, %d refused, %+v, %d files", stored.Load(), refused.Load(), usage["a"], len(entries))
		}
	})
}
