// Package suite puts networks together for a comparison: which ones, how often each occurs, and which of them a policy
// may be trained on.
//
// A [Suite] comes from the binary ([Builtin]), from a suite file ([Load]) or from folders of recordings ([FromFolders]).
// The split into training and validation goes by source, never by time inside one source, so that what is judged on
// validation networks was never seen in training.
package suite
