package api

import (
	"context"
	"net/http"

	"postroad/internal/core/sending"
	"postroad/internal/service/control"
)

// pauseBody is why somebody is paused.
type pauseBody struct {
	Reason string `json:"reason,omitempty" maxLength:"200" doc:"One line, for those who look at it"`
}

// SenderPath is a sender in a path.
type SenderPath struct {
	Kind    string `path:"kind" enum:"login,domain,account"`
	Name    string `path:"name" doc:"Address of a login, name of a domain, id or name of an account"`
	Account string `query:"account" doc:"Id or name of the account whose login or domain it was, where it is not here any more and more than one account had it"`
}

func (p *SenderPath) sender() control.Sender {
	return control.Sender{Kind: sending.Kind(p.Kind), Name: p.Name, Account: p.Account}
}

type sendingSet struct {
	How
	SenderPath
	Body struct {
		Hour *int64 `json:"hour,omitempty" minimum:"-1" doc:"Recipients in an hour; 0 without limit, -1 for what holds when nothing is chosen; absent: as it is"`
		Day  *int64 `json:"day,omitempty" minimum:"-1" doc:"Recipients in a day of UTC, in the same way"`
	}
}

type sendingPause struct {
	How
	SenderPath
	Body pauseBody
}

type sendingResume struct {
	How
	SenderPath
}

func (a *api) registerSending() {
	listing(a, "sending-list", "/sending", "List how many recipients users have had today, and how many they may have", func(ctx context.Context, actor control.Actor, in *DomainFilter) ([]control.SendingInfo, error) {
		return a.control.Sending(ctx, actor, in.Domain)
	})
	changing(a, "sending-set", http.MethodPatch, "/sending/{kind}/{name}", "Change how many recipients a login, a domain or an account may have", func(_ context.Context, actor control.Actor, in *sendingSet) (control.Plan, error) {
		return a.control.PlanSendingSet(actor, in.sender(), control.SendingLimits(in.Body))
	})
	changing(a, "sending-pause", http.MethodPost, "/sending/{kind}/{name}/pause", "Have a login, all of a domain or all of an account send nothing for now, and hold what is queued of them", func(_ context.Context, actor control.Actor, in *sendingPause) (control.Plan, error) {
		return a.control.PlanSendingPause(actor, in.sender(), in.Body.Reason)
	})
	changing(a, "sending-resume", http.MethodPost, "/sending/{kind}/{name}/resume", "Let them send again, and what was held of them go", func(_ context.Context, actor control.Actor, in *sendingResume) (control.Plan, error) {
		return a.control.PlanSendingResume(actor, in.sender())
	})
}
