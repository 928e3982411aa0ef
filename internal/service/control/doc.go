// Package control is every change that a person can make, as a Plan and its Apply, with authorisation and audit.
//
// Panel, API and command line call this package and nothing else. A PlanX method says what a change would do: typed
// changes, sentences, warnings. Apply refuses a plan whose version is no longer the current one; else it writes rows
// and audit entries in one transaction, makes or removes the mailboxes, and swaps the directory snapshot by which
// everything decides. All methods may be called by any goroutine.
//
// # Subjects
//
// Each subject has a package below this one: inspect tells what would happen to mail, mailqueue shows and selects queued
// mail, undo tells how a change is taken back; domains, mailboxes, rules, exchangers, zones and others make plans of what
// is wanted; boxes keeps the mailbox store in step. They stand on rights (who may touch what), plan and words (names and
// refusals), and get the state that they answer by as an argument. This package alone weighs, applies and records plans,
// and gives the subjects' types and methods to edges under its own name.
//
// # Failure
//
// What is refused comes as a *RefusedError, which wraps one of the errors of this package and tells a sentence and a
// hint for people. A thing out of the actor's scope is ErrNotFound, never ErrDenied, so that nobody learns what
// others have. Other errors are the store's: nothing has changed then, or Start mends what was half done.
//
// A crash between the store's transaction and the mailbox store leaves a mailbox that is configured and not made, or
// one that is made and not configured. Start makes the former; it removes the latter only when a removal was under
// way, so that a configuration restored from an old copy costs nobody mail.
package control
