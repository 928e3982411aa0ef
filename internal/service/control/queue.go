package control

import (
	"context"
	"log/slog"
	"slices"

	"postroad/internal/core/mail"
	"postroad/internal/obs"
	"postroad/internal/service/control/mailqueue"
	"postroad/internal/service/control/plan"
)

// Queued mail in the words of package mailqueue.
type (
	// Queue is what this service needs of the queue.
	Queue = mailqueue.Queue
	// QueueFilter selects queued mail in the words of commands; empty fields select all.
	QueueFilter = mailqueue.Filter
	// QueuedMessage is a queued message as listings show it.
	QueuedMessage = mailqueue.QueuedMessage
	// QueueWaiting is what is held for a domain's own server.
	QueueWaiting = mailqueue.Waiting
	// QueueCounts are totals over the queue.
	QueueCounts = mailqueue.QueueCounts
)

// QueueList gives messages by id from behind after on, at most limit.
func (s *Service) QueueList(ctx context.Context, actor Actor, f QueueFilter, after string, limit int) ([]QueuedMessage, error) {
	return s.queue.List(ctx, actor, f, after, limit)
}

// QueueShow gives one message.
func (s *Service) QueueShow(ctx context.Context, actor Actor, id string) (QueuedMessage, error) {
	return s.queue.Show(ctx, actor, id)
}

// QueueContent opens one message's content.
func (s *Service) QueueContent(ctx context.Context, actor Actor, id string) (mail.Content, error) {
	return s.queue.Content(ctx, actor, id)
}

// QueueCount gives totals over what the filter selects.
func (s *Service) QueueCount(ctx context.Context, actor Actor, f QueueFilter) (QueueCounts, error) {
	return s.queue.Count(ctx, actor, s.current.Load(), f)
}

// QueueVerbs are the verbs of PlanQueue.
func QueueVerbs() []Verb { return slices.Clone([]Verb{VerbRetry, VerbHold, VerbRelease, VerbDrop}) }

// PlanQueue plans what is done to queued mail: VerbRetry, VerbHold, VerbRelease or VerbDrop. Without a filter only
// VerbRetry means everything.
func (s *Service) PlanQueue(ctx context.Context, actor Actor, verb Verb, f QueueFilter) (Plan, error) {
	_, p := s.plan(actor)
	c, err := s.queue.Prepare(ctx, actor, string(verb), f)
	if err != nil {
		return Plan{}, err
	}
	if c.Action == mail.Drop && c.Counts.Recipients > 0 {
		p.Warn("%s", c.Sentence)
	} else {
		p.Say("%s", c.Sentence)
	}
	if c.Counts.Recipients == 0 {
		return p, nil
	}
	p.Queue = &plan.QueueAction{Filter: c.Filter, Action: c.Action}
	p.Record(Change{
		Kind: KindQueue, Verb: verb, Subject: c.Subject, Domain: s.auditDomain(actor, c.Filter.Domain), Account: actor.Home(), Before: c.Counts,
	})
	return p, nil
}

// auditDomain is the domain under which a change of the queue is found in the audit log: one in scope, or none.
func (s *Service) auditDomain(actor Actor, name string) string {
	if d, ok := s.Directory().Domain(name); ok && actor.Scope.Has(d.Account) {
		return name
	}
	return ""
}

// recordTries is how often an audit entry of the queue is tried while others change the configuration.
const recordTries = 10

// applyQueue changes queued mail and records it.
func (s *Service) applyQueue(ctx context.Context, actor Actor, plan Plan) (Applied, error) {
	rows, err := s.o.Queue.Change(ctx, actor.Scope, plan.Queue.Filter, plan.Queue.Action, actor.Name)
	if err != nil {
		return Applied{}, err
	}
	ctx = context.WithoutCancel(ctx)
	if plan.Queue.Action == mail.Release || plan.Queue.Action == mail.Drop {
		if err := s.queue.NoneHeld(ctx, s.o.Store); err != nil {
			s.o.Log.ErrorContext(ctx, "findings of held mail not looked through", slog.Any(obs.KeyError, err))
		}
	}
	version, err := s.record(ctx, actor, plan)
	if err != nil {
		return Applied{}, err
	}
	return Applied{Version: version, Rows: rows}, nil
}
