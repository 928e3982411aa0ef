package dns

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
)

// ErrTransfer says that the answers of a transfer are not what RFC 5936 and RFC 1995 demand, or more than the reader
// takes. Every error of reading one wraps it, or is a RefusedError.
var ErrTransfer = errors.New("not a valid zone transfer")

// RefusedError is the RCODE of an answer that gives nothing.
type RefusedError int

// Error says the code as documents do.
func (r RefusedError) Error() string {
	switch r {
	case 1:
		return "the server answered FORMERR"
	case 2:
		return "the server answered SERVFAIL"
	case 3:
		return "the server answered NXDOMAIN"
	case 4:
		return "the server answered NOTIMP"
	case 5:
		return "the server answered REFUSED"
	case 9:
		return "the server answered NOTAUTH"
	}
	return fmt.Sprintf("the server answered RCODE %d", int(r))
}

const (
	opcodeNotify = 4
	flagAA       = 0x0400
	flagTC       = 0x0200
	classIN      = 1
)

// question appends a question of class IN.
func question(msg []byte, name string, t Type) ([]byte, error) {
	msg, err := AppendName(msg, name)
	if err != nil {
		return nil, err
	}
	msg = binary.BigEndian.AppendUint16(msg, uint16(t))
	return binary.BigEndian.AppendUint16(msg, classIN), nil
}

// TransferRequest is the message that asks for a zone: by AXFR, or by IXFR for what has changed since the SOA record
// given, which goes along (RFC 1995 §3). With another type it is a plain question.
func TransferRequest(id uint16, zone string, t Type, have *Record) ([]byte, error) {
	msg := binary.BigEndian.AppendUint16(nil, id)
	msg, err := question(append(msg, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0), zone, t)
	if err != nil || t != TypeIXFR {
		return msg, err
	}
	if have == nil {
		return nil, fmt.Errorf("%w: IXFR without a SOA record", ErrSyntax)
	}
	msg[9] = 1
	return compression{}.appendRecord(msg, have)
}

// NotifyRequest is the message that tells a secondary that a zone has changed (RFC 1996 §3.7), without the SOA record that
// it could have as a hint.
func NotifyRequest(id uint16, zone string) ([]byte, error) {
	msg := binary.BigEndian.AppendUint16(nil, id)
	return question(append(msg, opcodeNotify<<3|flagAA>>8, 0, 0, 1, 0, 0, 0, 0, 0, 0), zone, TypeSOA)
}

// ReadSOA gives the SOA record of an authoritative answer to a question for it.
func ReadSOA(request, answer []byte) (Record, error) {
	if len(answer) < headerSize || answer[0] != request[0] || answer[1] != request[1] || answer[2]&0xF8 != 0x80 {
		return Record{}, fmt.Errorf("%w: a message that does not answer the request", ErrTransfer)
	}
	if code := int(answer[3] & 15); code != 0 {
		return Record{}, RefusedError(code)
	}
	end := len(request)
	name, _, err := ReadName(request[headerSize:])
	if err != nil || answer[2]&(flagAA>>8) == 0 || len(answer) < end || binary.BigEndian.Uint16(answer[4:]) != 1 ||
		!bytes.Equal(bytes.ToLower(answer[headerSize:end]), bytes.ToLower(request[headerSize:end])) {
		return Record{}, fmt.Errorf("%w: the server does not answer for the zone", ErrTransfer)
	}
	for range binary.BigEndian.Uint16(answer[6:]) {
		r, class, next, err := ReadRecord(answer, end)
		if err != nil {
			return Record{}, fmt.Errorf("%w: %w", ErrTransfer, err)
		}
		if r.Type == TypeSOA && class == classIN && r.Name == name {
			return r, nil
		}
		end = next
	}
	return Record{}, fmt.Errorf("%w: no SOA record in the answer", ErrTransfer)
}

// SerialOf gives the serial number of a SOA record.
func SerialOf(soa *Record) (uint32, error) {
	if numbers, err := soaNumbers(soa); err == nil {
		return numbers[0], nil
	}
	return 0, fmt.Errorf("%w: the SOA record of %.80s", ErrSyntax, soa.Name)
}

// Timers are the seconds of a SOA record by which a secondary acts (RFC 1035 §3.3.13).
type Timers struct{ Refresh, Retry, Expire uint32 }

// TimersOf gives the timers of a SOA record.
func TimersOf(soa *Record) (Timers, error) {
	n, err := soaNumbers(soa)
	return Timers{n[1], n[2], n[3]}, err
}

func soaNumbers(soa *Record) (numbers [5]uint32, err error) {
	at := 0
	for range 2 {
		if at, err = skipName(soa.Data, at); err != nil {
			break
		}
	}
	if err != nil || soa.Type != TypeSOA || len(soa.Data) != at+20 {
		return numbers, fmt.Errorf("%w: the SOA record of %.80s", ErrSyntax, soa.Name)
	}
	for i := range numbers {
		numbers[i] = binary.BigEndian.Uint32(soa.Data[at+4*i:])
	}
	return numbers, nil
}

// newer reports whether serial a is ahead of b (RFC 1982 §3.2).
func newer(a, b uint32) bool { return a != b && a-b < 1<<31 }

// Stream writes the answers to one request for a transfer: messages with as many records as fit (RFC 5936 §2.2).
type Stream struct {
	head   []byte // header and question
	limit  int
	send   func(msg []byte) error
	msg    []byte
	names  compression
	inside int // records in msg
	// Records, Messages and Octets count what was sent.
	Records, Messages, Octets int64
}

// NewStream begins the answer to a request, of which the question is the first 12 octets and what follows up to the end
// of the question section. Messages are at most limit octets long; send owns none of them after it has returned.
func NewStream(request []byte, limit int, send func(msg []byte) error) (*Stream, error) {
	if len(request) < headerSize || binary.BigEndian.Uint16(request[4:]) != 1 {
		return nil, fmt.Errorf("%w: a request without one question", ErrSyntax)
	}
	end, err := skipName(request, headerSize)
	if err != nil || end+4 > len(request) {
		return nil, fmt.Errorf("%w: a request without one question", ErrSyntax)
	}
	s := &Stream{head: bytes.Clone(request[:end+4]), limit: limit, send: send}
	clear(s.head[6:headerSize])
	s.head[2], s.head[3] = 0x80|flagAA>>8|request[2]&1, 0
	s.begin()
	return s, nil
}

func (s *Stream) begin() {
	s.names, s.inside = compression{}, 0
	// The question's name, for all that follow.
	name := s.head[headerSize : len(s.head)-4]
	lower := bytes.ToLower(name)
	s.msg = append(s.names.appendName(append(s.msg[:0], s.head[:headerSize]...), lower), s.head[len(s.head)-4:]...)
	copy(s.msg[headerSize:], name)
}

// Add appends a record, and sends the message first when it is full.
func (s *Stream) Add(r *Record) error {
	before := len(s.msg)
	msg, err := s.names.appendRecord(s.msg, r)
	if err != nil {
		return err
	}
	s.msg = msg
	if len(msg) <= s.limit && s.inside < 65535 {
		s.inside++
		s.Records++
		return nil
	}
	if s.inside == 0 {
		return fmt.Errorf("%w: %s %s does not fit into a message", ErrTransfer, r.Name, r.Type)
	}
	s.msg = msg[:before]
	if err := s.Flush(); err != nil {
		return err
	}
	return s.Add(r)
}

// Flush sends what has not been sent. It is the end of the transfer, or of a part of it that the other side is not to
// wait for.
func (s *Stream) Flush() error {
	if s.inside == 0 {
		return nil
	}
	binary.BigEndian.PutUint16(s.msg[6:], uint16(s.inside)) //nolint:gosec // bounded by Add
	s.Messages++
	s.Octets += int64(len(s.msg))
	err := s.send(s.msg)
	s.begin()
	return err
}

// Difference leads from one version of a zone to the next (RFC 1995 §4): the SOA record of each is the first of its list.
type Difference struct{ Removed, Added []Record }

// Apply gives the records of the next version; those of the present one are in the order of Compare, and so is the
// result. What is removed must be there, what is added must not be; the present list is not changed.
func (d Difference) Apply(records []Record) ([]Record, error) {
	removed, added := slices.Clone(d.Removed), slices.Clone(d.Added)
	slices.SortFunc(removed, Compare)
	slices.SortFunc(added, Compare)
	out := make([]Record, 0, max(0, len(records)-len(removed)+len(added)))
	for _, r := range records {
		if len(removed) > 0 && Compare(removed[0], r) == 0 {
			removed = removed[1:]
			continue
		}
		for len(added) > 0 && Compare(added[0], r) < 0 {
			out, added = append(out, added[0]), added[1:]
		}
		out = append(out, r)
	}
	out = append(out, added...)
	if len(removed) > 0 {
		return nil, fmt.Errorf("%w: a difference removes %.80s %s, which is not there", ErrTransfer, removed[0].Name, removed[0].Type)
	}
	for i := 1; i < len(out); i++ {
		if Compare(out[i-1], out[i]) >= 0 {
			return nil, fmt.Errorf("%w: a difference adds %.80s %s, which is there", ErrTransfer, out[i].Name, out[i].Type)
		}
	}
	return out, nil
}

// Differ gives the difference between two versions of a zone, each in the order of Compare, the SOA records first.
func Differ(before, after []Record) Difference {
	var d Difference
	for len(before) > 0 || len(after) > 0 {
		order := 0
		switch {
		case len(before) == 0:
			order = 1
		case len(after) == 0:
			order = -1
		default:
			order = Compare(before[0], after[0])
		}
		switch {
		case order < 0:
			d.Removed, before = append(d.Removed, before[0]), before[1:]
		case order > 0:
			d.Added, after = append(d.Added, after[0]), after[1:]
		default:
			if before[0].TTL != after[0].TTL {
				d.Removed, d.Added = append(d.Removed, before[0]), append(d.Added, after[0])
			}
			before, after = before[1:], after[1:]
		}
	}
	first := func(list []Record) {
		if i := slices.IndexFunc(list, func(r Record) bool { return r.Type == TypeSOA }); i > 0 {
			soa := list[i]
			copy(list[1:], list[:i])
			list[0] = soa
		}
	}
	first(d.Removed)
	first(d.Added)
	return d
}
