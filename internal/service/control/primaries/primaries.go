// Package primaries is the forwards that the mail systems of domains' users elsewhere have to make, as people see and try
// them: the list for who looks after such a system, and messages that are sent there and come back.
//
// # Failure
//
// What is refused comes as a *words.RefusedError. A probe that comes back is answered only when what it tells is stored: after
// a crash it comes once more, or its time runs out.
package primaries

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"postroad/internal/core/account"
	"postroad/internal/core/directory"
	"postroad/internal/core/primary"
	"postroad/internal/core/routing"
	"postroad/internal/obs"
	"postroad/internal/service/control/rights"
	"postroad/internal/service/control/words"
)

// Options are what probes are sent by.
type Options struct {
	Outbox Outbox      // nil: none are sent
	Signer Signer      // nil: nobody signs them
	Key    primary.Key // makes their tokens
}

// Access is forwards at primaries as actors see and try them.
type Access struct {
	Options

	Store         Store
	Findings      Findings
	Queue         Queue // nil: none are sent
	Hostname      string
	RoutingDomain string
	View          func(*directory.Snapshot) routing.View
	// Elsewhere says why no server but this one takes a domain's mail, as a sentence; "" when one does.
	Elsewhere func(ctx context.Context, snap *directory.Snapshot, d *directory.Domain) string
	Metrics   *obs.Metrics
	Log       *slog.Logger

	mu sync.Mutex // held while probes begin
}

// PrimaryForward is a forward as listings show it.
type PrimaryForward struct {
	Address string     `json:"address" doc:"Mailbox, alias or group here"`
	From    string     `json:"from" doc:"Address at the primary"`
	To      string     `json:"to" doc:"Where the primary is to forward its mail"`
	State   string     `json:"state" enum:"unprobed,sent,intact,rewritten,refused,missing" doc:"sent: a probe is under way"`
	Before  string     `json:"before,omitempty" enum:"intact,rewritten,refused,missing" doc:"While a probe is under way: what the one before has told"`
	Sent    *time.Time `json:"sent,omitempty" doc:"When the last probe was sent"`
	Judged  *time.Time `json:"judged,omitempty" doc:"When the last one that came to its end has told something"`
	After   float64    `json:"after_seconds,omitempty" doc:"After which it came back"`
	Hop     string     `json:"hop,omitempty" doc:"Who brought it back"`
	Detail  string     `json:"detail,omitempty" doc:"What is wrong, with the evidence"`
	Since   *time.Time `json:"since,omitempty" doc:"Since when mail does not come through, or not unchanged"`
}

// PrimaryInfo is a domain's primary with the forwards that it has to make.
type PrimaryInfo struct {
	Domain   string           `json:"domain"`
	Primary  string           `json:"primary" doc:"Domain at which the users have their mail"`
	Chosen   bool             `json:"chosen" doc:"It was chosen; else it follows from the domain's name"`
	Forwards []PrimaryForward `json:"forwards" nullable:"false"`
}

// Show shows a domain's primary and its forwards. Probes whose time is over are judged first.
func (a *Access) Show(ctx context.Context, actor rights.Actor, st *rights.State, name string) (PrimaryInfo, error) {
	d, err := actor.Domain(st, name)
	if err != nil {
		return PrimaryInfo{}, err
	}
	known, err := a.known(ctx, st, d)
	if err != nil {
		return PrimaryInfo{}, err
	}
	out := PrimaryInfo{Domain: d.Name, Primary: d.UsersAt(), Chosen: d.Primary != "", Forwards: []PrimaryForward{}}
	for _, f := range a.list(st, d) {
		out.Forwards = append(out.Forwards, show(f, known[f.Address]))
	}
	return out, nil
}

// list gives the forwards of a domain.
func (a *Access) list(st *rights.State, d *directory.Domain) []primary.Forward {
	if a.RoutingDomain == "" {
		return primary.List(st.Directory, d, nil)
	}
	return primary.List(st.Directory, d, func(box *directory.Mailbox) string { return routing.RoutingAddress(box, a.RoutingDomain) })
}

// known gives what is known of the forwards of a domain by address, after probes whose time is over were judged.
func (a *Access) known(ctx context.Context, st *rights.State, d *directory.Domain) (map[string]primary.Probe, error) {
	list, err := a.Store.ForwardProbes(ctx, account.Of(d.Account), d.Name)
	if err != nil {
		return nil, err
	}
	changed := false
	for i := range list {
		one, err := a.judge(ctx, list[i], time.Now().UTC())
		if err != nil {
			return nil, err
		}
		changed = changed || one
	}
	if changed {
		a.find(ctx, st, d.Name)
		if list, err = a.Store.ForwardProbes(ctx, account.Of(d.Account), d.Name); err != nil {
			return nil, err
		}
	}
	out := make(map[string]primary.Probe, len(list))
	for _, p := range list {
		out[p.Address] = p
	}
	return out, nil
}

// show gives a forward with what is known of it; what was found of another address at the primary says nothing.
func show(f primary.Forward, p primary.Probe) PrimaryForward {
	out := PrimaryForward{Address: f.Address, From: f.From, To: f.To, State: "unprobed"}
	if p.Forward != f {
		return out
	}
	out.Sent, out.Judged, out.Since = some(p.Sent), some(p.Judged), some(p.Since)
	out.After, out.Hop, out.Detail = p.After.Seconds(), p.Hop, p.Detail
	switch {
	case p.State != primary.StateNone:
		out.State, out.Before = "sent", string(p.Verdict)
	case p.Verdict != primary.Unprobed:
		out.State = string(p.Verdict)
	}
	return out
}

func some(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// Export gives the list of forwards in a format, and the format's media type.
func (a *Access) Export(actor rights.Actor, st *rights.State, name string, format primary.Format) (text []byte, mediaType string, err error) {
	d, err := actor.Domain(st, name)
	if err != nil {
		return nil, "", err
	}
	if d.UsersAt() == d.Name && a.RoutingDomain == "" {
		return nil, "", words.Invalid("The domain "+words.Show(d.Name)+" has its users' mail itself, and this server has no routing addresses to forward it to.",
			"name another domain (domain set --primary), or configure routing_domain")
	}
	list := primary.ExportOf(d.Name, d.UsersAt(), a.list(st, d))
	text, err = list.Write(format)
	return text, format.MediaType(), err
}
