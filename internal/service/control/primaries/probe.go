package primaries

import (
	"cmp"
	"context"
	"crypto/rand"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/cespare/xxhash/v2"

	"postroad/internal/core/account"
	"postroad/internal/core/directory"
	"postroad/internal/core/mail"
	"postroad/internal/core/primary"
	"postroad/internal/core/routing"
	"postroad/internal/proto/dkim"
	"postroad/internal/proto/message"
	"postroad/internal/proto/smtp"
	"postroad/internal/service/control/plan"
	"postroad/internal/service/control/rights"
	"postroad/internal/service/control/words"
)

// Limits of probes, so that nobody is bothered by them.
const (
	again     = 10 * time.Minute // between two probes of one address, and the time that mostOfTime counts in
	mostAtOne = 100              // addresses of an account that are probed in that time
)

// How long is waited for a probe to come back.
const (
	DefaultWithin = 15 * time.Minute
	leastWithin   = time.Second
	mostWithin    = 24 * time.Hour
)

// Plan plans that probes are sent to addresses of a domain's primary; to all of them when none is named. An address is named
// as it is here or there. within is how long is waited; 0 for the default.
func (a *Access) Plan(ctx context.Context, actor rights.Actor, st *rights.State, name string, addresses []string, within time.Duration) (plan.Plan, error) {
	p := plan.New(st.Directory.Version(), actor)
	d, err := actor.Domain(st, name)
	if err != nil {
		return plan.Plan{}, err
	}
	if within == 0 {
		within = DefaultWithin
	}
	if within < leastWithin || within > mostWithin {
		return plan.Plan{}, words.Invalid("A probe is waited for between a second and a day.", "say --within 15m, or leave it out")
	}
	if err := a.may(ctx, actor, st, d); err != nil {
		return plan.Plan{}, err
	}
	list, err := choose(a.list(st, d), d, addresses)
	if err != nil {
		return plan.Plan{}, err
	}
	known, err := a.known(ctx, st, d)
	if err != nil {
		return plan.Plan{}, err
	}
	now := time.Now().UTC()
	ready := slices.DeleteFunc(slices.Clone(list), func(f primary.Forward) bool {
		was := known[f.Address]
		return was.State != primary.StateNone || now.Before(was.Sent.Add(again))
	})
	if len(ready) == 0 {
		return plan.Plan{}, words.Invalid("Each of these addresses was probed in the last ten minutes, or a probe to it is under way.", "postroad primary show "+d.Name+" tells what came of it")
	}
	n, err := a.Store.CountForwardProbes(ctx, account.Of(d.Account), d.Account, now.Add(-again))
	if err != nil {
		return plan.Plan{}, err
	}
	if n >= mostAtOne {
		return plan.Plan{}, tooMany()
	}
	slices.SortStableFunc(ready, func(x, y primary.Forward) int {
		return cmp.Or(known[x.Address].Sent.Compare(known[y.Address].Sent), cmp.Compare(x.Address, y.Address))
	})
	ready = ready[:min(len(ready), mostAtOne-n)]
	for _, f := range ready {
		one := known[f.Address]
		if one.Forward != f {
			one = primary.Probe{Forward: f}
		}
		one.Account, one.Domain, one.Within = d.Account, d.Name, within
		p.Probes = append(p.Probes, one)
	}
	p.Say("Sends a test message to %s at %s; each is to come back here within %s, and is not put into a mailbox then.",
		words.Plural(int64(len(ready)), "address", "addresses"), words.Show(d.UsersAt()), within)
	if left := len(list) - len(ready); left > 0 {
		p.Say("%s left out for now: probed in the last ten minutes, under way, or over the %d of ten minutes. Say it again later for these.",
			words.Plural(int64(left), "address is", "addresses are"), mostAtOne)
	}
	p.Record(plan.Change{
		Kind: plan.KindPrimary, Verb: plan.VerbProbe, Subject: d.UsersAt(), Domain: d.Name, Account: d.Account,
		After: map[string]any{"addresses": len(ready), "first": ready[0].From},
	})
	return p, nil
}

func tooMany() error {
	return words.Invalid(fmt.Sprintf("Probes were sent to %d addresses in the last ten minutes.", mostAtOne), "wait, and say it again")
}

// may refuses probes that would go to strangers, or stay here.
func (a *Access) may(ctx context.Context, actor rights.Actor, st *rights.State, d *directory.Domain) error {
	at := d.UsersAt()
	own, here := st.Directory.Domain(at)
	switch {
	case a.Outbox == nil || a.Queue == nil:
		return words.Invalid("This server sends no probes.", "")
	case !d.Proved:
		return words.Invalid("The ownership of "+words.Show(d.Name)+" is not shown: no mail comes here.", "postroad domain prove "+d.Name)
	case !actor.Operator && st.Directory.Elses(at, d.Account):
		return words.Denied("The domain " + words.Show(at) + " is another account's here.")
	case at == d.Name && a.RoutingDomain == "":
		return words.Invalid("The domain "+words.Show(d.Name)+" has its users' mail itself, and this server has no routing addresses to forward it to.", "domain set --primary names another domain")
	case at == d.Name:
		if why := a.Elsewhere(ctx, st.Directory, d); why != "" {
			return words.Invalid("The mail of "+words.Show(at)+" comes here anyway: "+why, "domain set --primary names the domain where the users' mail is")
		}
	case here && own.Proved && (own.Effective() == directory.ModeLocal || own.Effective() == directory.ModeSplit):
		return words.Invalid("The mail of "+words.Show(at)+" is delivered here.", "postroad forward add sets up its forwards")
	}
	return nil
}

// choose gives the forwards that are named; all when none is.
func choose(list []primary.Forward, d *directory.Domain, addresses []string) ([]primary.Forward, error) {
	if len(addresses) == 0 {
		if len(list) == 0 {
			return nil, words.Invalid("The domain "+words.Show(d.Name)+" has no mailboxes or other addresses that mail could be forwarded to.", "add a mailbox first")
		}
		return list, nil
	}
	var out []primary.Forward
	for _, text := range addresses {
		at, err := smtp.ParseAddress(text, true)
		if err != nil {
			return nil, words.Invalid(words.Quote(text)+" is no address.", "as in ann@"+d.Name)
		}
		folded := directory.FoldAddress(at)
		i := slices.IndexFunc(list, func(f primary.Forward) bool {
			return f.Address == folded || strings.EqualFold(f.From, at.String())
		})
		if i < 0 {
			return nil, words.Missing("The domain " + words.Show(d.Name) + " has no mailbox, alias or group " + words.Quote(text) + ".")
		}
		if !slices.Contains(out, list[i]) {
			out = append(out, list[i])
		}
	}
	return out, nil
}

// Send sends the probes of a plan. It gives how many were sent.
func (a *Access) Send(ctx context.Context, st *rights.State, list []primary.Probe) (int64, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := time.Now().UTC()
	n, err := a.Store.CountForwardProbes(ctx, account.System(), list[0].Account, now.Add(-again))
	if err != nil {
		return 0, err
	}
	if n+len(list) > mostAtOne {
		return 0, tooMany()
	}
	known, err := a.Store.ForwardProbes(ctx, account.System(), list[0].Domain)
	if err != nil {
		return 0, err
	}
	list = slices.DeleteFunc(slices.Clone(list), func(p primary.Probe) bool { // since the plan was made somebody may have been faster
		return slices.ContainsFunc(known, func(k primary.Probe) bool { return k.Address == p.Address && now.Before(k.Sent.Add(again)) })
	})
	if len(list) == 0 {
		return 0, words.Invalid("Each of these addresses was probed in the last ten minutes.", "")
	}
	tokens := make([]primary.Token, len(list))
	for i := range list {
		var chance [primary.ChanceSize]byte
		_, _ = rand.Read(chance[:]) // it never fails
		p := &list[i]
		tokens[i] = a.Key.Make(p.Account, p.Address, chance, now)
		p.Serial, p.State, p.Queue, p.Sent, p.Left = tokens[i].Serial(), primary.StateSending, a.Outbox.NewID(now), now, time.Time{}
	}
	if err := a.Store.PutForwardProbes(ctx, account.System(), list); err != nil {
		return 0, err
	}
	var sent int64
	for i := range list {
		is := list[i]
		is.State = primary.StateSent
		refusal, err := a.post(ctx, st, &list[i], tokens[i])
		if err != nil {
			return sent, err
		}
		if refusal != "" {
			is = is.Judge(primary.Refused, now, "", refusal)
		} else {
			sent++
			a.Metrics.ForwardProbes.WithLabelValues("sent").Inc()
		}
		if _, err := a.Store.SetForwardProbe(ctx, account.System(), list[i], is); err != nil { // false: it is back already
			return sent, err
		}
	}
	a.find(ctx, st, list[0].Domain)
	return sent, nil
}

// post hands a probe to the queue. refusal says why it has no way to go.
func (a *Access) post(ctx context.Context, st *rights.State, p *primary.Probe, token primary.Token) (refusal string, err error) {
	to, err := smtp.ParseAddress(p.From, true)
	if err != nil {
		return "The address " + p.From + " cannot be written to: " + err.Error() + ".", nil
	}
	sender := primary.Sender(token, a.Hostname)
	from, err := smtp.ParseSender(sender, false)
	if err != nil {
		return "", err
	}
	rows, refusal := a.way(st, p, to, from)
	if refusal != "" {
		return refusal, nil
	}
	content := message.Received{By: a.Hostname, ID: string(p.Queue), Time: p.Sent}.AppendTo(nil)
	letter := a.letter(p, token)
	if content, err = letter.AppendTo(content); err != nil {
		return "", err
	}
	head := a.sign(ctx, content)
	for i := range rows {
		// The message itself has the null reverse-path, so that this server reports nothing to itself; others report to the row's.
		rows[i].Sender, rows[i].Rewritten, rows[i].Head, rows[i].Account = sender, true, head, p.Account
	}
	return "", a.Outbox.Accept(ctx, account.System(), mail.Stored{
		Message: &mail.Message{
			ID: p.Queue, Root: p.Queue, Account: p.Account, UTF8: to.NeedsUTF8(), Size: int64(len(content)), Hash: xxhash.Sum64(content), Received: p.Sent,
		},
		Rows: rows, Content: mail.Content{Inline: content},
	})
}

// letter is the message of a probe.
func (a *Access) letter(p *primary.Probe, token primary.Token) primary.Letter {
	return primary.Letter{Hostname: a.Hostname, From: p.From, To: p.To, Token: token, Date: p.Sent}
}

// way gives the row by which a probe leaves. Of a domain that is its own primary it goes to the real server past the
// mailboxes that are here, as the copies of dual delivery do: no later decision leads it into them.
func (a *Access) way(st *rights.State, p *primary.Probe, to, from smtp.Address) (rows []mail.Recipient, refusal string) {
	if d, here := st.Directory.Domain(to.Domain); here && to.Domain == p.Domain {
		return []mail.Recipient{{Original: p.From, Destination: p.From, Lane: routing.Onward(d), Copy: true}}, ""
	}
	d := routing.Decide(a.View(st.Directory), routing.Session{Kind: routing.Local, Sender: from, UTF8: to.NeedsUTF8()}, to)
	if !d.Accepted() {
		return nil, "It cannot be sent: " + d.Reply.String()
	}
	rows = d.Rows(p.From, 0, "")
	if slices.ContainsFunc(rows, func(r mail.Recipient) bool { return r.Lane.Transport() == mail.TransportLocal }) || len(rows) != 1 {
		return nil, "Mail for " + p.From + " is delivered here: postroad forward add sets up its forward."
	}
	return rows, ""
}

// sign gives the signature of a message that is made here, by the domain of this host's name.
func (a *Access) sign(ctx context.Context, content []byte) []byte {
	if a.Signer == nil {
		return nil
	}
	header, body, _ := message.SplitHeader(content)
	return a.Signer.Sign(ctx, a.Hostname, header, func() *dkim.Body {
		b := dkim.NewBody(dkim.Relaxed)
		_, _ = b.Write(body)
		return b
	})
}
