package routing_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"postroad/internal/core/mail"
	"postroad/internal/core/routing"
)

// leaving are rows for some destinations.
func leaving(to ...string) []mail.Recipient {
	rows := make([]mail.Recipient, len(to))
	for i := range to {
		rows[i].Destination = to[i]
	}
	return rows
}

func TestTheSameRecipientIsKnownByItsToken(t *testing.T) {
	t.Parallel()
	ours, others := routing.NewTracer("secret"), routing.NewTracer("other")
	root, second := mail.NewID(time.Unix(1, 0), 0, 1, 1), mail.NewID(time.Unix(1, 0), 0, 1, 2)
	field := string(ours.AppendTo(nil, root, leaving("u@d.example", "v@d.example")))
	foreign := string(others.AppendTo(nil, root, leaving("u@d.example")))
	again := string(ours.AppendTo(nil, second, leaving("w@d.example")))
	moved := strings.Replace(field, string(root), string(second), 1)
	for _, c := range []struct {
		name, header, rcpt string
		passed             bool
	}{
		{"first", field, "u@d.example", true},
		{"second", field, "v@d.example", true},
		{"case", field, "U@D.example", true},
		{"another", field, "w@d.example", false},
		{"no field", "Subject: x\r\n", "u@d.example", false},
		{"of another installation", foreign, "u@d.example", false},
		{"of several", foreign + "Received: x\r\n" + again + field, "u@d.example", true},
		{"of several, the upper one", again + field, "w@d.example", true},
		{"token under another id", moved, "u@d.example", false},
		{"behind too many", strings.Repeat(foreign, 10) + field, "u@d.example", false},
		{"no id", "Postroad-Trace: x y z\r\nPostroad-Trace:\r\nPostroad-Trace: " + string(root) + "\r\n", "u@d.example", false},
	} {
		p := ours.Read([]byte(c.header))
		if got := p.Of(c.rcpt); got != c.passed {
			t.Errorf("%s: %s has passed: %v", c.name, c.rcpt, got)
		}
	}
	var none *routing.Tracer
	p := none.Read([]byte(field))
	if none.AppendTo(nil, root, nil) != nil || !p.Empty() || p.Of("u@d.example") {
		t.Error("no tracer traces")
	}
}

func TestATraceFieldDoesNotTellHowManyThereAre(t *testing.T) {
	t.Parallel()
	tracer, root := routing.NewTracer("secret"), mail.NewID(time.Unix(1, 0), 0, 1, 1)
	seen := map[string]bool{}
	for n, slots := range map[int]int{1: 4, 2: 4, 4: 4, 5: 8, 9: 16, 1000: 1024} {
		rows := make([]mail.Recipient, n)
		for i := range rows {
			rows[i].Destination = fmt.Sprintf("u%d@d.example", i)
		}
		field := tracer.AppendTo([]byte("Received: x\r\n"), root, rows)
		if words := bytes.Fields(field); len(words) != 4+slots {
			t.Errorf("%d recipients: %d words", n, len(words))
		}
		for line := range bytes.Lines(field) {
			if len(line) > 80 || !bytes.HasSuffix(line, []byte("\r\n")) {
				t.Errorf("%d recipients: line %q", n, line)
			}
		}
		p := tracer.Read(field)
		if !p.Of(rows[n-1].Destination) || p.Of("x@d.example") {
			t.Errorf("%d recipients: the last is not known, or another one", n)
		}
		if n == 1 {
			for _, word := range bytes.Fields(field)[4:] {
				if seen[string(word)] {
					t.Errorf("token %s stands twice", word)
				}
				seen[string(word)] = true
			}
		}
	}
}

func BenchmarkTrace(b *testing.B) {
	tracer, root, rows := routing.NewTracer("secret"), mail.NewID(time.Unix(1, 0), 0, 1, 1), leaving("u@d.example")
	b.ReportAllocs()
	for b.Loop() {
		if len(tracer.AppendTo(nil, root, rows)) == 0 {
			b.Fatal("nothing written")
		}
	}
}
