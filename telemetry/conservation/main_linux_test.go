package conservation

import (
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"testing"

	"github.com/rs/zerolog"
)

var (
	faultCount = flag.Int("faults", 100, "faults to inject")
	seedFlag   = flag.Uint64("seed", 1, "what payloads and the schedule of faults are drawn from; 0 = a new one, which is printed")
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
		flag.Parse()
		if *seedFlag == 0 {
			*seedFlag = 1 + rand.Uint64N(1<<32)
		}
		fmt.Printf("seed %d\n", *seedFlag)
		zerolog.SetGlobalLevel(zerolog.Disabled) // toxiproxy's toxics log to the global logger
		os.Exit(m.Run())
	}
	os.Exit(enterNamespace())
}

// enterNamespace runs this binary again in a mount namespace of its own, where it may mount the small disks that get
// full, and where they vanish with it. Whoever may not do that, which includes root in most containers, becomes root of a
// user namespace for it.
func enterNamespace() int {
	err := inNamespace(0)
	if errors.Is(err, syscall.EPERM) {
		err = inNamespace(syscall.CLONE_NEWUSER)
	}
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return max(exit.ExitCode(), 1)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "run the test in a mount namespace of its own: %v; this user may make neither that nor a user namespace: "+
			"run it as root with CAP_SYS_ADMIN (docker run --cap-add SYS_ADMIN), or allow user namespaces (sysctl user.max_user_namespaces, "+
			"kernel.unprivileged_userns_clone, kernel.apparmor_restrict_unprivileged_userns; in a container its seccomp profile)\n", err)
		return 1
	}
	return 0
}

// inNamespace runs it in new namespaces: one for mounts, and a user namespace when user asks for it.
func inNamespace(user uintptr) error {
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Env = append(os.Environ(), roleVariable+"="+roleInside)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Cloneflags: user}
	if user == 0 {
		cmd.SysProcAttr.Unshareflags = syscall.CLONE_NEWNS
	} else {
		cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWNS
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{HostID: os.Geteuid(), Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{HostID: os.Getegid(), Size: 1}}
	}
	runtime.LockOSThread() // the kernel kills the child when the thread that forked it ends
	defer runtime.UnlockOSThread()
	return cmd.Run()
}
