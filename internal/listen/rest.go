package listen

import (
	"syscall"
	"time"
)

// Rest says that the session needs no goroutine until the client sends something, or closes, and after until at the latest:
// Run, which is about to give it up with again, is called again only then, or when somebody calls Rouse. A goroutine is a
// third of what a session costs that waits. Whatever was received is to be read before. false where connections cannot be
// watched so: the next goroutine then comes at once, and has to wait itself.
func (c *Client) Rest(until time.Time) bool {
	if _, ok := c.Conn.(syscall.Conn); !ok || !c.sessions.watch.works() {
		return false
	}
	c.until = until
	return true
}

// Rouse has a session that rests be gone on with. It may be called at any time, and whether it rests or not.
func (c *Client) Rouse() {
	c.roused.Store(true)
	c.wake()
}

// wake has a goroutine go on with a session that rests.
func (c *Client) wake() {
	if c.resting.CompareAndSwap(true, false) {
		go c.run()
	}
}

// rest leaves the session without a goroutine; from the moment that it rests, another one may go on with it.
func (c *Client) rest() {
	if c.timer == nil {
		c.timer = time.AfterFunc(time.Until(c.until), c.Rouse)
	} else {
		c.timer.Reset(time.Until(c.until))
	}
	c.resting.Store(true)
	if !c.sessions.watch.add(c) || c.roused.Load() {
		c.wake()
	}
}

// rise begins what follows a rest.
func (c *Client) rise() {
	if !c.until.IsZero() {
		c.until = time.Time{}
		c.timer.Stop()
		c.roused.Store(false)
	}
}
