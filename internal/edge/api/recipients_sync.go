package api

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"postroad/internal/service/control"
)

type recipientsSync struct {
	How
	DomainPath
	Body struct {
		From         string `json:"from" doc:"URL of the Postroad that the domain receives at"`
		Token        string `json:"token" doc:"Token for its API; never shown again"`
		EverySeconds int64  `json:"every_seconds,omitempty" minimum:"1" maximum:"86400" doc:"How often it is fetched; a minute when absent"`
		Plain        bool   `json:"plain,omitempty" doc:"Operator only: without TLS, from an address that is loopback or private"`
	}
}

type addressesAsked struct {
	DomainPath
	IfNoneMatch string `header:"If-None-Match"`
}

type addresses struct {
	Status int
	ETag   string `header:"ETag"`
	Body   *control.AddressList
}

func (a *api) registerSync() {
	changing(a, "recipients-sync", http.MethodPost, "/domains/{domain}/recipients/sync", "Have a domain's list of recipients fetched from another Postroad", func(ctx context.Context, actor control.Actor, in *recipientsSync) (control.Plan, error) {
		return a.control.PlanRecipientsSync(ctx, actor, control.RecipientSync{
			Domain: in.Domain, From: in.Body.From, Token: in.Body.Token, Every: time.Duration(in.Body.EverySeconds) * time.Second, Plain: in.Body.Plain,
		})
	})
	op := a.operation("domain-addresses", http.MethodGet, "/domains/{domain}/addresses", "Every address at which a domain receives here, with an ETag")
	op.Errors = append(op.Errors, http.StatusUnprocessableEntity)
	huma.Register(a.huma, op, func(ctx context.Context, in *addressesAsked) (*addresses, error) {
		list, err := a.control.Addresses(actorOf(ctx), in.Domain)
		if err != nil {
			return nil, a.refuse("domain-addresses", err)
		}
		text, err := json.Marshal(list)
		if err != nil {
			return nil, a.refuse("domain-addresses", err)
		}
		sum := sha256.Sum256(text)
		out := &addresses{Status: http.StatusOK, ETag: `"` + hex.EncodeToString(sum[:16]) + `"`, Body: &list}
		if in.IfNoneMatch == out.ETag {
			out.Status, out.Body = http.StatusNotModified, nil
		}
		return out, nil
	})
}
