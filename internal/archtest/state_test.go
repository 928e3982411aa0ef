package archtest

import (
	"fmt"
	"go/ast"
	"go/token"
	"go/types"
	"slices"
	"testing"
)

func TestState(t *testing.T) { hold(t, state) }
func TestClock(t *testing.T) { hold(t, clock) }

// state finds init functions, package variables that are written at run time, and package variables made to change.
// Sentinel errors, compiled patterns and tables that nobody writes are what a package variable is for.
func state(t *tree) []string {
	var found []string
	for _, p := range t.sorted() {
		for _, f := range p.code() {
			for _, decl := range f.syntax.Decls {
				switch decl := decl.(type) {
				case *ast.FuncDecl:
					if decl.Recv == nil && decl.Name.Name == "init" {
						found = append(found, fmt.Sprintf("%s: init: parts are joined in internal/server, by hand", t.at(decl)))
					}
				case *ast.GenDecl:
					for _, spec := range decl.Specs {
						if value, ok := spec.(*ast.ValueSpec); ok && decl.Tok == token.VAR && p.changeable(value) {
							found = append(found, fmt.Sprintf("%s: %s: a package variable made to change", t.at(value), value.Names[0].Name))
						}
					}
				}
			}
			ast.Inspect(f.syntax, func(node ast.Node) bool {
				for _, written := range writes(node) {
					if v := p.packageVariable(written); v != nil {
						found = append(found, fmt.Sprintf("%s: %s: a package variable is written at run time", t.at(node), v.Name()))
					}
				}
				return true
			})
		}
	}
	return found
}

// writes gives the expressions that a node writes to or hands out for writing.
func writes(node ast.Node) []ast.Expr {
	switch node := node.(type) {
	case *ast.AssignStmt:
		if node.Tok != token.DEFINE {
			return node.Lhs
		}
	case *ast.IncDecStmt:
		return []ast.Expr{node.X}
	case *ast.RangeStmt:
		if node.Tok == token.ASSIGN {
			return []ast.Expr{node.Key, node.Value}
		}
	case *ast.UnaryExpr:
		if _, literal := node.X.(*ast.CompositeLit); node.Op == token.AND && !literal {
			return []ast.Expr{node.X}
		}
	case *ast.CallExpr:
		name, ok := node.Fun.(*ast.Ident)
		if ok && len(node.Args) > 0 && slices.Contains([]string{"delete", "clear", "copy"}, name.Name) {
			return node.Args[:1]
		}
	}
	return nil
}

// packageVariable gives the variable at the root of an expression if a package owns it, else nil.
func (p *pkg) packageVariable(expr ast.Expr) *types.Var {
	for {
		switch e := expr.(type) {
		case *ast.ParenExpr:
			expr = e.X
		case *ast.IndexExpr:
			expr = e.X
		case *ast.SliceExpr:
			expr = e.X
		case *ast.StarExpr:
			expr = e.X
		case *ast.SelectorExpr:
			if v := p.owned(e.Sel); v != nil {
				return v
			}
			expr = e.X
		case *ast.Ident:
			return p.owned(e)
		default:
			return nil
		}
	}
}

func (p *pkg) owned(name *ast.Ident) *types.Var {
	v, ok := p.info.Uses[name].(*types.Var)
	if !ok || v.Pkg() == nil || v.Parent() != v.Pkg().Scope() {
		return nil
	}
	return v
}

// changeable says whether a variable's own type means change: locks, atomics, channels. A sync.Pool is none
// of them: what it holds can be seen by nobody.
func (p *pkg) changeable(spec *ast.ValueSpec) bool {
	exprs := slices.Clone(spec.Values)
	if spec.Type != nil {
		exprs = append(exprs, spec.Type)
	}
	return slices.ContainsFunc(exprs, func(expr ast.Expr) bool {
		switch e := expr.(type) {
		case *ast.CompositeLit:
			expr = e.Type
		case *ast.CallExpr:
			if name, ok := e.Fun.(*ast.Ident); ok && name.Name == "make" && len(e.Args) > 0 {
				expr = e.Args[0]
			}
		}
		if _, ok := expr.(*ast.ChanType); ok {
			return true
		}
		if index, ok := expr.(*ast.IndexExpr); ok { // atomic.Pointer[T]
			expr = index.X
		}
		from, name := p.selected(expr)
		return from == "sync/atomic" ||
			from == "sync" && slices.Contains([]string{"Mutex", "RWMutex", "Map", "Once", "WaitGroup", "Cond"}, name)
	})
}

// selected gives import path and name of an expression like time.Now; "" where it is none.
func (p *pkg) selected(expr ast.Expr) (from, name string) {
	selector, ok := expr.(*ast.SelectorExpr)
	if !ok {
		return "", ""
	}
	left, ok := selector.X.(*ast.Ident)
	if !ok {
		return "", ""
	}
	imported, ok := p.info.Uses[left].(*types.PkgName)
	if !ok {
		return "", ""
	}
	return imported.Imported().Path(), selector.Sel.Name
}

// clocks are the names of package time that read or wait for the machine's clock.
var clocks = []string{"Now", "Since", "Until", "Sleep", "After", "AfterFunc", "Tick", "NewTimer", "NewTicker"}

// clock finds core and proto looking at the clock, and core starting a goroutine.
func clock(t *tree) []string {
	var found []string
	for _, p := range t.sorted() {
		core := within(p.path, "internal/core")
		if !core && !within(p.path, "internal/proto") || support(p.path) {
			continue
		}
		for _, f := range p.code() {
			ast.Inspect(f.syntax, func(node ast.Node) bool {
				if _, ok := node.(*ast.GoStmt); ok && core {
					found = append(found, t.at(node)+": core starts no goroutine")
				}
				if expr, ok := node.(*ast.SelectorExpr); ok {
					if from, name := p.selected(expr); from == "time" && slices.Contains(clocks, name) {
						found = append(found, fmt.Sprintf("%s: time.%s: time is an argument of core and proto", t.at(node), name))
					}
				}
				return true
			})
		}
	}
	return found
}

func TestPlantedState(t *testing.T) {
	catch(t, state, []planted{
		{name: "right", files: map[string]string{"internal/core/a/a.go": `package a
import ("errors"; "regexp"; "sync")
var ErrGone = errors.New("gone")
var pattern = regexp.MustCompile("x")
var table = map[string]int{"a": 1}
var buffers = sync.Pool{New: func() any { return new([]byte) }}
var load = sync.OnceValue(func() int { return table["a"] })
type T struct{ table map[string]int; n int }
func (t *T) Set() { t.table["a"] = 1; t.n++; table := 1; table++; _ = &table; _ = &T{} }
`}},
		{name: "init", files: map[string]string{"internal/core/a/a.go": "package a\nfunc init() {}"}, want: []string{"a.go:2: init:"}},
		{name: "written", files: map[string]string{
			"internal/core/a/a.go": `package a
var count int
var Table = map[string]int{}
var shared = &struct{ n int }{}
func f(p *int) {}
func g() { count++; Table["a"] = 1; shared.n = 2; delete(Table, "a"); f(&count) }
`,
			"internal/core/b/b.go": "package b\nimport \"postroad/internal/core/a\"\nfunc g() { a.Table = nil }",
		}, want: []string{"a.go:6: count", "a.go:6: Table", "a.go:6: shared", "a.go:6: Table", "a.go:6: count", "b.go:3: Table"}},
		{name: "made to change", files: map[string]string{"internal/service/a/a.go": `package a
import ("sync"; "sync/atomic")
var lock sync.Mutex
var count atomic.Int64
var current atomic.Pointer[int]
var events = make(chan int)
`}, want: []string{"lock:", "count:", "current:", "events:"}},
	})
}

func TestPlantedClock(t *testing.T) {
	catch(t, clock, []planted{
		{name: "time as an argument", files: map[string]string{
			"internal/core/a/a.go":      "package a\nimport \"time\"\nfunc f(now time.Time) time.Time { return now.Add(time.Hour) }",
			"internal/core/a/a_test.go": "package a\nimport \"time\"\nvar _ = time.Now",
			"internal/service/a/a.go":   "package a\nimport \"time\"\nfunc f() { go f(); _ = time.Now() }",
		}},
		{name: "clock in core and proto", files: map[string]string{
			"internal/core/a/a.go":  "package a\nimport stdtime \"time\"\nfunc f() { go f(); _ = stdtime.Now() }",
			"internal/proto/a/a.go": "package a\nimport \"time\"\nvar f = time.Since",
		}, want: []string{"core starts no goroutine", "time.Now:", "time.Since:"}},
	})
}
