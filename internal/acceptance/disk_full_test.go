package acceptance

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestDiskFullRefusesForNowAndComesBackByItself fills the disk of the data folder to below the reserve, then frees it.
func TestDiskFullRefusesForNowAndComesBackByItself(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=64m"); err != nil {
		missing(t, "a small disk needs root and a mount: "+err.Error())
	}
	t.Cleanup(func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) })
	i := newInstanceIn(t, dir, "[limits]\nmessage_size = \"1MiB\"\n")
	i.run("domain", "add", "local.example", "--proved")
	i.run("mailbox", "add", "ann@local.example")
	c := dialSMTP(t, i.smtp)
	c.say("EHLO far.example", "250")
	c.send("a@far.example", text("before"), "ann@local.example")
	fill := filepath.Join(dir, "fill")
	f, err := os.Create(fill)
	if err != nil {
		t.Fatal(err)
	}
	for err == nil {
		_, err = f.Write(make([]byte, 64<<10))
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "452 at MAIL", func() bool {
		_, _ = c.Write([]byte("MAIL FROM:<a@far.example>\r\n"))
		if got := c.read(); !strings.HasPrefix(got, "250") {
			return strings.HasPrefix(got, "452 4.3.1")
		}
		c.say("RSET", "250")
		return false
	})
	if list := i.await("ann@local.example", 1); len(list) != 1 {
		t.Errorf("%d messages can be read with the disk full", len(list))
	}
	if err := os.Remove(fill); err != nil {
		t.Fatal(err)
	}
	eventually(t, "250 at MAIL", func() bool {
		_, _ = c.Write([]byte("MAIL FROM:<a@far.example>\r\n"))
		return strings.HasPrefix(c.read(), "250")
	})
	c.say("RSET", "250")
	c.send("a@far.example", text("after"), "ann@local.example")
	i.await("ann@local.example", 2)
	if strings.Contains(i.log.String(), "the server ends") {
		t.Error("the server gave up")
	}
}
