// Package registry reads schema/registry.yaml, the one declaration of what a report can hold, holds it to the rules that
// keep people out of it, and generates from it the protobuf schema, the Go types, the warehouse's columns and the public
// page.
//
// The promise is that a field which could name somebody, a field nobody looks after any more and a change that would
// alter the meaning of released data do not get past Check and CheckReleases, whoever adds them.
package registry
