package primaries

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"postroad/internal/core/account"
	"postroad/internal/core/directory"
	"postroad/internal/core/finding"
	"postroad/internal/core/mail"
	"postroad/internal/core/primary"
	"postroad/internal/obs"
	"postroad/internal/proto/message"
	"postroad/internal/proto/smtp"
	"postroad/internal/service/control/rights"
	"postroad/internal/service/control/words"
)

const (
	sendTime = time.Minute   // in which a probe that was begun is in the queue, or never will be
	patience = 4 * time.Hour // for which a probe is kept in the queue for a primary that takes nothing
	tries    = 5             // for what others change at the same time
)

// Back takes a probe that has come back for a recipient, and reports whether it is one: then what it tells is stored, and the
// message is not to be delivered. A token that was not made for the recipient's account is none. An error is temporary.
func (a *Access) Back(ctx context.Context, st *rights.State, r *primary.Return) (bool, error) {
	now := time.Now().UTC()
	for range tries {
		p, err := a.Store.ForwardProbe(ctx, account.System(), r.Token.Serial())
		if errors.Is(err, words.ErrNotFound) { // another one was sent since
			return a.Key.Is(r.Token, r.Account, fold(r.Recipient), now) || a.Key.Is(r.Token, r.Account, fold(r.Destination), now), nil
		}
		if err != nil {
			return false, err
		}
		if p.Account != r.Account || !a.Key.Is(r.Token, p.Account, p.Address, now) {
			return false, nil
		}
		if p.State == primary.StateNone && (p.Verdict == primary.Intact || p.Verdict == primary.Rewritten) {
			return true, nil // it has told what it had to
		}
		is, err := a.compare(p, r, now)
		if err != nil {
			return false, err
		}
		if done, err := a.settle(ctx, st, p, is); done || err != nil {
			return done, err
		}
	}
	return false, errBusy
}

var errBusy = errors.New("the state of the probe changes all the time")

// compare gives what a probe that has come back tells.
func (a *Access) compare(p primary.Probe, r *primary.Return, now time.Time) (primary.Probe, error) {
	if to := fold(r.Recipient); to != fold(p.To) && to != p.Address && fold(r.Destination) != p.Address {
		return p.Judge(primary.Missing, now, r.Client, p.From+" is forwarded to "+r.Recipient+" and not to "+p.To+": "+r.Client+" brought the probe there."), nil
	}
	letter := a.letter(&p, r.Token)
	changes, err := letter.Changes(r.Header, r.Body, r.Sum)
	if err != nil {
		return p, err
	}
	is := p.Judge(primary.Intact, now, r.Client, "")
	if len(changes) > 0 {
		is = p.Judge(primary.Rewritten, now, r.Client, "Signatures of senders (DKIM) do not survive the way: "+strings.Join(changes, "; ")+".")
	}
	is.After = max(0, now.Sub(p.Sent)).Round(time.Millisecond)
	return is, nil
}

// fold is an address in the form that is compared.
func fold(address string) string {
	at, err := smtp.ParseAddress(address, true)
	if err != nil {
		return strings.ToLower(address)
	}
	return directory.FoldAddress(at)
}

// Reported takes a report about a probe, and reports whether it is one: then what it tells is stored, and the message is not to
// be delivered.
func (a *Access) Reported(ctx context.Context, st *rights.State, r *primary.Return) (bool, error) {
	now := time.Now().UTC()
	failed, said, ok := primary.Failure(r.Header, r.Body)
	if !ok {
		return a.answer(ctx, r, now)
	}
	for range tries {
		p, err := a.mine(ctx, r, now)
		if err != nil || p == nil {
			return false, err
		}
		if !failed || p.State == primary.StateNone && p.Verdict != primary.Missing {
			return true, nil
		}
		is := p.Judge(primary.Refused, now, r.Client, p.From+" was given back by "+r.Client+": "+said)
		if done, err := a.settle(ctx, st, *p, is); done || err != nil {
			return done, err
		}
	}
	return false, errBusy
}

// mine gives the probe that a report is about; nil when its token was not made here, or is good no more.
func (a *Access) mine(ctx context.Context, r *primary.Return, now time.Time) (*primary.Probe, error) {
	p, err := a.Store.ForwardProbe(ctx, account.System(), r.Token.Serial())
	switch {
	case errors.Is(err, words.ErrNotFound):
		return nil, nil //nolint:nilnil // it is nobody's
	case err != nil:
		return nil, err
	case !a.Key.Is(r.Token, p.Account, p.Address, now):
		return nil, nil //nolint:nilnil // it is nobody's
	}
	return &p, nil
}

// answer reports whether a message that is no report is one that a program has written to answer a probe (RFC 3834), which
// nobody needs to read.
func (a *Access) answer(ctx context.Context, r *primary.Return, now time.Time) (bool, error) {
	values := message.Values(r.Header, "Auto-Submitted")
	if len(values) == 0 || !strings.HasPrefix(strings.ToLower(strings.TrimSpace(values[0])), "auto-replied") {
		return false, nil
	}
	p, err := a.mine(ctx, r, now)
	return p != nil, err
}

// settle writes what a probe has told, and what is found by that; false when somebody else has written of it.
func (a *Access) settle(ctx context.Context, st *rights.State, was, is primary.Probe) (bool, error) {
	done, err := a.Store.SetForwardProbe(ctx, account.System(), was, is)
	if !done || err != nil {
		return false, err
	}
	a.told(ctx, &is)
	a.find(ctx, st, is.Domain)
	return true, nil
}

// told counts and logs what a probe has told.
func (a *Access) told(ctx context.Context, p *primary.Probe) {
	a.Metrics.ForwardProbes.WithLabelValues(string(p.Verdict)).Inc()
	a.Log.InfoContext(ctx, "forward probed", slog.String(obs.KeyQueueID, string(p.Queue)), slog.String("from", p.From), slog.String("to", p.To), slog.String("verdict", string(p.Verdict)),
		slog.String("hop", p.Hop), slog.String("detail", p.Detail))
}

// Judge judges all probes whose time is over.
func (a *Access) Judge(ctx context.Context, st *rights.State) error {
	list, err := a.Store.OpenForwardProbes(ctx, account.System())
	if err != nil {
		return err
	}
	changed := map[string]bool{}
	for i := range list {
		one, err := a.judge(ctx, list[i], time.Now().UTC())
		if err != nil {
			return err
		}
		changed[list[i].Domain] = changed[list[i].Domain] || one
	}
	for domain, is := range changed {
		if is {
			a.find(ctx, st, domain)
		}
	}
	return nil
}

// judge looks where a probe is that has not come back, and reports whether that has told something.
func (a *Access) judge(ctx context.Context, was primary.Probe, now time.Time) (bool, error) {
	if was.State == primary.StateNone || a.Queue == nil {
		return false, nil
	}
	row, err := a.row(ctx, was.Queue)
	if err != nil {
		return false, err
	}
	is := was
	switch {
	case row == nil && was.State == primary.StateSending:
		if now.Before(was.Sent.Add(sendTime)) {
			return false, nil
		}
		is.State = primary.StateNone // the program ended before it was queued
	case row == nil && was.Left.IsZero():
		is.Left = now
	case row == nil:
		if now.Before(was.Left.Add(was.Within)) {
			return false, nil
		}
		is = was.Judge(primary.Missing, now, "", fmt.Sprintf("The server for %s took the probe, and it has not come back within %s.", was.From, was.Within))
	case row.State == mail.StateDead || row.State == mail.StateFailed:
		is = was.Judge(primary.Refused, now, row.LastHost, was.From+" was refused by "+who(row)+": "+row.LastReply)
	case now.After(was.Sent.Add(max(patience, was.Within))):
		is = was.Judge(primary.Missing, now, row.LastHost, "The probe to "+was.From+" could not be handed over: "+who(row)+": "+row.LastReply)
	default:
		return false, nil
	}
	done, err := a.Store.SetForwardProbe(ctx, account.System(), was, is)
	if !done || err != nil || is.State != primary.StateNone {
		return false, err
	}
	if is.Judged.Equal(was.Judged) {
		return true, nil
	}
	a.told(ctx, &is)
	if row != nil {
		if _, err := a.Queue.Change(ctx, account.System(), mail.Filter{IDs: []mail.ID{was.Queue}}, mail.Drop, "system"); err != nil {
			a.Log.ErrorContext(ctx, "probe not removed from the queue", slog.String(obs.KeyQueueID, string(was.Queue)), slog.Any(obs.KeyError, err))
		}
	}
	return true, nil
}

// who is who gave a row's last reply.
func who(row *mail.Recipient) string {
	if row.LastHost == "" {
		return "this server"
	}
	return row.LastHost
}

// row gives the row of a probe in the queue; nil when it is there no more.
func (a *Access) row(ctx context.Context, id mail.ID) (*mail.Recipient, error) {
	list, err := a.Queue.List(ctx, account.System(), mail.Filter{IDs: []mail.ID{id}}, "", 1)
	if err != nil || len(list) == 0 || len(list[0].Rows) == 0 {
		return nil, err
	}
	return &list[0].Rows[0], nil
}

// Look finds anew what is wrong with all forwards: addresses and primaries may have changed.
func (a *Access) Look(ctx context.Context, st *rights.State) error {
	list, err := a.Store.ForwardProbes(ctx, account.System(), "")
	if err != nil {
		return err
	}
	found, err := a.Findings.Findings(ctx, account.System(), "")
	if err != nil {
		return err
	}
	domains := map[string]bool{}
	for i := range list {
		domains[list[i].Domain] = true
	}
	for _, f := range found {
		if f.Name == finding.ForwardMissing || f.Name == finding.ForwardRewritesBody {
			domains[f.Domain] = true
		}
	}
	for domain := range domains {
		a.find(ctx, st, domain)
	}
	return nil
}

// find keeps the findings about a domain's forwards. What cannot be written now is found again by Look.
func (a *Access) find(ctx context.Context, st *rights.State, domain string) {
	if err := a.findings(ctx, st, domain); err != nil && ctx.Err() == nil {
		a.Log.ErrorContext(ctx, "findings about forwards not kept", slog.String(obs.KeyDomain, domain), slog.Any(obs.KeyError, err))
	}
}

func (a *Access) findings(ctx context.Context, st *rights.State, domain string) error {
	d, there := st.Directory.Domain(domain)
	if !there {
		return nil
	}
	list, err := a.Store.ForwardProbes(ctx, account.System(), domain)
	if err != nil {
		return err
	}
	wanted := a.list(st, d)
	var missing, rewritten []primary.Probe
	var gone []string
	for _, p := range list {
		i, same := slices.BinarySearchFunc(wanted, p.Address, func(f primary.Forward, address string) int { return strings.Compare(f.Address, address) })
		switch {
		case !same || wanted[i] != p.Forward:
			if p.State == primary.StateNone {
				gone = append(gone, p.Address)
			}
		case p.Verdict.Fails():
			missing = append(missing, p)
		case p.Verdict == primary.Rewritten:
			rewritten = append(rewritten, p)
		}
	}
	if len(gone) > 0 {
		if err := a.Store.RemoveForwardProbes(ctx, account.System(), gone); err != nil {
			return err
		}
	}
	return errors.Join(a.keep(ctx, finding.ForwardMissing, domain, missing), a.keep(ctx, finding.ForwardRewritesBody, domain, rewritten))
}

// keep keeps one finding: with the first address as evidence, and how many others there are.
func (a *Access) keep(ctx context.Context, name finding.Name, domain string, list []primary.Probe) error {
	f := finding.Finding{Name: name, Domain: domain}
	for i := range list {
		if since := list[i].Since; f.Since.IsZero() || since.Before(f.Since) {
			f.Since = since
		}
	}
	if len(list) > 0 {
		f.Evidence = fmt.Sprintf("%s → %s, probed %s: %s", list[0].From, list[0].To, words.When(list[0].Judged), list[0].Detail)
		if n := len(list) - 1; n > 0 {
			f.Evidence += " So it is with " + words.Plural(int64(n), "other address", "other addresses") + " (postroad primary show " + domain + ")."
		}
	}
	return a.Findings.Find(ctx, account.System(), f, len(list) == 0)
}
