package archtest

import (
	"fmt"
	"go/ast"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func TestSleeps(t *testing.T)        { hold(t, sleeps) }
func TestFinished(t *testing.T)      { hold(t, unfinished) }
func TestDocumentNames(t *testing.T) { hold(t, documentNames) }

func TestMachinePaths(t *testing.T) {
	here, err := filepath.Abs(root)
	if err != nil {
		t.Fatal(err)
	}
	home, _ := os.UserHomeDir() // without one there is one path less to look for
	hold(t, func(t *tree) []string { return machinePaths(t, here, home) })
}

// sleeps finds tests that wait for the machine's clock. Inside the function given to synctest.Test, time.Sleep
// moves the bubble's own clock and takes no time.
func sleeps(t *tree) []string {
	var found []string
	for _, p := range t.sorted() {
		for _, f := range p.tests() {
			ast.Inspect(f.syntax, func(node ast.Node) bool {
				call, ok := node.(*ast.CallExpr)
				if !ok {
					return true
				}
				if called(call, "synctest", "Test") {
					return false
				}
				if called(call, "time", "Sleep") {
					found = append(found, t.at(call)+": time.Sleep in a test: wait for the event itself, or use testing/synctest")
				}
				return true
			})
		}
	}
	return found
}

// called says whether a call is pkg.name(…).
func called(call *ast.CallExpr, pkg, name string) bool {
	selector, ok := call.Fun.(*ast.SelectorExpr)
	if !ok || selector.Sel.Name != name {
		return false
	}
	left, ok := selector.X.(*ast.Ident)
	return ok && left.Name == pkg
}

// marks are what unfinished work is marked with, written so that this file does not find itself.
var marks = regexp.MustCompile(`\b(` + strings.Join([]string{"TO" + "DO", "FIX" + "ME", "XX" + "X", "HA" + "CK"}, "|") + `)\b`)

// unfinished finds such marks in comments of Go files and anywhere in the other sources.
func unfinished(t *tree) []string {
	var found []string
	for _, p := range t.sorted() {
		for _, f := range p.files {
			for _, group := range f.syntax.Comments {
				for _, comment := range group.List {
					if mark := marks.FindString(comment.Text); mark != "" {
						found = append(found, fmt.Sprintf("%s: %s: finish it, or leave it out", t.at(comment), mark))
					}
				}
			}
		}
	}
	err := t.texts(func(name, text string) {
		if slices.Contains([]string{".sql", ".sh", ".html", ".md", ".toml", ".yml"}, path.Ext(name)) || within(name, "scripts") {
			if mark := marks.FindString(text); mark != "" {
				found = append(found, fmt.Sprintf("%s: %s: finish it, or leave it out", name, mark))
			}
		}
	})
	return withError(found, err)
}

func withError(found []string, err error) []string {
	if err != nil {
		found = append(found, err.Error())
	}
	return found
}

// shared are folders that many machines have; their names give no machine away.
var shared = []string{"/", "/tmp", "/usr/src", "/srv", "/opt", "/home", "/var", "/go/src"}

// machinePaths finds the folder of this checkout, the one above it, and the user's own, in any text.
func machinePaths(t *tree, here, home string) []string {
	var private []string
	for _, folder := range []string{here, filepath.Dir(here), home} {
		folder = strings.TrimSuffix(filepath.ToSlash(folder), "/")
		if folder != "" && !slices.Contains(shared, folder) {
			private = append(private, folder+"/")
		}
	}
	var found []string
	err := t.texts(func(name, text string) {
		for _, folder := range private {
			if strings.Contains(text, folder) {
				found = append(found, fmt.Sprintf("%s: names %s, a path of one machine", name, folder))
				return
			}
		}
	})
	return withError(found, err)
}

var (
	link       = regexp.MustCompile(`\]\(([^)#\s]+)(?:#[^)\s]*)?\)`)
	quotedPath = regexp.MustCompile("`((?:cmd|internal|docs|scripts|tools)/[\\w./-]*\\w)`")
	quotedTest = regexp.MustCompile("`((?:Test|Fuzz)[A-Z]\\w*)`")
)

// documentNames finds links, folders, files and tests that documents name and that do not exist.
func documentNames(t *tree) []string {
	var found []string
	tests := t.testFunctions()
	err := t.texts(func(name, text string) {
		if path.Ext(name) != ".md" {
			return
		}
		for _, match := range link.FindAllStringSubmatch(text, -1) {
			if !strings.Contains(match[1], ":") && !exists(t.fsys, path.Join(path.Dir(name), match[1])) {
				found = append(found, fmt.Sprintf("%s: links to %s, which does not exist", name, match[1]))
			}
		}
		for _, match := range quotedPath.FindAllStringSubmatch(text, -1) {
			if !exists(t.fsys, match[1]) {
				found = append(found, fmt.Sprintf("%s: names %s, which does not exist", name, match[1]))
			}
		}
		for _, match := range quotedTest.FindAllStringSubmatch(text, -1) {
			if tests[match[1]] == "" {
				found = append(found, fmt.Sprintf("%s: names %s, a test that does not exist", name, match[1]))
			}
		}
	})
	return withError(found, err)
}

func TestPlantedSleeps(t *testing.T) {
	catch(t, sleeps, []planted{
		{name: "in a bubble", files: map[string]string{"internal/core/a/a_test.go": `package a
func TestA(t *testing.T) { synctest.Test(t, func(t *testing.T) { time.Sleep(time.Hour) }) }`}},
		{name: "outside", files: map[string]string{
			"internal/core/a/a_test.go": "package a\nfunc TestA(t *testing.T) {\ntime.Sleep(time.Second)\n}",
			"internal/core/a/a.go":      "package a\nfunc f() { time.Sleep(1) }",
		}, want: []string{"a_test.go:3: time.Sleep"}},
	})
}

func TestPlantedMarks(t *testing.T) {
	mark := "TO" + "DO"
	catch(t, unfinished, []planted{
		{name: "finished", files: map[string]string{"internal/core/a/a.go": "package a\n// all done, " + mark + "S is another word\nvar " + mark + " = 1"}},
		{name: "marked", files: map[string]string{
			"internal/core/a/a.go": "package a\n// " + mark + ": more",
			"internal/store/a.sql": "-- " + mark,
			"scripts/fuzz":         "# " + mark,
		}, want: []string{"a.go:2", "a.sql", "scripts/fuzz"}},
	})
}

func TestPlantedMachinePaths(t *testing.T) {
	rule := func(t *tree) []string { return machinePaths(t, "/build/ci/postroad", "/home/somebody") }
	catch(t, rule, []planted{
		{name: "none", files: map[string]string{"README.md": "in /home and /build, or /tmp/x"}},
		{name: "some", files: map[string]string{
			"README.md":                     "cd /build/ci/postroad/docs",
			"docs/a.md":                     "../x is /build/ci/x",
			"internal/core/a/testdata/x.md": "/home/somebody/x",
		}, want: []string{"README.md: names", "docs/a.md: names", "x.md: names"}},
	})
}

func TestPlantedDocumentNames(t *testing.T) {
	code := map[string]string{"internal/core/a/a_test.go": "package a\nfunc TestA() {}"}
	with := func(text string) map[string]string {
		return map[string]string{"internal/core/a/a_test.go": code["internal/core/a/a_test.go"], "docs/a.md": text, "README.md": "x"}
	}
	catch(t, documentNames, []planted{
		{name: "right", files: with("[x](../README.md#head) [y](https://example.org/) `internal/core/a` `TestA` `internal/*`")},
		{name: "wrong", files: with("[x](b.md) `internal/core/b` `TestB` `FuzzC`"), want: []string{"links to b.md", "names internal/core/b", "names TestB", "names FuzzC"}},
	})
}
