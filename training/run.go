package training

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/attune-calls/attune/model"
	"github.com/attune-calls/attune/policy"
)

// The files of a run directory.
const (
	FileConfig  = "config.json"       // Settings
	FileMetrics = "metrics.json"      // Metrics
	FileModel   = "model.safetensors" // the candidate's weights; NumPy opens them with the safetensors package
	FilePolicy  = "policy.json"       // the candidate's document, not signed
	FileCard    = "card.html"         // the model card
)

// Settings is config.json: a Config without what is not a setting, defaults filled in.
type Settings struct {
	Seed        uint64             `json:"seed"`
	Price       model.Price        `json:"price"`
	Fit         FitConfig          `json:"fit"`
	Horizon     int                `json:"horizonSeconds"`
	Exploration policy.Exploration `json:"exploration"`
	Gate        GateSettings       `json:"gate"`
	Folds       int                `json:"folds"`
	MinRows     int                `json:"minRows"`
	MinCalls    int                `json:"minCalls"`
	Base        uint32             `json:"base"`    // version of the policy to replace
	Logging     []uint32           `json:"logging"` // versions of the known logging policies
	Version     uint32             `json:"version"` // of the candidate
	Created     time.Time          `json:"created"`
	Data        string             `json:"data"`    // Dataset.Fingerprint
	Origins     []string           `json:"origins"` // Dataset.Origins
}

// GateSettings is evaluate.GateConfig as config.json spells it.
type GateSettings struct {
	PoisonedShare  float64 `json:"poisonedShare"`
	RewardRange    float64 `json:"rewardRange"`
	MinEffective   float64 `json:"minEffective"`
	SliceAlpha     float64 `json:"sliceAlpha"`
	SliceTolerance float64 `json:"sliceTolerance"`
}

func (r *run) settings() Settings {
	c := r.config
	s := Settings{
		Seed: c.Seed, Price: c.Price, Fit: c.Fit, Horizon: c.HorizonSeconds, Exploration: c.Exploration, Gate: GateSettings(c.Gate), Folds: c.Folds,
		MinRows: c.MinRows, MinCalls: c.MinCalls, Base: c.Base.Version, Logging: []uint32{}, Version: c.Version,
		Created: c.Created, Data: r.metrics.Fingerprint, Origins: []string{},
	}
	for _, o := range c.Dataset.Origins {
		s.Origins = append(s.Origins, o.String())
	}
	for _, p := range c.Logging {
		s.Logging = append(s.Logging, p.Version())
	}
	return s
}

// write makes the run directory: complete under its name, or not there at all.
func (r *run) write() (string, error) {
	c := r.config
	document, err := r.document.Marshal()
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(c.Out, 0o755); err != nil {
		return "", fmt.Errorf("make runs directory: %w", err)
	}
	temporary, err := os.MkdirTemp(c.Out, ".run-")
	if err != nil {
		return "", fmt.Errorf("make run directory: %w", err)
	}
	defer func() { _ = os.RemoveAll(temporary) }() // finds nothing once renamed
	if err := os.Chmod(temporary, 0o755); err != nil {
		return "", fmt.Errorf("make run directory: %w", err)
	}
	card, err := card(r.settings(), &r.metrics)
	if err != nil {
		return "", err
	}
	settings, err := encodeJSON(r.settings())
	if err != nil {
		return "", err
	}
	metrics, err := encodeJSON(r.metrics)
	if err != nil {
		return "", err
	}
	for _, file := range []struct {
		name    string
		content []byte
	}{
		{FileConfig, settings},
		{FileMetrics, metrics},
		{FileModel, r.final.file},
		{FilePolicy, document},
		{FileCard, card},
	} {
		if err := writeSynced(filepath.Join(temporary, file.name), file.content); err != nil {
			return "", fmt.Errorf("write run: %w", err)
		}
	}
	name := fmt.Sprintf("run-%s-v%d-%.8s", c.Created.Format("20060102-150405"), c.Version, r.metrics.Fingerprint)
	for try := 1; ; try++ {
		dir := filepath.Join(c.Out, name)
		if try > 1 {
			dir += fmt.Sprintf("-%d", try)
		}
		// A directory is renamed onto a full one by nobody, so an earlier run stays as it is.
		err := os.Rename(temporary, dir)
		if err == nil {
			return dir, nil
		}
		if !errors.Is(err, fs.ErrExist) || try == 1000 {
			return "", fmt.Errorf("name run directory: %w", err)
		}
	}
}

func encodeJSON(v any) ([]byte, error) {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	err := encoder.Encode(v)
	return b.Bytes(), err
}

func writeSynced(path string, content []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	return errors.Join(err, f.Sync(), f.Close())
}

// Run is a run directory, read back.
type Run struct {
	Dir      string
	Settings Settings
	Metrics  Metrics
	Document []byte            // policy.json as written
	Models   map[string][]byte // under the file name that the document gives it
	Policy   *policy.Policy    // the two, parsed
}

// ReadRun reads a run directory and checks that its parts fit together. An error names the file at fault.
func ReadRun(dir string) (*Run, error) {
	r := &Run{Dir: dir, Models: map[string][]byte{}}
	for _, file := range []struct {
		name string
		into any
	}{{FileConfig, &r.Settings}, {FileMetrics, &r.Metrics}} {
		content, err := os.ReadFile(filepath.Join(dir, file.name))
		if err != nil {
			return nil, fmt.Errorf("read run: %w", err)
		}
		decoder := json.NewDecoder(bytes.NewReader(content))
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(file.into); err != nil {
			return nil, fmt.Errorf("read run: %s: %w", filepath.Join(dir, file.name), err)
		}
	}
	var err error
	if r.Document, err = os.ReadFile(filepath.Join(dir, FilePolicy)); err != nil {
		return nil, fmt.Errorf("read run: %w", err)
	}
	weights, err := os.ReadFile(filepath.Join(dir, FileModel))
	if err != nil {
		return nil, fmt.Errorf("read run: %w", err)
	}
	r.Models[policy.ModelName(weights)] = weights
	if r.Policy, err = policy.Parse(r.Document, r.Models); err != nil {
		return nil, fmt.Errorf("read run: %s: %w", filepath.Join(dir, FilePolicy), err)
	}
	if r.Policy.Version() != r.Settings.Version {
		return nil, fmt.Errorf("read run: %s: policy %d, but %s says %d", dir, r.Policy.Version(), FileConfig, r.Settings.Version)
	}
	if r.Metrics.Fingerprint != r.Settings.Data {
		return nil, fmt.Errorf("read run: %s: %s and %s are about different data", dir, FileConfig, FileMetrics)
	}
	return r, nil
}
