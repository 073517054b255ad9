package conservation

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"testing"

	"github.com/rs/zerolog"
)

var (
	faultCount = flag.Int("faults", 100, "faults to inject")
	seedFlag   = flag.Uint64("seed", 1, "what the schedule of faults is drawn from")
)

// What the test binary is run as. The empty role is the test itself.
const (
	roleVariable   = "CONSERVATION_ROLE"
	configVariable = "CONSERVATION_CONFIG"
	roleInside     = "inside" // the test, in a mount namespace of its own
	roleBroker     = "broker"
	roleIngest     = "ingest"
	roleEdge       = "edge"
)

func TestMain(m *testing.M) {
	switch os.Getenv(roleVariable) {
	case roleBroker:
		os.Exit(child(runBroker))
	case roleIngest:
		os.Exit(child(runIngest))
	case roleEdge:
		os.Exit(child(runEdge))
	case roleInside:
		zerolog.SetGlobalLevel(zerolog.Disabled) // toxiproxy's toxics log to the global logger
		os.Exit(m.Run())
	}
	os.Exit(enterNamespace())
}

// enterNamespace runs this binary again in a mount namespace of its own, where it may mount the small disks that get
// full, and where they vanish with it. A user who is not root becomes root of a user namespace for this.
func enterNamespace() int {
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Env = append(os.Environ(), roleVariable+"="+roleInside)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Unshareflags: syscall.CLONE_NEWNS}
	if os.Geteuid() != 0 {
		cmd.SysProcAttr.Cloneflags = syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{HostID: os.Geteuid(), Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{HostID: os.Getegid(), Size: 1}}
	}
	runtime.LockOSThread() // the kernel kills the child when the thread that forked it ends
	defer runtime.UnlockOSThread()
	err := cmd.Run()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return max(exit.ExitCode(), 1)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "run the test in a mount namespace of its own: %v; run it as root, or allow user namespaces (sysctl user.max_user_namespaces)\n", err)
		return 1
	}
	return 0
}
