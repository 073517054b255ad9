// Package edge stands between clients and the stream of reports. It takes single reports on a subject of its own, packs
// them into larger messages, and answers each client only after JetStream has acknowledged the message its report is
// in. A stream that forces the disk before each acknowledgement takes some thousands of messages a second, whatever
// their size; packed, the same stream takes tens of thousands of reports.
//
// The answer is the one JetStream gives, so a telemetry.Reporter needs nothing but another subject. Whatever happens to
// an edge, a client that was not answered still has its report and sends it again: nothing acknowledged is lost. A
// report may travel twice; its id tells ingest.
//
// An edge writes no file. It keeps no address, logs no subject and no header, and forgets a client with its answer.
// Any number of edges share the work.
package edge
