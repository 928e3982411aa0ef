package acceptance

import (
	"os"
	"strings"
	"testing"
)

// TestREADMEExamplesRun runs the commands of README's "Use it" as they stand there, against a server of the test.
func TestREADMEExamplesRun(t *testing.T) {
	t.Parallel()
	b, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(b), "## Use it")
	_, rest, _ = strings.Cut(rest, "```\n")
	block, _, found := strings.Cut(rest, "```")
	if !found {
		t.Fatal("README has no commands under \"Use it\"")
	}
	i := newInstance(t, "")
	ran := 0
	for line := range strings.Lines(block) {
		words := strings.Fields(strings.ReplaceAll(line, "127.0.0.1:2525", i.smtp))
		switch {
		case len(words) == 0:
			continue
		case words[0] == "swaks":
			if out, code := swaks(t, words[1:]...); code != 0 {
				t.Fatalf("%s%s", line, out)
			}
		case words[0] == "bin/postroad":
			eventually(t, line, func() bool { // mail takes a moment to its mailbox
				_, _, code := i.try(words[1:]...)
				return code == 0
			})
		default:
			t.Fatalf("README has a command that this test does not know: %s", line)
		}
		ran++
	}
	if ran < 5 {
		t.Errorf("only %d commands", ran)
	}
	if got := i.run("mailbox", "message", "ann@acme.example", "1"); !strings.Contains(got, "you@far.example") {
		t.Errorf("the message of the example reads: %s", got)
	}
}
