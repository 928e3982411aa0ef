package sim

import (
	"os"
	"testing"

	"github.com/jackc/pgx/v5"
)

// TestPostgres starts a cluster, which takes a second or two.
func TestPostgres(t *testing.T) {
	cluster := &Postgres{}
	t.Cleanup(cluster.Stop)
	one, two := cluster.Database(t), cluster.Database(t)
	if one == two {
		t.Fatalf("both tests got %s", one)
	}
	query := func(dsn, statement string) string {
		t.Helper()
		conn, err := pgx.Connect(t.Context(), dsn)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conn.Close(t.Context()) }()
		var answer string
		if err := conn.QueryRow(t.Context(), statement).Scan(&answer); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
		return answer
	}
	if got := query(one, "SELECT current_setting('fsync')"); got != "on" {
		t.Errorf("fsync is %s", got)
	}
	if got := query(one, "SELECT rolsuper::text FROM pg_roles WHERE rolname = current_user"); got != "false" {
		t.Error("the owner is a super-user: row-level security would not bind it")
	}
	execute(t, one, "CREATE TABLE kept (x TEXT)", "INSERT INTO kept VALUES ('here')")
	cluster.Crash()
	if _, err := pgx.Connect(t.Context(), one); err == nil {
		t.Error("it answers after Crash")
	}
	cluster.Restart(t)
	if got := query(one, "SELECT x FROM kept"); got != "here" {
		t.Errorf("after the crash the row reads %q", got)
	}
	folder := cluster.folder
	cluster.Stop()
	if _, err := os.Stat(folder); !os.IsNotExist(err) {
		t.Errorf("the folder stays: %v", err)
	}
	if _, err := pgx.Connect(t.Context(), two); err == nil {
		t.Error("it answers after Stop")
	}
}

func execute(t *testing.T, dsn string, statements ...string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(t.Context()) }()
	for _, statement := range statements {
		if _, err := conn.Exec(t.Context(), statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
}
