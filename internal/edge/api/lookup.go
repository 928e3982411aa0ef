package api

import (
	"context"

	"postroad/internal/service/control"
)

type lookUp struct {
	Name string `path:"name" doc:"Any domain or host, here or elsewhere"`
	At   string `query:"at" doc:"The server to ask, by name or address; absent: the configured resolvers"`
	Type string `query:"type" doc:"Type of record; absent: MX"`
}

type dkimKey struct {
	Domain   string `path:"domain" doc:"Any domain, here or elsewhere"`
	Selector string `path:"selector" doc:"The value of s= in a signature"`
	At       string `query:"at" doc:"The server to ask, by name or address; absent: the configured resolvers"`
}

type spfLook struct {
	Domain string `path:"domain" doc:"Any domain, here or elsewhere"`
	IP     string `query:"ip" doc:"Address of a client; absent: what the record costs, whoever sends"`
	Helo   string `query:"helo" doc:"Name that the client gives"`
	Sender string `query:"mail_from" doc:"Reverse-path; absent: postmaster of the domain"`
}

type zoneFetch struct {
	DomainPath
	Server string `query:"server" doc:"The server to ask, by name or address; absent: the domain's present name servers"`
}

func (a *api) registerLookUp() {
	showing(a, "zone-fetch", "/domains/{domain}/zone/from-dns", "Fetch what a domain's present name servers say of it, as a zone file to import", func(ctx context.Context, actor control.Actor, in *zoneFetch) (control.FetchedZone, error) {
		return a.control.FetchZone(ctx, actor, in.Domain, in.Server)
	})
	showing(a, "look-up", "/look-up/{name}", "Tell what DNS says of a name, who says it, and whether it is right for mail", func(ctx context.Context, actor control.Actor, in *lookUp) (control.LookUpAnswer, error) {
		return a.control.LookUp(ctx, actor, control.LookUpQuestion(*in))
	})
	showing(a, "tool-dkim", "/tools/dkim/{domain}/{selector}", "Look at the DKIM key that a domain publishes for a selector, and tell what is wrong with it", func(ctx context.Context, actor control.Actor, in *dkimKey) (control.FoundDKIMKey, error) {
		return a.control.LookUpDKIMKey(ctx, actor, control.DKIMKeyQuestion(*in))
	})
	showing(a, "tool-spf", "/tools/spf/{domain}", "Look at the SPF record of a domain: what it says of a client, and what each of its terms costs", func(ctx context.Context, actor control.Actor, in *spfLook) (control.SPFView, error) {
		return a.control.LookUpSPF(ctx, actor, control.SPFQuestion(*in))
	})
}
