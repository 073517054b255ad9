package tcp

// queue keeps its items in one piece of memory, of which a part is in use. Each item is moved once at most, on average.
type queue[T any] struct {
	items  []T
	memory []T // from its beginning, items included
}

func (q *queue[T]) append(items ...T) {
	if need := len(q.items) + len(items); need > cap(q.items) {
		if 2*need > len(q.memory) {
			q.memory = make([]T, max(64, 4*need))
		}
		q.items = q.memory[:copy(q.memory, q.items)]
	}
	q.items = append(q.items, items...)
}

// drop takes out the first n.
func (q *queue[T]) drop(n int) {
	if q.items = q.items[n:]; len(q.items) == 0 {
		q.items = q.memory[:0]
	}
}
