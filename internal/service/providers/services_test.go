package providers_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"postroad/internal/core/publish"
	"postroad/internal/core/zone"
	"postroad/internal/proto/dns"
	"postroad/internal/service/providers"
)

// fake is a DNS service: it keeps records, and notes what is asked of it besides reading.
type fake struct {
	t     *testing.T
	mu    sync.Mutex
	asked []string
	list  []map[string]any // cloudflare: records; hetzner: RRsets
	next  int
	slow  int // hetzner: looks until an action is made
}

func (f *fake) note(r *http.Request) (body map[string]any) {
	text, _ := io.ReadAll(r.Body)
	if r.Header.Get("Authorization") != "Bearer a-token" {
		f.t.Errorf("%s %s without the token", r.Method, r.URL)
	}
	if r.Method != http.MethodGet {
		f.asked = append(f.asked, r.Method+" "+r.URL.Path+" "+string(text))
	}
	if len(text) > 0 {
		if err := json.Unmarshal(text, &body); err != nil {
			f.t.Error(err)
		}
	}
	return body
}

func answer(w http.ResponseWriter, v any) { _ = json.NewEncoder(w).Encode(v) }

func (f *fake) cloudflare() http.Handler {
	mux := http.NewServeMux()
	do := func(pattern string, h func(w http.ResponseWriter, r *http.Request, body map[string]any)) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			f.mu.Lock()
			defer f.mu.Unlock()
			h(w, r, f.note(r))
		})
	}
	do("GET /zones", func(w http.ResponseWriter, r *http.Request, _ map[string]any) {
		result := []map[string]any{}
		if r.URL.Query().Get("name") == "acme.example" {
			result = append(result, map[string]any{"id": "z1", "name": "acme.example"})
		}
		answer(w, map[string]any{"success": true, "result": result})
	})
	do("GET /zones/z1/dns_records", func(w http.ResponseWriter, r *http.Request, _ map[string]any) {
		page := 0
		_, _ = fmt.Sscan(r.URL.Query().Get("page"), &page)
		parts := slices.Collect(slices.Chunk(f.list, 2)) // so that there are several pages
		result := []map[string]any{}
		if page >= 1 && page <= len(parts) {
			result = parts[page-1]
		}
		answer(w, map[string]any{"success": true, "result": result, "result_info": map[string]any{"page": page, "total_pages": len(parts)}})
	})
	do("POST /zones/z1/dns_records", func(w http.ResponseWriter, _ *http.Request, body map[string]any) {
		f.next++
		body["id"] = fmt.Sprint("new", f.next)
		f.list = append(f.list, body)
		answer(w, map[string]any{"success": true, "result": body})
	})
	do("DELETE /zones/z1/dns_records/{id}", func(w http.ResponseWriter, r *http.Request, _ map[string]any) {
		f.list = slices.DeleteFunc(f.list, func(m map[string]any) bool { return m["id"] == r.PathValue("id") })
		answer(w, map[string]any{"success": true, "result": map[string]any{"id": r.PathValue("id")}})
	})
	return mux
}

func (f *fake) hetzner() http.Handler {
	mux := http.NewServeMux()
	do := func(pattern string, h func(w http.ResponseWriter, r *http.Request, body map[string]any)) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			f.mu.Lock()
			defer f.mu.Unlock()
			h(w, r, f.note(r))
		})
	}
	action := func(w http.ResponseWriter) {
		status := "success"
		if f.slow > 0 {
			f.slow--
			status = "running"
		}
		w.WriteHeader(http.StatusCreated)
		answer(w, map[string]any{"action": map[string]any{"id": 7, "status": status, "error": nil}})
	}
	at := func(r *http.Request) int {
		return slices.IndexFunc(f.list, func(m map[string]any) bool {
			return m["name"] == r.PathValue("name") && m["type"] == r.PathValue("type")
		})
	}
	do("GET /zones/acme.example", func(w http.ResponseWriter, _ *http.Request, _ map[string]any) {
		answer(w, map[string]any{"zone": map[string]any{"id": 1, "name": "acme.example", "ttl": 3600}})
	})
	do("GET /zones/acme.example/rrsets", func(w http.ResponseWriter, _ *http.Request, _ map[string]any) {
		answer(w, map[string]any{"rrsets": f.list, "meta": map[string]any{"pagination": map[string]any{"next_page": nil}}})
	})
	do("GET /actions/7", func(w http.ResponseWriter, _ *http.Request, _ map[string]any) { action(w) })
	do("POST /zones/acme.example/rrsets", func(w http.ResponseWriter, _ *http.Request, body map[string]any) {
		f.list = append(f.list, body)
		action(w)
	})
	do("POST /zones/acme.example/rrsets/{name}/{type}/actions/set_records", func(w http.ResponseWriter, r *http.Request, body map[string]any) {
		f.list[at(r)]["records"] = body["records"]
		action(w)
	})
	do("DELETE /zones/acme.example/rrsets/{name}/{type}", func(w http.ResponseWriter, r *http.Request, _ map[string]any) {
		f.list = slices.Delete(f.list, at(r), at(r)+1)
		action(w)
	})
	return mux
}

// text is what the service holds, for comparing.
func (f *fake) text() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	b, _ := json.MarshalIndent(f.list, "", " ")
	return string(b)
}

func TestServicesHaveOnlyTheChangedRecordsWritten(t *testing.T) {
	t.Parallel()
	const unrelated = "verification=1; \"quoted\""
	for kind, begin := range map[string]string{
		providers.Cloudflare: `[
			{"id":"a","type":"A","name":"www.acme.example","content":"192.0.2.7","ttl":300,"proxied":true},
			{"id":"m","type":"MX","name":"acme.example","content":"old.far.example","ttl":600,"priority":10},
			{"id":"s","type":"TXT","name":"acme.example","content":"\"v=spf1 ip4:192.0.2.1 -all\"","ttl":600},
			{"id":"t","type":"TXT","name":"acme.example","content":"verification=1; \"quoted\"","ttl":600,"comment":"keep"},
			{"id":"b","type":"MX","name":"sub.acme.example","content":"mx.sub.example","ttl":600,"priority":10}]`,
		providers.Hetzner: `[
			{"name":"www","type":"A","ttl":300,"records":[{"value":"192.0.2.7"}]},
			{"name":"@","type":"MX","ttl":600,"records":[{"value":"10 old.far.example."}]},
			{"name":"@","type":"TXT","ttl":null,"records":[{"value":"\"v=spf1 ip4:192.0.2.1 -all\""},{"value":"\"verification=1; \\\"quoted\\\"\"","comment":"keep"}]},
			{"name":"sub","type":"MX","ttl":600,"records":[{"value":"10 mx.sub.example."}]}]`,
	} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			f := &fake{t: t, slow: 1}
			if err := json.Unmarshal([]byte(begin), &f.list); err != nil {
				t.Fatal(err)
			}
			handler := map[string]http.Handler{providers.Cloudflare: f.cloudflare(), providers.Hetzner: f.hetzner()}[kind]
			server := httptest.NewServer(handler)
			t.Cleanup(server.Close)
			s, ctx := &providers.Service{}, t.Context()
			a := publish.Access{Secret: []byte("a-token"), Provider: publish.Provider{Domain: "acme.example", Kind: kind, Zone: "acme.example", Server: server.URL, Operator: true}}
			records, err := s.Read(ctx, a, wantedSets)
			if err != nil || len(records) != 3 {
				t.Fatalf("read: %v, %v", records, err)
			}
			change := ours(t, records, zone.Exchanger{Preference: 10, Host: "mx1.host.example"}, zone.Exchanger{Preference: 20, Host: "mx2.host.example"})
			before := f.text()
			if err := s.Write(ctx, a, change); err != nil {
				t.Fatal(err)
			}
			now, err := s.Read(ctx, a, wantedSets)
			if err != nil {
				t.Fatal(err)
			}
			if left := zone.Plan(now, change.Apply(zone.Sort(records))); len(left) > 0 {
				t.Errorf("what is left to do: %s", left.Text())
			}
			f.mu.Lock()
			for _, line := range f.asked {
				if strings.Contains(line, "www") || strings.Contains(line, "sub") || strings.Contains(line, "/dns_records/t") || strings.Contains(line, "/dns_records/a ") {
					t.Errorf("it touched what is unrelated: %s", line)
				}
			}
			first := slices.IndexFunc(f.asked, func(l string) bool { return strings.HasPrefix(l, "DELETE") })
			last := len(f.asked) - 1 - slices.IndexFunc(reversed(f.asked), func(l string) bool { return strings.HasPrefix(l, "POST") })
			if kind == providers.Cloudflare && first < last {
				t.Errorf("old records go before new ones are there: %q", f.asked)
			}
			f.mu.Unlock()
			if text := f.text(); !strings.Contains(text, "keep") || !strings.Contains(text, strings.Split(unrelated, ";")[0]) {
				t.Errorf("an unrelated text has lost something: %s", text)
			}
			if err := s.Write(ctx, a, change); !errors.Is(err, publish.ErrChanged) {
				t.Errorf("a change that is stale: %v", err)
			}
			if err := s.Write(ctx, a, change.Reverse()); err != nil {
				t.Fatal(err)
			}
			if now, err = s.Read(ctx, a, wantedSets); err != nil || len(zone.Plan(zone.Sort(records), now)) > 0 {
				t.Errorf("taken back it is %v, %v; before\n%s\nnow\n%s", now, err, before, f.text())
			}
			gone := zone.Plan(now, zone.Replace(now, "acme.example.", dns.TypeMX))
			if err := s.Write(ctx, a, gone); err != nil || strings.Contains(f.text(), "old.far.example") {
				t.Errorf("a set that goes: %v\n%s", err, f.text())
			}
			if err := s.Write(ctx, a, gone.Reverse()); err != nil || !strings.Contains(f.text(), "old.far.example") {
				t.Errorf("a set that comes: %v\n%s", err, f.text())
			}
			// Whoever is not the operator leads a token nowhere but to the public Internet.
			a.Operator = false
			if _, err := s.Read(ctx, a, wantedSets); err == nil {
				t.Error("a customer has a token sent to loopback in clear")
			}
			a.Operator, a.Zone = true, "nowhere.example"
			if _, err := s.Read(ctx, a, wantedSets); err == nil || !strings.Contains(err.Error(), "no such zone") && kind == providers.Cloudflare {
				t.Errorf("a zone that is not there: %v", err)
			}
		})
	}
}

func reversed(list []string) []string {
	out := slices.Clone(list)
	slices.Reverse(out)
	return out
}
