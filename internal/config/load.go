package config

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"
)

// maxFile is the largest configuration that is read, in octets.
const maxFile = 1 << 20

// Load reads the file (none when path is empty), then the environment as os.Environ gives it, which wins, and fills
// in the defaults. An error is ProblemErrors, or that of reading the file.
func Load(path string, environ []string) (Config, error) {
	var data []byte
	if path != "" {
		f, err := os.Stat(path)
		if err != nil {
			return Config{}, fmt.Errorf("configuration: %w", err)
		}
		if f.Size() > maxFile {
			return Config{}, fmt.Errorf("configuration: %s is larger than %s", path, FormatSize(maxFile))
		}
		if data, err = os.ReadFile(path); err != nil {
			return Config{}, fmt.Errorf("configuration: %w", err)
		}
	}
	machine, err := os.Hostname()
	if err != nil {
		machine = ""
	}
	return Parse(path, data, environ, machine)
}

// Parse is Load for a text at hand: source names it in problems, machine is the machine's own name.
func Parse(source string, data []byte, environ []string, machine string) (Config, error) {
	r := &reader{all: keys(), source: source}
	r.file(data)
	r.environment(environ)
	if len(r.problems) == 0 {
		r.together()
	}
	if len(r.problems) > 0 {
		return Config{}, r.problems
	}
	return r.config.WithDefaults(machine), nil
}

// reader collects values and problems.
type reader struct {
	all      []key
	source   string
	config   Config
	problems ProblemErrors
}

func (r *reader) problem(line int, key, message, hint string) {
	r.problems = append(r.problems, Problem{Source: r.source, Line: line, Key: key, Message: message, Hint: hint})
}

func (r *reader) find(name string) (key, bool) {
	i := slices.IndexFunc(r.all, func(k key) bool { return k.name == name })
	if i < 0 {
		return key{}, false
	}
	return r.all[i], true
}

func (r *reader) isTable(name string) bool { return slices.Contains(tables(r.all), name) }

// file walks the text expression by expression. Text that is no TOML is one problem: what follows it means nothing.
func (r *reader) file(data []byte) {
	var whole map[string]any
	if err := toml.Unmarshal(data, &whole); err != nil {
		line := 0
		var at *toml.DecodeError
		if errors.As(err, &at) {
			line, _ = at.Position()
		}
		r.problem(line, "", strings.TrimPrefix(err.Error(), "toml: "), "not TOML; see https://toml.io")
		return
	}
	p := &unstable.Parser{}
	p.Reset(data)
	table := ""
	for p.NextExpression() {
		n := p.Expression()
		switch n.Kind { //nolint:exhaustive // a document's expressions are of these kinds
		case unstable.Table:
			table = joined(n.Key())
			if _, ok := r.find(table); ok {
				r.problem(lineOf(p, n), table, "is a key, not a table", "write "+table+" = …")
			} else if !r.isTable(table) {
				r.problem(lineOf(p, n), table, "unknown table", r.nearTable(table))
			}
		case unstable.ArrayTable:
			table = joined(n.Key())
			r.problem(lineOf(p, n), table, "a list of tables is not known here", "write ["+table+"]")
		case unstable.KeyValue:
			r.keyValue(p, table, n)
		}
	}
}

func (r *reader) nearTable(table string) string {
	if near := nearest(table, tables(r.all)); near != "" {
		return "did you mean [" + near + "]?"
	}
	return "tables: " + strings.Join(tables(r.all), ", ")
}

// keyValue takes one "key = value", which may be an inline table.
func (r *reader) keyValue(p *unstable.Parser, table string, n *unstable.Node) {
	name := joined(n.Key())
	if table != "" {
		name = table + "." + name
	}
	line, value := lineOf(p, n), n.Value()
	if value.Kind == unstable.InlineTable && r.isTable(name) {
		for it := value.Children(); it.Next(); {
			r.keyValue(p, name, it.Node())
		}
		return
	}
	if top, _, ok := strings.Cut(name, "."); ok && table != "" && !r.isTable(top) {
		return // the unknown table is reported already
	}
	k, ok := r.find(name)
	if !ok {
		if r.isTable(name) {
			r.problem(line, name, "is a table", "write ["+name+"] and the keys below it")
			return
		}
		r.problem(line, name, "unknown key", unknownKey(name, r.all))
		return
	}
	words, ok := valueWords(k.kind, value)
	if !ok {
		r.problem(line, name, "wants "+k.kind.describe(), "")
		return
	}
	if err := k.put(&r.config, words); err != nil {
		r.problem(line, name, err.Error(), "")
	}
}

// valueWords gives the texts of a value if it is of the kind wanted.
func valueWords(k kind, v *unstable.Node) ([]string, bool) {
	if !k.list() {
		w, ok := scalarWord(k, v)
		return []string{w}, ok
	}
	if v.Kind != unstable.Array {
		return nil, false
	}
	words := []string{}
	for it := v.Children(); it.Next(); {
		if it.Node().Kind == unstable.Comment {
			continue
		}
		if it.Node().Kind != unstable.String {
			return nil, false
		}
		words = append(words, string(it.Node().Data))
	}
	return words, true
}

func scalarWord(k kind, v *unstable.Node) (string, bool) {
	text := string(v.Data)
	switch v.Kind { //nolint:exhaustive // no key wants anything else
	case unstable.String:
		return text, k != kindNumber && k != kindSwitch
	case unstable.Bool:
		return text, k == kindSwitch
	case unstable.Integer:
		n, err := strconv.ParseInt(text, 0, 64)
		return strconv.FormatInt(n, 10), err == nil && (k == kindNumber || k == kindSize)
	}
	return "", false
}

// environment takes POSTROAD_… variables. Names that begin like one of our tables but are no key are problems;
// other POSTROAD_ names belong to somebody else.
func (r *reader) environment(environ []string) {
	names := make(map[string]key, len(r.all))
	for _, k := range r.all {
		names[Variable(k.name)] = k
	}
	environ = slices.Sorted(slices.Values(environ))
	for _, e := range environ {
		variable, value, _ := strings.Cut(e, "=")
		rest, ours := strings.CutPrefix(variable, "POSTROAD_")
		if !ours {
			continue
		}
		r.source = variable
		k, ok := names[variable]
		if !ok {
			table, _, under := strings.Cut(strings.ToLower(rest), "_")
			if under && r.isTable(table) {
				hint := ""
				if near := nearest(variable, slices.Sorted(maps.Keys(names))); near != "" {
					hint = "did you mean " + near + "?"
				}
				r.problem(0, "", "unknown variable", hint)
			}
			continue
		}
		words := []string{value}
		if k.kind.list() {
			words = splitList(value)
		} else if value == "" {
			words = []string{""}
			if k.kind != kindText || k.name == "data_dir" {
				continue // set but empty: as if unset
			}
		}
		if err := k.put(&r.config, words); err != nil {
			r.problem(0, k.name, err.Error(), "")
		}
	}
}

// Variable is the environment variable of a key: "listen.smtp" is POSTROAD_LISTEN_SMTP.
func Variable(name string) string {
	return "POSTROAD_" + strings.ToUpper(strings.ReplaceAll(name, ".", "_"))
}

func splitList(s string) []string {
	out := []string{}
	for w := range strings.SplitSeq(s, ",") {
		if w = strings.TrimSpace(w); w != "" {
			out = append(out, w)
		}
	}
	return out
}

// together checks what concerns several keys.
func (r *reader) together() {
	r.source = "configuration"
	if (r.config.TLS.CertFile == "") != (r.config.TLS.KeyFile == "") {
		r.problem(0, "tls", "cert_file and key_file go together", "set both or neither")
	}
	if c := r.config.ACME; (c.EABKeyID == "") != (c.EABKey == "") {
		r.problem(0, "acme", "eab_key_id and eab_key go together", "set both or neither")
	}
	if c := r.config.Limits; c.Sessions > 0 && c.SessionsPerAddress > c.Sessions {
		r.problem(0, "limits.sessions_per_address", "is larger than limits.sessions", "at most "+strconv.Itoa(c.Sessions))
	}
}

func joined(it unstable.Iterator) string {
	var parts []string
	for it.Next() {
		parts = append(parts, string(it.Node().Data))
	}
	return strings.Join(parts, ".")
}

// lineOf is the line of a node's key.
func lineOf(p *unstable.Parser, n *unstable.Node) int {
	it := n.Key()
	if !it.Next() {
		return 0
	}
	return p.Shape(it.Node().Raw).Start.Line
}
