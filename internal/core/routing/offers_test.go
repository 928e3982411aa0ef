package routing_test

import (
	"testing"
	"time"

	"postroad/internal/core/directory"
	"postroad/internal/core/routing"
	"postroad/internal/proto/smtp"
)

// offering knows of some hosts whether they offer SMTPUTF8 and which size they take.
type offering map[string]struct {
	utf8 routing.Answer
	size int64
}

func (o offering) UTF8(h routing.Hop) (routing.Answer, time.Duration) {
	return o[h.Host].utf8, time.Minute
}

func (o offering) Takes(h routing.Hop, size int64) (routing.Answer, time.Duration) {
	known, ok := o[h.Host]
	switch {
	case !ok:
		return routing.Unknown, 0
	case size <= known.size:
		return routing.Yes, time.Minute
	}
	return routing.No, time.Minute
}

func TestDecideRefusesWhatNoNextHopTakes(t *testing.T) {
	t.Parallel()
	both := offering{"mx.acme-own.example": {routing.No, 1000}, "10.0.0.2": {routing.No, 2000}, "smart.example": {routing.No, 10}}
	one := offering{"mx.acme-own.example": {routing.No, 1000}}
	other := offering{"mx.acme-own.example": {routing.No, 1000}, "10.0.0.2": {routing.Yes, 5000}}
	smart := []directory.Outbound{{ID: "o1", Hop: directory.HostPort{Host: "smart.example", Port: 587}}}
	for _, c := range []struct {
		name, rcpt string
		hops       routing.Hops
		utf8       bool
		size       int64
		outbound   []directory.Outbound
		code       int
		rule       routing.Rule
	}{
		{"nothing asked", "u@relay.example", both, false, 0, nil, 250, 0},
		{"utf8", "u@relay.example", both, true, 0, nil, 550, routing.RuleHopUTF8},
		{"size", "u@relay.example", both, false, 2001, nil, 552, routing.RuleHopSize},
		{"size that one takes", "u@relay.example", both, false, 2000, nil, 250, 0},
		{"the other is unknown", "u@relay.example", one, true, 9999, nil, 250, 0},
		{"the other takes it", "u@relay.example", other, true, 5000, nil, 250, 0},
		{"nothing known", "u@relay.example", nil, true, 9999, nil, 250, 0},
		{"a next hop in place of MX", "u@pinned.example", one, true, 0, nil, 550, routing.RuleHopUTF8},
		{"a mailbox", "ann@local.example", both, true, 9999, nil, 250, 0},
		{"by MX", "x@far.example", both, true, 9999, nil, 250, 0},
		{"a smart host", "x@far.example", both, false, 11, smart, 552, routing.RuleHopSize},
		{"one of several ways", "moved@local.example", both, true, 9999, nil, 250, 0},
		{"refused anyway", "nobody@local.example", both, true, 9999, nil, 550, routing.RuleUnknownRecipient},
	} {
		v := world()
		v.Hops = c.hops
		v.Directory = v.Directory.With(directory.Delta{PutOutbounds: c.outbound})
		to, err := smtp.ParseAddress(c.rcpt, false)
		if err != nil {
			t.Fatal(err)
		}
		d := routing.Decide(v, routing.Session{Kind: routing.Login, UTF8: c.utf8, Size: c.size}, to)
		last := d.Reasons[len(d.Reasons)-1]
		if d.Reply.Code != c.code || c.rule != 0 && last.Rule != c.rule || (d.Reply.Code == 250) != (len(d.Destinations) > 0) {
			t.Errorf("%s: %s, %d destinations, by rule %s", c.name, d.Reply, len(d.Destinations), last.Rule)
		}
		if (c.rule == routing.RuleHopUTF8 || c.rule == routing.RuleHopSize) && last.Age != time.Minute {
			t.Errorf("%s: the reason does not tell its age: %+v", c.name, last)
		}
	}
}
