package archtest

import (
	"fmt"
	"go/ast"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// requirements is the document with a row per behaviour that an acceptance test shows: id, sentence, tests.
const requirements = "docs/requirements.md"

var (
	requirementID   = regexp.MustCompile(`^(S[1-5]|P[1-5])\.\d+$`)
	requirementTest = regexp.MustCompile(`^Test([SP]\d+)_(\d+)`)
	testName        = regexp.MustCompile(`\b(?:Test|Fuzz|Benchmark)[A-Z]\w*`)
)

func TestRequirements(t *testing.T) { hold(t, requirementRows) }

// testFunctions gives the names of all tests, fuzz targets and benchmarks, with the file each lies in.
func (t *tree) testFunctions() map[string]string {
	all := map[string]string{}
	for _, p := range t.packages {
		for _, f := range p.tests() {
			for _, decl := range f.syntax.Decls {
				if function, ok := decl.(*ast.FuncDecl); ok && function.Recv == nil && testName.FindString(function.Name.Name) == function.Name.Name {
					all[function.Name.Name] = f.name
				}
			}
		}
	}
	return all
}

// requirementRows finds rows whose tests do not exist or bear another id, and acceptance tests without a row.
func requirementRows(t *tree) []string {
	var found []string
	tests := t.testFunctions()
	known := map[string]bool{}
	for _, row := range rows(t.document(requirements)) {
		if len(row) != 3 || !requirementID.MatchString(row[0]) {
			continue
		}
		id := row[0]
		if known[id] {
			found = append(found, fmt.Sprintf("%s: %s stands there twice", requirements, id))
		}
		known[id] = true
		if row[1] == "" {
			found = append(found, fmt.Sprintf("%s: %s says nothing", requirements, id))
		}
		bearing := 0
		for _, name := range testName.FindAllString(row[2], -1) {
			if tests[name] == "" {
				found = append(found, fmt.Sprintf("%s: %s: there is no test %s", requirements, id, name))
			}
			if idOf(name) == id {
				bearing++
			}
		}
		if bearing == 0 {
			found = append(found, fmt.Sprintf("%s: %s: none of its tests bears the id", requirements, id))
		}
	}
	for name, where := range tests {
		if id := idOf(name); id != "" && !known[id] {
			found = append(found, fmt.Sprintf("%s: %s: %s has no row %s", where, name, requirements, id))
		}
	}
	slices.Sort(found)
	return found
}

// idOf gives the requirement a test's name bears: TestS1_11UnknownRecipient is S1.11. "" for other tests.
func idOf(name string) string {
	match := requirementTest.FindStringSubmatch(name)
	if match == nil {
		return ""
	}
	return match[1] + "." + match[2]
}

func TestPlantedRequirements(t *testing.T) {
	tree := func(table string, functions ...string) map[string]string {
		return map[string]string{
			requirements:                       "| id | sentence | test |\n|---|---|---|\n" + table,
			"internal/server/domain_test.go":   "package server\nfunc " + strings.Join(append(functions, "TestOther"), "() {}\nfunc ") + "() {}\n",
			"internal/server/not_a_test_id.go": "package server\nfunc TestS9_9() {}",
		}
	}
	catch(t, requirementRows, []planted{
		{name: "row and test", files: tree("| S1.11 | An unknown recipient is refused. | `TestS1_11UnknownRecipient` |\n", "TestS1_11UnknownRecipient")},
		{name: "row without test", files: tree("| S1.11 | Refused. | `TestS1_11Gone` |\n"), want: []string{"there is no test TestS1_11Gone"}},
		{name: "row with a test of another id", files: tree("| S1.11 | Refused. | `TestOther` |\n"), want: []string{"S1.11: none of its tests"}},
		{name: "test without row", files: tree("", "TestS4_6Order"), want: []string{"TestS4_6Order: docs/requirements.md has no row S4.6"}},
		{name: "ids are whole", files: tree("| S1.1 | Arrangement. | `TestS1_11Other` |\n", "TestS1_11Other"), want: []string{"S1.1: none of its tests", "has no row S1.11"}},
		{name: "beyond the pages", files: tree("| P1.2 | It is read. | `TestP1_2Read` |\n", "TestP1_2Read", "TestP3_1Limits"), want: []string{"TestP3_1Limits: docs/requirements.md has no row P3.1"}},
		{name: "twice and silent", files: tree("| S1.1 | x | `TestS1_1` |\n| S1.1 | | `TestS1_1` |\n", "TestS1_1"), want: []string{"stands there twice", "says nothing"}},
	})
}
