package zone

// Newer reports whether serial a comes after b (RFC 1982 §3.2). Of two that are exactly 2^31 apart, neither does.
func Newer(a, b uint32) bool { return a != b && a-b < 1<<31 }

// NextSerial gives the serial that follows current: the first of the wanted ones that is newer than it, for a zone that
// comes with a number of its own from elsewhere, or else the next number. It is always newer than current and never 0.
// Zero as current says that no serial was ever published: then whatever is wanted is taken.
func NextSerial(current uint32, wanted ...uint32) uint32 {
	for _, w := range wanted {
		if w != 0 && (current == 0 || Newer(w, current)) {
			return w
		}
	}
	if current+1 == 0 {
		return 1
	}
	return current + 1
}
