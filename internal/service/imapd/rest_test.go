package imapd

import (
	"runtime"
	"strings"
	"testing"
	"time"
)

// fewer waits until there are at most so many goroutines.
func fewer(t *testing.T, most int) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for range 4000 {
		if runtime.NumGoroutine() <= most {
			return
		}
		<-tick.C
	}
	t.Fatalf("there are %d goroutines, more than %d", runtime.NumGoroutine(), most)
}

// Sessions that wait, for a command or in IDLE, hold no goroutine; all of them are told of new mail, and go on.
func TestSessionsThatWaitHoldNoGoroutine(t *testing.T) {
	h := start(t, Config{SessionsPerUser: 1000})
	h.login("bob@b.example")
	before := runtime.NumGoroutine()
	var idle, quiet []*client
	for range 30 {
		c := h.login("ann@a.example")
		c.ok("SELECT INBOX")
		c.send("i IDLE\r\n")
		want(t, c.line(), "+ ")
		idle = append(idle, c)
		quiet = append(quiet, h.login("ann@a.example"))
	}
	fewer(t, before+5)
	for n := range 3 {
		h.deliver("ann@a.example", "Subject: x\n\nx\n")
		for _, c := range idle {
			want(t, c.line(), itoa(uint32(n+1))+" EXISTS") //nolint:gosec // small
			want(t, c.line(), " RECENT")
		}
		fewer(t, before+5)
	}
	for _, c := range idle {
		c.send("DONE\r\n")
		want(t, c.line(), "i OK")
		c.ok("FETCH 1:3 UID")
	}
	for _, c := range quiet {
		c.ok("NOOP")
	}
	idle[0].send("i IDLE\r\nDONE\r\nn NOOP\r\n") // at once
	for _, answer := range []string{"+ ", "i OK", "n OK"} {
		want(t, idle[0].line(), answer)
	}
	idle[1].send("i ID") // half of it
	fewer(t, before+6)
	idle[1].send("LE\r\n")
	want(t, idle[1].line(), "+ ")
	fewer(t, before+5)
	_ = idle[2].conn.Close()
	_ = quiet[2].conn.Close()
	h.logins.end("ann@a.example")
	for n, c := range idle {
		if n != 2 && !strings.Contains(c.closed(), "* BYE ") {
			t.Error("a session that waited was not told of its end")
		}
	}
	fewer(t, before)
}
