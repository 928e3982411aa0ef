package dns

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
)

// Limits bound what is taken of one transfer, or of one zone text. How long it may take is the caller's to see to.
type Limits struct {
	Octets  int64 // of all messages together, or of the text
	Records int   // of all messages together, or kept of the text
}

// Received is what a transfer brought.
type Received struct {
	SOA     Record       // of the version that the server has
	Current bool         // it has nothing newer than what was named in the request
	Records []Record     // the whole zone, in the order of Compare; nil when there are differences
	Steps   []Difference // from the version named in the request to this one, in order
}

// Inbound reads the answers to one request for a transfer, message by message. It takes nothing that is not the zone's:
// records of class IN, of stored types, at or below its name, between two SOA records that are the same. What comes twice
// is kept once.
type Inbound struct {
	zone   string
	id     uint16
	kind   Type
	serial uint32 // kind IXFR: what we have
	limits Limits

	octets   int64
	records  int
	messages int
	stage    stage
	got      Received
	at       uint32 // of differences: the version reached so far
}

// stage is what the next record may be.
type stage int

const (
	stageFirst   stage = iota // the SOA record of the version to come
	stageSecond               // a record of the whole zone, or the SOA record of the version that is there
	stageWhole                // a record of the whole zone
	stageRemoved              // a record that goes, or the SOA record of the next version
	stageAdded                // a record that comes, or the next difference's SOA record, or the last one
	stageDone
)

// NewInbound begins to read answers to the request with the id for the zone by AXFR, or by IXFR since serial.
func NewInbound(id uint16, zone string, kind Type, serial uint32, limits Limits) *Inbound {
	return &Inbound{zone: zone, id: id, kind: kind, serial: serial, limits: limits}
}

// Read takes the next message and reports whether it was the last one. After an error nothing more is to be read.
func (in *Inbound) Read(msg []byte) (done bool, err error) {
	if in.octets += int64(len(msg)); in.octets > in.limits.Octets {
		return false, fmt.Errorf("%w: more than %d octets", ErrTransfer, in.limits.Octets)
	}
	if len(msg) < headerSize {
		return false, fmt.Errorf("%w: a message of %d octets", ErrTransfer, len(msg))
	}
	if binary.BigEndian.Uint16(msg) != in.id || msg[2]&0xF8 != 0x80 {
		return false, fmt.Errorf("%w: a message that does not answer the request", ErrTransfer)
	}
	if code := int(msg[3] & 15); code != 0 {
		return false, RefusedError(code)
	}
	if msg[2]&(flagTC>>8) != 0 {
		return false, fmt.Errorf("%w: a truncated message", ErrTransfer)
	}
	answers, others := int(binary.BigEndian.Uint16(msg[6:])), int(binary.BigEndian.Uint16(msg[8:]))
	if answers == 0 || others != 0 {
		return false, fmt.Errorf("%w: %d records in the answer section and %d in the authority section", ErrTransfer, answers, others)
	}
	off, err := in.question(msg)
	if err != nil {
		return false, err
	}
	in.messages++
	for range answers {
		r, class, end, err := ReadRecord(msg, off)
		if err != nil {
			return false, fmt.Errorf("%w: %w", ErrTransfer, err)
		}
		if off = end; in.stage == stageDone {
			return false, fmt.Errorf("%w: records after the end", ErrTransfer)
		}
		if err := in.record(&r, class); err != nil {
			return false, err
		}
	}
	for range binary.BigEndian.Uint16(msg[arcountAt:]) {
		at, err := skipName(msg, off)
		if err != nil || at+10 > len(msg) || at+10+int(binary.BigEndian.Uint16(msg[at+8:])) > len(msg) || Type(binary.BigEndian.Uint16(msg[at:])) != TypeOPT {
			return false, fmt.Errorf("%w: the additional section holds more than EDNS", ErrTransfer)
		}
		off = at + 10 + int(binary.BigEndian.Uint16(msg[at+8:]))
	}
	if off != len(msg) {
		return false, fmt.Errorf("%w: %d octets after the message", ErrTransfer, len(msg)-off)
	}
	// Nothing but a SOA record that is not newer: there is nothing to tell (RFC 1995 §4).
	if in.stage == stageSecond && in.kind == TypeIXFR && in.messages == 1 && !newer(in.at, in.serial) {
		in.got.Current, in.stage = true, stageDone
	}
	return in.stage == stageDone, nil
}

// question checks the question section, which only the first message must have (RFC 5936 §2.2.2).
func (in *Inbound) question(msg []byte) (off int, err error) {
	count := binary.BigEndian.Uint16(msg[4:])
	if count > 1 || count == 0 && in.messages == 0 {
		return 0, fmt.Errorf("%w: a message with %d questions", ErrTransfer, count)
	}
	if count == 0 {
		return headerSize, nil
	}
	wire, err := question(nil, in.zone, in.kind)
	if err != nil {
		return 0, err
	}
	if off = headerSize + len(wire); off > len(msg) || !bytes.Equal(bytes.ToLower(msg[headerSize:off-4]), wire[:len(wire)-4]) || !bytes.Equal(msg[off-4:off], wire[len(wire)-4:]) {
		return 0, fmt.Errorf("%w: the answer is to another question", ErrTransfer)
	}
	return off, nil
}

func (in *Inbound) record(r *Record, class uint16) error {
	if in.records++; in.records > in.limits.Records {
		return fmt.Errorf("%w: more than %d records", ErrTransfer, in.limits.Records)
	}
	switch {
	case class != classIN:
		return fmt.Errorf("%w: a record of class %d", ErrTransfer, class)
	case r.Type.Meta():
		return fmt.Errorf("%w: a record of type %s", ErrTransfer, r.Type)
	case !Below(r.Name, in.zone):
		return fmt.Errorf("%w: %.80s is not in the zone", ErrTransfer, r.Name)
	case r.Type == TypeSOA && r.Name != in.zone:
		return fmt.Errorf("%w: a SOA record of %.80s", ErrTransfer, r.Name)
	}
	if r.Type == TypeSOA {
		return in.soa(r)
	}
	switch in.stage {
	case stageFirst:
		return fmt.Errorf("%w: it does not begin with a SOA record", ErrTransfer)
	case stageSecond, stageWhole:
		in.stage = stageWhole
		in.got.Records = append(in.got.Records, *r)
	case stageRemoved:
		step := &in.got.Steps[len(in.got.Steps)-1]
		step.Removed = append(step.Removed, *r)
	case stageAdded:
		step := &in.got.Steps[len(in.got.Steps)-1]
		step.Added = append(step.Added, *r)
	case stageDone:
	}
	return nil
}

// soa takes a SOA record, which begins, parts and ends what a transfer brings.
func (in *Inbound) soa(r *Record) error {
	serial, err := SerialOf(r)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrTransfer, err)
	}
	last := Compare(*r, in.got.SOA) == 0 && r.TTL == in.got.SOA.TTL
	switch in.stage {
	case stageFirst:
		in.got.SOA, in.at, in.stage = *r, serial, stageSecond
	case stageSecond:
		if !last && in.kind == TypeIXFR {
			return in.step(r, serial, in.serial)
		}
		return in.end(last)
	case stageWhole:
		return in.end(last)
	case stageRemoved:
		step := &in.got.Steps[len(in.got.Steps)-1]
		if !newer(serial, in.at) {
			return fmt.Errorf("%w: a difference from serial %d to %d", ErrTransfer, in.at, serial)
		}
		step.Added = append(step.Added, *r)
		in.at, in.stage = serial, stageAdded
	case stageAdded:
		if last {
			if in.at != serial {
				return fmt.Errorf("%w: the differences lead to serial %d, not to %d", ErrTransfer, in.at, serial)
			}
			in.stage = stageDone
			return nil
		}
		return in.step(r, serial, in.at)
	case stageDone:
	}
	return nil
}

// step begins a difference, which must be from the version that is reached.
func (in *Inbound) step(r *Record, serial, want uint32) error {
	if serial != want {
		return fmt.Errorf("%w: a difference from serial %d where %d is reached", ErrTransfer, serial, want)
	}
	in.got.Steps = append(in.got.Steps, Difference{Removed: []Record{*r}})
	in.at, in.stage = serial, stageRemoved
	return nil
}

// end takes the SOA record that closes a whole zone, and puts the zone's records into order.
func (in *Inbound) end(same bool) error {
	if !same {
		return fmt.Errorf("%w: a second SOA record that is not the first", ErrTransfer)
	}
	in.got.Records = append(in.got.Records, in.got.SOA)
	slices.SortFunc(in.got.Records, Compare)
	in.got.Records = slices.CompactFunc(in.got.Records, func(a, b Record) bool { return Compare(a, b) == 0 })
	in.stage = stageDone
	return nil
}

// Result is what was received; it may be asked for when Read has reported the end.
func (in *Inbound) Result() Received { return in.got }
