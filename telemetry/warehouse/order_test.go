package warehouse_test

import (
	"math/rand/v2"
	"testing"
)

// A block of one day and network arrives in the server's order, so that it need not sort it again.
func TestBlocksArriveInOrder(t *testing.T) {
	w, conn := migrated(t)
	already := func() uint64 {
		return scalar[uint64](t, conn, "SELECT sum(value) FROM system.events WHERE event = 'MergeTreeDataWriterBlocksAlreadySorted'")
	}
	rng := rand.New(rand.NewPCG(61, 62))
	for range 3 {
		before := already()
		reports := randomReports(rng, 2000, 2)
		for i := range reports {
			reports[i].Hour = baseHour // one partition: the server splits a block by partition before it looks
		}
		insert(t, w, reports...)
		if already() == before {
			t.Fatal("the server sorted a block that was in order")
		}
	}
}
