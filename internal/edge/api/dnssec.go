package api

import (
	"context"
	"net/http"

	"postroad/internal/service/control"
)

type dnssecOn struct {
	How
	DomainPath
	Body control.DNSSECChoice
}

type dnssecAll struct {
	How
	Body control.DNSSECChoice
}

type dnssecOff struct {
	How
	DomainPath
	Withdraw bool `query:"withdraw" doc:"Stay signed, and ask the parent to remove the DS"`
}

type dnssecRoll struct {
	How
	DomainPath
	Body struct {
		Role string `json:"role,omitempty" enum:"ksk,zsk" doc:"Which of two keys; absent for a zone with one key"`
	}
}

func (a *api) registerDNSSEC() {
	const path = "/domains/{domain}/dnssec"
	showing(a, "dnssec-show", path, "Show how a domain's zone is signed, what belongs at the registrar, and what the zone above says", func(ctx context.Context, actor control.Actor, in *DomainPath) (control.DNSSECStatus, error) {
		return a.control.DNSSEC(ctx, actor, in.Domain)
	})
	changing(a, "dnssec-on", http.MethodPut, path, "Sign a domain's zone, or in another way", func(ctx context.Context, actor control.Actor, in *dnssecOn) (control.Plan, error) {
		return a.control.PlanDNSSECOn(ctx, actor, in.Domain, in.Body)
	})
	changing(a, "dnssec-on-all", http.MethodPost, "/dnssec", "Sign the zones of all domains that are not signed", func(ctx context.Context, actor control.Actor, in *dnssecAll) (control.Plan, error) {
		return a.control.PlanDNSSECOn(ctx, actor, "", in.Body)
	})
	changing(a, "dnssec-off", http.MethodDelete, path, "Sign a domain's zone no longer", func(ctx context.Context, actor control.Actor, in *dnssecOff) (control.Plan, error) {
		return a.control.PlanDNSSECOff(ctx, actor, in.Domain, in.Withdraw)
	})
	changing(a, "dnssec-roll", http.MethodPost, path+"/roll", "Replace a key of a zone", func(ctx context.Context, actor control.Actor, in *dnssecRoll) (control.Plan, error) {
		return a.control.PlanDNSSECRoll(ctx, actor, in.Domain, in.Body.Role)
	})
}
