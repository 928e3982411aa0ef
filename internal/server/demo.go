package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"postroad/internal/core/mailbox"
	"postroad/internal/proto/message"
	"postroad/internal/proto/smtp"
	"postroad/internal/service/control"
	"postroad/internal/service/receive"
)

// errNotArrived says that the demo's message was taken but did not reach its mailbox in time.
var errNotArrived = errors.New("the demo's message has not arrived")

const demoPatience = 20 * time.Second

// demo adds a domain with mailboxes, sends a message to it by SMTP, explains its route and reads it back.
func (s *Server) demo(ctx context.Context) error {
	d, err := makeDemo(ctx, s.control)
	if err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	to := "info@" + d.Domain
	s.say("\n── The demo ──\nThe account %q has the domain %s:\n", d.Account, d.Domain)
	for _, m := range d.Mailboxes {
		s.say("  mailbox %-20s password %s\n", m.Address, m.Password)
	}
	s.say("  alias   %-20s for %s\n", to, d.Mailboxes[0].Address)
	reply, err := s.sendDemo(ctx, to)
	if err != nil {
		return fmt.Errorf("demo: send a message: %w", err)
	}
	s.say("\n1. A stranger has sent a message to %s by SMTP. The answer to its final dot was:\n     %s\n", to, reply)
	x, err := s.control.Explain(ctx, control.System(), control.ExplainRequest{Address: to})
	if err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	s.say("\n2. Why it went where it went:\n")
	for _, r := range x.Reasons {
		s.say("     %s\n", r.Sentence)
	}
	content, err := s.awaitDemo(ctx, d.Mailboxes[0].Address)
	if err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	s.say("\n3. Read back from the mailbox %s:\n", d.Mailboxes[0].Address)
	s.say("%s", indent(content))
	if err := s.demoZone(ctx, d.Domain); err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	s.say(`
What to try next (in another terminal, in this folder):
  bin/postroad --data %[1]s explain nobody@%[2]s
  bin/postroad --data %[1]s mailbox messages %[3]s
  bin/postroad --data %[1]s domain add example.org --mode relay --next-hop 192.0.2.10:25 --recipients accept --proved
  bin/postroad --data %[1]s explain anybody@example.org
  bin/postroad --data %[1]s record add %[2]s www A 192.0.2.80
  bin/postroad help
Stop the server with Ctrl-C.
`, s.cfg.DataDir, d.Domain, d.Mailboxes[0].Address)
	return nil
}

// demoZone shows what our name server answers for the domain.
func (s *Server) demoZone(ctx context.Context, domain string) error {
	if len(s.dns) == 0 {
		return nil
	}
	z, err := s.control.Zone(ctx, control.System(), domain)
	if errors.Is(err, control.ErrNotFound) { // an earlier program has made the domain
		return nil
	}
	if err != nil {
		return err
	}
	at := s.dns[0].tcp.Addr().String()
	host, port, err := net.SplitHostPort(at)
	if err != nil {
		return err
	}
	s.say("\n4. Our name server at %s answers for %s, by UDP and TCP:\n", at, domain)
	for _, r := range z.Records {
		s.say("     %-14s %-5s %s\n", r.Owner, r.Type, r.Data)
	}
	s.say("   Ask it yourself: dig @%s -p %s %s MX\n", host, port, domain)
	return nil
}

// sendDemo speaks SMTP with our own listener, like any stranger.
func (s *Server) sendDemo(ctx context.Context, to string) (string, error) {
	var address string
	for _, l := range s.listeners {
		if l.kind == receive.MX {
			address = l.listener.Addr().String()
		}
	}
	conn, err := (&net.Dialer{Timeout: 5 * time.Second}).DialContext(ctx, "tcp", address)
	if err != nil {
		return "", err
	}
	c := smtp.NewClient(conn, time.Now, smtp.Timeouts{}, false)
	defer c.Quit() //nolint:errcheck // the message has its answer
	if reply, err := c.Greet(); err != nil || reply.Code != 220 {
		return "", errors.Join(err, &smtp.ReplyError{Reply: reply})
	}
	if _, reply, err := c.Hello("client.far.example"); err != nil || reply.Code != 250 {
		return "", errors.Join(err, &smtp.ReplyError{Reply: reply})
	}
	content := "From: Somebody Far <somebody@far.example>\r\nTo: <" + to + ">\r\nSubject: Hello from far away\r\nDate: "
	content += string(message.AppendDate(nil, time.Now())) + "\r\nMessage-ID: <demo@far.example>\r\n\r\nThis message came by SMTP, and you read it from a mailbox.\r\n"
	var got smtp.Reply
	err = c.Send([]smtp.Transaction{{
		From: "somebody@far.example", To: []smtp.Recipient{{To: to}}, Content: [][]byte{[]byte(content)},
	}}, func(_ int, r smtp.Result) { got = r.Recipients[0] })
	if err == nil && got.Code != 250 {
		err = &smtp.ReplyError{Reply: got}
	}
	return got.String(), err
}

// awaitDemo gives the newest message of a mailbox, as soon as there is one.
func (s *Server) awaitDemo(ctx context.Context, address string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, demoPatience)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		list, err := s.control.Messages(ctx, control.System(), address, mailbox.InboxName, 0, 1000)
		if err != nil {
			return nil, err
		}
		if n := len(list); n > 0 {
			r, err := s.control.Message(ctx, control.System(), address, mailbox.InboxName, list[n-1].UID)
			if err != nil {
				return nil, err
			}
			defer r.Close() //nolint:errcheck // only read from
			return io.ReadAll(r)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil, errNotArrived
		}
	}
}

// indent sets every line of a message in, for people.
func indent(content []byte) []byte {
	out := make([]byte, 0, len(content)+64)
	start := true
	for _, c := range content {
		if start {
			out = append(out, "     "...)
		}
		if c != '\r' {
			out = append(out, c)
		}
		start = c == '\n'
	}
	return out
}
