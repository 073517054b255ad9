package suite

import (
	"fmt"
	"io"
)

// WriteContent writes all that calls on the suite depend on, recordings included. It is for hashing, and no format to be
// read.
func (s *Suite) WriteContent(w io.Writer) error {
	for i := range s.Networks {
		n := &s.Networks[i]
		if _, err := fmt.Fprintf(w, "\n%q %q %d %d %v %d\n", n.Name, n.Source, n.Type, n.Region, n.Weight, n.Split); err != nil {
			return err
		}
		if err := n.Profile.WriteContent(w); err != nil {
			return err
		}
	}
	return nil
}
