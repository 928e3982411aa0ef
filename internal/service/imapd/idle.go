package imapd

import (
	"time"

	"postroad/internal/proto/imap"
)

// beginIdle answers IDLE (RFC 2177): what changes in the selected folder is told until the client says DONE. Clients
// do so for hours: the goroutine hands the session over at once.
func (s *session) beginIdle(r *imap.Request) error {
	if s.idle == nil {
		s.refresh(true)
		s.out.Continue("idling")
		if err := s.out.Flush(); err != nil {
			return err
		}
		s.idle, s.wait.since = r, time.Now()
		return errWaits
	}
	s.idle = nil
	s.idling.Store(true)
	if sel := s.sel; sel != nil && sel.dirty.Load() {
		s.wake(sel)
	}
	s.mu.Unlock()
	err := s.in.Done()
	s.idling.Store(false)
	s.mu.Lock()
	if err != nil {
		return tagged(r, err)
	}
	return s.doneSelected(r, "", true)
}
