package resolver

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"

	"postroad/internal/core/facts"
)

const (
	payload    = 1232 // EDNS: fits into every path's datagram
	rounds     = 3    // how often a silent server is asked
	nearMisses = 8    // wrong datagrams after which TCP is used
	heardMax   = 4    // failures told in a Detail
)

// errSilent: the server did not answer in time.
var errSilent = errors.New("no answer")

// resolve asks the servers and follows aliases where an answer stops at one.
func (s *Service) resolve(ctx context.Context, q question) result {
	name, followed, ttl := presented(q.name), 0, positiveMax
	for {
		r := s.askServers(ctx, name, q.kind)
		followed += r.aliases
		ttl = min(ttl, r.ttl)
		if followed > chainMax {
			r.outcome = temporary("chain of more than 8 aliases")
		}
		if r.next == "" {
			r.aliases = followed
			r.ttl = max(ttl, ttlMin)
			r.origin.TTL = r.ttl
			r.origin.Detail = q.String() + ": " + r.heard + r.origin.Detail
			if followed > 0 {
				r.origin.Detail += ", by alias " + printable(name)
			}
			return r
		}
		name = r.next
	}
}

// askServers asks one server after the other until one gives an answer that means something. The origin's
// Detail is only the tail of the sentence that resolve completes.
func (s *Service) askServers(ctx context.Context, name string, kind uint16) result {
	order := s.servers.order(time.Now())
	var failures []string
	last := ""
	for range rounds {
		for i, server := range order {
			if server == "" {
				continue
			}
			last = server
			out, err := s.askServer(ctx, server, name, kind)
			if err == nil && out.status != facts.Temporary {
				return result{out, facts.Origin{Source: "resolver " + server, At: time.Now(), Detail: " from " + server}}
			}
			s.counts.failures.Add(1)
			said := out.heard
			if err != nil {
				said = cause(err)
			}
			if said += " from " + server; len(failures) < heardMax && !slices.Contains(failures, said) {
				failures = append(failures, said)
			}
			if !errors.Is(err, errSilent) {
				order[i] = "" // it has spoken: asking again would give the same
			}
			if ctx.Err() != nil {
				break
			}
		}
		if ctx.Err() != nil || strings.Join(order, "") == "" {
			break
		}
	}
	out := temporary(strings.Join(failures, "; "))
	return result{out, facts.Origin{Source: "resolver " + last, At: time.Now()}}
}

// askServer asks one server once, by UDP and then by TCP where that is needed.
func (s *Service) askServer(ctx context.Context, server, name string, kind uint16) (outcome, error) {
	query, err := packQuery(name, kind, recursive)
	if err != nil {
		return outcome{}, err
	}
	packet, what, err := s.exchange(ctx, server, query)
	s.servers.heard(server, err == nil, time.Now())
	switch {
	case err != nil:
		return outcome{}, err
	case what == bareRefusal:
		return refusal(int(packet[3] & 15)), nil
	}
	return interpret(packet, name, kind), nil
}

// exchange sends a query to a server and waits for its answer: by UDP, and then by TCP where that is needed.
func (s *Service) exchange(ctx context.Context, server string, query []byte) ([]byte, verdict, error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	packet, what, err := s.askUDP(ctx, server, query)
	if err == nil && (what == truncated || what == otherCase) {
		s.counts.tcp.Add(1)
		packet, what, err = s.askTCP(ctx, server, query)
	}
	if err != nil && timedOut(err) {
		s.counts.timeouts.Add(1)
		err = errSilent
	}
	return packet, what, err
}

// manner is how a question is put.
type manner struct {
	recurse bool // RD: the server is to look further
	checked bool // DO: signatures are wanted, and AD in the answer means that they were validated (RFC 4035 §3.2)
	trust   bool // CD: what does not validate is wanted too
}

// recursive is how a resolver is asked.
var recursive = manner{recurse: true}

// packQuery makes a query with a random id and the name's letters in random case.
func packQuery(name string, kind uint16, how manner) ([]byte, error) {
	var random [2 + 32]byte
	if _, err := rand.Read(random[:]); err != nil {
		return nil, fmt.Errorf("question not sent: %w", err)
	}
	var message dns.Msg
	message.SetQuestion(mixCase(name, random[2:]), kind)
	message.Id = binary.BigEndian.Uint16(random[:])
	message.RecursionDesired, message.CheckingDisabled = how.recurse, how.trust
	message.SetEdns0(payload, how.checked)
	packed, err := message.Pack()
	if err != nil {
		return nil, fmt.Errorf("question not sent: %w", err)
	}
	return packed, nil
}

// mixCase sets the case of each letter by one bit of random.
func mixCase(name string, random []byte) string {
	mixed := []byte(name)
	for i, c := range mixed {
		if 'a' <= c && c <= 'z' && random[i/8%len(random)]>>(i%8)&1 == 1 {
			mixed[i] = c - 'a' + 'A'
		}
	}
	return string(mixed)
}

// askUDP sends a query and waits for its answer; what does not belong to it is passed over.
func (s *Service) askUDP(ctx context.Context, server string, query []byte) ([]byte, verdict, error) {
	conn, err := s.open(ctx, "udp", server)
	if err != nil {
		return nil, 0, err
	}
	defer func() { _ = conn.Close() }() // the answer is already here or the error is
	if _, err := conn.Write(query); err != nil {
		return nil, 0, err
	}
	buffer := make([]byte, 4096)
	for misses := 0; ; {
		n, err := conn.Read(buffer)
		if err != nil {
			return nil, 0, err
		}
		if what := judge(query, buffer[:n]); what != foreign {
			return buffer[:n], what, nil
		}
		s.counts.ignored.Add(1)
		if misses++; misses == nearMisses {
			s.log.WarnContext(ctx, "wrong answers from a dns server's address, asking by tcp", "server", server)
			return nil, otherCase, nil
		}
	}
}

// askTCP sends a query over a connection of its own (RFC 7766 §8).
func (s *Service) askTCP(ctx context.Context, server string, query []byte) ([]byte, verdict, error) {
	conn, err := s.open(ctx, "tcp", server)
	if err != nil {
		return nil, 0, fmt.Errorf("by TCP: %w", err)
	}
	defer func() { _ = conn.Close() }() // the answer is already here or the error is
	framed := binary.BigEndian.AppendUint16(make([]byte, 0, 2+len(query)), uint16(len(query)))
	if _, err := conn.Write(append(framed, query...)); err != nil {
		return nil, 0, fmt.Errorf("by TCP: %w", err)
	}
	var size [2]byte
	if _, err := io.ReadFull(conn, size[:]); err != nil {
		return nil, 0, fmt.Errorf("by TCP: %w", err)
	}
	packet := make([]byte, binary.BigEndian.Uint16(size[:]))
	if _, err := io.ReadFull(conn, packet); err != nil {
		return nil, 0, fmt.Errorf("by TCP: %w", err)
	}
	switch what := judge(query, packet); what {
	case complete, otherCase:
		return packet, complete, nil
	case bareRefusal:
		return packet, what, nil
	case truncated, foreign:
	}
	return nil, 0, errors.New("by TCP: malformed answer")
}

// open dials a server; the connection ends with the context's time.
func (s *Service) open(ctx context.Context, network, server string) (net.Conn, error) {
	s.counts.questions.Add(1)
	conn, err := s.dialer.DialContext(ctx, network, server)
	if err != nil {
		return nil, err
	}
	if deadline, ok := ctx.Deadline(); ok {
		if err := conn.SetDeadline(deadline); err != nil {
			_ = conn.Close() // of no use without a deadline
			return nil, err
		}
	}
	return conn, nil
}

func timedOut(err error) bool {
	var timeout net.Error
	return errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, context.DeadlineExceeded) ||
		errors.As(err, &timeout) && timeout.Timeout()
}

// cause is what went wrong with an exchange, without the addresses of the socket: they say nothing to people and are
// others each time.
func cause(err error) string {
	if op := (*net.OpError)(nil); errors.As(err, &op) && op.Err != nil {
		return op.Op + ": " + op.Err.Error()
	}
	return err.Error()
}

// printable makes a name from an answer fit for a log line.
func printable(name string) string {
	name = strings.TrimSuffix(name, ".")
	return strings.Map(func(r rune) rune {
		if r <= ' ' || r >= 0x7f {
			return '?'
		}
		return r
	}, name)
}
