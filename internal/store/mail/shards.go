package mail

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strconv"

	"postroad/internal/core/account"
	"postroad/internal/store/sqldb"
)

//go:embed migrations/*.sql
var migrations embed.FS

// reader is the schema version that this program reads up to.
const reader = 1

const maxShards = 100

// defaultShards is the number of databases of a new folder. Each has a writer and flushes of its own: more of them
// than can run at once make the groups that share a flush smaller and nothing faster.
func defaultShards() int { return min(max(1, runtime.NumCPU()/4), 16) }

// ErrShards says that one of the mailboxes' databases is missing or lies under another's name. Opening an empty one
// in its place would lose mail and give UIDs a second time.
var ErrShards = errors.New("the mailbox databases do not belong together")

const (
	// Several nodes change mailboxes in groups: each locks those of a group in the order of their ids.
	holdPG sqldb.Stmt = `SELECT id FROM mailbox WHERE @in(id, $1) ORDER BY id FOR UPDATE`

	getMetaSQL sqldb.Stmt = `SELECT value FROM meta WHERE name = $1`
	putMetaSQL sqldb.Stmt = `INSERT INTO meta (name, value) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = excluded.value`
)

// openShards opens all databases. Which of how many each one is stands in it; the first one is told last, so that a
// crash while they are made leaves a folder that is made anew.
func openShards(ctx context.Context, c Config) ([]*sqldb.DB, error) {
	if c.DSN != "" {
		db, err := openShard(ctx, c, "")
		if err != nil {
			return nil, err
		}
		return []*sqldb.DB{db}, nil
	}
	if err := mustBegin(c.Dir); err != nil {
		return nil, err
	}
	first, err := openShard(ctx, c, shardPath(c.Dir, 0))
	if err != nil {
		return nil, err
	}
	shards := []*sqldb.DB{first}
	known, err := meta(ctx, first, "shards")
	if err != nil {
		return shards, err
	}
	count := known
	if known == 0 {
		count = min(c.Shards, maxShards)
		if count <= 0 {
			count = defaultShards()
		}
	}
	for i := 1; i < count; i++ {
		path := shardPath(c.Dir, i)
		if _, err := os.Stat(path); err != nil && (known > 0 || !errors.Is(err, fs.ErrNotExist)) {
			return shards, fmt.Errorf("%w: %d databases were made: %w", ErrShards, count, err)
		}
		db, err := openShard(ctx, c, path)
		if err != nil {
			return shards, err
		}
		shards = append(shards, db)
	}
	for i := count - 1; i >= 0; i-- {
		if err := label(ctx, shards[i], i, count, known > 0); err != nil {
			return shards, fmt.Errorf("%s: %w", shardPath(c.Dir, i), err)
		}
	}
	return shards, nil
}

func shardPath(dir string, i int) string { return filepath.Join(dir, fmt.Sprintf("mail-%02d.db", i)) }

// mustBegin refuses a folder whose first database is missing while there are others that were told their number.
func mustBegin(dir string) error {
	if _, err := os.Stat(shardPath(dir, 0)); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if _, err := os.Stat(shardPath(dir, 1)); !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: %s is missing", ErrShards, shardPath(dir, 0))
	}
	return nil
}

func openShard(ctx context.Context, c Config, path string) (*sqldb.DB, error) {
	place := sqldb.Place{Path: path, DSN: c.DSN, Clustered: c.Clustered, Log: c.Log}
	return place.Open(ctx, migrations, sqldb.Config{Name: "mail", Reader: reader, Hold: holdPG, CacheKiB: 8192})
}

// meta reads a number from the table meta; 0 when it is not there.
func meta(ctx context.Context, db *sqldb.DB, name string) (n int, err error) {
	err = db.Read(ctx, account.System(), func(tx *sqldb.Tx) error {
		text := "0"
		if _, err := tx.Row([]any{&text}, getMetaSQL, name); err != nil {
			return err
		}
		if n, err = strconv.Atoi(text); err != nil || n < 0 || n > maxShards {
			return fmt.Errorf("%w: %s is %q", ErrShards, name, text)
		}
		return nil
	})
	return n, err
}

// label tells a database which of how many it is, or compares what it was told.
func label(ctx context.Context, db *sqldb.DB, i, count int, known bool) error {
	if !known {
		return db.Write(ctx, account.System(), func(tx *sqldb.Tx) error {
			if err := tx.Post(putMetaSQL, "shard", strconv.Itoa(i)); err != nil {
				return err
			}
			return tx.Post(putMetaSQL, "shards", strconv.Itoa(count))
		})
	}
	shard, err := meta(ctx, db, "shard")
	if err != nil {
		return err
	}
	shards, err := meta(ctx, db, "shards")
	if err == nil && (shard != i || shards != count) {
		err = fmt.Errorf("%w: it is number %d of %d", ErrShards, shard, shards)
	}
	return err
}
