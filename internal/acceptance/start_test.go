package acceptance

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestAPortInUseLeavesNoHalfStart starts the server while somebody else has one of its ports.
func TestAPortInUseLeavesNoHalfStart(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		address func(*instance) string
	}{
		{"listener smtp", func(i *instance) string { return i.smtp }},
		{"listener http", func(i *instance) string { return i.http }},
	} {
		i := prepareInstance(t, t.TempDir(), "")
		l, err := net.Listen("tcp", c.address(i))
		if err != nil {
			t.Fatal(err)
		}
		_, errs, code := i.try("serve", "--config", filepath.Join(i.dir, "postroad.toml"))
		_ = l.Close()
		if code != 1 || !strings.Contains(errs, c.name) || !strings.Contains(errs, "address already in use") || strings.Count(errs, "\n") != 1 {
			t.Errorf("%s: exit %d\n%s", c.name, code, errs)
		}
		if _, err := os.Stat(filepath.Join(i.data, "control.db")); err == nil {
			t.Errorf("%s: a database was made", c.name)
		}
	}
}
