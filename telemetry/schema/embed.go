// Package schema holds the declaration of what a report can say.
package schema

import _ "embed"

// Registry is registry.yaml: every field with its type, purpose and dates.
//
//go:embed registry.yaml
var Registry []byte
