package boxlist

import (
	"strings"
	"testing"
)

func FuzzRead(f *testing.F) {
	for _, s := range []string{"a@a.example,x\n", "address,password\r\na@a.example,\"x,\"\"y\"\"\"\r\n", "\ufeffa,b,c\n", "\"", ",\n\n,"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		entries, err := Read(strings.NewReader(s))
		if err == nil && len(entries) == 0 {
			t.Error("nothing was read and nothing was said")
		}
		for _, e := range entries {
			if e.Line < 1 || e.Line > strings.Count(s, "\n")+1 {
				t.Errorf("line %d of %q", e.Line, s)
			}
		}
	})
}
