package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

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

// maxZones is the largest request body that brings zone files, in octets: the longest zone file as a JSON text.
const maxZones = 9 << 20

type zoneImport struct {
	How
	DomainPath
	Body zoneBody
}

type zoneBody struct {
	Text string `json:"text" doc:"Zone file (RFC 1035 §5), without $INCLUDE and $GENERATE"`
}

type zoneImports struct {
	How
	Body struct {
		Zones []struct {
			Domain string `json:"domain"`
			Text   string `json:"text" doc:"Zone file, as in zone-import"`
		} `json:"zones" minItems:"1" maxItems:"1000" nullable:"false"`
		Account string `json:"account,omitempty" doc:"Of domains that are missing: id or name; the caller's own when absent"`
		Proved  *bool  `json:"proved,omitempty" doc:"Of domains that are missing: the operator's word that their ownership is shown"`
	}
}

type zoneExport struct {
	DomainPath
	Signed bool `query:"signed" doc:"With keys, signatures and proofs of a signed zone"`
}

// registerZoneFiles registers what takes and gives zone files.
func (a *api) registerZoneFiles(path string) {
	showing(a, "zone-export", path+"/file", "Give a domain's zone as a zone file", func(ctx context.Context, actor control.Actor, in *zoneExport) (control.ZoneFile, error) {
		return a.control.ZoneFile(ctx, actor, in.Domain, in.Signed)
	})
	listing(a, "zone-check", path+"/check", "Hold a domain's zone against all rules", func(ctx context.Context, actor control.Actor, in *DomainPath) ([]control.ZoneProblem, error) {
		return a.control.CheckZone(ctx, actor, in.Domain, nil)
	})
	op := a.operation("zone-check-file", http.MethodPost, path+"/check", "Hold a zone file against all rules, as if it were the domain's zone")
	op.MaxBodyBytes = bodyLimit(op.Path)
	op.Errors = append(op.Errors, http.StatusUnprocessableEntity)
	huma.Register(a.huma, op, func(ctx context.Context, in *struct {
		DomainPath
		Body zoneBody
	},
	) (*items[control.ZoneProblem], error) {
		found, err := a.control.CheckZone(ctx, actorOf(ctx), in.Domain, &in.Body.Text)
		if err != nil {
			return nil, a.refuse(op.OperationID, err)
		}
		out := &items[control.ZoneProblem]{}
		out.Body.Items = found
		return out, nil
	})
	changing(a, "zone-import", http.MethodPut, path, "Put a zone file in the place of a domain's whole zone", func(ctx context.Context, actor control.Actor, in *zoneImport) (control.Plan, error) {
		return a.control.PlanZoneImport(ctx, actor, control.ZoneText{Domain: in.Domain, Text: in.Body.Text})
	})
	changing(a, "zone-import-all", http.MethodPost, "/zones/import", "Put zone files in the places of many zones, and make the domains that are missing; what is refused is left out and told in the plan",
		func(ctx context.Context, actor control.Actor, in *zoneImports) (control.Plan, error) {
			spec := control.ZoneImport{Account: in.Body.Account, Proved: in.Body.Proved, Zones: make([]control.ZoneText, len(in.Body.Zones))}
			for i, z := range in.Body.Zones {
				spec.Zones[i] = control.ZoneText{Domain: z.Domain, Text: z.Text}
			}
			return a.control.PlanZoneImports(ctx, actor, spec)
		})
}

func (a *api) registerZones() {
	const path = "/domains/{domain}/zone"
	showing(a, "zone-show", path, "Show a domain's zone", func(ctx context.Context, actor control.Actor, in *DomainPath) (control.ZoneDetail, error) {
		return a.control.Zone(ctx, actor, in.Domain)
	})
	a.registerZoneFiles(path)
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
