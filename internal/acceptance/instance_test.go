package acceptance

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"postroad/internal/sim"
)

// program is the binary under test, built once.
var program = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "postroad-acceptance")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "postroad")
	build := exec.Command("go", "build", "-o", path, "postroad/cmd/postroad")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build: %w\n%s", err, out)
	}
	return path, nil
})

// instance is one running Postroad with a data folder of its own.
type instance struct {
	t      *testing.T
	binary string // "" for the program under test
	dir    string
	data   string
	smtp   string
	submit string
	secure string
	http   string
	cmd    *exec.Cmd
	env    []string // beside the test's own
	args   []string // of serve, beside --config
	rooted bool     // its configuration names servers of a root
	log    output
	ended  chan error
}

// output gathers what a program writes; it may be read meanwhile.
type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

// newInstance writes a configuration with the given further lines and starts the program.
func newInstance(t *testing.T, config string) *instance {
	t.Helper()
	return newInstanceIn(t, t.TempDir(), config)
}

// newInstanceIn does so with everything in the given folder.
func newInstanceIn(t *testing.T, dir, config string) *instance {
	t.Helper()
	i := prepareInstance(t, dir, config)
	i.start()
	return i
}

// prepareInstance writes a configuration and starts nothing yet.
func prepareInstance(t *testing.T, dir, config string) *instance {
	t.Helper()
	i := &instance{
		t: t, dir: dir,
		smtp: sim.FreeAddress(t), submit: sim.FreeAddress(t), secure: sim.FreeAddress(t), http: sim.FreeAddress(t),
	}
	i.data = filepath.Join(i.dir, "data")
	text := fmt.Sprintf("data_dir = %q\n", i.data)
	if !strings.Contains(config, "hostname =") {
		text += "hostname = \"mx.test.example\"\n"
	}
	if !strings.Contains(config, "[resolver]") {
		config += "[resolver]\nservers = [\"127.0.0.1:9\"]\n" // nothing of a test asks the machine's DNS
	}
	i.rooted = strings.Contains(config, "\nroots =")
	before, after, _ := strings.Cut("\n"+config, "\n[")
	if after != "" {
		after = "[" + after
	}
	text += before + "\n" + fmt.Sprintf("[listen]\nsmtp = [%q]\nsubmission = [%q]\nsubmissions = [%q]\nhttp = [%q]\nimap = []\nimaps = []\ndns = []\n", i.smtp, i.submit, i.secure, i.http) + after
	if err := os.WriteFile(filepath.Join(i.dir, "postroad.toml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = i.kill(syscall.SIGKILL) // it ends by a signal
		if t.Failed() {
			t.Logf("log of the server:\n%s", tail(i.log.String(), 8000))
		}
	})
	return i
}

func tail(s string, n int) string { return s[max(0, len(s)-n):] }

// start runs the program and waits until its API answers.
func (i *instance) start() {
	i.t.Helper()
	i.launch()
	if err := i.up(); err != nil {
		i.t.Fatalf("%v\n%s", err, i.log.String())
	}
}

// path is the program that this instance runs.
func (i *instance) path() string {
	i.t.Helper()
	if i.binary != "" {
		return i.binary
	}
	path, err := program()
	if err != nil {
		i.t.Fatal(err)
	}
	return path
}

// launch runs the program, under another one if words for that are given, and waits for nothing.
func (i *instance) launch(under ...string) {
	i.t.Helper()
	words := slices.Concat(under, []string{i.path(), "serve", "--config", filepath.Join(i.dir, "postroad.toml")}, i.args)
	i.cmd = exec.Command(words[0], words[1:]...)
	i.cmd.Env = append(os.Environ(), i.env...)
	if !i.rooted && i.binary == "" {
		i.cmd.Env = append(i.cmd.Env, "POSTROAD_RESOLVER_ROOTS=127.0.0.1:9") // nothing of a test asks the world's
	}
	i.cmd.Stdout, i.cmd.Stderr = &i.log, &i.log
	if err := i.cmd.Start(); err != nil {
		i.t.Fatal(err)
	}
	i.ended = make(chan error, 1)
	go func(cmd *exec.Cmd, ended chan<- error) { ended <- cmd.Wait() }(i.cmd, i.ended)
}

// up waits until the program's API answers and its first banner was read.
func (i *instance) up() error {
	deadline := time.After(30 * time.Second)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !i.answers() {
		select {
		case err := <-i.ended:
			i.ended <- err
			return errors.Join(errors.New("the server ended"), err)
		case <-deadline:
			return errors.New("the server does not answer")
		case <-tick.C:
		}
	}
	return nil
}

// answers tells whether there is an API, and a banner at the port for mail.
func (i *instance) answers() bool {
	api, err := net.Dial("unix", filepath.Join(i.data, "postroad.sock"))
	if err != nil {
		return false
	}
	_ = api.Close()
	c, err := net.Dial("tcp", i.smtp)
	if err != nil {
		return false
	}
	defer c.Close() //nolint:errcheck // only read from
	_ = c.SetDeadline(time.Now().Add(5 * time.Second))
	banner := make([]byte, 3)
	_, err = io.ReadFull(c, banner)
	return err == nil && string(banner) == "220"
}

// kill sends a signal and waits for the end.
func (i *instance) kill(sig os.Signal) error {
	if i.cmd == nil || i.cmd.Process == nil {
		return nil
	}
	if err := i.cmd.Process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		i.t.Errorf("signal: %v", err)
	}
	select {
	case err := <-i.ended:
		i.ended <- err
		return err
	case <-time.After(40 * time.Second):
		i.t.Error("the server does not end")
		_ = i.cmd.Process.Kill()
		return <-i.ended
	}
}

// try runs a command and gives its output and exit code.
func (i *instance) try(args ...string) (out, errs string, code int) {
	i.t.Helper()
	cmd := exec.Command(i.path(), append([]string{"--data", i.data}, args...)...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		i.t.Fatal(err)
	}
	return stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()
}

// run runs a command that must succeed.
func (i *instance) run(args ...string) string {
	i.t.Helper()
	out, errs, code := i.try(args...)
	if code != 0 {
		i.t.Fatalf("postroad %s: exit %d\n%s%s", strings.Join(args, " "), code, out, errs)
	}
	return out
}

// ask runs a command with --json and reads its answer.
func ask[T any](i *instance, args ...string) T {
	i.t.Helper()
	out := i.run(append(args, "--json")...)
	var v T
	if err := json.Unmarshal([]byte(out), &v); err != nil {
		i.t.Fatalf("postroad %s --json: %v\n%s", strings.Join(args, " "), err, out)
	}
	return v
}

// message is a message as `mailbox messages --json` lists it.
type message struct {
	UID     uint32   `json:"uid"`
	From    string   `json:"from"`
	Subject string   `json:"subject"`
	Date    string   `json:"date"`
	Size    int64    `json:"size"`
	Flags   []string `json:"flags"`
}

// await waits until a mailbox holds at least n messages and lists them.
func (i *instance) await(address string, n int) []message {
	i.t.Helper()
	var list []message
	eventually(i.t, fmt.Sprintf("%d messages in %s", n, address), func() bool {
		list = ask[[]message](i, "mailbox", "messages", address)
		return len(list) >= n
	})
	return list
}

// counts are those of `queue count --json`.
type counts struct {
	Messages   int `json:"messages"`
	Recipients int `json:"recipients"`
	Due        int `json:"due"`
	Held       int `json:"held"`
}

// eventually waits for a condition, at most a while.
func eventually(t *testing.T, what string, cond func() bool) {
	t.Helper()
	deadline := time.After(60 * time.Second)
	tick := time.NewTicker(30 * time.Millisecond)
	defer tick.Stop()
	for !cond() {
		select {
		case <-deadline:
			t.Fatalf("waited in vain for %s", what)
		case <-tick.C:
		}
	}
}
