package control

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"time"

	"postroad/internal/core/account"
	"postroad/internal/core/mail"
	"postroad/internal/obs"
	"postroad/internal/service/control/domains"
	"postroad/internal/service/control/exchangers"
	"postroad/internal/service/control/plan"
	"postroad/internal/service/control/sendings"
	"postroad/internal/service/control/transfers"
	"postroad/internal/service/control/words"
)

// maxAltered bounds the altered routes that a plan lists.
const maxAltered = 100

// weighed gives the plan with the routes that it alters. It asks then, but where it only adds something and where all of
// them were foreign before; it warns when mail that is received now would be refused.
func (s *Service) weighed(actor Actor, st *state, p Plan) (Plan, error) {
	exchangers.Settle(st, &p)
	altered := s.explainer.Altered(actor, st, p.Delta, maxAltered)
	if altered.Count == 0 {
		return p, nil
	}
	p.AlteredRoutes = &altered
	if altered.Ours > 0 && slices.ContainsFunc(p.Changes, func(c Change) bool { return c.Verb != VerbAdd }) {
		p.Asks = true
	}
	if altered.Stops > 0 {
		p.Warn("Mail that is received now would be refused, for %s: first of all %s.", words.Plural(int64(altered.Stops), "address", "addresses"), altered.Worst())
	}
	return p, nil
}

// weighedIf is weighed for a plan that could be made.
func (s *Service) weighedIf(actor Actor, st *state, p Plan, err error) (Plan, error) {
	if err != nil {
		return Plan{}, err
	}
	return s.weighed(actor, st, p)
}

// weighedPlan weighs the plan that a subject has made of the state, and holds what it moves in DNS against the zones above.
func (s *Service) weighedPlan(ctx context.Context, actor Actor, plan func(st *state) (Plan, error)) (Plan, error) {
	st := s.current.Load()
	p, err := plan(st)
	if err == nil {
		err = s.signing.Moves(ctx, actor, st, &p)
	}
	return s.weighedIf(actor, st, p, err)
}

// Applied is what came of a plan.
type Applied struct {
	Version int64  `json:"version" doc:"Version of the configuration after the change"`
	Secret  string `json:"secret,omitempty" doc:"The secret of a new token. It is shown this once."`
	Rows    int64  `json:"rows,omitempty" doc:"Rows of the queue that were changed"`

	Zones []ZoneServed `json:"zones,omitempty" doc:"Zones that our name servers answer for as the change has left them"`
}

// plan begins a plan for the current state.
func (s *Service) plan(actor Actor) (*state, Plan) {
	st := s.current.Load()
	return st, plan.New(st.Directory.Version(), actor)
}

// Apply makes a plan true: one durable transaction with its audit entries, then mailboxes, then the directory.
// ErrVersion when the configuration is no longer that of the plan. Once begun it is not interrupted by ctx.
func (s *Service) Apply(ctx context.Context, actor Actor, plan Plan) (Applied, error) {
	if plan.Actor != actor.Name {
		return Applied{}, words.Denied("The plan was made by somebody else.")
	}
	if plan.Empty() {
		return Applied{Version: s.Version()}, nil
	}
	if plan.Queue != nil {
		return s.applyQueue(ctx, actor, plan)
	}
	if plan.Publish != nil {
		return s.applyPublish(ctx, actor, plan)
	}
	if len(plan.Probes) > 0 {
		return s.applyProbes(ctx, actor, plan)
	}
	if plan.Version != s.Version() {
		return Applied{}, ErrVersion
	}
	tx, publish, err := s.complete(ctx, plan)
	if err != nil {
		return Applied{}, err
	}
	if err := ctx.Err(); err != nil {
		return Applied{}, err
	}
	ctx = context.WithoutCancel(ctx)
	applied, moved, err := s.apply(ctx, actor, plan, tx, publish)
	if err == nil {
		s.rerouting.Do(ctx, moved)
		err = s.post(ctx, plan.Letters)
	}
	return applied, err
}

// tries is how often a change is planned while others change the configuration.
const tries = 50

// Make plans a change and makes it true. When somebody was faster the change is planned anew; from the second time on
// one after the other, so that everybody's turn comes. An error of plan ends it.
func (s *Service) Make(ctx context.Context, actor Actor, plan func() (Plan, error)) (Applied, error) {
	for try := 1; ; try++ {
		if try == 2 {
			s.turn.Lock()
			defer s.turn.Unlock()
		}
		p, err := plan()
		if err != nil {
			return Applied{}, err
		}
		applied, err := s.Apply(ctx, actor, p)
		if !errors.Is(err, ErrVersion) || try == tries {
			return applied, err
		}
	}
}

// apply makes a plan true, all but the mail that is queued: that of the domains that come back is to be decided anew.
func (s *Service) apply(ctx context.Context, actor Actor, plan Plan, tx Tx, publish func()) (Applied, []mail.Rerouted, error) {
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
	if err := s.boxes.IntendRemoval(ctx, plan.Unboxed); err != nil {
		return Applied{}, nil, err
	}
	moved := s.rerouting.Of(s.Directory(), &plan)
	if err := s.rerouting.Intend(ctx, moved); err != nil {
		return Applied{}, nil, err
	}
	version, err := s.o.Store.Update(ctx, actor.Scope, plan.Version, tx)
	if err != nil {
		// Whether a failed commit took place is not known; what the store says now is true.
		return Applied{}, nil, errors.Join(err, s.afresh(ctx, &plan, tx, errors.Is(err, ErrVersion)))
	}
	publish()
	served := s.zones.Served(s.current.Load(), &plan, tx.PutZones)
	s.boxes.Make(ctx, plan.Tx.PutMailboxes)
	before := s.current.Load()
	s.swap(after(before, plan, version))
	s.followKeys(&plan)
	transfers.Follow(ctx, s.o.Exchange, before, &plan, s.o.Log)
	s.boxes.Remove(ctx, plan.Unboxed)
	s.tell(ctx, actor, plan, version)
	return Applied{Version: version, Secret: plan.Secret, Zones: served}, moved, nil
}

// tell counts and logs what was changed.
func (s *Service) tell(ctx context.Context, actor Actor, plan Plan, version int64) {
	for _, c := range plan.Changes {
		s.o.Metrics.ControlChanges.WithLabelValues(c.Action()).Inc()
		s.o.Log.InfoContext(ctx, "changed", slog.String(obs.KeyActor, actor.Name), slog.String(obs.KeyAction, c.Action()),
			slog.String(obs.KeySubject, c.Subject), slog.Int64(obs.KeyVersion, version))
	}
	for _, c := range plan.Spread {
		s.o.Metrics.ControlChanges.WithLabelValues(c.Action()).Inc()
	}
}

// complete adds to the plan's transaction what is made at the last moment: verifiers, serials of zones and audit entries.
// publish puts the zones' answers in force, once all is durable.
func (s *Service) complete(ctx context.Context, plan Plan) (tx Tx, publish func(), err error) {
	tx, st := plan.Tx, s.current.Load()
	tx.PutOutbounds = s.sealed(plan.Tx.PutOutbounds)
	if tx.PutVerifiers, err = words.Verifiers(plan.Passwords, s.o.Verifier); err != nil {
		return Tx{}, nil, err
	}
	if tx.PutZones, err = s.zones.Complete(ctx, st, &plan); err != nil {
		return Tx{}, nil, err
	}
	if publish, err = s.zones.Prepare(ctx, st, &plan, tx.PutZones); err != nil {
		return Tx{}, nil, err
	}
	stranded, freed := domains.Stranding(&plan, st)
	paused, resumed := sendings.Pausing(&plan, st, now().Truncate(time.Second))
	tx.PutFindings, tx.DropFindings = slices.Concat(plan.Tx.PutFindings, stranded, paused), slices.Concat(plan.Tx.DropFindings, freed, resumed, s.zones.Mended(tx.PutZones))
	tx.Entries, err = plan.Entries(now())
	return tx, publish, err
}

// after is the state that the plan leads to.
func after(st *state, plan Plan, version int64) *state {
	delta := plan.Delta
	delta.Version = version
	next := &state{Directory: st.Directory.With(delta), Accounts: st.Accounts, Sets: st.Sets.With(plan.Tx.PutSets, plan.Tx.PutServers, removed[string](plan.Tx.Remove, KindSet, KindServers)...)}
	gone := removed[account.ID](plan.Tx.Remove, KindAccount)
	if len(plan.Tx.PutAccounts) > 0 || len(gone) > 0 {
		next.Accounts = maps.Clone(st.Accounts)
		for _, a := range plan.Tx.PutAccounts {
			next.Accounts[a.ID] = a
		}
		for _, id := range gone {
			delete(next.Accounts, id)
		}
	}
	return next
}

// removed gives the ids that are removed of some kinds.
func removed[ID ~string](removals []Removal, kinds ...Kind) []ID {
	var out []ID
	for _, r := range removals {
		if slices.Contains(kinds, r.Kind) {
			out = append(out, ID(r.ID))
		}
	}
	return out
}
