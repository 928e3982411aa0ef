package arc

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"postroad/internal/proto/dkim"
	"postroad/internal/proto/message"
)

// suiteFolder is where the suite of ARC tests by ValiMail lies: beside the project, not in it.
const suiteFolder = "../../../../shared/conformance/arc"

// scenario is one document of the suite: cases that share keys.
type scenario struct {
	cases   []testCase
	records map[string]string
	fields  map[string]string
}

type testCase struct {
	name   string
	fields map[string]string
}

// readSuite reads the little of YAML that the suite is written in: maps by indentation, and blocks of text. A name that
// stands twice is two cases.
func readSuite(t *testing.T, file string) []scenario {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(suiteFolder, file))
	if errors.Is(err, fs.ErrNotExist) {
		t.Logf("the suite is not there: %s; nothing of it was run", filepath.Join(suiteFolder, file))
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	all := []scenario{{records: map[string]string{}, fields: map[string]string{}}}
	section := ""
	lines := strings.Split(string(text), "\n")
	for i := 0; i < len(lines); i++ {
		line := strings.TrimRight(lines[i], " ")
		if line == "---" {
			all = append(all, scenario{records: map[string]string{}, fields: map[string]string{}})
			continue
		}
		if strings.TrimSpace(line) == "" || strings.HasPrefix(strings.TrimSpace(line), "#") {
			continue
		}
		indent := len(line) - len(strings.TrimLeft(line, " "))
		key, value, ok := strings.Cut(strings.TrimSpace(line), ":")
		if !ok {
			t.Fatalf("%s, line %d: %q", file, i+1, line)
		}
		value = strings.TrimSpace(value)
		if value == "|" || value == ">-" {
			var block string
			block, i = readBlock(lines, i+1, indent)
			value = block
		}
		now := &all[len(all)-1]
		switch {
		case indent == 0:
			section = key
			now.fields[key] = value
		case indent == 2 && section == "txt-records":
			now.records[key] = value
		case indent == 2:
			now.cases = append(now.cases, testCase{key, map[string]string{}})
		case indent == 4 && section == "tests":
			now.cases[len(now.cases)-1].fields[key] = strings.Trim(value, `"'`)
		default:
			t.Fatalf("%s, line %d: %q", file, i+1, line)
		}
	}
	return all
}

// readBlock reads lines of text that are indented more than their key, and gives the last of them.
func readBlock(lines []string, i, outer int) (text string, last int) {
	var block []string
	width := 0
	for ; i < len(lines); i++ {
		line := lines[i]
		indent := len(line) - len(strings.TrimLeft(line, " "))
		if strings.TrimSpace(line) == "" && (width == 0 || indent < width) {
			block = append(block, "")
			continue
		}
		if indent <= outer {
			break
		}
		if width == 0 {
			width = indent
		}
		block = append(block, line[width:])
	}
	for len(block) > 0 && block[len(block)-1] == "" {
		block = block[:len(block)-1]
	}
	return strings.Join(block, "\n") + "\n", i - 1
}

func (s *scenario) lookup(_ context.Context, name string) ([]string, error) {
	if text, ok := s.records[name]; ok {
		return []string{strings.Join(strings.Fields(text), " ")}, nil
	}
	return nil, dkim.ErrNoRecord
}

func split(text string) (header, content []byte) {
	header, content, _ = message.SplitHeader([]byte(strings.ReplaceAll(text, "\n", "\r\n")))
	return header, content
}

// disputed are cases of the suite that we decide otherwise, each with the reason.
var disputed = map[string]string{
	"ams_fields_c_na": "without c= a signature is in simple form (RFC 6376 §3.5), and this one was made in relaxed form",
}

// undecided are cases for which the suite names no result: a seal says that the chain failed. RFC 8617 §5.2 says that
// the chain fails then, and so do we.
var undecided = []string{"cv_fail_i1_as_cv_fail", "cv_fail_i2_as2_fail", "cv_fail_i2_as1_fail"}

func TestValidationSuite(t *testing.T) {
	seen, other := 0, 0
	suite := readSuite(t, "arc-draft-validation-tests.yml")
	for _, s := range suite {
		for _, c := range s.cases {
			seen++
			header, content := split(c.fields["message"])
			chain := Read(header)
			body := dkim.NewBody(chain.Canonicalizations()...)
			_, _ = body.Write(content)
			got := chain.Validate(t.Context(), body, s.lookup)
			want := State(strings.ToLower(strings.TrimSpace(c.fields["cv"])))
			if want == "" && slices.Contains(undecided, c.name) {
				want = Fail
			}
			if reason, ok := disputed[c.name]; ok {
				other++
				if got.State == want {
					t.Errorf("%s is not decided otherwise any more: %s", c.name, reason)
				}
				continue
			}
			if got.State != want || got.Reason == "" || got.Temporary {
				t.Errorf("%s (%s): %s, %s; want %s", c.name, c.fields["description"], got.State, got.Reason, want)
			}
		}
	}
	if suite != nil && (seen != 175 || other != len(disputed)) {
		t.Errorf("%d cases, %d of them disputed", seen, other)
	}
}

func TestSigningSuite(t *testing.T) {
	seen := 0
	suite := readSuite(t, "arc-draft-sign-tests.yml")
	for _, s := range suite {
		block, _ := pem.Decode([]byte(s.fields["privatekey"]))
		private, err := x509.ParsePKCS1PrivateKey(block.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		key := dkim.Key{Domain: s.fields["domain"], Selector: s.fields["sel"], Signer: private}
		for _, c := range s.cases {
			seen++
			header, content := split(c.fields["message"])
			chain := Read(header)
			body := dkim.NewBody(append(chain.Canonicalizations(), dkim.Relaxed)...)
			_, _ = body.Write(content)
			validated := chain.Validate(t.Context(), body, s.lookup)
			seconds, err := strconv.ParseInt(c.fields["t"], 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			names := strings.Split(c.fields["sig-headers"], ":")
			fields, err := seal(chain, validated, body, Results(header, c.fields["srv-id"]), key, names, time.Unix(seconds, 0))
			if err != nil {
				t.Errorf("%s: %v", c.name, err)
			}
			for name, short := range map[string]string{"ARC-Seal": "AS", "ARC-Message-Signature": "AMS", "ARC-Authentication-Results": "AAR"} {
				got, want := strings.Join(message.Values(fields, name), ""), c.fields[short]
				if name != "ARC-Authentication-Results" {
					got, want = sorted(got), sorted(want)
				}
				if plainText(got) != plainText(want) {
					t.Errorf("%s (%s): %s is\n%s\nwant\n%s", c.name, c.fields["description"], name, got, want)
				}
			}
			if strings.TrimSpace(c.fields["AS"]) == "" {
				continue
			}
			// The suite writes the tags in another order, so its values differ from ours. They are what is computed over
			// its own fields.
			ams, aar := raw("ARC-Message-Signature", unfolded(c.fields["AMS"])), raw("ARC-Authentication-Results", c.fields["AAR"])
			for field, covered := range map[string][]byte{
				raw("ARC-Message-Signature", c.fields["AMS"]): chain.header.AppendCovered(nil, names, dkim.Relaxed, -1),
				raw("ARC-Seal", c.fields["AS"]):               chain.sealing(validated, []byte(aar), []byte(ams)),
			} {
				one := dkim.NewHeader([]byte(field)).Fields[0]
				signature, err := dkim.ParseSignature(one)
				if err != nil {
					t.Fatal(err)
				}
				hash, err := dkim.Sum(covered, one.Raw, dkim.Relaxed)
				if err != nil {
					t.Fatal(err)
				}
				if found := signature.Check(t.Context(), hash, s.lookup); found.Word != dkim.Pass {
					t.Errorf("%s: the %s of the suite: %+v", c.name, one.Name, found)
				}
			}
			// What was sealed is validated, where it does not say itself that the chain failed.
			chain = Read(append(fields, header...))
			body = dkim.NewBody(chain.Canonicalizations()...)
			_, _ = body.Write(content)
			if again := chain.Validate(t.Context(), body, s.lookup); (again.State == Pass) != (validated.State != Fail) {
				t.Errorf("%s: sealed, and then: %+v", c.name, again)
			}
		}
	}
	if suite != nil && seen != 17 {
		t.Errorf("%d cases", seen)
	}
}

// raw is a field of the suite as it would stand in a message.
func raw(name, text string) string {
	return name + ": " + strings.ReplaceAll(strings.TrimSpace(text), "\n", "\r\n ") + "\r\n"
}

// unfolded takes white space out of the value of a signature, where it counts for the seal over it: the suite was made
// so, and was folded afterwards.
func unfolded(text string) string {
	before, value, _ := strings.Cut(text, "b=")
	value, after, _ := strings.Cut(value, ";")
	return before + "b=" + plainText(value) + ";" + after
}

// sorted gives a tag list by name, without the value of the signature.
func sorted(text string) string {
	tags := strings.Split(strings.Trim(plainText(text), ";"), ";")
	tags = slices.DeleteFunc(tags, func(tag string) bool { return strings.HasPrefix(tag, "b=") })
	slices.Sort(tags)
	return strings.Join(tags, ";")
}

// plainText takes away what means nothing here: white space.
func plainText(value string) string {
	return strings.NewReplacer(" ", "", "\t", "", "\r", "", "\n", "").Replace(value)
}
