package warehouse

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// migrationLock lets one process at a time change the tables. The server has no locks to give, but of two processes
// that create a table of the same name one fails. So the lock is a table with a number in its name, migration_lock_1,
// into which its owner writes a row every few seconds. Who finds the newest of them without a fresh row creates the
// next number; the owner of the old one, should it still live, sees that its table is gone and stops.
//
// A process that sleeps for longer than lockStale between its last look at the lock and its next statement can still
// run that one statement. The statements of a migration are such that this breaks nothing: see migrator.
type migrationLock struct {
	warehouse *Warehouse
	table     string
	owner     string
	ctx       context.Context // ends when the lock is lost
	cancel    context.CancelCauseFunc
	finished  chan struct{} // closed when nothing writes into the table any more
}

const (
	lockPrefix = "migration_lock_"
	lockBeat   = 5 * time.Second        // between two rows of the owner
	lockStale  = time.Minute            // without a row, after which the owner counts as dead
	lockPoll   = 100 * time.Millisecond // between two looks of those who wait
)

// errLockLost says that another process took this one for dead.
var errLockLost = errors.New("another process has taken over; start the migration again")

// lockMigration waits for the lock. Release it.
func (w *Warehouse) lockMigration(ctx context.Context) (*migrationLock, error) {
	for {
		locks, age, err := w.locks(ctx)
		if err != nil {
			return nil, fmt.Errorf("look for a running migration: %w", err)
		}
		if len(locks) == 0 || age > w.lockStale {
			lock, err := w.takeLock(ctx, locks)
			if lock != nil || err != nil {
				return lock, err
			}
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("another process is migrating, last seen %v ago: %w", age, ctx.Err())
		case <-time.After(lockPoll):
		}
	}
}

// locks lists the numbers of the locks, ascending, and the time since the owner of the last was seen.
func (w *Warehouse) locks(ctx context.Context) (numbers []int, age time.Duration, err error) {
	names, err := w.strings(ctx, "SELECT name FROM system.tables WHERE database = currentDatabase() AND substring(name, 1, "+
		strconv.Itoa(len(lockPrefix))+") = '"+lockPrefix+"'")
	if err != nil {
		return nil, 0, err
	}
	for _, name := range names {
		if n, err := strconv.Atoi(strings.TrimPrefix(name, lockPrefix)); err == nil {
			numbers = append(numbers, n)
		}
	}
	if len(numbers) == 0 {
		return nil, 0, nil
	}
	slices.Sort(numbers)
	table := lockPrefix + strconv.Itoa(numbers[len(numbers)-1])
	var made, seen, now uint32
	err = w.conn.QueryRow(ctx, "SELECT toUInt32(max(metadata_modification_time)), toUInt32(now()) FROM system.tables "+
		"WHERE database = currentDatabase() AND name = '"+table+"'").Scan(&made, &now)
	if err != nil {
		return nil, 0, err
	}
	err = w.conn.QueryRow(ctx, "SELECT toUInt32(max(seen)) FROM "+table).Scan(&seen)
	if isGone(err) { // released just now: look again
		return numbers, 0, nil
	}
	return numbers, time.Duration(int64(now)-int64(max(made, seen))) * time.Second, err
}

// takeLock creates the table after those of dead owners; nil when another process was faster.
func (w *Warehouse) takeLock(ctx context.Context, dead []int) (*migrationLock, error) {
	number := 1
	if len(dead) > 0 {
		number += dead[len(dead)-1]
	}
	l := &migrationLock{
		warehouse: w, table: lockPrefix + strconv.Itoa(number), owner: rand.Text(), finished: make(chan struct{}),
	}
	err := w.conn.Exec(ctx, "CREATE TABLE "+l.table+" (owner String, seen DateTime('UTC')) ENGINE = MergeTree ORDER BY seen")
	if isException(err, codeTableExists) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("lock out other migrations: %w", err)
	}
	l.ctx, l.cancel = context.WithCancelCause(ctx)
	if err := l.beat(ctx); err != nil {
		close(l.finished)
		l.release()
		return nil, fmt.Errorf("lock out other migrations: %w", err)
	}
	go l.keep()
	for _, n := range dead {
		if err := w.conn.Exec(ctx, "DROP TABLE IF EXISTS "+lockPrefix+strconv.Itoa(n)); err != nil {
			l.release()
			return nil, fmt.Errorf("remove the lock of a dead migration: %w", err)
		}
	}
	return l, nil
}

// keep shows that the owner lives, until the lock is released or lost.
func (l *migrationLock) keep() {
	defer close(l.finished)
	tick := time.NewTicker(l.warehouse.lockBeat)
	defer tick.Stop()
	for {
		select {
		case <-l.ctx.Done():
			return
		case <-tick.C:
		}
		err := l.check(l.ctx)
		if err == nil {
			err = l.beat(l.ctx)
		}
		if errors.Is(err, errLockLost) || isGone(err) {
			l.cancel(errLockLost)
			return
		}
	}
}

func (l *migrationLock) beat(ctx context.Context) error {
	return l.warehouse.conn.Exec(ctx, fmt.Sprintf("INSERT INTO %s (owner, seen) SELECT '%s', now()", l.table, l.owner))
}

// check is errLockLost when another process has taken the lock.
func (l *migrationLock) check(ctx context.Context) error {
	var rows uint64
	err := l.warehouse.conn.QueryRow(ctx, "SELECT count() FROM "+l.table+" WHERE owner = '"+l.owner+"'").Scan(&rows)
	if isGone(err) || err == nil && rows == 0 {
		return errLockLost
	}
	if err != nil {
		return fmt.Errorf("look at the lock of migrations: %w", err)
	}
	return nil
}

// release lets the next process go on. If the server cannot be told, the others wait until the lock is stale.
func (l *migrationLock) release() {
	l.cancel(nil)
	<-l.finished
	ctx, cancel := context.WithTimeout(context.WithoutCancel(l.ctx), 5*time.Second)
	defer cancel()
	if l.check(ctx) == nil {
		_ = l.warehouse.conn.Exec(ctx, "DROP TABLE IF EXISTS "+l.table)
	}
}
