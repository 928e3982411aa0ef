package main

import (
	"strings"
	"testing"
)

func FuzzReadImport(f *testing.F) {
	for _, s := range []string{"a@a.example,x\n", "address,password\r\na@a.example,\"x,\"\"y\"\"\"\r\n", "\ufeffa,b,c\n", "\"", ",\n\n,"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		entries, err := (&app{in: strings.NewReader(s)}).readImport("-")
		if err == nil && len(entries) == 0 {
			t.Error("nothing was read and nothing was said")
		}
		for _, e := range entries {
			if e.line < 1 || e.line > strings.Count(s, "\n")+1 {
				t.Errorf("line %d of %q", e.line, s)
			}
		}
	})
}
