package mail_test

import (
	"testing"

	"postroad/internal/store/sqldb/sqltest"
)

func TestEveryStatementCompilesOnBothEngines(t *testing.T) {
	engines(t, func(w *world) { sqltest.Compile(w.t, w.Databases()[0], ".") })
}
