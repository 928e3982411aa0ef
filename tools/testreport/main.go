// Command testreport reads the events of `go test -json` and prints what a person wants to see of them:
// what `go test` itself would have printed, then the skipped tests with their reasons and the slowest tests.
//
// It ends with 1 when a test or a package failed, or when no event came at all.
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
)

func main() {
	slowest := flag.Int("slowest", 20, "how many of the slowest tests to list")
	flag.Parse()
	ok, err := report(os.Stdin, os.Stdout, *slowest)
	if err != nil {
		fmt.Fprintln(os.Stderr, "testreport:", err)
	}
	if err != nil || !ok {
		os.Exit(1)
	}
}

// report copies the run in r to w and says whether all of it passed.
func report(r io.Reader, w io.Writer, slowest int) (bool, error) {
	run := newRun(w)
	if err := run.read(r); err != nil {
		return false, err
	}
	run.close(slowest)
	return run.passed(), run.err
}
