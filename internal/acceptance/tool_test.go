package acceptance

import (
	"fmt"
	"strings"
	"testing"

	"postroad/internal/sim"
)

// football is the message with two signatures of RFC 8463 appendix A, as a file has it.
const football = `DKIM-Signature: v=1; a=ed25519-sha256; c=relaxed/relaxed;
 d=football.example.com; i=@football.example.com;
 q=dns/txt; s=brisbane; t=1528637909; h=from : to :
 subject : date : message-id : from : subject : date;
 bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;
 b=/gCrinpcQOoIfuHNQIbq4pgh9kyIK3AQUdt9OdqQehSwhEIug4D11Bus
 Fa3bT3FY5OsU7ZbnKELq+eXdp1Q1Dw==
DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed;
 d=football.example.com; i=@football.example.com;
 q=dns/txt; s=test; t=1528637909; h=from : to : subject :
 date : message-id : from : subject : date;
 bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;
 b=F45dVWDfMbQDGHJFlXUNB2HKfbCeLRyhDXgFpEL8GwpsRe0IeIixNTe3
 DhCVlUrSjV4BwcVcOF6+FF3Zo9Rpo1tFOeS9mPYQTnGdaSGsgeefOsk2Jz
 dA+L10TeYt9BgDfQNZtKdN1WO//KgIqXP7OdEFE4LjFYNcUxZQ4FADY+8=
From: Joe SixPack <joe@football.example.com>
To: Suzie Q <suzie@shopping.example.net>
Subject: Is dinner ready?
Date: Fri, 11 Jul 2003 21:00:37 -0700 (PDT)
Message-ID: <20030712040037.46341.5F8J@football.example.com>

Hi.

We lost the game.  Are you hungry yet?

Joe.
`

const (
	footballRSA = "MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDkHlOQoBTzWRiGs5V6NpP3idY6Wk08a5qhdR6wy5bdOKb2jLQiY/J16JYi0Qvx/byYzCNb3W91y3FutACDfzwQ/BC/" +
		"e/8uBsCR+yz1Lxj+PL6lHvqMKrM3rG4hstT5QjvHO9PzoxZyVYLzBfO2EeC3Ip3G+2kryOTIKT+l/K4w3QIDAQAB"
	footballZone = "brisbane._domainkey TXT \"v=DKIM1; k=ed25519; \" \"p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\"\n" +
		"test._domainkey TXT \"v=DKIM1; k=rsa; t=y; p=" + footballRSA + "\"\n" +
		"two._domainkey TXT \"p=" + footballRSA + "\"\ntwo._domainkey TXT \"v=DKIM1; p=\"\n" +
		"cut._domainkey TXT \"v=DKIM1; k=rsa; p=MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA4x\"\n" +
		"lost TXT \"v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\"\n"
)

func TestP4_2TheDKIMToolVerifiesAMessage(t *testing.T) {
	t.Parallel()
	o := newOutside(t)
	o.zone("football.example.com", footballZone)
	i := newInstance(t, fmt.Sprintf("[resolver]\nservers = [%q]\n", o.dns.Addr()))
	for _, args := range [][]string{{"tool", "dkim"}, {"tool", "dkim", "--resolver", o.dns.Addr()}} {
		out, err := i.given(football, args...)
		if err != nil || !strings.HasPrefix(out, "pass\npass\n  pass d=football.example.com s=brisbane (ed25519-sha256, 256 bits): signed by") ||
			!strings.Contains(out, "(rsa-sha256, 1024 bits, testing)") {
			t.Errorf("%q: %v\n%s", args, err, out)
		}
	}
	out, err := i.given(strings.Replace(football, "We lost", "We won", 1), "tool", "dkim")
	if err != nil || !strings.HasPrefix(out, "fail\nfail\n  fail d=") || !strings.Contains(out, "the body was changed after it was signed") {
		t.Errorf("a changed body: %v\n%s", err, out)
	}
	out, err = i.given(strings.ReplaceAll(football, "d=football", "d=baseball"), "tool", "dkim")
	if err != nil || !strings.HasPrefix(out, "permerror\npermerror\n") {
		t.Errorf("another domain: %v\n%s", err, out)
	}
	if out, err := i.given("From: a@b.example\n\nhello", "tool", "dkim"); err != nil || out != "  the message has no DKIM signature\n" {
		t.Errorf("an unsigned message: %v\n%s", err, out)
	}
	o.dns.Script("*", "*", sim.DNSServFail)
	if out, err := i.given(football, "tool", "dkim", "--resolver", o.dns.Addr()); err != nil || !strings.HasPrefix(out, "temperror\ntemperror\n") {
		t.Errorf("without DNS: %v\n%s", err, out)
	}
}

func TestP4_1TheDKIMToolLooksAtAKey(t *testing.T) {
	t.Parallel()
	o := newOutside(t)
	o.zone("football.example.com", footballZone)
	i := newInstance(t, fmt.Sprintf("[resolver]\nservers = [%q]\n", o.dns.Addr()))
	for selector, want := range map[string]string{
		"brisbane": "Receivers can use it.",
		"test":     "only tries DKIM out (t=y)",
		"two":      "there are 2 records",
		"cut":      "the key goes on after its end",
		"lost":     "there is no key at lost._domainkey.football.example.com, but at lost.football.example.com there is one",
		"none":     "there is no key at none._domainkey.football.example.com",
	} {
		if out := i.run("tool", "dkim", "football.example.com", selector); !strings.Contains(out, want) {
			t.Errorf("%s: %s", selector, out)
		}
	}
	key := ask[struct {
		Name     string
		Records  []struct{ Type, Text string }
		Problems []string
	}](i, "tool", "dkim", "Football.example.com.", "test", "--resolver", o.dns.Addr())
	if key.Name != "test._domainkey.football.example.com" || len(key.Records) != 1 || key.Records[0].Type != "rsa" || len(key.Problems) != 2 {
		t.Errorf("%+v", key)
	}
	i.refuses([]string{"tool", "dkim", "not a domain", "x"}, "is no domain")
	i.refuses([]string{"tool", "dkim", "football.example.com", "no selector"}, "is no selector")
}
