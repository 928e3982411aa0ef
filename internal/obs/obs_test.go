package obs_test

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"postroad/internal/obs"
)

var update = flag.Bool("update", false, "write the reference page instead of comparing it")

func TestMetricsPageIsTheTable(t *testing.T) {
	t.Parallel()
	page := filepath.Join("..", "..", "docs", "reference", "metrics.md")
	if *update {
		if err := os.WriteFile(page, []byte(obs.Reference()), 0o644); err != nil { //nolint:gosec // a page for everybody
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	if string(text) != obs.Reference() {
		t.Error("docs/reference/metrics.md differs from the table; run go test ./internal/obs -update")
	}
}

func TestDefinitionsAreWellFormed(t *testing.T) {
	t.Parallel()
	name := regexp.MustCompile(`^postroad_[a-z]+(_[a-z]+)*$`)
	seen := map[string]bool{}
	for _, d := range obs.Definitions() {
		if !name.MatchString(d.Name) || seen[d.Name] {
			t.Errorf("name %q", d.Name)
		}
		seen[d.Name] = true
		if !strings.HasSuffix(d.Help, ".") {
			t.Errorf("%s: help is no sentence", d.Name)
		}
		if (d.Kind == obs.Counter) != strings.HasSuffix(d.Name, "_total") {
			t.Errorf("%s: only counters end in _total", d.Name)
		}
		if !slices.Contains([]obs.Kind{obs.Counter, obs.Gauge, obs.Histogram}, d.Kind) {
			t.Errorf("%s: kind %q", d.Name, d.Kind)
		}
	}
}

func TestHandlerServesWhatWasCounted(t *testing.T) {
	t.Parallel()
	m := obs.NewMetrics()
	m.MessagesReceived.WithLabelValues("smtp").Add(3)
	m.AcceptSeconds.Observe(0.01)
	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	for _, want := range []string{`postroad_messages_received_total{listener="smtp"} 3`, "postroad_accept_seconds_count 1", "go_goroutines"} {
		if !strings.Contains(w.Body.String(), want) {
			t.Errorf("no %q", want)
		}
	}
	sums, err := m.Gather()
	if err != nil || sums["postroad_messages_received_total"] != 3 || sums["postroad_accept_seconds"] != 1 {
		t.Errorf("%v %v", sums, err)
	}
}

func TestReadyz(t *testing.T) {
	t.Parallel()
	var h obs.Health
	var down error
	h.Check("store", func(context.Context) error { return down })
	ask := func() (int, string) {
		w := httptest.NewRecorder()
		h.Readyz(w, httptest.NewRequest(http.MethodGet, "/readyz", nil))
		return w.Code, strings.TrimSpace(w.Body.String())
	}
	if code, why := ask(); code != 503 || why != "starting" {
		t.Errorf("%d %s", code, why)
	}
	h.Ready()
	if code, why := ask(); code != 200 || why != "ready" {
		t.Errorf("%d %s", code, why)
	}
	down = errors.New("disk is full")
	if code, why := ask(); code != 503 || why != "store: disk is full" {
		t.Errorf("%d %s", code, why)
	}
	h.NotReady("draining")
	if code, why := ask(); code != 503 || why != "draining" {
		t.Errorf("%d %s", code, why)
	}
	w := httptest.NewRecorder()
	h.Healthz(w, httptest.NewRequest(http.MethodGet, "/healthz", nil))
	if w.Code != 200 {
		t.Errorf("healthz: %d", w.Code)
	}
}

func TestLogger(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	level, err := obs.ParseLevel("WARN")
	if err != nil {
		t.Fatal(err)
	}
	log := obs.NewLogger(&out, level)
	log.Info("not shown")
	log.Warn("lane is down", slog.String(obs.KeyQueueID, "0x"))
	if got := out.String(); !strings.Contains(got, `level=WARN msg="lane is down" queue_id=0x`) || strings.Contains(got, "not shown") {
		t.Error(got)
	}
	if _, err := obs.ParseLevel("loud"); err == nil {
		t.Error("loud is a level")
	}
}
