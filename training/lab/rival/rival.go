package rival

import (
	"fmt"
	"slices"
	"time"

	"github.com/attune-calls/attune/model"
	"github.com/attune-calls/attune/policy"
)

// Rival is one way to run calls.
type Rival struct {
	Name  string
	About string
	// Every is how often its rule decides.
	Every time.Duration
	// New is the rule of one call leg. A relay site is where it may relay through; 0 = nowhere.
	New func(relay model.Site) policy.Rule
}

// All lists the rivals by name.
func All() []Rival { return []Rival{Default(), Telegram(), Adaptor(), Tgcalls()} }

// Named finds a rival.
func Named(name string) (Rival, error) {
	all := All()
	if i := slices.IndexFunc(all, func(r Rival) bool { return r.Name == name }); i >= 0 {
		return all[i], nil
	}
	names := make([]string, len(all))
	for i, r := range all {
		names[i] = r.Name
	}
	return Rival{}, fmt.Errorf("no rival is called %q; there are %v", name, names)
}

// Options make a leg of policy.NewStepped or policy.NewInterceptor decide as the rival does.
func (r Rival) Options(relay model.Site) []policy.Option {
	return []policy.Option{policy.WithRule(r.New(relay)), policy.WithInterval(r.Every)}
}
