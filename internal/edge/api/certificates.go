package api

import (
	"context"
	"net/http"

	"postroad/internal/service/control"
)

// CertificatePath names a certificate by its name.
type CertificatePath struct {
	Name string `path:"name" maxLength:"300" doc:"Name of the host"`
}

type certificateAdd struct {
	How
	Body struct {
		Name   string `json:"name" doc:"Name of the host, in a domain of the caller's"`
		Domain string `json:"domain,omitempty" doc:"The domain in which it lies; found by itself when absent"`
	}
}

type certificateNamed struct {
	How
	CertificatePath
}

func (a *api) registerCertificates() {
	listing(a, "cert-list", "/certificates", "List the names that have a certificate of their own, or are to have one", func(ctx context.Context, actor control.Actor, _ *struct{}) ([]control.CertificateInfo, error) {
		return a.control.Certificates(ctx, actor)
	})
	showing(a, "cert-show", "/certificates/{name}", "Show a name's certificate, and what keeps it from having one", func(ctx context.Context, actor control.Actor, in *CertificatePath) (control.CertificateInfo, error) {
		return a.control.Certificate(ctx, actor, in.Name)
	})
	changing(a, "cert-add", http.MethodPost, "/certificates", "Have a certificate fetched for a name, and renewed", func(ctx context.Context, actor control.Actor, in *certificateAdd) (control.Plan, error) {
		return a.control.PlanCertificateAdd(ctx, actor, in.Body.Name, in.Body.Domain)
	})
	changing(a, "cert-remove", http.MethodDelete, "/certificates/{name}", "Have no certificate for a name any more", func(ctx context.Context, actor control.Actor, in *certificateNamed) (control.Plan, error) {
		return a.control.PlanCertificateRemove(ctx, actor, in.Name)
	})
	changing(a, "cert-renew", http.MethodPost, "/certificates/{name}/renew", "Fetch a new certificate for a name now", func(ctx context.Context, actor control.Actor, in *certificateNamed) (control.Plan, error) {
		return a.control.PlanCertificateRenew(ctx, actor, in.Name)
	})
}
