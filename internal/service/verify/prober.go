package verify

import (
	"context"
	"crypto/rand"
	"errors"
	"strings"
	"sync"
	"time"

	"postroad/internal/core/directory"
	"postroad/internal/core/facts"
	"postroad/internal/core/routing"
	"postroad/internal/obs"
	"postroad/internal/proto/smtp"
)

// How servers are asked.
const (
	sessionsPerServer = 2                // at once
	questionsAtOnce   = 100              // tokens of a server that has not been asked for a while
	questionsPerSec   = 10               // tokens a second
	refusalsPerSess   = 8                // after that many a session is renewed: servers slow down and hang up for more
	questionsPerSess  = 100              // and after that many whatever the answers
	sessionIdle       = 5 * time.Second  // a session waits so long for more questions
	openTime          = 8 * time.Second  // for one address, so that there is time for another
	hostsAsked        = 3                // addresses that are tried for one question
	objectionTime     = 24 * time.Hour   // a server that objects is left in peace
	everybodyTime     = 24 * time.Hour   // how long it is remembered whether a server takes every recipient
	silenceTime       = 10 * time.Second // an address that could not be reached is not dialled again at once
	maxServers        = 10_000           // remembered at once
)

// everybody is told of a server that takes addresses which cannot exist.
const everybody = "it takes every address"

var errLimited = errors.New("too many questions are waiting for this server")

// prober asks servers about recipients.
type prober struct {
	hosts Hosts
	m     *obs.Metrics

	mu       sync.Mutex
	servers  map[string]*server // by address
	objected map[string]time.Time
	takesAll map[string]tested // by way and address
	closed   bool
	ending   sync.WaitGroup
}

// server is what is known of one address.
type server struct {
	tokens  float64
	at      time.Time // when they were counted
	open    int       // sessions, those that wait included
	waiting []*session
	freed   chan struct{} // closed and replaced whenever a session has come free
	down    error         // why it could not be reached
	until   time.Time     // so long that counts
}

// session is an open session with a host.
type session struct {
	Session
	key      string
	server   *server
	used     bool // it has waited: the peer may have left meanwhile
	asked    int
	refusals int
	timer    *time.Timer
}

// tested is whether a server on a way takes every recipient.
type tested struct {
	everybody bool
	until     time.Time
}

func (p *prober) init(hosts Hosts, m *obs.Metrics) {
	p.hosts, p.m = hosts, m
	p.servers, p.objected, p.takesAll = map[string]*server{}, map[string]time.Time{}, map[string]tested{}
}

// ask asks a domain's real server about an address. Of its hosts the next is asked only where one cannot be reached:
// what a host says about the address counts, as it does for mail (RFC 5321 §5.1).
func (p *prober) ask(ctx context.Context, dom *directory.Domain, way, address string) verdict {
	hosts, err := p.hosts.Hosts(ctx, routing.Onward(dom))
	if err != nil {
		return unreachable("", err)
	}
	last := unreachable("", errNoHost)
	for i, h := range hosts[:min(len(hosts), hostsAsked)] {
		v, reached := p.askHost(ctx, dom, h, way, address)
		if reached {
			if v.presence == facts.Present && v.detail == everybody && h.Name() != hosts[0].Name() {
				// A worse exchanger that takes everything holds mail for the best one, and knows nobody.
				return verdict{presence: facts.Unreachable, result: resultUnreachable, host: h.Name(), detail: everybody}
			}
			return v
		}
		last = v
		if i+1 < len(hosts) && ctx.Err() != nil {
			break
		}
	}
	return last
}

var errNoHost = errors.New("there is nobody to ask")

func unreachable(host string, err error) verdict {
	return verdict{presence: facts.Unreachable, result: resultUnreachable, host: host, detail: told(err.Error(), smtp.Reply{})}
}

// askHost asks one host; reached is false when the next may be asked.
func (p *prober) askHost(ctx context.Context, dom *directory.Domain, h Host, way, address string) (v verdict, reached bool) {
	if p.objects(h.Address()) || p.objects(h.Address()+" "+dom.Name) {
		return verdict{presence: facts.Unreachable, result: resultObjected, host: h.Name(), detail: "it objects to being asked"}, true
	}
	for {
		s, err := p.session(ctx, h)
		switch {
		case errors.Is(err, errLimited):
			return verdict{presence: facts.Unreachable, result: resultLimited, host: h.Name(), detail: err.Error()}, true
		case err != nil:
			return unreachable(h.Name(), err), false
		}
		waited := s.used
		v, err = p.question(ctx, s, address)
		if err != nil && !errors.Is(err, smtp.ErrUnsendable) {
			p.end(s)
			if waited && ctx.Err() == nil {
				continue // it had gone while the session waited
			}
			return unreachable(h.Name(), err), false
		}
		if err != nil {
			p.put(s)
			return verdict{presence: facts.Unreachable, result: resultDeferred, host: h.Name(), detail: err.Error()}, true
		}
		v.host = h.Name()
		switch v.result {
		case resultPresent:
			if p.everybody(ctx, s, way+" "+h.Address(), dom.Name) {
				v.detail = everybody
			}
		case resultObjected:
			if v.domain && p.answers(ctx, s, dom.Name) {
				v.result = resultDeferred // it is about this address only
				break
			}
			p.object(h.Address(), dom.Name, v.domain)
		}
		p.put(s)
		return v, true
	}
}

// question asks in a session.
func (p *prober) question(ctx context.Context, s *session, address string) (verdict, error) {
	sender, recipient, err := s.Ask(ctx, address)
	s.asked++
	if err != nil {
		return verdict{}, err
	}
	if s.asked > 1 && (sender.Code == closing || recipient.Code == closing) {
		return verdict{}, errClosing
	}
	v := judge(sender, recipient)
	if v.result != resultPresent {
		s.refusals++
	}
	return v, nil
}

// closing is the reply of a server that ends the session (RFC 5321 §3.8): in one in which others were asked about it is
// no word about the address.
const closing = 421

var errClosing = errors.New("the server ends the session")

// nobodyOf is an address of a domain that cannot exist.
func nobodyOf(domain string) string {
	return "no-such-mailbox-" + strings.ToLower(rand.Text()) + "@" + domain
}

// answers reports whether a server that objected to a question answers one about an address that cannot exist.
func (p *prober) answers(ctx context.Context, s *session, domain string) bool {
	v, err := p.question(ctx, s, nobodyOf(domain))
	if err != nil {
		s.asked = questionsPerSess // of no more use
		return false
	}
	return v.result == resultPresent || v.result == resultAbsent
}

// everybody reports whether the server on a way takes an address that cannot exist. It is asked once a day.
func (p *prober) everybody(ctx context.Context, s *session, way, domain string) bool {
	p.mu.Lock()
	t, known := p.takesAll[way]
	p.mu.Unlock()
	if known && time.Now().Before(t.until) {
		return t.everybody
	}
	v, err := p.question(ctx, s, nobodyOf(domain))
	if err != nil {
		s.asked = questionsPerSess // of no more use
		return false
	}
	if v.result != resultPresent && v.result != resultAbsent {
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.takesAll) >= maxServers {
		clear(p.takesAll)
	}
	p.takesAll[way] = tested{everybody: v.result == resultPresent, until: time.Now().Add(everybodyTime)}
	return v.result == resultPresent
}

// object remembers that a server objects to being asked, at all or about one domain.
func (p *prober) object(address, domain string, only bool) {
	if only {
		address += " " + domain
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.objected) >= maxServers {
		clear(p.objected)
	}
	p.objected[address] = time.Now().Add(objectionTime)
}

func (p *prober) objects(key string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	until, ok := p.objected[key]
	return ok && time.Now().Before(until)
}
