package inorder_test

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/attune-calls/attune/training/lab/internal/inorder"
)

func TestInOrder(t *testing.T) {
	for _, workers := range []int{1, 3, 16} {
		var got []int
		var ahead, most atomic.Int64
		err := inorder.Each(t.Context(), workers, 5, 300, func(i int) (int, error) {
			most.Store(max(most.Load(), ahead.Add(1)))
			time.Sleep(time.Duration(i%7) * 10 * time.Microsecond)
			return i * i, nil
		}, func(i, square int) error {
			ahead.Add(-1)
			if square != i*i {
				t.Fatalf("%d workers: result %d belongs to another call", workers, i)
			}
			got = append(got, i)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if len(got) != 295 || got[0] != 5 || !slices.IsSorted(got) {
			t.Errorf("%d workers: %d results from %d, sorted %v", workers, len(got), got[0], slices.IsSorted(got))
		}
		if bound := int64(10*workers + 2); most.Load() > bound {
			t.Errorf("%d workers: %d results waited, at most %d may", workers, most.Load(), bound)
		}
	}
}

func TestErrorsEndIt(t *testing.T) {
	broken := errors.New("broken")
	for name, run := range map[string]func(ctx context.Context, cancel func()) error{
		"produce": func(ctx context.Context, _ func()) error {
			return inorder.Each(ctx, 3, 0, 1000, func(i int) (int, error) {
				if i == 40 {
					return 0, broken
				}
				return i, nil
			}, func(i, _ int) error {
				if i >= 40 {
					t.Errorf("result %d was taken", i)
				}
				return nil
			})
		},
		"take": func(ctx context.Context, _ func()) error {
			return inorder.Each(ctx, 3, 0, 1000, func(i int) (int, error) { return i, nil }, func(i, _ int) error {
				if i == 40 {
					return broken
				}
				return nil
			})
		},
		"context": func(ctx context.Context, cancel func()) error {
			err := inorder.Each(ctx, 3, 0, 1000, func(i int) (int, error) { return i, nil }, func(i, _ int) error {
				if i == 40 {
					cancel()
				}
				return nil
			})
			if !errors.Is(err, context.Canceled) {
				t.Errorf("the context ended, and the error is %v", err)
			}
			return broken
		},
	} {
		ctx, cancel := context.WithCancel(t.Context())
		if err := run(ctx, cancel); !errors.Is(err, broken) {
			t.Errorf("%s: error %v", name, err)
		}
		cancel()
	}
	if err := inorder.Each(t.Context(), 2, 3, 3, func(int) (int, error) { return 0, broken }, nil); err != nil {
		t.Errorf("nothing to do: %v", err)
	}
}
