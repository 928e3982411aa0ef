package receive

import (
	"slices"

	"postroad/internal/core/mail"
	"postroad/internal/core/primary"
	"postroad/internal/core/trace"
	"postroad/internal/proto/dkim"
	"postroad/internal/proto/message"
)

// watch has the body of a content hashed whose header may be that of a probe of a forward, also when it becomes a blob.
func (c *content) watch(header []byte) {
	if c.body == nil && primary.Marked(header) {
		c.body = dkim.NewBody(dkim.Relaxed)
	}
}

// bodyAndSum gives the body of a content that has come to its end, nil when it lies in a blob, and its hash by relaxed
// canonicalization, nil when nobody took it.
func (c *content) bodyAndSum() (body, sum []byte) {
	if c.blob == nil {
		_, body, _ = message.SplitHeader(c.buf)
		h := dkim.NewBody(dkim.Relaxed)
		_, _ = h.Write(body)
		sum, _ = h.Sum(dkim.Relaxed)
		return body, sum
	}
	if h, ok := c.body.(*dkim.Body); ok {
		sum, _ = h.Sum(dkim.Relaxed)
	}
	return nil, sum
}

// mostProbed is how many recipients a message has at most that is looked at: a probe comes back for one, or a group.
const mostProbed = 20

// probes leaves out of the transaction the recipients for whom the message is a probe of a forward that has come back, or a
// report about one; what it tells is durable then. It reports whether nobody is left. An error is temporary.
func (s *session) probes(header []byte, c *content) (none bool, err error) {
	if s.service.cfg.Probes == nil || s.login != "" || len(s.tx.rows) > mostProbed {
		return false, nil
	}
	token, marked := primary.Mark(header)
	reported := func(r *mail.Recipient) (primary.Token, bool) {
		return primary.Reported(r.Original, s.service.cfg.Hostname)
	}
	if !marked && !slices.ContainsFunc(s.tx.rows, func(r mail.Recipient) bool { _, ok := reported(&r); return ok }) {
		return false, nil
	}
	body, sum := c.bodyAndSum()
	left := make([]mail.Recipient, 0, len(s.tx.rows))
	for i := range s.tx.rows {
		r := &s.tx.rows[i]
		back := primary.Return{
			Token: token, Account: r.Account, Recipient: r.Original, Destination: r.Destination, Sender: s.tx.sender.String(), Client: s.client(), Header: header, Body: body, Sum: sum,
		}
		var taken bool
		if of, ok := reported(r); ok {
			back.Token = of
			taken, err = s.service.cfg.Probes.ProbeReported(s.context(), &back)
		} else if marked {
			taken, err = s.service.cfg.Probes.ProbeBack(s.context(), &back)
		}
		if err != nil {
			return false, err
		}
		if !taken {
			left = append(left, *r)
		}
	}
	s.tx.rows = left
	s.tx.taken = slices.DeleteFunc(s.tx.taken, func(d trace.Decision) bool {
		return !slices.ContainsFunc(left, func(r mail.Recipient) bool { return r.Original == d.Recipient })
	})
	return len(left) == 0, nil
}
