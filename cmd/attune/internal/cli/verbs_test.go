package cli

import (
	"io"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// withoutJSON are the verbs that have no --json, and why.
var withoutJSON = map[string]string{
	"attune demo":                        "writes out/demo/summary.json",
	"attune up":                          "a service; its figures are at the servers",
	"attune ingest":                      "a service",
	"attune edge":                        "a service",
	"attune publish refresh":             "says nothing",
	"attune warehouse ddl":               "prints SQL",
	"attune lab listen":                  "writes a WAV file",
	"attune transparency request add":    "changes the log, which \"list --json\" prints",
	"attune transparency request answer": "changes the log, which \"list --json\" prints",
}

// Every verb has an example that names it, and every verb that reports can do so for programs.
func TestEveryVerbHasAnExampleAndJSON(t *testing.T) {
	seen := map[string]bool{}
	var walk func(verb *cobra.Command)
	walk = func(verb *cobra.Command) {
		for _, sub := range verb.Commands() {
			walk(sub)
		}
		path := verb.CommandPath()
		if !verb.HasParent() || verb.Hidden || verb.Name() == "help" || verb.Name() == "completion" {
			return
		}
		seen[path] = true
		if !strings.Contains(verb.Example, path) {
			t.Errorf("%s: no example of it in its help", path)
		}
		if verb.Short == "" || strings.HasSuffix(verb.Short, ".") {
			t.Errorf("%s: %q, want a line without a full stop", path, verb.Short)
		}
		reports := !verb.HasSubCommands() || strings.Contains(verb.Use, " ")
		why, excused := withoutJSON[path]
		switch has := verb.Flags().Lookup("json") != nil; {
		case has && excused:
			t.Errorf("%s: has --json, and is excused from it: %s", path, why)
		case reports && !has && !excused:
			t.Errorf("%s: no --json", path)
		}
	}
	walk(newRoot(streams{in: strings.NewReader(""), out: io.Discard, err: io.Discard}))
	for path := range withoutJSON {
		if !seen[path] {
			t.Errorf("%s: there is no such verb", path)
		}
	}
	if len(seen) < 30 {
		t.Errorf("only %d verbs found", len(seen))
	}
}
