package acceptance

import (
	"strings"
	"testing"
)

func TestAFullMailboxIsToldAtRCPT(t *testing.T) {
	t.Parallel()
	i := newInstance(t, "")
	i.run("domain", "add", "local.example", "--proved")
	i.run("mailbox", "add", "ann@local.example", "--quota", "3KiB")
	c := dialSMTP(t, i.smtp)
	c.say("EHLO far.example", "250")
	c.say("MAIL FROM:<x@far.example> SIZE=4000", "250")
	c.say("RCPT TO:<ann@local.example>", "452 4.2.2")
	c.say("RCPT TO:<postmaster@local.example>", "250")
	c.say("RSET", "250")
	c.send("x@far.example", text("one")+strings.Repeat("x", 900)+"\r\n", "ann@local.example")
	i.await("ann@local.example", 1)
	c.say("MAIL FROM:<x@far.example> SIZE=1000", "250")
	c.say("RCPT TO:<ann@local.example>", "250")
	c.say("RSET", "250")
	c.say("MAIL FROM:<x@far.example> SIZE=2500", "250")
	c.say("RCPT TO:<ann@local.example>", "452 4.2.2")
	c.say("RSET", "250")
	i.run("mailbox", "set", "ann@local.example", "--quota", "0", "--yes")
	c.say("MAIL FROM:<x@far.example> SIZE=2500", "250")
	c.say("RCPT TO:<ann@local.example>", "250")
}
