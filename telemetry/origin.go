package telemetry

import (
	"fmt"
	"slices"
	"strings"
)

// ParseOrigin reads the name of an origin.
func ParseOrigin(name string) (Origin, error) {
	i := slices.Index(listOrigin, name)
	if i < 0 {
		return OriginUnknown, fmt.Errorf("origin %q is not one of %s", name, strings.Join(listOrigin, ", "))
	}
	return Origin(i), nil
}
