// Package inspect answers questions about what would happen to mail, and why. It changes nothing.
//
// Each answer is given by one state of the configuration, as the actor may see it: whoever leads mail to somebody
// else's address does not learn what that stands for.
//
// # Failure
//
// What is refused comes as a *words.RefusedError. What DNS does not answer is no error: the explanation says so.
package inspect
