// Package conservation tests one claim: not one acknowledged report is lost, and not one counts twice. It has no code of
// its own; its tests run the real parts against each other and break everything between them.
//
// The oracle hands out serial numbers. The payload of report n is a pure function of n, and n travels in the payload, so
// any row found anywhere can be checked without a list of what was sent. The oracle writes down what was published, and
// which acknowledgements have reached a client.
//
// The clients are real Reporters with spool files, and plain JetStream publishers that send again when an acknowledgement
// is lost, also after the stream has forgotten the message id. The system is a NATS server, a ClickHouse and two ingest
// processes, each a process of its own, with a proxy on every connection.
//
// The faults are drawn from a seed: connections that are reset, stall, break off in the middle of a message, close late,
// are slow or cut; ingest, NATS and ClickHouse killed with SIGKILL, also exactly between insert and acknowledgement,
// frozen, and started again; disks that are full under a client's spool, under NATS and under ClickHouse; a consumer
// deleted, a stream retired and made anew; the clock of an ingest process set ahead by more than the retention, and back;
// clients restarted, clients that say hours of a clock that is wrong by days; reports resent after the window of
// de-duplication, and copies published at once through different doors.
//
// What a full disk does: a client keeps its reports in memory and writes them as soon as there is room; ClickHouse refuses
// inserts, and ingest tries again until it takes them; NATS acknowledges nothing more and gives up JetStream,
// and package broker starts it again in place. That loses nothing, but messages whose removal it could not write down are in the stream
// again, behind the consumer, until they are too old.
//
// When the dust has settled the verdict compares the oracle with everything training and people read: each acknowledged
// report is there with the payload it must have, nothing is there that was not sent, nothing counts twice, and every
// refused message was counted once. The test fails as well when a kind of fault, a duplicate, a redelivery, a reconnect,
// a retried insert or a kill between insert and acknowledgement did not happen at all.
package conservation
