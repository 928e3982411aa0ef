package sim

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

const (
	postgresGlob   = "/usr/lib/postgresql/*/bin"
	postgresOldest = 15
	postgresAdvice = "apt-get install -y --no-install-recommends postgresql"
	postgresAdmin  = "postgres" // super-user of the cluster
	postgresOwner  = "postroad" // owner of the databases: no super-user, so that row-level security binds it
	postgresStart  = 30 * time.Second
	postgresTries  = 3
)

// Postgres is a PostgreSQL cluster of the test's own, from Debian's package, in a scratch folder. The zero value
// is ready; the cluster starts with the first Database. One value serves a whole test process:
//
//	var cluster sim.Postgres
//
//	func TestMain(m *testing.M) {
//		code := m.Run()
//		cluster.Stop()
//		os.Exit(code)
//	}
//
// When the process dies without Stop, the server is ended by the kernel.
type Postgres struct {
	// NoSync switches fsync, synchronous_commit and full_page_writes off: faster, and nothing survives a crash
	// of the machine. Default: on, as in production.
	NoSync bool
	// Settings are further settings of postgresql.conf, "name=value".
	Settings []string

	mu      sync.Mutex
	failure error
	folder  string
	binary  string
	account *syscall.Credential
	port    int
	server  *exec.Cmd
	exited  chan struct{}
	output  *bytes.Buffer
	serial  int
}

// errNoPostgres: Debian's package is not installed.
var errNoPostgres = errors.New("no PostgreSQL 15 or newer under " + postgresGlob)

// Database makes an empty database for one test, starting the cluster if it is not running, and gives its DSN
// (postgres://…, by TCP on loopback). The database goes with the test. Its owner is no super-user. Without the
// package the test is skipped with the line that installs it; when CI=true it fails.
func (p *Postgres) Database(tb testing.TB) string {
	tb.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.start(); err != nil {
		if errors.Is(err, errNoPostgres) && os.Getenv("CI") != "true" {
			tb.Skipf("%v; install it by: %s", err, postgresAdvice)
		}
		tb.Fatalf("%v; install it by: %s", err, postgresAdvice)
	}
	p.serial++
	name := fmt.Sprintf("t%d", p.serial)
	if err := p.execute("CREATE DATABASE " + name + " OWNER " + postgresOwner); err != nil {
		tb.Fatalf("test database: %v", err)
	}
	tb.Cleanup(func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.server == nil {
			return
		}
		if err := p.execute("DROP DATABASE IF EXISTS " + name + " WITH (FORCE)"); err != nil {
			tb.Logf("test database %s stays: %v", name, err)
		}
	})
	return p.dsn(postgresOwner, name)
}

// Stop ends the cluster and removes its folder. A later Database starts a new one.
func (p *Postgres) Stop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.halt(syscall.SIGINT)
	if p.folder != "" {
		_ = os.RemoveAll(p.folder) // scratch
		p.folder, p.failure = "", nil
	}
}

// Crash ends the server like pg_ctl stop -m immediate: without a checkpoint, all connections cut. The data stay
// for Restart.
func (p *Postgres) Crash() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.halt(syscall.SIGQUIT)
}

// Restart starts the server again on the same port and data after Crash. It returns when the server answers.
func (p *Postgres) Restart(tb testing.TB) {
	tb.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.server != nil || p.folder == "" {
		tb.Fatal("PostgreSQL: Restart without Crash")
	}
	if err := p.launch(); err != nil {
		tb.Fatalf("PostgreSQL again: %v", err)
	}
}

func (p *Postgres) dsn(login, database string) string {
	return fmt.Sprintf("postgres://%s@127.0.0.1:%d/%s?sslmode=disable", login, p.port, database)
}

// start makes and starts the cluster once; a failure stays.
func (p *Postgres) start() error {
	if p.server != nil {
		return nil
	}
	if p.failure == nil {
		p.failure = p.create()
	}
	return p.failure
}

func (p *Postgres) create() error {
	binary, err := postgresBinaries()
	if err != nil {
		return err
	}
	p.binary = binary
	if p.folder, err = os.MkdirTemp("", "postroad-pg-"); err != nil {
		return err
	}
	if err := p.chooseAccount(); err != nil {
		return err
	}
	output, err := p.command("initdb", "--pgdata", p.data(), "--username", postgresAdmin, "--auth", "trust",
		"--encoding", "UTF8", "--locale", "C", "--no-sync", "--no-instructions").CombinedOutput()
	if err != nil {
		return fmt.Errorf("initdb: %w\n%s", err, output)
	}
	for range postgresTries { // the free port may be gone again
		if p.port, err = freePort(); err != nil {
			return err
		}
		if err = p.launch(); err == nil {
			return p.execute("CREATE ROLE " + postgresOwner + " LOGIN NOSUPERUSER")
		}
	}
	return err
}

func (p *Postgres) data() string { return filepath.Join(p.folder, "data") }

// chooseAccount: root may not run PostgreSQL.
func (p *Postgres) chooseAccount() error {
	if os.Geteuid() != 0 {
		return nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		account, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err := strconv.ParseUint(account.Uid, 10, 32)
		if err != nil {
			return err
		}
		gid, err := strconv.ParseUint(account.Gid, 10, 32)
		if err != nil {
			return err
		}
		p.account = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
		return os.Chown(p.folder, int(uid), int(gid))
	}
	return errors.New("neither user postgres nor nobody exists")
}

func (p *Postgres) command(program string, args ...string) *exec.Cmd {
	command := exec.CommandContext(context.Background(), filepath.Join(p.binary, program), args...)
	command.Dir = p.folder
	command.Env = []string{"PATH=/usr/bin:/bin", "LC_ALL=C", "TZ=UTC", "HOME=" + p.folder}
	command.SysProcAttr = &syscall.SysProcAttr{Credential: p.account, Setpgid: true}
	return command
}

// launch starts the server and waits until it answers.
func (p *Postgres) launch() error {
	settings := append([]string{
		"listen_addresses=127.0.0.1", "port=" + strconv.Itoa(p.port), "unix_socket_directories=" + p.folder,
		"shared_buffers=32MB", "max_connections=200", "wal_level=minimal", "max_wal_senders=0", "log_min_messages=fatal",
	}, p.Settings...)
	if p.NoSync {
		settings = append(settings, "fsync=off", "synchronous_commit=off", "full_page_writes=off")
	}
	args := []string{"-D", p.data()}
	for _, setting := range settings {
		args = append(args, "-c", setting)
	}
	p.output = &bytes.Buffer{}
	server := p.command("postgres", args...)
	server.Stdout, server.Stderr = p.output, p.output
	server.SysProcAttr.Pdeathsig = syscall.SIGQUIT
	if err := server.Start(); err != nil {
		return err
	}
	exited := make(chan struct{})
	go func() {
		_ = server.Wait() // why it ended stands in its output
		close(exited)
	}()
	p.server, p.exited = server, exited
	ctx, cancel := context.WithTimeout(context.Background(), postgresStart)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := p.execute("SELECT 1")
		if err == nil {
			return nil
		}
		select {
		case <-tick.C:
		case <-exited:
			p.server = nil
			return fmt.Errorf("PostgreSQL ended:\n%s", p.output)
		case <-ctx.Done():
			p.halt(syscall.SIGQUIT)
			return fmt.Errorf("PostgreSQL does not answer: %w\n%s", err, p.output)
		}
	}
}

// halt sends a signal and waits for the end.
func (p *Postgres) halt(signal syscall.Signal) {
	if p.server == nil {
		return
	}
	if err := p.server.Process.Signal(signal); err == nil {
		<-p.exited
	}
	p.server = nil
}

// execute runs a statement as super-user.
func (p *Postgres) execute(statement string) error {
	ctx, cancel := context.WithTimeout(context.Background(), postgresStart)
	defer cancel()
	conn, err := pgx.Connect(ctx, p.dsn(postgresAdmin, "postgres"))
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(ctx) }() // the statement has its answer
	_, err = conn.Exec(ctx, statement)
	return err
}

// postgresBinaries finds the newest version installed.
func postgresBinaries() (string, error) {
	folders, err := filepath.Glob(postgresGlob)
	if err != nil {
		return "", err
	}
	newest, found := 0, ""
	for _, folder := range folders {
		version, err := strconv.Atoi(filepath.Base(filepath.Dir(folder)))
		if err != nil || version < postgresOldest || version <= newest {
			continue
		}
		if missing := slices.ContainsFunc([]string{"initdb", "postgres"}, func(program string) bool {
			_, err := os.Stat(filepath.Join(folder, program))
			return err != nil
		}); !missing {
			newest, found = version, folder
		}
	}
	if found == "" {
		return "", errNoPostgres
	}
	return found, nil
}

func freePort() (int, error) {
	var config net.ListenConfig
	listener, err := config.Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer func() { _ = listener.Close() }() // only the number was wanted
	_, port, err := net.SplitHostPort(listener.Addr().String())
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(strings.TrimSpace(port))
}
