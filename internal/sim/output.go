package sim

import (
	"bytes"
	"strings"
	"sync"
)

// Output gathers what a program or a log writes; it may be read meanwhile. The zero value is empty.
type Output struct {
	mu     sync.Mutex
	text   bytes.Buffer
	awaits map[string]chan struct{} // words that somebody waits for
}

// Write adds to what was written.
func (o *Output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	n, err := o.text.Write(b)
	o.tell()
	return n, err
}

// String gives what was written so far.
func (o *Output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// Said gives a channel that is closed as soon as the words stand in what was written.
func (o *Output) Said(words string) <-chan struct{} {
	o.mu.Lock()
	defer o.mu.Unlock()
	said, ok := o.awaits[words]
	if !ok {
		said = make(chan struct{})
		if o.awaits == nil {
			o.awaits = map[string]chan struct{}{}
		}
		o.awaits[words] = said
		o.tell()
	}
	return said
}

// tell closes the channels of words that are there.
func (o *Output) tell() {
	for words, said := range o.awaits {
		select {
		case <-said:
		default:
			if strings.Contains(o.text.String(), words) {
				close(said)
			}
		}
	}
}
