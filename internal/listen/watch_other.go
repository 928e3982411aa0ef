//go:build !linux

package listen

// watch wakes clients that rest: here nobody can.
type watch struct{}

func (*watch) works() bool      { return false }
func (*watch) add(*Client) bool { return false }
func (*watch) drop(*Client)     {}
func (*watch) stop()            {}
