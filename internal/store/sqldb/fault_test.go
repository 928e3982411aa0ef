package sqldb_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"postroad/internal/core/account"
	"postroad/internal/sim"
	"postroad/internal/store/sqldb"
	"postroad/internal/store/sqldb/sqltest"
)

// child writes a row for each line that it reads, and says how it went.
func child(dir string) {
	db, err := sqldb.Open(context.Background(), sqldb.Config{
		Name: "test", Path: filepath.Join(dir, "test.db"), Migrations: schema(), Reader: 1,
	})
	if err != nil {
		panic(err)
	}
	say := func(text string) { _, _ = os.Stdout.WriteString(text + "\n") }
	say("open")
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		id := lines.Text()
		err := db.Write(context.Background(), account.System(), func(tx *sqldb.Tx) error { return put(tx, id) })
		failed := false
		select {
		case <-db.Failed():
			failed = db.Cause() != nil
		default:
		}
		say(fmt.Sprintf("ok=%t storage=%t full=%t failed=%t", err == nil, errors.Is(err, sqldb.ErrStorage), errors.Is(err, sqldb.ErrFull), failed))
	}
}

// victim is a child whose system calls can be watched and made to fail.
type victim struct {
	t   *testing.T
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Scanner
}

// start begins a child and waits until its database is open.
func start(t *testing.T, dir string) *victim {
	t.Helper()
	v := &victim{t: t, cmd: sqltest.Child(t, dir)}
	var err error
	v.in, err = v.cmd.StdinPipe()
	must(t, err)
	out, err := v.cmd.StdoutPipe()
	must(t, err)
	must(t, v.cmd.Start())
	v.out = bufio.NewScanner(out)
	t.Cleanup(func() {
		_ = v.in.Close()
		_ = v.cmd.Wait()
	})
	v.read("open")
	return v
}

// strace watches the child, or does something to its system calls, until detach is called, which gives what it saw.
func (v *victim) strace(options ...string) (detach func() string) {
	v.t.Helper()
	path, err := exec.LookPath("strace")
	if err != nil {
		v.t.Skip("strace is not installed: apt-get install -y strace")
	}
	trace := filepath.Join(v.t.TempDir(), "trace")
	args := append([]string{"-f", "-o", trace, "-p", strconv.Itoa(v.cmd.Process.Pid)}, options...)
	cmd := exec.CommandContext(v.t.Context(), path, args...) //nolint:gosec // arguments are this test's
	said, err := cmd.StderrPipe()
	must(v.t, err)
	must(v.t, cmd.Start())
	lines := bufio.NewScanner(said)
	if !lines.Scan() || !strings.Contains(lines.Text(), "attached") {
		v.t.Skipf("strace cannot attach: %s", lines.Text())
	}
	go func() {
		for lines.Scan() { // it must not block on a full pipe
		}
	}()
	return func() string {
		v.t.Helper()
		must(v.t, cmd.Process.Signal(os.Interrupt))
		_ = cmd.Wait()
		text, err := os.ReadFile(trace)
		must(v.t, err)
		return string(text)
	}
}

func (v *victim) read(want string) {
	v.t.Helper()
	if !v.out.Scan() || v.out.Text() != want {
		v.t.Fatalf("the child says %q instead of %q", v.out.Text(), want)
	}
}

// write has a row written.
func (v *victim) write(id, want string) {
	v.t.Helper()
	_, err := io.WriteString(v.in, id+"\n")
	must(v.t, err)
	v.read(want)
}

// ends closes the child and opens its database.
func (v *victim) ends(dir string) *sqldb.DB {
	v.t.Helper()
	_ = v.in.Close()
	_ = v.cmd.Wait()
	return open(v.t, sqldb.Config{Path: filepath.Join(dir, "test.db")})
}

const (
	fine    = "ok=true storage=false full=false failed=false"
	refused = "ok=false storage=true full=false failed=false"
	dead    = "ok=false storage=true full=false failed=true"
	full    = "ok=false storage=true full=true failed=false"
)

func TestAFailedFlushFailsItsGroupAndTheNextOneBeginsAnew(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	v := start(t, dir)
	v.write("before", fine)
	detach := v.strace("-e", "trace=fsync,fdatasync", "-e", "inject=fsync,fdatasync:error=EIO")
	v.write("a", refused)
	detach()
	detach = v.strace("-e", "trace=fsync,fdatasync,ftruncate,write")
	v.write("b", fine)
	// The log is emptied before the flush that the next answer waits for.
	trace := detach()
	cut, answer := strings.Index(trace, "ftruncate("), strings.LastIndex(trace, "write(1")
	if cut < 0 || answer < cut || !strings.Contains(trace[cut:answer], "sync(") {
		t.Errorf("the log was not truncated and flushed anew before the answer:\n%s", trace)
	}
	v.write("c", fine)
	if db := v.ends(dir); count(t, db) != 3 {
		t.Errorf("%d rows", count(t, db))
	}
}

func TestASecondFailedFlushEndsTheDatabase(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	v := start(t, dir)
	detach := v.strace("-e", "trace=fsync,fdatasync", "-e", "inject=fsync,fdatasync:error=EIO")
	v.write("a", refused)
	v.write("b", dead)
	detach()
	v.write("c", dead)
	db := v.ends(dir)
	must(t, db.Write(t.Context(), account.System(), func(tx *sqldb.Tx) error { return put(tx, "after the restart") }))
}

func TestAFullDiskRefusesAndComesBack(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	v := start(t, dir)
	v.write("before", fine)
	detach := v.strace("-e", "trace=pwrite64", "-e", "inject=pwrite64:error=ENOSPC")
	v.write("a", full)
	v.write("b", full)
	v.write("c", full)
	detach()
	v.write("d", fine)
	if db := v.ends(dir); count(t, db) != 2 {
		t.Errorf("%d rows", count(t, db))
	}
}

func TestOneFlushPerWrite(t *testing.T) {
	t.Parallel()
	v := start(t, t.TempDir())
	v.write("first", fine) // the log's own beginning is flushed too
	detach := v.strace("-e", "trace=fsync,fdatasync")
	for i := range 20 {
		v.write(strconv.Itoa(i), fine)
	}
	if trace := detach(); strings.Count(trace, "sync(") != 20 {
		t.Errorf("20 writes:\n%s", trace)
	}
}

func TestPostgresGoesAndComesBack(t *testing.T) {
	t.Parallel()
	var own sim.Postgres
	t.Cleanup(own.Stop)
	db := open(t, sqldb.Config{DSN: own.Database(t)})
	write := func(id string) error {
		return db.Write(t.Context(), account.System(), func(tx *sqldb.Tx) error { return put(tx, id) })
	}
	must(t, write("before"))
	if count(t, db) != 1 {
		t.Fatal("nothing there")
	}
	own.Crash()
	for i := range 3 {
		if err := write("during " + strconv.Itoa(i)); !errors.Is(err, sqldb.ErrStorage) {
			t.Errorf("while the server is away: %v", err)
		}
	}
	err := db.Read(t.Context(), account.System(), func(tx *sqldb.Tx) error {
		var n int
		_, err := tx.Row([]any{&n}, countSQL)
		return err
	})
	if !errors.Is(err, sqldb.ErrStorage) {
		t.Errorf("reading while the server is away: %v", err)
	}
	own.Restart(t)
	for try := 0; ; try++ { // no connection is tried for a moment after one has failed
		err := write("after " + strconv.Itoa(try))
		if err == nil {
			break
		}
		if try > 100000 {
			t.Fatal(err)
		}
	}
	if n := count(t, db); n != 2 {
		t.Errorf("%d rows", n)
	}
	select {
	case <-db.Failed():
		t.Error("a server that went away made the database fail for good")
	default:
	}
}

func TestACommitWithoutItsStandbyFails(t *testing.T) {
	t.Parallel()
	own := sim.Postgres{Settings: []string{"wal_level=replica", "max_wal_senders=4"}}
	t.Cleanup(own.Stop)
	dsn := own.Database(t)
	db := open(t, sqldb.Config{DSN: dsn})
	must(t, db.Write(t.Context(), account.System(), func(tx *sqldb.Tx) error { return put(tx, "before") }))
	admin, err := pgx.Connect(t.Context(), strings.Replace(dsn, "postroad@", "postgres@", 1))
	must(t, err)
	exec := func(statement string) (n int64) {
		t.Helper()
		tag, err := admin.Exec(t.Context(), statement)
		must(t, err)
		return tag.RowsAffected()
	}
	exec("ALTER SYSTEM SET synchronous_standby_names = 'away'")
	exec("SELECT pg_reload_conf()")
	result := make(chan error, 1)
	go func() {
		for { // until the setting has reached the writer's server process
			err := db.Write(context.Background(), account.System(), func(tx *sqldb.Tx) error {
				_, err := tx.Exec("UPDATE thing SET n = n + 1")
				return err
			})
			if err != nil {
				result <- err
				return
			}
		}
	}()
	for exec("SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'") == 0 {
	}
	if err := <-result; !errors.Is(err, sqldb.ErrStorage) || !strings.Contains(err.Error(), "synchronous replication") {
		t.Errorf("COMMIT without its standby: %v", err)
	}
	exec("ALTER SYSTEM RESET synchronous_standby_names")
	exec("SELECT pg_reload_conf()")
	must(t, admin.Close(t.Context()))
}
