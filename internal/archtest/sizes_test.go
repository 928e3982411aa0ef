package archtest

import (
	"fmt"
	"go/ast"
	"slices"
	"strings"
	"testing"
	"time"
)

// Limits of docs/architecture.md. Tests and generated code do not count.
const (
	maxFile      = 800  // lines
	maxFunction  = 120  // lines, flat tables and switches left out
	maxPackage   = 4000 // lines
	maxControl   = 3000 // lines of the package through which everything is changed; its subjects lie below it
	maxInterface = 7    // methods, an embedded interface counting as one
	maxChain     = 12   // packages of ours from the first to the last import
	flatEntry    = 5    // lines; a table or switch whose entries are no longer is flat
)

// An exception lets one thing be larger than its limit. The list may only shrink: an entry that allows more
// than is needed fails, and so does one that is older than half a year.
type exception struct {
	since string // date, such as 2026-11-22
	what  string // as the finding names it
	size  int    // what it measures today
	why   string
}

var exceptions = []exception{}

func TestSizes(t *testing.T) {
	hold(t, func(t *tree) []string { return judge(sizes(t), exceptions, time.Now()) })
}

// A measure is one thing that has a limit.
type measure struct {
	what        string
	size, limit int
	unit        string
}

// judge holds measures against their limits and exceptions against measures.
func judge(measures []measure, exceptions []exception, now time.Time) []string {
	var found []string
	for _, m := range measures {
		allowed := slices.ContainsFunc(exceptions, func(e exception) bool { return e.what == m.what && e.size >= m.size })
		if m.size > m.limit && !allowed {
			found = append(found, fmt.Sprintf("%s: %d %s, more than %d", m.what, m.size, m.unit, m.limit))
		}
	}
	for _, e := range exceptions {
		since, err := time.Parse(time.DateOnly, e.since)
		i := slices.IndexFunc(measures, func(m measure) bool { return m.what == e.what })
		switch {
		case err != nil || now.Sub(since) > 183*24*time.Hour:
			found = append(found, fmt.Sprintf("exception for %s: since %q is over", e.what, e.since))
		case e.why == "":
			found = append(found, fmt.Sprintf("exception for %s: says not why", e.what))
		case i < 0 || measures[i].size <= measures[i].limit:
			found = append(found, fmt.Sprintf("exception for %s: no longer needed", e.what))
		case measures[i].size < e.size:
			found = append(found, fmt.Sprintf("exception for %s: allows %d, needs %d", e.what, e.size, measures[i].size))
		}
	}
	return found
}

// sizes measures everything that has a limit.
func sizes(t *tree) []measure {
	var all []measure
	for _, p := range t.sorted() {
		total := 0
		for _, f := range p.code() {
			if f.generated {
				continue
			}
			lines := t.fset.File(f.syntax.FileStart).LineCount()
			total += lines
			all = append(all, measure{f.name, lines, maxFile, "lines"})
			for _, decl := range f.syntax.Decls {
				switch decl := decl.(type) {
				case *ast.FuncDecl:
					all = append(all, measure{p.path + " " + functionName(decl), t.deep(decl), maxFunction, "lines"})
				case *ast.GenDecl:
					all = append(all, interfaces(p, decl)...)
				}
			}
		}
		limit := maxPackage
		if p.path == "internal/service/control" {
			limit = maxControl
		}
		chain := t.chain(p.path, map[string]bool{})
		all = append(all,
			measure{p.path, total, limit, "lines"},
			measure{"imports " + strings.Join(chain, " > "), len(chain), maxChain, "packages"})
	}
	return all
}

func functionName(decl *ast.FuncDecl) string {
	if decl.Recv == nil || len(decl.Recv.List) == 0 {
		return decl.Name.Name
	}
	receiver := decl.Recv.List[0].Type
	for {
		switch r := receiver.(type) {
		case *ast.StarExpr:
			receiver = r.X
		case *ast.IndexExpr:
			receiver = r.X
		case *ast.Ident:
			return r.Name + "." + decl.Name.Name
		default:
			return decl.Name.Name
		}
	}
}

// deep gives the lines of a function without its flat parts: a switch or table at the top of the body,
// none of whose entries is longer than flatEntry, reads like a list and may be as long as it is.
func (t *tree) deep(decl *ast.FuncDecl) int {
	lines := t.lines(decl)
	if decl.Body == nil {
		return lines
	}
	for _, statement := range decl.Body.List {
		if entries := flatParts(statement); len(entries) > 0 &&
			!slices.ContainsFunc(entries, func(entry ast.Node) bool { return t.lines(entry) > flatEntry+1 }) {
			lines -= t.lines(statement) - 1
		}
	}
	return lines
}

// flatParts gives the entries of a statement that is a switch or a table, else nil.
func flatParts(statement ast.Stmt) []ast.Node {
	var entries []ast.Node
	var value ast.Expr
	switch s := statement.(type) {
	case *ast.SwitchStmt:
		for _, clause := range s.Body.List {
			entries = append(entries, clause)
		}
	case *ast.TypeSwitchStmt:
		for _, clause := range s.Body.List {
			entries = append(entries, clause)
		}
	case *ast.ReturnStmt:
		if len(s.Results) == 1 {
			value = s.Results[0]
		}
	case *ast.AssignStmt:
		if len(s.Rhs) == 1 {
			value = s.Rhs[0]
		}
	}
	if table, ok := value.(*ast.CompositeLit); ok {
		for _, entry := range table.Elts {
			entries = append(entries, entry)
		}
	}
	return entries
}

// interfaces measures the interfaces of a declaration. An embedded interface counts as one line of the contract:
// it is a contract of its own, measured where it stands.
func interfaces(p *pkg, decl *ast.GenDecl) []measure {
	var all []measure
	for _, spec := range decl.Specs {
		named, ok := spec.(*ast.TypeSpec)
		if !ok {
			continue
		}
		if contract, ok := named.Type.(*ast.InterfaceType); ok {
			count := 0
			for _, field := range contract.Methods.List {
				count += max(1, len(field.Names))
			}
			all = append(all, measure{p.path + " " + named.Name.Name, count, maxInterface, "methods"})
		}
	}
	return all
}

// chain gives the longest row of our packages that begins with folder, each importing the next.
func (t *tree) chain(folder string, above map[string]bool) []string {
	p := t.packages[folder]
	if p == nil || above[folder] {
		return nil
	}
	above[folder] = true
	defer delete(above, folder)
	var longest []string
	seen := map[string]bool{}
	for _, f := range p.code() {
		for _, imported := range f.imports {
			target, ok := strings.CutPrefix(imported, module+"/")
			if !ok || seen[target] {
				continue
			}
			seen[target] = true
			if below := t.chain(target, above); len(below) > len(longest) {
				longest = below
			}
		}
	}
	return append([]string{folder}, longest...)
}

func TestPlantedSizes(t *testing.T) {
	now := time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)
	long := "package a\n" + strings.Repeat("//\n", maxFile)
	deep := "package a\nfunc (s *S) F() {\n" + strings.Repeat("_ = 1\n", maxFunction) + "}\ntype S struct{}\n"
	flat := "package a\nfunc f(n int) string {\nswitch n {\n" + strings.Repeat("case 1:\nreturn \"\"\n", maxFunction) + "}\nreturn \"\"\n}\n"
	table := "package a\nfunc f() []int {\nreturn []int{\n" + strings.Repeat("1,\n", 2*maxFunction) + "}\n}\n"
	crooked := "package a\nfunc f(n int) {\nswitch n {\ncase 1:\n" + strings.Repeat("_ = 1\n", maxFunction) + "}\n}\n"
	wide := "package a\nimport \"io\"\ntype W interface { A(); B(); C(); D(); E(); F(); G(); io.Closer }\n"
	narrow := "package a\ntype R interface { A(); B(); C() }\ntype W interface { R; D(); E(); F(); G() }\ntype N interface { ~int | ~string }\n"
	big := map[string]string{}
	for _, name := range []string{"a", "b", "c", "d", "e", "f"} {
		big["internal/core/a/"+name+".go"] = "package a\n" + strings.Repeat("//\n", 700)
	}
	control := map[string]string{}
	for _, name := range []string{"a", "b", "c", "d", "e"} {
		control["internal/service/control/"+name+".go"] = "package control\n" + strings.Repeat("//\n", 610)
		control["internal/service/control/zone/"+name+".go"] = "package zone\n" + strings.Repeat("//\n", 610)
	}
	rule := func(t *tree) []string { return judge(sizes(t), nil, now) }
	catch(t, rule, []planted{
		{name: "long file", files: map[string]string{"internal/core/a/a.go": long}, want: []string{"internal/core/a/a.go: 801 lines"}},
		{name: "long test", files: map[string]string{"internal/core/a/a_test.go": long}},
		{name: "long generated file", files: map[string]string{"internal/core/a/a.go": "// Code generated by stringer; DO NOT EDIT.\n\n" + long}},
		{name: "long function", files: map[string]string{"internal/core/a/a.go": deep}, want: []string{"internal/core/a S.F: 122 lines"}},
		{name: "flat switch", files: map[string]string{"internal/core/a/a.go": flat}},
		{name: "flat table", files: map[string]string{"internal/core/a/a.go": table}},
		{name: "switch with a long case", files: map[string]string{"internal/core/a/a.go": crooked}, want: []string{"internal/core/a f:"}},
		{name: "wide interface", files: map[string]string{"internal/core/a/a.go": wide}, want: []string{"internal/core/a W: 8 methods"}},
		{name: "interface at the limit", files: map[string]string{"internal/core/a/a.go": narrow}},
		{name: "big package", files: big, want: []string{"internal/core/a: 4206 lines"}},
		{name: "control with too many subjects", files: control, want: []string{"internal/service/control: 3055 lines, more than 3000"}},
	})

	links := map[string]string{}
	for i := range maxChain + 1 {
		links[fmt.Sprintf("internal/core/p%02d/p.go", i)] = fmt.Sprintf("package p%02d\nimport _ \"postroad/internal/core/p%02d\"\n", i, i+1)
	}
	catch(t, rule, []planted{{name: "long chain", files: links, want: []string{"imports internal/core/p00 > internal/core/p01"}}})
}

func TestPlantedExceptions(t *testing.T) {
	now := time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)
	measures := []measure{{"a.go", 900, maxFile, "lines"}, {"b.go", 700, maxFile, "lines"}}
	tests := []struct {
		name string
		list []exception
		want string // "" for no finding
	}{
		{"exact", []exception{{"2026-11-01", "a.go", 900, "to be cut"}}, ""},
		{"missing", nil, "a.go: 900 lines, more than 800"},
		{"too generous", []exception{{"2026-11-01", "a.go", 1000, "to be cut"}}, "allows 1000, needs 900"},
		{"outgrown", []exception{{"2026-11-01", "a.go", 850, "to be cut"}}, "a.go: 900 lines"},
		{"not needed", []exception{{"2026-11-01", "a.go", 900, "x"}, {"2026-11-01", "b.go", 900, "x"}}, "exception for b.go: no longer needed"},
		{"old", []exception{{"2026-01-01", "a.go", 900, "to be cut"}}, "is over"},
		{"without a date", []exception{{"", "a.go", 900, "to be cut"}}, "is over"},
		{"without a reason", []exception{{"2026-11-01", "a.go", 900, ""}}, "says not why"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got := strings.Join(judge(measures, test.list, now), "\n")
			if test.want == "" && got != "" || !strings.Contains(got, test.want) {
				t.Errorf("found %q, want %q", got, test.want)
			}
		})
	}
}
