package routing

import (
	"postroad/internal/core/directory"
	"postroad/internal/core/mail"
)

// Onward is the lane by which a domain's mail goes to its real server: its explicit hosts, else its exchangers. Who asks
// the real server about a recipient asks the hosts of this lane.
func Onward(dom *directory.Domain) mail.Lane {
	switch {
	case len(dom.NextHops) == 0:
		return mail.MakeLane(mail.TransportRemote, dom.Name)
	case dom.NextHops[0].LMTP:
		return mail.MakeLane(mail.TransportLMTP, dom.HopList())
	}
	return mail.MakeLane(mail.TransportRelay, dom.HopList())
}
