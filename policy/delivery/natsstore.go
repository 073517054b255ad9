package delivery

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Where a NATSStore keeps a repository: metadata in a key-value bucket, targets in an object store.
const (
	Bucket        = "ATTUNE_POLICY"
	TargetsBucket = "ATTUNE_POLICY_TARGETS"
)

const (
	natsTimeout = 20 * time.Second // for one file, when the caller sets no deadline
	rewatch     = 10 * time.Minute // a watch is renewed after this even when it looks alive
	// storedTimeout is how long what was put may take to be readable. When something else has been put since, that is
	// heard of as well.
	storedTimeout = 2 * time.Second
)

// NATSStore keeps a repository in JetStream. One NATSStore may serve any number of clients over one connection. The
// first Put makes the buckets when they are absent; Get and Watch never do.
type NATSStore struct {
	js jetstream.JetStream

	mu      sync.Mutex
	keys    jetstream.KeyValue
	objects jetstream.ObjectStore
	targets jetstream.Stream // under objects
}

// NewNATSStore uses a connection that stays the caller's.
func NewNATSStore(js jetstream.JetStream) *NATSStore { return &NATSStore{js: js} }

// String names the server in use, without credentials.
func (s *NATSStore) String() string {
	if url := s.js.Conn().ConnectedUrlRedacted(); url != "" {
		return url
	}
	return "nats (not connected)"
}

// withDeadline bounds a request that would otherwise get the client library's 5 s for all chunks of an object.
func withDeadline(ctx context.Context) (context.Context, context.CancelFunc) {
	if _, ok := ctx.Deadline(); ok {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, natsTimeout)
}

func (s *NATSStore) keyValue(ctx context.Context, create bool) (jetstream.KeyValue, error) {
	s.mu.Lock()
	keys := s.keys
	s.mu.Unlock()
	if keys != nil {
		return keys, nil
	}
	keys, err := s.js.KeyValue(ctx, Bucket)
	if create && errors.Is(err, jetstream.ErrBucketNotFound) {
		keys, err = s.js.CreateOrUpdateKeyValue(ctx, jetstream.KeyValueConfig{
			Bucket: Bucket, Description: "signed policy metadata", History: 1, MaxValueSize: maxMetadata,
			Storage: jetstream.FileStorage,
		})
	}
	if err != nil {
		return nil, fmt.Errorf("bucket %s: %w", Bucket, err)
	}
	s.mu.Lock()
	s.keys = keys
	s.mu.Unlock()
	return keys, nil
}

func (s *NATSStore) objectStore(ctx context.Context, create bool) (jetstream.ObjectStore, error) {
	s.mu.Lock()
	objects := s.objects
	s.mu.Unlock()
	if objects != nil {
		return objects, nil
	}
	objects, err := s.js.ObjectStore(ctx, TargetsBucket)
	if create && errors.Is(err, jetstream.ErrBucketNotFound) {
		objects, err = s.js.CreateOrUpdateObjectStore(ctx, jetstream.ObjectStoreConfig{
			Bucket: TargetsBucket, Description: "signed policies and models, by content hash",
			Storage: jetstream.FileStorage,
		})
	}
	if err != nil {
		return nil, fmt.Errorf("object store %s: %w", TargetsBucket, err)
	}
	s.mu.Lock()
	s.objects = objects
	s.mu.Unlock()
	return objects, nil
}

// Put writes a target as an object and anything else as a key.
func (s *NATSStore) Put(ctx context.Context, name string, data []byte) error {
	if err := checkName(name); err != nil {
		return fmt.Errorf("put %s: %w", name, err)
	}
	ctx, cancel := withDeadline(ctx)
	defer cancel()
	if err := s.put(ctx, name, data); err != nil {
		return fmt.Errorf("put %s to %s: %w", name, s, err)
	}
	return nil
}

func (s *NATSStore) put(ctx context.Context, name string, data []byte) error {
	if object, isTarget := strings.CutPrefix(name, targetsFolder); isTarget {
		objects, err := s.objectStore(ctx, true)
		if err != nil {
			return err
		}
		_, err = objects.Put(ctx, jetstream.ObjectMeta{Name: object}, bytes.NewReader(data))
		return err
	}
	keys, err := s.keyValue(ctx, true)
	if err != nil {
		return err
	}
	_, err = keys.Put(ctx, name, data)
	return err
}

// Get reads a target or a key. A bucket that does not exist yet is ErrNotFound.
func (s *NATSStore) Get(ctx context.Context, name string, limit int64) ([]byte, error) {
	if err := checkName(name); err != nil {
		return nil, fmt.Errorf("get %s: %w", name, err)
	}
	if !s.js.Conn().IsConnected() {
		return nil, fmt.Errorf("get %s: %w", name, nats.ErrDisconnected)
	}
	ctx, cancel := withDeadline(ctx)
	defer cancel()
	data, err := s.get(ctx, name, limit)
	switch {
	case err == nil:
		return data, nil
	case errors.Is(err, jetstream.ErrKeyNotFound), errors.Is(err, jetstream.ErrObjectNotFound),
		errors.Is(err, jetstream.ErrBucketNotFound), errors.Is(err, jetstream.ErrKeyDeleted):
		return nil, fmt.Errorf("get %s from %s: %w: %w", name, s, ErrNotFound, err)
	default:
		return nil, fmt.Errorf("get %s from %s: %w", name, s, err)
	}
}

func (s *NATSStore) get(ctx context.Context, name string, limit int64) (data []byte, err error) {
	object, isTarget := strings.CutPrefix(name, targetsFolder)
	if !isTarget {
		keys, err := s.keyValue(ctx, false)
		if err != nil {
			return nil, err
		}
		entry, err := keys.Get(ctx, name)
		if err != nil {
			return nil, err
		}
		// One message: the server's maximum payload bounded it before it came.
		if size := int64(len(entry.Value())); size > limit {
			return nil, fmt.Errorf("%w: %d bytes, at most %d are allowed", ErrTooLarge, size, limit)
		}
		return entry.Value(), nil
	}
	objects, err := s.objectStore(ctx, false)
	if err != nil {
		return nil, err
	}
	info, err := objects.GetInfo(ctx, object)
	if err != nil {
		return nil, err
	}
	if info.Size > uint64(max(limit, 0)) {
		return nil, fmt.Errorf("%w: %d bytes, at most %d are allowed", ErrTooLarge, info.Size, limit)
	}
	return s.chunks(ctx, info)
}

// chunks reads an object without a consumer: a consumer could be told to deliver anywhere, so clients may not make any.
func (s *NATSStore) chunks(ctx context.Context, info *jetstream.ObjectInfo) ([]byte, error) {
	s.mu.Lock()
	stream := s.targets
	s.mu.Unlock()
	if stream == nil {
		var err error
		if stream, err = s.js.Stream(ctx, "OBJ_"+TargetsBucket); err != nil {
			return nil, err
		}
		s.mu.Lock()
		s.targets = stream
		s.mu.Unlock()
	}
	subject := "$O." + TargetsBucket + ".C." + info.NUID
	data := make([]byte, 0, info.Size)
	next := uint64(1)
	for range info.Chunks {
		chunk, err := stream.GetMsg(ctx, next, jetstream.WithGetMsgSubject(subject))
		if err != nil {
			return nil, fmt.Errorf("chunk after %d bytes: %w", len(data), err)
		}
		if len(data)+len(chunk.Data) > cap(data) {
			return nil, fmt.Errorf("%w: more than the %d bytes it is said to have", ErrTooLarge, info.Size)
		}
		data, next = append(data, chunk.Data...), chunk.Sequence+1
	}
	if uint64(len(data)) != info.Size {
		return nil, fmt.Errorf("%d bytes, it is said to have %d", len(data), info.Size)
	}
	return data, nil
}

// Watch follows one key by listening to what is put under it, as everybody may. It returns when ctx ends, when the watch breaks, when the connection came back after a loss
// (a watch may not survive that), and every ten minutes; the caller watches again.
func (s *NATSStore) Watch(ctx context.Context, name string, changed func()) error {
	bindCtx, cancel := withDeadline(ctx)
	defer cancel()
	keys, err := s.keyValue(bindCtx, false)
	if err != nil {
		return fmt.Errorf("watch %s on %s: %w", name, s, err)
	}
	conn := s.js.Conn()
	states := conn.StatusChanged(nats.CONNECTED, nats.CLOSED)
	defer conn.RemoveStatusListener(states)
	updates := make(chan *nats.Msg, 16) // more at once than this say nothing new
	subscription, err := conn.ChanSubscribe("$KV."+Bucket+"."+name, updates)
	if err == nil {
		err = conn.FlushWithContext(bindCtx)
	}
	if err != nil {
		return fmt.Errorf("watch %s on %s: %w", name, s, err)
	}
	defer func() { _ = subscription.Unsubscribe() }() // fails only when the connection is gone, and the watch with it
	changed()                                         // before now, for all anybody knows
	renew := time.NewTimer(rewatch)
	defer renew.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case update := <-updates:
			awaitStored(ctx, keys, name, update.Data)
			changed()
		case state := <-states:
			return fmt.Errorf("watch %s on %s: connection changed to %v", name, s, state)
		case <-renew.C:
			return nil
		}
	}
}

// awaitStored waits until what was put can be read. Who listens to a key hears of it at the same time as the store.
func awaitStored(ctx context.Context, keys jetstream.KeyValue, name string, put []byte) {
	ctx, cancel := context.WithTimeout(ctx, storedTimeout)
	defer cancel()
	for pause := 5 * time.Millisecond; ; pause *= 2 {
		entry, err := keys.Get(ctx, name)
		if err == nil && bytes.Equal(entry.Value(), put) {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
	}
}
