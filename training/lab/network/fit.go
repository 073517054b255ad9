package network

import "encoding/json"

// Fit says how the figures of a profile were fitted to recordings, and how well they describe what was held out.
type Fit struct {
	Files []FittedFile `json:"files"`
	Parts []FittedPart `json:"parts"`
}

// FittedFile is one recording, or many of one format.
type FittedFile struct {
	Name    string `json:"name"`
	Format  string `json:"format"`          // see Format
	Count   int    `json:"count,omitempty"` // of many; 0 = one
	SHA256  string `json:"sha256"`          // of its bytes, or of the hashes of many
	HeldOut bool   `json:"heldOut"`         // not fitted to, only compared with
}

// FittedPart is one section of the profile.
type FittedPart struct {
	Of       string    `json:"of"`     // its JSON path, for instance down.capacity
	Model    string    `json:"model"`  // what was fitted
	Method   string    `json:"method"` // how, and the source of the method
	Samples  int       `json:"samples"`
	HeldOut  int       `json:"heldOut"`  // samples that the measures are of
	HeldBy   string    `json:"heldBy"`   // what was held out: files, or blocks of the only one
	Measures []Measure `json:"measures"` // of the goodness of fit, on what was held out
}

// Measure compares the fitted model with the recording or with a simpler model.
type Measure struct {
	Name    string  `json:"name"`
	Model   float64 `json:"model"`
	Against string  `json:"against,omitempty"` // what the other figure is of; empty if there is none
	Other   float64 `json:"other"`
}

// MarshalJSON leaves the other figure out where there is none; one of 0 is written.
func (m Measure) MarshalJSON() ([]byte, error) {
	type plain Measure
	if m.Against != "" {
		return json.Marshal(plain(m))
	}
	return json.Marshal(struct {
		Name  string  `json:"name"`
		Model float64 `json:"model"`
	}{m.Name, m.Model})
}
