package deliver

import (
	"sync"
	"time"

	"postroad/internal/core/routing"
	"postroad/internal/proto/smtp"
)

// How long it holds what a next hop has offered. What it lacks is forgotten soon: mail that is refused for it brings
// no new EHLO by which to learn that the host has changed.
const (
	offerTime   = 24 * time.Hour
	lackTime    = time.Hour
	maxOffering = 4096 // next hops that are remembered
)

// offers remembers what explicit next hops offered in their last EHLO. It implements routing.Hops.
type offers struct {
	mu   sync.Mutex
	last map[routing.Hop]offer
}

type offer struct {
	utf8 bool
	size int64 // the largest message in octets; 0 and less: no limit told
	at   time.Time
}

// note remembers the EHLO of a target.
func (o *offers) note(t target, ext smtp.Extensions) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.last == nil || len(o.last) >= maxOffering {
		o.last = map[routing.Hop]offer{} // what is forgotten is learned again
	}
	o.last[routing.Hop{Host: t.host, Port: t.addr.Port()}] = offer{utf8: ext.SMTPUTF8, size: ext.Size, at: time.Now()}
}

// of gives what a hop offered, and how long ago.
func (o *offers) of(h routing.Hop) (last offer, age time.Duration, known bool) {
	o.mu.Lock()
	last, known = o.last[h]
	o.mu.Unlock()
	if !known {
		return last, 0, false
	}
	age = time.Since(last.at)
	return last, age, age < offerTime
}

// UTF8 implements routing.Hops.
func (o *offers) UTF8(h routing.Hop) (routing.Answer, time.Duration) {
	last, age, known := o.of(h)
	return answer(last.utf8, age, known)
}

// Takes implements routing.Hops.
func (o *offers) Takes(h routing.Hop, size int64) (routing.Answer, time.Duration) {
	last, age, known := o.of(h)
	return answer(last.size <= 0 || size <= last.size, age, known)
}

func answer(yes bool, age time.Duration, known bool) (routing.Answer, time.Duration) {
	switch {
	case !known, !yes && age >= lackTime:
		return routing.Unknown, 0
	case yes:
		return routing.Yes, age
	}
	return routing.No, age
}

// Hops tells what explicit next hops offered in their last EHLO: for a day what they have, for an hour what they lack.
func (s *Service) Hops() routing.Hops { return &s.offers }
