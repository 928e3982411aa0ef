package control

import "postroad/internal/service/control/sendings"

// SendingInfo is what a sender has sent, as listings show it.
type SendingInfo = sendings.SendingInfo

// Sending lists what senders in scope have sent today, of one domain and its logins or of all (empty).
func (s *Service) Sending(actor Actor, domain string) ([]SendingInfo, error) {
	return sendings.List(s.o.Sending, actor, s.current.Load(), domain)
}
