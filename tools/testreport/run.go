package main

import (
	"bufio"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// event is one line of `go test -json` (see `go doc test2json`). Elapsed is in seconds.
type event struct {
	Action     string
	Package    string
	ImportPath string
	Test       string
	Elapsed    float64
	Output     string
}

// test is what is known of one test, or of a package's own output when name is empty.
type test struct {
	pkg, name string
	output    []string
	outcome   string
	seconds   float64
}

// run is one run of `go test` as it comes in.
type run struct {
	w        io.Writer
	err      error
	events   int
	pending  map[string][]*test
	done     []*test
	packages int
	failed   []string
}

func newRun(w io.Writer) *run {
	return &run{w: w, pending: map[string][]*test{}}
}

func (r *run) printf(format string, args ...any) {
	if _, err := fmt.Fprintf(r.w, format, args...); err != nil {
		r.err = err
	}
}

// read takes events to the end of the stream. A line that is no event is shown as it came.
func (r *run) read(in io.Reader) error {
	lines := bufio.NewReader(in)
	for {
		line, err := lines.ReadBytes('\n')
		if len(line) > 0 {
			var e event
			if line[0] != '{' || json.Unmarshal(line, &e) != nil {
				r.printf("%s", line)
			} else {
				r.take(e)
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func (r *run) take(e event) {
	r.events++
	switch e.Action {
	case "build-output":
		r.printf("%s", e.Output)
	case "output":
		t := r.find(e.Package, e.Test)
		t.output = append(t.output, e.Output)
	case "pass", "fail", "skip":
		t := r.find(e.Package, e.Test)
		t.outcome, t.seconds = e.Action, e.Elapsed
		if e.Test == "" {
			r.closePackage(e.Package, e.Action)
		}
	}
}

func (r *run) find(pkg, name string) *test {
	for _, t := range r.pending[pkg] {
		if t.name == name {
			return t
		}
	}
	t := &test{pkg: pkg, name: name}
	r.pending[pkg] = append(r.pending[pkg], t)
	return t
}

// closePackage prints a finished package: one line where it passed, all that failed or was cut off where not.
func (r *run) closePackage(pkg, outcome string) {
	r.packages++
	if outcome == "fail" {
		r.failed = append(r.failed, pkg)
	}
	for _, t := range r.pending[pkg] {
		r.done = append(r.done, t)
		if outcome == "fail" && (t.outcome == "fail" || t.outcome == "") && t.name != "" {
			r.printf("%s", strings.Join(without(t.output, "=== "), ""))
		}
	}
	for _, line := range r.find(pkg, "").output {
		if outcome == "fail" || strings.HasPrefix(line, "ok ") || strings.HasPrefix(line, "? ") {
			r.printf("%s", line)
		}
	}
	delete(r.pending, pkg)
}

func without(lines []string, prefix string) []string {
	return slices.DeleteFunc(slices.Clone(lines), func(line string) bool { return strings.HasPrefix(line, prefix) })
}

// close prints what only the whole run can tell.
func (r *run) close(slowest int) {
	for pkg := range r.pending {
		r.failed = append(r.failed, pkg+" (cut off)")
	}
	tests := slices.DeleteFunc(r.done, func(t *test) bool { return t.name == "" || strings.Contains(t.name, "/") })
	slices.SortStableFunc(tests, func(a, b *test) int { return cmp.Compare(b.seconds, a.seconds) })

	skipped := 0
	for _, t := range tests {
		if t.outcome != "skip" {
			continue
		}
		if skipped++; skipped == 1 {
			r.printf("\nskipped:\n")
		}
		r.printf("  %s %s: %s\n", t.pkg, t.name, reason(t.output))
	}
	r.printf("\nslowest tests:\n")
	for _, t := range tests[:min(slowest, len(tests))] {
		r.printf("  %7.2fs  %s %s\n", t.seconds, t.pkg, t.name)
	}
	r.printf("\n%d tests in %d packages, %d skipped\n", len(tests), r.packages, skipped)
	switch {
	case len(r.failed) > 0:
		slices.Sort(r.failed)
		r.printf("FAIL\t%s\n", strings.Join(r.failed, "\nFAIL\t"))
	case !r.passed():
		r.printf("FAIL\tno test has run\n")
	default:
		r.printf("PASS\n")
	}
}

func reason(output []string) string {
	lines := without(without(output, "=== "), "--- ")
	return strings.Join(strings.Fields(strings.Join(lines, " ")), " ")
}

func (r *run) passed() bool {
	return r.events > 0 && r.packages > 0 && len(r.failed) == 0
}
