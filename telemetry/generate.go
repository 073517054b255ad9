package telemetry

//go:generate go run ./schema/generate -root ..
