package dkim

import "sync"

// Records remembers what key records say, by their text: many messages are signed by one key. The zero value is empty; it
// may be used at once.
type Records struct {
	mu    sync.Mutex
	known map[string]Record
}

const (
	// maxKnown is how many records are remembered; then all are forgotten.
	maxKnown = 1000
	// maxRemembered is how long a record may be that is remembered, in octets: the largest key that is believed has room.
	maxRemembered = 2 << 10
)

// parse is [ParseRecord].
func (r *Records) parse(text string) (Record, error) {
	if r == nil || len(text) > maxRemembered {
		return ParseRecord(text)
	}
	r.mu.Lock()
	record, known := r.known[text]
	r.mu.Unlock()
	if known {
		return record, nil
	}
	record, err := ParseRecord(text)
	if err != nil {
		return record, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.known == nil || len(r.known) >= maxKnown {
		r.known = map[string]Record{}
	}
	r.known[text] = record
	return record, nil
}
