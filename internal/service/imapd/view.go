package imapd

import (
	"cmp"
	"errors"
	"slices"
	"sync/atomic"

	"postroad/internal/core/mailbox"
	"postroad/internal/proto/imap"
)

// selected is the folder that a session has selected.
type selected struct {
	folder   int64
	readOnly bool
	told     mailbox.Summary // what the client was told when it selected the folder
	view     *mailbox.Index  // as the client knows it: message numbers are places in it; nil before the first look
	base     *mailbox.Index  // as the store last gave it; another one than view while expunges are not told yet
	recent   []imap.Range    // UIDs of messages that are \Recent here
	silent   *silence        // a change of flags that the client is not told of
	withUID  bool            // responses are to a UID command
	dirty    atomic.Bool     // the mailbox may have changed since base
	stop     func()          // ends the watch
}

// wake is called by whoever has changed the mailbox.
func (s *session) wake(sel *selected) {
	sel.dirty.Store(true)
	if s.idling.Load() && s.telling.CompareAndSwap(false, true) {
		go s.tell(sel)
	}
}

// tell tells an idling client what has changed.
func (s *session) tell(sel *selected) {
	defer func() {
		if p := recover(); p != nil {
			s.client.Panicked(p)
			s.hangUp()
		}
	}()
	for {
		s.mu.Lock()
		if s.idling.Load() && s.sel == sel {
			s.refresh(true)
			if s.out.Flush() != nil || s.sel == nil {
				s.hangUp()
			}
		}
		s.mu.Unlock()
		s.telling.Store(false)
		if !sel.dirty.Load() || !s.idling.Load() || !s.telling.CompareAndSwap(false, true) {
			return
		}
	}
}

// refresh takes over what has changed in the selected folder and tells the client (RFC 9051 §5.2). Without expunge
// messages that are gone keep their numbers, and are told of later (RFC 9051 §7.5.1).
func (s *session) refresh(expunge bool) {
	sel := s.sel
	if sel == nil || !sel.dirty.Swap(false) && (sel.view == sel.base || !expunge) {
		return
	}
	var next *mailbox.Index
	err := s.look(expunge)
	if err == nil {
		next, err = s.service.store.Index(s.context(), s.scope, s.box(), sel.folder, sel.base)
	}
	switch {
	case errors.Is(err, mailbox.ErrNoFolder), errors.Is(err, mailbox.ErrNoMailbox):
		s.end("The selected mailbox was deleted.")
		return
	case errors.Is(err, errTooMuch):
		s.end(tooMuch)
		return
	case err != nil:
		sel.dirty.Store(true) // told later
		if !s.ended() {
			s.service.log.Error("changes not seen", "mailbox", s.box(), "error", err)
		}
		return
	}
	sel.base = next
	s.adopt(next, expunge)
}

// errTooMuch says that nobody knows any more which messages the client was told of.
var errTooMuch = errors.New("too much has changed since the folder was selected")

// tooMuch is what the client is told then.
const tooMuch = "Too much has changed in the mailbox since it was selected."

// look reads the messages of the selected folder when they are first needed: most sessions that only wait for new mail
// never do. What has changed since the client was told of the folder is told now, of expunges where that is allowed.
func (s *session) look(expunge bool) error {
	sel := s.sel
	if sel.view != nil {
		return nil
	}
	ctx, store := s.context(), s.service.store
	index, err := store.Index(ctx, s.scope, s.box(), sel.folder, nil)
	if err != nil {
		return err
	}
	view, told := index, sel.told.Folder
	if index.Folder().HighestModSeq != told.HighestModSeq || !slices.Equal(index.Keywords(), sel.told.Keywords) {
		gone, err := store.Vanished(ctx, s.scope, s.box(), sel.folder, told.HighestModSeq)
		if err != nil {
			return err
		}
		var ok bool
		if view, ok = index.Before(told, sel.told.Keywords, gone.UIDs); !ok {
			return errTooMuch
		}
	}
	sel.view, sel.base, sel.told.Keywords = view, index, nil
	s.adopt(index, expunge)
	return nil
}

// lost is an entry of a message that was gone, or had changed, before the session looked at the folder first.
func lost(e mailbox.Entry) bool { return e.ModSeq == 0 }

// adopt tells the client the difference between what it knows and an index, which becomes what it knows.
func (s *session) adopt(next *mailbox.Index, expunge bool) {
	sel := s.sel
	if sel.view == next {
		return
	}
	d := next.Since(sel.view)
	before := sel.view
	s.tellKeywords(next)
	switch {
	case len(d.Gone) == 0:
	case expunge:
		s.tellGone(d.Gone)
	default:
		changed := slices.Concat(d.Changed, d.New, unnamed(before, next, d.Gone))
		slices.SortFunc(changed, func(a, b mailbox.Entry) int { return cmp.Compare(a.UID, b.UID) })
		next = before.Apply(next.Folder(), next.Keywords(), changed, nil)
	}
	sel.view = next
	if len(d.New) > 0 {
		s.claimRecent(d.New[0].UID, next.Folder().UIDNext)
		s.out.Exists(uint32(next.Len()))
		s.tellRecent()
	}
	for _, e := range d.Changed {
		at, ok := next.Find(e.UID)
		if !ok {
			continue
		}
		if was, _ := before.Find(e.UID); sel.silent.covers(before.At(was), e, next.Keywords()) {
			if s.enabled.condStore {
				s.tellModSeq(at, e)
			}
			continue
		}
		s.tellFlags(at, e)
	}
	sel.silent = nil
}

// unnamed gives those messages that are gone with the flags that they keep: a keyword that gave way to another one does
// not become that.
func unnamed(before, next *mailbox.Index, gone []uint32) []mailbox.Entry {
	var freed mailbox.Flags
	for n, name := range before.Keywords() {
		if name != "" && (n >= len(next.Keywords()) || next.Keywords()[n] != name) {
			freed |= mailbox.Keyword(n)
		}
	}
	var list []mailbox.Entry
	for _, uid := range gone {
		at, _ := before.Find(uid)
		if e := before.At(at); e.Flags&freed != 0 {
			e.Flags &^= freed
			list = append(list, e)
		}
	}
	return list
}

// tellGone tells of messages that are gone, from the last to the first, so that each number is what the client has.
func (s *session) tellGone(gone []uint32) {
	if s.enabled.qresync {
		s.out.Vanished(false, imap.SetOf(gone...))
		return
	}
	for _, uid := range slices.Backward(gone) {
		if at, ok := s.sel.view.Find(uid); ok {
			s.out.Expunge(uint32(at) + 1)
		}
	}
}

// tellKeywords tells the client of new keywords.
func (s *session) tellKeywords(next *mailbox.Index) {
	if !slices.Equal(next.Keywords(), s.sel.view.Keywords()) {
		s.out.Flags(allFlags(next.Keywords()))
	}
}

// tellFlags tells the flags of one message, at a place of the view.
func (s *session) tellFlags(at int, e mailbox.Entry) {
	f := s.out.Fetch(uint32(at) + 1)
	if s.enabled.qresync || s.enabled.rev2 || s.sel.withUID {
		f.UID(e.UID)
	}
	f.Flags(s.flagNames(e))
	if s.enabled.condStore {
		f.ModSeq(uint64(e.ModSeq))
	}
	f.End()
}

// tellModSeq tells that a message has changed as its client knows (RFC 7162 §3.1.3).
func (s *session) tellModSeq(at int, e mailbox.Entry) {
	f := s.out.Fetch(uint32(at) + 1)
	f.UID(e.UID)
	f.ModSeq(uint64(e.ModSeq))
	f.End()
}

// silence is a change of flags that the client has made and wants no word of (RFC 9051 §6.4.6).
type silence struct {
	uids  []uint32 // growing
	mode  mailbox.FlagMode
	flags []string
}

// covers reports whether a message has changed as the client thinks that it has: when somebody else changed it too,
// there is something to tell.
func (q *silence) covers(before, now mailbox.Entry, keywords []string) bool {
	if q == nil {
		return false
	}
	if _, is := slices.BinarySearch(q.uids, now.UID); !is {
		return false
	}
	var mask mailbox.Flags
	for _, name := range q.flags {
		if flag, ok := mailbox.SystemFlag(name); ok {
			mask |= flag
		} else if n := mailbox.FindKeyword(keywords, name); n >= 0 {
			mask |= mailbox.Keyword(n)
		}
	}
	switch q.mode {
	case mailbox.FlagsAdd:
		return now.Flags == before.Flags|mask
	case mailbox.FlagsRemove:
		return now.Flags == before.Flags&^mask
	case mailbox.FlagsReplace:
		return now.Flags == mask
	}
	return false
}

// flagNames gives the flags of a message as this session sees them.
func (s *session) flagNames(e mailbox.Entry) []string {
	names := s.sel.view.Names(e.Flags)
	if !s.enabled.rev2 && s.sel.isRecent(e.UID) {
		names = append(names, `\Recent`)
	}
	return names
}

// allFlags are the flags of a folder's messages with a mailbox's keywords (RFC 9051 §7.3.5).
func allFlags(keywords []string) []string {
	list := mailbox.SystemFlags()
	for _, k := range keywords {
		if k != "" {
			list = append(list, k)
		}
	}
	return list
}

// span is the messages of a view from one place up to before another one.
type span struct{ from, to int }

// spans gives the messages of a set. Message numbers must be there; UIDs need not (RFC 9051 §6.4.9).
func (s *session) spans(r *imap.Request, set imap.Set, uid bool) ([]span, error) {
	n := uint32(s.sel.view.Len())
	if !uid && !set.Saved && (set.Max() > n || n == 0 && !set.Empty()) {
		return nil, refusal(r, imap.BAD, "", "There is no message of this number.")
	}
	return s.within(set, uid), nil
}

// within gives the messages of a set that are there.
func (s *session) within(set imap.Set, uid bool) []span {
	view := s.sel.view
	if set.Saved {
		set, uid = s.saved.set, true
	}
	largest := uint32(view.Len())
	if uid && largest > 0 {
		largest = view.At(view.Len() - 1).UID
	}
	var list []span
	for _, part := range set.Ranges(largest) {
		at := span{int(part.From) - 1, min(int(part.To), view.Len())}
		if uid {
			at.from, _ = view.Find(part.From)
			last, found := view.Find(part.To)
			if found {
				last++
			}
			at.to = last
		}
		if at.from < at.to {
			list = append(list, at)
		}
	}
	return list
}

// uids gives the UIDs of spans, growing.
func (s *session) uids(list []span) []uint32 {
	n := 0
	for _, at := range list {
		n += at.to - at.from
	}
	uids := make([]uint32, 0, n)
	for _, at := range list {
		for _, e := range s.sel.view.Range(at.from, at.to) {
			uids = append(uids, e.UID)
		}
	}
	return uids
}
