package obs_test

import (
	"bytes"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"postroad/internal/obs"
)

// counted counts the writes that reach it.
type counted struct {
	bytes.Buffer
	writes int
}

func (c *counted) Write(p []byte) (int, error) {
	c.writes++
	return c.Buffer.Write(p)
}

func TestLinesAreWrittenTogetherAndNoneIsLost(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var to counted
		b := obs.NewBuffered(&to)
		for range 100 {
			_, _ = b.Write([]byte("a line\n"))
		}
		if to.writes != 0 {
			t.Errorf("%d writes at once", to.writes)
		}
		time.Sleep(time.Second)
		if to.writes != 1 || to.String() != strings.Repeat("a line\n", 100) {
			t.Errorf("%d writes of %d octets after a second", to.writes, to.Len())
		}
		_, _ = b.Write([]byte("the last\n"))
		if err := b.Close(); err != nil || !strings.HasSuffix(to.String(), "the last\n") {
			t.Errorf("after Close: %v, %q", err, to.String())
		}
	})
}
