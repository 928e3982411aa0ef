package acceptance

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"postroad/internal/sim"
)

// On a disk that is full clients are told so, and can make room by removing mail: the reserve is kept for that.
func TestAFullDiskIsMadeRoomOnByIMAP(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=64m"); err != nil {
		missing(t, "a small disk needs root and a mount: "+err.Error())
	}
	t.Cleanup(func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) })
	r := &reader{instance: prepareInstance(t, dir, "[limits]\nmessage_size = \"1MiB\"\n"), imap: sim.FreeAddress(t), imaps: sim.FreeAddress(t)}
	r.env = []string{"POSTROAD_LISTEN_IMAP=" + r.imap, "POSTROAD_LISTEN_IMAPS=" + r.imaps}
	r.start()
	r.run("domain", "add", "here.example", "--proved")
	r.addMailbox("ann@here.example", annsPassword)
	const letters = 20
	for n := range letters {
		r.send(fmt.Sprint(n), "\r\n"+strings.Repeat(strings.Repeat("x", 76)+"\r\n", 2500))
	}
	r.await("ann@here.example", letters)
	c := r.session()
	c.ok("SELECT INBOX")
	var s syscall.Statfs_t
	if err := syscall.Statfs(dir, &s); err != nil {
		t.Fatal(err)
	}
	fill := make([]byte, int64(s.Bavail)*s.Bsize-1<<20) //nolint:gosec // 64 MiB at most
	if err := os.WriteFile(filepath.Join(dir, "fill"), fill, 0o600); err != nil {
		t.Fatal(err)
	}
	const letter = "APPEND Sent {1+}\r\nx"
	for _, command := range []string{letter, "COPY 1 Sent"} {
		if _, err := c.do(command); err == nil || !strings.HasPrefix(err.Error(), "NO [LIMIT] ") {
			t.Errorf("%.10s on a full disk: %v", command, err)
		}
	}
	c.ok("MOVE 1 Trash")
	c.ok("STORE 1:* +FLAGS.SILENT (\\Deleted)")
	if lines := c.ok("EXPUNGE"); len(lines) != letters { // the last one is the tagged one
		t.Errorf("%q", lines)
	}
	c.ok(letter)
	if shown := ask[struct {
		Messages int
		Folders  []struct {
			Name     string
			Messages int
		}
	}](r.instance, "mailbox", "show", "ann@here.example"); shown.Messages != 2 || len(shown.Folders) != 6 {
		t.Errorf("%+v", shown)
	}
}

// Fifty letters of 1 MB come at once for a mailbox with room for ten.
func TestParallelMailDoesNotPassTheQuota(t *testing.T) {
	t.Parallel()
	i := newInstance(t, "")
	i.run("domain", "add", "local.example", "--proved")
	i.run("mailbox", "add", "ann@local.example", "--quota", "10MiB")
	letter := text("large") + strings.Repeat(strings.Repeat("x", 998)+"\r\n", 1024)
	var taken atomic.Int64
	var wg sync.WaitGroup
	for range 50 {
		c := dialSMTP(t, i.smtp)
		wg.Go(func() {
			c.say("EHLO far.example", "250")
			c.say("MAIL FROM:<x@far.example>", "250")
			if _, _ = c.Write([]byte("RCPT TO:<ann@local.example>\r\n")); !strings.HasPrefix(c.read(), "250") {
				return // it is full by now
			}
			c.say("DATA", "354")
			c.say(letter+".", "250")
			taken.Add(1)
		})
	}
	wg.Wait()
	shown := func() (u struct{ Messages, Bytes, Quota int64 }) {
		return ask[struct{ Messages, Bytes, Quota int64 }](i, "mailbox", "show", "ann@local.example")
	}
	eventually(t, "the mailbox to be full", func() bool { return shown().Bytes > 9<<20-10_000 })
	if u := shown(); u.Bytes > u.Quota || u.Quota != 10<<20 || taken.Load() < u.Messages {
		t.Errorf("%+v, %d taken", u, taken.Load())
	}
}
