package inspect

import (
	"context"
	"slices"
	"strings"

	"postroad/internal/core/mail"
	"postroad/internal/core/routing"
	"postroad/internal/core/trace"
	"postroad/internal/proto/smtp"
	"postroad/internal/service/control/rights"
	"postroad/internal/service/control/words"
)

// Replay is a message of which it is decided again.
type Replay struct {
	ID         mail.ID    `json:"id"`
	Sender     string     `json:"sender"`
	Recipients []Replayed `json:"recipients" doc:"Those whose way you may see"`
}

// Replayed is one recipient, then and now.
type Replayed struct {
	Recipient string      `json:"recipient"`
	Accepted  bool        `json:"accepted" doc:"It was taken then"`
	Then      string      `json:"then" doc:"What was decided, in plain words"`
	Now       Explanation `json:"now" doc:"What would be decided now"`
	Differs   []string    `json:"differs" doc:"What would be otherwise now; empty when nothing would"`
}

// Replay decides again about the recipients of a traced message, as if the same client sent it now.
func (e *Explainer) Replay(ctx context.Context, actor rights.Actor, st *rights.State, t trace.Trace) (Replay, error) {
	out := Replay{ID: t.ID, Sender: t.Sender, Recipients: []Replayed{}}
	session, ok := sessionOf(st, &t)
	if !ok {
		return out, words.Missing("The trace of " + string(t.ID) + " does not tell who sent the message.")
	}
	for i := range t.Steps {
		s := &t.Steps[i]
		if s.Recipient == "" || s.Kind != trace.Decided && s.Kind != trace.Refused {
			continue
		}
		rcpt, err := smtp.ParseAddress(s.Recipient, true)
		if err != nil {
			continue // what no command could name today
		}
		if d, ours := st.Directory.Domain(rcpt.Domain); ours && !actor.Scope.Has(d.Account) {
			continue
		}
		asker := session
		asker.Author = authorOf(s)
		now := e.explain(ctx, actor, st, asker, rcpt)
		x := Replayed{Recipient: s.Recipient, Accepted: s.Kind == trace.Decided, Then: s.Sentence(), Now: now, Differs: differences(s, &now)}
		if i := slices.IndexFunc(out.Recipients, func(old Replayed) bool { return old.Recipient == x.Recipient }); i >= 0 {
			out.Recipients[i] = x // it was decided anew
			continue
		}
		out.Recipients = append(out.Recipients, x)
	}
	return out, nil
}

// authorOf is the author of a message, as far as its route was chosen by him.
func authorOf(s *trace.Step) smtp.Address {
	for _, r := range s.Reasons {
		if r.Rule == routing.RuleIdentityRoute {
			a, _ := smtp.ParseAddress(r.Fact, true) // it was one
			return a
		}
	}
	return smtp.Address{}
}

// sessionOf rebuilds the session that sent a message.
func sessionOf(st *rights.State, t *trace.Trace) (routing.Session, bool) {
	i := slices.IndexFunc(t.Steps, func(s trace.Step) bool { return s.Kind == trace.Accepted || s.Kind == trace.Refused })
	if i < 0 {
		return routing.Session{}, false
	}
	s := &t.Steps[i]
	out := routing.Session{
		Kind: s.Asker, Login: s.Client.Login, Client: s.Client.Addr, Helo: s.Client.Helo, TLS: s.Client.TLS, UTF8: s.UTF8, Size: s.Size,
	}
	if sender, err := smtp.ParseSender(t.Sender, true); err == nil {
		out.Sender = sender
	}
	if at, err := smtp.ParseAddress(out.Login, true); err == nil {
		if m, ok := st.Directory.Mailbox(at.Domain, at.Local); ok {
			out.Account = m.Account
		}
	}
	return out, true
}

// differences tells what would be otherwise now.
func differences(then *trace.Step, now *Explanation) []string {
	reply := now.Reply.String()
	taken := now.Reply.Code == 250
	switch was := then.Kind == trace.Decided; {
	case was && !taken:
		return []string{"It would be refused now: " + reply + "."}
	case !was && taken:
		return []string{"It would be taken now."}
	case !was && then.Reply != reply:
		return []string{"It would be refused with other words now: " + reply + "."}
	case !was:
		return []string{}
	}
	old := make([]string, 0, len(then.Targets))
	for _, t := range then.Targets {
		old = append(old, t.Address+" by "+string(t.Lane))
	}
	current := make([]string, 0, len(now.Destinations))
	for _, d := range now.Destinations {
		current = append(current, d.Address+" by "+d.Lane)
	}
	out := []string{}
	for _, d := range current {
		if !slices.Contains(old, d) {
			out = append(out, "It would go to "+d+" now.")
		}
	}
	for _, d := range old {
		if !slices.Contains(current, d) {
			out = append(out, "It would not go to "+d+" any more.")
		}
	}
	if len(out) == 0 && len(then.Reasons) > 0 && !sameRules(then.Reasons, now.Reasons) {
		out = append(out, "It would go the same way, but for other reasons.")
	}
	return out
}

// sameRules compares the rules of a decision; what DNS said beyond it is left out.
func sameRules(then []routing.Reason, now []ExplainReason) bool {
	var a, b []string
	for _, r := range then {
		a = append(a, r.Rule.String())
	}
	for _, r := range now {
		if r.Rule != ruleMX {
			b = append(b, r.Rule)
		}
	}
	return strings.Join(a, " ") == strings.Join(b, " ")
}
