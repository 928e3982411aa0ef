package sim

import (
	"fmt"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// DNSReply is how a DNS answers a question: one of the constants, or what one of the functions here makes. See
// DNS.Script.
type DNSReply = string

// The replies without parameters.
const (
	// DNSNormal is what the zones say.
	DNSNormal DNSReply = ""
	// DNSTimeout is silence.
	DNSTimeout DNSReply = "!timeout"
	// DNSServFail, DNSRefused, DNSFormErr, DNSNotImp and DNSNXDomain are these response codes, without records.
	DNSServFail DNSReply = "!servfail"
	DNSRefused  DNSReply = "!refused"
	DNSFormErr  DNSReply = "!formerr"
	DNSNotImp   DNSReply = "!notimp"
	DNSNXDomain DNSReply = "!nxdomain"
	// DNSBareServFail is SERVFAIL in a header with nothing behind it.
	DNSBareServFail DNSReply = "!bare-servfail"
	// DNSEmpty is NOERROR without any record, no SOA either.
	DNSEmpty DNSReply = "!empty"
	// DNSReferral is what a lame server says: NOERROR, no answer, the root's NS set, no recursion.
	DNSReferral DNSReply = "!referral"
	// DNSTruncate has TC set by UDP; by TCP it is what the zones say.
	DNSTruncate DNSReply = "!truncate"
	// DNSTruncateNoTCP has TC set by UDP; by TCP the connection is closed without an answer.
	DNSTruncateNoTCP DNSReply = "!truncate-no-tcp"
	// DNSWrongID, DNSWrongName and DNSWrongType answer another question: another id, name or type. DNSWrongCase
	// is the right answer with the case of all letters turned around.
	DNSWrongID   DNSReply = "!wrong-id"
	DNSWrongName DNSReply = "!wrong-name"
	DNSWrongType DNSReply = "!wrong-type"
	DNSWrongCase DNSReply = "!wrong-case"
	// DNSFlood is twenty answers with a wrong id by UDP and no true one; by TCP it is what the zones say.
	DNSFlood DNSReply = "!flood"
	// DNSMalformed has the right header and question, and then octets that are no record.
	DNSMalformed DNSReply = "!malformed"
	// DNSTruncateHangTCP has TC set by UDP; by TCP there is silence.
	DNSTruncateHangTCP DNSReply = "!truncate-hang-tcp"
	// DNSSecure is what a resolver says of what it has validated: what the zones say, with AD set where DO asks for it.
	DNSSecure DNSReply = "!secure"
	// DNSBogus is what it says of what does not validate: SERVFAIL, and what the zones say where CD asks for it.
	DNSBogus DNSReply = "!bogus"
)

const (
	replyAfter   = "!after "
	replyRecords = "!records|"
	replyForged  = "!forged|"
)

// DNSAfter answers only after a while.
func DNSAfter(wait time.Duration, reply DNSReply) DNSReply {
	return replyAfter + wait.String() + "|" + reply
}

// DNSRecords answers with these records of the name asked for, each without owner: "A 192.0.2.1", "60 A
// 192.0.2.1" with a TTL. With several of them in turn a server tells first one thing and then another. A record
// that begins with a name and a dot as in "other.example. A 192.0.2.1" has that owner.
func DNSRecords(records ...string) DNSReply {
	return replyRecords + strings.Join(records, "\n")
}

// DNSForged sends first an attacker's guesses and then the true answer: one answer each with the records given
// under a wrong id, for a wrong name and for a wrong type, all from the right address. RefuseTCP does not matter.
func DNSForged(records ...string) DNSReply {
	return replyForged + strings.Join(records, "\n")
}

// reply notes a question and answers it by its script; false when a TCP connection shall be closed.
func (d *DNS) reply(octets []byte, tcp bool, send func([]byte)) bool {
	query := new(dns.Msg)
	if err := query.Unpack(octets); err != nil || query.Response || len(query.Question) != 1 {
		return false
	}
	return d.perform(d.choose(query.Question[0], tcp), query, tcp, send)
}

// choose finds the reply that is next for a question.
func (d *DNS) choose(asked dns.Question, tcp bool) DNSReply {
	name, kind := plainName(asked.Name), dns.TypeToString[asked.Qtype]
	d.mu.Lock()
	defer d.mu.Unlock()
	d.asked = append(d.asked, Question{Name: strings.TrimSuffix(asked.Name, "."), Type: kind, TCP: tcp, At: time.Now()})
	for _, key := range []scriptKey{{name, kind}, {name, "*"}, {"*", kind}, {"*", "*"}} {
		script, ok := d.scripts[key]
		if !ok {
			continue
		}
		if tcp && script.used > 0 {
			return script.replies[script.used-1] // the second half of a truncated answer
		}
		reply := script.replies[min(script.used, len(script.replies)-1)]
		script.used = min(script.used+1, len(script.replies))
		return reply
	}
	return DNSNormal
}

// perform sends a reply; false when a TCP connection shall be closed.
func (d *DNS) perform(reply DNSReply, query *dns.Msg, tcp bool, send func([]byte)) bool {
	if rest, ok := strings.CutPrefix(reply, replyAfter); ok {
		wait, step, err := splitTimed(rest)
		if err != nil || !d.pause(wait) {
			return false
		}
		return d.perform(step, query, tcp, send)
	}
	answer := d.answer(query)
	switch reply {
	case DNSTimeout:
		return true
	case DNSTruncateNoTCP:
		if tcp {
			return false
		}
		answer = truncatedAnswer(query)
	case DNSTruncate, DNSTruncateHangTCP:
		if !tcp {
			answer = truncatedAnswer(query)
		} else if reply == DNSTruncateHangTCP {
			return true
		}
	case DNSFlood:
		if !tcp {
			for range 20 {
				send(pack(disguise(DNSWrongID, d.answer(query))))
			}
			return true
		}
	case DNSMalformed:
		send(malformed(query))
		return true
	case DNSBareServFail:
		packet := pack(bare(query, dns.RcodeServerFailure))[:12]
		packet[5] = 0 // no question either
		send(packet)
		return true
	default:
		if rest, ok := strings.CutPrefix(reply, replyForged); ok {
			for _, guess := range []DNSReply{DNSWrongID, DNSWrongName, DNSWrongType} {
				send(pack(disguise(guess, d.records(query, rest))))
			}
		} else if rest, ok := strings.CutPrefix(reply, replyRecords); ok {
			answer = d.records(query, rest)
		} else {
			answer = coded(reply, query, answer)
		}
	}
	send(pack(fit(answer, query, tcp)))
	return true
}

// coded makes the replies that are one message without more.
func coded(reply DNSReply, query, answer *dns.Msg) *dns.Msg {
	switch reply {
	case DNSServFail:
		return bare(query, dns.RcodeServerFailure)
	case DNSRefused:
		return bare(query, dns.RcodeRefused)
	case DNSFormErr:
		return bare(query, dns.RcodeFormatError)
	case DNSNotImp:
		return bare(query, dns.RcodeNotImplemented)
	case DNSNXDomain:
		return bare(query, dns.RcodeNameError)
	case DNSEmpty:
		return bare(query, dns.RcodeSuccess)
	case DNSReferral:
		referral := bare(query, dns.RcodeSuccess)
		referral.RecursionAvailable = false
		referral.Ns = []dns.RR{&dns.NS{
			Hdr: dns.RR_Header{Name: ".", Rrtype: dns.TypeNS, Class: dns.ClassINET, Ttl: 518400}, Ns: "a.root-servers.net.",
		}}
		return referral
	case DNSSecure:
		edns := query.IsEdns0()
		answer.AuthenticatedData = edns != nil && edns.Do()
		return answer
	case DNSBogus:
		if !query.CheckingDisabled {
			return bare(query, dns.RcodeServerFailure)
		}
		return answer
	default:
		return disguise(reply, answer)
	}
}

// disguise makes an answer one to another question.
func disguise(reply DNSReply, answer *dns.Msg) *dns.Msg {
	switch reply {
	case DNSWrongID:
		answer.Id ^= 0x5555
	case DNSWrongName:
		answer.Question[0].Name = "wrong." + answer.Question[0].Name
	case DNSWrongType:
		answer.Question[0].Qtype = dns.TypeHINFO
	case DNSWrongCase:
		answer.Question[0].Name = turnCase(answer.Question[0].Name)
	}
	return answer
}

func turnCase(name string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case 'a' <= r && r <= 'z':
			return r - 'a' + 'A'
		case 'A' <= r && r <= 'Z':
			return r - 'A' + 'a'
		}
		return r
	}, name)
}

// records makes an answer of the texts of DNSRecords.
func (d *DNS) records(query *dns.Msg, texts string) *dns.Msg {
	answer := bare(query, dns.RcodeSuccess)
	for text := range strings.SplitSeq(texts, "\n") {
		if first, _, _ := strings.Cut(text, " "); !strings.HasSuffix(first, ".") {
			text = fmt.Sprintf("%s %s", query.Question[0].Name, text)
		}
		rr, err := dns.NewRR(text)
		if err != nil || rr == nil {
			d.tb.Errorf("DNS script: record %q: %v", text, err)
			continue
		}
		answer.Answer = append(answer.Answer, rr)
	}
	return answer
}

func bare(query *dns.Msg, code int) *dns.Msg {
	message := new(dns.Msg)
	message.SetRcode(query, code)
	message.RecursionAvailable = true
	return message
}

func truncatedAnswer(query *dns.Msg) *dns.Msg {
	message := bare(query, dns.RcodeSuccess)
	message.Truncated = true
	return message
}

// fit cuts an answer to what a UDP asker takes.
func fit(answer, query *dns.Msg, tcp bool) *dns.Msg {
	size := classicSize
	if edns := query.IsEdns0(); edns != nil {
		size = max(size, int(edns.UDPSize()))
		answer.SetEdns0(edns.UDPSize(), false)
	}
	answer.Compress = true
	if tcp || answer.Len() <= size {
		return answer
	}
	return truncatedAnswer(query)
}

func pack(message *dns.Msg) []byte {
	packet, err := message.Pack()
	if err != nil {
		return nil // shown by the asker's time-out
	}
	return packet
}

func malformed(query *dns.Msg) []byte {
	packet := pack(bare(query, dns.RcodeSuccess))
	packet[7] = 3 // three records
	return append(packet, 0xc0, 0xff, 0, 15, 0, 1, 0xff, 0xff)
}

// pause waits, false when the server is stopped meanwhile.
func (d *DNS) pause(wait time.Duration) bool {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-d.done:
		return false
	}
}
