package config

import (
	"fmt"

	"go.yaml.in/yaml/v3"

	"github.com/attune-calls/attune/telemetry"
)

// Origins is where calls took place, in the file by name: [call, simulation].
type Origins []telemetry.Origin

// UnmarshalYAML reads names.
func (o *Origins) UnmarshalYAML(node *yaml.Node) error {
	var names []string
	if err := node.Decode(&names); err != nil {
		return err
	}
	list := make(Origins, len(names))
	for i, name := range names {
		var err error
		if list[i], err = telemetry.ParseOrigin(name); err != nil {
			return fmt.Errorf("line %d: %w", node.Line, err)
		}
	}
	*o = list
	return nil
}

// MarshalYAML writes names.
func (o Origins) MarshalYAML() (any, error) {
	names := make([]string, len(o))
	for i := range o {
		names[i] = o[i].String()
	}
	return names, nil
}
