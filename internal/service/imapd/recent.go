package imapd

import (
	"sync"

	"postroad/internal/proto/imap"
)

// maxRecents is how many folders are remembered.
const maxRecents = 100_000

// recents remembers up to where the messages of folders were told to a session that may change them: later ones are
// \Recent to the next such session, and to it alone (RFC 3501 §2.3.2). What was before the program's start is not
// recent. The zero value remembers nothing.
type recents struct {
	mu   sync.Mutex
	told map[recentKey]uint32
}

type recentKey struct {
	box    string
	folder int64
}

// claim gives which of the UIDs below next nobody was told of, from one UID on at the earliest; they are the
// caller's then. from is 0 for a session that begins.
func (r *recents) claim(at recentKey, from, next uint32) (recent imap.Range, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	told, known := r.told[at]
	if !known {
		told = next
		if from > 0 {
			told = from
		}
		if r.told == nil || len(r.told) >= maxRecents {
			r.told = map[recentKey]uint32{}
		}
	}
	from = max(from, told)
	r.told[at] = max(told, next)
	return imap.Range{From: from, To: next - 1}, from < next
}

// claimRecent makes messages recent in this session that no other one was told of, and says whether there are any.
func (s *session) claimRecent(from, next uint32) bool {
	sel := s.sel
	if sel.readOnly {
		return false
	}
	claimed, ok := s.service.recent.claim(recentKey{s.box(), sel.folder}, from, next)
	if ok {
		sel.recent = append(sel.recent, claimed)
	}
	return ok
}

func (sel *selected) isRecent(uid uint32) bool {
	for _, r := range sel.recent {
		if r.From <= uid && uid <= r.To {
			return true
		}
	}
	return false
}

// tellRecent tells how many messages are recent; IMAP4rev2 has no such thing.
func (s *session) tellRecent() {
	if s.enabled.rev2 {
		return
	}
	n := 0
	for _, r := range s.sel.recent {
		from, _ := s.sel.view.Find(r.From)
		to, found := s.sel.view.Find(r.To)
		if found {
			to++
		}
		n += to - from
	}
	s.out.Recent(uint32(n))
}
