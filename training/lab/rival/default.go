package rival

import (
	"time"

	"github.com/attune-calls/attune/model"
	"github.com/attune-calls/attune/policy"
)

// Default is a client without any policy: model.DefaultAction throughout.
func Default() Rival {
	return Rival{
		Name: "default", About: "32 kbps, 20 ms, FEC for 10 % loss, direct: what a client does without a policy", Every: 4 * time.Second,
		New: func(model.Site) policy.Rule { return fixed{} },
	}
}

type fixed struct{}

func (fixed) Decide(*model.Context, *model.Measurement) model.Action { return model.DefaultAction() }
