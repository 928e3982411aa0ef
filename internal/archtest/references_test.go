package archtest

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// index is the document with a row per RFC: number, title, status, what is there and what not.
const index = "docs/rfc-index.md"

// statuses of a row: all that concerns us is there, some of it, or nothing (cited only to say so).
var statuses = []string{"yes", "partial", "no"}

// citation finds "RFC 5321", and the numbers that follow it in a list: "RFC 5321, 2033 and 3207".
var (
	citation = regexp.MustCompile(`\bRFCs?[ -]?(\d{3,5}(?:(?:,| and| or|, and) \d{4,5}\b)*)`)
	number   = regexp.MustCompile(`\d{3,5}`)
)

// cited gives the RFC numbers that a text names. Line ends and comment marks inside a list do not matter.
func cited(text string) []string {
	text = strings.ReplaceAll(text, "//", " ")
	text = strings.Join(strings.Fields(text), " ")
	var all []string
	for _, match := range citation.FindAllStringSubmatch(text, -1) {
		all = append(all, number.FindAllString(match[1], -1)...)
	}
	return all
}

func TestReferences(t *testing.T) { hold(t, references) }

// references finds RFCs that comments cite and the index lacks, and index rows that the code does not bear out.
func references(t *tree) []string {
	var found []string
	status := map[string]string{}
	for _, row := range rows(t.document(index)) {
		if len(row) < 3 || number.FindString(row[0]) != row[0] {
			continue
		}
		if status[row[0]] != "" {
			found = append(found, fmt.Sprintf("%s: RFC %s stands there twice", index, row[0]))
		}
		if !slices.Contains(statuses, row[2]) {
			found = append(found, fmt.Sprintf("%s: RFC %s: %q is no status, want one of %v", index, row[0], row[2], statuses))
		}
		status[row[0]] = row[2]
	}

	code, tests := map[string]string{}, map[string]string{} // RFC → a file that cites it
	for _, p := range t.sorted() {
		if p.path == "internal/archtest" { // speaks of references, makes none
			continue
		}
		for _, f := range p.files {
			if f.test {
				for _, rfc := range cited(string(f.source)) {
					tests[rfc] = f.name
				}
			}
			for _, group := range f.syntax.Comments {
				for _, rfc := range cited(group.Text()) {
					if status[rfc] == "" {
						found = append(found, fmt.Sprintf("%s: RFC %s is not in %s", t.at(group), rfc, index))
					}
					if !f.test {
						code[rfc] = f.name
					}
				}
			}
		}
	}
	for _, rfc := range slices.Sorted(maps.Keys(status)) {
		if status[rfc] != "no" && code[rfc] == "" {
			found = append(found, fmt.Sprintf("%s: RFC %s is %q, but no comment in the code cites it", index, rfc, status[rfc]))
		}
		if status[rfc] == "yes" && tests[rfc] == "" {
			found = append(found, fmt.Sprintf("%s: RFC %s is \"yes\", but no test cites it", index, rfc))
		}
	}
	return found
}

func TestPlantedReferences(t *testing.T) {
	const head = "| RFC | title | status | notes |\n|---|---|---|---|\n"
	catch(t, references, []planted{
		{name: "held together", files: map[string]string{
			index:                           head + "| 5321 | SMTP | yes | |\n| 2033 | LMTP | partial | |\n| 3207 | STARTTLS | partial | |\n| 9422 | LIMITS | no | |\n",
			"internal/proto/smtp/a.go":      "// Package smtp is RFC 5321, 2033 and\n// 3207, replies 250 included; not RFC 9422.\npackage smtp",
			"internal/proto/smtp/a_test.go": "package smtp\nconst why = \"RFC 5321 §4.5\"",
		}},
		{name: "not in the index", files: map[string]string{
			index:                           head,
			"internal/proto/smtp/a.go":      "package smtp\n// RFC 5321 §4, RFC\n// 1870",
			"internal/proto/smtp/a_test.go": "package smtp\n// RFC 3030",
		}, want: []string{"a.go:2: RFC 5321 is not", "a.go:2: RFC 1870 is not", "a_test.go:2: RFC 3030 is not"}},
		{name: "claims", files: map[string]string{
			index:                      head + "| 5321 | SMTP | yes | |\n| 1870 | SIZE | partial | |\n| 3030 | BDAT | nearly | |\n| 5321 | again | no | |\n",
			"internal/proto/smtp/a.go": "package smtp\n// RFC 3030",
		}, want: []string{`"nearly" is no status`, "RFC 5321 stands there twice", "RFC 1870 is \"partial\", but no comment"}},
		{name: "yes without a test", files: map[string]string{
			index:                      head + "| 5321 | SMTP | yes | |\n",
			"internal/proto/smtp/a.go": "package smtp\n// RFC 5321",
		}, want: []string{`RFC 5321 is "yes", but no test cites it`}},
	})
}
