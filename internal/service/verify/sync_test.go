package verify_test

import (
	"context"
	"crypto/x509"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"postroad/internal/core/account"
	"postroad/internal/core/facts"
	"postroad/internal/service/verify"
)

func TestAListIsFetchedOverVerifiedTLS(t *testing.T) {
	t.Parallel()
	body, status := "", http.StatusOK
	answer := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Header.Get("Authorization") != "Bearer secret":
			w.WriteHeader(http.StatusUnauthorized)
		case r.URL.Path != "/api/v1/domains/d.example/addresses":
			w.WriteHeader(http.StatusNotFound)
		case status == http.StatusFound:
			http.Redirect(w, r, "/elsewhere", status)
		case r.Header.Get("If-None-Match") == `"1"`:
			w.WriteHeader(http.StatusNotModified)
		default:
			w.Header().Set("ETag", `"1"`)
			w.WriteHeader(status)
			_, _ = w.Write([]byte(body)) // the client's affair
		}
	})
	secure, plain := httptest.NewTLSServer(answer), httptest.NewServer(answer)
	defer secure.Close()
	defer plain.Close()
	pool := x509.NewCertPool()
	pool.AddCert(secure.Certificate())
	trusting, strict := verify.New(verify.Options{RootCAs: pool}), verify.New(verify.Options{RootCAs: x509.NewCertPool()})
	good := `{"domain":"d.example","every":true,"locals":["Bob","ann","bob"]}`
	for _, tc := range []struct {
		name    string
		service *verify.Service
		from    facts.ListSource
		body    string
		status  int
		want    []string
		refusal string
	}{
		{"fetched", trusting, facts.ListSource{URL: secure.URL, Token: "secret", Operator: true}, good, 200, []string{"", "ann", "bob"}, ""},
		{"not changed", trusting, facts.ListSource{URL: secure.URL, Token: "secret", Operator: true, ETag: `"1"`}, good, 200, nil, ""},
		{"plain by the operator", trusting, facts.ListSource{URL: plain.URL, Token: "secret", Operator: true}, good, 200, []string{"", "ann", "bob"}, ""},
		{"plain by somebody", trusting, facts.ListSource{URL: plain.URL, Token: "secret"}, good, 200, nil, "without TLS"},
		{"loopback by somebody", trusting, facts.ListSource{URL: secure.URL, Token: "secret"}, good, 200, nil, "public Internet"},
		{"another certificate", strict, facts.ListSource{URL: secure.URL, Token: "secret", Operator: true}, good, 200, nil, "certificate"},
		{"another token", trusting, facts.ListSource{URL: secure.URL, Token: "other", Operator: true}, good, 200, nil, "401"},
		{"redirect", trusting, facts.ListSource{URL: secure.URL, Token: "secret", Operator: true}, good, http.StatusFound, nil, "302"},
		{"fault", trusting, facts.ListSource{URL: secure.URL, Token: "secret", Operator: true}, good, 500, nil, "500"},
		{"another domain", trusting, facts.ListSource{URL: secure.URL, Token: "secret", Operator: true}, strings.Replace(good, "d.", "e.", 1), 200, nil, "no list"},
		{"nobody", trusting, facts.ListSource{URL: secure.URL, Token: "secret", Operator: true}, `{"domain":"d.example","locals":[]}`, 200, nil, "no list"},
		{"no JSON", trusting, facts.ListSource{URL: secure.URL, Token: "secret", Operator: true}, "hello", 200, nil, "no list"},
		{"endless", trusting, facts.ListSource{URL: secure.URL, Token: "secret", Operator: true}, strings.Repeat(" ", 17<<20), 200, nil, "longer"},
	} {
		body, status = tc.body, tc.status
		locals, err := tc.service.FetchList(t.Context(), "d.example", &tc.from)
		if !slices.Equal(locals, tc.want) || (err == nil) != (tc.refusal == "") || err != nil && !strings.Contains(err.Error(), tc.refusal) {
			t.Errorf("%s: %q, %v", tc.name, locals, err)
		}
		if tc.want != nil && tc.from.ETag != `"1"` {
			t.Errorf("%s: ETag %s", tc.name, tc.from.ETag)
		}
	}
}

// syncs is a store with a list that is fetched in time and one whose source never answers.
type syncs struct {
	world
	list []verify.Sync
	came chan verify.Sync
}

func (s *syncs) Syncs(context.Context, account.Scope) ([]verify.Sync, error) { return s.list, nil }

func (s *syncs) Synced(_ context.Context, _ account.Scope, y verify.Sync, _ bool, _ []string) error {
	s.came <- y
	return nil
}

func TestASourceThatHangsHoldsUpNoOther(t *testing.T) {
	t.Parallel()
	end := make(chan struct{})
	hanging := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-end }))
	defer hanging.Close()
	defer close(end)
	answering := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(`{"domain":"good.example","locals":["ann"]}`)) // the client's affair
	}))
	defer answering.Close()
	from := func(domain, url string) verify.Sync {
		return verify.Sync{Domain: domain, From: facts.ListSource{URL: url, Operator: true, Every: time.Second}}
	}
	store := &syncs{came: make(chan verify.Sync, 100), list: []verify.Sync{from("bad.example", hanging.URL), from("good.example", answering.URL)}}
	service := verify.New(verify.Options{Store: store})
	service.Start()
	defer service.Close()
	deadline := time.After(12 * time.Second)
	for n := range 3 {
		select {
		case y := <-store.came:
			if y.Domain != "good.example" || y.Learned.IsZero() {
				t.Errorf("%+v", y)
			}
		case <-deadline:
			t.Fatalf("fetched %d times", n)
		}
	}
}
