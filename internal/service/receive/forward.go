package receive

import (
	"fmt"
	"strings"
	"time"

	"postroad/internal/core/account"
	"postroad/internal/core/finding"
	"postroad/internal/core/mail"
)

// forwards reports whether any recipient so far is forwarded to a server that is not its domain's own.
func (s *session) forwards() bool {
	if s.service.cfg.Forwarder == nil {
		return false
	}
	for i := range s.tx.rows {
		if s.tx.rows[i].Forward != "" {
			return true
		}
	}
	return false
}

// forward gives rows that leave by a forward what makes them believable elsewhere: a sender of the forwarding domain, so
// that SPF holds there and bounces come back, a field that ends circles, and a seal over what was found out here. The null
// sender stays (RFC 5321 §4.5.5), and so does that of our own users, for whose domains we may send.
func (s *session) forward(header []byte, c *content) {
	if !s.forwards() {
		return
	}
	now := time.Now()
	sender := s.tx.sender.String()
	seals := map[string][]byte{} // by domain and what was found for it
	senders := map[string]string{}
	for i := range s.tx.rows {
		r := &s.tx.rows[i]
		if r.Forward == "" {
			continue
		}
		domain := r.Forward[strings.LastIndexByte(r.Forward, '@')+1:]
		if !r.Rewritten && sender != "" && s.login == "" && s.tx.senderOf == "" {
			rewritten, known := senders[domain]
			if !known {
				rewritten, _ = s.service.cfg.Forwarder.Rewrite(sender, domain, now)
				senders[domain] = rewritten
			}
			r.Sender, r.Rewritten = rewritten, rewritten != ""
		}
		key := domain + "\x00" + string(r.Head)
		seal, known := seals[key]
		if !known && len(r.Head) > 0 {
			seal = s.service.cfg.Forwarder.Seal(s.context(), domain, header, r.Head, s.bodyOf(c), now)
			seals[key] = seal
		}
		head := append([]byte("Delivered-To: "+strings.ToLower(r.Original)+"\r\n"), seal...)
		if len(head)+len(r.Head) > mail.MaxHead {
			head = head[:len(head)-len(seal)]
		}
		if len(head)+len(r.Head) <= mail.MaxHead {
			r.Head = append(head, r.Head...)
		}
		owner := r.Account
		if d, ok := s.service.dir.View().Directory.Domain(domain); ok {
			owner = d.Account
		}
		if i < len(s.tx.rulings) {
			s.service.cfg.Forwarder.Note(owner, r.Forward, s.tx.rulings[i].SPFAlone)
		}
		s.pace(r, owner, domain, now)
	}
}

// pace has a row wait whose forward sends too much.
func (s *session) pace(r *mail.Recipient, owner account.ID, domain string, now time.Time) {
	at, later := s.service.cfg.Forwarder.Pace(owner, r.Forward, now)
	if !later {
		return
	}
	r.Next, r.LastReply = at, "the forward "+r.Forward+" sends too much to other servers: this message waits for its turn"
	s.find(finding.ForwardFuse, domain, fmt.Sprintf("%s may send %d messages in an hour to other servers and gets more", r.Forward, s.service.cfg.Forwarder.PerHour()))
}
