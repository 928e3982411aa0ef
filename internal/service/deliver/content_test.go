package deliver_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"postroad/internal/core/mail"
	"postroad/internal/core/routing"
	"postroad/internal/proto/smtp"
	"postroad/internal/service/deliver"
	"postroad/internal/sim"
)

// file is a content that is opened; closed counts what was given back.
type file struct {
	io.Reader
	closed *int
}

func (f file) Close() error { *f.closed++; return nil }

func opened(content io.Reader, err error, closed *int) mail.Content {
	return mail.Content{Blob: "b", Open: func() (io.ReadCloser, error) {
		if err != nil {
			return nil, err
		}
		return file{content, closed}, nil
	}}
}

func TestContentGoesOutByteForByte(t *testing.T) {
	lines := strings.Repeat("..two dots\r\n.\r\n.one dot\r\nno dot \xff\xfe\r\n\r\n", 40_000)
	for name, content := range map[string]string{"small": body, "a dot": ".\r\n", "empty": "", "large": lines} {
		for _, inline := range []bool{true, false} {
			for _, extensions := range [][]string{nil, {}} {
				t.Run(fmt.Sprint(name, inline, extensions), func(t *testing.T) {
					play(t, oneExchanger, nil, func(w *world) {
						t := w.t
						p := w.peer("192.0.2.11:25", sim.Script{Extensions: extensions})
						closed := 0
						batch := messages(3, "a@example.net")
						for i := range batch {
							batch[i].Message.Size = int64(len(content))
							batch[i].Content = mail.Content{Inline: []byte(content)}
							if !inline {
								batch[i].Content = opened(strings.NewReader(content), nil, &closed)
							}
						}
						w.expect(w.deliver(remote("example.net"), batch...), times(3, okMX1))
						for _, m := range p.Messages() {
							if !bytes.Equal(m.Body, []byte(content)) {
								t.Errorf("%d octets went in, %d came out", len(content), len(m.Body))
							}
						}
						if !inline && closed != 3 {
							t.Errorf("%d of 3 files were closed", closed)
						}
					})
				})
			}
		}
	}
}

func TestContentThatCannotBeReadCostsNoOtherMessage(t *testing.T) {
	broken := errors.New("checksum")
	for _, c := range []struct {
		name    string
		content func(closed *int) mail.Content
	}{
		{"not opened", func(closed *int) mail.Content { return opened(nil, broken, closed) }},
		{"broken in the middle", func(closed *int) mail.Content {
			return opened(io.MultiReader(strings.NewReader(strings.Repeat(body, 5000)), failing{broken}), nil, closed)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			play(t, oneExchanger, nil, func(w *world) {
				t := w.t
				p := w.peer("192.0.2.11:25", sim.Script{})
				closed := 0
				batch := messages(4, "a@example.net")
				batch[0].Content, batch[2].Content = c.content(&closed), c.content(&closed)
				const failed = "deferred 451 4.3.0"
				r := w.deliver(remote("example.net"), batch...)
				w.expect(r, failed+"; "+okMX1+"; "+failed+"; "+okMX1)
				if strings.Contains(r.outcomes[0][0].Reply.Text, "checksum") {
					t.Error("the sender is told of our disk")
				}
				if got := copies(p); got["m2"] != 1 || got["m4"] != 1 || len(got) != 2 {
					t.Errorf("copies %v: no partial message may arrive", got)
				}
			})
		})
	}
}

// failing is a reader that fails.
type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

func TestWhatTheNextHopDoesNotOfferFailsHere(t *testing.T) {
	for _, c := range []struct {
		name       string
		extensions []string
		change     func(*mail.Delivery)
		want       string
	}{
		{"SMTPUTF8 in the header", []string{"8BITMIME"}, func(d *mail.Delivery) { d.Message.UTF8 = true }, "failed 550 5.6.7; " + okMX1},
		{"SMTPUTF8 in the sender", []string{}, func(d *mail.Delivery) { d.Message.Sender = "jürgen@sender.example" }, "failed 550 5.6.7; " + okMX1},
		{"SMTPUTF8 in a recipient", []string{}, func(d *mail.Delivery) { d.Recipients[0].Destination = "jürgen@example.net" }, "failed 550 5.6.7; " + okMX1},
		{"SMTPUTF8 offered", []string{"SMTPUTF8", "8BITMIME"}, func(d *mail.Delivery) { d.Message.UTF8 = true }, okMX1 + "; " + okMX1},
		{"over the SIZE", []string{"SIZE 1000"}, func(d *mail.Delivery) { d.Message.Size = 1001 }, "failed 552 5.3.4; " + okMX1},
		{"at the SIZE", []string{"SIZE 1000"}, func(d *mail.Delivery) { d.Message.Size = 1000 }, okMX1 + "; " + okMX1},
		{"SIZE without a limit", []string{"SIZE 0"}, func(d *mail.Delivery) { d.Message.Size = 1 << 40 }, okMX1 + "; " + okMX1},
		{"8 bit is sent as it is", []string{}, func(d *mail.Delivery) { d.Message.Body = smtp.Body8BitMIME }, okMX1 + "; " + okMX1},
		{"a sender that cannot be written", nil, func(d *mail.Delivery) { d.Message.Sender = "a\r\nRCPT TO:<x@y>@b" }, "failed 553 5.1.7; " + okMX1},
		{"a recipient that cannot be written", nil, func(d *mail.Delivery) { d.Recipients[0].Destination = "a>\r\nDATA\r\n@b" }, "failed 553 5.1.3; " + okMX1},
	} {
		t.Run(c.name, func(t *testing.T) {
			play(t, twoOfEach, nil, func(w *world) {
				t := w.t
				p := w.peer("[2001:db8::11]:25", sim.Script{Extensions: c.extensions})
				w.peer("192.0.2.21:25", sim.Script{})
				batch := messages(2, "a@example.net")
				c.change(&batch[0])
				w.expect(w.deliver(remote("example.net"), batch...), c.want)
				if p.Connections() != 1 || len(w.dials(0)) != 1 {
					t.Errorf("dialled %v", w.dials(0))
				}
				if strings.Contains(c.name, "8 bit") {
					if got := p.Messages()[0]; string(got.Body) != body || got.Parameters != "" {
						t.Errorf("sent %q with %q", got.Body, got.Parameters)
					}
				}
			})
		})
	}
}

func TestEnvelopeParametersGoOutAsTheyCameIn(t *testing.T) {
	play(t, oneExchanger, nil, func(w *world) {
		t := w.t
		p := w.peer("192.0.2.11:25", sim.Script{})
		m := message("m1", "a@example.net")
		m.Message.EnvID, m.Message.Ret, m.Message.Body, m.Message.Sender = "e+1", smtp.RetHdrs, smtp.Body8BitMIME, ""
		m.Recipients[0].Notify, m.Recipients[0].ORcpt = smtp.NotifySuccess|smtp.NotifyFailure, "rfc822;x@y.example"
		r := w.deliver(remote("example.net"), m)
		w.expect(r, okMX1)
		if !r.outcomes[0][0].DSN {
			t.Error("the outcome does not say that the next hop reports")
		}
		got := p.Messages()[0]
		if got.From != "" || got.Parameters != fmt.Sprintf("SIZE=%d BODY=8BITMIME RET=HDRS ENVID=e+2B1", len(body)) ||
			got.Recipients[0].Parameters != "NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;x@y.example" {
			t.Errorf("MAIL %q %q, RCPT %q", got.From, got.Parameters, got.Recipients[0].Parameters)
		}
	})
}

func TestTheTraceGoesBeforeTheContent(t *testing.T) {
	tracer := routing.NewTracer("secret")
	root := mail.NewID(time.Unix(1, 0), 0, 1, 1)
	for _, inline := range []bool{true, false} {
		play(t, oneExchanger, func(c *deliver.Config) { c.Trace = tracer }, func(w *world) {
			t := w.t
			p := w.peer("192.0.2.11:25", sim.Script{Rcpt: map[string]string{"b@example.net": sim.InTurn("450 4.2.1 later", "")}})
			m := message("m1", "a@example.net", "b@example.net")
			m.Message.Root = root
			if !inline {
				m.Content = opened(strings.NewReader(body), nil, new(int))
			}
			r := w.deliver(remote("example.net"), m)
			w.expect(r, okMX1+", deferred 450 4.2.1 mx1.example.net")
			got := p.Messages()[0]
			field, same := bytes.CutSuffix(got.Body, []byte(body))
			if !same || !bytes.HasPrefix(field, []byte(routing.TraceField+": "+string(root)+"\r\n ")) {
				t.Errorf("it begins %q", got.Body)
			}
			if want := fmt.Sprintf("SIZE=%d", len(got.Body)); !strings.Contains(got.Parameters, want) {
				t.Errorf("%d octets are announced as %q", len(got.Body), got.Parameters)
			}
			passed := tracer.Read(field)
			if !passed.Of("a@example.net") || !passed.Of("b@example.net") || passed.Of("c@example.net") {
				t.Errorf("the field does not know its recipients: %q", field)
			}
		})
	}
}
