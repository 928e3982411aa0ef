package control_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"postroad/internal/core/account"
	"postroad/internal/store/sqldb"
)

// statements are the package's constants of type sqldb.Stmt, by name, read from its source.
func statements(t *testing.T) map[string]sqldb.Stmt {
	t.Helper()
	found := map[string]sqldb.Stmt{}
	files, err := os.ReadDir(".")
	must(t, err)
	for _, f := range files {
		if !strings.HasSuffix(f.Name(), ".go") || strings.HasSuffix(f.Name(), "_test.go") {
			continue
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), f.Name(), nil, parser.SkipObjectResolution)
		must(t, err)
		ast.Inspect(parsed, func(n ast.Node) bool {
			spec, ok := n.(*ast.ValueSpec)
			if !ok {
				return true
			}
			kind, ok := spec.Type.(*ast.SelectorExpr)
			if !ok || kind.Sel.Name != "Stmt" {
				return true
			}
			text, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
			must(t, err)
			found[spec.Names[0].Name] = sqldb.Stmt(text)
			return true
		})
	}
	if len(found) < 40 {
		t.Fatalf("only %d statements found", len(found))
	}
	return found
}

var (
	parameter = regexp.MustCompile(`\$([0-9]+)`)
	listed    = regexp.MustCompile(`@in\([a-z_.]+, \$([0-9]+)\)`)
)

// arguments are some that every engine takes for a statement.
func arguments(stmt sqldb.Stmt) []any {
	highest := 0
	for _, m := range parameter.FindAllStringSubmatch(string(stmt), -1) {
		n, _ := strconv.Atoi(m[1]) // the expression lets digits through only
		highest = max(highest, n)
	}
	args := make([]any, highest)
	for i := range args {
		args[i] = "0" // a text, a number, octets and false
	}
	for _, m := range listed.FindAllStringSubmatch(string(stmt), -1) {
		n, _ := strconv.Atoi(m[1]) // as above
		args[n-1] = []string{"x"}
	}
	return args
}

func TestEveryStatementIsTakenByBothEngines(t *testing.T) {
	list := statements(t)
	engines(t, func(w *world) {
		t := w.t
		for name, stmt := range list {
			for _, scope := range []account.Scope{system, account.Of("a", "b")} {
				err := w.db.Read(t.Context(), scope, func(tx *sqldb.Tx) error {
					rows, err := tx.Query("EXPLAIN "+stmt, arguments(stmt)...)
					if err != nil {
						return err
					}
					return rows.Close()
				})
				if err != nil {
					t.Errorf("%s: %v", name, err)
				}
			}
		}
	})
}

// Every statement over rows of accounts keeps to the scope; only what is inserted is checked before.
func TestEveryStatementCarriesTheScope(t *testing.T) {
	for name, stmt := range statements(t) {
		text := string(stmt)
		plain := strings.HasPrefix(text, "INSERT") && !strings.Contains(text, "ON CONFLICT")
		ours := strings.Contains(text, "FROM configuration") || strings.HasPrefix(text, "UPDATE configuration")
		if plain || ours {
			continue
		}
		if !strings.Contains(text, "@scope(") {
			t.Errorf("%s: %s", name, fmt.Sprintf("%.80s", text))
		}
	}
}
