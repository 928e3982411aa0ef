package archtest

import (
	"bytes"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
)

// module is the module path, which stands before every import of ours.
const module = "postroad"

// root is the repository, seen from the folder a test runs in.
const root = "../.."

// A rule looks at a tree and says what is wrong with it, one sentence per finding.
type rule func(*tree) []string

// A tree is the parsed source of a repository: all Go files outside testdata and nested modules.
type tree struct {
	fsys     fs.FS
	fset     *token.FileSet
	packages map[string]*pkg // by folder, such as "internal/core/mail"
}

type pkg struct {
	path  string
	files []*file
	// types and info belong to the files that are no tests. Imports from outside the tree are empty
	// packages there: names resolve, foreign types do not.
	types *types.Package
	info  *types.Info
}

type file struct {
	name      string // from the root of the tree
	test      bool
	generated bool
	source    []byte
	syntax    *ast.File
	imports   []string
}

// ours is the repository this test lies in, read once.
var ours = sync.OnceValues(func() (*tree, error) { return load(os.DirFS(root)) })

// load reads the tree that begins at fsys.
func load(fsys fs.FS) (*tree, error) {
	t := &tree{fsys: fsys, fset: token.NewFileSet(), packages: map[string]*pkg{}}
	err := fs.WalkDir(fsys, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			if name != "." && (skipped(entry.Name()) || exists(fsys, path.Join(name, "go.mod"))) {
				return fs.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(name, ".go") {
			return nil
		}
		return t.add(name)
	})
	if err != nil {
		return nil, err
	}
	for folder := range t.packages {
		t.check(folder)
	}
	return t, nil
}

// skipped says which folders hold no source of ours.
func skipped(folder string) bool {
	return folder == "testdata" || folder == "bin" || folder == "postroad-data" ||
		strings.HasPrefix(folder, ".") || strings.HasPrefix(folder, "_")
}

func exists(fsys fs.FS, name string) bool {
	_, err := fs.Stat(fsys, name)
	return err == nil
}

func (t *tree) add(name string) error {
	source, err := fs.ReadFile(t.fsys, name)
	if err != nil {
		return err
	}
	syntax, err := parser.ParseFile(t.fset, name, source, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return fmt.Errorf("parse: %w", err)
	}
	f := &file{
		name: name, test: strings.HasSuffix(name, "_test.go"), generated: ast.IsGenerated(syntax),
		source: source, syntax: syntax,
	}
	for _, spec := range syntax.Imports {
		imported, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			return err
		}
		f.imports = append(f.imports, imported)
	}
	folder := path.Dir(name)
	if t.packages[folder] == nil {
		t.packages[folder] = &pkg{path: folder}
	}
	t.packages[folder].files = append(t.packages[folder].files, f)
	return nil
}

// check resolves the names of a package and of those of ours that it imports.
func (t *tree) check(folder string) *types.Package {
	p := t.packages[folder]
	if p == nil {
		return nil
	}
	if p.types != nil {
		return p.types
	}
	p.types = types.NewPackage(module+"/"+folder, path.Base(folder)) // ends an import cycle
	p.info = &types.Info{Defs: map[*ast.Ident]types.Object{}, Uses: map[*ast.Ident]types.Object{}}
	var syntax []*ast.File
	for _, f := range p.code() {
		syntax = append(syntax, f.syntax)
	}
	// Foreign types are unknown here, so errors say nothing.
	config := types.Config{Importer: treeImporter{t}, Error: func(error) {}}
	p.types, _ = config.Check(module+"/"+folder, t.fset, syntax, p.info)
	return p.types
}

// treeImporter gives packages of the tree as they are and all others as empty ones.
type treeImporter struct{ t *tree }

func (i treeImporter) Import(imported string) (*types.Package, error) {
	if folder, ok := strings.CutPrefix(imported, module+"/"); ok {
		if p := i.t.check(folder); p != nil {
			return p, nil
		}
		return nil, errors.New("no such package")
	}
	p := types.NewPackage(imported, packageName(imported))
	p.MarkComplete()
	return p, nil
}

// packageName guesses the name of a package from its path: the last element that is no version.
func packageName(imported string) string {
	base := path.Base(imported)
	if len(base) > 1 && base[0] == 'v' && strings.Trim(base[1:], "0123456789") == "" {
		base = path.Base(path.Dir(imported))
	}
	return base
}

// sorted gives the packages in the order of their folders.
func (t *tree) sorted() []*pkg {
	var all []*pkg
	for _, p := range t.packages {
		all = append(all, p)
	}
	slices.SortFunc(all, func(a, b *pkg) int { return strings.Compare(a.path, b.path) })
	return all
}

// code gives the files that are no tests.
func (p *pkg) code() []*file {
	return slices.DeleteFunc(slices.Clone(p.files), func(f *file) bool { return f.test })
}

// tests gives the test files.
func (p *pkg) tests() []*file {
	return slices.DeleteFunc(slices.Clone(p.files), func(f *file) bool { return !f.test })
}

// support says whether a package exists for tests only: sim, conformance suites ("queuetest") and this one.
func support(folder string) bool {
	return within(folder, "internal/sim") || within(folder, "internal/acceptance") || strings.HasSuffix(folder, "test")
}

// within says whether folder is the given one or lies below it.
func within(folder, above string) bool {
	return folder == above || strings.HasPrefix(folder, above+"/")
}

// at gives file and line of a node for a finding.
func (t *tree) at(node ast.Node) string {
	position := t.fset.Position(node.Pos())
	return fmt.Sprintf("%s:%d", position.Filename, position.Line)
}

// lines gives how many lines a node takes.
func (t *tree) lines(node ast.Node) int {
	return t.fset.Position(node.End()).Line - t.fset.Position(node.Pos()).Line + 1
}

// hold runs a rule over the repository.
func hold(t *testing.T, r rule) {
	t.Helper()
	our, err := ours()
	if err != nil {
		t.Fatal(err)
	}
	for _, finding := range r(our) {
		t.Error(finding)
	}
}

// planted is a small tree and what a rule must find in it.
type planted struct {
	name  string
	files map[string]string
	want  []string // one fragment per finding; none for a tree that is right
}

// plant makes a tree of files that exist nowhere else.
func plant(t *testing.T, files map[string]string) *tree {
	t.Helper()
	fsys := fstest.MapFS{}
	for name, text := range files {
		fsys[name] = &fstest.MapFile{Data: []byte(text)}
	}
	small, err := load(fsys)
	if err != nil {
		t.Fatal(err)
	}
	return small
}

// catch shows that a rule finds what was planted, and nothing else.
func catch(t *testing.T, r rule, cases []planted) {
	t.Helper()
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got := r(plant(t, c.files))
			if len(got) != len(c.want) {
				t.Errorf("found %d, want %d:\n%s", len(got), len(c.want), strings.Join(got, "\n"))
			}
			for _, want := range c.want {
				if !slices.ContainsFunc(got, func(g string) bool { return strings.Contains(g, want) }) {
					t.Errorf("not found: %q among:\n%s", want, strings.Join(got, "\n"))
				}
			}
		})
	}
}

// document reads a file of the tree; "" where there is none.
func (t *tree) document(name string) string {
	text, err := fs.ReadFile(t.fsys, name)
	if err != nil {
		return ""
	}
	return string(text)
}

// texts calls f with every text file of the tree, documents and scripts included.
func (t *tree) texts(f func(name, text string)) error {
	return fs.WalkDir(t.fsys, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			if name != "." && entry.Name() != ".ci" && skipped(entry.Name()) && entry.Name() != "testdata" {
				return fs.SkipDir
			}
			return nil
		}
		if !entry.Type().IsRegular() || path.Ext(name) == ".sum" {
			return nil
		}
		info, err := entry.Info()
		if err != nil || info.Size() > 1<<20 {
			return err
		}
		text, err := fs.ReadFile(t.fsys, name)
		if err != nil {
			return err
		}
		if !bytes.Contains(text[:min(len(text), 8000)], []byte{0}) {
			f(filepath.ToSlash(name), string(text))
		}
		return nil
	})
}

// rows gives the cells of the table rows of a Markdown text; rules under the head and blank rows are left out.
func rows(text string) [][]string {
	var all [][]string
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if !strings.HasPrefix(line, "|") || strings.Trim(line, "|-: ") == "" {
			continue
		}
		line = strings.ReplaceAll(strings.Trim(line, "|"), `\|`, "\x00")
		cells := strings.Split(line, "|")
		for i, cell := range cells {
			cells[i] = strings.ReplaceAll(strings.TrimSpace(cell), "\x00", "|")
		}
		all = append(all, cells)
	}
	return all
}
