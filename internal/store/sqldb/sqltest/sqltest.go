// Package sqltest is what the stores' tests share: it finds every statement in a package's source, has both engines
// compile them, compares whole databases, shows what row-level security alone hides, and kills a process while it works.
package sqltest

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"postroad/internal/core/account"
	"postroad/internal/store/sqldb"
)

// Statements gives the statements among a package's constants by name: those of type sqldb.Stmt, and those whose
// names end with SQL (both engines) or PG (PostgreSQL alone).
func Statements(tb testing.TB, dir string) map[string]sqldb.Stmt {
	tb.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		tb.Fatal(err)
	}
	values, typed := map[string]ast.Expr{}, map[string]bool{}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
		if err != nil {
			tb.Fatal(err)
		}
		collect(parsed, values, typed)
	}
	out := map[string]sqldb.Stmt{}
	for name, value := range values {
		if typed[name] || strings.HasSuffix(name, "SQL") || strings.HasSuffix(name, "PG") {
			if text, ok := evaluate(value, values); ok {
				out[name] = sqldb.Stmt(text)
			} else {
				tb.Errorf("%s is no constant text", name)
			}
		}
	}
	return out
}

func collect(file *ast.File, values map[string]ast.Expr, typed map[string]bool) {
	for _, decl := range file.Decls {
		consts, ok := decl.(*ast.GenDecl)
		if !ok || consts.Tok != token.CONST {
			continue
		}
		for _, spec := range consts.Specs {
			v, ok := spec.(*ast.ValueSpec)
			if !ok || len(v.Values) != len(v.Names) {
				continue
			}
			for i, name := range v.Names {
				values[name.Name] = v.Values[i]
				if sel, ok := v.Type.(*ast.SelectorExpr); ok && sel.Sel.Name == "Stmt" {
					typed[name.Name] = true
				}
			}
		}
	}
}

func evaluate(e ast.Expr, values map[string]ast.Expr) (string, bool) {
	switch e := e.(type) {
	case *ast.BasicLit:
		s, err := strconv.Unquote(e.Value)
		return s, err == nil && e.Kind == token.STRING
	case *ast.Ident:
		v, ok := values[e.Name]
		if !ok {
			return "", false
		}
		return evaluate(v, values)
	case *ast.BinaryExpr:
		left, ok := evaluate(e.X, values)
		right, also := evaluate(e.Y, values)
		return left + right, ok && also
	case *ast.ParenExpr:
		return evaluate(e.X, values)
	}
	return "", false
}

// Compile has the database's engine compile every statement of the package in dir, in system scope and in an
// account's.
func Compile(tb testing.TB, db *sqldb.DB, dir string) {
	tb.Helper()
	list := Statements(tb, dir)
	if len(list) == 0 {
		tb.Fatal("no statements found")
	}
	for name, stmt := range list {
		if strings.HasSuffix(name, "PG") && db.Engine() != sqldb.Postgres {
			continue
		}
		for _, scope := range []account.Scope{account.System(), account.Of("acc-x")} {
			err := db.Read(tb.Context(), scope, func(tx *sqldb.Tx) error { return tx.Prepare(stmt) })
			if err != nil {
				tb.Errorf("%s: %v", name, err)
			}
		}
	}
}

const (
	liteColumns sqldb.Stmt = `SELECT m.name, c.name FROM sqlite_master m, pragma_table_info(m.name) c
		WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite%' AND m.name NOT LIKE 'goose%' ORDER BY m.name, c.cid`
	pgColumns sqldb.Stmt = `SELECT table_name, column_name FROM information_schema.columns
		WHERE table_schema = current_schema() AND table_name NOT LIKE 'goose%' ORDER BY table_name, ordinal_position`
)

// columns lists the columns of every table.
func columns(tb testing.TB, db *sqldb.DB) map[string][]string {
	tb.Helper()
	stmt := liteColumns
	if db.Engine() == sqldb.Postgres {
		stmt = pgColumns
	}
	out := map[string][]string{}
	err := db.Read(tb.Context(), account.System(), func(tx *sqldb.Tx) error {
		rows, err := tx.Query(stmt)
		if err != nil {
			return err
		}
		for rows.Next() {
			var table, column string
			if rows.Scan(&table, &column) == nil {
				out[table] = append(out[table], column)
			}
		}
		return rows.Close()
	})
	if err != nil {
		tb.Fatal(err)
	}
	return out
}

// Dump is the content of every table as text, to be compared with another.
func Dump(tb testing.TB, db *sqldb.DB) string {
	tb.Helper()
	var lines []string
	for table, names := range columns(tb, db) {
		casts := make([]string, len(names))
		for i, name := range names {
			casts[i] = "coalesce(CAST(" + name + " AS TEXT), 'NULL')"
		}
		stmt := sqldb.Stmt("SELECT " + strings.Join(casts, ", ") + " FROM " + table)
		err := db.Read(tb.Context(), account.System(), func(tx *sqldb.Tx) error {
			rows, err := tx.Query(stmt)
			if err != nil {
				return err
			}
			for rows.Next() {
				values, places := make([]string, len(names)), make([]any, len(names))
				for i := range values {
					places[i] = &values[i]
				}
				if rows.Scan(places...) == nil {
					lines = append(lines, fmt.Sprintf("%s %q", table, values))
				}
			}
			return rows.Close()
		})
		if err != nil {
			tb.Fatal(err)
		}
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// Hidden checks, on PostgreSQL, that statements without any predicate see no row of other accounts, and change none.
// Every table with an account_id must hold rows of accounts that are not in scope.
func Hidden(tb testing.TB, db *sqldb.DB, scope account.Scope) {
	tb.Helper()
	before := Dump(tb, db)
	for table, names := range columns(tb, db) {
		if !slices.Contains(names, "account_id") {
			continue
		}
		count := func(scope account.Scope) (n int) {
			err := db.Read(tb.Context(), scope, func(tx *sqldb.Tx) error {
				_, err := tx.Row([]any{&n}, sqldb.Stmt("SELECT count(*) FROM "+table))
				return err
			})
			if err != nil {
				tb.Fatal(err)
			}
			return n
		}
		if count(account.System()) == 0 {
			tb.Errorf("%s has no rows to hide", table)
		}
		if n := count(scope); n != 0 {
			tb.Errorf("%s shows %d rows of other accounts", table, n)
		}
		err := db.Write(tb.Context(), scope, func(tx *sqldb.Tx) error {
			_, err := tx.Exec(sqldb.Stmt("DELETE FROM " + table))
			return err
		})
		if err != nil {
			tb.Error(err)
		}
	}
	if Dump(tb, db) != before {
		tb.Error("rows of other accounts were deleted")
	}
}
