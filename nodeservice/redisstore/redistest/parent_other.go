//go:build !linux

package redistest

import "syscall"

// withParent leaves a process behind if the test's is killed: only Linux knows
// better.
func withParent() *syscall.SysProcAttr { return nil }
