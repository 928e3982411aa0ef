package archtest

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// Imports go down only. A line says who may import what of ours, and after the bar why nothing else.
// A package may always import its own sub-packages and its own parents up to the named folder,
// except where the folder ends in /*: there each entry is a world of its own. A service with packages below it is one
// service: it imports them, they import one another and never the service, and nobody else knows them.
const layerRules = `
internal/proto      : internal/proto                                        | a standard knows nothing of Postroad
internal/core       : internal/core internal/proto                          | words and decisions stand on the standards alone
internal/obs        :                                                       | everything logs through obs, so obs knows nobody
internal/listen     : internal/core internal/obs                            | it takes connections for any service and knows none
internal/service/*  : internal/core internal/proto internal/obs internal/listen | a service declares what it needs in its own deps.go and server joins it; services never import one another
internal/store      : internal/store internal/service internal/core internal/proto internal/obs | store implements the services' interfaces and knows nothing above them
internal/edge/*     : internal/service/control internal/service/access internal/core internal/obs | panel and API change things through control only, so that they differ in nothing but clothes
internal/config     : internal/edge internal/store internal/service internal/core internal/proto internal/obs | config composes each package's Config
internal/server     : internal/config internal/edge internal/store internal/service internal/core internal/proto internal/obs internal/listen internal/server | server is the one place where parts are joined; the test world is no part
cmd                 : internal/server internal/config internal/edge internal/store internal/service internal/core internal/proto internal/obs cmd | cmd stands above all but the test world
`

// What may be imported from outside. The first line that names the import decides: "anywhere", "never",
// "only" in the given folders, "not" in the given folders. "tests" means test files, sim and packages for tests;
// "library" is any import that is neither ours nor the standard library's. An entry that ends in /... holds for
// everything below it too.
const importRules = `
net/netip net/url net/mail                            anywhere                      | values and parsers, they open nothing
os/exec                                               only tests                    | the program starts no process
os/... net/... syscall crypto/tls                     not internal/core internal/proto | core and proto open nothing: a connection comes in as an interface, STARTTLS as a callback
golang.org/x/sys/...                                  not internal/core internal/proto | core and proto open nothing
database/sql/...                                      only internal/store           | only store talks SQL
modernc.org/... github.com/jackc/... github.com/pressly/goose/... only internal/store | drivers and migrations are store's own business
testing/...                                           only tests                    | testing in the program would bring its flags along
github.com/google/go-cmp/... pgregory.net/rapid/... github.com/rogpeppe/go-internal/... github.com/emersion/go-msgauth/... only tests | test libraries are no part of the program
github.com/letsencrypt/...                            only tests                    | a test server is no part of the program
math/rand                                             never                         | math/rand/v2 where chance is enough, crypto/rand where it must not be guessed
log                                                   never                         | log/slog with an injected logger
library                                               not internal/core             | core reaches libraries only through proto
`

func TestLayers(t *testing.T)  { hold(t, layers) }
func TestImports(t *testing.T) { hold(t, imports) }

// layers finds imports among our packages that the layer rules do not name.
func layers(t *tree) []string {
	var found []string
	for _, p := range t.sorted() {
		allowed, reason, known := layerOf(p.path)
		if !known && !support(p.path) {
			found = append(found, p.path+": lies in no layer: Go files belong to cmd or to a folder that layers_test.go names")
			continue
		}
		for _, f := range p.code() {
			for _, imported := range f.imports {
				target, isOurs := strings.CutPrefix(imported, module+"/")
				whole, subject := serviceOf(target)
				switch {
				case !isOurs:
				case support(p.path): // imports anything
				case support(target):
					found = append(found, fmt.Sprintf("%s imports %s: only tests import what exists for tests", f.name, target))
				case subject && !within(p.path, whole):
					found = append(found, fmt.Sprintf("%s imports %s: what lies below a service is its own; others call %s", f.name, target, whole))
				case target == whole && p.path != whole && within(p.path, whole):
					found = append(found, fmt.Sprintf("%s imports %s: a service stands on the packages below it, never they on it", f.name, target))
				case !slices.ContainsFunc(allowed, func(a string) bool { return within(target, a) }):
					found = append(found, fmt.Sprintf("%s imports %s: %s", f.name, target, reason))
				}
			}
		}
	}
	return found
}

// serviceOf gives the service that a folder belongs to ("" for none), and whether the folder lies below it.
func serviceOf(folder string) (service string, below bool) {
	const services = "internal/service/"
	rest, ok := strings.CutPrefix(folder, services)
	if !ok {
		return "", false
	}
	name, _, below := strings.Cut(rest, "/")
	return services + name, below
}

// layerOf gives what a package may import, and why nothing else.
func layerOf(folder string) (allowed []string, reason string, known bool) {
	for line := range strings.Lines(strings.TrimSpace(layerRules)) {
		head, tail, _ := strings.Cut(line, ":")
		list, why, _ := strings.Cut(tail, "|")
		layer := strings.TrimSpace(head)
		allowed, reason = strings.Fields(list), strings.TrimSpace(why)
		if above, each := strings.CutSuffix(layer, "/*"); each {
			rest, below := strings.CutPrefix(folder, above+"/")
			if below {
				name, _, _ := strings.Cut(rest, "/")
				return append(allowed, above+"/"+name), reason, true
			}
		} else if within(folder, layer) {
			return allowed, reason, true
		}
	}
	return nil, "", false
}

// imports finds imports from outside that stand where they may not.
func imports(t *tree) []string {
	var found []string
	for _, p := range t.sorted() {
		for _, f := range p.files {
			for _, imported := range f.imports {
				if reason := refused(p.path, f.test || support(p.path), imported); reason != "" {
					found = append(found, fmt.Sprintf("%s imports %s: %s", f.name, imported, reason))
				}
			}
		}
	}
	return found
}

// refused gives the reason why the package in folder may not import the given path, "" where it may.
func refused(folder string, test bool, imported string) string {
	for line := range strings.Lines(strings.TrimSpace(importRules)) {
		head, reason, _ := strings.Cut(line, "|")
		fields := strings.Fields(head)
		verb := slices.IndexFunc(fields, func(word string) bool {
			return word == "anywhere" || word == "never" || word == "only" || word == "not"
		})
		if !slices.ContainsFunc(fields[:verb], func(pattern string) bool { return names(pattern, imported) }) {
			continue
		}
		place := slices.ContainsFunc(fields[verb+1:], func(where string) bool {
			return where == "tests" && test || within(folder, where)
		})
		switch fields[verb] {
		case "anywhere":
			return ""
		case "only":
			if place || test {
				return ""
			}
		case "not":
			if !place || test {
				return ""
			}
		}
		return strings.TrimSpace(reason)
	}
	return ""
}

// names says whether a pattern of importRules means this import.
func names(pattern, imported string) bool {
	if pattern == "library" {
		first, _, _ := strings.Cut(imported, "/")
		return strings.Contains(first, ".")
	}
	above, below := strings.CutSuffix(pattern, "/...")
	return imported == above || below && strings.HasPrefix(imported, above+"/")
}

// forbiddenNames say nothing of what lies in a package.
var forbiddenNames = []string{"pkg", "util", "utils", "common", "helper", "helpers", "types", "models", "manager", "base", "misc"}

func TestPackageNames(t *testing.T) { hold(t, packageNames) }

// packageNames finds folders named after nothing.
func packageNames(t *tree) []string {
	var found []string
	for _, p := range t.sorted() {
		for name := range strings.SplitSeq(p.path, "/") {
			if slices.Contains(forbiddenNames, name) {
				found = append(found, fmt.Sprintf("%s: %q says nothing of what is in it", p.path, name))
			}
		}
	}
	return found
}

func TestPlantedLayers(t *testing.T) {
	catch(t, layers, []planted{
		{name: "downward", files: map[string]string{
			"cmd/postroad/main.go":             "package main\nimport _ \"postroad/internal/server\"",
			"internal/server/server.go":        "package server\nimport (_ \"postroad/internal/service/queue\"; _ \"postroad/internal/store/queue\")",
			"internal/store/queue/queue.go":    "package queue\nimport (_ \"postroad/internal/service/queue\"; _ \"postroad/internal/store/sqldb\")",
			"internal/store/sqldb/sqldb.go":    "package sqldb",
			"internal/service/queue/queue.go":  "package queue\nimport _ \"postroad/internal/core/mail\"",
			"internal/core/mail/mail.go":       "package mail\nimport _ \"postroad/internal/proto/smtp\"",
			"internal/proto/smtp/smtp.go":      "package smtp",
			"internal/proto/smtp/line_test.go": "package smtp\nimport _ \"postroad/internal/sim\"",
			"internal/sim/sim.go":              "package sim\nimport _ \"postroad/internal/server\"",
		}},
		{name: "upward", files: map[string]string{
			"internal/proto/smtp/smtp.go": "package smtp\nimport _ \"postroad/internal/core/mail\"",
			"internal/core/mail/mail.go":  "package mail\nimport _ \"postroad/internal/service/queue\"",
			"internal/obs/obs.go":         "package obs\nimport _ \"postroad/internal/core/mail\"",
		}, want: []string{
			"internal/proto/smtp/smtp.go imports internal/core/mail: a standard knows nothing",
			"internal/core/mail/mail.go imports internal/service/queue: words and decisions",
			"internal/obs/obs.go imports",
		}},
		{name: "service to service", files: map[string]string{
			"internal/service/receive/a.go":      "package receive\nimport _ \"postroad/internal/service/queue\"",
			"internal/service/control/zone/z.go": "package zone\nimport _ \"postroad/internal/service/access\"",
		}, want: []string{"a.go imports internal/service/queue: a service declares", "z.go imports internal/service/access: a service declares"}},
		{name: "packages of one service", files: map[string]string{
			"internal/service/control/c.go":      "package control\nimport _ \"postroad/internal/service/control/zone\"",
			"internal/service/control/zone/z.go": "package zone\nimport (_ \"postroad/internal/service/control/words\"; _ \"postroad/internal/core/mail\")",
			"internal/server/server.go":          "package server\nimport _ \"postroad/internal/service/control\"",
		}},
		{name: "past a service to what is below it", files: map[string]string{
			"internal/edge/api/api.go":            "package api\nimport _ \"postroad/internal/service/control/zone\"",
			"internal/store/control/store.go":     "package control\nimport _ \"postroad/internal/service/control/zone\"",
			"internal/server/server.go":           "package server\nimport _ \"postroad/internal/service/control/zone\"",
			"cmd/postroad/zone.go":                "package main\nimport _ \"postroad/internal/service/control/zone\"",
			"internal/service/receive/receive.go": "package receive\nimport _ \"postroad/internal/service/control/zone\"",
		}, want: []string{
			"api.go imports internal/service/control/zone: what lies below a service is its own; others call internal/service/control",
			"store.go imports internal/service/control/zone: what lies", "server.go imports internal/service/control/zone: what lies",
			"cmd/postroad/zone.go imports internal/service/control/zone: what lies", "receive.go imports internal/service/control/zone: what lies",
		}},
		{name: "back up into the service", files: map[string]string{
			"internal/service/control/zone/z.go": "package zone\nimport _ \"postroad/internal/service/control\"",
		}, want: []string{"z.go imports internal/service/control: a service stands on"}},
		{name: "edge past control", files: map[string]string{
			"internal/edge/api/api.go":     "package api\nimport (_ \"postroad/internal/service/control\"; _ \"postroad/internal/store/queue\")",
			"internal/edge/panel/panel.go": "package panel\nimport _ \"postroad/internal/edge/api\"",
		}, want: []string{"api.go imports internal/store/queue", "panel.go imports internal/edge/api"}},
		{name: "test world in the program", files: map[string]string{
			"internal/server/server.go":                "package server\nimport _ \"postroad/internal/sim\"",
			"internal/server/demo.go":                  "package server\nimport _ \"postroad/internal/service/queue/queuetest\"",
			"internal/service/queue/queuetest/case.go": "package queuetest\nimport _ \"postroad/internal/sim\"",
		}, want: []string{"server.go imports internal/sim: only tests", "demo.go imports internal/service/queue/queuetest: only tests"}},
		{name: "no layer", files: map[string]string{
			"deps.go":              "package postroad",
			"internal/extra/it.go": "package extra",
		}, want: []string{".: lies in no layer", "internal/extra: lies in no layer"}},
	})
}

func TestPlantedImports(t *testing.T) {
	catch(t, imports, []planted{
		{name: "right places", files: map[string]string{
			"internal/proto/smtp/smtp.go":      "package smtp\nimport (_ \"net/netip\"; _ \"golang.org/x/net/idna\")",
			"internal/proto/smtp/smtp_test.go": "package smtp\nimport (_ \"net\"; _ \"os/exec\"; _ \"testing\")",
			"internal/store/sqldb/db.go":       "package sqldb\nimport (_ \"database/sql\"; _ \"modernc.org/sqlite\")",
			"internal/sim/sim.go":              "package sim\nimport (_ \"os/exec\"; _ \"testing\")",
			"internal/service/queue/queue.go":  "package queue\nimport (_ \"os\"; _ \"math/rand/v2\"; _ \"log/slog\")",
		}},
		{name: "core opens something", files: map[string]string{
			"internal/core/mail/mail.go":  "package mail\nimport (_ \"os\"; _ \"net\"; _ \"net/http\"; _ \"golang.org/x/net/idna\")",
			"internal/proto/smtp/smtp.go": "package smtp\nimport (_ \"crypto/tls\"; _ \"database/sql\")",
		}, want: []string{
			"mail.go imports os:", "mail.go imports net:", "mail.go imports net/http:",
			"mail.go imports golang.org/x/net/idna: core reaches libraries only through proto",
			"smtp.go imports crypto/tls:", "smtp.go imports database/sql: only store",
		}},
		{name: "wrong places", files: map[string]string{
			"internal/service/queue/queue.go": "package queue\nimport (_ \"os/exec\"; _ \"github.com/jackc/pgx/v5\"; _ \"testing\"; _ \"log\"; _ \"github.com/google/go-cmp/cmp\")",
			"internal/sim/sim.go":             "package sim\nimport _ \"math/rand\"",
		}, want: []string{
			"imports os/exec:", "imports github.com/jackc/pgx/v5:", "queue.go imports testing:", "imports log:",
			"imports github.com/google/go-cmp/cmp:", "sim.go imports math/rand:",
		}},
	})
}

func TestPlantedPackageNames(t *testing.T) {
	catch(t, packageNames, []planted{
		{name: "named after things", files: map[string]string{"internal/core/mail/mail.go": "package mail"}},
		{name: "named after nothing", files: map[string]string{"internal/util/strings/s.go": "package strings"}, want: []string{`"util" says nothing`}},
	})
}
