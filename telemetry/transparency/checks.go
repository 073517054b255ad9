package transparency

import (
	"fmt"
	"strings"

	"github.com/attune-calls/attune/telemetry/warehouse"
)

// checks are the commands that reproduce the figures. The queries are the very ones this report was made with.
func checks(s *Sources, h *warehouse.Holdings) []Check {
	var list []Check
	for _, q := range warehouse.HoldingsQueries(s.Since, s.Until, s.MinCell, h.Cluster, h.Database) {
		list = append(list, Check{q.Figure, "clickhouse-client --query " + quoted(q.SQL)})
	}
	return append(list,
		Check{"what one report says, field by field, before it is sent", "attune privacy view"},
		Check{"streams and what waits in them", "nats stream report; nats stream info " + "CALLS"},
		Check{"what has been published to apps, and by which keys", "attune keys list; sha256sum policy/targets/*.policy.json"},
		Check{"the log of requests, and that it is whole", "attune transparency request verify"},
		Check{"the whole report again", fmt.Sprintf("attune transparency --since %s --until %s --json", DayOf(s.Since), DayOf(s.Until))},
	)
}

// quoted is text as one word of a POSIX shell.
func quoted(text string) string {
	if !strings.ContainsAny(text, "\"$`\\!") {
		return `"` + text + `"`
	}
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}
