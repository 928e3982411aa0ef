package imapd

import (
	"slices"

	"postroad/internal/core/mailbox"
	"postroad/internal/proto/imap"
)

// savedResult is what a SEARCH has saved (RFC 5182): UIDs of the selected folder.
type savedResult struct{ set imap.Set }

// selectFolder answers SELECT and EXAMINE (RFC 9051 §6.3.2, §6.3.3).
func (s *session) selectFolder(r *imap.Request, c imap.Select) error {
	if c.QResync != nil && !s.enabled.qresync {
		return refusal(r, imap.BAD, "", "QRESYNC has to be enabled first.")
	}
	if s.sel != nil {
		s.unselect()
		s.out.Status(imap.OK, imap.CodeClosed, "The mailbox selected before is closed.")
	}
	ctx, store := s.context(), s.service.store
	folder, err := store.Folder(ctx, s.scope, s.box(), c.Mailbox)
	if err != nil {
		return s.failed(r, err)
	}
	sel := &selected{folder: folder.Number, readOnly: c.ReadOnly}
	// Watched from before the first look on, so that no change is missed.
	sel.stop = store.Watch(s.box(), func() { s.wake(sel) })
	index, err := store.Index(ctx, s.scope, s.box(), folder.Number, nil)
	if err != nil {
		sel.stop()
		return s.failed(r, err)
	}
	sel.view, sel.base = index, index
	s.sel = sel
	if c.CondStore {
		s.enabled.condStore = true
	}
	s.describe(index)
	if c.QResync != nil && c.QResync.UIDValidity == index.Folder().UIDValidity {
		if err := s.resync(c.QResync); err != nil {
			s.unselect()
			return s.failed(r, err)
		}
	}
	code := imap.CodeReadWrite
	if c.ReadOnly {
		code = imap.CodeReadOnly
	}
	return s.done(r, code)
}

// describe tells what a selected folder is like.
func (s *session) describe(x *mailbox.Index) {
	f := x.Folder()
	flags := allFlags(x)
	s.out.Flags(flags)
	permanent := append(slices.Clip(flags), `\*`)
	if s.sel.readOnly {
		permanent = nil
	}
	s.out.Status(imap.OK, imap.CodePermanentFlags(permanent), "These flags are kept.")
	s.out.Exists(uint32(x.Len()))
	s.claimRecent(0)
	s.tellRecent()
	if s.enabled.rev2 {
		s.out.List(imap.Listed{Name: f.Name, Attributes: attributesOf(f)})
	} else if n := firstUnseen(x); n > 0 {
		s.out.Status(imap.OK, imap.CodeUnseen(uint32(n)), "The first message that was not read.")
	}
	s.out.Status(imap.OK, imap.CodeUIDValidity(f.UIDValidity), "UIDs are valid.")
	s.out.Status(imap.OK, imap.CodeUIDNext(f.UIDNext), "The next UID.")
	s.out.Status(imap.OK, imap.CodeHighestModSeq(uint64(f.HighestModSeq)), "Changes are numbered.")
}

// firstUnseen gives the number of the first message without \Seen, 0 when there is none.
func firstUnseen(x *mailbox.Index) int {
	for at, e := range x.All() {
		if !e.Flags.Has(mailbox.Seen) {
			return at + 1
		}
	}
	return 0
}

// resync tells a client that has seen the folder before what has changed since (RFC 7162 §3.2.5).
func (s *session) resync(q *imap.QResync) error {
	view := s.sel.view
	gone, err := s.service.store.Vanished(s.context(), s.scope, s.box(), s.sel.folder, int64(q.ModSeq))
	if err != nil {
		return err
	}
	known := func(uid uint32) bool { return q.Known.Empty() || q.Known.Contains(uid, 0) }
	gone = slices.DeleteFunc(gone, func(uid uint32) bool {
		_, there := view.Find(uid)
		return there || !known(uid)
	})
	s.out.Vanished(true, imap.SetOf(gone...))
	for at, e := range view.All() {
		if uint64(e.ModSeq) > q.ModSeq && known(e.UID) {
			s.tellFlags(at, e)
		}
	}
	return nil
}

// unselect leaves the selected folder.
func (s *session) unselect() {
	if s.sel != nil {
		s.sel.stop()
	}
	s.sel, s.saved = nil, savedResult{}
}

// closeFolder answers CLOSE (RFC 9051 §6.4.1).
func (s *session) closeFolder(r *imap.Request) error {
	sel := s.sel
	if !sel.readOnly {
		if _, err := s.service.store.Expunge(s.changing(), s.scope, s.box(), sel.folder, nil); err != nil {
			return s.failed(r, err)
		}
	}
	s.unselect()
	return s.done(r, "")
}
