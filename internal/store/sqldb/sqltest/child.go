package sqltest

import (
	"bufio"
	"fmt"
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

// KillAt starts a child and kills it before the n-th system call of a kind on one of its threads. Every line that it
// prints is given to said; the last one may be cut. It tells whether the child lived long enough to be killed there:
// else it is killed after so many lines as most says.
func KillAt(tb testing.TB, dir, call string, n, most int, said func(line string)) bool {
	tb.Helper()
	path, err := exec.LookPath("strace")
	if err != nil {
		tb.Fatal("strace is not installed: apt-get install -y strace")
	}
	cmd := Child(tb, dir)
	cmd.Args = []string{
		path, "-D", "-f", "-qq", "-o", "/dev/null", "-e", "signal=none", "-e", "trace=" + call,
		"-e", fmt.Sprintf("inject=%s:signal=KILL:when=%d", call, n), cmd.Path,
	}
	cmd.Path = path
	return run(tb, cmd, most, said)
}

// run starts a child and kills it after so many lines; it tells whether it was killed before.
func run(tb testing.TB, cmd *exec.Cmd, limit int, said func(line string)) (before bool) {
	tb.Helper()
	out, err := cmd.StdoutPipe()
	if err != nil {
		tb.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	lines, n := bufio.NewScanner(out), 0
	for ; lines.Scan(); n++ {
		said(lines.Text())
		if n == limit {
			_ = cmd.Process.Kill() // it may be dead already
		}
	}
	if err := cmd.Wait(); err == nil || !strings.Contains(err.Error(), "killed") {
		tb.Fatalf("the child ended by itself: %v", err)
	}
	return n < limit
}

// KillInTheMiddle starts a child and kills it after some lines of what it prints, at most the given number. Every
// line is given to said, also those that came after the kill; the last one may be cut.
func KillInTheMiddle(tb testing.TB, dir string, most int, said func(line string)) {
	tb.Helper()
	run(tb, Child(tb, dir), 1+rand.IntN(most), said)
}
