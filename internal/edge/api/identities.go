package api

import (
	"context"
	"net/http"

	"postroad/internal/service/control"
)

type identityList struct {
	Mailbox string `query:"mailbox" doc:"Of this mailbox only"`
}

type identityAdd struct {
	How
	AddressPath
	Body struct {
		Address string `json:"address" doc:"As which the mailbox's login is to send"`
	}
}

type identityConfirm struct {
	How
	AddressPath
	Identity string `path:"identity" doc:"As which the mailbox's login is to send"`
	Body     struct {
		Code string `json:"code" doc:"As it was mailed to the address"`
	}
}

type identityRemove struct {
	How
	AddressPath
	Identity string `path:"identity" doc:"As which the mailbox's login sends"`
}

func (a *api) registerIdentities() {
	const path = "/mailboxes/{address}/identities"
	listing(a, "identity-list", "/identities", "List the addresses elsewhere as which mailboxes' logins may send", func(_ context.Context, actor control.Actor, in *identityList) ([]control.IdentityInfo, error) {
		return a.control.Identities(actor, in.Mailbox)
	})
	changing(a, "identity-add", http.MethodPost, path, "Let a mailbox's login send as an address, once a code that is mailed there was confirmed or by the account's own domain", func(ctx context.Context, actor control.Actor, in *identityAdd) (control.Plan, error) {
		return a.control.PlanIdentityAdd(ctx, actor, in.Address, in.Body.Address)
	})
	changing(a, "identity-confirm", http.MethodPost, path+"/{identity}/confirm", "Confirm an address by the code that was mailed there", func(ctx context.Context, actor control.Actor, in *identityConfirm) (control.Plan, error) {
		return a.control.PlanIdentityConfirm(ctx, actor, in.Address, in.Identity, in.Body.Code)
	})
	changing(a, "identity-remove", http.MethodDelete, path+"/{identity}", "Let a mailbox's login send as an address no more", func(ctx context.Context, actor control.Actor, in *identityRemove) (control.Plan, error) {
		return a.control.PlanIdentityRemove(ctx, actor, in.Address, in.Identity)
	})
}
