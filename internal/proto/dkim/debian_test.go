package dkim_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"postroad/internal/proto/dkim"
)

// dkimpyVerifies prints for each message which of its signatures dkimpy believes.
const dkimpyVerifies = `
import dkim, json, sys
asked = json.load(sys.stdin)
def txt(name, timeout=5):
    texts = asked["dns"].get(name.decode().rstrip("."))
    return texts[0].encode() if texts else None
answer = []
for message in asked["messages"]:
    d = dkim.DKIM(message.encode("latin-1"), minkey=1024)
    answer.append([bool(d.verify(idx=i, dnsfunc=txt)) for i in range(asked["signatures"])])
json.dump(answer, sys.stdout)
`

// dkimpySigns prints the signature fields of dkimpy.
const dkimpySigns = `
import dkim, json, sys
asked = json.load(sys.stdin)
json.dump([dkim.sign(m.encode("latin-1"), b"r1", b"football.example.com", asked["key"].encode(),
    canonicalize=(asked["header"].encode(), asked["body"].encode())).decode() for m in asked["messages"]], sys.stdout)
`

// python runs a program of Debian's Python, which has dkimpy in it.
func python(t *testing.T, program string, in, out any) {
	t.Helper()
	text, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "/usr/bin/python3", "-c", program)
	cmd.Stdin = bytes.NewReader(text)
	var wrong bytes.Buffer
	cmd.Stderr = &wrong
	answer, err := cmd.Output()
	if err != nil {
		t.Fatalf("dkimpy: %v: %s", err, wrong.String())
	}
	if err := json.Unmarshal(answer, out); err != nil {
		t.Fatal(err)
	}
}

// latin1 keeps octets as JSON can carry them.
func latin1(text string) string {
	var b strings.Builder
	for i := range len(text) {
		b.WriteRune(rune(text[i]))
	}
	return b.String()
}

func TestOursToDkimpy(t *testing.T) {
	keys := ourKeys(t)
	var signed []string
	for i, msg := range plainMails(60) {
		signed = append(signed, latin1(sign(t, msg, keys, allOptions()[i%4])))
	}
	var passed [][]bool
	python(t, dkimpyVerifies, map[string]any{"dns": published(t, keys...), "messages": signed, "signatures": len(keys)}, &passed)
	if len(passed) != len(signed) {
		t.Fatalf("%d answers", len(passed))
	}
	for i, each := range passed {
		for j, ok := range each {
			if !ok {
				t.Errorf("signature %d of\n%s", j, signed[i])
			}
		}
	}
}

func TestDkimpyToOurs(t *testing.T) {
	keys := ourKeys(t)[:1]
	lookup := records(published(t, keys...))
	messages := plainMails(60)
	for _, o := range allOptions() {
		var odd []string
		for _, msg := range messages {
			odd = append(odd, latin1(msg))
		}
		var fields []string
		python(t, dkimpySigns, map[string]any{"key": testRSA, "messages": odd, "header": o.Header.String(), "body": o.Body.String()}, &fields)
		for i, field := range fields {
			if got := verify(t, field+messages[i], lookup); len(got) != 1 || got[0].Word != dkim.Pass {
				t.Errorf("%+v, of\n%s%s", got, field, messages[i])
			}
		}
	}
}

func TestOursToOpenDKIM(t *testing.T) {
	dir := t.TempDir()
	keys := ourKeys(t)
	write := func(name, text string) string {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	var dns strings.Builder
	for name, texts := range published(t, keys...) {
		dns.WriteString(name + " " + texts[0] + "\n")
	}
	config := write("opendkim.conf", "Mode v\nSyslog no\nTestPublicKeys "+write("keys", dns.String())+"\n")
	var files []string
	messages := plainMails(40)
	for i, msg := range messages {
		// A milter, which opendkim is, does not see a header octet for octet: simple form is nothing to ask it about.
		o := dkim.Options{Time: now, Body: []dkim.Canonicalization{dkim.Relaxed, dkim.Simple}[i%2]}
		files = append(files, write(fmt.Sprintf("m%d", i), sign(t, msg, keys, o)))
	}
	files = append(files, write("changed", sign(t, messages[0], keys, allOptions()[0])+"more\r\n"))
	cmd := exec.CommandContext(t.Context(), "/usr/sbin/opendkim", "-x", config, "-t", strings.Join(files, ","), "-v", "-v")
	answer, err := cmd.Output()
	if err != nil {
		t.Fatalf("opendkim: %v\n%s", err, answer)
	}
	if pass, fail := bytes.Count(answer, []byte("dkim=pass")), bytes.Count(answer, []byte("dkim=fail")); pass != len(messages)*len(keys) || fail != len(keys) {
		t.Errorf("%d signatures pass and %d fail, of %d messages and one that was changed, with %d each:\n%s", pass, fail, len(messages), len(keys), answer)
	}
}

// plainMails are [mails] without white space before a colon, which is obsolete and not everybody's.
func plainMails(n int) []string {
	all := mails(n)
	for i, msg := range all {
		all[i] = strings.Replace(msg, "SUBJECT : odd", "SUBJECT: odd", 1)
	}
	return all
}
