// Package inorder computes independent results on several cores and hands them over in their order, so that nothing
// that is made of them depends on the number of cores.
package inorder

import (
	"context"
	"sync"
)

// Each produces the results from..n-1 on so many goroutines and takes them one by one in their order, on the caller's.
// At most some few per worker wait to be taken. The first error, of ctx, of produce or of take, ends it.
func Each[T any](ctx context.Context, workers, from, n int, produce func(i int) (T, error), take func(i int, t T) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	type slot struct {
		i      int
		result chan T
	}
	const waiting = 8 // per worker
	work := make(chan slot)
	order := make(chan slot, waiting*workers)
	var running sync.WaitGroup
	for range workers {
		running.Go(func() {
			for s := range work {
				t, err := produce(s.i)
				if err != nil {
					cancel(err)
					continue
				}
				s.result <- t
			}
		})
	}
	running.Go(func() {
		defer close(work)
		defer close(order)
		for i := from; i < n; i++ {
			s := slot{i, make(chan T, 1)}
			select {
			case order <- s:
			case <-ctx.Done():
				return
			}
			select {
			case work <- s:
			case <-ctx.Done():
				return
			}
		}
	})
	for s := range order {
		select {
		case t := <-s.result:
			if err := take(s.i, t); err != nil {
				cancel(err)
			}
		case <-ctx.Done():
		}
		if ctx.Err() != nil {
			break
		}
	}
	err := context.Cause(ctx)
	cancel(nil)
	running.Wait()
	return err
}
