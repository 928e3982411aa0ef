package imapd

import (
	"iter"
	"slices"

	"postroad/internal/core/mailbox"
	"postroad/internal/proto/imap"
)

// removed gives which UIDs of a set, of all when it is empty, the client has to be told of that were removed after a
// MODSEQ. Up to the UID after it knows what is there. Where removals so far back are not remembered, those are all that
// are not there (RFC 7162 §3.2.5.1, §3.2.7).
func (s *session) removed(since uint64, set imap.Set, after uint32) (imap.Set, error) {
	gone, err := s.service.store.Vanished(s.context(), s.scope, s.box(), s.sel.folder, int64(since))
	if err != nil {
		return imap.Set{}, err
	}
	view := s.sel.view
	largest := view.Folder().UIDNext - 1
	if set.Empty() {
		set = imap.NewSet(imap.Range{From: 1, To: max(largest, 1)})
	}
	if gone.Forgotten {
		return absent(view, set.Ranges(largest), after), nil
	}
	return imap.SetOf(slices.DeleteFunc(gone.UIDs, func(uid uint32) bool {
		_, there := view.Find(uid)
		return there || uid <= after || !set.Contains(uid, largest)
	})...), nil
}

// absent gives the UIDs of ranges, above one of them, that were given to messages and are not there.
func absent(view *mailbox.Index, ranges []imap.Range, after uint32) imap.Set {
	var gaps []imap.Range
	for _, r := range ranges {
		from, to := max(uint64(r.From), uint64(after)+1), min(uint64(r.To), uint64(view.Folder().UIDNext)-1)
		if from > to {
			continue
		}
		at, _ := view.Find(uint32(from))
		for _, e := range view.Range(at, view.Len()) {
			uid := uint64(e.UID)
			if uid > to {
				break
			}
			if uid > from {
				gaps = append(gaps, imap.Range{From: uint32(from), To: e.UID - 1})
			}
			from = uid + 1
		}
		if from <= to {
			gaps = append(gaps, imap.Range{From: uint32(from), To: uint32(to)})
		}
	}
	return imap.NewSet(gaps...)
}

// matched gives the UID up to which the client knows what is there: a message has the number that the client knows for
// it, so that none before it was removed (RFC 7162 §3.2.5.2).
func (s *session) matched(q *imap.QResync) uint32 {
	view, best := s.sel.view, uint32(0)
	next, stop := iter.Pull(q.UIDs.All())
	defer stop()
	for number := range q.Numbers.All() {
		uid, ok := next()
		if !ok || int64(number) > int64(view.Len()) || view.At(int(number)-1).UID != uid {
			break
		}
		best = uid
	}
	return best
}
