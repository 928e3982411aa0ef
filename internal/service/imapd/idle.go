package imapd

import (
	"errors"
	"time"

	"postroad/internal/proto/imap"
)

// waitIdle answers IDLE (RFC 2177): what changes in the selected folder is told until the client says DONE. Clients
// do so for hours: the goroutine gives the session up meanwhile, and this is called again by the next one.
func (s *session) waitIdle(r *imap.Request) error {
	if s.idle == nil {
		s.refresh(true)
		s.out.Continue("idling")
		if err := s.out.Flush(); err != nil {
			return err
		}
		now := time.Now()
		s.idle, s.wait.since, s.wait.settled = r, now, false
		s.wait.inside, s.wait.until = s.in.Buffered() > 0, now.Add(commandTimeout)
	}
	s.idling.Store(true)
	if sel := s.sel; sel != nil && sel.dirty.Load() {
		s.wake(sel)
	}
	s.mu.Unlock()
	err := s.in.Done()
	s.idling.Store(false)
	s.mu.Lock()
	if errors.Is(err, errWaits) {
		return err
	}
	s.idle = nil
	if err != nil {
		return tagged(r, err)
	}
	return s.doneSelected(r, "", true)
}
