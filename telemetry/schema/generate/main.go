// Command generate writes everything that is made from telemetry/schema/registry.yaml: the protobuf schema, the Go
// types, the warehouse's columns and the public page. It refuses a registry that breaks the rules.
//
// With -release it adds what is new in the current version to telemetry/schema/released; clients may then write it.
package main

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/attune-calls/attune/telemetry/internal/registry"
)

func main() {
	root := flag.String("root", ".", "directory of the module")
	release := flag.Bool("release", false, "write the current version to telemetry/schema/released")
	flag.Parse()
	if err := run(*root, *release); err != nil {
		fmt.Fprintln(os.Stderr, "generate:", err)
		os.Exit(1)
	}
}

func run(root string, release bool) error {
	dir := filepath.Join(root, "telemetry", "schema")
	r, err := registry.Load(dir)
	if err != nil {
		return err
	}
	if err := r.Check(time.Now()); err != nil {
		return err
	}
	if release {
		if err := r.WriteRelease(dir); err != nil {
			return err
		}
	}
	releases, err := registry.LoadReleases(dir)
	if err != nil {
		return err
	}
	if err := r.CheckReleases(releases); err != nil {
		return err
	}
	files, err := r.Generate()
	if err != nil {
		return err
	}
	for _, path := range slices.Sorted(maps.Keys(files)) {
		if err := os.WriteFile(filepath.Join(root, filepath.FromSlash(path)), files[path], 0o644); err != nil {
			return err
		}
	}
	return nil
}
