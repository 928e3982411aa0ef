package providers

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/libdns/libdns"
)

// hetzner is the interface of Hetzner's DNS in their Cloud API: whole RRsets.
type hetzner struct{ *web }

// hetznerSet is an RRset there.
type hetznerSet struct {
	Name    string          `json:"name"` // relative, @ for the zone's own
	Type    string          `json:"type"`
	TTL     *int            `json:"ttl"` // seconds; null for the zone's default
	Records []hetznerRecord `json:"records"`
}

type hetznerRecord struct {
	Value   string `json:"value"`
	Comment string `json:"comment,omitempty"`
}

// hetznerAction is a change under way.
type hetznerAction struct {
	Action struct {
		ID     int64  `json:"id"`
		Status string `json:"status"`
		Error  *struct {
			Message string `json:"message"`
		} `json:"error"`
	} `json:"action"`
}

func (h *hetzner) zone(apex string) string {
	return "/zones/" + url.PathEscape(strings.TrimSuffix(apex, "."))
}

// sets lists the RRsets of a zone, and gives the zone's default TTL.
func (h *hetzner) sets(ctx context.Context, apex string) (list []hetznerSet, ttl int, err error) {
	var z struct {
		Zone struct {
			TTL int `json:"ttl"`
		} `json:"zone"`
	}
	if err := h.do(ctx, http.MethodGet, h.zone(apex), nil, &z); err != nil {
		if status := (*statusError)(nil); errors.As(err, &status) && status.code == http.StatusNotFound {
			err = fmt.Errorf("%w: %s", errNoZone, strings.TrimSuffix(apex, "."))
		}
		return nil, 0, err
	}
	for page := 1; page > 0; {
		var out struct {
			Sets []hetznerSet `json:"rrsets"`
			Meta struct {
				Pagination struct {
					Next int `json:"next_page"`
				} `json:"pagination"`
			} `json:"meta"`
		}
		if err := h.do(ctx, http.MethodGet, fmt.Sprintf("%s/rrsets?per_page=100&page=%d", h.zone(apex), page), nil, &out); err != nil {
			return nil, 0, err
		}
		list = append(list, out.Sets...)
		page = out.Meta.Pagination.Next
	}
	return list, z.Zone.TTL, nil
}

func (s *hetznerSet) rrs(ttl int) []libdns.RR {
	if s.TTL != nil {
		ttl = *s.TTL
	}
	out := make([]libdns.RR, len(s.Records))
	for i, r := range s.Records {
		out[i] = libdns.RR{Name: s.Name, TTL: time.Duration(ttl) * time.Second, Type: s.Type, Data: r.Value}
		if s.Type == "TXT" {
			out[i].Data = unquoted(r.Value)
		}
	}
	return out
}

// GetRecords implements libdns.RecordGetter.
func (h *hetzner) GetRecords(ctx context.Context, apex string) ([]libdns.Record, error) {
	list, ttl, err := h.sets(ctx, apex)
	if err != nil {
		return nil, err
	}
	var out []libdns.Record
	for i := range list {
		for _, rr := range list[i].rrs(ttl) {
			out = append(out, rr)
		}
	}
	return out, nil
}

// SetRecords implements libdns.RecordSetter. Records of a set that stay keep their comments.
func (h *hetzner) SetRecords(ctx context.Context, apex string, wanted []libdns.Record) ([]libdns.Record, error) {
	list, ttl, err := h.sets(ctx, apex)
	if err != nil {
		return nil, err
	}
	next := map[string]*hetznerSet{}
	var order []string
	for _, w := range wanted {
		rr := w.RR()
		key := rr.Name + " " + rr.Type
		if next[key] == nil {
			next[key] = &hetznerSet{Name: rr.Name, Type: rr.Type, TTL: new(int(rr.TTL / time.Second))}
			order = append(order, key)
		}
		r := hetznerRecord{Value: rr.Data}
		if rr.Type == "TXT" {
			r.Value = quoted(rr.Data)
		}
		next[key].Records = append(next[key].Records, r)
	}
	for _, key := range order {
		if err := h.set(ctx, apex, list, ttl, next[key]); err != nil {
			return nil, err
		}
	}
	return wanted, nil
}

// set makes one RRset what it is to be.
func (h *hetzner) set(ctx context.Context, apex string, list []hetznerSet, ttl int, next *hetznerSet) error {
	i := slices.IndexFunc(list, func(s hetznerSet) bool { return s.Name == next.Name && s.Type == next.Type })
	if i < 0 {
		return h.act(ctx, http.MethodPost, h.zone(apex)+"/rrsets", next)
	}
	was := list[i].rrs(ttl)
	wanted := next.rrs(ttl)
	for k := range next.Records {
		for j := range was {
			if sameData(was[j], wanted[k]) {
				next.Records[k] = list[i].Records[j]
			}
		}
	}
	if was[0].TTL != wanted[0].TTL {
		if err := h.act(ctx, http.MethodPost, h.path(apex, next)+"/actions/change_ttl", map[string]*int{"ttl": next.TTL}); err != nil {
			return err
		}
	}
	return h.act(ctx, http.MethodPost, h.path(apex, next)+"/actions/set_records", map[string][]hetznerRecord{"records": next.Records})
}

func (h *hetzner) path(apex string, s *hetznerSet) string {
	return h.zone(apex) + "/rrsets/" + url.PathEscape(s.Name) + "/" + url.PathEscape(s.Type)
}

// DeleteRecords implements libdns.RecordDeleter, for whole RRsets: so it is called.
func (h *hetzner) DeleteRecords(ctx context.Context, apex string, gone []libdns.Record) ([]libdns.Record, error) {
	done := map[string]bool{}
	for _, g := range gone {
		rr := g.RR()
		if done[rr.Name+" "+rr.Type] {
			continue
		}
		done[rr.Name+" "+rr.Type] = true
		if err := h.act(ctx, http.MethodDelete, h.path(apex, &hetznerSet{Name: rr.Name, Type: rr.Type}), nil); err != nil {
			return nil, err
		}
	}
	return gone, nil
}

// actionPoll is the time between two looks at a change under way.
const actionPoll = 500 * time.Millisecond

var errAction = errors.New("the service could not make the change")

// act asks for a change and waits until it is made.
func (h *hetzner) act(ctx context.Context, method, path string, body any) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	var a hetznerAction
	err := h.do(ctx, method, path, body, &a)
	for err == nil && a.Action.Status == "running" {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(actionPoll):
			err = h.do(ctx, http.MethodGet, fmt.Sprintf("/actions/%d", a.Action.ID), nil, &a)
		}
	}
	if err == nil && a.Action.Error != nil {
		err = fmt.Errorf("%w: %.200s", errAction, a.Action.Error.Message)
	}
	return err
}
