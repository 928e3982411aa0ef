// Command postroad is the mail server Postroad and its command line.
//
// "postroad serve" is the server. All other commands talk to a running server: through the socket in its data
// folder, where whoever may open it is the operator, or with --server and --token from afar. Exit codes: 0 done,
// 1 refused with the reason on stderr, 2 wrong usage, 3 server not reachable.
package main

import (
	"context"
	"io"
	"os"
	"os/signal"
	"syscall"

	"postroad/cmd/postroad/cli"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run is the whole program but for the process around it.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	a := &cli.App{In: stdin, Out: stdout, Err: stderr}
	return a.Run(ctx, commands(a), args)
}
