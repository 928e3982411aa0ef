// Package cli is what the commands of postroad have in common: the flags that all of them take, requests to the API of a
// server, plans that are shown before they are applied, answers as tables or JSON, and the exit codes.
//
// A package of commands has a function Commands that gives them, made for one App; each command's function is wrapped by
// Work, talks to the server by Get, List and App.Change, and prints with App.Say, Show and the package sheet.
//
// # Failure
//
// A refusal by the server is a [ProblemError] and ends with exit code 1, a server that cannot be reached with 3: nothing of
// the request has come there, or nobody knows.
package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/term"

	"postroad/internal/config"
	"postroad/internal/edge/api"
)

// App is one run of the program: where it reads and writes, and what the flags that all commands share say.
type App struct {
	In       io.Reader
	Out, Err io.Writer

	Data string // --data
	JSON bool   // --json: answers are for programs
	Plan bool   // --plan: of a command of Changes

	server string // --server
	token  string // --token
	yes    bool   // --yes

	proposed *api.Proposal // the command is not carried out: what it would change is noted here
}

// Flags makes the flags that every command takes.
func (a *App) Flags(f *pflag.FlagSet) {
	f.StringVar(&a.Data, "data", "", "data folder of the server (default $POSTROAD_DATA_DIR, else "+config.DefaultDataDir+")")
	f.StringVar(&a.server, "server", "", "URL of a server elsewhere (default $POSTROAD_SERVER, else the socket in the data folder)")
	f.StringVar(&a.token, "token", "", "token for --server (default $POSTROAD_TOKEN)")
	f.BoolVar(&a.JSON, "json", false, "answer in JSON")
}

// Changes gives a command the flags of those that change something.
func (a *App) Changes(c *cobra.Command) *cobra.Command {
	c.Flags().BoolVar(&a.yes, "yes", false, "apply without asking")
	c.Flags().BoolVar(&a.Plan, "plan", false, "show what would change and do nothing")
	c.MarkFlagsMutuallyExclusive("yes", "plan")
	return c
}

// Proposing reports whether the command is not carried out: its one request is noted (Proposal).
func (a *App) Proposing() bool { return a.proposed != nil }

// DataDir is the folder of the server on this machine.
func (a *App) DataDir() string {
	for _, dir := range []string{a.Data, os.Getenv("POSTROAD_DATA_DIR")} {
		if dir != "" {
			return dir
		}
	}
	return config.DefaultDataDir
}

// Say writes to where answers go; a reader that is gone is no concern of ours. What strangers may have written goes
// through sheet.Clean before.
func (a *App) Say(format string, args ...any) { _, _ = fmt.Fprintf(a.Out, format, args...) }

// Complain writes to where errors go.
func (a *App) Complain(format string, args ...any) {
	_, _ = fmt.Fprintf(a.Err, "postroad: "+format+"\n", args...)
}

// PrintJSON writes a value as JSON for people and programs.
func (a *App) PrintJSON(v any) error {
	enc := json.NewEncoder(a.Out)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}

// terminal reports whether somebody can be asked.
func (a *App) terminal() bool {
	f, ok := a.In.(*os.File)
	return ok && term.IsTerminal(int(f.Fd())) //nolint:gosec // a descriptor fits
}

// Progress reports whether somebody watches.
func (a *App) Progress() bool {
	f, ok := a.Err.(*os.File)
	return ok && term.IsTerminal(int(f.Fd())) //nolint:gosec // a descriptor fits
}

// maxLine bounds a line that is read as a secret or an answer, in octets.
const maxLine = 4096

// Password reads the first line of stdin for --password-stdin.
func (a *App) Password() (string, error) { return a.Secret("--password-stdin") }

// Secret reads the first line of stdin for a flag.
func (a *App) Secret(flag string) (string, error) {
	text, err := io.ReadAll(io.LimitReader(a.In, maxLine))
	if err != nil {
		return "", fmt.Errorf("%s: %w", flag, err)
	}
	line, _, _ := strings.Cut(string(text), "\n")
	line = strings.TrimSuffix(line, "\r")
	if line == "" {
		return "", fmt.Errorf("%s: the first line of stdin is empty", flag)
	}
	return line, nil
}

// Duration is a flag like "5d".
type Duration struct {
	Seconds int64
	Given   bool
}

// String gives the value for help texts.
func (d *Duration) String() string { return "" }

// Set reads the value.
func (d *Duration) Set(s string) error {
	v, err := config.ParseDuration(s)
	if err != nil {
		return errors.New(`write a duration such as "5d", "4h" or "90s"`)
	}
	d.Seconds, d.Given = int64(v.Seconds()), true
	return nil
}

// Type names the value in help texts.
func (d *Duration) Type() string { return "duration" }

// Size is a flag like "1GiB".
type Size struct {
	Octets int64
	Given  bool
}

// String gives the value for help texts.
func (s *Size) String() string { return "" }

// Set reads the value.
func (s *Size) Set(text string) error {
	n, err := config.ParseSize(text)
	if err != nil {
		return errors.New(`write a size such as "1GiB", "500MiB" or a number of octets`)
	}
	s.Octets, s.Given = n, true
	return nil
}

// Type names the value in help texts.
func (s *Size) Type() string { return "size" }
