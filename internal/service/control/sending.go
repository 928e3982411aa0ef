package control

import (
	"context"
	"errors"
	"time"

	"postroad/internal/core/account"
	"postroad/internal/core/sending"
	"postroad/internal/service/control/sendings"
)

// Senders in the words of package sendings.
type (
	// SendingInfo is what a sender has sent, as listings show it.
	SendingInfo = sendings.SendingInfo
	// Sender is a sender as people name it.
	Sender = sendings.Named
	// SendingLimits are limits as people choose them.
	SendingLimits = sendings.Limits
)

// The limits that are no number of recipients.
const (
	SendingUnlimited = sendings.Unlimited
	SendingUnchosen  = sendings.Unchosen // what holds when nothing is chosen
)

// Sending lists what senders in scope have sent today and of whom something was decided, of one domain and its logins or of
// all (empty).
func (s *Service) Sending(ctx context.Context, actor Actor, domain string) ([]SendingInfo, error) {
	return sendings.List(ctx, s.o.Sending, actor, s.current.Load(), domain)
}

// PlanSendingSet plans other limits of a sender.
func (s *Service) PlanSendingSet(actor Actor, who Sender, set SendingLimits) (Plan, error) {
	return sendings.PlanSet(s.o.Sending, actor, s.current.Load(), who, set)
}

// PlanSendingPause plans that a sender may send nothing for now.
func (s *Service) PlanSendingPause(actor Actor, who Sender, reason string) (Plan, error) {
	by := sending.ByOwner
	if actor.Operator {
		by = sending.ByOperator
	}
	return sendings.PlanPause(actor, s.current.Load(), who, sending.Pause{Since: now().Truncate(time.Second), By: by, Reason: reason})
}

// PlanSendingResume plans that a sender may send again.
func (s *Service) PlanSendingResume(actor Actor, who Sender) (Plan, error) {
	return sendings.PlanResume(actor, s.current.Load(), who)
}

// SendingRule is what was decided of a sender.
func (s *Service) SendingRule(k sending.Key) sending.Rule { return s.Directory().SendingRule(k) }

// PauseLogin pauses a login of an account for what it tried to send. It is a change like any other, made by "sending"; of a
// mailbox that is gone there is nothing to pause.
func (s *Service) PauseLogin(ctx context.Context, owner account.ID, login, reason string) error {
	actor := Actor{Name: "sending", Scope: account.Of(owner)}
	pause := sending.Pause{Since: now().Truncate(time.Second), By: sending.ByLimit, Reason: reason}
	_, err := s.Make(ctx, actor, func() (Plan, error) {
		return sendings.PlanPause(actor, s.current.Load(), Sender{Kind: sending.Login, Name: login}, pause)
	})
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	return err
}
