package loop

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/attune-calls/attune/policy"
	"github.com/attune-calls/attune/policy/delivery"
	"github.com/attune-calls/attune/telemetry/transparency"
)

// Repository is a directory of published policies, to read. Any web server can serve it to clients.
type Repository struct {
	directory string
	files     *delivery.DirStore
	publisher *delivery.Publisher
}

// RepositoryName is the directory of published files, inside the data directory.
const RepositoryName = "policy"

// OpenRepository names the repository of a data directory; nothing is read yet.
func OpenRepository(data string) (*Repository, error) { return openRepository(data) }

func openRepository(data string, keys ...*delivery.Key) (*Repository, error) {
	directory := filepath.Join(data, RepositoryName)
	publisher, err := delivery.NewPublisher(delivery.PublisherConfig{Repository: directory, Keys: keys})
	if err != nil {
		return nil, err
	}
	return &Repository{directory: directory, files: delivery.NewDirStore(directory), publisher: publisher}, nil
}

// Root is what clients are built to trust.
func (r *Repository) Root(ctx context.Context) ([]byte, error) { return r.publisher.TrustedRoot(ctx) }

// InForce is the policy published last, verified like a client does; version 0 is the compiled-in one, when nothing is
// published yet.
func (r *Repository) InForce(ctx context.Context) (policy.Document, error) {
	published, err := r.publisher.Published(ctx)
	if err != nil {
		return policy.Document{}, fmt.Errorf("policy repository %s: %w", r.directory, err)
	}
	if published.Policy == 0 {
		return policy.Builtin().Document(), nil
	}
	root, err := r.Root(ctx)
	if err != nil {
		return policy.Document{}, err
	}
	client, err := delivery.NewClient(delivery.ClientConfig{Root: root, Endpoints: []delivery.Endpoint{r.files}})
	if err != nil {
		return policy.Document{}, err
	}
	if err := client.Refresh(ctx); err != nil {
		return policy.Document{}, fmt.Errorf("policy repository %s: %w", r.directory, err)
	}
	document := client.Current().Document()
	return document, client.Close()
}

// Model reads a published model, which is named by the hash of its content.
func (r *Repository) Model(ctx context.Context, name string) ([]byte, error) {
	hash := strings.TrimSuffix(strings.TrimPrefix(name, "model-"), ".safetensors")
	return r.files.Get(ctx, "targets/"+hash+"."+name, policy.MaxModelBytes)
}

// Base is a policy with its models, as training starts from it, and the policies that made the logged decisions: it and
// those before it.
type Base struct {
	Document policy.Document
	Models   map[string][]byte
	Logging  []*policy.Policy
}

// Base is the policy in force with its models.
func (r *Repository) Base(ctx context.Context) (Base, error) {
	document, err := r.InForce(ctx)
	if err != nil {
		return Base{}, err
	}
	base := Base{Document: document, Models: make(map[string][]byte)}
	for _, name := range document.Models() {
		if base.Models[name], err = r.Model(ctx, name); err != nil {
			return Base{}, err
		}
	}
	return base, nil
}

// Earlier lists every policy that was published before a version and is still in the repository, in the order of the
// versions. A repository that does not exist yet has none.
func (r *Repository) Earlier(ctx context.Context, before uint32) ([]*policy.Policy, error) {
	targets := filepath.Join(r.directory, "targets")
	files, err := os.ReadDir(targets)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("published policies: %w", err)
	}
	var policies []*policy.Policy
	for _, file := range files {
		if !strings.HasSuffix(file.Name(), ".policy.json") {
			continue
		}
		published, err := r.read(ctx, filepath.Join(targets, file.Name()))
		if err != nil {
			return nil, fmt.Errorf("published policies: %s: %w", file.Name(), err)
		}
		if published.Version() < before {
			policies = append(policies, published)
		}
	}
	slices.SortFunc(policies, func(a, b *policy.Policy) int { return cmp.Compare(a.Version(), b.Version()) })
	return policies, nil
}

// read parses one published document with its models.
func (r *Repository) read(ctx context.Context, path string) (*policy.Policy, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var document policy.Document
	if err := json.Unmarshal(content, &document); err != nil {
		return nil, err
	}
	models := make(map[string][]byte)
	for _, name := range document.Models() {
		if models[name], err = r.Model(ctx, name); err != nil {
			return nil, err
		}
	}
	return policy.Parse(content, models)
}

// Releases signs policies on this machine and brings them to where clients look. It holds all keys in one directory; in
// a real deployment root and targets keys stay in three jurisdictions, and "attune publish sign" collects signatures.
type Releases struct {
	*Repository
	stores []delivery.Store
}

// EnsureKeys makes a whole set of signing keys in a directory that has none. The key of the log of requests, which may be
// made first, is not one of them.
func EnsureKeys(dir string) error {
	files, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("signing keys: %w", err)
	}
	for _, file := range files {
		if name := file.Name(); name != transparency.PrivateKeyFile && name != transparency.PublicKeyFile {
			return nil
		}
	}
	if _, err := delivery.GenerateKeys(dir); err != nil {
		return fmt.Errorf("signing keys: %w", err)
	}
	return nil
}

// OpenReleases opens the repository in the data directory, or begins one, to sign with whatever keys are in the
// directory keys. What is published goes to the stores as well.
func OpenReleases(ctx context.Context, data, keys string, stores ...delivery.Store) (*Releases, error) {
	loaded, err := delivery.LoadKeys([]string{keys})
	if err != nil {
		return nil, fmt.Errorf("signing keys: %w; make some with \"attune keys generate\"", err)
	}
	repository, err := openRepository(data, loaded...)
	if err != nil {
		return nil, err
	}
	if _, err = repository.Root(ctx); errors.Is(err, delivery.ErrNotFound) {
		err = repository.publisher.Init(ctx)
	}
	if err != nil {
		return nil, fmt.Errorf("policy repository %s: %w", repository.directory, err)
	}
	return &Releases{Repository: repository, stores: stores}, nil
}

// Publish signs a document and brings it to every store. New models are given; those of earlier versions are found in
// the repository.
func (r *Releases) Publish(ctx context.Context, document policy.Document, models map[string][]byte) error {
	needed := make(map[string][]byte)
	for _, name := range document.Models() {
		model, given := models[name]
		if !given {
			var err error
			if model, err = r.Model(ctx, name); err != nil {
				return fmt.Errorf("publish policy %d: %w", document.Version, err)
			}
		}
		needed[name] = model
	}
	text, err := document.Marshal()
	if err != nil {
		return fmt.Errorf("publish: %w", err)
	}
	if err := r.publisher.Publish(ctx, text, needed); err != nil {
		return err
	}
	return r.Push(ctx)
}

// Sign adds one key's signature to what is staged, and commits it when the threshold is met.
func (r *Releases) Sign(ctx context.Context, key *delivery.Key) (have, want int, err error) {
	if have, want, err = r.publisher.Sign(ctx, key.Role(), key); err != nil || have < want {
		return have, want, err
	}
	if err := r.publisher.Commit(ctx); err != nil {
		return have, want, err
	}
	return have, want, r.Push(ctx)
}

// Published tells what is in force and until when.
func (r *Repository) Published(ctx context.Context) (delivery.Published, error) {
	return r.publisher.Published(ctx)
}

// Push brings what is published to every store again: to one that was away, or one that is new.
func (r *Releases) Push(ctx context.Context) error {
	var faults []error
	for _, store := range r.stores {
		faults = append(faults, delivery.Push(ctx, r.directory, store))
	}
	return errors.Join(faults...)
}

// Refresh signs a new timestamp, so that clients know that nothing was kept from them.
func (r *Releases) Refresh(ctx context.Context) error {
	if err := r.publisher.RefreshTimestamp(ctx); err != nil {
		return err
	}
	return r.Push(ctx)
}
