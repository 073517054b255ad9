// Package broker runs a NATS server with JetStream inside the process, defines the stream that reports travel through,
// and says who may do what on a server, this one or one of its own (accounts.conf, which deploy/nats shares).
//
// What the server has acknowledged is on disk. It keeps nothing of a client but its reports until they are taken: it
// writes no log of its own, tells only what kind of fault a connection had, serves no monitoring, and lets nobody
// subscribe to the advisories that would name an address. Clients may hand in reports and read policies, and nothing
// else.
package broker
