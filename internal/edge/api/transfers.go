package api

import (
	"context"
	"net/http"

	"postroad/internal/service/control"
)

type keyAdd struct {
	How
	Body struct {
		Name      string  `json:"name" doc:"As the other server names it"`
		Account   string  `json:"account,omitempty" doc:"Id or name; the caller's own by default"`
		Algorithm string  `json:"algorithm,omitempty" doc:"hmac-sha256 by default, hmac-sha384 or hmac-sha512"`
		Secret    *string `json:"secret,omitempty" doc:"In base64; absent: one is made and told once"`
	}
}

type keyRemove struct {
	How
	Name string `path:"name"`
}

type transferAllow struct {
	How
	Body struct {
		Zone string   `json:"zone" doc:"A domain, or a catalog and every zone in it"`
		Key  string   `json:"key,omitempty" doc:"TSIG key that requests must be signed with"`
		From []string `json:"from,omitempty" doc:"Networks and addresses that they must come from"`
	}
}

type transferNotify struct {
	How
	Body struct {
		Zone   string `json:"zone" doc:"A domain, or a catalog and every zone in it"`
		Notify string `json:"notify" doc:"Address of the server that is told, with its port where it is not 53"`
		Key    string `json:"key,omitempty" doc:"TSIG key to sign with"`
	}
}

type transferDeny struct {
	How
	Zone   string   `query:"zone" required:"true" doc:"A domain or a catalog"`
	Key    string   `query:"key" doc:"Only those with this key"`
	From   []string `query:"from" doc:"Only those with these networks"`
	Notify string   `query:"notify" doc:"Only this server that is told"`
}

type secondarySet struct {
	How
	DomainPath
	Body struct {
		Primary string `json:"primary" doc:"Address of the server that has the zone's home, with its port where it is not 53"`
		Key     string `json:"key,omitempty" doc:"TSIG key to ask with"`
	}
}

type secondaryRemove struct {
	How
	DomainPath
}

type catalogOn struct {
	How
	Name string `path:"name"`
	Body struct {
		Account string `json:"account,omitempty" doc:"Account whose zones it lists, by id or name; absent: the caller's own, for the operator all"`
	}
}

type catalogOff struct {
	How
	Name string `path:"name"`
}

func (a *api) registerTransfers() {
	listing(a, "tsig-key-list", "/tsig-keys", "List TSIG keys", func(ctx context.Context, actor control.Actor, _ *struct{}) ([]control.TSIGKey, error) {
		return a.control.Transfers().Keys(ctx, actor)
	})
	replanning(a, "tsig-key-add", http.MethodPost, "/tsig-keys", "Add a TSIG key", func(ctx context.Context, in *keyAdd) func(control.Actor) (control.Plan, error) {
		spec := control.TSIGKeySpec{Name: in.Body.Name, Account: in.Body.Account, Algorithm: in.Body.Algorithm}
		if in.Body.Secret != nil {
			spec.Secret = control.NewSecret(*in.Body.Secret)
		}
		return func(actor control.Actor) (control.Plan, error) {
			return a.control.Transfers().PlanKeyAdd(ctx, actor, spec)
		}
	})
	changing(a, "tsig-key-remove", http.MethodDelete, "/tsig-keys/{name}", "Remove a TSIG key that is not in use", func(ctx context.Context, actor control.Actor, in *keyRemove) (control.Plan, error) {
		return a.control.Transfers().PlanKeyRemove(ctx, actor, in.Name)
	})
	listing(a, "transfer-list", "/transfers", "List who may have zones, and who is told of their changes", func(ctx context.Context, actor control.Actor, _ *struct{}) ([]control.TransferPeer, error) {
		return a.control.Transfers().Peers(ctx, actor)
	})
	changing(a, "transfer-allow", http.MethodPost, "/transfers", "Let somebody have a zone", func(ctx context.Context, actor control.Actor, in *transferAllow) (control.Plan, error) {
		return a.control.Transfers().PlanAllow(ctx, actor, control.TransferPeerSpec{Zone: in.Body.Zone, Key: in.Body.Key, From: in.Body.From})
	})
	changing(a, "transfer-notify", http.MethodPost, "/transfers/notify", "Have a server told of a zone's changes", func(ctx context.Context, actor control.Actor, in *transferNotify) (control.Plan, error) {
		return a.control.Transfers().PlanNotify(ctx, actor, control.TransferPeerSpec{Zone: in.Body.Zone, Key: in.Body.Key, Notify: in.Body.Notify})
	})
	changing(a, "transfer-deny", http.MethodDelete, "/transfers", "Take leave to have a zone back, or tell a server no longer", func(ctx context.Context, actor control.Actor, in *transferDeny) (control.Plan, error) {
		return a.control.Transfers().PlanDeny(ctx, actor, control.TransferPeerSpec{Zone: in.Zone, Key: in.Key, From: in.From, Notify: in.Notify})
	})
	listing(a, "secondary-list", "/secondaries", "List zones that have their home at another server", func(ctx context.Context, actor control.Actor, _ *struct{}) ([]control.SecondaryZone, error) {
		return a.control.Transfers().Secondaries(ctx, actor)
	})
	changing(a, "secondary-set", http.MethodPut, "/secondaries/{domain}", "Serve a zone that has its home at another server", func(ctx context.Context, actor control.Actor, in *secondarySet) (control.Plan, error) {
		return a.control.Transfers().PlanSecondarySet(ctx, actor, control.SecondarySpec{Domain: in.Domain, Primary: in.Body.Primary, Key: in.Body.Key})
	})
	changing(a, "secondary-remove", http.MethodDelete, "/secondaries/{domain}", "Serve such a zone no longer", func(ctx context.Context, actor control.Actor, in *secondaryRemove) (control.Plan, error) {
		return a.control.Transfers().PlanSecondaryRemove(ctx, actor, in.Domain)
	})
	listing(a, "catalog-list", "/catalogs", "List catalogs", func(ctx context.Context, actor control.Actor, _ *struct{}) ([]control.Catalog, error) {
		return a.control.Transfers().Catalogs(ctx, actor)
	})
	changing(a, "catalog-on", http.MethodPut, "/catalogs/{name}", "List hosted zones in a catalog", func(ctx context.Context, actor control.Actor, in *catalogOn) (control.Plan, error) {
		return a.control.Transfers().PlanCatalogOn(ctx, actor, control.CatalogSpec{Name: in.Name, Account: in.Body.Account})
	})
	changing(a, "catalog-off", http.MethodDelete, "/catalogs/{name}", "End a catalog", func(ctx context.Context, actor control.Actor, in *catalogOff) (control.Plan, error) {
		return a.control.Transfers().PlanCatalogOff(ctx, actor, in.Name)
	})
}
