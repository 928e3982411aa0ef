package receive

import (
	"strings"

	"postroad/internal/core/directory"
	"postroad/internal/proto/dkim"
	"postroad/internal/proto/message"
)

// signs reports whether what the session sends is signed: mail of our own users, and of trusted networks as our domains.
func (s *session) signs() bool {
	return s.service.cfg.Signer != nil && (s.login != "" || s.tx.senderOf != "")
}

// newBody has the body of a content hashed as it comes where it will be signed or sealed. What stays in memory is hashed
// at the end.
func (s *session) newBody(c *content) *content {
	switch {
	case s.forwards():
		s.tx.body = dkim.NewBody(dkim.Relaxed, dkim.Simple) // a chain may have been made by either
	case s.signs():
		s.tx.body = dkim.NewBody(dkim.Relaxed)
	default:
		return c
	}
	c.body = s.tx.body
	return c
}

// bodyOf gives the hashed body of a content that has come to its end.
func (s *session) bodyOf(c *content) *dkim.Body {
	if c.blob == nil && !s.tx.hashed {
		_, body, _ := message.SplitHeader(c.buf)
		_, _ = s.tx.body.Write(body)
		s.tx.hashed = true
	}
	return s.tx.body
}

// sign puts the signature of the author's domain above all rows (RFC 6376 §5).
func (s *session) sign(header []byte, c *content) {
	if !s.signs() || s.tx.body == nil {
		return
	}
	d, ok := s.author(header)
	if !ok {
		return
	}
	fields := s.service.cfg.Signer.Sign(s.context(), d.Name, header, func() *dkim.Body { return s.bodyOf(c) })
	if len(fields) == 0 {
		return
	}
	for i := range s.tx.rows {
		s.tx.rows[i].Head = append(s.tx.rows[i].Head[:len(s.tx.rows[i].Head):len(s.tx.rows[i].Head)], fields...)
	}
}

// author is the domain of a message's author, where it is one of the account whose user sends.
func (s *session) author(header []byte) (*directory.Domain, bool) {
	owner := s.loginOf
	if s.login == "" {
		owner = s.tx.senderOf
	}
	a, ok := firstAuthor(header)
	if !ok {
		return nil, false
	}
	d, there := s.service.dir.View().Directory.Domain(strings.ToLower(a.Domain))
	return d, there && d.Proved && d.Account == owner
}
