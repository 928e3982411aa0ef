package cli

import (
	"context"
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
func (a *App) propose(method, path string, query url.Values, body any) error {
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

// Proposal reads a command that changes something, as people type it, and gives what it would ask of the server; tree makes
// the commands among which it is.
func Proposal(ctx context.Context, tree func(*App) *cobra.Command, line string) (api.Proposal, error) {
	var out api.Proposal
	words, err := splitWords(line)
	if err != nil {
		return out, err
	}
	a := &App{In: strings.NewReader(""), Out: io.Discard, Err: io.Discard, proposed: &out}
	root := tree(a)
	if len(words) > 0 && words[0] == root.Name() {
		words = words[1:]
	}
	found, _, err := root.Find(words)
	if err != nil || found.Flags().Lookup("plan") == nil {
		return out, Usagef("--change %q is no command that changes something, such as \"domain set acme.example --mode remote\"", line)
	}
	if err := a.execute(ctx, root, words); !errors.Is(err, errProposed) {
		if err == nil {
			err = errors.New("it changes nothing")
		}
		return out, Usagef("--change %q: %s", line, err)
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
		return nil, Usagef("--change %q: a quote or a backslash has no end", line)
	}
	if begun {
		out = append(out, word.String())
	}
	return out, nil
}
