package imapd

import (
	"postroad/internal/proto/imap"
)

// idle answers IDLE (RFC 2177): what changes in the selected folder is told until the client says DONE.
func (s *session) idle(r *imap.Request) error {
	s.refresh(true)
	s.out.Continue("idling")
	if err := s.out.Flush(); err != nil {
		return err
	}
	s.wait.inside = s.in.Buffered() > 0
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
