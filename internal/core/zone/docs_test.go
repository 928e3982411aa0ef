package zone

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

func TestRulesAreInTheDocuments(t *testing.T) {
	page, err := os.ReadFile("../../../docs/zone-rules.md")
	if err != nil {
		t.Fatal(err)
	}
	var want strings.Builder
	for _, r := range Rules() {
		what := string(r.Severity)
		if structural[r.Name] {
			what += ", copies too"
		}
		fmt.Fprintf(&want, "| `%s` | %s | %s |\n", r.Name, what, r.Why)
	}
	_, rest, _ := strings.Cut(string(page), "<!-- rules -->\n")
	_, rest, _ = strings.Cut(rest, "|---|---|---|\n")
	if have, _, ok := strings.Cut(rest, "<!-- /rules -->"); !ok || have != want.String() {
		t.Errorf("docs/zone-rules.md has other rules than the program; it wants\n%s", want.String())
	}
}
