package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

// The exit codes.
const (
	ExitDone        = 0
	ExitRefused     = 1
	ExitUsage       = 2
	ExitUnreachable = 3
)

// Run carries out the command that args name below root, tells what kept it from being done, and gives the exit code.
func (a *App) Run(ctx context.Context, root *cobra.Command, args []string) int {
	err := a.execute(ctx, root, args)
	if err == nil {
		return ExitDone
	}
	var done *doneError
	if !errors.As(err, &done) {
		a.Complain("%s\nSee: postroad help", err)
		return ExitUsage
	}
	if done.err != nil {
		a.Complain("%s", done.err)
	}
	return done.code
}

func (a *App) execute(ctx context.Context, root *cobra.Command, args []string) error {
	root.SetArgs(args)
	root.SetIn(a.In)
	root.SetOut(a.Out)
	root.SetErr(a.Err)
	addCompletion(root)
	return root.ExecuteContext(ctx)
}

// addCompletion adds the commands that print completions; they write to where the root writes at this moment.
func addCompletion(root *cobra.Command) {
	root.InitDefaultCompletionCmd()
	for _, c := range root.Commands() {
		if c.Name() == "completion" {
			c.Args, c.RunE = cobra.ArbitraryArgs, needsOneOf(c.Commands())
		}
	}
}

// Group makes a command that only has others below it.
func Group(use, short string, below ...*cobra.Command) *cobra.Command {
	c := &cobra.Command{
		Use: use, Short: short,
		RunE: needsOneOf(below),
	}
	c.AddCommand(below...)
	return c
}

// needsOneOf refuses a command that only has others below it.
func needsOneOf(below []*cobra.Command) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		names := make([]string, 0, len(below))
		for _, b := range below {
			names = append(names, b.Name())
		}
		if len(args) > 0 {
			return fmt.Errorf("unknown command %q for %q (%s)", args[0], cmd.CommandPath(), strings.Join(names, ", "))
		}
		return fmt.Errorf("%q needs one of %s", cmd.CommandPath(), strings.Join(names, ", "))
	}
}

// Work makes a command's function: what it returns is not wrong usage unless it says so.
func Work(f func(cmd *cobra.Command, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		err := f(cmd, args)
		var done *doneError
		var usage *usageError
		if err == nil || errors.As(err, &done) || errors.As(err, &usage) {
			return err
		}
		return Refused(err)
	}
}

// usageError is wrong usage that cobra does not notice by itself.
type usageError struct{ text string }

func (e *usageError) Error() string { return e.text }

// Usagef ends a command that was used wrongly, with exit code 2.
func Usagef(format string, args ...any) error {
	return &usageError{fmt.Sprintf(format, args...)}
}

// doneError ends a command that was used rightly with an exit code. A nil err has been told already.
type doneError struct {
	code int
	err  error
}

func (e *doneError) Error() string {
	if e.err == nil {
		return "refused"
	}
	return e.err.Error()
}

func (e *doneError) Unwrap() error { return e.err }

// Refused ends a command with exit code 1. A nil err has been told already.
func Refused(err error) error { return &doneError{ExitRefused, err} }
