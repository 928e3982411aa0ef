package sqldb

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"postroad/internal/core/account"
)

// Stmt is the text of a statement. Parameters are $1, $2, …; @scope(column) stands for "the column's account is in
// the transaction's scope" and @in(column, $n) for "the column is one of the list in parameter n".
//
// A statement is a constant: texts are prepared once per connection and kept, so a text that is composed must come
// from a small fixed set.
type Stmt string

// Engine is the kind of database.
type Engine uint8

// The engines.
const (
	SQLite Engine = iota + 1
	Postgres
)

// String names the engine.
func (e Engine) String() string {
	switch e {
	case SQLite:
		return "sqlite"
	case Postgres:
		return "postgres"
	}
	return "none"
}

// maxParameters is the largest number of parameters of a statement.
const maxParameters = 100

// scopeParam marks the place of the scope's list among a query's parameters.
const scopeParam = -1

// query is a statement in an engine's own spelling.
type query struct {
	text   string
	order  []int // for each parameter of the text the caller's argument, or scopeParam
	writes bool  // it changes rows
}

// expand gives a statement's spelling for an engine, with or without a list of accounts to keep to.
func expand(engine Engine, stmt Stmt, scoped bool) (*query, error) {
	x := expander{engine: engine, scoped: scoped, in: string(stmt), highest: highestParameter(string(stmt))}
	if x.highest > maxParameters {
		return nil, fmt.Errorf("statement %.60q has too many parameters", stmt)
	}
	if err := x.run(); err != nil {
		return nil, fmt.Errorf("statement %.60q: %w", stmt, err)
	}
	q := &query{text: x.out.String(), order: x.order, writes: writes(string(stmt))}
	if engine == Postgres {
		q.order = make([]int, 0, x.highest+1)
		for i := range x.highest {
			q.order = append(q.order, i)
		}
		if x.scopes > 0 {
			q.order = append(q.order, scopeParam)
		}
	}
	return q, nil
}

func writes(text string) bool {
	text = strings.TrimSpace(text)
	verb, _, _ := strings.Cut(text, " ")
	switch strings.ToUpper(verb) {
	case "SELECT":
		return strings.Contains(text, "FOR UPDATE")
	case "WITH":
		return strings.Contains(text, "INSERT") || strings.Contains(text, "UPDATE") || strings.Contains(text, "DELETE")
	}
	return true
}

// expander walks through a statement's text once.
type expander struct {
	engine  Engine
	scoped  bool
	in      string
	out     strings.Builder
	order   []int
	highest int
	scopes  int
}

func (x *expander) run() error {
	for i := 0; i < len(x.in); {
		switch {
		case x.in[i] == '\'':
			end := strings.IndexByte(x.in[i+1:], '\'')
			if end < 0 {
				return errors.New("a text has no end")
			}
			x.out.WriteString(x.in[i : i+end+2])
			i += end + 2
		case x.in[i] == '$':
			n, used := number(x.in[i+1:])
			if n == 0 {
				return errors.New("a parameter has no number")
			}
			x.parameter(n - 1)
			i += 1 + used
		case strings.HasPrefix(x.in[i:], "@scope("):
			end := strings.IndexByte(x.in[i:], ')')
			if end < 0 {
				return errors.New("@scope has no end")
			}
			x.scope(x.in[i+len("@scope(") : i+end])
			i += end + 1
		case strings.HasPrefix(x.in[i:], "@in("):
			end := strings.IndexByte(x.in[i:], ')')
			column, param, _ := strings.Cut(x.in[i+len("@in("):max(i+end, i+len("@in("))], ", $")
			n, used := number(param)
			if end < 0 || n == 0 || used != len(param) {
				return errors.New("@in needs a column and a parameter")
			}
			x.list(column, n-1)
			i += end + 1
		default:
			x.out.WriteByte(x.in[i])
			i++
		}
	}
	return nil
}

func (x *expander) parameter(arg int) {
	if x.engine == SQLite {
		x.out.WriteByte('?')
		x.order = append(x.order, arg)
		return
	}
	n := arg + 1
	if arg == scopeParam {
		n = x.highest + 1
	}
	x.out.WriteString("$" + strconv.Itoa(n))
}

func (x *expander) scope(column string) {
	if !x.scoped {
		x.out.WriteString("TRUE")
		return
	}
	x.scopes++
	x.list(column, scopeParam)
}

func (x *expander) list(column string, arg int) {
	if x.engine == SQLite {
		x.out.WriteString(column + " IN (SELECT value FROM json_each(")
		x.parameter(arg)
		x.out.WriteString("))")
		return
	}
	x.out.WriteString(column + " = ANY(")
	x.parameter(arg)
	x.out.WriteString(")")
}

// highestParameter finds the largest number behind a dollar sign outside of texts.
func highestParameter(text string) int {
	highest, quoted := 0, false
	for i := range len(text) {
		switch {
		case text[i] == '\'':
			quoted = !quoted
		case text[i] == '$' && !quoted:
			n, _ := number(text[i+1:])
			highest = max(highest, n)
		}
	}
	return highest
}

func number(text string) (n, used int) {
	for used < len(text) && text[used] >= '0' && text[used] <= '9' {
		n = min(n*10+int(text[used]-'0'), maxParameters+1)
		used++
	}
	return n, used
}

// accounts checks a scope's accounts and gives them as texts. A comma would let one id stand for two.
func accounts(scope account.Scope) ([]string, error) {
	ids := scope.Accounts()
	list := make([]string, 0, len(ids))
	for _, id := range ids {
		if id == "" || strings.ContainsAny(string(id), ",\x00") {
			return nil, fmt.Errorf("%w: %q is no account id", ErrScope, id)
		}
		list = append(list, string(id))
	}
	return list, nil
}
