package smtp

import "testing"

func TestParseVerb(t *testing.T) {
	tests := []struct {
		line string
		verb Verb
		arg  string
	}{
		{"HELO a", HELO, "a"},
		{"ehlo  a ", EHLO, "a"},
		{"LhLo a", LHLO, "a"},
		{"MAIL FROM:<a@b> SIZE=1", MAIL, "FROM:<a@b> SIZE=1"},
		{"RCPT TO:<a@b>", RCPT, "TO:<a@b>"},
		{"DATA", DATA, ""},
		{"DATA \t ", DATA, ""},
		{"data x", DATA, "x"},
		{"BDAT 1 LAST", BDAT, "1 LAST"},
		{"RSET", RSET, ""},
		{"VRFY a", VRFY, "a"},
		{"EXPN a", EXPN, "a"},
		{"HELP", HELP, ""},
		{"NOOP x y", NOOP, "x y"},
		{"QUIT", QUIT, ""},
		{"STARTTLS", STARTTLS, ""},
		{"AUTH PLAIN =", AUTH, "PLAIN ="},
		{"ETRN a", ETRN, "a"},
		{"TURN", TURN, ""},
		{"SEND FROM:<a@b>", SEND, "FROM:<a@b>"},
		{"SOML FROM:<a@b>", SOML, "FROM:<a@b>"},
		{"SAML FROM:<a@b>", SAML, "FROM:<a@b>"},
		{"XCLIENT ADDR=1.2.3.4", XCLIENT, "ADDR=1.2.3.4"},
		{"XFORWARD NAME=a", XFORWARD, "NAME=a"},
		{"GET / HTTP/1.1", HTTP, "/ HTTP/1.1"},
		{"POST / HTTP/1.1", HTTP, "/ HTTP/1.1"},
		{"CONNECT a:25 HTTP/1.1", HTTP, "a:25 HTTP/1.1"},
		{"STARTTLSfoo", VerbUnknown, ""},
		{"STARTTL", VerbUnknown, ""},
		{"MAIL\tFROM:<a@b>", VerbUnknown, ""},
		{"MAILFROM:<a@b>", VerbUnknown, ""},
		{" QUIT", VerbUnknown, "QUIT"},
		{"QUI\x00T", VerbUnknown, ""},
		{"", VerbUnknown, ""},
		{" ", VerbUnknown, ""},
		{"\xff\xff\xff\xff", VerbUnknown, ""},
		{"ſtarttls", VerbUnknown, ""},
	}
	for _, tt := range tests {
		if v, arg := ParseVerb([]byte(tt.line)); v != tt.verb || string(arg) != tt.arg {
			t.Errorf("ParseVerb(%q) = %v, %q; want %v, %q", tt.line, v, arg, tt.verb, tt.arg)
		}
	}
}

func TestVerbString(t *testing.T) {
	for v := HELO; v < HTTP; v++ {
		if got, _ := ParseVerb([]byte(v.String())); got != v {
			t.Errorf("%d is written %q, which is read as %v", v, v, got)
		}
	}
}
