package dns

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// ErrPrerequisite says that a zone is not as a change of it supposed (RFC 2136 §3.2): nothing was changed.
var ErrPrerequisite = errors.New("the zone is not as it was when the change was planned")

// SetUpdate is the change of one RRset: the whole set before and after, either of which may be empty.
type SetUpdate struct {
	Name          string
	Type          Type
	Before, After []Record
}

const (
	opcodeUpdate = 5
	classNone    = 254
)

// UpdateRequest is the message that changes RRsets of a zone (RFC 2136), all of them or none: the server first sees that each
// is to the record as it was before.
func UpdateRequest(id uint16, zone string, sets []SetUpdate) ([]byte, error) {
	msg := binary.BigEndian.AppendUint16(nil, id)
	msg, err := question(append(msg, opcodeUpdate<<3, 0, 0, 1, 0, 0, 0, 0, 0, 0), zone, TypeSOA)
	if err != nil {
		return nil, err
	}
	prerequisites, updates := 0, 0
	add := func(name string, t Type, class uint16, ttl uint32, data []byte) {
		if err != nil {
			return
		}
		if msg, err = AppendName(msg, name); err != nil {
			return
		}
		msg = binary.BigEndian.AppendUint16(msg, uint16(t))
		msg = binary.BigEndian.AppendUint16(msg, class)
		msg = binary.BigEndian.AppendUint32(msg, ttl)
		msg = binary.BigEndian.AppendUint16(msg, uint16(len(data))) //nolint:gosec // a record's data is shorter
		msg = append(msg, data...)
	}
	for _, s := range sets {
		if len(s.Before) == 0 { // RFC 2136 §2.4.3
			add(s.Name, s.Type, classNone, 0, nil)
			prerequisites++
		}
		for _, r := range s.Before { // §2.4.2
			add(s.Name, s.Type, classIN, 0, r.Data)
			prerequisites++
		}
	}
	for _, s := range sets {
		if len(s.Before) > 0 { // §2.5.2
			add(s.Name, s.Type, classAny, 0, nil)
			updates++
		}
		for _, r := range s.After { // §2.5.1
			add(s.Name, s.Type, classIN, r.TTL, r.Data)
			updates++
		}
	}
	if err == nil && len(msg) > 65535 || prerequisites > 65535 || updates > 65535 {
		err = fmt.Errorf("%w: more changes than one message holds", ErrSyntax)
	}
	if err != nil {
		return nil, err
	}
	binary.BigEndian.PutUint16(msg[6:], uint16(prerequisites)) //nolint:gosec // judged above
	binary.BigEndian.PutUint16(msg[8:], uint16(updates))       //nolint:gosec // as above
	return msg, nil
}

// ReadUpdate judges the answer to a message of UpdateRequest: nil when the change was made, ErrPrerequisite when the zone is
// not as it was, else a RefusedError.
func ReadUpdate(request, answer []byte) error {
	if len(answer) < headerSize || answer[0] != request[0] || answer[1] != request[1] || answer[2]&0xF8 != 0x80|opcodeUpdate<<3 {
		return fmt.Errorf("%w: a message that does not answer the request", ErrSyntax)
	}
	switch code := int(answer[3] & 15); code {
	case 0:
		return nil
	case 3, 6, 7, 8: // NXDOMAIN, YXDOMAIN, YXRRSET, NXRRSET
		return ErrPrerequisite
	default:
		return RefusedError(code)
	}
}

// ReadSet gives the RRset of an authoritative answer to a question for it, a message of TransferRequest; none when there is
// none.
func ReadSet(request, answer []byte, name string, t Type) ([]Record, error) {
	if len(answer) < len(request) || answer[0] != request[0] || answer[1] != request[1] || answer[2]&0xF8 != 0x80 || binary.BigEndian.Uint16(answer[4:]) != 1 {
		return nil, fmt.Errorf("%w: a message that does not answer the question", ErrSyntax)
	}
	switch code := int(answer[3] & 15); {
	case code != 0 && code != 3:
		return nil, RefusedError(code)
	case answer[2]&(flagAA>>8) == 0:
		return nil, fmt.Errorf("%w: the server does not answer for the zone", ErrSyntax)
	case answer[2]&(flagTC>>8) != 0:
		return nil, fmt.Errorf("%w: the answer is cut", ErrSyntax)
	}
	var out []Record
	end := len(request)
	for range binary.BigEndian.Uint16(answer[6:]) {
		r, class, next, err := ReadRecord(answer, end)
		if err != nil {
			return nil, err
		}
		if r.Name == name && class == classIN && r.Type == TypeCNAME {
			return nil, fmt.Errorf("%w: %.80s is an alias, which has no other records", ErrSyntax, name)
		}
		if r.Name == name && r.Type == t && class == classIN {
			out = append(out, r)
		}
		end = next
	}
	return out, nil
}
