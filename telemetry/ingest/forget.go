package ingest

// forgetBefore makes room by forgetting the earliest day, if that is before day: reports of later days are more likely
// to get company. Forgetting is always safe: what was pending stays withheld, and a cell that was open has to be opened
// again.
func (c *cells) forgetBefore(day uint32) bool {
	earliest := day
	for number := range c.days {
		earliest = min(earliest, number)
	}
	if earliest == day {
		return false
	}
	c.forget(earliest)
	return true
}

// expire forgets the days before day, whose reports are being deleted.
func (c *cells) expire(day uint32) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for number := range c.days {
		if number < day {
			c.forget(number)
		}
	}
}

func (c *cells) forget(day uint32) {
	for _, v := range c.days[day] {
		c.size -= v.size
		c.number--
		v.forgotten, v.pending, v.size = true, nil, 0
	}
	delete(c.days, day)
}
