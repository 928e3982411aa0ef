package archtest

import (
	"flag"
	"fmt"
	"go/doc"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the package tables anew from the package comments")

// tables are the documents that list every package: folder, first sentence of its comment, file to open first.
var tables = []string{"README.md", "docs/architecture.md"}

// The table lies between these two lines.
const (
	tableBegin = "<!-- packages -->"
	tableEnd   = "<!-- /packages -->"
)

func TestPackageComments(t *testing.T) { hold(t, packageComments) }

func TestPackageTables(t *testing.T) {
	if *update {
		our, err := ours()
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range tables {
			text, err := rewritten(our, name)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(root, name), []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	hold(t, packageTables)
}

// comments gives the files of a package that carry a package comment, and the comment's text. A package that
// consists of tests alone may say what it is in one of them.
func (p *pkg) comments() (files []*file, text string) {
	all := p.code()
	if len(all) == 0 {
		all = p.tests()
	}
	for _, f := range all {
		if comment := f.syntax.Doc.Text(); comment != "" {
			files, text = append(files, f), comment
		}
	}
	return files, text
}

// packageComments finds packages without a comment, with several, or with one that begins in another way.
func packageComments(t *tree) []string {
	var found []string
	for _, p := range t.sorted() {
		files, text := p.comments()
		if len(files) != 1 {
			found = append(found, fmt.Sprintf("%s: %d package comments, want one", p.path, len(files)))
			continue
		}
		begin := "Package " + files[0].syntax.Name.Name + " "
		if files[0].syntax.Name.Name == "main" {
			begin = "Command " + path.Base(p.path) + " "
		}
		if !strings.HasPrefix(text, begin) {
			found = append(found, fmt.Sprintf("%s: the package comment begins otherwise than %q", files[0].name, begin))
		} else if !strings.HasSuffix((&doc.Package{}).Synopsis(text), ".") {
			found = append(found, files[0].name+": the package comment's first sentence has no end")
		}
	}
	return found
}

// oneLine gives what the table says of a package: its first sentence without the name, the full stop and the
// brackets of links that only go doc follows.
func (p *pkg) oneLine() string {
	_, text := p.comments()
	words := strings.SplitN((&doc.Package{}).Synopsis(text), " ", 3)
	sentence := docLink.ReplaceAllString(words[len(words)-1], "$1")
	return strings.ReplaceAll(strings.TrimSuffix(sentence, "."), "|", `\|`)
}

var docLink = regexp.MustCompile(`\[([\w.]+)\]`)

// listed gives the rows of the package table of a document by package, and whether there is a table.
func (t *tree) listed(name string) (map[string][]string, bool) {
	_, rest, begins := strings.Cut(t.document(name), tableBegin)
	table, _, ends := strings.Cut(rest, tableEnd)
	all := map[string][]string{}
	for _, row := range rows(table) {
		if len(row) == 3 && row[0] != "package" {
			all[strings.Trim(row[0], "`")] = row
		}
	}
	return all, begins && ends
}

// packageTables finds differences between the package tables and the packages.
func packageTables(t *tree) []string {
	var found []string
	for _, name := range tables {
		table, ok := t.listed(name)
		if !ok {
			found = append(found, name+": has no package table")
			continue
		}
		for _, p := range t.sorted() {
			row, ok := table[p.path]
			delete(table, p.path)
			switch {
			case !ok:
				found = append(found, fmt.Sprintf("%s: %s is missing", name, p.path))
			case row[1] != p.readable():
				found = append(found, fmt.Sprintf("%s: %s: the table says %q, the package %q", name, p.path, row[1], p.readable()))
			case !slices.ContainsFunc(p.files, func(f *file) bool { return path.Base(f.name) == strings.Trim(row[2], "`") }):
				found = append(found, fmt.Sprintf("%s: %s: there is no file %s to open first", name, p.path, row[2]))
			}
		}
		for gone := range table {
			found = append(found, fmt.Sprintf("%s: there is no package %s", name, gone))
		}
	}
	slices.Sort(found)
	return found
}

// readable is oneLine as rows gives it back.
func (p *pkg) readable() string { return strings.ReplaceAll(p.oneLine(), `\|`, "|") }

// rewritten gives a document with its package table as the packages are. The file to open first stays as it is
// while it exists; a new row gets the file with the package's name, else the one with the package comment.
func rewritten(t *tree, name string) (string, error) {
	text := t.document(name)
	head, rest, begins := strings.Cut(text, tableBegin)
	_, tail, ends := strings.Cut(rest, tableEnd)
	if !begins || !ends {
		return "", fmt.Errorf("%s: no %s and %s", name, tableBegin, tableEnd)
	}
	before, _ := t.listed(name)
	var b strings.Builder
	b.WriteString(head + tableBegin + "\n| package | one line | open first |\n|---|---|---|\n")
	for _, p := range t.sorted() {
		first := ""
		if row, ok := before[p.path]; ok {
			first = strings.Trim(row[2], "`")
		}
		if !p.has(first) {
			first = path.Base(p.path) + ".go"
		}
		if files, _ := p.comments(); !p.has(first) && len(files) > 0 {
			first = path.Base(files[0].name)
		}
		fmt.Fprintf(&b, "| `%s` | %s | `%s` |\n", p.path, p.oneLine(), first)
	}
	b.WriteString(tableEnd + tail)
	return b.String(), nil
}

func (p *pkg) has(name string) bool {
	return slices.ContainsFunc(p.files, func(f *file) bool { return path.Base(f.name) == name })
}

func TestPlantedPackageComments(t *testing.T) {
	catch(t, packageComments, []planted{
		{name: "right", files: map[string]string{
			"internal/core/a/a.go":      "// Package a is small. It is more.\npackage a",
			"internal/core/a/b.go":      "package a",
			"internal/core/a/a_test.go": "package a_test",
			"cmd/postroad/main.go":      "// Command postroad is the program.\npackage main",
			"internal/only/a_test.go":   "// Package only holds rules.\npackage only",
		}},
		{name: "wrong", files: map[string]string{
			"internal/core/none/a.go":  "package none",
			"internal/core/two/a.go":   "// Package two is a.\npackage two",
			"internal/core/two/b.go":   "// Package two is b.\npackage two",
			"internal/core/other/a.go": "// Here is a package.\npackage other",
			"internal/core/open/a.go":  "// Package open has no end\npackage open",
		}, want: []string{"none: 0 package comments", "two: 2 package comments", "other/a.go: the package comment begins", "open/a.go: the package comment's first sentence"}},
	})
}

func TestPlantedPackageTables(t *testing.T) {
	const code = "// Package a keeps [a]|b. More.\npackage a"
	table := func(rows string) string {
		return "# Title\n\n" + tableBegin + "\n| package | one line | open first |\n|---|---|---|\n" + rows + tableEnd + "\n\nEnd\n"
	}
	right := table("| `internal/core/a` | keeps a\\|b | `a.go` |\n")
	tree := func(readme, architecture string) map[string]string {
		return map[string]string{"internal/core/a/a.go": code, "README.md": readme, "docs/architecture.md": architecture}
	}
	catch(t, packageTables, []planted{
		{name: "equal", files: tree(right, right)},
		{name: "no table", files: tree("", right), want: []string{"README.md: has no package table"}},
		{name: "missing row", files: tree(right, table("")), want: []string{"docs/architecture.md: internal/core/a is missing"}},
		{name: "other sentence", files: tree(right, table("| `internal/core/a` | keeps c | `a.go` |\n")), want: []string{`the table says "keeps c", the package "keeps a|b"`}},
		{name: "no such file", files: tree(right, table("| `internal/core/a` | keeps a\\|b | `z.go` |\n")), want: []string{"no file `z.go`"}},
		{name: "no such package", files: tree(right, table("| `internal/core/a` | keeps a\\|b | `a.go` |\n| `internal/core/b` | x | `b.go` |\n")), want: []string{"there is no package internal/core/b"}},
	})
	t.Run("rewritten", func(t *testing.T) {
		for _, old := range []string{"", "| `internal/core/a` | old | `gone.go` |\n| `internal/core/b` | x | `b.go` |\n"} {
			small := plant(t, tree(table(old), right))
			got, err := rewritten(small, "README.md")
			if err != nil || got != right {
				t.Errorf("rewritten gives %v:\n%s\nwant:\n%s", err, got, right)
			}
		}
	})
}
