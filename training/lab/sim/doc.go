// Package sim makes the calls of the laboratory in virtual time: the same networks, frame sizes, jitter buffer,
// measurements and decisions as the real calls of package lab, without sockets, goroutines, codecs or waiting. A call is
// a pure function of its plan: the same plan gives the same result to the bit.
//
// What is the same code as in a real call: network.Link (capacity, queue, loss, jitter, policing), tcp.Endpoint (relays
// over TCP and TLS), playout.Buffer, and policy.Stepped. What is a table: the sizes of the frames, which libopus made of
// real speech once. What is left out: the audio itself, encryption but for its bytes, and the packets of ICE and DTLS but
// for their number, size and repetition during set-up and ICE's questions for consent afterwards. docs/agreement.md tells
// how well that does.
package sim
