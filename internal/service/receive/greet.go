package receive

import (
	"syscall"

	"postroad/internal/proto/smtp"
)

// early reports whether the client has sent something before it was greeted. Nothing is waited for: who speaks
// at once is a program that does not read (RFC 5321 §4.3.1).
func (s *session) early() bool {
	sc, ok := s.conn.(syscall.Conn)
	if !ok {
		return false
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return false
	}
	n := 0
	err = raw.Control(func(fd uintptr) {
		var b [1]byte
		n, _, _ = syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
	})
	return err == nil && n > 0
}

func (s *session) greet() {
	s.say(220, smtp.Enhanced{}, s.service.cfg.Hostname+" ESMTP Postroad")
}
