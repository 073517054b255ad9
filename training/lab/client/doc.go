// Package client is one real call client, end to end: it asks the policy how to call, gathers ICE accordingly, codes
// speech with libopus, sends and plays it over a pion peer connection, with redundancy where its peer takes that too,
// changes settings and transport while the call runs, and reports each leg. The laboratory runs many of them over virtual
// networks; "attune call" runs one.
//
// It is also the worked example of what an application does around policy.NewInterceptor: everything here is about
// one call, nothing is shared between calls but what Config hands in.
package client
