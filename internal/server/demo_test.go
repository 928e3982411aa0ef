package server_test

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"postroad/internal/config"
	"postroad/internal/server"
)

// demoConfig is a configuration on free ports in a folder of its own.
func demoConfig(t *testing.T) config.Config {
	t.Helper()
	cfg := config.Config{DataDir: filepath.Join(t.TempDir(), "data"), Listen: config.Listen{
		SMTP: []string{"127.0.0.1:0"}, Submission: []string{"127.0.0.1:0"}, Submissions: []string{"127.0.0.1:0"}, HTTP: []string{},
		IMAP: []string{}, IMAPS: []string{}, DNS: []string{},
	}}
	cfg.Resolver = config.Resolver{Servers: []string{"127.0.0.1:9"}, Roots: []string{"127.0.0.1:9"}} // nothing of a test asks the world
	return cfg.WithDefaults("mx.test.example")
}

func TestDemoShowsTheMainJobTwiceOnOneFolder(t *testing.T) {
	t.Parallel()
	cfg := demoConfig(t)
	cfg.Listen.DNS = []string{"127.0.0.1:0"}
	for run := range 2 {
		var out, log bytes.Buffer
		s, err := server.Start(t.Context(), cfg, server.Options{Demo: true, Out: &out}, slog.New(slog.NewTextHandler(&log, nil)))
		if err != nil {
			t.Fatalf("run %d: %v\n%s", run, err, log.String())
		}
		s.Stop()
		for _, want := range []string{"250 2.0.0 queued as", "Hello from far away", "info@demo.example is an alias", "Ask it yourself: dig @127.0.0.1 -p ", "MX    10 mx.test.example.", "What to try next"} {
			if !strings.Contains(out.String(), want) {
				t.Errorf("run %d: the demo does not say %q:\n%s", run, want, out.String())
			}
		}
		if strings.Contains(out.String(), "pr_") == (run > 0) {
			t.Errorf("run %d: the first token is shown once, and only once:\n%s", run, out.String())
		}
		if strings.Contains(log.String(), "level=ERROR") {
			t.Errorf("run %d: errors in the log:\n%s", run, log.String())
		}
	}
}

func TestTwoInstancesOnOneFolder(t *testing.T) {
	t.Parallel()
	cfg := demoConfig(t)
	log := slog.New(slog.DiscardHandler)
	s, err := server.Start(t.Context(), cfg, server.Options{}, log)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Stop()
	if _, err := server.Start(t.Context(), cfg, server.Options{}, log); err == nil || strings.Contains(err.Error(), "\n") {
		t.Errorf("a second instance: %v, want one clear line", err)
	}
	if _, err := os.Stat(filepath.Join(cfg.DataDir, config.SocketName)); err != nil {
		t.Errorf("the first one's socket: %v", err)
	}
}
