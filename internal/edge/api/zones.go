package api

import (
	"context"
	"net/http"

	"postroad/internal/service/control"
)

type recordAdd struct {
	How
	DomainPath
	Body struct {
		Owner string `json:"owner,omitempty" doc:"Relative to the zone, @ or absent for its own name, or absolute with its last dot"`
		Type  string `json:"type" doc:"A, MX, TXT, …, or TYPE65280"`
		Data  string `json:"data" doc:"As in a zone file; TXT need not be quoted. A name with a dot in it is absolute, one without is completed by the zone's name."`
		TTL   string `json:"ttl,omitempty" doc:"Seconds, or 1h, 1h30m, 2d; absent: that of the records that are there, or one hour"`
	}
}

type recordEdit struct {
	How
	DomainPath
	Body struct {
		Owner string `json:"owner,omitempty" doc:"As in record-add"`
		Type  string `json:"type"`
		Old   string `json:"old,omitempty" doc:"Data or id of the record that is replaced; absent where it is the only one"`
		Data  string `json:"data,omitempty" doc:"As in record-add; absent: the TTL alone changes"`
		TTL   string `json:"ttl,omitempty" doc:"As in record-add"`
	}
}

type recordRemove struct {
	How
	DomainPath
	Owner string `query:"owner" doc:"As in record-add"`
	Type  string `query:"type" required:"true"`
	Data  string `query:"data" doc:"Data or id; absent: all of this owner and type"`
}

func (a *api) registerZones() {
	const path = "/domains/{domain}/zone"
	showing(a, "zone-show", path, "Show a domain's zone", func(ctx context.Context, actor control.Actor, in *DomainPath) (control.ZoneDetail, error) {
		return a.control.Zone(ctx, actor, in.Domain)
	})
	changing(a, "record-add", http.MethodPost, path+"/records", "Add a record to a zone", func(ctx context.Context, actor control.Actor, in *recordAdd) (control.Plan, error) {
		return a.control.PlanRecordAdd(ctx, actor, in.Domain, control.RecordSpec(in.Body))
	})
	changing(a, "record-edit", http.MethodPatch, path+"/records", "Replace a record of a zone by another one, or change its TTL", func(ctx context.Context, actor control.Actor, in *recordEdit) (control.Plan, error) {
		b := in.Body
		return a.control.PlanRecordEdit(ctx, actor, in.Domain, b.Old, control.RecordSpec{Owner: b.Owner, Type: b.Type, Data: b.Data, TTL: b.TTL})
	})
	changing(a, "record-remove", http.MethodDelete, path+"/records", "Remove a record from a zone, or all of an owner and type", func(ctx context.Context, actor control.Actor, in *recordRemove) (control.Plan, error) {
		return a.control.PlanRecordRemove(ctx, actor, in.Domain, control.RecordSpec{Owner: in.Owner, Type: in.Type, Data: in.Data})
	})
}
