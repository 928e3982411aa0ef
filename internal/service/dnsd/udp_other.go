//go:build !linux || !(amd64 || arm64)

package dnsd

import (
	"errors"
	"net"
	"syscall"
)

// batches: packets are read and written one by one here.
const batches = false

func reusePort(string, string, syscall.RawConn) error { return errors.ErrUnsupported }

func (w *worker) serveBatches(*net.UDPConn, bool) error { return errors.ErrUnsupported }
