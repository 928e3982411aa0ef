package imapd

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// mirror is what a client makes of what it is told.
type mirror struct {
	*client
	messages []mirrored // by message number
	faults   []string
}

// mirrored is a message as far as a client knows it.
type mirrored struct {
	uid   string // "" while it is not known
	flags string // sorted; "?" while they are not known
}

func (m *mirror) fault(format string, args ...any) {
	m.faults = append(m.faults, fmt.Sprintf(format, args...))
}

// tell takes an untagged response in.
func (m *mirror) tell(line string) {
	words := strings.Fields(line)
	if len(words) < 3 || words[0] != "*" {
		return
	}
	n, err := strconv.Atoi(words[1])
	if err != nil {
		return
	}
	switch words[2] {
	case "EXISTS":
		if n < len(m.messages) {
			m.fault("%q with %d messages", line, len(m.messages))
			return
		}
		for len(m.messages) < n {
			m.messages = append(m.messages, mirrored{flags: "?"})
		}
	case "EXPUNGE":
		if n < 1 || n > len(m.messages) {
			m.fault("%q with %d messages", line, len(m.messages))
			return
		}
		m.messages = slices.Delete(m.messages, n-1, n)
	case "FETCH":
		if n < 1 || n > len(m.messages) {
			m.fault("%q with %d messages", line, len(m.messages))
			return
		}
		at := &m.messages[n-1]
		if _, after, ok := strings.Cut(line, "UID "); ok {
			uid := strings.FieldsFunc(after, func(c rune) bool { return c == ' ' || c == ')' })[0]
			if at.uid != "" && at.uid != uid {
				m.fault("%q, but the UID was %s", line, at.uid)
			}
			at.uid = uid
		}
		if _, after, ok := strings.Cut(line, "FLAGS ("); ok {
			list, _, _ := strings.Cut(after, ")")
			at.flags = flagSet(strings.Fields(list))
		}
	}
}

func flagSet(list []string) string {
	list = slices.DeleteFunc(list, func(f string) bool { return f == `\Recent` })
	slices.Sort(list)
	return strings.Join(slices.Compact(list), " ")
}

// run gives a command and takes in what it is told; a literal's content is part of the command.
func (m *mirror) run(command string, mayFail bool) {
	lines := m.do(command)
	for _, line := range lines[:len(lines)-1] {
		m.tell(line)
	}
	if last := lines[len(lines)-1]; !strings.Contains(last, " OK ") && !strings.Contains(last, " NO [EXPUNGEISSUED]") && !mayFail {
		m.fault("%s: %s", command, last)
	}
}

// step does something at random.
func (m *mirror) step(random *rand.Rand) {
	number := func() string { return strconv.Itoa(1 + random.IntN(len(m.messages))) }
	flag := []string{`\Seen`, `\Flagged`, `\Deleted`, "kw1", "kw2"}[random.IntN(5)]
	mode := []string{"+FLAGS", "-FLAGS", "FLAGS"}[random.IntN(3)]
	choice := random.IntN(13)
	if len(m.messages) == 0 {
		choice = random.IntN(2)
	}
	switch choice {
	case 0, 1:
		m.run("APPEND INBOX ("+flag+") {12+}\r\nA: b\r\n\r\ntext", false)
	case 2:
		m.run("STORE "+number()+" "+mode+" ("+flag+")", false)
	case 3:
		m.silent(number(), mode, flag)
	case 4:
		m.run("UID STORE 1:* "+mode+" ("+flag+")", false)
	case 5:
		if len(m.messages) > 10 {
			m.run("EXPUNGE", false)
		}
	case 6:
		m.run("FETCH "+number()+":"+number()+" (UID FLAGS)", false)
	case 7:
		m.run("SEARCH KEYWORD kw1", false)
	case 8:
		m.run("COPY "+number()+" INBOX", true) // it may be gone
	case 9:
		m.run("MOVE "+number()+" Archive", true)
	case 10:
		m.idle()
	case 11:
		m.run("NOOP", false)
	case 12: // what others change before the next look is told then
		m.messages = nil
		m.run("SELECT INBOX", false)
	}
}

// silent changes flags and expects to be told only of what else has changed.
func (m *mirror) silent(number, mode, flag string) {
	n, _ := strconv.Atoi(number)
	at := &m.messages[n-1]
	if at.flags == "?" {
		return
	}
	flags := strings.Fields(at.flags)
	switch mode {
	case "+FLAGS":
		flags = append(flags, flag)
	case "-FLAGS":
		flags = slices.DeleteFunc(flags, func(f string) bool { return f == flag })
	default:
		flags = []string{flag}
	}
	at.flags = flagSet(flags)
	m.run("STORE "+number+" "+mode+".SILENT ("+flag+")", false)
}

func (m *mirror) idle() {
	m.send("i IDLE\r\n")
	for {
		line := m.line()
		if strings.HasPrefix(line, "+ ") {
			break
		}
		m.tell(line)
	}
	m.send("DONE\r\n")
	for {
		line := m.line()
		if strings.HasPrefix(line, "i ") {
			return
		}
		m.tell(line)
	}
}

// Clients of one mailbox do things at random, at the same time; in the end each knows what is there, with the numbers
// and flags that a new one is told.
func TestManyClientsSeeTheSame(t *testing.T) {
	steps := 150
	if n, err := strconv.Atoi(os.Getenv("POSTROAD_IMAP_STEPS")); err == nil {
		steps = n
	}
	seed := uint64(time.Now().UnixNano())
	if n, err := strconv.ParseUint(os.Getenv("POSTROAD_IMAP_SEED"), 10, 64); err == nil {
		seed = n
	}
	t.Logf("seed %d", seed)
	h := start(t, Config{})
	clients := make([]*mirror, 6)
	for i := range clients {
		clients[i] = &mirror{client: h.login("ann@a.example")}
		clients[i].run("SELECT INBOX", false)
	}
	var wait sync.WaitGroup
	for i, m := range clients {
		random := rand.New(rand.NewPCG(seed, uint64(i))) //nolint:gosec // a test's chance
		wait.Go(func() {
			for range steps {
				if m.step(random); len(m.faults) > 0 {
					return
				}
			}
		})
	}
	wait.Wait()
	fresh := &mirror{client: h.login("ann@a.example")}
	fresh.run("SELECT INBOX", false)
	fresh.run("UID FETCH 1:* (FLAGS)", false)
	for i, m := range clients {
		m.run("NOOP", false)
		for _, fault := range m.faults {
			t.Errorf("client %d: %s", i, fault)
		}
		if len(m.messages) != len(fresh.messages) {
			t.Errorf("client %d sees %d messages, a new one %d", i, len(m.messages), len(fresh.messages))
			continue
		}
		for n, got := range m.messages {
			want := fresh.messages[n]
			if got.uid != "" && got.uid != want.uid || got.flags != "?" && got.flags != want.flags {
				t.Errorf("client %d sees %v as message %d, a new one %v", i, got, n+1, want)
			}
		}
	}
}
