package routing

import (
	"strconv"
	"time"
)

// Answer is what a view says of a fact.
type Answer uint8

// The answers.
const (
	Unknown Answer = iota
	Yes
	No
)

// Hops is what is remembered of next hops: what each offered in its last EHLO, and how long ago that was.
type Hops interface {
	// UTF8 tells whether a hop offers SMTPUTF8 (RFC 6531).
	UTF8(h Hop) (Answer, time.Duration)
	// Takes tells whether a hop takes a message of so many octets (RFC 1870).
	Takes(h Hop, size int64) (Answer, time.Duration)
}

// offered refuses a recipient all of whose destinations lie behind next hops that are known not to take the message:
// what they would refuse later is refused at RCPT. A hop of which nothing is known may take it.
func (d *Decision) offered(v View, s *Session) {
	if v.Hops == nil || len(d.Destinations) == 0 || len(d.Destinations[0].Hops) == 0 {
		return
	}
	if s.UTF8 {
		if why, none := d.lacking(RuleHopUTF8, v.Hops.UTF8); none {
			d.refuse(replyHopUTF8, why.Rule, why.Fact)
			d.Reasons[len(d.Reasons)-1] = why
			return
		}
	}
	if s.Size > 0 {
		takes := func(h Hop) (Answer, time.Duration) { return v.Hops.Takes(h, s.Size) }
		if why, none := d.lacking(RuleHopSize, takes); none {
			d.refuse(replyHopSize, why.Rule, why.Fact)
			d.Reasons[len(d.Reasons)-1] = why
		}
	}
}

// lacking reports whether every hop of every destination answers no, and the last of those answers.
func (d *Decision) lacking(r Rule, ask func(Hop) (Answer, time.Duration)) (why Reason, none bool) {
	for i := range d.Destinations {
		if len(d.Destinations[i].Hops) == 0 {
			return why, false
		}
		for _, h := range d.Destinations[i].Hops {
			answer, age := ask(h)
			if answer != No {
				return why, false
			}
			why = Reason{Rule: r, Fact: h.String(), Age: age}
		}
	}
	return why, true
}

// String is the hop as a lane's name has it: host and port, or the path of a unix socket.
func (h Hop) String() string {
	if h.Socket() {
		return h.Host
	}
	return h.Host + ":" + strconv.Itoa(int(h.Port))
}
