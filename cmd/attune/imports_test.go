package main_test

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/attune-calls/attune"

// What a package may import of this module: itself, what is below it, and these. The rule keeps a phone's binary
// free of servers and trainers, and keeps each technology in one place.
var mayImport = map[string][]string{
	"model":     {},
	"codec":     {"model"},
	"policy":    {"model", "codec"}, // codec: the packets of RFC 2198
	"telemetry": {"model"},
	"training":  {"model", "codec", "policy", "telemetry"},
	"cmd":       {"model", "codec", "policy", "telemetry", "training"},
	"bench":     {"model", "codec", "training"}, // measures speech for codec; nothing imports it
}

// The packages a call client links, and why nothing on the list may come with them.
var (
	clientLinks = []string{"model", "policy", "policy/delivery", "telemetry", "codec", "codec/playout"}
	forbidden   = map[string]string{
		"gorgonia.org/":                   "training happens on servers",
		"github.com/ClickHouse/":          "clients never see the warehouse",
		"github.com/nats-io/nats-server/": "clients are not brokers",
		"github.com/hraban/opus":          "cgo must stay a choice of the application",
		"runtime/cgo":                     "a client must build without a C compiler",
	}
)

type goPackage struct {
	ImportPath string
	Imports    []string
	Deps       []string
}

func list(t *testing.T, args ...string) []goPackage {
	t.Helper()
	command := exec.Command("go", append([]string{"list", "-json=ImportPath,Imports,Deps"}, args...)...)
	// net and os/user use cgo where it is on; whether a package needs cgo shows when it is off.
	command.Env = append(command.Environ(), "CGO_ENABLED=0")
	output, err := command.Output()
	if err != nil {
		if exit, ok := errors.AsType[*exec.ExitError](err); ok {
			t.Fatalf("go list %v: %v\n%s", args, err, exit.Stderr)
		}
		t.Fatal(err)
	}
	var packages []goPackage
	for decoder := json.NewDecoder(strings.NewReader(string(output))); ; {
		var p goPackage
		if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		packages = append(packages, p)
	}
	return packages
}

func TestEveryImportFollowsTheRule(t *testing.T) {
	packages := list(t, "-e", module+"/...")
	if len(packages) < 10 {
		t.Fatalf("only %d packages found: the test is looking in the wrong place", len(packages))
	}
	for _, p := range packages {
		room := roomOf(p.ImportPath)
		allowed, known := mayImport[room]
		if !known {
			t.Errorf("%s: no rule for %q: add the reason for a new top-level folder here", p.ImportPath, room)
			continue
		}
		for _, imported := range p.Imports {
			target := roomOf(imported)
			if target == "" || target == room || slices.Contains(allowed, target) {
				continue
			}
			t.Errorf("%s imports %s: %q may import %v", p.ImportPath, imported, room, allowed)
		}
	}
}

// roomOf is the top-level folder of a package of this module, or "".
func roomOf(path string) string {
	inside, ok := strings.CutPrefix(path, module+"/")
	if !ok {
		return ""
	}
	room, _, _ := strings.Cut(inside, "/")
	return room
}

func TestNothingAClientLinksReachesServersOrCgo(t *testing.T) {
	paths := make([]string, len(clientLinks))
	for i, p := range clientLinks {
		paths[i] = module + "/" + p
	}
	packages := list(t, paths...)
	if len(packages) != len(clientLinks) {
		t.Fatalf("%d of %d client packages found", len(packages), len(clientLinks))
	}
	for _, p := range packages {
		for _, dependency := range p.Deps {
			for prefix, why := range forbidden {
				if strings.HasPrefix(dependency, prefix) {
					t.Errorf("%s reaches %s: %s", p.ImportPath, dependency, why)
				}
			}
		}
	}
}
