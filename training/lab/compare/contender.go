package compare

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/attune-calls/attune/model"
	"github.com/attune-calls/attune/policy"
	"github.com/attune-calls/attune/training"
	"github.com/attune-calls/attune/training/lab"
	"github.com/attune-calls/attune/training/lab/rival"
	"github.com/attune-calls/attune/training/lab/sim"
)

// Contender is one way to run calls.
type Contender struct {
	Name  string
	About string
	// identity is what the name does not tell: the content of a policy.
	identity string
	kind     kind
	options  func() []policy.Option // of one leg of one call; nil unless kind is adaptive
}

type kind uint8

const (
	adaptive        kind = iota // decides by itself
	bestStatic                  // Config.Run finds its actions
	oracle                      // Config.Run finds its action for each call
	oracleBySegment             // Config.Run finds its actions for each call
)

// The names of contenders that are no rival.
const (
	NameDefault    = "default"
	NameBestStatic = "best-static"
	NameOracle     = "oracle"
	NameGreedy     = "greedy"
	NameLearned    = "learned"

	NameOracleBySegment = "oracle-segment"
)

// Names tells people what Named takes.
func Names() []string {
	var names []string
	for _, r := range rival.All() {
		names = append(names, r.Name)
	}
	return append(names, NameBestStatic, NameOracle, NameOracleBySegment, NameLearned+":RUN", NameGreedy+":RUN", "FILE")
}

// Named finds a contender: a name of package rival, "best-static", "oracle", "oracle-segment", "learned:PATH", "greedy:PATH", or a path
// alone, which is called by its base name. A path is a run directory or a policy document with its models beside it; learned
// explores as the policy says, greedy never does.
func Named(spec string) (Contender, error) {
	switch spec {
	case NameBestStatic:
		return Contender{Name: spec, About: "the best single action for each network type, in hindsight on the training split", kind: bestStatic}, nil
	case NameOracle:
		return Contender{Name: spec, About: "the best action of the catalogue for each call, found by trying all", kind: oracle}, nil
	case NameOracleBySegment:
		return Contender{
			Name: spec, About: "the oracle with changes of the action within the call that pay: a lower bound of the best schedule",
			kind: oracleBySegment,
		}, nil
	}
	if r, err := rival.Named(spec); err == nil {
		return Contender{Name: r.Name, About: r.About, options: func() []policy.Option { return r.Options(lab.RelaySite) }}, nil
	}
	name, path, ok := strings.Cut(spec, ":")
	if !ok || (name != NameGreedy && name != NameLearned) {
		name, path = filepath.Base(spec), spec
	}
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return Contender{}, fmt.Errorf("policy %q is neither a file nor one of %s", spec, strings.Join(Names(), ", "))
	}
	p, err := readPolicy(path)
	if err == nil && name == NameGreedy {
		p, err = withoutExploration(p)
	}
	if err != nil {
		return Contender{}, fmt.Errorf("policy %q: %w", spec, err)
	}
	return Policy(name, p.Policy)
}

// Policy is a contender that decides by a policy, exploration included.
func Policy(name string, p *policy.Policy) (Contender, error) {
	d := p.Document()
	holder := new(policy.Holder)
	holder.Store(p)
	c := Contender{
		Name: name, About: fmt.Sprintf("policy %d", d.Version),
		options: func() []policy.Option { return []policy.Option{policy.WithSource(holder)} },
	}
	if p.Version() == 0 { // compiled in, and nothing that can be marshalled
		return c, nil
	}
	text, err := d.Marshal()
	if err != nil {
		return Contender{}, err
	}
	c.identity = string(text) // it names its models by the hash of their content
	return c, nil
}

// Options are what a leg of policy.NewStepped decides by; nil for the oracles and the best static action, which need a
// comparison.
func (c *Contender) Options() []policy.Option {
	if c.options == nil {
		return nil
	}
	return c.options()
}

// Identity tells contenders apart: their name and the content of their policy.
func (c *Contender) Identity() string { return c.Name + "\n" + c.identity }

// parsed is a policy with the models it was parsed with.
type parsed struct {
	*policy.Policy
	models map[string][]byte
}

// readPolicy reads a run directory, or a document whose models lie beside it under their own name or that of a run.
func readPolicy(path string) (parsed, error) {
	info, err := os.Stat(path)
	if err != nil {
		return parsed{}, err
	}
	if info.IsDir() {
		run, err := training.ReadRun(path)
		if err != nil {
			return parsed{}, err
		}
		return parsed{run.Policy, run.Models}, nil
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return parsed{}, err
	}
	models := map[string][]byte{}
	files, err := filepath.Glob(filepath.Join(filepath.Dir(path), "model*.safetensors"))
	if err != nil {
		return parsed{}, err
	}
	for _, file := range files {
		if info, err := os.Stat(file); err != nil || info.Size() > policy.MaxModelBytes {
			continue // too large to be one
		}
		content, err := os.ReadFile(file)
		if err != nil {
			return parsed{}, err
		}
		if name := policy.ModelName(content); strings.Contains(string(text), name) {
			models[name] = content
		}
	}
	p, err := policy.Parse(text, models)
	return parsed{p, models}, err
}

// withoutExploration is the same policy that always takes what it thinks best.
func withoutExploration(p parsed) (parsed, error) {
	d := p.Document()
	for i := range d.Arms {
		d.Arms[i].Exploration.Share = nil
		d.Arms[i].Exploration.Hold = 0
	}
	text, err := d.Marshal()
	if err != nil {
		return parsed{}, err
	}
	greedy, err := policy.Parse(text, p.models)
	return parsed{greedy, p.models}, err
}

// Always are the options of a leg that keeps to one action.
func Always(a model.Action) []policy.Option {
	return []policy.Option{policy.WithRule(static{a}), policy.WithInterval(staticInterval)}
}

// staticInterval is how often static actions are decided anew, and the per-segment oracle may change its own: with each
// window that is judged.
const staticInterval = sim.WindowLength

type static struct{ action model.Action }

func (s static) Decide(*model.Context, *model.Measurement) model.Action { return s.action }
