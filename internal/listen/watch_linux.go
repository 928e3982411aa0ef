package listen

import (
	"errors"
	"slices"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// watch wakes clients that rest when their connections have something to be read. One goroutine waits for all of them.
type watch struct {
	mu      sync.Mutex
	epoll   int // 0: not begun
	end     int // written to when it is over
	over    bool
	clients []*Client // by the number of the connection's file
}

// works begins the watch with its first client.
func (w *watch) works() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.over || w.epoll != 0 {
		return !w.over
	}
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return false // out of files, most likely
	}
	end, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err == nil {
		err = unix.EpollCtl(epoll, unix.EPOLL_CTL_ADD, end, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(end)}) //nolint:gosec // a small number
		if err != nil {
			_ = unix.Close(end)
		}
	}
	if err != nil {
		_ = unix.Close(epoll)
		return false
	}
	w.epoll, w.end = epoll, end
	go w.run(epoll, end)
	return true
}

// run wakes clients until the watch is over.
func (w *watch) run(epoll, end int) {
	defer func() { _, _ = unix.Close(epoll), unix.Close(end) }()
	events := make([]unix.EpollEvent, 128)
	for {
		n, err := unix.EpollWait(epoll, events, -1)
		if err != nil && !errors.Is(err, unix.EINTR) {
			n = 0
			w.stop()
		}
		w.mu.Lock()
		over := w.over
		list := make([]*Client, 0, max(n, 0))
		for _, e := range events[:max(n, 0)] {
			if at := int(e.Fd); at < len(w.clients) && w.clients[at] != nil {
				list = append(list, w.clients[at])
			}
		}
		if over { // nobody is watched any more
			list, w.clients = slices.DeleteFunc(w.clients, func(c *Client) bool { return c == nil }), nil
		}
		w.mu.Unlock()
		for _, c := range list {
			c.wake()
		}
		if over {
			return
		}
	}
}

// add watches a client's connection once; false when that is not possible. What it has to be read already counts.
func (w *watch) add(c *Client) bool {
	raw, err := c.Conn.(syscall.Conn).SyscallConn()
	if err != nil {
		return false
	}
	added := false
	err = raw.Control(func(fd uintptr) { added = w.arm(c, int(fd)) })
	return err == nil && added
}

func (w *watch) arm(c *Client, fd int) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.over {
		return false
	}
	if fd >= len(w.clients) {
		w.clients = append(w.clients, make([]*Client, fd+1-len(w.clients))...)
	}
	event := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLRDHUP | unix.EPOLLONESHOT, Fd: int32(fd)} //nolint:gosec // a small number
	change := unix.EPOLL_CTL_MOD
	if w.clients[fd] != c { // the file had this number after another one that was closed
		change = unix.EPOLL_CTL_ADD
	}
	if unix.EpollCtl(w.epoll, change, fd, &event) != nil {
		return false
	}
	w.clients[fd], c.file = c, fd
	return true
}

// drop forgets a client whose connection is closed.
func (w *watch) drop(c *Client) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if c.file < len(w.clients) && w.clients[c.file] == c {
		w.clients[c.file] = nil
	}
}

// stop ends the watch. Whoever rests is woken.
func (w *watch) stop() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.over && w.epoll != 0 {
		_, _ = unix.Write(w.end, []byte{1, 0, 0, 0, 0, 0, 0, 0})
	}
	w.over = true
}
