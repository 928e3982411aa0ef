package obs

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestWhatGoesWrongManyTimesIsToldRarely(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b bytes.Buffer
		log := slog.New(slog.NewTextHandler(&b, nil))
		var r Rarely
		for range 1000 { // ten seconds
			r.Warn(t.Context(), log, "no more files", "listener", "dns")
			time.Sleep(10 * time.Millisecond)
		}
		lines := strings.Split(strings.TrimSpace(b.String()), "\n")
		if len(lines) != 2 || !strings.Contains(lines[0], "listener=dns count=1") || !strings.Contains(lines[1], "count=500") {
			t.Errorf("%q", lines)
		}
	})
}
