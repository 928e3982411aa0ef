// Package sqldb is the engine under all stores: SQLite or PostgreSQL, one spelling of every statement, a writer that
// lets all jobs of a moment share one flush, row-level scope, migrations, the blob folder and the folder's lock.
//
// A DB has one writer goroutine with a connection of its own. Write hands it a job; all jobs that wait at the same
// moment run in one transaction with one COMMIT, and Write returns after it. Reads run on a small pool of connections
// that cannot write. Statements are constants of type Stmt, prepared once per connection.
//
// # Spelling
//
// Parameters are written $1, $2, … Two macros hide what the engines spell differently: @scope(column) restricts a
// statement to the accounts of the transaction's scope, @in(column, $n) compares a column with a list. Schemas are
// one text for both engines (TEXT, BIGINT, BYTEA, BOOLEAN); a comment that begins "-- sqlite:" or "-- postgres:"
// is text for that engine alone. Times are BIGINT microseconds since 1970, UTC; zero stands for the zero time.
//
// # Failure
//
// A COMMIT error fails every job of its group. On SQLite the write-ahead log is then rewritten into the database and
// truncated before the next COMMIT, as at every start, because pages whose flush failed may never have reached the
// disk. A second input/output error makes the database Failed for good: the program is expected to exit. A full disk
// is no such error: jobs fail with ErrFull until there is room again. On PostgreSQL a lost connection fails the jobs
// of the moment and is opened anew; COMMIT is never cancelled by a context, and a warning during COMMIT (the
// synchronous standby was not waited for) counts as failure.
package sqldb
