package smtp

import (
	"strconv"

	"postroad/internal/proto/idna"
)

// appendCommands gathers as many of e's commands as may be on their way.
func (b *batch) appendCommands(e *envelope) {
	c, start := b.c, len(b.c.out)
	for !e.over() && len(c.out)-start < commandWindow {
		if i := e.written - stepRcpt; 0 <= i && i < len(e.replies) && e.replies[i].Code != 0 {
			// Not sent; nothing to read either when nothing else is outstanding.
			if e.read == e.written {
				e.read++
			}
			e.written++
			continue
		}
		if !c.ext.Pipelining && e.written > e.read {
			return
		}
		b.appendCommand(e)
		e.written++
	}
}

func (b *batch) appendCommand(e *envelope) {
	c, tx := b.c, e.tx
	out := c.out
	switch step := e.written; {
	case step == stepReset:
		out = append(out, "RSET"...)
	case step == stepMail:
		out = c.appendMail(out, tx)
	case step == e.stepData():
		out = append(out, "DATA"...)
	default:
		out = c.appendRcpt(out, &tx.To[step-stepRcpt])
	}
	c.out = append(out, '\r', '\n')
}

func (c *Client) appendMail(out []byte, tx *Transaction) []byte {
	out = append(out, "MAIL FROM:<"...)
	out = append(out, tx.From...)
	out = append(out, '>')
	if c.ext.Size >= 0 && tx.Size > 0 {
		out = append(out, " SIZE="...)
		out = strconv.AppendInt(out, tx.Size, 10)
	}
	if c.ext.EightBitMIME && tx.Body == Body8BitMIME {
		out = append(out, " BODY=8BITMIME"...)
	}
	if c.ext.SMTPUTF8 && (tx.UTF8 || needsUTF8(tx)) {
		out = append(out, " SMTPUTF8"...)
	}
	if !c.ext.DSN {
		return out
	}
	if ret := tx.Ret.String(); ret != "" {
		out = append(out, " RET="...)
		out = append(out, ret...)
	}
	if id := EncodeXText(tx.EnvID); id != "" && len(id) <= maxEnvID {
		out = append(out, " ENVID="...)
		out = append(out, id...)
	}
	return out
}

func needsUTF8(tx *Transaction) bool {
	for i := range tx.To {
		if !idna.IsASCII(tx.To[i].To) {
			return true
		}
	}
	return !idna.IsASCII(tx.From)
}

func (c *Client) appendRcpt(out []byte, to *Recipient) []byte {
	out = append(out, "RCPT TO:<"...)
	out = append(out, to.To...)
	out = append(out, '>')
	if !c.ext.DSN {
		return out
	}
	if notify := to.Notify.String(); notify != "" {
		out = append(out, " NOTIFY="...)
		out = append(out, notify...)
	}
	if to.ORcpt != "" {
		start := len(out)
		var ok bool
		if out, ok = appendORcpt(append(out, " ORCPT="...), to.ORcpt); !ok {
			out = out[:start]
		}
	}
	return out
}
