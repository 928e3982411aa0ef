package imap

// appendAString appends an astring: an atom where it is one, else quoted. It is for text of the printable ASCII range.
func appendAString(b []byte, s string) []byte {
	plain := s != ""
	for i := range len(s) {
		plain = plain && classes[s[i]]&isAtom != 0
	}
	if plain {
		return append(b, s...)
	}
	b = append(b, '"')
	for i := range len(s) {
		if s[i] == '"' || s[i] == '\\' {
			b = append(b, '\\')
		}
		b = append(b, s[i])
	}
	return append(b, '"')
}
