package sqltest

import (
	"bufio"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"testing"

	"postroad/internal/sim"
)

// childFolder tells a test binary to be the child of its package, and where it works.
const childFolder = "POSTROAD_TEST_CHILD"

// Main runs the tests of a package, stops their PostgreSQL and gives the exit code. In a process that Child made it
// runs child and nothing else.
func Main(m *testing.M, cluster *sim.Postgres, child func(dir string)) int {
	if dir := os.Getenv(childFolder); dir != "" {
		child(dir)
		return 0
	}
	code := m.Run()
	cluster.Stop()
	return code
}

// Child is this test binary once more, not yet started: a process of its own that runs what the package gave to Main.
func Child(tb testing.TB, dir string) *exec.Cmd {
	tb.Helper()
	cmd := exec.CommandContext(tb.Context(), os.Args[0]) //nolint:gosec,forbidigo // this very binary, in tests
	cmd.Env = append(os.Environ(), childFolder+"="+dir)
	cmd.Stderr = os.Stderr
	return cmd
}

// KillInTheMiddle starts a child and kills it after some lines of what it prints, at most the given number. Every
// line is given to said, also those that came after the kill; the last one may be cut.
func KillInTheMiddle(tb testing.TB, dir string, most int, said func(line string)) {
	tb.Helper()
	cmd := Child(tb, dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		tb.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	limit := 1 + rand.IntN(most)
	lines := bufio.NewScanner(out)
	for n := 0; lines.Scan(); n++ {
		said(lines.Text())
		if n == limit {
			if err := cmd.Process.Kill(); err != nil {
				tb.Fatal(err)
			}
		}
	}
	if err := cmd.Wait(); err == nil || !strings.Contains(err.Error(), "killed") {
		tb.Fatalf("the child ended by itself: %v", err)
	}
}
