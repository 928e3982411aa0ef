package imapd

import (
	"strconv"

	"postroad/internal/core/account"
	"postroad/internal/proto/imap"
	"postroad/internal/proto/sasl"
	"postroad/internal/proto/smtp"
)

// capabilities are what is offered now (RFC 9051 §7.2.2).
func (s *session) capabilities() []string {
	list := []string{"IMAP4rev2", "IMAP4rev1", "SASL-IR", "ID", "ENABLE"}
	if s.who.Load() == nil {
		list = append(list, "LITERAL-")
		if s.tls {
			return append(list, "AUTH=PLAIN", "AUTH=LOGIN", "AUTH=SCRAM-SHA-256")
		}
		if s.service.cfg.TLS != nil {
			list = append(list, "STARTTLS")
		}
		return append(list, "LOGINDISABLED")
	}
	return append(list, "LITERAL+", "IDLE", "NAMESPACE", "UNSELECT", "UIDPLUS", "MOVE", "CHILDREN", "SPECIAL-USE", "CREATE-SPECIAL-USE",
		"LIST-EXTENDED", "LIST-STATUS", "STATUS=SIZE", "ESEARCH", "SEARCHRES", "CONDSTORE", "QRESYNC", "BINARY", "MULTIAPPEND", "UTF8=ACCEPT",
		"QUOTA", "QUOTA=RES-STORAGE", "APPENDLIMIT="+strconv.FormatInt(s.service.cfg.MessageSize, 10))
}

// identify answers STARTTLS, LOGIN and AUTHENTICATE.
func (s *session) identify(r *imap.Request) error {
	if s.who.Load() != nil {
		return refusal(r, imap.BAD, "", "You are logged in already.")
	}
	if r.Command == (imap.StartTLS{}) {
		return s.startTLS(r)
	}
	if !s.tls {
		return refusal(r, imap.NO, imap.CodePrivacyRequired, "Say STARTTLS first; change a password that went over the wire in clear.")
	}
	switch c := r.Command.(type) {
	case imap.Login:
		return s.authenticate(r, sasl.Plain, []byte("\x00"+c.User+"\x00"+c.Password))
	case imap.Authenticate:
		if !c.HasInitial {
			return s.authenticate(r, c.Mechanism, nil)
		}
		return s.authenticate(r, c.Mechanism, append([]byte{}, c.Initial...))
	}
	return nil
}

// startTLS answers STARTTLS (RFC 9051 §6.2.1). What came in clear behind it is an injection: the session ends.
func (s *session) startTLS(r *imap.Request) error {
	switch {
	case s.tls:
		return refusal(r, imap.BAD, "", "TLS is on already.")
	case s.service.cfg.TLS == nil:
		return refusal(r, imap.BAD, "", "TLS is not offered.")
	case s.in.Buffered() > 0:
		s.out.Status(imap.BYE, "", "Nothing may follow STARTTLS before the handshake.")
		return errQuit
	case s.service.cfg.Memory.Spent():
		return refusal(r, imap.NO, imap.CodeUnavailable, "TLS is not available at the moment.")
	}
	s.out.Tagged(r.Tag, imap.OK, "", "Begin the handshake.")
	if err := s.out.Flush(); err != nil {
		return err
	}
	if err := s.handshake(); err != nil {
		return errQuit
	}
	s.in.SetSource(s)
	return nil
}

// authenticate goes through challenges and responses to the end (RFC 9051 §6.2.2).
func (s *session) authenticate(r *imap.Request, mechanism string, response []byte) error {
	x, ok := s.service.logins.Begin(s.context(), s.addr, mechanism)
	if !ok {
		return refusal(r, imap.NO, "", "This mechanism is not offered.")
	}
	for {
		// The answer may take long; what was answered before does not wait for it.
		if err := s.out.Flush(); err != nil {
			return err
		}
		challenge, done, err := x.Next(response)
		switch {
		case err != nil:
			return s.loginFailed(r, x, mechanism, err)
		case done:
			return s.loggedIn(r, x.Login(), mechanism)
		}
		s.out.Challenge(challenge)
		if response, err = s.in.Answer(); err != nil {
			return tagged(r, err)
		}
	}
}

// loginFailed answers an exchange that came to no good end.
func (s *session) loginFailed(r *imap.Request, x Exchange, mechanism string, err error) error {
	s.failures++
	reply, ok := smtp.ReplyOf(err)
	result, refused := "busy", refusal(r, imap.NO, imap.CodeUnavailable, "The login cannot be checked now, try again later.")
	switch {
	case ok && reply.Code == 501:
		result, refused = "failed", refusal(r, imap.BAD, "", "This is no message of the mechanism.")
	case ok && reply.Permanent():
		result, refused = "failed", refusal(r, imap.NO, imap.CodeAuthenticationFailed, "Authentication failed.")
	}
	s.service.m.IMAPLogins.WithLabelValues(mechanism, result).Inc()
	s.service.log.Info("login failed", "client", s.addr.String(), "listener", s.kind.String(), "login", x.Login().Address, "mechanism", mechanism, "result", result)
	if s.failures < maxLogins {
		return refused
	}
	s.out.Refuse(refused)
	s.out.Status(imap.BYE, "", "Too many failed logins.")
	return errQuit
}

// loggedIn makes the session that of a login.
func (s *session) loggedIn(r *imap.Request, who Login, mechanism string) error {
	if !s.service.enter(who.Mailbox) {
		s.service.m.IMAPLogins.WithLabelValues(mechanism, "limit").Inc()
		return refusal(r, imap.NO, imap.CodeLimit, "There are too many sessions of this login.")
	}
	s.client.Settle()
	s.who.Store(&who)
	s.scope = account.Of(who.Account)
	s.errors, s.wait = 0, waiting{}
	s.in.SetLimits(imap.AfterLogin(s.service.cfg.MessageSize))
	s.service.m.IMAPLogins.WithLabelValues(mechanism, "ok").Inc()
	s.service.log.Info("login", "client", s.addr.String(), "listener", s.kind.String(), "login", who.Address, "mechanism", mechanism)
	s.out.Tagged(r.Tag, imap.OK, imap.CodeCapability(s.capabilities()), "Logged in.")
	return nil
}

// enable answers ENABLE (RFC 5161 §3.1).
func (s *session) enable(r *imap.Request, c imap.Enable) error {
	if s.sel != nil {
		return refusal(r, imap.BAD, "", "ENABLE comes before a mailbox is selected.")
	}
	var list []string
	on := func(name string, flags ...*bool) {
		fresh := false
		for _, f := range flags {
			fresh = fresh || !*f
			*f = true
		}
		if fresh {
			list = append(list, name)
		}
	}
	e := &s.enabled
	for _, name := range c.Capabilities {
		switch name {
		case "CONDSTORE":
			on(name, &e.condStore)
		case "QRESYNC":
			on(name, &e.qresync)
			e.condStore = true
		case "UTF8=ACCEPT":
			on(name, &e.utf8)
		case "IMAP4REV2":
			on("IMAP4rev2", &e.rev2)
		}
	}
	s.in.SetUTF8(e.utf8 || e.rev2)
	s.out.SetUTF8(e.utf8 || e.rev2)
	s.out.Enabled(list)
	return s.done(r, "")
}
