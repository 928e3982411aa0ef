package main

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// terminal opens a pseudo-terminal: what is written to keyboard is read from screen's side.
func terminal(t *testing.T) (keyboard, line *os.File) {
	t.Helper()
	keyboard, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Skipf("no pseudo-terminal here: %v", err)
	}
	t.Cleanup(func() { _ = keyboard.Close() })
	fd := int(keyboard.Fd()) //nolint:gosec // a descriptor fits
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	line, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = line.Close() })
	return keyboard, line
}

func TestOnATerminalSomebodyIsAsked(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.ok("domain add a.example --proved")
	for _, tt := range []struct {
		answer string
		code   int
	}{
		{"n", 1}, {"", 1}, {"yess", 1}, {"y", 0}, {"YES", 0},
	} {
		p.m.Lock()
		boxes := len(p.m.Boxes)
		p.m.Unlock()
		if boxes == 0 {
			p.ok("mailbox add box@a.example")
		}
		keyboard, line := terminal(t)
		if _, err := keyboard.WriteString(tt.answer + "\n"); err != nil {
			t.Fatal(err)
		}
		var out, errs bytes.Buffer
		code := run(t.Context(), []string{"--data", p.dir, "mailbox", "remove", "box@a.example"}, line, &out, &errs)
		if code != tt.code || !strings.Contains(out.String(), "Removes the mailbox") || !strings.Contains(errs.String(), "[y/N]") || (len(p.m.Boxes) == 0) != (code == 0) {
			t.Errorf("%q: exit %d, %d mailboxes\n%s%s", tt.answer, code, len(p.m.Boxes), out.String(), errs.String())
		}
	}
}
