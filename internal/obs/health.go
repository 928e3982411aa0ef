package obs

import (
	"context"
	"net/http"
	"sync"
	"time"
)

// checkTimeout bounds all checks of one request together.
const checkTimeout = 5 * time.Second

// Health tells whether the program lives and whether it can take work. The zero value is alive and not ready.
type Health struct {
	mu     sync.Mutex
	ready  bool
	why    string
	checks []check
}

type check struct {
	name string
	ask  func(ctx context.Context) error
}

// Check adds a condition of readiness; its error is shown to whoever asks, so it tells no secrets.
func (h *Health) Check(name string, ask func(ctx context.Context) error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.checks = append(h.checks, check{name, ask})
}

// Ready says that start-up is over.
func (h *Health) Ready() { h.set(true, "") }

// NotReady says why no new work is wanted: "starting", "draining".
func (h *Health) NotReady(why string) { h.set(false, why) }

func (h *Health) set(ready bool, why string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ready, h.why = ready, why
}

// Healthz answers 200 as long as the process serves requests.
func (h *Health) Healthz(w http.ResponseWriter, _ *http.Request) { plain(w, http.StatusOK, "ok") }

// Readyz answers 200 when start-up is over and every check passes, else 503 with the first reason.
func (h *Health) Readyz(w http.ResponseWriter, r *http.Request) {
	h.mu.Lock()
	ready, why, checks := h.ready, h.why, h.checks
	h.mu.Unlock()
	if !ready {
		if why == "" {
			why = "starting"
		}
		plain(w, http.StatusServiceUnavailable, why)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), checkTimeout)
	defer cancel()
	for _, c := range checks {
		if err := c.ask(ctx); err != nil {
			plain(w, http.StatusServiceUnavailable, c.name+": "+err.Error())
			return
		}
	}
	plain(w, http.StatusOK, "ready")
}

func plain(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(text + "\n"))
}
