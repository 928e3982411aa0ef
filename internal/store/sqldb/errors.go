package sqldb

import (
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5/pgconn"
	"modernc.org/sqlite"
)

// Errors for callers to test.
var (
	// ErrStorage says that the engine failed and nothing of the job is durable; temporary.
	ErrStorage = errors.New("storage failed")
	// ErrFull says that the disk is full; it comes with ErrStorage. Temporary.
	ErrFull = errors.New("no space left for the database")
	// ErrFailed says that the database has failed for good and takes no more writes; it comes with ErrStorage.
	ErrFailed = errors.New("the database has failed and takes no more writes")
	// ErrClosed says that the database was closed.
	ErrClosed = errors.New("the database is closed")
	// ErrConflict says that a unique key is taken.
	ErrConflict = errors.New("key exists already")
	// ErrScope says that an account is not one that the caller may touch.
	ErrScope = errors.New("account is not in scope")
	// ErrLocked says that another process owns the folder.
	ErrLocked = errors.New("the folder is in use by another process")
	// ErrCorrupt says that stored bytes do not match their checksum.
	ErrCorrupt = errors.New("stored content does not match its checksum")
	// ErrTooNew says that the database was written by a later version that this program cannot read.
	ErrTooNew = errors.New("the database needs a later version of the program")
	// ErrUnsafe says that the database server is set up in a way that loses acknowledged mail or hides no rows.
	ErrUnsafe = errors.New("the database server's settings are not safe")
)

// Primary result codes of SQLite (https://www.sqlite.org/rescode.html).
const (
	sqliteNoMem      = 7
	sqliteReadOnly   = 8
	sqliteInterrupt  = 9
	sqliteIOErr      = 10
	sqliteFull       = 13
	sqliteCantOpen   = 14
	sqliteProtocol   = 15
	sqliteConstraint = 19
	sqliteNotADB     = 26

	sqlitePrimaryKey = sqliteConstraint | 6<<8
	sqliteUnique     = sqliteConstraint | 8<<8
	sqliteRowID      = sqliteConstraint | 10<<8
)

// Error codes of PostgreSQL: unique_violation, disk_full.
const (
	pgUnique   = "23505"
	pgDiskFull = "53100"
)

// storageError gives an engine's error the sentinels that belong to it.
func storageError(err error) error {
	if err == nil || errors.Is(err, ErrStorage) || errors.Is(err, ErrConflict) {
		return err
	}
	var lite *sqlite.Error
	if errors.As(err, &lite) {
		switch {
		case lite.Code() == sqlitePrimaryKey, lite.Code() == sqliteUnique, lite.Code() == sqliteRowID:
			return fmt.Errorf("%w: %w", ErrConflict, err)
		case lite.Code()&0xff == sqliteFull:
			return fmt.Errorf("%w: %w: %w", ErrStorage, ErrFull, err)
		}
		return fmt.Errorf("%w: %w", ErrStorage, err)
	}
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		switch pg.Code {
		case pgUnique:
			return fmt.Errorf("%w: %w", ErrConflict, err)
		case pgDiskFull:
			return fmt.Errorf("%w: %w: %w", ErrStorage, ErrFull, err)
		}
	}
	return fmt.Errorf("%w: %w", ErrStorage, err)
}

// sqliteCode is the primary result code within an error; 0 when there is none.
func sqliteCode(err error) int {
	var lite *sqlite.Error
	if errors.As(err, &lite) {
		return lite.Code() & 0xff
	}
	return 0
}
