// Package fit makes a network profile out of recordings: a Markov capacity out of traces, a Gilbert-Elliott loss out of
// masks, and propagation with log-normal jitter out of round trip times. A fitted profile is a few hundred bytes that
// say where they come from, so that nothing of the recordings has to be kept.
//
// What is fitted is judged on recordings that were held out: whole files where there are several of a kind, blocks
// of a single one. The profile holds the figures of that comparison, good or bad.
package fit
