package main_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestSetupFindsWhatIsMissing runs deploy/setup-debian where nothing is installed but what the script itself is made of:
// a check that succeeds there would leave a fresh machine without the package.
func TestSetupFindsWhatIsMissing(t *testing.T) {
	text, err := os.ReadFile("../../deploy/setup-debian")
	if err != nil {
		t.Fatal(err)
	}
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Fatal(err)
	}
	empty := t.TempDir()
	bin := filepath.Join(empty, "bin")
	if err := os.MkdirAll(bin, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(bin, "go"), []byte("#!/bin/sh\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	list := func() string {
		t.Helper()
		// /usr is another place for this run.
		command := exec.Command(bash, "-c", strings.ReplaceAll(string(text), "/usr/", empty+"/"), "setup-debian", "--list")
		command.Env = []string{"PATH=" + bin}
		out, err := command.CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return string(out)
	}
	out := list()
	for _, want := range []string{"gcc", "pkg-config", "libopus-dev", "libopusfile-dev", "clickhouse-server", "alsa-utils"} {
		if !strings.Contains(out, "setup: "+want+": to install\n") {
			t.Errorf("without %s the script says\n%s", want, out)
		}
	}
	for _, program := range []string{"clickhouse-server", "gcc"} {
		if err := os.WriteFile(filepath.Join(bin, program), []byte("#!/bin/sh\n"), 0o700); err != nil {
			t.Fatal(err)
		}
		if out := list(); !strings.Contains(out, "setup: "+program+": there\n") {
			t.Errorf("with %s the script says\n%s", program, out)
		}
	}
}
