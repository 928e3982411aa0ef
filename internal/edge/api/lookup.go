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

func (a *api) registerLookUp() {
	showing(a, "look-up", "/look-up/{name}", "Tell what DNS says of a name, who says it, and whether it is right for mail", func(ctx context.Context, actor control.Actor, in *lookUp) (control.LookUpAnswer, error) {
		return a.control.LookUp(ctx, actor, control.LookUpQuestion(*in))
	})
}
