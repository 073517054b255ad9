package synthetic

import (
	"github.com/attune-calls/attune/telemetry"
	"github.com/attune-calls/attune/telemetry/warehouse"
)

// Rejects makes refused reports: clients with a wrong clock all the time, a broken release on two days, and a few others
// that are too few to be shown.
func Rejects() []warehouse.Reject {
	var list []warehouse.Reject
	refuse := func(day, hour, n int, reason telemetry.RejectReason) {
		for range n {
			list = append(list, warehouse.Reject{
				Hour: telemetry.HourOf(FirstDay) + uint32(24*day+hour), Reason: reason, Sequence: uint64(len(list) + 1),
			})
		}
	}
	for day := range Days {
		refuse(day, 18, 52+day, telemetry.RejectHour)
		refuse(day, 3, 2, telemetry.RejectMalformed)
	}
	for hour := range 6 {
		refuse(ChangeDay, hour, 60+7*hour, telemetry.RejectPropensity)
	}
	refuse(ChangeDay+1, 0, 88, telemetry.RejectPropensity)
	return list
}
