// Package ingest moves reports from the JetStream stream CALLS to the warehouse, each exactly once as every query
// counts.
//
// A worker takes a batch from the stream, refuses what does not parse or validate, inserts the rest in blocks, and
// acknowledges to the stream only then. Whatever dies in between, the stream delivers the messages again, and the report
// ids make the copies count once. Faults of NATS or ClickHouse are waited out, for ever if need be. A message is one
// report or a pack of them, and a bad report costs nobody else: of a refused report only the hour, the reason and its
// place in the stream are kept. A report of a newer schema goes back to the stream to wait for a newer reader.
//
// Two promises of privacy are kept here. Of a day, origin, region and network with fewer than k reports no region is stored; see
// type cells. What is older than the retention is deleted, and refused.
//
// Any number of workers, in one process or many, may share the stream. docs/exactly-once.md has the whole argument why
// no acknowledged report is lost or counts twice, with the hole of each layer and what covers it.
package ingest
