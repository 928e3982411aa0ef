package receive

import (
	"strconv"
	"strings"

	"postroad/internal/proto/smtp"
)

// hello answers HELO and EHLO (RFC 5321 §4.1.1.1). Either ends a transaction.
func (s *session) hello(verb smtp.Verb, arg []byte) error {
	name, err := smtp.ParseHelo(arg)
	if err != nil {
		return s.wrong(err)
	}
	s.reset()
	s.helo, s.esmtp = name, verb == smtp.EHLO
	if !s.esmtp {
		s.say(250, smtp.Enhanced{}, s.service.cfg.Hostname)
		return nil
	}
	s.say(250, smtp.Enhanced{}, strings.Join(s.offers(), "\n"))
	return nil
}

// offers are the lines of the reply to EHLO.
func (s *session) offers() []string {
	cfg := &s.service.cfg
	lines := []string{
		cfg.Hostname, "PIPELINING", "SIZE " + strconv.FormatInt(cfg.MessageSize, 10), "8BITMIME", "SMTPUTF8",
		"ENHANCEDSTATUSCODES", "CHUNKING", "DSN", "LIMITS RCPTMAX=" + strconv.Itoa(cfg.Recipients),
	}
	if cfg.TLS != nil && s.tls == "" {
		lines = append(lines, "STARTTLS")
	}
	if s.offersETRN() {
		lines = append(lines, "ETRN")
	}
	if s.offersAuth() {
		lines = append(lines, "AUTH "+authMechanisms)
	}
	return lines
}
