package receive

import (
	"slices"

	"postroad/internal/core/mail"
	"postroad/internal/core/policy"
	"postroad/internal/core/routing"
	"postroad/internal/proto/authres"
	"postroad/internal/proto/message"
	"postroad/internal/proto/smtp"
)

// border is where a content comes in: its header is held until it is whole, shown to who judges it, and stored without
// the results of checks that a stranger claims to be ours (RFC 8601 §5). The rest passes through.
type border struct {
	content *content
	judging Judgement // nil: nobody judges
	rows    []mail.Recipient
	ids     []string // our names in such results
	held    []byte   // header so far, and then as it came
	through bool     // the header has been passed on
}

// newBorder makes the border for the content in hand.
func (s *session) newBorder(c *content) *border {
	return &border{content: c, judging: s.tx.judging, rows: s.tx.rows, ids: s.service.cfg.Names()}
}

// Write takes the next octets of the content.
func (b *border) Write(p []byte) (int, error) {
	if b.through {
		return b.body(p)
	}
	if len(b.held) == 0 && headerEnds(p) { // most come whole
		return len(p), b.pass(p)
	}
	b.held = append(b.held, p...)
	b.count()
	if !headerEnds(b.held) {
		return len(p), nil
	}
	return len(p), b.pass(b.held)
}

// headerEnds reports whether a header ends within p, or is larger than headers may be.
func headerEnds(p []byte) bool {
	header, _, ok := message.SplitHeader(p)
	return !ok || len(header) < len(p)
}

// count keeps the books on the header that is held.
func (b *border) count() {
	b.content.beside = int64(cap(b.held))
	b.content.count()
}

// end passes on a content that is all header.
func (b *border) end() error {
	if b.through {
		return nil
	}
	return b.pass(b.held)
}

// pass shows the header to who judges it, which is held from now on, and stores what has come of the content.
func (b *border) pass(begun []byte) error {
	b.through, b.held = true, nil
	header, body, ok := message.SplitHeader(begun)
	if !ok { // larger than headers may be: it will be refused
		b.judging = nil
	}
	if b.judging != nil {
		b.held = slices.Clone(header)
		b.judging.Header(b.held, b.rows)
		if _, err := b.judging.Write(body); err != nil {
			return err
		}
	}
	b.count()
	b.content.watch(header)
	if !ok || !message.HasField(header, authres.Name) {
		_, err := b.content.Write(begun)
		return err
	}
	var stored []byte
	for f := range message.Fields(header) {
		if !f.Is(authres.Name) || !authres.Claims(string(f.Body()), b.ids) {
			stored = append(stored, f.Raw...)
		}
	}
	for _, part := range [...][]byte{stored, begun[len(header):]} {
		if len(part) == 0 {
			continue
		}
		if _, err := b.content.Write(part); err != nil {
			return err
		}
	}
	return nil
}

// body passes on octets behind the header.
func (b *border) body(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if b.judging != nil {
		if _, err := b.judging.Write(p); err != nil {
			return 0, err
		}
	}
	return b.content.Write(p)
}

// beginJudging has a stranger's message judged, from its first recipient on.
func (s *session) beginJudging() {
	if s.service.cfg.Judge == nil || s.tx.judging != nil || len(s.tx.rows) == 0 || s.asker().Kind != routing.Stranger {
		return
	}
	s.tx.judging = s.service.cfg.Judge.Begin(policy.Arrival{
		Client: s.addr, Helo: s.helo, Sender: s.tx.sender.String(), Recipient: s.tx.rows[0].Original,
	})
}

// ruling is what was decided for a recipient as it was given. The queue may have its row by the time it is told of.
type ruling struct {
	recipient string
	policy.Ruling
}

// rule judges the message in hand for all its rows. Where not all are refused, the rows bear what was decided: what is
// written above the content, and whether they are put aside.
func (s *session) rule() (r smtp.Reply, refused bool) {
	if s.tx.judging == nil || len(s.tx.rows) == 0 {
		return smtp.Reply{}, false
	}
	list := s.tx.judging.Judge(s.tx.rows)
	s.tx.rulings = make([]ruling, len(list))
	verdicts := make([]policy.Verdict, len(list))
	for i := range list {
		s.tx.rulings[i] = ruling{s.tx.rows[i].Original, list[i]}
		verdicts[i] = list[i].Verdict
	}
	r, refused = policy.Settle(verdicts)
	for i := range s.tx.rulings {
		s.tx.rulings[i].Verdict = verdicts[i]
		if !refused {
			apply(&s.tx.rows[i], &s.tx.rulings[i].Ruling)
		}
	}
	return r, refused
}

// apply writes a ruling into its row. What is put aside stays away from its reader, or here where it would leave; nobody
// is told of it, nor of what SPF says its sender did not send.
func apply(row *mail.Recipient, r *policy.Ruling) {
	if len(row.Head) == 0 {
		row.Head = slices.Clip(r.Field)
	} else {
		row.Head = slices.Concat(r.Field, row.Head)
	}
	if r.Action == policy.Quarantine || r.Untold {
		row.Notify, row.ORcpt = smtp.NotifyNever, ""
	}
	if r.Action != policy.Quarantine {
		return
	}
	row.Junk = true
	if row.Lane.Transport() != mail.TransportLocal {
		row.State, row.LastReply = mail.StateQuarantined, r.Reasons[0]
	}
}
