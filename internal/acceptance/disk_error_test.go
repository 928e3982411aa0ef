package acceptance

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"postroad/internal/sim"
)

// large is a content that lies in a file of its own.
func large(subject string) string {
	return text(subject) + strings.Repeat(strings.Repeat("0123456789", 9)+"\r\n", 1000)
}

// begin begins a message and sends all of its content but the final dot.
func (c *talk) begin(content string) {
	c.t.Helper()
	c.say("MAIL FROM:<a@far.example>", "250")
	c.say("RCPT TO:<ann@local.example>", "250")
	c.say("DATA", "354")
	if _, err := c.Write([]byte(content)); err != nil {
		c.t.Fatal(err)
	}
}

// quiet waits until everything is delivered and recorded.
func (i *instance) quiet() {
	i.t.Helper()
	eventually(i.t, "an empty queue", func() bool { return ask[counts](i, "queue", "count").Messages == 0 })
	<-time.After(500 * time.Millisecond) // what rides in a later group has been written by then
}

// subjects lists the messages of ann's mailbox in order.
func (i *instance) subjects() string {
	i.t.Helper()
	var list []string
	for _, m := range ask[[]message](i, "mailbox", "messages", "ann@local.example") {
		list = append(list, m.Subject)
	}
	return strings.Join(list, " ")
}

func newDiskWorld(t *testing.T, dir string) *instance {
	t.Helper()
	i := newInstanceIn(t, dir, "[limits]\nmessage_size = \"1MiB\"\n")
	i.run("domain", "add", "local.example", "--proved")
	i.run("mailbox", "add", "ann@local.example")
	return i
}

// TestAFailedFlushIsAnswered451AndMendedBeforeTheNext250 lets fsync fail for one message in a row and one in a file.
func TestAFailedFlushIsAnswered451AndMendedBeforeTheNext250(t *testing.T) {
	i := newDiskWorld(t, t.TempDir())
	c := dialSMTP(t, i.smtp)
	c.say("EHLO far.example", "250")
	c.send("a@far.example", text("before"), "ann@local.example")
	i.quiet()
	for _, content := range []string{large("file"), text("row")} {
		c.begin(content)
		detach := i.attach("-o", "/dev/null", "-e", "trace=fsync,fdatasync", "-e", "inject=fsync,fdatasync:error=EIO")
		c.say(".", "451 4.3.0")
		detach()
	}
	trace := filepath.Join(i.dir, "trace")
	detach := i.attach("-o", trace, "-s", "80", "-e", "trace=fsync,fdatasync,ftruncate,write")
	c.send("a@far.example", text("after"), "ann@local.example")
	detach()
	b, err := os.ReadFile(trace)
	if err != nil {
		t.Fatal(err)
	}
	cut, answer := strings.Index(string(b), "ftruncate("), strings.Index(string(b), "queued as ")
	if cut < 0 || answer < cut || !strings.Contains(string(b[cut:answer]), "sync(") {
		t.Errorf("the log was not emptied, and flushed anew, before the answer:\n%s", tail(string(b), 4000))
	}
	i.await("ann@local.example", 2)
	if err := i.kill(syscall.SIGKILL); err == nil {
		t.Error("the server had ended by itself")
	}
	i.start()
	i.quiet()
	if got := i.subjects(); got != "before after" {
		t.Errorf("in the mailbox: %s", got)
	}
	left, err := os.ReadDir(filepath.Join(i.data, "blobs"))
	if err != nil || len(left) != 0 {
		t.Errorf("content files left: %v %v", left, err)
	}
}

// TestASecondFailedFlushStopsTheServer lets every fsync fail under load.
func TestASecondFailedFlushStopsTheServer(t *testing.T) {
	hop := sim.StartPeer(t, sim.Script{})
	i, locals, relayed := killWorld(t, hop.Addr())
	l := newLedger()
	w := &load{addr: i.smtp, sessions: 6, messages: 6, seed: 1, name: "before", locals: locals, relayed: relayed}
	w.run(l)
	during := newLedger()
	detach := i.attach("-o", "/dev/null", "-e", "trace=fsync,fdatasync", "-e", "inject=fsync,fdatasync:error=EIO")
	w.name = "during"
	w.run(during)
	select {
	case err := <-i.ended:
		i.ended <- err
		if code := i.cmd.ProcessState.ExitCode(); code != 1 {
			t.Errorf("the server ended with %d: %v", code, err)
		}
	case <-time.After(40 * time.Second):
		t.Fatal("the server goes on although nothing can be flushed")
	}
	detach()
	if !strings.Contains(i.log.String(), "the server ends") {
		t.Error("the log does not say why the server ended")
	}
	for id, m := range during.sent {
		if m.queued != "" {
			t.Errorf("%s was acknowledged as %s although nothing could be flushed", id, m.queued)
		}
		l.sent[id] = m
	}
	ended := time.Now()
	i.start()
	w.name = "after"
	w.run(l)
	i.check(l, locals, hop, []time.Time{ended})
}

// TestNoRoomIsAnswered452AndNothingHalfIsReadBack lets writing to the databases fail for want of room.
func TestNoRoomIsAnswered452AndNothingHalfIsReadBack(t *testing.T) {
	i := newDiskWorld(t, t.TempDir())
	c := dialSMTP(t, i.smtp)
	c.say("EHLO far.example", "250")
	c.send("a@far.example", text("before"), "ann@local.example")
	i.quiet()
	detach := i.attach("-o", "/dev/null", "-e", "trace=pwrite64", "-e", "inject=pwrite64:error=ENOSPC")
	for range 3 {
		c.begin(text("refused"))
		c.say(".", "452 4.3.1")
	}
	c.begin(large("refused-file"))
	c.say(".", "452 4.3.1")
	detach()
	c.send("a@far.example", text("after"), "ann@local.example")
	c.send("a@far.example", large("after-file"), "ann@local.example")
	i.await("ann@local.example", 3)
	if err := i.kill(syscall.SIGKILL); err == nil {
		t.Error("the server had ended by itself")
	}
	i.start()
	i.quiet()
	if got := i.subjects(); got != "before after after-file" {
		t.Errorf("in the mailbox: %s", got)
	}
	if got := i.run("mailbox", "message", "ann@local.example", "3"); !strings.HasSuffix(got, large("after-file")) {
		t.Errorf("the last message has %d octets and not those that were sent", len(got))
	}
}

// TestADiskThatFillsWithinAMessageIsAnswered452 fills the disk between the begin of a content and its final dot.
func TestADiskThatFillsWithinAMessageIsAnswered452(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=64m"); err != nil {
		missing(t, "a small disk needs root and a mount: "+err.Error())
	}
	t.Cleanup(func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) })
	i := newDiskWorld(t, dir)
	c := dialSMTP(t, i.smtp)
	c.say("EHLO far.example", "250")
	c.send("a@far.example", text("before"), "ann@local.example")
	i.quiet()
	fill := filepath.Join(dir, "fill")
	for _, content := range []string{large("file") + large("file"), text("row") + strings.Repeat("x\r\n", 9000)} {
		c.begin(content[:len(content)/2&^1])
		f, err := os.Create(fill)
		if err != nil {
			t.Fatal(err)
		}
		for _, size := range []int{64 << 10, 1} { // to the last octet
			for err = nil; err == nil; {
				_, err = f.Write(make([]byte, size))
			}
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Write([]byte(content[len(content)/2&^1:])); err != nil {
			t.Fatal(err)
		}
		c.say(".", "452 4.3.1")
		if err := os.Remove(fill); err != nil {
			t.Fatal(err)
		}
		eventually(t, "250 at MAIL", func() bool {
			_, _ = c.Write([]byte("MAIL FROM:<a@far.example>\r\n"))
			return strings.HasPrefix(c.read(), "250")
		})
		c.say("RSET", "250")
	}
	c.send("a@far.example", large("after"), "ann@local.example")
	i.await("ann@local.example", 2)
	i.quiet()
	if got := i.subjects(); got != "before after" {
		t.Errorf("in the mailbox: %s", got)
	}
	left, err := os.ReadDir(filepath.Join(i.data, "blobs"))
	if err != nil || len(left) != 1 {
		t.Errorf("content files: %v %v, want the one that was delivered", left, err)
	}
}
