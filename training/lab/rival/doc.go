// Package rival is how other clients run their calls, as rules that the laboratory can put in place of a policy. Each
// rule is one file; each figure in it has its source. None needs a model, a server or what Attune has learned.
package rival
