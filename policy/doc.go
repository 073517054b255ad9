// Package policy runs a signed policy inside a call: it decides how to send, applies the decision, measures what came
// of it and hands the result to a recorder.
//
// A Document is the policy as published; Parse turns it and its models into an immutable Policy or refuses it as a
// whole. A Decider chooses one action of the policy's catalogue for a context, with an exact propensity. A Factory is
// the pion interceptor around it, one per call leg:
//
//   - it decides at the start of a call, every few seconds, on a network change and when the policy changes;
//   - it applies the action through an Encoder and a TransportSwitcher, never on the path of a packet;
//   - it measures each segment from RTCP receiver reports and from the totals of the far end's jitter buffer, which
//     the far end's interceptor sends back once a second (see MarshalFeedback);
//   - it never delays, drops or fails a packet because of its own trouble. What goes wrong is counted (see Counts).
//
// Redundant audio (RFC 2198) belongs to the interceptor, not to the encoder or the sender of a client: it is where packets
// pass in order, the action is known and bytes are counted. See WithRED for the three lines that a client adds. It works as
// in libwebrtc, in one stream: the packet keeps its SSRC, sequence number and timestamp, and takes the payload type of RED
// when it repeats something and that of Opus when it does not, so each packet can be decided on by itself and a change of
// depth holds from the next one. A packet repeats the frames of the packets just before, the latest first, up to the depth
// of the action, and stops at the first that RFC 2198 cannot express (1023 bytes, 341 ms: after a longer pause under DTX
// nothing is repeated) or that would make the payload longer than 1200 bytes; see codec.REDSize. In-band FEC is the
// encoder's and goes along. At the other end the packet becomes the plain one of its own frame, so that everything between
// here and the decoder sees the packets that came and no others: loss in receiver reports and feedback is loss before
// repair. What it repeated comes beside it (see Repeated) and is for the jitter buffer, whose totals say what was repaired.
// Interceptors that stand after this one in the registry see no redundancy in outgoing packets either: a congestion control
// that is to count it stands before.
//
// Two fences hold whatever a policy says. SafeEnvelope is compiled in: a policy with one action outside it is refused,
// however well it is signed. Limits is what the user and the device forbid: no decision leaves it. Without any policy
// the package behaves as Builtin, which always chooses model.DefaultAction.
package policy
