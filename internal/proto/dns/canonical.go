package dns

// CanonicalData is the record's data with the letters of names in it in lower case, for the types where they have no
// meaning (RFC 4034 §6.2, RFC 6840 §5.1): records are the same if these octets are. It may be Data itself, so nobody
// writes into it.
func (r Record) CanonicalData() []byte {
	var out []byte
	for from, to := range r.nameSpans() {
		for i := from; i < to; i++ {
			if c := r.Data[i]; c >= 'A' && c <= 'Z' {
				if out == nil {
					out = append(out, r.Data...)
				}
				out[i] = c + ('a' - 'A')
			}
		}
	}
	if out == nil {
		return r.Data
	}
	return out
}

// nameLayout says where names lie in the data of a type: after skip octets and some character-strings, count names.
type nameLayout struct{ skip, strings, count int }

// nameLayouts are the types whose names are compared without regard to case. Length octets are below 'A', so that a
// name's octets can be looked at without taking it apart.
var nameLayouts = map[Type]nameLayout{
	TypeNS: {count: 1}, TypeCNAME: {count: 1}, TypePTR: {count: 1}, TypeDNAME: {count: 1},
	TypeMX: {skip: 2, count: 1}, TypeSRV: {skip: 6, count: 1}, TypeSOA: {count: 2}, TypeNAPTR: {skip: 4, strings: 3, count: 1},
	TypeRRSIG: {skip: 18, count: 1}, 24: {skip: 18, count: 1}, // SIG
	// MD, MF, MB, MG, MR, NXT, MINFO, RP, AFSDB, RT, PX, KX
	3: {count: 1}, 4: {count: 1}, 7: {count: 1}, 8: {count: 1}, 9: {count: 1}, 30: {count: 1}, 14: {count: 2},
	17: {count: 2}, 18: {skip: 2, count: 1}, 21: {skip: 2, count: 1}, 26: {skip: 2, count: 2}, 36: {skip: 2, count: 1},
}

// nameSpans yields from where to where each name of the data reaches. Data that is cut off has none.
func (r Record) nameSpans() func(yield func(from, to int) bool) {
	return func(yield func(from, to int) bool) {
		layout := nameLayouts[r.Type]
		at := layout.skip
		for range layout.strings {
			if at >= len(r.Data) {
				return
			}
			at += 1 + int(r.Data[at])
		}
		for range layout.count {
			if at >= len(r.Data) {
				return
			}
			_, n, err := ReadName(r.Data[at:])
			if err != nil || !yield(at, at+n) {
				return
			}
			at += n
		}
	}
}
