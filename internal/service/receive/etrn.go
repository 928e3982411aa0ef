package receive

import (
	"fmt"
	"strings"
	"sync"
	"time"

	"postroad/internal/core/directory"
	"postroad/internal/core/routing"
	"postroad/internal/proto/idna"
	"postroad/internal/proto/smtp"
)

const (
	turnEvery    = 10 * time.Second // between two starts of one domain's mail, whoever asks
	turnsAtOnce  = 100              // domains that one "@" starts at most
	turnsPerTick = 20               // starts of all domains in turnEvery
)

// turns remembers which domains' mail was started a moment ago, so that ETRN makes no more work than it saves.
type turns struct {
	mu     sync.Mutex
	begun  map[string]time.Time
	recent []time.Time // of all domains

	version int64 // of the directory for which it is known whether
	offered bool  // any domain's mail is handed on
}

// any reports whether mail of any domain is handed on. It looks through a directory once.
func (t *turns) any(snap *directory.Snapshot) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if v := snap.Version() + 1; v != t.version { // 0: none yet
		t.version, t.offered = v, routing.AnyHandedOn(snap, time.Now())
	}
	return t.offered
}

// may reports whether a domain's mail may be started now, and remembers that it was.
func (t *turns) may(domain string, now time.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.begun == nil {
		t.begun = map[string]time.Time{}
	}
	for len(t.recent) > 0 && now.Sub(t.recent[0]) >= turnEvery {
		t.recent = t.recent[1:]
	}
	for name, at := range t.begun {
		if now.Sub(at) >= turnEvery {
			delete(t.begun, name)
		}
	}
	if _, lately := t.begun[domain]; lately || len(t.recent) >= turnsPerTick {
		return false
	}
	t.begun[domain] = now
	t.recent = append(t.recent, now)
	return true
}

// offersETRN reports whether there is any domain whose server might ask for its mail.
func (s *session) offersETRN() bool {
	return s.kind == MX && s.service.cfg.Turns != nil && s.service.turns.any(s.service.dir.View().Directory)
}

// etrn starts mail that waits for a domain's own server (RFC 1985 §5): of "domain", or with "@domain" of those below it
// too. Whoever asks, the mail goes to that server and nowhere else, so that nobody has to prove anything.
func (s *session) etrn(arg []byte) error {
	switch {
	case !s.offersETRN():
		return s.mistake(smtp.Reply{Code: 502, Enhanced: smtp.Enhanced{5, 5, 1}, Text: "command not offered"})
	case s.helo == "":
		return s.mistake(smtp.Reply{Code: 503, Enhanced: smtp.Enhanced{5, 5, 1}, Text: "say EHLO first"})
	case !s.tx.begun.IsZero():
		return s.mistake(smtp.Reply{Code: 503, Enhanced: smtp.Enhanced{5, 5, 1}, Text: "not within a transaction"})
	case len(arg) == 0:
		return s.mistake(smtp.Reply{Code: 500, Enhanced: smtp.Enhanced{5, 5, 4}, Text: "ETRN takes a domain"})
	}
	node, below := strings.CutPrefix(string(arg), "@")
	name, err := idna.ToASCII(node)
	if err != nil || strings.ContainsAny(node, " #") {
		return s.mistake(smtp.Reply{Code: 501, Enhanced: smtp.Enhanced{5, 5, 4}, Text: "ETRN takes a domain"})
	}
	list := routing.HandedOnAt(s.service.dir.View().Directory, name, below, time.Now())
	if len(list) == 0 {
		return s.mistake(smtp.Reply{Code: 459, Enhanced: smtp.Enhanced{4, 7, 1}, Text: "node " + name + " not allowed: no mail is held for it"})
	}
	s.reply(s.turn(name, list))
	return s.counted()
}

// turn starts the mail of domains. How much there is, is told to our own networks only.
func (s *session) turn(node string, list []*directory.Domain) smtp.Reply {
	var pending int64
	begun := false
	for _, d := range list[:min(len(list), turnsAtOnce)] {
		now := time.Now()
		lane, ok := routing.HandedOn(d, now)
		if !ok || !s.service.turns.may(d.Name, now) {
			continue
		}
		begun = true
		n, err := s.service.cfg.Turns.Turn(s.context(), lane, d.Name)
		if err != nil {
			s.service.log.Error("waiting mail not started", "domain", d.Name, "error", err)
			return smtp.Reply{Code: 458, Enhanced: smtp.Enhanced{4, 3, 0}, Text: "unable to queue messages for node " + node}
		}
		pending += n
	}
	ok := smtp.Enhanced{2, 0, 0}
	switch {
	case !begun:
		return smtp.Reply{Code: 458, Enhanced: smtp.Enhanced{4, 7, 0}, Text: "unable to queue messages for node " + node + ": it was asked for a moment ago"}
	case pending == 0:
		return smtp.Reply{Code: 251, Enhanced: ok, Text: "no messages waiting for node " + node}
	case s.trusted:
		return smtp.Reply{Code: 253, Enhanced: ok, Text: fmt.Sprintf("%d pending messages for node %s started", pending, node)}
	}
	return smtp.Reply{Code: 252, Enhanced: ok, Text: "pending messages for node " + node + " started"}
}
