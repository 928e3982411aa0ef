package api

import (
	"context"
	"net/http"

	"postroad/internal/service/control"
)

type recipientsImport struct {
	How
	DomainPath
	Body struct {
		Addresses []string `json:"addresses" minItems:"1" maxItems:"50000" nullable:"false" doc:"All recipients; @domain stands for every address"`
	}
}

type recipientsRemove struct {
	How
	DomainPath
}

func (a *api) registerRecipients() {
	a.registerSync()
	showing(a, "recipients-list", "/domains/{domain}/recipients", "Show a domain's list of recipients", func(ctx context.Context, actor control.Actor, in *DomainPath) (control.RecipientListDetail, error) {
		return a.control.Recipients(ctx, actor, in.Domain)
	})
	changing(a, "recipients-import", http.MethodPut, "/domains/{domain}/recipients", "Replace a domain's list of recipients", func(ctx context.Context, actor control.Actor, in *recipientsImport) (control.Plan, error) {
		return a.control.PlanRecipientsImport(ctx, actor, in.Domain, in.Body.Addresses)
	})
	changing(a, "recipients-remove", http.MethodDelete, "/domains/{domain}/recipients", "Remove a domain's list of recipients", func(ctx context.Context, actor control.Actor, in *recipientsRemove) (control.Plan, error) {
		return a.control.PlanRecipientsRemove(ctx, actor, in.Domain)
	})
}
