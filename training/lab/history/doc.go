// Package history makes the reports that clients would send of simulated calls: the logged history that training reads.
// They are telemetry reports of origin "simulation", one for each leg, with the decisions, propensities and quantized
// measurements of the same code that runs in a call.
package history
