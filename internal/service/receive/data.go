package receive

import (
	"cmp"
	"errors"
	"strconv"
	"time"

	"postroad/internal/core/account"
	"postroad/internal/core/mail"
	"postroad/internal/core/routing"
	"postroad/internal/proto/message"
	"postroad/internal/proto/smtp"
)

// data answers DATA (RFC 5321 §4.1.1.4) and takes the content that follows.
func (s *session) data(arg []byte) error {
	switch {
	case len(arg) > 0:
		return s.mistake(smtp.Reply{Code: 501, Enhanced: smtp.Enhanced{5, 5, 4}, Text: "DATA takes no argument"})
	case s.tx.begun.IsZero():
		return s.mistake(smtp.Reply{Code: 503, Enhanced: smtp.Enhanced{5, 5, 1}, Text: "say MAIL first"})
	case s.tx.chunks != nil:
		return s.mistake(smtp.Reply{Code: 503, Enhanced: smtp.Enhanced{5, 5, 1}, Text: "the content comes by BDAT"})
	case len(s.tx.rows) == 0:
		return s.mistake(smtp.Reply{Code: 554, Enhanced: smtp.Enhanced{5, 5, 1}, Text: "no valid recipients"})
	}
	s.say(354, smtp.Enhanced{}, "send the message, end with a dot on a line of its own")
	id := s.service.queue.NewID(time.Now())
	c := s.newBody(newContent(s.service.blobs, s.service.memory, s.trace(id), max(0, s.tx.params.Size)))
	defer c.release()
	s.tx.border = s.newBorder(c)
	err := s.receive(func() error {
		_, err := s.in.ReadData(s.tx.border, s.service.cfg.MessageSize)
		return err
	})
	return s.finish(id, c, err)
}

// receive reads content under the rules of a transfer; a stopping service waits for its end.
func (s *session) receive(read func() error) error {
	s.receives.Store(true)
	s.transfer = &transfer{begun: time.Now()}
	err := read()
	s.transfer = nil
	s.receives.Store(false)
	return err
}

// trace is the Received field of the message in hand.
func (s *session) trace(id mail.ID) message.Received {
	r := message.Received{
		Helo: s.helo, ClientAddr: s.addr, By: s.service.cfg.Hostname, TLS: s.tls, ID: string(id), Time: time.Now(),
		With: message.WithProtocol(s.esmtp, s.tls != "", s.login != "", s.tx.params.UTF8, false),
	}
	if s.tx.rcpts == 1 {
		r.For = s.tx.first
	}
	return r
}

// finish answers a content that has come to its end, in one way or another. The transaction is over.
func (s *session) finish(id mail.ID, c *content, err error) error {
	defer s.reset()
	defer c.release()
	if err == nil && s.tx.border != nil {
		err = s.tx.border.end()
	}
	if err != nil {
		c.abort()
	}
	switch {
	case err == nil:
		return s.accept(id, c)
	case errors.Is(err, smtp.ErrTooLarge):
		s.service.m.MessagesRefused.WithLabelValues("size").Inc()
		s.recordContent(replyTooLarge)
		s.reply(replyTooLarge)
		return nil
	case errors.Is(err, errNoBlob):
		s.notStored(id, err)
		return nil
	case errors.Is(err, smtp.ErrBareLF), errors.Is(err, smtp.ErrBareCR):
		// Nobody can say where such content ends, so nothing after it may be read (SMTP smuggling).
		s.recordContent(replyBareLine)
		s.reply(replyBareLine)
		return errQuit
	}
	return err
}

// accept judges a complete message and hands it to the queue.
func (s *session) accept(id mail.ID, c *content) error {
	ended := time.Now()
	header, whole := c.header()
	passed := s.service.cfg.Trace.Read(header)
	if none, err := s.probes(header, c); err != nil || none {
		c.abort()
		if err != nil {
			s.notStored(id, err)
			return nil
		}
		s.say(250, smtp.Enhanced{2, 0, 0}, "the test of a forward has come back")
		return nil
	}
	if s.swallow(&passed) {
		c.abort()
		s.service.log.Info("copy came back", "queue_id", string(id), "client", s.addr.String(), "sender", s.tx.sender.String())
		s.say(250, smtp.Enhanced{2, 0, 0}, "the message is here already")
		return nil
	}
	if r, ok := s.judge(header, whole, &passed); !ok {
		c.abort()
		s.service.m.MessagesRefused.WithLabelValues("content").Inc()
		s.recordContent(r)
		if r.Enhanced == replyCircle.Enhanced {
			s.findCircle(r)
		}
		s.reply(r)
		return nil
	}
	if r, refused := s.rule(); refused {
		c.abort()
		s.service.m.MessagesRefused.WithLabelValues("policy").Inc()
		s.service.log.Info("message refused by policy", "client", s.addr.String(), "helo", s.helo, "sender", s.tx.sender.String(), "reply", r.String())
		s.recordContent(r)
		s.reply(r)
		return nil
	}
	s.sign(header, c)
	s.forward(header, c)
	sealed, hash, err := c.seal()
	if err != nil {
		c.abort()
		s.notStored(id, err)
		return nil
	}
	from := s.from()
	owner := cmp.Or(from, s.tx.owner, s.tx.rows[0].Account, account.Operator)
	m := &mail.Message{
		ID: id, Root: id, Account: owner, Sender: s.tx.sender.String(), EnvID: s.tx.params.EnvID, Ret: s.tx.params.Ret,
		Body: s.tx.params.Body, UTF8: s.tx.params.UTF8, Size: c.size, Hash: hash, Received: time.Now(),
		Client: mail.Client{Addr: s.addr, Helo: s.helo, TLS: s.tls, Login: s.login},
	}
	rows := s.tx.rows
	s.tx.rows = nil
	for i := range rows {
		if rows[i].Account == "" {
			rows[i].Account = cmp.Or(from, account.Operator)
		}
	}
	if err := s.service.queue.Accept(s.context(), s.scope(), mail.Stored{Message: m, Rows: rows, Content: sealed}); err != nil {
		// The commit may stand all the same: a blob is left to the sweep of those without a row.
		s.notStored(id, err)
		return nil
	}
	s.lastMail = time.Now()
	s.service.m.MessagesReceived.WithLabelValues(s.kind.String()).Inc()
	s.service.m.BytesReceived.WithLabelValues(s.kind.String()).Add(float64(m.Size))
	s.service.m.AcceptSeconds.Observe(time.Since(ended).Seconds())
	s.service.log.Info("message accepted", "queue_id", string(id), "client", s.addr.String(), "helo", s.helo, "tls", s.tls,
		"login", s.login, "sender", m.Sender, "recipients", len(rows), "size", m.Size)
	s.recordAccepted(m)
	s.recordJudged(m)
	s.say(250, smtp.Enhanced{2, 0, 0}, "queued as "+string(id))
	return nil
}

// notStored answers a message that did not become durable: 452 where there is no room, 451 for any other cause.
func (s *session) notStored(id mail.ID, err error) {
	s.service.m.MessagesRefused.WithLabelValues("storage").Inc()
	s.service.log.Error("message not stored", "queue_id", string(id), "client", s.addr.String(), "error", err)
	r := smtp.Reply{Code: 451, Enhanced: smtp.Enhanced{4, 3, 0}, Text: "the message could not be stored, try again later"}
	if errors.Is(err, ErrFull) {
		r = smtp.Reply{Code: 452, Enhanced: smtp.Enhanced{4, 3, 1}, Text: "no room for the message, try again later"}
	}
	s.recordContent(r)
	s.reply(r)
}

var replyBareLine = smtp.Reply{Code: 521, Enhanced: smtp.Enhanced{5, 5, 2}, Text: "lines end in CR LF and hold neither alone"}

// judge looks at the header for what may not pass: a message that goes in circles, or one that bears another's name.
func (s *session) judge(header []byte, ended bool, passed *routing.Passage) (smtp.Reply, bool) {
	if !ended {
		return smtp.Reply{Code: 552, Enhanced: smtp.Enhanced{5, 3, 4}, Text: "the header is larger than " + strconv.Itoa(message.MaxHeader) + " octets"}, false
	}
	if message.Count(header, "Received") > s.service.cfg.ReceivedFields {
		return smtp.Reply{Code: 554, Enhanced: smtp.Enhanced{5, 4, 6}, Text: "too many hops, the message goes in circles"}, false
	}
	if s.circles(header, passed) {
		return replyCircle, false
	}
	if s.login == "" {
		return smtp.Reply{}, true
	}
	if r, ok := s.mayUseHeader(header); !ok {
		return r, false
	}
	return s.routeByAuthor(header)
}
