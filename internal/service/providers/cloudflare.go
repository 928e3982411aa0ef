package providers

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/libdns/libdns"
)

// cloudflare is the interface of Cloudflare's DNS, version 4: records one by one, by ids.
type cloudflare struct{ *web }

var errNoZone = errors.New("the service has no such zone, or the token may not see it")

// cloudflareRecord is a record there.
type cloudflareRecord struct {
	ID       string `json:"id,omitempty"`
	Type     string `json:"type"`
	Name     string `json:"name"` // absolute, without the last dot
	Content  string `json:"content"`
	TTL      int    `json:"ttl"` // seconds; 1 is for the service to choose
	Priority *int   `json:"priority,omitempty"`
}

func (r *cloudflareRecord) rr(apex string) libdns.RR {
	rr := libdns.RR{Name: libdns.RelativeName(r.Name+".", apex), TTL: time.Duration(r.TTL) * time.Second, Type: r.Type, Data: r.Content}
	switch {
	case r.Type == "TXT":
		rr.Data = unquoted(r.Content)
	case r.Type == "MX" && r.Priority != nil:
		rr.Data = strconv.Itoa(*r.Priority) + " " + strings.TrimSuffix(r.Content, ".") + "."
	}
	return rr
}

// record writes what the service wants.
func (c *cloudflare) record(rr libdns.RR, apex string) cloudflareRecord {
	r := cloudflareRecord{Type: rr.Type, Name: strings.TrimSuffix(libdns.AbsoluteName(rr.Name, apex), "."), Content: rr.Data, TTL: int(rr.TTL / time.Second)}
	switch rr.Type {
	case "TXT":
		r.Content = quoted(rr.Data)
	case "MX":
		if number, host, ok := strings.Cut(rr.Data, " "); ok {
			if n, err := strconv.Atoi(number); err == nil {
				r.Priority, r.Content = &n, host
				if host != "." {
					r.Content = strings.TrimSuffix(host, ".")
				}
			}
		}
	}
	return r
}

// zone finds the id of a zone.
func (c *cloudflare) zone(ctx context.Context, apex string) (string, error) {
	var out struct {
		Result []struct {
			ID   string `json:"id"`
			Name string `json:"name"`
		} `json:"result"`
	}
	name := strings.TrimSuffix(apex, ".")
	if err := c.do(ctx, http.MethodGet, "/zones?name="+url.QueryEscape(name), nil, &out); err != nil {
		return "", err
	}
	for _, z := range out.Result {
		if z.Name == name {
			return "/zones/" + url.PathEscape(z.ID) + "/dns_records", nil
		}
	}
	return "", fmt.Errorf("%w: %s", errNoZone, name)
}

// all lists the records of a zone.
func (c *cloudflare) all(ctx context.Context, path string) ([]cloudflareRecord, error) {
	var list []cloudflareRecord
	for page := 1; ; page++ {
		var out struct {
			Result []cloudflareRecord `json:"result"`
			Info   struct {
				Pages int `json:"total_pages"`
			} `json:"result_info"`
		}
		if err := c.do(ctx, http.MethodGet, fmt.Sprintf("%s?per_page=100&page=%d", path, page), nil, &out); err != nil {
			return nil, err
		}
		list = append(list, out.Result...)
		if page >= out.Info.Pages {
			return list, nil
		}
	}
}

// GetRecords implements libdns.RecordGetter.
func (c *cloudflare) GetRecords(ctx context.Context, apex string) ([]libdns.Record, error) {
	path, err := c.zone(ctx, apex)
	if err != nil {
		return nil, err
	}
	list, err := c.all(ctx, path)
	if err != nil {
		return nil, err
	}
	out := make([]libdns.Record, len(list))
	for i := range list {
		out[i] = list[i].rr(apex)
	}
	return out, nil
}

// SetRecords implements libdns.RecordSetter. Records that are there already are not touched; new ones are made before old ones
// go.
func (c *cloudflare) SetRecords(ctx context.Context, apex string, wanted []libdns.Record) ([]libdns.Record, error) {
	path, err := c.zone(ctx, apex)
	if err != nil {
		return nil, err
	}
	there, err := c.all(ctx, path)
	if err != nil {
		return nil, err
	}
	var done []libdns.Record
	kept, sets := map[string]bool{}, map[string]bool{}
	for _, w := range wanted {
		rr := w.RR()
		sets[rr.Name+" "+rr.Type] = true
		found := false
		for i := range there {
			is := there[i].rr(apex)
			if kept[there[i].ID] || is.Name != rr.Name || is.Type != rr.Type || !sameData(is, rr) {
				continue
			}
			kept[there[i].ID], found = true, true
			if is.TTL != rr.TTL {
				if err := c.do(ctx, http.MethodPatch, path+"/"+url.PathEscape(there[i].ID), map[string]int{"ttl": int(rr.TTL / time.Second)}, nil); err != nil {
					return done, err
				}
				done = append(done, rr)
			}
			break
		}
		if !found {
			if err := c.do(ctx, http.MethodPost, path, c.record(rr, apex), nil); err != nil {
				return done, err
			}
			done = append(done, rr)
		}
	}
	for i := range there {
		is := there[i].rr(apex)
		if sets[is.Name+" "+is.Type] && !kept[there[i].ID] {
			if err := c.do(ctx, http.MethodDelete, path+"/"+url.PathEscape(there[i].ID), nil, nil); err != nil {
				return done, err
			}
		}
	}
	return done, nil
}

// sameData compares what two records of one type say; names in it in any case.
func sameData(a, b libdns.RR) bool {
	if a.Type == "TXT" {
		return a.Data == b.Data
	}
	return strings.EqualFold(a.Data, b.Data)
}

// DeleteRecords implements libdns.RecordDeleter.
func (c *cloudflare) DeleteRecords(ctx context.Context, apex string, gone []libdns.Record) ([]libdns.Record, error) {
	path, err := c.zone(ctx, apex)
	if err != nil {
		return nil, err
	}
	there, err := c.all(ctx, path)
	if err != nil {
		return nil, err
	}
	var done []libdns.Record
	for _, g := range gone {
		rr := g.RR()
		for i := range there {
			is := there[i].rr(apex)
			if is.Name != rr.Name || is.Type != rr.Type || !sameData(is, rr) {
				continue
			}
			if err := c.do(ctx, http.MethodDelete, path+"/"+url.PathEscape(there[i].ID), nil, nil); err != nil {
				return done, err
			}
			done = append(done, rr)
		}
	}
	return done, nil
}
