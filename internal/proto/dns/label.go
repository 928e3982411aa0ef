package dns

// AppendLabel appends the text of a label that is on the wire, without its length octet: what has a meaning in zone text
// is escaped, and so is what cannot be seen (RFC 1035 §5.1). Letters stay as they are.
func AppendLabel(b, label []byte) []byte {
	for _, c := range label {
		switch {
		case c < ' ' || c > '~':
			b = append(b, '\\', '0'+c/100, '0'+c/10%10, '0'+c%10)
		case special[c]:
			b = append(b, '\\', c)
		default:
			b = append(b, c)
		}
	}
	return b
}

// special are the octets that zone text knows a use for.
var special = [128]bool{'.': true, ' ': true, '\'': true, '@': true, ';': true, '(': true, ')': true, '"': true, '\\': true}
