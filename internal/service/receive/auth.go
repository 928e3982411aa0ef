package receive

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"net/netip"
	"strings"
	"time"

	"postroad/internal/core/account"
	"postroad/internal/core/directory"
	"postroad/internal/core/mail"
	"postroad/internal/proto/message"
	"postroad/internal/proto/smtp"
)

// Logins knows who may send mail from here.
type Logins interface {
	// Begin starts a SASL exchange (RFC 4422) by the mechanism's name, for a client address that may have failed
	// before; ok is false for a mechanism that is not offered. When ctx ends, the exchange waits for nothing more.
	Begin(ctx context.Context, client netip.Addr, mechanism string) (x Exchange, ok bool)
}

// Exchange is one SASL exchange.
type Exchange interface {
	// Next takes the client's response, nil when it gave no initial one, and gives the next challenge. done says
	// that the login succeeded; there is no challenge then. An error is a *smtp.ReplyError with what the client is
	// told; the exchange is over then. Next may take its time with who has failed before.
	Next(response []byte) (challenge []byte, done bool, err error)
	// Login is who it was, after done. After an error it is the address that was claimed, for the log, if any.
	Login() (address string, owner account.ID)
}

const authMechanisms = "PLAIN LOGIN SCRAM-SHA-256"

// offersAuth reports whether AUTH may be used now: never in clear (RFC 8314 §4.1), never for strangers' mail.
func (s *session) offersAuth() bool {
	return s.kind != MX && s.tls != "" && s.login == "" && s.service.logins != nil
}

// mayBegin says whether the session may begin a transaction: on submission listeners only after AUTH (RFC 6409 §4.3).
func (s *session) mayBegin() (smtp.Reply, bool) {
	if s.kind == MX || s.login != "" {
		return smtp.Reply{}, true
	}
	if s.tls == "" {
		return smtp.Reply{Code: 530, Enhanced: smtp.Enhanced{5, 7, 0}, Text: "say STARTTLS first"}, false
	}
	return smtp.Reply{Code: 530, Enhanced: smtp.Enhanced{5, 7, 0}, Text: "authentication required"}, false
}

// mayUseSender says whether the session may send as an address: a login as its own ones only; a trusted network
// as any domain that is hosted here.
func (s *session) mayUseSender(a smtp.Address) (smtp.Reply, bool) {
	view := s.service.dir.View()
	switch {
	case s.login != "":
		if view.Directory.Paused(s.loginOf, s.login) {
			return smtp.Reply{Code: 450, Enhanced: smtp.Enhanced{4, 7, 1}, Text: mail.Paused(s.login) + ": it reads its mail, and sends none until whoever manages its domain resumes it"}, false
		}
		if !a.IsNull() && !view.Directory.Owns(s.login, a, view.Now) {
			return smtp.Reply{Code: 553, Enhanced: smtp.Enhanced{5, 7, 1}, Text: "the login " + s.login + " may not send as <" + a.String() + ">"}, false
		}
		return notPaused(view.Directory, s.loginOf, a)
	case s.trusted && s.kind == MX && !a.IsNull():
		d, ok := view.Directory.Domain(a.Domain)
		if !ok || !d.Proved {
			s.tx.stranger = true
			return smtp.Reply{}, true
		}
		s.tx.senderOf = d.Account
		return notPaused(view.Directory, d.Account, a)
	}
	return smtp.Reply{}, true
}

// notPaused refuses what is sent as an address of an account that is paused, with or without a plus-suffix, or whose domain is:
// by another login, which has it as an alias or as an identity, it is sent no more than by its own.
func notPaused(dir *directory.Snapshot, owner account.ID, a smtp.Address) (smtp.Reply, bool) {
	for _, local := range []string{a.Local, directory.Base(a.Local)} {
		if !a.IsNull() && dir.Paused(owner, local+"@"+a.Domain) {
			return smtp.Reply{Code: 450, Enhanced: smtp.Enhanced{4, 7, 1}, Text: "nothing is sent as <" + a.String() + "> for now: it is paused"}, false
		}
	}
	return smtp.Reply{}, true
}

// mayUseHeader says whether a login may send a message with this header: every author and sender named in it
// must be its own (RFC 6409 §6.1).
func (s *session) mayUseHeader(header []byte) (smtp.Reply, bool) {
	from, sender, ok := message.FromAddresses(header)
	if !ok {
		return smtp.Reply{Code: 554, Enhanced: smtp.Enhanced{5, 6, 0}, Text: "the message needs exactly one From field that can be read"}, false
	}
	view := s.service.dir.View()
	for _, list := range [][]string{from, sender} {
		for _, text := range list {
			a, err := smtp.ParseAddress(text, true)
			if err != nil || !view.Directory.Owns(s.login, a, view.Now) {
				return smtp.Reply{Code: 553, Enhanced: smtp.Enhanced{5, 7, 1}, Text: "the login " + s.login + " may not send as <" + text + ">"}, false
			}
			if r, ok := notPaused(view.Directory, s.loginOf, a); !ok {
				return r, false
			}
		}
	}
	return smtp.Reply{}, true
}

// auth answers AUTH (RFC 4954 §4).
func (s *session) auth(arg []byte) error {
	if r, ok := s.mayAuth(); !ok {
		return s.mistake(r)
	}
	if s.authFailures >= maxAuthAttempts {
		s.say(421, smtp.Enhanced{4, 7, 0}, "too many failed logins")
		return errQuit
	}
	name, text, _ := bytes.Cut(arg, []byte{' '})
	mechanism := strings.ToUpper(string(name))
	var response []byte
	switch {
	case len(name) == 0:
		return s.mistake(smtp.Reply{Code: 501, Enhanced: smtp.Enhanced{5, 5, 4}, Text: "AUTH takes a mechanism"})
	case string(text) == "=":
		response = []byte{}
	case len(text) > 0:
		var err error
		if response, err = decode(text); err != nil {
			return s.wrong(err)
		}
	}
	x, ok := s.service.logins.Begin(s.service.live(), s.addr, mechanism)
	if !ok {
		return s.mistake(smtp.Reply{Code: 504, Enhanced: smtp.Enhanced{5, 5, 4}, Text: "mechanism not offered"})
	}
	return s.exchange(x, mechanism, response)
}

// mayAuth says whether AUTH may come now.
func (s *session) mayAuth() (smtp.Reply, bool) {
	bad := smtp.Enhanced{5, 5, 1}
	switch {
	case s.kind == MX, s.service.logins == nil, s.service.cfg.TLS == nil:
		return smtp.Reply{Code: 502, Enhanced: bad, Text: "command not offered"}, false
	case !s.esmtp:
		return smtp.Reply{Code: 503, Enhanced: bad, Text: "say EHLO first"}, false
	case s.tls == "":
		return smtp.Reply{Code: 538, Enhanced: smtp.Enhanced{5, 7, 11}, Text: "say STARTTLS first; change a password that went over the wire in clear"}, false
	case s.login != "":
		return smtp.Reply{Code: 503, Enhanced: bad, Text: "you are logged in already"}, false
	case !s.tx.begun.IsZero():
		return smtp.Reply{Code: 503, Enhanced: bad, Text: "AUTH comes before a transaction"}, false
	}
	return smtp.Reply{}, true
}

// exchange goes through challenges and responses to the end.
func (s *session) exchange(x Exchange, mechanism string, response []byte) error {
	for {
		// The answer may take long; what was answered before does not wait for it.
		if err := s.flush(); err != nil {
			return err
		}
		challenge, done, err := x.Next(response)
		switch {
		case err != nil:
			s.authFailed(x, mechanism, err)
			return nil
		case done:
			s.authenticated(x, mechanism)
			return nil
		}
		s.challenge(challenge)
		if response, err = s.response(); err != nil {
			if _, ok := smtp.ReplyOf(err); ok {
				return s.wrong(err)
			}
			return err
		}
	}
}

// challenge queues a challenge. It is no reply text: nothing of it may be cut or replaced.
func (s *session) challenge(challenge []byte) {
	s.service.m.reply(smtp.Reply{Code: 334})
	s.out = append(s.out, "334 "...)
	s.out = base64.StdEncoding.AppendEncode(s.out, challenge)
	s.out = append(s.out, "\r\n"...)
}

// response waits for the client's response. A *smtp.ReplyError says why the exchange ends here.
func (s *session) response() ([]byte, error) {
	s.deadline = time.Now().Add(commandTimeout)
	line, err := s.in.ReadLine(smtp.MaxAuthLine)
	switch {
	case errors.Is(err, smtp.ErrLineTooLong):
		return nil, &smtp.ReplyError{Reply: smtp.Reply{Code: 500, Enhanced: smtp.Enhanced{5, 5, 6}, Text: "line too long"}}
	case errors.Is(err, smtp.ErrBareLF), errors.Is(err, smtp.ErrBareCR), errors.Is(err, smtp.ErrControl):
		return nil, &smtp.ReplyError{Reply: smtp.Reply{Code: 500, Enhanced: smtp.Enhanced{5, 5, 2}, Text: "lines end in CR LF and hold neither alone"}}
	case err != nil:
		return nil, err
	case string(line) == "*":
		return nil, &smtp.ReplyError{Reply: smtp.Reply{Code: 501, Enhanced: smtp.Enhanced{5, 7, 0}, Text: "authentication cancelled"}}
	}
	return decode(line)
}

// decode reads base64 as RFC 4954 §4 has it: complete, nothing beside it. The result is never nil without an error.
func decode(text []byte) ([]byte, error) {
	b, err := base64.StdEncoding.Strict().AppendDecode([]byte{}, text)
	if err != nil {
		return nil, &smtp.ReplyError{Reply: smtp.Reply{Code: 501, Enhanced: smtp.Enhanced{5, 5, 2}, Text: "not base64"}}
	}
	return b, nil
}

// authFailed answers an exchange that came to no good end.
func (s *session) authFailed(x Exchange, mechanism string, err error) {
	s.authFailures++
	r, ok := smtp.ReplyOf(err)
	if !ok {
		r = smtp.Reply{Code: 454, Enhanced: smtp.Enhanced{4, 7, 0}, Text: "the login cannot be checked now, try again later"}
	}
	result := "failed"
	if !r.Permanent() {
		result = "busy"
	}
	claimed, _ := x.Login()
	s.service.m.SMTPLogins.WithLabelValues(mechanism, result).Inc()
	s.service.log.Info("login failed", "client", s.addr.String(), "listener", s.kind.String(), "login", claimed, "mechanism", mechanism, "reply", r.String())
	s.reply(r)
}

// authenticated makes the session that of a login.
func (s *session) authenticated(x Exchange, mechanism string) {
	s.login, s.loginOf = x.Login()
	s.service.m.SMTPLogins.WithLabelValues(mechanism, "ok").Inc()
	s.service.log.Info("login", "client", s.addr.String(), "listener", s.kind.String(), "login", s.login, "mechanism", mechanism, "tls", s.tls)
	s.say(235, smtp.Enhanced{2, 7, 0}, "authenticated")
}
