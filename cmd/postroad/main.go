// Command postroad is the mail server Postroad and its command line.
//
// "postroad serve" is the server. All other commands talk to a running server: through the socket in its data
// folder, where whoever may open it is the operator, or with --server and --token from afar. Exit codes: 0 done,
// 1 refused with the reason on stderr, 2 wrong usage, 3 server not reachable.
package main

import (
	"context"
	"errors"
	"io"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// The exit codes.
const (
	exitDone        = 0
	exitRefused     = 1
	exitUsage       = 2
	exitUnreachable = 3
)

// run is the whole program but for the process around it.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	a := &app{in: stdin, out: stdout, err: stderr}
	root := a.root()
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	addCompletion(root)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitDone
	}
	var done *doneError
	if !errors.As(err, &done) {
		a.complain("%s\nSee: postroad help", err)
		return exitUsage
	}
	if done.err != nil {
		a.complain("%s", done.err)
	}
	return done.code
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

// refused ends a command with exit code 1.
func refused(err error) error { return &doneError{exitRefused, err} }
