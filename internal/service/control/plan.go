package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"runtime"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"postroad/internal/core/account"
	"postroad/internal/core/directory"
	"postroad/internal/core/finding"
	"postroad/internal/core/mail"
	"postroad/internal/obs"
	"postroad/internal/service/control/mailqueue"
	"postroad/internal/service/control/words"
)

// Verb is what happens to a thing.
type Verb string

// The verbs.
const (
	VerbAdd    Verb = "add"
	VerbSet    Verb = "set"
	VerbRemove Verb = "remove"

	VerbRetry   Verb = "retry"   // queue: due now
	VerbHold    Verb = "hold"    // queue: kept until released
	VerbRelease Verb = "release" // queue: held rows back to waiting
	VerbDrop    Verb = "drop"    // queue: removed without a report
)

// Change is one typed change of a plan. Before and After are what listings show of the thing; no secret is in them.
type Change struct {
	Kind    Kind       `json:"kind" doc:"Kind of the thing, in command words"`
	Verb    Verb       `json:"verb" enum:"add,set,remove,retry,hold,release,drop"`
	Subject string     `json:"subject" doc:"Name or address of the thing"`
	Domain  string     `json:"domain,omitempty" doc:"Domain that the change concerns"`
	Account account.ID `json:"account" doc:"Account that the thing belongs to"`
	Before  any        `json:"before,omitempty" doc:"The thing before; absent when it is made"`
	After   any        `json:"after,omitempty" doc:"The thing after; absent when it is removed"`
}

// Action is the change in command words: "domain add".
func (c Change) Action() string { return string(c.Kind) + " " + string(c.Verb) }

// Plan is a proposed change: shown, then applied. Its exported fields are for people; what Apply does lies in the
// others.
type Plan struct {
	Version   int64      `json:"version" doc:"Version of the configuration that the plan was made for"`
	Changes   []Change   `json:"changes"`
	Sentences []string   `json:"sentences" doc:"What happens, in plain words"`
	Warnings  []string   `json:"warnings,omitempty" doc:"What could stop mail or lose something"`
	Overrides []Override `json:"overrides,omitempty" doc:"What stands against the plan and is set aside by a yes"`
	Asks      bool       `json:"asks" doc:"The plan removes, replaces, alters routes or warns: it wants a yes"`

	AlteredRoutes *AlteredRoutes `json:"altered_routes,omitempty" doc:"Every address whose route is altered, as far as the caller may know; absent when none is"`

	actor     string
	tx        Tx
	delta     directory.Delta
	passwords map[string]*Secret // by mailbox id
	unboxed   []string           // ids of mailboxes to remove with their messages
	secret    string             // of a new token
	queue     *mailqueue.Change  // what is done to the queue; then nothing is configured
}

// Empty reports whether the plan changes nothing.
func (p *Plan) Empty() bool { return len(p.Changes) == 0 }

// Override is a finding that stands against a plan. The operator may set it aside; it is recorded and stays until it is
// mended.
type Override struct {
	Finding  finding.Name `json:"finding"`
	Domain   string       `json:"domain"`
	Evidence string       `json:"evidence"`
}

// against sets a finding against the plan: for the operator to override, for all others to be refused.
func (p *Plan) against(actor Actor, f finding.Finding, sentence, hint string) error {
	if !actor.Operator {
		return &RefusedError{Err: ErrInvalid, Finding: f.Name, Sentence: sentence, Hint: hint + ", or ask the operator"}
	}
	p.Overrides = append(p.Overrides, Override{Finding: f.Name, Domain: f.Domain, Evidence: f.Evidence})
	p.tx.PutFindings = append(p.tx.PutFindings, f)
	p.warn("%s: %s (%s; --yes overrides it).", f.Name, strings.TrimSuffix(sentence, "."), hint)
	return nil
}

// say adds a sentence.
func (p *Plan) say(format string, args ...any) {
	p.Sentences = append(p.Sentences, fmt.Sprintf(format, args...))
}

// warn adds a warning; a plan that warns asks.
func (p *Plan) warn(format string, args ...any) {
	p.Warnings = append(p.Warnings, fmt.Sprintf(format, args...))
	p.Asks = true
}

func (p *Plan) change(c Change) {
	p.Changes = append(p.Changes, c)
	if c.Verb == VerbRemove {
		p.Asks = true
	}
}

// maxAltered bounds the altered routes that a plan lists.
const maxAltered = 100

// weighed gives the plan with the routes that it alters. It asks then, but where it only adds something and where all of
// them were foreign before; it warns when mail that is received now would be refused.
func (s *Service) weighed(actor Actor, st *state, p Plan) (Plan, error) {
	altered := s.explainer.Altered(actor, st, p.delta, maxAltered)
	if altered.Count == 0 {
		return p, nil
	}
	p.AlteredRoutes = &altered
	if altered.Ours > 0 && slices.ContainsFunc(p.Changes, func(c Change) bool { return c.Verb != VerbAdd }) {
		p.Asks = true
	}
	if altered.Stops > 0 {
		p.warn("Mail that is received now would be refused, for %s: first of all %s.", words.Plural(int64(altered.Stops), "address", "addresses"), altered.Worst())
	}
	return p, nil
}

// Applied is what came of a plan.
type Applied struct {
	Version int64  `json:"version" doc:"Version of the configuration after the change"`
	Secret  string `json:"secret,omitempty" doc:"The secret of a new token. It is shown this once."`
	Rows    int64  `json:"rows,omitempty" doc:"Rows of the queue that were changed"`
}

// plan begins a plan for the current state.
func (s *Service) plan(actor Actor) (*state, Plan) {
	st := s.current.Load()
	return st, Plan{Version: st.Directory.Version(), Changes: []Change{}, Sentences: []string{}, actor: actor.Name}
}

// Apply makes a plan true: one durable transaction with its audit entries, then mailboxes, then the directory.
// ErrVersion when the configuration is no longer that of the plan. Once begun it is not interrupted by ctx.
func (s *Service) Apply(ctx context.Context, actor Actor, plan Plan) (Applied, error) {
	if plan.actor != actor.Name {
		return Applied{}, words.Denied("The plan was made by somebody else.")
	}
	if plan.Empty() {
		return Applied{Version: s.Version()}, nil
	}
	if plan.queue != nil {
		return s.applyQueue(ctx, actor, plan)
	}
	if plan.Version != s.Version() {
		return Applied{}, ErrVersion
	}
	tx, err := s.complete(actor, plan)
	if err != nil {
		return Applied{}, err
	}
	if err := ctx.Err(); err != nil {
		return Applied{}, err
	}
	ctx = context.WithoutCancel(ctx)
	applied, moved, err := s.apply(ctx, actor, plan, tx)
	if err == nil {
		s.reroute(ctx, moved)
	}
	return applied, err
}

// apply makes a plan true, all but the mail that is queued: that of the domains that come back is to be decided anew.
func (s *Service) apply(ctx context.Context, actor Actor, plan Plan, tx Tx) (Applied, []mail.Rerouted, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.boxes.Due() {
		if err := s.boxes.Mend(ctx, s.Directory()); err != nil {
			return Applied{}, nil, err
		}
	}
	if plan.Version != s.Version() {
		return Applied{}, nil, ErrVersion
	}
	if err := s.boxes.IntendRemoval(ctx, plan.unboxed); err != nil {
		return Applied{}, nil, err
	}
	moved := s.rerouted(s.Directory(), &plan)
	if err := s.intendReroute(ctx, moved); err != nil {
		return Applied{}, nil, err
	}
	version, err := s.o.Store.Update(ctx, actor.Scope, plan.Version, tx)
	if err != nil {
		// Whether a failed commit took place is not known; what the store says now is true.
		return Applied{}, nil, errors.Join(err, s.reload(ctx))
	}
	s.boxes.Make(ctx, plan.tx.PutMailboxes)
	s.swap(after(s.current.Load(), plan, version))
	s.boxes.Remove(ctx, plan.unboxed)
	s.tell(ctx, actor, plan, version)
	return Applied{Version: version, Secret: plan.secret}, moved, nil
}

// tell counts and logs what was changed.
func (s *Service) tell(ctx context.Context, actor Actor, plan Plan, version int64) {
	for _, c := range plan.Changes {
		s.o.Metrics.ControlChanges.WithLabelValues(c.Action()).Inc()
		s.o.Log.InfoContext(ctx, "changed", slog.String(obs.KeyActor, actor.Name), slog.String(obs.KeyAction, c.Action()),
			slog.String(obs.KeySubject, c.Subject), slog.Int64(obs.KeyVersion, version))
	}
}

// complete adds to the plan's transaction what is made at the last moment: verifiers and audit entries.
func (s *Service) complete(actor Actor, plan Plan) (Tx, error) {
	tx := plan.tx
	var err error
	if tx.PutVerifiers, err = s.verifiers(plan.passwords); err != nil {
		return Tx{}, err
	}
	stranded, freed := plan.stranding(s.current.Load())
	tx.PutFindings, tx.DropFindings = slices.Concat(plan.tx.PutFindings, stranded), slices.Concat(plan.tx.DropFindings, freed)
	at := now()
	tx.Entries = make([]Entry, 0, len(plan.Changes))
	overridden, err := entryJSON(nothing(plan.Warnings))
	if err != nil {
		return Tx{}, err
	}
	for _, c := range plan.Changes {
		before, err := entryJSON(c.Before)
		if err != nil {
			return Tx{}, err
		}
		after, err := entryJSON(c.After)
		if err != nil {
			return Tx{}, err
		}
		tx.Entries = append(tx.Entries, Entry{
			At: at, Actor: actor.Name, Account: c.Account, Domain: c.Domain, Action: c.Action(), Subject: c.Subject, Before: before, After: after,
			Overridden: overridden,
		})
	}
	return tx, nil
}

// nothing makes an empty list no value at all.
func nothing(list []string) any {
	if len(list) == 0 {
		return nil
	}
	return list
}

func entryJSON(v any) (string, error) {
	if v == nil {
		return "", nil
	}
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return "", fmt.Errorf("audit entry: %w", err)
	}
	return strings.TrimSuffix(b.String(), "\n"), nil
}

// verifiers hashes passwords on all processors.
func (s *Service) verifiers(passwords map[string]*Secret) (map[string]string, error) {
	if len(passwords) == 0 {
		return nil, nil
	}
	out := make(map[string]string, len(passwords))
	var mu sync.Mutex
	var g errgroup.Group
	g.SetLimit(runtime.GOMAXPROCS(0))
	for id, p := range passwords {
		g.Go(func() error {
			v, err := p.Verifier(s.o.Verifier)
			if err != nil {
				return words.Invalid("The password cannot be used: "+err.Error()+".", "")
			}
			mu.Lock()
			defer mu.Unlock()
			out[id] = v
			return nil
		})
	}
	return out, g.Wait()
}

// after is the state that the plan leads to.
func after(st *state, plan Plan, version int64) *state {
	delta := plan.delta
	delta.Version = version
	next := &state{Directory: st.Directory.With(delta), Accounts: st.Accounts}
	gone := accountsRemoved(plan.tx.Remove)
	if len(plan.tx.PutAccounts) > 0 || len(gone) > 0 {
		next.Accounts = maps.Clone(st.Accounts)
		for _, a := range plan.tx.PutAccounts {
			next.Accounts[a.ID] = a
		}
		for _, id := range gone {
			delete(next.Accounts, id)
		}
	}
	return next
}

func accountsRemoved(removals []Removal) []account.ID {
	var out []account.ID
	for _, r := range removals {
		if r.Kind == KindAccount {
			out = append(out, account.ID(r.ID))
		}
	}
	return out
}
