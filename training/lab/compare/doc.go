// Package compare judges ways to run calls against each other on identical simulated networks and seeds: fixed rules
// of other clients, the best single action in hindsight, learned policies, and an oracle that tries every action.
//
// All are judged by one measure: the quality of a call is the mean MOS of windows of 4 s of both legs, which lie on one
// grid however often a policy decides; a call that was not set up, or was dropped, has model.WorstMOS. A comparison is a
// pure function of its Config: the number of workers, interruptions and continuations change no bit of its Result. Memory
// does not grow with the number of calls.
package compare
