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
	sel := &selected{readOnly: c.ReadOnly}
	// Watched from before the first look on, so that no change is missed.
	sel.stop = store.Watch(s.box(), func() { s.wake(sel) })
	told, err := store.Summary(ctx, s.scope, s.box(), c.Mailbox)
	if err != nil {
		sel.stop()
		return s.failed(r, err)
	}
	sel.folder, sel.told, s.sel = told.Number, told, sel
	if c.CondStore {
		s.enabled.condStore = true
	}
	recent := s.claimRecent(0, told.UIDNext) && !s.enabled.rev2
	resync := c.QResync != nil && c.QResync.UIDValidity == told.UIDValidity && c.QResync.ModSeq < uint64(told.HighestModSeq)
	if recent || resync { // it cannot be told without the messages
		if err := s.lookBefore(); err != nil {
			s.unselect()
			return s.failed(r, err)
		}
	}
	s.describe(sel.told)
	if resync {
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

// lookBefore reads the messages of a folder that the client is yet to be told of.
func (s *session) lookBefore() error {
	sel := s.sel
	index, err := s.service.store.Index(s.context(), s.scope, s.box(), sel.folder, nil)
	if err != nil {
		return err
	}
	next := sel.told.UIDNext
	sel.view, sel.base = index, index
	sel.told = mailbox.Summary{Folder: index.Folder(), Keywords: index.Keywords(), FirstUnseen: firstUnseen(index)}
	if later := index.Folder().UIDNext; later > next {
		s.claimRecent(next, later)
	}
	return nil
}

// describe tells what a selected folder is like.
func (s *session) describe(f mailbox.Summary) {
	flags := allFlags(f.Keywords)
	s.out.Flags(flags)
	permanent := append(slices.Clip(flags), `\*`)
	if s.sel.readOnly {
		permanent = nil
	}
	s.out.Status(imap.OK, imap.CodePermanentFlags(permanent), "These flags are kept.")
	s.out.Exists(uint32(f.Messages))
	s.tellRecent()
	if s.enabled.rev2 {
		s.out.List(imap.Listed{Name: f.Name, Attributes: attributesOf(f.Folder)})
	} else if f.FirstUnseen > 0 {
		s.out.Status(imap.OK, imap.CodeUnseen(uint32(f.FirstUnseen)), "The first message that was not read.")
	}
	s.out.Status(imap.OK, imap.CodeUIDValidity(f.UIDValidity), "UIDs are valid.")
	s.out.Status(imap.OK, imap.CodeUIDNext(f.UIDNext), "The next UID.")
	s.out.Status(imap.OK, imap.CodeHighestModSeq(uint64(f.HighestModSeq)), "Changes are numbered.")
}

// firstUnseen gives the number of the first message without \Seen, 0 when there is none.
func firstUnseen(x *mailbox.Index) int64 {
	for at, e := range x.All() {
		if !e.Flags.Has(mailbox.Seen) {
			return int64(at) + 1
		}
	}
	return 0
}

// resync tells a client that has seen the folder before what has changed since (RFC 7162 §3.2.5).
func (s *session) resync(q *imap.QResync) error {
	gone, err := s.removed(q.ModSeq, q.Known, s.matched(q))
	if err != nil {
		return err
	}
	s.out.Vanished(true, gone)
	for at, e := range s.sel.view.All() {
		if uint64(e.ModSeq) > q.ModSeq && (q.Known.Empty() || q.Known.Contains(e.UID, 0)) {
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
