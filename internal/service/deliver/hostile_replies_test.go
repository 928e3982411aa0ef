package deliver_test

import (
	"strings"
	"testing"
	"time"
	"unicode"

	"postroad/internal/core/mail"
	"postroad/internal/sim"
)

func TestHostileRepliesAreCutCleanedAndTemporary(t *testing.T) {
	const megabyte = 1 << 20
	steps := map[string]string{
		"a reply of 1 MB":           sim.LongReply(250, megabyte),
		"a refusal of 1 MB":         sim.LongReply(550, megabyte),
		"a line of 1 MB":            sim.LongLine(250, megabyte),
		"a refusal line of 1 MB":    sim.LongLine(550, megabyte),
		"wrong code 199":            "199 what",
		"wrong code 600":            "600 what",
		"wrong code 999":            "999 what",
		"no code":                   "hello",
		"codes that differ":         sim.Raw("250-2.0.0 a\r\n550 5.0.0 b\r\n"),
		"a continuation":            "354 go on",
		"challenge":                 "334 Z28gb24=",
		"nothing but line ends":     sim.Raw("\r\n\r\n\r\n"),
		"NULs":                      sim.Raw("\x00\x00\x00\x00\r\n"),
		"octets above ASCII":        sim.Raw("\xff\xfe\xfd\xfc 250 ok\r\n"),
		"preauthenticated, as IMAP": sim.Raw("* PREAUTH hi\r\n"),
	}
	for name, step := range steps {
		for _, command := range []string{"greeting", "EHLO", "MAIL", "RCPT", "DATA", "dot"} {
			if command == "DATA" && strings.HasPrefix(step, "354") {
				continue
			}
			t.Run(command+" "+name, func(t *testing.T) {
				play(t, oneExchanger, nil, func(w *world) {
					t := w.t
					script := at(command, step)
					switch command {
					case "greeting":
						script = sim.Script{Greeting: step}
					case "EHLO":
						script = sim.Script{Hello: step, Helo: step}
					}
					p := w.peer("192.0.2.11:25", script)
					r := w.deliver(remote("example.net"), message("m1", "a@example.net"))
					var texts []string
					if r.err != nil {
						texts = append(texts, r.reason())
					}
					for _, o := range r.outcomes[0] {
						if o.Result != mail.Deferred {
							t.Errorf("%s", r.text())
						}
						texts = append(texts, o.Reply.Text, o.Reply.String())
					}
					if len(texts) == 0 {
						t.Error("neither an outcome nor a reason")
					}
					for _, text := range texts {
						checkClean(t, text)
					}
					if copies := len(p.Messages()); copies > 1 {
						t.Errorf("%d copies", copies)
					}
				})
			})
		}
	}
}

func checkClean(t *testing.T, text string) {
	t.Helper()
	if len(text) > 2100 {
		t.Errorf("a text of %d octets is passed on", len(text))
	}
	for _, c := range text {
		if c != '\n' && !unicode.IsGraphic(c) || c == unicode.ReplacementChar {
			t.Errorf("%q is passed on in %.100q", c, text)
		}
	}
}

func TestControlCharactersInRefusals(t *testing.T) {
	play(t, oneExchanger, nil, func(w *world) {
		t := w.t
		w.peer("192.0.2.11:25", sim.Script{Rcpt: map[string]string{
			"esc@example.net":  sim.Raw("550 5.1.1 \x1b[31mred\x1b[0m \x07\x00\u202eevil\r\n"),
			"line@example.net": sim.Raw("550-5.1.1 first\r\n550 5.1.1 Bcc: x@example.org\rSubject: y\r\n"),
			"long@example.net": sim.Raw(strings.Repeat("550-5.1.1 "+strings.Repeat("ä", 240)+"\r\n", 99) + "550 5.1.1 end\r\n"),
		}})
		r := w.deliver(remote("example.net"), message("m1", "esc@example.net", "line@example.net", "long@example.net"))
		w.expect(r, "failed 550 5.1.1 mx1.example.net, failed 550 5.1.1 mx1.example.net, failed 550 5.1.1 mx1.example.net")
		for _, o := range r.outcomes[0] {
			checkClean(t, o.Reply.Text)
			if strings.ContainsAny(o.Reply.String(), "\r\n\x1b") {
				t.Errorf("%q", o.Reply.String())
			}
		}
		if got := r.outcomes[0][0].Reply.Text; got != "[31mred[0m evil" {
			t.Errorf("cleaned to %q", got)
		}
	})
}

func TestAnEndlessReplyEndsSoon(t *testing.T) {
	play(t, oneExchanger, nil, func(w *world) {
		t := w.t
		w.peer("192.0.2.11:25", sim.Script{Mail: sim.Raw(strings.Repeat("250-and so on\r\n", 1<<16))})
		spent := took(func() {
			w.expect(w.deliver(remote("example.net"), message("m1", "a@example.net")), "deferred 450 4.4.2 mx1.example.net | down 4.4.2 mx1.example.net")
		})
		if spent > time.Second {
			t.Errorf("it took %v", spent)
		}
	})
}
