package obs_test

import (
	"bytes"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"postroad/internal/obs"
)

// counted counts the writes that reach it.
type counted struct {
	mu     sync.Mutex
	text   bytes.Buffer
	writes int
}

func (c *counted) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.writes++
	return c.text.Write(p)
}

// so gives the number of writes so far, and what was written.
func (c *counted) so() (int, string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.writes, c.text.String()
}

func TestLinesAreWrittenTogetherAndNoneIsLost(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var to counted
		b := obs.NewBuffered(&to)
		for range 100 {
			_, _ = b.Write([]byte("a line\n"))
		}
		if n, _ := to.so(); n != 0 {
			t.Errorf("%d writes at once", n)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if n, text := to.so(); n != 1 || text != strings.Repeat("a line\n", 100) {
			t.Errorf("%d writes of %d octets after a second", n, len(text))
		}
		_, _ = b.Write([]byte("the last\n"))
		err := b.Close()
		if _, text := to.so(); err != nil || !strings.HasSuffix(text, "the last\n") {
			t.Errorf("after Close: %v, %q", err, text)
		}
	})
}
