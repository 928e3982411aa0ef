package verify

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"postroad/internal/core/account"
	"postroad/internal/core/facts"
	"postroad/internal/core/reach"
	"postroad/internal/obs"
)

// How lists are fetched from other installations.
const (
	syncTick    = time.Second      // how often it is looked whether one is due
	syncTimeout = 15 * time.Second // for one list
	syncRetry   = 30 * time.Second // after a failure, at least
	syncAtOnce  = 64
	maxListSize = 16 << 20 // octets
	maxListed   = 50_000
	maxETag     = 200 // octets
)

// FetchList fetches a domain's recipients from another Postroad and sets the source's ETag; nil when nothing has changed
// since the ETag that it has. The certificate is verified. Only what the operator named may lie outside the public
// Internet, and only there, at an address that is loopback or private, is it fetched without TLS.
func (s *Service) FetchList(ctx context.Context, domain string, from *facts.ListSource) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, syncTimeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, from.URL+"/api/v1/domains/"+url.PathEscape(domain)+"/addresses", nil)
	if err != nil {
		return nil, err
	}
	r.Header.Set("Authorization", "Bearer "+from.Token)
	if from.ETag != "" {
		r.Header.Set("If-None-Match", from.ETag)
	}
	plain := r.URL.Scheme != "https"
	dialer := &net.Dialer{Timeout: syncTimeout / 3, Control: func(_, address string, _ syscall.RawConn) error {
		return mayFetch(address, plain, from.Operator)
	}}
	transport := &http.Transport{DialContext: dialer.DialContext, TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: s.o.RootCAs}, DisableKeepAlives: true}
	client := &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Do(r)
	if err != nil {
		var failed *url.Error
		if errors.As(err, &failed) {
			err = failed.Err
		}
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }() // only read from
	switch {
	case resp.StatusCode == http.StatusNotModified && from.ETag != "":
		return nil, nil
	case resp.StatusCode != http.StatusOK:
		return nil, fmt.Errorf("it answers %s", resp.Status) //nolint:err113 // told to people, nobody tests for it
	}
	return readList(resp, domain, from)
}

var (
	errNoList     = errors.New("its answer is no list of the domain's recipients")
	errLongList   = errors.New("its list is longer than 50,000 addresses or 16 MiB")
	errNotPublic  = errors.New("its address is not of the public Internet, and it was not the operator who named it")
	errNotPrivate = errors.New("its address is neither loopback nor private, and nothing is fetched from there without TLS")
)

// readList reads an answer.
func readList(resp *http.Response, domain string, from *facts.ListSource) ([]string, error) {
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxListSize+1))
	if err != nil {
		return nil, err
	}
	var list struct {
		Domain string   `json:"domain"`
		Every  bool     `json:"every"`
		Locals []string `json:"locals"`
	}
	switch {
	case len(text) > maxListSize:
		return nil, errLongList
	case json.Unmarshal(text, &list) != nil || list.Domain != domain || len(list.Locals) == 0:
		return nil, errNoList
	case len(list.Locals) >= maxListed:
		return nil, errLongList
	}
	locals := list.Locals
	if list.Every {
		locals = append(locals, "")
	}
	for i := range locals {
		locals[i] = strings.ToLower(locals[i])
	}
	slices.Sort(locals)
	if from.ETag = resp.Header.Get("ETag"); len(from.ETag) > maxETag {
		from.ETag = ""
	}
	return slices.Compact(locals), nil
}

// mayFetch refuses addresses from which nothing is fetched.
func mayFetch(address string, plain, operator bool) error {
	at, err := netip.ParseAddrPort(address)
	if err != nil {
		return err
	}
	a := at.Addr().Unmap().WithZone("")
	switch {
	case plain && (!operator || !a.IsLoopback() && !a.IsPrivate()):
		return errNotPrivate
	case !operator && reach.Unusual(a) != "":
		return errNotPublic
	}
	return nil
}

// synchronise fetches the lists that are due, until ctx ends. One that is slow or fails holds up no other.
func (s *Service) synchronise(ctx context.Context) {
	tick := time.NewTicker(syncTick)
	defer tick.Stop()
	var mu sync.Mutex
	running, next := map[string]bool{}, map[string]time.Time{} // by domain
	begin := func(y Sync) {
		mu.Lock()
		defer mu.Unlock()
		now := time.Now()
		if running[y.Domain] || len(running) >= syncAtOnce || now.Before(next[y.Domain]) || now.Sub(y.Learned) < y.From.Every {
			return
		}
		running[y.Domain] = true
		s.beside.Go(func() {
			pause := y.From.Every
			if !s.sync(ctx, y) {
				pause = max(pause, syncRetry)
			}
			mu.Lock()
			defer mu.Unlock()
			delete(running, y.Domain)
			if len(next) >= maxDomains {
				clear(next)
			}
			next[y.Domain] = time.Now().Add(pause)
		})
	}
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		all, err := s.o.Store.Syncs(ctx, account.System())
		if err != nil && ctx.Err() == nil {
			s.o.Log.ErrorContext(ctx, "lists of recipients cannot be looked for", slog.Any(obs.KeyError, err))
		}
		for i := range all {
			begin(all[i])
		}
	}
}

// sync fetches one list and writes what came of it; false when it could not be fetched.
func (s *Service) sync(ctx context.Context, y Sync) bool {
	before := y.From
	locals, err := s.FetchList(ctx, y.Domain, &y.From)
	result := "same"
	switch {
	case ctx.Err() != nil:
		return false
	case err != nil:
		result, y.From.Problem = "failed", shortened(err.Error())
	default:
		y.Learned, y.From.Problem = time.Now(), ""
		if locals != nil {
			result = "changed"
		}
	}
	s.o.Metrics.VerifySyncs.WithLabelValues(result).Inc()
	if result == "failed" && before.Problem == y.From.Problem {
		return false
	}
	if result == "failed" {
		s.o.Log.WarnContext(ctx, "a list of recipients cannot be fetched", slog.String(obs.KeyDomain, y.Domain), slog.String(obs.KeyError, y.From.Problem))
	}
	if err := s.o.Store.Synced(ctx, account.System(), y, locals != nil, locals); err != nil {
		s.o.Log.ErrorContext(ctx, "a list of recipients cannot be written", slog.String(obs.KeyDomain, y.Domain), slog.Any(obs.KeyError, err))
		return false
	}
	if result == "changed" {
		s.recipients.forget(y.Domain)
	}
	return result != "failed"
}

// forget drops what is at hand of a domain.
func (r *recipients) forget(domain string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for key := range r.answers {
		if strings.HasSuffix(key, "@"+domain) {
			delete(r.answers, key)
		}
	}
}

// shortened cuts what another installation caused to be said.
func shortened(text string) string {
	const most = 300
	return strings.ToValidUTF8(text[:min(len(text), most)], "")
}
