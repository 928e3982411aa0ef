package told_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"postroad/internal/service/control/told"
)

func TestEveryEventOfNoticesIsNamedToTheAPI(t *testing.T) {
	t.Parallel()
	file, err := parser.ParseFile(token.NewFileSet(), "../../../core/notice/notice.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var events []string
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		if kind, is := spec.Type.(*ast.Ident); is && kind.Name == "Event" {
			for _, v := range spec.Values {
				text, err := strconv.Unquote(v.(*ast.BasicLit).Value)
				if err != nil {
					t.Error(err)
				}
				events = append(events, text)
			}
		}
		return true
	})
	field, _ := reflect.TypeFor[told.NoticeInfo]().FieldByName("Event")
	named := strings.Split(field.Tag.Get("enum"), ",")
	slices.Sort(events)
	slices.Sort(named)
	if len(events) < 8 || !slices.Equal(events, named) {
		t.Errorf("events %v, named %v", events, named)
	}
}
