// Package getstats reads recorded W3C statistics of WebRTC calls into reports, so that a team can begin with the calls it
// has: the JSON that Chrome's chrome://webrtc-internals saves, and the JSON lines of rtcstats clients and servers. Either may
// be compressed with gzip. The format is recognised by the content.
//
// A dump is full of what a report must never hold: addresses, SDP, candidates, device names, URLs. Only what is on the
// allow-list (see allowed) leaves the parser: numbers of the audio streams and their path, and words of closed lists. All
// else is skipped as it is read. Nothing but finished reports is ever written.
//
// Each audio stream that was heard, and each that was sent and answered by receiver reports, becomes one report of origin
// telemetry.OriginImport. What the sender did is inferred where a dump does not say it; see infer.go. Nobody explored in such a
// call, so each decision has propensity one.
//
// Memory is bounded whatever the file holds: see the limits in guard.go and store.go.
package getstats
