package mail_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"postroad/internal/core/mailbox"
)

// names lists the folders with their special uses, subscribed ones with a plus.
func (s *shelf) names() string {
	s.t.Helper()
	list, err := s.Folders(s.t.Context(), s.scope, "a")
	must(s.t, err)
	var out []string
	for _, f := range list {
		text := f.Name + f.SpecialUse
		if f.Subscribed {
			text += "+"
		}
		out = append(out, text)
	}
	return strings.Join(out, " ")
}

const standard = `INBOX+ Archive\Archive+ Drafts\Drafts+ Junk\Junk+ Sent\Sent+ Trash\Trash+`

func (s *shelf) check(what string, err, want error) {
	s.t.Helper()
	if !errors.Is(err, want) {
		s.t.Errorf("%s: %v instead of %v", what, err, want)
	}
}

func TestANewMailboxHasTheFoldersThatClientsLookFor(t *testing.T) {
	shelves(t, func(s *shelf) {
		if got := s.names(); got != standard {
			s.t.Error(got)
		}
		list, err := s.Folders(s.t.Context(), s.scope, "a")
		must(s.t, err)
		validities := map[uint32]bool{}
		for _, f := range list {
			validities[f.UIDValidity] = true
		}
		if len(validities) != len(list) || list[0].Number != mailbox.Inbox || validities[0] {
			s.t.Errorf("%+v", list)
		}
		s.quota(5)
		if got := s.names(); got != standard {
			s.t.Errorf("a changed quota changed the folders: %s", got)
		}
	})
}

func TestFoldersAreMade(t *testing.T) {
	shelves(t, func(s *shelf) {
		ctx := s.t.Context()
		made := s.create("a/b/c")
		if got := s.names(); got != `INBOX+ Archive\Archive+ Drafts\Drafts+ Junk\Junk+ Sent\Sent+ Trash\Trash+ a a/b a/b/c` {
			s.t.Error(got)
		}
		_, err := s.CreateFolder(ctx, s.scope, "a", "a/b", "")
		s.check("once more", err, mailbox.ErrExists)
		_, err = s.CreateFolder(ctx, s.scope, "a", "Sent2", `\Sent`)
		s.check("a second use", err, mailbox.ErrUse)
		if f := s.folder("a/b/c"); f.Number != made || f.UIDNext != 1 || f.HighestModSeq != 1 {
			s.t.Errorf("%+v", f)
		}
		must(s.t, s.DeleteFolder(ctx, s.scope, "a", "Sent"))
		f, err := s.CreateFolder(ctx, s.scope, "a", "Sent2", `\Sent`)
		if err != nil || f.SpecialUse != `\Sent` {
			s.t.Errorf("%+v, %v", f, err)
		}
		_, err = s.CreateFolder(ctx, s.scope, "b", "x", "")
		s.check("in no mailbox", err, mailbox.ErrNoMailbox)
	})
}

func TestANameThatComesBackIsAnotherFolder(t *testing.T) {
	shelves(t, func(s *shelf) {
		s.create("x")
		seen := map[int64]bool{s.folder("x").Number: true}
		validity := s.folder("x").UIDValidity
		for range 5 {
			must(s.t, s.DeleteFolder(s.t.Context(), s.scope, "a", "x"))
			s.create("x")
			f := s.folder("x")
			if seen[f.Number] || f.UIDValidity <= validity {
				s.t.Fatalf("number %d, UIDVALIDITY %d after %d", f.Number, f.UIDValidity, validity)
			}
			seen[f.Number], validity = true, f.UIDValidity
		}
	})
}

func TestRenameTakesWhatLiesBelow(t *testing.T) {
	shelves(t, func(s *shelf) {
		ctx := s.t.Context()
		top, low := s.create("old"), s.create("old/x/y")
		uid := s.append(low, s.message("m"))[0]
		s.create("older")
		must(s.t, s.Subscribe(ctx, s.scope, "a", "old/x/y", true))
		must(s.t, s.Subscribe(ctx, s.scope, "a", "old/gone", true))
		validity := s.folder("old/x/y").UIDValidity
		for what, want := range map[string]error{
			"old old/z": mailbox.ErrName, "old Sent": mailbox.ErrExists, "none new": mailbox.ErrNoFolder, "old old": mailbox.ErrExists,
		} {
			from, to, _ := strings.Cut(what, " ")
			s.check(what, s.RenameFolder(ctx, s.scope, "a", from, to), want)
		}
		must(s.t, s.RenameFolder(ctx, s.scope, "a", "old", "up/new"))
		if got := s.names(); got != standard+" older up up/new up/new/x up/new/x/y+" {
			s.t.Error(got)
		}
		if f := s.folder("up/new/x/y"); f.Number != low || f.UIDValidity != validity || s.folder("up/new").Number != top || s.read(low, uid) != "m" {
			s.t.Errorf("%+v", f)
		}
		names, err := s.Subscriptions(ctx, s.scope, "a")
		if must(s.t, err); !slices.Contains(names, "up/new/gone") || slices.Contains(names, "old/gone") {
			s.t.Error(names)
		}
		// What lies below moves up into the place of its own parent.
		s.create("p/p/p")
		must(s.t, s.RenameFolder(ctx, s.scope, "a", "p/p", "q"))
		must(s.t, s.DeleteFolder(ctx, s.scope, "a", "p"))
		must(s.t, s.RenameFolder(ctx, s.scope, "a", "q/p", "p/p"))
		must(s.t, s.RenameFolder(ctx, s.scope, "a", "q", "p/p/p"))
		must(s.t, s.DeleteFolder(ctx, s.scope, "a", "p"))
		must(s.t, s.RenameFolder(ctx, s.scope, "a", "p/p", "p"))
		if got := s.names(); got != standard+" older p p/p up up/new up/new/x up/new/x/y+" {
			s.t.Error(got)
		}
		s.create("taken/x")
		must(s.t, s.DeleteFolder(ctx, s.scope, "a", "taken"))
		s.check("below it", s.RenameFolder(ctx, s.scope, "a", "up/new", "taken"), mailbox.ErrExists)
		s.check("too long", s.RenameFolder(ctx, s.scope, "a", "up", strings.Repeat("x", mailbox.MaxName-3)), mailbox.ErrName)
	})
}

func TestRenameOfINBOXLeavesIt(t *testing.T) {
	shelves(t, func(s *shelf) {
		ctx := s.t.Context()
		s.create("INBOX/below")
		s.append(mailbox.Inbox, s.message("1"), s.message("2", `\Seen`), s.message("3", `\Deleted`))
		s.remove(mailbox.Inbox, 1)
		before := s.folder("INBOX")
		must(s.t, s.RenameFolder(ctx, s.scope, "a", "INBOX", "old/mail"))
		to := s.folder("old/mail")
		if to.Messages != 2 || to.Unseen != 1 || to.Deleted != 1 || to.Bytes != 2 || to.UIDNext != 4 || to.HighestModSeq < before.HighestModSeq || to.UIDValidity == before.UIDValidity {
			s.t.Errorf("%+v", to)
		}
		if got := s.text(to.Number); got != `2[\Seen] 3[\Deleted] ` || s.read(to.Number, 2) != "2" {
			s.t.Error(got)
		}
		in := s.folder("INBOX")
		gone, err := s.Vanished(ctx, s.scope, "a", mailbox.Inbox, before.HighestModSeq)
		if must(s.t, err); fmt.Sprint(gone.UIDs) != "[2 3]" || in.Messages != 0 || in.Unseen != 0 || in.Bytes != 0 || in.UIDNext != 4 || in.HighestModSeq <= before.HighestModSeq {
			s.t.Errorf("%v, %+v", gone, in)
		}
		if got := s.names(); !strings.Contains(got, "INBOX+ ") || !strings.Contains(got, "INBOX/below") {
			s.t.Error(got)
		}
		s.deliver("", "4")
		if got := s.text(mailbox.Inbox); got != "4[] " {
			s.t.Error(got)
		}
	})
}

func TestDeleteTakesTheMessagesAndLeavesWhatLiesBelow(t *testing.T) {
	shelves(t, func(s *shelf) {
		ctx := s.t.Context()
		n := s.create("x")
		low := s.create("x/y")
		large := strings.Repeat("0123456789abcdef", 8192)
		s.append(n, s.message("12345"), s.message(large))
		uid := s.append(low, s.message("12"))[0]
		s.remove(n, 1)
		must(s.t, s.Subscribe(ctx, s.scope, "a", "x", true))
		must(s.t, s.DeleteFolder(ctx, s.scope, "a", "x"))
		if got := s.names(); got != standard+" x/y" {
			s.t.Error(got)
		}
		if u := s.usage(); u.Messages != 1 || u.Bytes != 2 {
			s.t.Errorf("%+v", u)
		}
		_, err := s.Index(ctx, s.scope, "a", n, nil)
		s.check("its index", err, mailbox.ErrNoFolder)
		s.check("once more", s.DeleteFolder(ctx, s.scope, "a", "x"), mailbox.ErrNoFolder)
		s.check("INBOX", s.DeleteFolder(ctx, s.scope, "a", "INBOX"), mailbox.ErrName)
		if s.read(low, uid) != "12" {
			s.t.Error("the folder below lost its message")
		}
		s.create("x")
		if got := s.names(); got != standard+" x+ x/y" {
			s.t.Error(got)
		}
	})
}

func TestNamesAreSubscribedWithoutAFolder(t *testing.T) {
	shelves(t, func(s *shelf) {
		ctx := s.t.Context()
		must(s.t, s.Subscribe(ctx, s.scope, "a", "news", true))
		must(s.t, s.Subscribe(ctx, s.scope, "a", "news", true))
		must(s.t, s.Subscribe(ctx, s.scope, "a", "Sent", false))
		must(s.t, s.Subscribe(ctx, s.scope, "a", "never", false))
		names, err := s.Subscriptions(ctx, s.scope, "a")
		if must(s.t, err); fmt.Sprint(names) != "[Archive Drafts INBOX Junk Trash news]" {
			s.t.Error(names)
		}
		_, err = s.Subscriptions(ctx, s.scope, "b")
		s.check("of nobody", err, mailbox.ErrNoMailbox)
	})
}

func TestMailGoesToTheFolderForItsUse(t *testing.T) {
	shelves(t, func(s *shelf) {
		ctx := s.t.Context()
		s.deliver(`\Junk`, "1")
		junk := s.folder("Junk")
		if got := s.text(junk.Number) + s.text(mailbox.Inbox); got != "1[] " || junk.Unseen != 1 || junk.Bytes != 1 {
			s.t.Errorf("%s, %+v", got, junk)
		}
		must(s.t, s.RenameFolder(ctx, s.scope, "a", "Junk", "Spam"))
		s.deliver(`\Junk`, "2")
		if got := s.text(junk.Number); got != "1[] 2[] " {
			s.t.Error(got)
		}
		must(s.t, s.DeleteFolder(ctx, s.scope, "a", "Spam"))
		s.deliver(`\Junk`, "3")
		if f := s.folder("Junk"); f.Messages != 1 || f.SpecialUse != `\Junk` || !f.Subscribed {
			s.t.Errorf("%+v", f)
		}
		must(s.t, s.DeleteFolder(ctx, s.scope, "a", "Junk"))
		s.create("Junk")
		s.deliver(`\Junk`, "4")
		if f := s.folder("Junk"); f.Messages != 1 || f.SpecialUse != "" {
			s.t.Errorf("%+v", f)
		}
		if u := s.usage(); u.Messages != 1 || u.Bytes != 1 {
			s.t.Errorf("%+v", u)
		}
	})
}
