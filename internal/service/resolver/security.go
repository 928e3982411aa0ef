package resolver

import (
	"context"
	"net"
	"net/netip"
	"sync"
	"time"

	codec "github.com/miekg/dns"

	"postroad/internal/core/facts"
	"postroad/internal/proto/dns"
)

// trustKept is how long a resolver is held to validate, or not, after it was tried.
const trustKept = time.Hour

// trusted remembers which resolvers were seen to validate.
type trusted struct {
	mu    sync.Mutex
	known map[string]trustState
}

type trustState struct {
	validates bool
	at        time.Time
}

// Security asks a validating resolver on this machine whether a name's records validate. The AD bit is believed from
// loopback addresses alone: on the way from anywhere else it can be set by anybody (RFC 6840 §5.8). The answer is the
// one that it is judged by.
func (s *Service) Security(ctx context.Context, name string, kind dns.Type) (facts.Security, facts.Answer) {
	answer := facts.Answer{Name: plainName(name), Type: kind, Status: facts.Temporary, Origin: facts.Origin{Source: "resolver", At: time.Now()}}
	answer.Detail = "no resolver on this machine validates"
	for _, server := range s.servers.all(time.Now()) {
		if !loopback(server) {
			continue
		}
		message, said, err := s.converse(ctx, server, name, kind, manner{recurse: true, checked: true})
		if answer = said; err != nil || message == nil {
			continue
		}
		read(message, presented(answer.Name), &answer)
		switch {
		case message.AuthenticatedData:
			s.trusted.note(server, true)
			return facts.Secure, answer
		case message.Rcode == codec.RcodeServerFailure:
			if s.unchecked(ctx, server, name, kind) && s.validates(ctx, server) {
				return facts.Bogus, answer
			}
		case message.Rcode == codec.RcodeSuccess, message.Rcode == codec.RcodeNameError:
			if s.validates(ctx, server) {
				return facts.Insecure, answer
			}
		}
	}
	return facts.SecurityUnknown, answer
}

// unchecked reports whether a resolver has an answer when it is not to validate it (CD, RFC 4035 §3.2.2).
func (s *Service) unchecked(ctx context.Context, server, name string, kind dns.Type) bool {
	message, _, err := s.converse(ctx, server, name, kind, manner{recurse: true, checked: true, trust: true})
	return err == nil && message != nil && (message.Rcode == codec.RcodeSuccess || message.Rcode == codec.RcodeNameError)
}

// validates reports whether a resolver was seen to validate: any name, or the root.
func (s *Service) validates(ctx context.Context, server string) bool {
	if known, ok := s.trusted.get(server, time.Now()); ok {
		return known
	}
	message, _, err := s.converse(ctx, server, "", dns.TypeSOA, manner{recurse: true, checked: true})
	if err != nil || message == nil {
		return false
	}
	s.trusted.note(server, message.AuthenticatedData)
	return message.AuthenticatedData
}

func (t *trusted) get(server string, now time.Time) (validates, known bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	state, ok := t.known[server]
	if !ok || now.Sub(state.at) > trustKept {
		return false, false
	}
	return state.validates, true
}

func (t *trusted) note(server string, validates bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.known == nil {
		t.known = map[string]trustState{}
	}
	t.known[server] = trustState{validates, time.Now()}
}

func loopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.IsLoopback()
}
