package policy_test

import (
	"errors"
	"net/netip"
	"strings"
	"testing"

	"postroad/internal/core/directory"
	"postroad/internal/core/mail"
	"postroad/internal/core/policy"
	"postroad/internal/proto/authres"
	"postroad/internal/proto/dkim"
	"postroad/internal/proto/dmarc"
	"postroad/internal/proto/smtp"
	"postroad/internal/proto/spf"
)

// matrix is what becomes of a message that says it is from acme.test. "client" is who brought it: a stranger, a trusted
// forwarder or gateway ("?": it does not say where it had the message from; of a stranger DNS does not say whether he is one). SPF is that of acme.test for the client, or for
// whoever brought it to the trusted server. DKIM is that of a signature of acme.test. DMARC is acme.test's policy. The
// recipient's domain judges by the default, or as the last column says.
const matrix = `
client      SPF        DKIM       DMARC        becomes     recipient's domain
stranger    pass       none       reject       accept
stranger    pass       fail       reject       accept
stranger    fail       pass       reject       accept
stranger    fail       none       reject       550 5.7.26
stranger    fail       fail       reject       550 5.7.26
stranger    softfail   none       reject       550 5.7.26
stranger    none       none       reject       550 5.7.26
stranger    permerror  none       reject       550 5.7.26
stranger    temperror  none       reject       accept
stranger    temperror  pass       reject       accept
stranger    fail       temperror  reject       accept
stranger    temperror  none       reject       451 4.4.3   --unchecked 450
stranger    fail       temperror  reject       451 4.4.3   --unchecked 450
stranger    fail       none       quarantine   quarantine
stranger    pass       none       quarantine   accept
stranger    fail       none       none         accept
stranger    fail       none       -            accept
stranger    none       none       -            accept
stranger    fail       none       DNS-down     accept
stranger    fail       none       DNS-down     451 4.4.3   --unchecked 450
stranger    fail       none       DNS-down     accept      --spf-fail reject
stranger    temperror  none       -            451 4.4.3   --unchecked 450
stranger    fail       none       reject,t=y   quarantine
stranger    fail       none       quarantine,t=y accept
stranger    fail       none       -            550 5.7.23  --spf-fail reject
stranger    fail       none       -            quarantine  --spf-fail quarantine
stranger    fail       pass       reject       accept      --spf-fail reject
stranger    fail       none       none         550 5.7.23  --spf-fail reject
stranger    softfail   none       -            accept      --spf-fail reject
stranger    fail       none       reject       accept      --judge note
stranger    fail       none       reject       accept      --judge off
stranger?   pass       none       reject       accept
stranger?   fail       pass       reject       accept
stranger?   fail       none       reject       quarantine
stranger?   fail       none       quarantine   quarantine
stranger?   fail       none       none         accept
stranger?   fail       none       reject       451 4.4.3   --unchecked 450
stranger?   fail       none       reject       accept      --judge note
forwarder   pass       none       reject       accept
forwarder   pass       fail       reject       accept
forwarder   fail       pass       reject       accept
forwarder   fail       none       reject       quarantine
forwarder   fail       none       quarantine   quarantine
forwarder   fail       none       -            accept
forwarder   fail       none       -            quarantine  --spf-fail reject
forwarder   temperror  none       reject       accept
forwarder?  fail       none       reject       accept
forwarder?  fail       none       quarantine   accept
forwarder?  none       none       reject       accept
forwarder?  fail       pass       reject       accept
gateway     pass       none       reject       accept
gateway     fail       none       reject       quarantine
gateway?    fail       none       reject       accept
`

// line is one line of the matrix as what Judge is asked.
func line(t *testing.T, fields []string, options string) (*policy.Evidence, directory.Judging, policy.Trust) {
	t.Helper()
	e := &policy.Evidence{
		Client: netip.MustParseAddr("192.0.2.1"), Helo: "client.test", Sender: "bob@acme.test",
		SPF: spf.Outcome{Result: spf.Result(fields[1]), Domain: "acme.test", Problem: "SPF trouble"},
	}
	ids := []dmarc.Identifier{{Method: dmarc.SPF, Domain: "acme.test", Pass: fields[1] == "pass", Temporary: fields[1] == "temperror"}}
	if fields[2] != "none" {
		e.DKIM = []dkim.Result{{Word: dkim.Word(fields[2]), Domain: "acme.test", Selector: "s1", Reason: "DKIM trouble"}}
		ids = append(ids, dmarc.Identifier{Method: dmarc.DKIM, Domain: "acme.test", Pass: fields[2] == "pass", Temporary: fields[2] == "temperror"})
	}
	d := dmarc.Discovery{Domain: "acme.test", Organization: "acme.test"}
	switch p, testing, _ := strings.Cut(fields[3], ","); p {
	case "-":
	case "DNS-down":
		d.Err = errors.New("DNS does not answer")
	default:
		record, err := dmarc.Parse("v=DMARC1; p=" + p + "; " + testing)
		if err != nil {
			t.Fatal(err)
		}
		d.Record, d.At, d.Policy, d.Applied = record, "acme.test", record.P, record.P
		if record.Testing {
			d.Applied = record.P.Milder()
		}
	}
	e.Authors = []dmarc.Outcome{dmarc.Evaluate(t.Context(), nil, d, ids)}
	var j directory.Judging
	for option := range strings.SplitSeq(options, "--") {
		switch name, value, _ := strings.Cut(strings.TrimSpace(option), " "); name {
		case "judge":
			j.Mode = directory.JudgeMode(value)
		case "spf-fail":
			j.SPFFail = directory.Severity(value)
		case "unchecked":
			j.Unchecked = directory.Severity(value)
		}
	}
	who, unknown := strings.CutSuffix(fields[0], "?")
	trust := policy.Trust{Name: "primary.acme.test", Known: !unknown, Problem: "its Received field cannot be read"}
	switch who {
	case "forwarder":
		trust.Relation = policy.Forwarder
	case "gateway":
		trust.Relation = policy.Gateway
	default:
		trust = policy.Trust{Unsure: unknown}
	}
	return e, j, trust
}

// TestMatrix walks over the matrix.
func TestMatrix(t *testing.T) {
	for i, text := range strings.Split(strings.TrimSpace(matrix), "\n") {
		if i == 0 {
			continue
		}
		wants, options, _ := strings.Cut(text, "  --")
		fields := strings.Fields(wants)
		want := strings.Join(fields[4:], " ")
		e, j, trust := line(t, fields, options)
		v := policy.Judge(e, j, trust)
		got := string(v.Action)
		if v.Action == policy.Reject || v.Action == policy.Defer {
			got, _, _ = strings.Cut(v.Reply.String(), " "+v.Reply.Text)
		}
		if got != want {
			t.Errorf("%s\n\tgot %q (%v, %s)", text, got, v.Reasons, v.Override)
		}
		if len(v.Reasons) == 0 || (v.Reply.Code == 0) != (v.Action == policy.Accept || v.Action == policy.Quarantine) {
			t.Errorf("%s: %+v", text, v)
		}
		if trusted := trust.Relation != policy.Stranger; trusted && v.Override == "" && v.Action == policy.Accept {
			t.Errorf("%s: nothing says that the client is trusted", text)
		}
		for _, r := range append(v.Reasons, v.Override) {
			if r != "" && (!strings.HasSuffix(r, ".") || strings.Contains(r, "..")) {
				t.Errorf("%s: %q is no sentence", text, r)
			}
		}
		field := string(policy.Results("mx.postroad.example", e, j, trust, &v))
		if j.Mode == directory.JudgeOff {
			if field != "" {
				t.Errorf("%s: %q", text, field)
			}
			continue
		}
		results, err := authres.Parse(strings.ReplaceAll(strings.TrimPrefix(field, authres.Name+":"), "\r\n", ""))
		if err != nil {
			t.Fatalf("%s: %v in %q", text, err, field)
		}
		said := map[string]authres.Method{}
		for _, m := range results.Methods {
			said[m.Name] = m
		}
		if said["spf"].Result != fields[1] || said["dkim"].Result != fields[2] || said["dmarc"].Result != string(e.Authors[0].Result) {
			t.Errorf("%s: %q", text, field)
		}
		overridden := strings.Contains(said["dmarc"].Reason, "type=trusted_forwarder")
		if want := trust.Relation == policy.Forwarder && fields[2] != "pass" && fields[3] != "-" && fields[1] != "temperror"; overridden != want &&
			(fields[3] == "reject" || overridden) {
			t.Errorf("%s: override in the header: %v in %q", text, overridden, field)
		}
	}
}

// TestSettle is routing.md, Policy with several recipients.
func TestSettle(t *testing.T) {
	reject := policy.Verdict{Action: policy.Reject, Reply: smtp.Reply{Code: 550}}
	later := policy.Verdict{Action: policy.Defer, Reply: smtp.Reply{Code: 451}}
	aside, accept := policy.Verdict{Action: policy.Quarantine}, policy.Verdict{Action: policy.Accept}
	for _, c := range []struct {
		list []policy.Verdict
		code int
		want string
	}{
		{[]policy.Verdict{reject, reject}, 550, "reject reject"},
		{[]policy.Verdict{later, later}, 451, "defer defer"},
		{[]policy.Verdict{reject, accept}, 0, "quarantine accept"},
		{[]policy.Verdict{later, accept, reject}, 0, "quarantine accept quarantine"},
		{[]policy.Verdict{reject, later}, 0, "quarantine quarantine"},
		{[]policy.Verdict{reject, aside}, 0, "quarantine quarantine"},
		{[]policy.Verdict{accept}, 0, "accept"},
		{nil, 0, ""},
	} {
		list := append([]policy.Verdict(nil), c.list...)
		reply, refused := policy.Settle(list)
		var got []string
		for i := range list {
			got = append(got, string(list[i].Action))
			if list[i].Action == policy.Quarantine && list[i].Reply.Code != 0 {
				t.Errorf("%s has a reply", list[i].Action)
			}
		}
		if reply.Code != c.code || refused != (c.code != 0) || strings.Join(got, " ") != c.want {
			t.Errorf("%v: %d, %v", c.list, reply.Code, got)
		}
	}
}

// TestHostileWords: whatever strangers name, the field and the reply are lines of mail and not too long.
func TestHostileWords(t *testing.T) {
	long := strings.Repeat("x", 5000) + "(\r\nX-Evil: 1\r\n\x00ü"
	e := &policy.Evidence{
		Client: netip.MustParseAddr("2001:db8::1"), Helo: long, Sender: long + "@" + long,
		SPF: spf.Outcome{Result: spf.Fail, Domain: "evil.test", Mechanism: long, Explanation: long},
	}
	for range 9 {
		e.DKIM = append(e.DKIM, dkim.Result{Word: dkim.Fail, Domain: long, Selector: long, Reason: long, Value: long})
	}
	for range 10 {
		e.Authors = append(e.Authors, dmarc.Outcome{Result: dmarc.Fail, Problem: long, Discovery: dmarc.Discovery{Domain: "evil.test", Record: &dmarc.Record{P: dmarc.PolicyNone}, At: "evil.test", Applied: dmarc.PolicyNone}})
	}
	j := directory.Judging{SPFFail: directory.SeverityReject}
	v := policy.Judge(e, j, policy.Trust{})
	field := policy.Results("mx.postroad.example", e, j, policy.Trust{}, &v)
	if len(field) > mail.MaxHead/2 || strings.Contains(string(field), "\r\nX-Evil") || strings.Contains(string(field), "\x00") {
		t.Errorf("%d octets: %q", len(field), field)
	}
	if v.Action != policy.Reject || len(v.Reply.AppendTo(nil)) > 512 {
		t.Errorf("%s %q", v.Action, v.Reply.AppendTo(nil))
	}
}

// TestSeveralAuthors: one author domain that is not behind the message is enough.
func TestSeveralAuthors(t *testing.T) {
	outcome := func(domain string, r dmarc.Result, p dmarc.Policy) dmarc.Outcome {
		return dmarc.Outcome{Result: r, Discovery: dmarc.Discovery{Domain: domain, At: domain, Record: &dmarc.Record{P: p}, Policy: p, Applied: p}}
	}
	for _, c := range []struct {
		authors []dmarc.Outcome
		problem string
		want    policy.Action
	}{
		{[]dmarc.Outcome{outcome("evil.test", dmarc.Pass, "none"), outcome("bank.test", dmarc.Fail, "reject")}, "", policy.Reject},
		{[]dmarc.Outcome{outcome("a.test", dmarc.Fail, "none"), outcome("b.test", dmarc.Fail, "quarantine")}, "", policy.Quarantine},
		{[]dmarc.Outcome{outcome("a.test", dmarc.Pass, "reject"), outcome("b.test", dmarc.Pass, "reject")}, "", policy.Accept},
		{nil, "From cannot be read", policy.Quarantine},
		{nil, "", policy.Accept},
	} {
		e := &policy.Evidence{Authors: c.authors, AuthorProblem: c.problem}
		if v := policy.Judge(e, directory.Judging{}, policy.Trust{Relation: policy.Forwarder}); c.problem != "" && v.Action != c.want {
			t.Errorf("%s by a forwarder: %s", c.problem, v.Action)
		}
		if v := policy.Judge(e, directory.Judging{}, policy.Trust{}); v.Action != c.want {
			t.Errorf("%v: %s", c.authors, v.Action)
		}
	}
}

// TestAskSPF reads what people write.
func TestAskSPF(t *testing.T) {
	q, err := policy.AskSPF("Bücher.example", "::ffff:192.0.2.1", "h", "bob@BÜCHER.example")
	if err != nil || q.Domain != "xn--bcher-kva.example" || q.Sender != "bob@xn--bcher-kva.example" || q.Client.String() != "192.0.2.1" {
		t.Errorf("%+v, %v", q, err)
	}
	if _, err := policy.AskSPF("a.example", "x", "", ""); err == nil {
		t.Error("x is taken for an address")
	}
}
