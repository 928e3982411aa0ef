package control

import (
	"context"
	"encoding/json"
	"time"

	"postroad/internal/core/account"
	"postroad/internal/service/control/dkim"
	"postroad/internal/service/control/identities"
	"postroad/internal/service/control/signing"
	"postroad/internal/service/control/transfers"
	"postroad/internal/service/control/words"
	"postroad/internal/service/control/zones"
)

// EntryInfo is a line of the audit log as listings show it.
type EntryInfo struct {
	ID      int64           `json:"id"`
	At      time.Time       `json:"at"`
	Actor   string          `json:"actor"`
	Account account.ID      `json:"account"`
	Domain  string          `json:"domain,omitempty"`
	Action  string          `json:"action" doc:"Command words"`
	Subject string          `json:"subject"`
	Before  json.RawMessage `json:"before,omitempty" doc:"The thing before; absent when it was made"`
	After   json.RawMessage `json:"after,omitempty" doc:"The thing after; absent when it was removed"`

	CanUndo    bool            `json:"can_undo" doc:"Nothing has changed since that would keep it from being undone"`
	Overridden json.RawMessage `json:"overridden,omitempty" doc:"Warnings that whoever made the change was shown and confirmed"`
}

// Audit lists entries, newest first, before the given id (0: from the newest), of one domain or of all (empty). A
// domain that is gone can still be asked for by its name.
func (s *Service) Audit(ctx context.Context, actor Actor, domain string, before int64, limit int) ([]EntryInfo, error) {
	if domain != "" {
		name, err := words.DomainName(domain)
		if err != nil {
			return nil, err
		}
		domain = name
	}
	list, err := s.o.Store.Audit(ctx, actor.Scope, domain, before, limit)
	if err != nil {
		return nil, err
	}
	out := make([]EntryInfo, 0, len(list))
	st := s.current.Load()
	ofZone, ofTransfer := s.hosted.CanUndo(ctx, actor, st), s.Transfers().CanUndo(ctx, actor)
	for _, e := range list {
		can := false
		switch {
		case zones.Undoable(e.Action):
			can = ofZone(&e)
		case signing.Undoable(e.Action):
			can = s.signing.CanUndo(ctx, actor, st, &e)
		case dkim.Undoable(e.Action):
			can = s.dkim.CanUndo(ctx, actor, st, &e)
		case identities.Undoable(e.Action):
			can = identities.CanUndo(actor, st, &e)
		case transfers.Undoable(e.Action):
			can = ofTransfer(&e)
		default:
			_, kept := undoing(st, &e)
			can = kept == nil
		}
		out = append(out, EntryInfo{
			ID: e.ID, At: e.At, Actor: e.Actor, Account: e.Account, Domain: e.Domain, Action: e.Action, Subject: e.Subject,
			Before: rawJSON(e.Before), After: rawJSON(e.After), Overridden: rawJSON(e.Overridden), CanUndo: can,
		})
	}
	return out, nil
}

func rawJSON(s string) json.RawMessage {
	if s == "" {
		return nil
	}
	return json.RawMessage(s)
}
