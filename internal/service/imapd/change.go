package imapd

import (
	"slices"

	"postroad/internal/core/mailbox"
	"postroad/internal/proto/imap"
)

// store answers STORE and UID STORE (RFC 9051 §6.4.6, RFC 7162 §3.1.3).
func (s *session) store(r *imap.Request, c imap.Store) error {
	sel := s.sel
	if sel.readOnly {
		return refusal(r, imap.NO, imap.CodeReadOnly, "The mailbox was selected to be read only.")
	}
	list, err := s.spans(r, c.Messages, c.UID)
	if err != nil {
		return err
	}
	change := mailbox.FlagChange{UIDs: s.uids(list), Mode: modeOf(c.Mode), Flags: c.Flags, UnchangedSince: -1}
	if c.HasUnchanged {
		s.enabled.condStore = true
		change.UnchangedSince = int64(c.UnchangedSince)
	}
	if len(change.UIDs) == 0 {
		return s.doneSelected(r, "", c.UID)
	}
	result, err := s.service.store.SetFlags(s.changing(), s.scope, s.box(), sel.folder, change)
	if err != nil {
		s.refresh(c.UID) // what was changed before the error
		return s.failed(r, err)
	}
	sel.withUID = c.UID
	if c.Silent {
		sel.silent = &silence{uids: result.Changed, mode: change.Mode, flags: c.Flags}
	}
	s.refresh(c.UID)
	if s.sel != nil && !c.Silent {
		s.tellUnchanged(change.UIDs, result)
	}
	sel.withUID, sel.silent = false, nil
	if len(result.Failed) == 0 {
		return s.done(r, "")
	}
	failed := result.Failed
	if !c.UID {
		failed = s.numbers(failed)
	}
	s.out.Tagged(r.Tag, imap.OK, imap.CodeModified(imap.SetOf(failed...)), "Some messages have changed since.")
	return nil
}

func modeOf(m imap.StoreMode) mailbox.FlagMode {
	switch m {
	case imap.AddFlags:
		return mailbox.FlagsAdd
	case imap.RemoveFlags:
		return mailbox.FlagsRemove
	default:
		return mailbox.FlagsReplace
	}
}

// tellUnchanged tells the flags of messages that had the wanted ones already: each message is answered for.
func (s *session) tellUnchanged(uids []uint32, result mailbox.FlagResult) {
	for _, uid := range uids {
		if _, changed := slices.BinarySearch(result.Changed, uid); changed {
			continue
		}
		if _, failed := slices.BinarySearch(result.Failed, uid); failed {
			continue
		}
		if at, ok := s.sel.view.Find(uid); ok && !lost(s.sel.view.At(at)) {
			s.tellFlags(at, s.sel.view.At(at))
		}
	}
}

// numbers gives the message numbers of UIDs.
func (s *session) numbers(uids []uint32) []uint32 {
	list := make([]uint32, 0, len(uids))
	for _, uid := range uids {
		if at, ok := s.sel.view.Find(uid); ok {
			list = append(list, uint32(at)+1)
		}
	}
	return list
}

// copy answers COPY and MOVE and the same for UIDs (RFC 9051 §6.4.7, §6.4.8).
func (s *session) copy(r *imap.Request, uid bool, messages imap.Set, name string, move bool) error {
	sel, store, ctx := s.sel, s.service.store, s.changing()
	if move && sel.readOnly {
		return refusal(r, imap.NO, imap.CodeReadOnly, "The mailbox was selected to be read only.")
	}
	list, err := s.spans(r, messages, uid)
	if err != nil {
		return err
	}
	to, err := store.Folder(ctx, s.scope, s.box(), name)
	if err != nil {
		return s.failedTo(r, err)
	}
	uids := s.uids(list)
	if len(uids) == 0 {
		return s.doneSelected(r, "", true)
	}
	place := store.Copy
	if move {
		place = store.Move
	}
	placed, err := place(ctx, s.scope, s.box(), sel.folder, uids, to.Number)
	var code imap.Code
	if len(placed.UIDs) > 0 {
		code = imap.CodeCopyUID(placed.UIDValidity, imap.SetOf(placed.From...), imap.SetOf(placed.UIDs...))
	}
	if move && code != "" {
		s.out.Status(imap.OK, code, "Moved.")
		code = ""
	}
	if err != nil {
		s.refresh(true)
		return s.failedTo(r, err)
	}
	return s.doneSelected(r, code, true)
}

// expunge answers EXPUNGE and UID EXPUNGE (RFC 9051 §6.4.3, §6.4.9).
func (s *session) expunge(r *imap.Request, c imap.Expunge) error {
	sel := s.sel
	if sel.readOnly {
		return refusal(r, imap.NO, imap.CodeReadOnly, "The mailbox was selected to be read only.")
	}
	var uids []uint32 // all that have \Deleted
	if c.UID {
		list, err := s.spans(r, c.Messages, true)
		if err != nil {
			return err
		}
		if uids = s.uids(list); len(uids) == 0 {
			return s.doneSelected(r, "", true)
		}
	}
	if _, err := s.service.store.Expunge(s.changing(), s.scope, s.box(), sel.folder, uids); err != nil {
		s.refresh(true)
		return s.failed(r, err)
	}
	s.refresh(true)
	var code imap.Code
	if s.enabled.condStore && s.sel != nil {
		code = imap.CodeHighestModSeq(uint64(s.sel.view.Folder().HighestModSeq))
	}
	return s.done(r, code)
}
