package transfers

import (
	"context"
	"encoding/binary"
	"errors"
	"log/slog"
	"strings"
	"time"

	"postroad/internal/obs"
	"postroad/internal/proto/dns"
)

const (
	opcodeNotify = 4

	rcodeOK      = 0
	rcodeForm    = 1
	rcodeServer  = 2
	rcodeNotImp  = 4
	rcodeRefused = 5
	rcodeNotAuth = 9

	headerSize = 12
	maxUDP     = 1232 // octets of an answer, its signature included
	maxMessage = 65535
)

// asked is a request whose signature, if it has one, was found good.
type asked struct {
	Packet
	bare []byte        // without its signature
	sign *dns.Exchange // nil: it was not signed
	key  dns.TSIGKey   // by which
	name string        // of the question: absolute, in lower case
	kind dns.Type      // of the question
	in   bool          // it is of class IN
	end  int           // where the question section ends
	edns bool          // it has an OPT record
}

// Serve answers one packet.
func (s *Service) Serve(ctx context.Context, p Packet) {
	r := &asked{Packet: p}
	bare, sig, err := dns.SplitTSIG(p.Data)
	if err == nil {
		r.bare = bare
		err = r.question()
	}
	if err != nil || bare[2]&0x80 != 0 {
		if len(p.Data) >= headerSize && p.Data[2]&0x80 == 0 {
			head := make([]byte, headerSize)
			copy(head, p.Data[:4])
			head[2], head[3] = 0x80|head[2]&0x79, rcodeForm
			_ = p.Send(head) // whoever does not hear it asks again
		}
		return
	}
	if sig != nil && !s.verify(r, sig) {
		return
	}
	switch opcode := bare[2] >> 3 & 15; {
	case opcode == opcodeNotify:
		s.notified(ctx, r)
	case opcode == 0 && r.in && (r.kind == dns.TypeAXFR || r.kind == dns.TypeIXFR):
		s.handOut(ctx, r)
	case opcode == 0:
		if answer := p.Plain(bare); answer != nil {
			s.reply(r, answer)
		}
	default:
		s.refuse(r, rcodeNotImp)
	}
}

// question reads the one question of a request.
func (r *asked) question() error {
	if binary.BigEndian.Uint16(r.bare[4:]) != 1 {
		return dns.ErrSyntax
	}
	name, n, err := dns.ReadName(r.bare[headerSize:])
	if err != nil || headerSize+n+4 > len(r.bare) {
		return dns.ErrSyntax
	}
	r.end = headerSize + n + 4
	r.name, r.kind = strings.ToLower(name), dns.Type(binary.BigEndian.Uint16(r.bare[r.end-4:]))
	r.in = binary.BigEndian.Uint16(r.bare[r.end-2:]) == 1
	r.edns = r.hasOPT()
	return nil
}

// hasOPT looks for an OPT record behind the question.
func (r *asked) hasOPT() bool {
	off := r.end
	for i := 6; i < headerSize; i += 2 {
		for range binary.BigEndian.Uint16(r.bare[i:]) {
			record, _, end, err := dns.ReadRecord(r.bare, off)
			if err != nil {
				return false
			}
			if record.Type == dns.TypeOPT {
				return i == headerSize-2
			}
			off = end
		}
	}
	return false
}

// withOPT appends the OPT record that answers one (RFC 6891 §6.1.1).
func (r *asked) withOPT(msg []byte) []byte {
	if !r.edns {
		return msg
	}
	msg[headerSize-1]++
	return append(msg, 0, 0, byte(dns.TypeOPT), maxUDP>>8, maxUDP&0xFF, 0, 0, 0, 0, 0, 0)
}

// verify checks the signature of a request, and answers it when that does not hold (RFC 8945 §5.2).
func (s *Service) verify(r *asked, sig *dns.TSIG) bool {
	k, known := s.config.Load().keys[sig.Key]
	var why dns.TSIGError
	var exchange *dns.Exchange
	if !known || sig.Algorithm != string(k.Algorithm)+"." {
		why = dns.ErrBadKey
		exchange = dns.TSIGKey{Name: sig.Key, Algorithm: dns.MAC(strings.TrimSuffix(sig.Algorithm, "."))}.Begin()
	} else {
		exchange = k.Begin()
		err := exchange.Check(r.bare, sig, time.Now())
		if err == nil {
			r.sign, r.key = exchange, k.TSIGKey
			return true
		}
		if !errors.As(err, &why) {
			why = dns.ErrBadSig
		}
	}
	s.log("refused", r, "signature: "+why.String(), sig.Key)
	if answer, err := exchange.Reject(r.header(rcodeNotAuth), sig, why, time.Now()); err == nil {
		_ = r.Send(answer) // as above
	}
	return false
}

// header is an answer without records, but for EDNS.
func (r *asked) header(rcode byte) []byte {
	msg := make([]byte, r.end)
	copy(msg, r.bare[:r.end])
	msg[2], msg[3] = 0x80|msg[2]&0x79, rcode
	clear(msg[6:headerSize])
	return r.withOPT(msg)
}

// refuse answers with an RCODE.
func (s *Service) refuse(r *asked, rcode byte) { s.reply(r, r.header(rcode)) }

// reply sends an answer of one message, signed if the request was. One that is too large for UDP says to come by TCP.
func (s *Service) reply(r *asked, answer []byte) {
	if r.sign != nil {
		room := maxUDP
		if r.bare[11] == 0 { // without EDNS (RFC 1035 §4.2.1)
			room = 512
		}
		if !r.TCP && len(answer)+r.key.SignatureRoom() > room {
			answer = r.header(answer[3] & 15)
			answer[2] |= 2 // TC
		}
		signed, err := r.sign.Sign(answer, time.Now())
		if err != nil {
			s.o.Log.Error("an answer could not be signed", slog.Any(obs.KeyError, err))
			return
		}
		answer = signed
	}
	_ = r.Send(answer) // whoever does not hear it asks again
}

// log tells of a request that was not granted, of each kind one in ten seconds, and counts it. reason is one of few: what
// strangers choose, such as the name of the key, is no part of it.
func (s *Service) log(result string, r *asked, reason, key string) {
	direction := "out"
	if r.bare[2]>>3&15 == opcodeNotify {
		s.o.Metrics.DNSNotifies.WithLabelValues("in", result).Inc()
	} else {
		s.o.Metrics.DNSTransfers.WithLabelValues(direction, kindOf(r.kind), result).Inc()
	}
	left, ok := s.quiet.may(result+" "+reason, time.Now())
	if !ok {
		return
	}
	message := "a request about a zone failed"
	if result == "refused" {
		message = "a request about a zone was refused"
	}
	s.o.Log.Warn(message, slog.String(obs.KeyDomain, printable(r.name)), slog.String(obs.KeyOperation, kindOf(r.kind)),
		slog.String(obs.KeyClient, r.Client.Addr().String()), slog.String(obs.KeyReason, reason), slog.String(obs.KeyTSIG, printable(key)), slog.Int(obs.KeyCount, left))
}

// kindOf is the kind of a request in metrics and logs.
func kindOf(t dns.Type) string {
	if t == dns.TypeAXFR {
		return "axfr"
	}
	if t == dns.TypeIXFR {
		return "ixfr"
	}
	return "question"
}

// printable makes a name from a message fit for a log line.
func printable(name string) string {
	return strings.Map(func(r rune) rune {
		if r <= ' ' || r >= 0x7f {
			return '?'
		}
		return r
	}, strings.TrimSuffix(name, "."))
}
