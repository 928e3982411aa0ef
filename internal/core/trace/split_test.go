package trace_test

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"postroad/internal/core/account"
	"postroad/internal/core/directory"
	"postroad/internal/core/mail"
	"postroad/internal/core/routing"
	"postroad/internal/core/trace"
)

// world has domains of three owners, red, blue and green, named after them.
func world() *directory.Snapshot {
	var domains []directory.Domain
	for _, name := range []string{"red", "blue", "green"} {
		domains = append(domains, directory.Domain{ID: name, Name: name + ".example", Account: account.ID(name), Proved: true, Mode: directory.ModeLocal})
	}
	return directory.NewSnapshot(1, domains, nil, nil, nil)
}

var at = time.Date(2026, 11, 28, 9, 0, 0, 0, time.UTC)

func local(address string, owner account.ID) routing.Destination {
	return routing.Destination{Transport: mail.TransportLocal, Lane: "local/mailboxes", Address: address, Account: owner}
}

// split gives what each account sees of a few events, its texts in one.
func split(events ...trace.Event) (rows []trace.Row, seen map[account.ID]string) {
	s := trace.Splitter{Directory: world()}
	for i := range events {
		s.Add(&events[i])
	}
	rows = s.Rows()
	seen = map[account.ID]string{}
	for _, r := range rows {
		seen[r.Account] += "[" + r.Recipient + "] "
		for _, step := range r.Steps {
			seen[r.Account] += step.Sentence() + " "
			for _, reason := range step.Reasons {
				seen[r.Account] += reason.Fact + " "
			}
		}
	}
	return rows, seen
}

func accepted(from account.ID, decisions ...trace.Decision) trace.Event {
	e := trace.Event{ID: "m", Sender: "Ann@green.example", From: from, Decisions: decisions}
	e.At, e.Kind, e.Size = at, trace.Accepted, 100
	e.Client = mail.Client{Addr: netip.MustParseAddr("192.0.2.7"), Helo: "mx.example"}
	if from != "" {
		e.Asker, e.Client.Login = routing.Login, "login@green.example"
	}
	return e
}

func outcome(kind trace.Kind, recipient, destination string, owner account.ID) trace.Event {
	e := trace.Event{ID: "m", Sender: "Ann@green.example", Owner: owner}
	e.At, e.Kind, e.Recipient, e.Destination, e.Lane, e.Reply = at.Add(time.Second), kind, recipient, destination, "remote/x.example", "250 reply"
	return e
}

func TestEachOwnerSeesItsOwnRecipientsAlone(t *testing.T) {
	t.Parallel()
	rows, seen := split(
		accepted("", trace.Decision{Recipient: "Rob@red.example", Owner: "red", Destinations: []routing.Destination{local("rob@red.example", "red")}},
			trace.Decision{Recipient: "bea@blue.example", Owner: "blue", Destinations: []routing.Destination{local("bea@blue.example", "blue")}}),
		outcome(trace.Delivered, "Rob@red.example", "rob@red.example", "red"),
		outcome(trace.Deferred, "bea@blue.example", "bea@blue.example", "blue"),
	)
	for owner, foreign := range map[account.ID]string{"red": "blue", "blue": "red"} {
		if text := seen[owner]; !strings.Contains(text, "Accepted from mx.example [192.0.2.7]") || strings.Contains(text, foreign+".example") {
			t.Errorf("%s sees: %s", owner, text)
		}
	}
	if len(seen) != 2 || seen["green"] != "" {
		t.Errorf("a forged sender's domain sees something: %v", seen)
	}
	whole := trace.Join(rows)
	if len(whole.Steps) != 5 || !slices.Equal(whole.Recipients, []string{"Rob@red.example", "bea@blue.example"}) || whole.Sender != "ann@green.example" {
		t.Errorf("joined: %+v", whole)
	}
}

func TestAnAliasOfOneOwnerThatLeadsToAnother(t *testing.T) {
	t.Parallel()
	reasons := []routing.Reason{
		{Rule: routing.RuleAlias, Fact: "list@red.example"}, {Rule: routing.RuleAlias, Fact: "hidden@blue.example"}, {Rule: routing.RuleMailbox, Fact: "secret@blue.example"},
	}
	rows, seen := split(
		accepted("", trace.Decision{Recipient: "list@red.example", Owner: "red", Reasons: reasons, Destinations: []routing.Destination{local("rob@red.example", "red"), local("secret@blue.example", "blue")}}),
		outcome(trace.Delivered, "list@red.example", "rob@red.example", "red"),
		outcome(trace.Delivered, "list@red.example", "secret@blue.example", "blue"),
	)
	if text := seen["red"]; strings.Contains(text, "blue.example") || !strings.Contains(text, "rob@red.example") || !strings.Contains(text, "goes to others too") {
		t.Errorf("red sees: %s", text)
	}
	if text := seen["blue"]; strings.Contains(text, "red.example") || strings.Contains(text, "hidden@") || !strings.Contains(text, "[secret@blue.example]") || !strings.Contains(text, "Handed to") {
		t.Errorf("blue sees: %s", text)
	}
	var text strings.Builder
	whole := trace.Join(rows)
	for _, s := range whole.Steps {
		text.WriteString(s.Sentence() + " ")
	}
	if len(whole.Steps) != 4 || !strings.Contains(text.String(), "rob@red.example, and into the mailbox secret@blue.example") {
		t.Errorf("the operator sees: %s", text.String())
	}
}

func TestTheSendersAccountSeesItsMessageAndNothingOfOthers(t *testing.T) {
	t.Parallel()
	foreign := routing.Destination{Transport: mail.TransportRemote, Lane: "remote/far.example", Address: "x@far.example"}
	sent := outcome(trace.Delivered, "x@far.example", "x@far.example", "green")
	failed := outcome(trace.Failed, "bea@blue.example", "inner@blue.example", "blue")
	told := outcome(trace.Reported, "bea@blue.example", "inner@blue.example", "blue")
	told.From, told.Report, told.Word = "green", "report", "failed"
	_, seen := split(
		accepted("green", trace.Decision{Recipient: "x@far.example", Reasons: []routing.Reason{{Rule: routing.RuleByMX, Fact: "far.example"}}, Destinations: []routing.Destination{foreign}},
			trace.Decision{Recipient: "bea@blue.example", Owner: "blue", Reasons: []routing.Reason{{Rule: routing.RuleAlias, Fact: "bea@blue.example"}}, Destinations: []routing.Destination{local("inner@blue.example", "blue")}}),
		sent, failed, told,
	)
	if text := seen["green"]; !strings.Contains(text, "logged in as login@green.example") || !strings.Contains(text, "Handed to") ||
		!strings.Contains(text, "bea@blue.example") || strings.Contains(text, "inner@") || !strings.Contains(text, "by message report") {
		t.Errorf("green sees: %s", text)
	}
	if text := seen["blue"]; strings.Contains(text, "login@") || strings.Contains(text, "far.example") || !strings.Contains(text, "inner@blue.example") {
		t.Errorf("blue sees: %s", text)
	}
}

func TestRefusalsAreForTheRecipientsOwnerAndTheSenders(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		from, owner account.ID
		want        []account.ID
	}{
		{"", "red", []account.ID{"red"}},
		{"", "", []account.ID{account.Operator}},
		{"green", "red", []account.ID{"green", "red"}},
		{"green", "green", []account.ID{"green"}},
		{"green", "", []account.ID{"green"}},
	} {
		e := trace.Event{ID: "r", From: c.from, Owner: c.owner}
		e.Kind, e.At, e.Recipient, e.Reply = trace.Refused, at, "x@y.example", "550 5.1.1 no"
		e.Reasons = []routing.Reason{{Rule: routing.RuleUnknownRecipient, Fact: "x@y.example"}}
		e.Client.Login = map[bool]string{true: "ann@green.example"}[c.from != ""]
		rows, _ := split(e)
		var got []account.ID
		for _, r := range rows {
			got = append(got, r.Account)
			s := r.Steps[0]
			if r.Account != c.from && s.Client.Login != "" || c.owner != "" && r.Account != c.owner && s.Reasons != nil {
				t.Errorf("%s sees %+v", r.Account, s)
			}
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%+v: %v", c, got)
		}
	}
}

func TestEveryKindHasASentence(t *testing.T) {
	t.Parallel()
	for kind := trace.Accepted; kind <= trace.Acted; kind++ {
		s := trace.Step{Kind: kind, Recipient: "bob@red.example", Reply: "450 4.3.2 not now.", Host: "mx.far.example", Word: "hold", By: "ann"}
		text := s.Sentence()
		if kind.String() == "unknown" || !strings.HasSuffix(text, ".") || strings.Contains(text, "..") || strings.Contains(text, "does not know") {
			t.Errorf("%v: %s", kind, text)
		}
	}
	none := trace.Step{}
	if none.Kind.String() != "unknown" || !strings.Contains(none.Sentence(), "does not know") {
		t.Error(none.Sentence())
	}
}
