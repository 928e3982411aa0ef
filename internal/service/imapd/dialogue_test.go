package imapd

import (
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write what the server says into the dialogues; read every line of the difference")

// Dialogues are files of testdata. A title begins one:
//
//	# ann reads a message
//
// Then "+ NAME" delivers a message of testdata/messages to ann, "C:" is what she sends and "S:" what she is told, each
// a line. "C2:" and "S2:" are another connection of hers, "B:" and "T:" are bob's. "N:" and "M:" are somebody without a
// login, under TLS; "P:" and "Q:" are the same in clear. "C: <text>" with <lf>, <nul> and the like sends that octet,
// and the line end is left out when it ends with "\".
//
// They show, beside RFC 9051 and RFC 3501: RFC 2971, RFC 4959, RFC 5161 and RFC 7888 (1), RFC 2342, RFC 3348, RFC 5819, RFC 7889
// and RFC 8438 (2), RFC 3691 (3), RFC 3502, RFC 4315 and RFC 6851 (5), RFC 4731 and RFC 5182 (6), RFC 2177 (7).
func TestDialogues(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("no dialogues", err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var out strings.Builder
		for _, part := range strings.SplitAfter(string(text), "\n\n") {
			title, body, _ := strings.Cut(part, "\n")
			written := part
			t.Run(filepath.Base(file)+" "+strings.TrimPrefix(title, "# "), func(t *testing.T) {
				written = title + "\n" + dialogue(t, body)
			})
			out.WriteString(written)
		}
		if *update {
			if err := os.WriteFile(file, []byte(strings.TrimRight(out.String(), "\n")+"\n"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// varying is what differs from run to run.
var varying = regexp.MustCompile(`(UIDVALIDITY|APPENDUID|COPYUID) \d+`)

// isTag is a tag of these dialogues.
var isTag = regexp.MustCompile(`^[a-z]\d+$`)

type speaker struct{ send, hear string }

var speakers = []speaker{{"C:", "S:"}, {"C2:", "S2:"}, {"B:", "T:"}, {"N:", "M:"}, {"P:", "Q:"}}

// dialogue plays one and gives it with what the server said.
func dialogue(t *testing.T, script string) string {
	h := start(t, Config{MessageSize: 1 << 20})
	clients := map[string]*client{}
	get := func(s speaker) *client {
		c := clients[s.send]
		if c != nil {
			return c
		}
		switch s.send {
		case "B:":
			c = h.login("bob@b.example")
		case "N:":
			c = h.dial(true)
		case "P:":
			c = h.dial(false)
		default:
			c = h.login("ann@a.example")
		}
		clients[s.send] = c
		return c
	}
	var out []string
	tags := map[string]string{}
	before := "" // the word that the line before began with, where what was heard has just been written
	lines := strings.Split(script, "\n")
	for i := range lines {
		word, rest, _ := strings.Cut(lines[i], " ")
		switch {
		case lines[i] == "" || word == "#":
			out = append(out, lines[i])
			continue
		case word == "+":
			text, err := os.ReadFile(filepath.Join("testdata", "messages", rest))
			if err != nil {
				t.Fatal(err)
			}
			h.deliver("ann@a.example", string(text))
			before = ""
			out = append(out, lines[i])
			continue
		}
		for _, s := range speakers {
			switch word {
			case s.send:
				get(s).send(wire(h, rest))
				out = append(out, lines[i])
				if tag, _, _ := strings.Cut(rest, " "); isTag.MatchString(tag) {
					tags[s.send] = tag
				}
				before = ""
				if *update && !strings.HasSuffix(rest, "+}") && !strings.HasSuffix(rest, `\`) {
					out = append(out, hear(get(s), s.hear, tags[s.send])...)
					before = s.hear
				}
			case s.hear:
				if before == s.hear {
					continue
				}
				got := normal(get(s).line())
				if got != rest && !*update {
					t.Fatalf("line %d: server says\n  %s\nwant\n  %s", i+2, got, rest)
				}
				out = append(out, s.hear+" "+got)
			}
		}
	}
	return strings.Join(out, "\n")
}

func normal(line string) string { return varying.ReplaceAllString(line, "$1 V") }

// wire is a line as it is sent.
func wire(h *harness, text string) string {
	end := "\r\n"
	if line, ok := strings.CutSuffix(text, `\`); ok {
		text, end = line, ""
	}
	if strings.Contains(text, "<V>") {
		f, err := h.store.Folder(h.Context(), systemScope, users["ann@a.example"].Mailbox, "INBOX")
		if err != nil {
			h.Fatal(err)
		}
		text = strings.ReplaceAll(text, "<V>", itoa(f.UIDValidity))
	}
	return strings.NewReplacer("<lf>", "\n", "<cr>", "\r", "<nul>", "\x00").Replace(text) + end
}

// hear reads what the server says up to a tagged response, a continuation request, or the end.
func hear(c *client, prefix, tag string) []string {
	var out []string
	for {
		text, err := c.in.ReadString('\n')
		if err != nil {
			return out
		}
		text = strings.TrimSuffix(text, "\r\n")
		out = append(out, prefix+" "+normal(text))
		if strings.HasPrefix(text, tag+" ") || strings.HasPrefix(text, "+ ") {
			return out
		}
	}
}
