package smtp

import (
	"errors"

	"postroad/internal/proto/idna"
)

// ErrUnsendable says that an address cannot be written in a command to this peer. The connection stays.
var ErrUnsendable = errors.New("the address can't be sent to this peer")

// Ask asks whether the peer takes mail of the null reverse-path for an address, by MAIL and RCPT: no content follows. It
// gives the reply to MAIL and, unless that refused, the one to RCPT. A transaction that the peer may hold is ended
// first; the one that Ask begins stands until another command ends it.
func (c *Client) Ask(to string) (sender, recipient Reply, err error) {
	if c.gone() {
		return Reply{}, Reply{}, c.closedError()
	}
	utf8 := !idna.IsASCII(to)
	if to == "" || !sendablePath(to) || utf8 && !c.ext.SMTPUTF8 {
		return Reply{}, Reply{}, ErrUnsendable
	}
	if c.dirty {
		if err := c.Reset(); err != nil {
			return Reply{}, Reply{}, err
		}
	}
	line := "MAIL FROM:<>"
	if utf8 {
		line += " SMTPUTF8"
	}
	sender, err = c.command(line)
	if err != nil || sender.Code/100 != 2 {
		return sender, Reply{}, err
	}
	c.dirty = true
	if c.gone() {
		return sender, Reply{}, c.closedError()
	}
	recipient, err = c.command("RCPT TO:<" + to + ">")
	return sender, recipient, err
}
