package acceptance

import (
	"bufio"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"postroad/internal/sim"
)

// What the environment may say of TestKill9AtChosenSystemCalls.
const (
	killSeed    = "POSTROAD_KILL_SEED"    // a number; repeats a run as far as the machine's scheduling allows
	killPoints  = "POSTROAD_KILL_POINTS"  // how many kills; default 200, 20 with -short
	killMinutes = "POSTROAD_KILL_MINUTES" // goes on for so long, whatever the number of kills
)

// killCalls are the system calls before which the server is killed, and how often each is chosen: those that make
// mail durable, that remove it, that lock and open files, and that speak to clients and the next hop.
func killCalls() map[string]int {
	return map[string]int{
		"fsync": 4, "pwrite64": 4, "ftruncate": 2, "linkat": 2, "unlinkat": 2, "unlink": 1, "open": 1, "openat": 2,
		"write": 3, "read": 1, "close": 1, "fcntl": 1, "accept4": 1, "connect": 1, "mkdirat": 1, "chmod": 1, "fchmodat": 1,
	}
}

// point is one moment of a kill: before the n-th call of a kind on some thread of the server, counted from its start
// or from the beginning of a load.
type point struct {
	call  string
	n     int
	start bool
}

func (p point) String() string {
	return fmt.Sprintf("%s/%s/%d", map[bool]string{true: "start", false: "load"}[p.start], p.call, p.n)
}

// inject gives strace's words for it.
func (p point) inject() []string {
	return []string{"-o", "/dev/null", "-e", "trace=" + p.call, "-e", fmt.Sprintf("inject=%s:signal=KILL:when=%d", p.call, p.n)}
}

// straced gives the words that run a program under strace as a grandchild, so that the program stays ours. strace's
// --seccomp-bpf would be faster, but with it only the first call of a thread is counted (strace 6.1).
func straced(t *testing.T, options ...string) []string {
	t.Helper()
	path, err := exec.LookPath("strace")
	if err != nil {
		missing(t, "this needs: apt-get install strace")
	}
	return append([]string{path, "-D", "-f", "-qq", "-e", "signal=none"}, options...)
}

// attach begins to strace the running server and gives what ends that.
func (i *instance) attach(options ...string) (detach func()) {
	i.t.Helper()
	path, err := exec.LookPath("strace")
	if err != nil {
		missing(i.t, "this needs: apt-get install strace")
	}
	words := append([]string{"-f", "-e", "signal=none", "-p", strconv.Itoa(i.cmd.Process.Pid)}, options...)
	cmd := exec.Command(path, words...)
	said, err := cmd.StderrPipe()
	if err != nil {
		i.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		i.t.Fatal(err)
	}
	lines := bufio.NewScanner(said)
	if !lines.Scan() || !strings.Contains(lines.Text(), "attached") {
		i.t.Fatalf("strace: %s", lines.Text())
	}
	read := make(chan struct{})
	go func() {
		defer close(read)
		for lines.Scan() { // it must not block on a full pipe
		}
	}()
	return sync.OnceFunc(func() {
		_ = cmd.Process.Signal(os.Interrupt) // it ends with the server too
		<-read
		_ = cmd.Wait()
	})
}

// census is what the server's threads do: for each kind of call, which call of its thread each one is.
type census struct{ start, load map[string][]int }

// take counts the calls of a start after a kill, and those of a load.
func (c *census) take(t *testing.T, seed uint64) {
	t.Helper()
	hop := sim.StartPeer(t, sim.Script{})
	i, locals, relayed := killWorld(t, hop.Addr())
	w := &load{addr: i.smtp, sessions: 6, messages: 12, seed: seed, name: "census", locals: locals, relayed: relayed}
	w.run(newLedger())
	_ = i.kill(syscall.SIGKILL) // so that the next start finds what a kill leaves
	file := filepath.Join(i.dir, "calls")
	i.launch(straced(t, "-ttt", "-o", file, "-e", "trace="+strings.Join(slices.Sorted(maps.Keys(killCalls())), ","))...)
	if err := i.up(); err != nil {
		t.Fatalf("under strace: %v\n%s", err, tail(i.log.String(), 2000))
	}
	up := float64(time.Now().UnixMicro()) / 1e6
	w.run(newLedger())
	_ = i.kill(syscall.SIGKILL)
	c.start, c.load = map[string][]int{}, map[string][]int{}
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close() //nolint:errcheck // only read from
	line := regexp.MustCompile(`^(\d+) +([\d.]+) ([a-z0-9]+)\(`)
	type thread struct {
		id, call string
		start    bool
	}
	counts := map[thread]int{}
	for lines := bufio.NewScanner(f); lines.Scan(); {
		m := line.FindStringSubmatch(lines.Text())
		if m == nil {
			continue
		}
		at, err := strconv.ParseFloat(m[2], 64)
		if err != nil {
			t.Fatal(err)
		}
		th := thread{id: m[1], call: m[3], start: at < up}
		counts[th]++
		if th.start {
			c.start[th.call] = append(c.start[th.call], counts[th])
		} else {
			c.load[th.call] = append(c.load[th.call], counts[th])
		}
	}
	for _, call := range []string{"fsync", "pwrite64", "linkat", "unlinkat", "write"} {
		if len(c.load[call]) == 0 {
			t.Errorf("the server makes no call of %s: the list of calls does not fit it any more", call)
		}
	}
}

// choose gives a point by chance, one in three within a start.
func (c *census) choose(random *rand.Rand) point {
	among := c.load
	start := random.IntN(3) == 0
	if start {
		among = c.start
	}
	var calls []string
	weights := killCalls()
	for _, call := range slices.Sorted(maps.Keys(weights)) {
		if len(among[call]) > 0 {
			calls = append(calls, slices.Repeat([]string{call}, weights[call])...)
		}
	}
	call := calls[random.IntN(len(calls))]
	n := among[call][random.IntN(len(among[call]))]
	if start { // what a start does depends on what the kill before it left
		n = 1 + random.IntN(n)
	}
	return point{call: call, n: n, start: start}
}

// killing is one run of the test over many data folders.
type killing struct {
	seed   uint64
	census census
	until  time.Time    // zero: by the number of points
	number atomic.Int64 // of series begun
	mu     sync.Mutex
	left   int            // points to choose
	points map[string]int // what was done, by call
	missed int            // points that no thread came to
	longer time.Duration  // the longest start
}

// more takes up to n points from what is left.
func (k *killing) more(n int) int {
	if !k.until.IsZero() {
		if time.Now().After(k.until) {
			return 0
		}
		return n
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	n = min(n, k.left)
	k.left -= n
	return n
}

// TestKill9AtChosenSystemCalls kills the server before system calls chosen by chance, at starts and under load, many
// times in one data folder, and then looks for everything that was acknowledged.
func TestKill9AtChosenSystemCalls(t *testing.T) {
	k := &killing{seed: uint64(time.Now().UnixNano()), points: map[string]int{}} //nolint:gosec // any number
	number := func(name string, otherwise int64) int64 {
		text := os.Getenv(name)
		if text == "" {
			return otherwise
		}
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		return n
	}
	k.seed = uint64(number(killSeed, int64(k.seed))) //nolint:gosec // any number
	points := int64(200)
	if testing.Short() {
		points = 20
	}
	k.left = int(number(killPoints, points))
	t.Logf("seed %d (repeat with %s=%d)", k.seed, killSeed, k.seed)
	k.census.take(t, k.seed)
	if minutes := number(killMinutes, 0); minutes > 0 {
		k.until = time.Now().Add(time.Duration(minutes) * time.Minute)
	}
	t.Run("worker", func(t *testing.T) {
		for n := range 2 {
			t.Run(strconv.Itoa(n), func(t *testing.T) {
				t.Parallel()
				for !t.Failed() && k.series(t) {
				}
			})
		}
	})
	done := 0
	for _, n := range k.points {
		done += n
	}
	t.Logf("killed %d times in %d folders, by call: %v; beside them %d times after a load that did not come to its point; longest start %s",
		done, k.number.Load(), k.points, k.missed, k.longer)
	if k.missed > done {
		t.Errorf("more points were missed (%d) than met (%d): the choice does not fit the program", k.missed, done)
	}
}

// series kills one server several times, lets it run once undisturbed, and checks. It tells whether anything was
// left to do.
func (k *killing) series(t *testing.T) bool {
	t.Helper()
	number := k.number.Add(1)
	random := rand.New(rand.NewPCG(k.seed, uint64(number))) //nolint:gosec // a test's chance
	kills := k.more(5 + random.IntN(11))
	if kills == 0 {
		k.number.Add(-1)
		return false
	}
	return t.Run(fmt.Sprint("series ", number), func(t *testing.T) {
		hop := sim.StartPeer(t, sim.Script{})
		i, locals, relayed := killWorld(t, hop.Addr())
		_ = i.kill(syscall.SIGKILL)
		w := &load{addr: i.smtp, sessions: 2 + random.IntN(7), messages: 4 + random.IntN(12), locals: locals, relayed: relayed}
		l := newLedger()
		var chosen []string
		var at []time.Time
		for round := range kills {
			p := k.census.choose(random)
			w.seed, w.name = random.Uint64(), fmt.Sprintf("s%d-r%d", number, round)
			chosen = append(chosen, k.round(i, l, w, p))
			at = append(at, time.Now())
		}
		t.Logf("%d sessions of %d messages, killed at %s", w.sessions, w.messages, strings.Join(chosen, ", "))
		k.started(i, i.start)
		w.seed, w.name = random.Uint64(), fmt.Sprintf("s%d-end", number)
		w.run(l)
		i.check(l, locals, hop, at)
		if err := i.kill(syscall.SIGTERM); err != nil {
			t.Errorf("SIGTERM: %v", err)
		}
	})
}

// started measures a start that succeeds.
func (k *killing) started(i *instance, start func()) {
	i.t.Helper()
	before := time.Now()
	start()
	took := time.Since(before)
	if took > restartLimit {
		i.t.Errorf("%s until the first banner", took)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.longer = max(k.longer, took)
}

// round runs the server with a kill at a point, under a load unless it dies before, and tells what was done.
func (k *killing) round(i *instance, l *ledger, w *load, p point) string {
	i.t.Helper()
	up := true
	detach := func() {}
	if p.start {
		before := time.Now()
		i.launch(straced(i.t, p.inject()...)...)
		up = i.up() == nil
		if took := time.Since(before); up && took > restartLimit {
			i.t.Errorf("%s until the first banner under strace", took)
		}
	} else {
		k.started(i, i.start)
		detach = i.attach(p.inject()...)
	}
	met := !up || underLoad(i, l, w)
	i.killed()
	detach()
	k.mu.Lock()
	defer k.mu.Unlock()
	if !met {
		k.missed++
		k.left++
		return p.String() + " (missed)"
	}
	k.points[p.call]++
	return p.String()
}

// afterLoad is how long the server may deliver after a load until it is killed in any case.
const afterLoad = 150 * time.Millisecond

// underLoad gives the server its load and tells whether it was killed by it; if not, it is killed here.
func underLoad(i *instance, l *ledger, w *load) bool {
	w.run(l) // a killed server ends it
	select {
	case err := <-i.ended:
		i.ended <- err
		return true
	case <-time.After(afterLoad):
		_ = i.cmd.Process.Signal(syscall.SIGKILL)
		return false
	}
}
