package main

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"unicode"

	"github.com/spf13/cobra"

	"postroad/internal/edge/api"
)

// errProposed ends a command whose change has been noted.
var errProposed = errors.New("noted")

// propose notes what a command would change.
func (a *app) propose(method, path string, query url.Values, body any) error {
	if method == http.MethodGet {
		return errors.New("it asks the server something first")
	}
	text, err := json.Marshal(body)
	if err != nil {
		return err
	}
	if body == nil {
		text = nil
	}
	*a.proposed = api.Proposal{Method: method, Path: path, Query: query.Encode(), Body: text}
	return errProposed
}

// proposal reads a command that changes something, as people type it, and gives what it would ask of the server.
func proposal(cmd *cobra.Command, line string) (api.Proposal, error) {
	var out api.Proposal
	words, err := splitWords(line)
	if err != nil {
		return out, err
	}
	if len(words) > 0 && words[0] == cmd.Root().Name() {
		words = words[1:]
	}
	a := &app{in: strings.NewReader(""), out: io.Discard, err: io.Discard, proposed: &out}
	root := a.root()
	found, _, err := root.Find(words)
	if err != nil || found.Flags().Lookup("plan") == nil {
		return out, usagef("--change %q is no command that changes something, such as \"domain set acme.example --mode remote\"", line)
	}
	root.SetArgs(words)
	root.SetIn(a.in)
	root.SetOut(a.out)
	root.SetErr(a.err)
	if err := root.ExecuteContext(cmd.Context()); !errors.Is(err, errProposed) {
		if err == nil {
			err = errors.New("it changes nothing")
		}
		return out, usagef("--change %q: %s", line, err)
	}
	return out, nil
}

// splitWords parts a command line into its words, with the quotes and backslashes of a shell.
func splitWords(line string) ([]string, error) {
	var out []string
	var word strings.Builder
	var quote rune
	begun, escaped := false, false
	for _, r := range line {
		switch {
		case escaped:
			word.WriteRune(r)
			escaped = false
		case r == '\\' && quote != '\'':
			begun, escaped = true, true
		case quote != 0 && r == quote:
			quote = 0
		case quote != 0:
			word.WriteRune(r)
		case r == '\'' || r == '"':
			begun, quote = true, r
		case unicode.IsSpace(r):
			if begun {
				out = append(out, word.String())
			}
			word.Reset()
			begun = false
		default:
			begun = true
			word.WriteRune(r)
		}
	}
	if quote != 0 || escaped {
		return nil, usagef("--change %q: a quote or a backslash has no end", line)
	}
	if begun {
		out = append(out, word.String())
	}
	return out, nil
}
