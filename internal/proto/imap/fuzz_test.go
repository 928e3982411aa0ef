package imap

import (
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"time"
)

// Whatever a client sends: reading ends, in time linear to it, never holds more than the limits allow, and gives the
// same commands however the octets come.
func FuzzReader(f *testing.F) {
	f.Add("a LOGIN {1+}\r\nx \"y\"\r\nb SELECT INBOX (QRESYNC (1 2 3 (4 5)))\r\n")
	f.Add("a APPEND x (\\Seen) {3+}\r\nabc {1+}\r\nd\r\nb UID SEARCH OR (NOT ALL) 1:*\r\n")
	f.Add("a FETCH 1:*,2 (BODY[1.2.HEADER.FIELDS (A B)]<1.2> BINARY[1])\r\n")
	f.Add("a LIST (SUBSCRIBED) \"\" (\"*\" %) RETURN (STATUS (SIZE))\r\na ID (\"a\" NIL)\r\n")
	f.Fuzz(func(t *testing.T, text string) {
		begin := time.Now()
		at := transcript(t, strings.NewReader(text))
		if took := time.Since(begin); took > time.Second+time.Duration(len(text))*time.Millisecond {
			t.Errorf("took %v for %d octets", took, len(text))
		}
		if again := transcript(t, iotest.OneByteReader(strings.NewReader(text))); at != again {
			t.Errorf("at once: %s\none by one: %s", at, again)
		}
	})
}

func transcript(t *testing.T, src io.Reader) string {
	limits := Limits{Command: 4096, Literals: 1024, Message: 2048, MaxNoSync: 4096}
	r := NewReader(src, limits, func() error { return nil })
	defer r.Close()
	var log strings.Builder
	for {
		request, err := r.Next()
		if cap(r.text) > 4*(limits.Command+limits.Literals) {
			t.Fatalf("holds %d octets", cap(r.text))
		}
		if err != nil {
			log.WriteString(err.Error() + "\n")
			if refused, ok := errors.AsType[*Error](err); ok && !refused.Fatal() {
				continue
			}
			return log.String()
		}
		log.WriteString(request.Tag + " " + request.Command.Name() + "\n")
		appended, ok := request.Command.(*Append)
		for m := (*Message)(nil); ok; {
			if m == nil {
				m = appended.Message
			}
			if err := m.Open(); err != nil {
				log.WriteString(err.Error() + "\n")
				break
			}
			text, err := io.ReadAll(m)
			log.WriteString(string(text) + "\n")
			if err != nil {
				log.WriteString(err.Error() + "\n")
				break
			}
			if m, err = r.More(); m == nil || err != nil {
				break
			}
		}
	}
}
