// Package response randomizes what a user said about a call before it leaves the device, and estimates from many such
// answers what all users said.
//
// The promise is local differential privacy: whatever a user answered, and whoever holds the report (an operator, a
// thief, a court), no value of Stars is more than e^EpsilonStars times as likely under one answer as under another, and
// no value of the problem answer more than e^EpsilonProblem times. Both answers of one call together keep
// Epsilon = EpsilonStars + EpsilonProblem (sequential composition: Dwork and Roth, "The Algorithmic Foundations of
// Differential Privacy", 2014, section 3.5). A single answer therefore proves nothing; shares over many calls can be
// estimated without bias, with the larger standard errors that this package states. That a call was rated at all is not
// hidden.
//
// The mechanism for the stars is k-ary randomized response: tell the truth with a fixed chance, any other value with
// equal chances (Warner, "Randomized response: a survey technique for eliminating evasive answer bias", JASA 60(309)
// 1965, for two values; Kairouz, Bonawitz and Ramage, "Discrete distribution estimation under local privacy", ICML 2016,
// for k). Of the problem flags one is drawn uniformly, whatever the flags are, and answered by Warner's mechanism:
// dividing the budget over all eight would drown each of them.
package response
