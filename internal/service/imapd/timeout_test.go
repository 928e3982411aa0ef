package imapd

import (
	"testing"
	"time"
)

// Times are those of a bubble: nobody waits for them.
func TestTimeouts(t *testing.T) {
	begin := func() func(*testing.T, time.Duration) {
		at := time.Now()
		return func(t *testing.T, limit time.Duration) {
			t.Helper()
			if took := time.Since(at); took < limit || took > limit+time.Second {
				t.Errorf("the session ended after %v, want %v", took, limit)
			}
		}
	}
	ended := func(c *client) {
		c.t.Helper()
		rest := readAllOf(c)
		want(c.t, rest, "* BYE ")
	}
	t.Run("without a login", func(t *testing.T) {
		inBubble(t, "", func(c *client) {
			after := begin()
			ended(c)
			after(c.t, loginTimeout)
		})
	})
	t.Run("between commands", func(t *testing.T) {
		inBubble(t, "ann@a.example", func(c *client) {
			after := begin()
			ended(c)
			after(c.t, idleTimeout)
		})
	})
	t.Run("between the first and the last moment", func(t *testing.T) {
		inBubble(t, "ann@a.example", func(c *client) {
			for _, wait := range []time.Duration{handOverAfter / 2, 2 * handOverAfter, idleTimeout - time.Second, time.Minute} {
				<-time.After(wait)
				c.ok("NOOP")
				c.ok("APPEND INBOX {12+}\r\nA: b\r\n\r\ntext")
			}
			c.send("a1 IDLE\r\n")
			c.line()
			<-time.After(idleTimeout - time.Second)
			c.send("DONE\r\na2 NOOP\r\n")
			want(c.t, c.line(), "a1 OK")
			want(c.t, c.line(), "a2 OK")
		})
	})
	t.Run("in IDLE", func(t *testing.T) {
		inBubble(t, "ann@a.example", func(c *client) {
			c.send("a1 IDLE\r\n")
			c.line()
			after := begin()
			ended(c)
			after(c.t, idleTimeout)
		})
	})
	t.Run("within a command", func(t *testing.T) {
		inBubble(t, "ann@a.example", func(c *client) {
			c.send("a1 NO")
			after := begin()
			ended(c)
			after(c.t, commandTimeout)
		})
	})
	t.Run("a message that comes by the octet", func(t *testing.T) {
		inBubble(t, "ann@a.example", func(c *client) {
			c.send("a1 APPEND INBOX {100000}\r\n")
			c.line()
			done := make(chan struct{})
			go func() {
				defer close(done)
				tick := time.NewTicker(time.Second)
				defer tick.Stop()
				for {
					if _, err := c.conn.Write([]byte("x")); err != nil {
						return
					}
					<-tick.C
				}
			}()
			ended(c)
			<-done
		})
	})
}
