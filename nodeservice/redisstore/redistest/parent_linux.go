package redistest

import "syscall"

// withParent lets a process end with the test's, however that ends.
func withParent() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
