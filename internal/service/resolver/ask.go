package resolver

import (
	"cmp"
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"sync"
	"syscall"
	"time"

	codec "github.com/miekg/dns"

	"postroad/internal/core/facts"
	"postroad/internal/core/reach"
	"postroad/internal/proto/dns"
)

const (
	askedAtOnce = 5 // servers of one zone
	serverAddrs = 4 // addresses of one server that are asked
)

// Recursive asks the configured resolvers in turn, past the cache, until one has an answer. When none has, it is that of
// the last one.
func (s *Service) Recursive(ctx context.Context, name string, kind dns.Type) facts.Answer {
	var answer facts.Answer
	for _, server := range s.servers.order(time.Now()) {
		answer = s.one(ctx, server, name, kind, recursive)
		s.servers.heard(server, answer.Code != "", time.Now())
		if answer.Status != facts.Temporary || ctx.Err() != nil {
			break
		}
	}
	return answer
}

// Public asks every configured resolver by itself, past the cache. The answers are in the order of the configuration.
func (s *Service) Public(ctx context.Context, name string, kind dns.Type) []facts.Answer {
	list := s.servers.all(time.Now())
	out := make([]facts.Answer, len(list))
	each(len(list), func(i int) { out[i] = s.one(ctx, list[i], name, kind, recursive) })
	return out
}

// At asks one server of the caller's choice, an address:port, past the cache; it may be a resolver or a zone's name
// server. The caller judges beforehand whether the address may be asked.
func (s *Service) At(ctx context.Context, server, name string, kind dns.Type) facts.Answer {
	return s.one(ctx, server, name, kind, recursive)
}

// Everywhere asks all name servers of a zone, at each of their addresses. Every server has at least one answer; that
// of one without an address says why it has none. An address that this machine has no way to is left out where the
// server answers at another one.
func (s *Service) Everywhere(ctx context.Context, servers []facts.NameServer, name string, kind dns.Type) []facts.Answer {
	var out []facts.Answer
	for _, server := range servers {
		if len(server.Addrs) == 0 {
			out = append(out, facts.Answer{
				Name: plainName(name), Type: kind, Server: server.Name, Status: facts.Temporary,
				Origin: facts.Origin{Source: "resolver", At: time.Now(), Detail: kind.String() + " " + plainName(name) + ": " + server.Name + " was not asked: " + server.Problem},
			})
		}
		for _, a := range server.Addrs[:min(len(server.Addrs), serverAddrs)] {
			out = append(out, facts.Answer{Server: server.Name, Address: net.JoinHostPort(a.String(), s.port)})
		}
	}
	noWay := make([]bool, len(out))
	each(len(out), func(i int) {
		if address := out[i].Address; address != "" {
			server := out[i].Server
			out[i], noWay[i] = s.single(ctx, address, name, kind, manner{})
			out[i].Server = server
		}
	})
	heard := map[string]bool{}
	for i := range out {
		heard[out[i].Server] = heard[out[i].Server] || out[i].Code != ""
	}
	kept := out[:0]
	for i := range out {
		if !noWay[i] || !heard[out[i].Server] {
			kept = append(kept, out[i])
		}
	}
	return kept
}

// Barred says why an address may not be asked when somebody else leads there; "" when it may.
func (s *Service) Barred(a netip.Addr) string {
	a = a.Unmap().WithZone("")
	if slices.ContainsFunc(s.allow, func(p netip.Prefix) bool { return p.Contains(a) }) {
		return ""
	}
	return reach.Unusual(a)
}

// Port is the port at which name servers are asked.
func (s *Service) Port() string { return s.port }

// each runs f for 0 to n-1, a few at a time, and waits.
func each(n int, f func(i int)) {
	var running sync.WaitGroup
	places := make(chan struct{}, askedAtOnce)
	for i := range n {
		places <- struct{}{}
		running.Go(func() {
			defer func() { <-places }()
			f(i)
		})
	}
	running.Wait()
}

func (s *Service) one(ctx context.Context, server, name string, kind dns.Type, how manner) facts.Answer {
	answer, _ := s.single(ctx, server, name, kind, how)
	return answer
}

// single asks one server one question, and once more when it is silent. noWay: this machine has no way to it.
func (s *Service) single(ctx context.Context, server, name string, kind dns.Type, how manner) (answer facts.Answer, noWay bool) {
	message, answer, err := s.converse(ctx, server, name, kind, how)
	if errors.Is(err, errSilent) && ctx.Err() == nil {
		message, answer, err = s.converse(ctx, server, name, kind, how)
	}
	if err == nil && message != nil {
		read(message, presented(answer.Name), &answer)
	}
	return answer, errors.Is(err, syscall.ENETUNREACH) || errors.Is(err, syscall.EHOSTUNREACH) || errors.Is(err, syscall.EADDRNOTAVAIL)
}

// converse asks one server one question once. The answer has all but what the message says of the question; there is no
// message when the server said nothing that can be read.
func (s *Service) converse(ctx context.Context, server, name string, kind dns.Type, how manner) (*codec.Msg, facts.Answer, error) {
	name = plainName(name)
	begun := time.Now()
	answer := facts.Answer{
		Name: name, Type: kind, Address: server, Status: facts.Temporary,
		Origin: facts.Origin{Source: "server " + server, At: begun},
	}
	what := kind.String() + " " + cmp.Or(printable(name), ".") + ": "
	if fault := nameFault(name); fault != "" && name != "" {
		answer.Detail = "not asked for: " + fault
		return nil, answer, nil
	}
	query, err := packQuery(presented(name), uint16(kind), how)
	if err != nil {
		answer.Detail = what + err.Error()
		return nil, answer, err
	}
	packet, verdict, err := s.exchange(ctx, server, query)
	answer.Took = time.Since(begun)
	if err != nil {
		s.counts.failures.Add(1)
		answer.Detail = what + cause(err) + " from " + server
		return nil, answer, err
	}
	answer.Code = codeName(int(packet[3] & 15))
	answer.Detail = what + answer.Code + " from " + server
	if verdict == bareRefusal {
		return nil, answer, nil
	}
	message := new(codec.Msg)
	if err := message.Unpack(packet); err != nil {
		answer.Code = ""
		answer.Detail = what + "malformed answer from " + server
		return nil, answer, nil
	}
	answer.Code = codeName(message.Rcode)
	answer.Authoritative = message.Authoritative
	return message, answer, nil
}

// read takes what a message says of the question into an answer.
func read(message *codec.Msg, name string, answer *facts.Answer) {
	if message.Rcode != codec.RcodeSuccess && message.Rcode != codec.RcodeNameError {
		return
	}
	says := func(status facts.Status, heard string) {
		answer.Status = status
		answer.Detail = answer.Type.String() + " " + cmp.Or(printable(answer.Name), ".") + ": " + heard + " from " + answer.Address
	}
	out := outcome{ttl: positiveMax, raw: true}
	for {
		if found := collect(message.Answer, name, uint16(answer.Type), &out); found != 0 {
			if found < 0 {
				says(facts.Temporary, "malformed record")
				return
			}
			slices.SortFunc(out.records, dns.Compare)
			answer.Records, answer.TTL = out.records, out.ttl
			says(facts.Found, plural(found, "record"))
			return
		}
		target, ttl, ok := alias(message.Answer, name)
		if !ok {
			break
		}
		if answer.Aliases = append(answer.Aliases, printable(target)); len(answer.Aliases) > chainMax {
			says(facts.Temporary, "chain of more than 8 aliases")
			return
		}
		name, out.ttl = target, min(out.ttl, ttl)
	}
	if cut, ok := referral(message, "", answer.Name); ok && cut == answer.Name {
		answer.Refers = handedTo(message, cut)
	}
	out.aliases = len(answer.Aliases)
	none := nothing(message, name, out)
	if none.next != "" {
		says(facts.Temporary, "an alias that leads elsewhere, "+printable(name)+",")
		return
	}
	answer.TTL = none.ttl
	says(none.status, none.heard)
}

// codeName is a response code by its name.
func codeName(code int) string {
	if name, ok := codec.RcodeToString[code]; ok {
		return name
	}
	return refusal(code).heard
}
