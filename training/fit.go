package training

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/attune-calls/attune/model"
)

// FitConfig says how to fit the network. The zero FitConfig is the recommended one; every zero field takes its default.
type FitConfig struct {
	Size           Size    `json:"size"`           // default 32, 24, 12, 5: a decision over 256 actions in about 4 us
	LearnRate      float64 `json:"learnRate"`      // of Adam; default 0.01
	WeightDecay    float64 `json:"weightDecay"`    // decoupled, per unit of learn rate; default 0.3
	Batch          int     `json:"batch"`          // segments per step; default a sixteenth of the data within 64..1024
	MaxEpochs      int     `json:"maxEpochs"`      // default 120
	Patience       int     `json:"patience"`       // epochs without a better held-out loss before stopping; default 800,000 segments' worth within 4..12
	PropensityClip float64 `json:"propensityClip"` // rows weigh min(1/propensity, clip); default 10, 1 = no weighting
}

func (c FitConfig) withDefaults(rows int) FitConfig {
	batch := 64
	for batch < 1024 && batch*16 < rows {
		batch *= 2
	}
	for _, d := range []struct {
		field *int
		value int
	}{
		{&c.Size.Hidden, 32},
		{&c.Size.ActionHidden, 24},
		{&c.Size.Embedding, 12},
		{&c.Size.Heads, model.MaxHeads},
		{&c.Batch, batch},
		{&c.MaxEpochs, 120},
		{&c.Patience, min(12, max(4, 800_000/max(rows, 1)))},
	} {
		if *d.field == 0 {
			*d.field = d.value
		}
	}
	for _, d := range []struct {
		field *float64
		value float64
	}{{&c.LearnRate, 0.01}, {&c.WeightDecay, 0.3}, {&c.PropensityClip, 10}} {
		if *d.field == 0 {
			*d.field = d.value
		}
	}
	return c
}

// Validate reports every field out of its range. A zero field is in range: it takes its default.
func (c FitConfig) Validate() error {
	var faults []error
	for _, f := range []struct {
		name      string
		value     float64
		low, high float64
	}{
		{"size.hidden", float64(c.Size.Hidden), 0, model.MaxHidden},
		{"size.actionHidden", float64(c.Size.ActionHidden), 0, model.MaxHidden},
		{"size.embedding", float64(c.Size.Embedding), 0, model.MaxEmbedding},
		{"size.heads", float64(c.Size.Heads), 0, model.MaxHeads},
		{"learnRate", c.LearnRate, 0, 1},
		{"weightDecay", c.WeightDecay, 0, 100},
		{"batch", float64(c.Batch), 0, 65536},
		{"maxEpochs", float64(c.MaxEpochs), 0, 100_000},
		{"patience", float64(c.Patience), 0, 100_000},
	} {
		if !(f.value >= f.low && f.value <= f.high) {
			faults = append(faults, fmt.Errorf("fit.%s: %v is outside %v..%v", f.name, f.value, f.low, f.high))
		}
	}
	if c.PropensityClip != 0 && !(c.PropensityClip >= 1 && c.PropensityClip <= model.PropensityScale) {
		faults = append(faults, fmt.Errorf("fit.propensityClip: %v is outside 1..%d", c.PropensityClip, model.PropensityScale))
	}
	return errors.Join(faults...)
}

// Epoch is one pass over the data. Losses are weighted mean squared errors in units of the reward's variance: 1 is what
// predicting the mean reward would score.
type Epoch struct {
	Number  int     `json:"number"` // from 1
	Train   float64 `json:"train"`
	HeldOut float64 `json:"heldOut"` // of the averaged weights; 0 when nothing was held out
}

// fitted is the outcome of one fit.
type fitted struct {
	file   []byte // a model file
	scorer *model.Scorer
	curve  []Epoch
	best   int // the epoch the weights are from
}

// leastImprovement is the share by which the held-out loss must fall for an epoch to count as better: below it, more
// epochs cost more time than they bring.
const leastImprovement = 0.002

// fit minimizes, for each head k, the sum over rows of weight x n_k x (score_k - reward)^2, where n_k ~ Poisson(1) is
// drawn per call and head: the online bootstrap (Oza and Russell 2001), by calls because the segments of one call are
// alike. The weights it returns are a running average over the steps (Polyak and Juditsky 1992), which on little data
// generalizes better than where the last step ended.
//
// With rows to stop on it keeps the epoch of their least loss and ends after Patience worse ones; without any it runs
// exactly MaxEpochs.
func fit(ctx context.Context, c FitConfig, rows, stop []example, seed uint64, progress func(Epoch)) (*fitted, error) {
	mean, deviation := moments(rows)
	w := initialWeights(c.Size, seed)
	g, err := newGraph(c.Size, c.Batch, w, c.LearnRate, c.WeightDecay)
	if err != nil {
		return nil, err
	}
	defer g.close()

	counts := bootstrap(rows, c.Size.Heads, seed)
	order := make([]int, len(rows))
	for i := range order {
		order[i] = i
	}
	rng := rand.New(rand.NewPCG(seed, 0x73687566))
	average, steps := w.clone(), 0
	result := &fitted{}
	least := math.Inf(1)
	for epoch := 1; epoch <= c.MaxEpochs; epoch++ {
		rng.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
		total := 0.0
		for at := 0; at < len(order); at += c.Batch {
			if err := ctx.Err(); err != nil {
				return nil, fmt.Errorf("fit stopped in epoch %d: %w", epoch, err)
			}
			g.fill(rows, counts, order[at:min(at+c.Batch, len(order))], mean, deviation)
			loss, err := g.step()
			if err != nil {
				return nil, fmt.Errorf("fit epoch %d: %w", epoch, err)
			}
			total += float64(loss) * float64(c.Batch)
			steps++
			average.toward(w, 1-min(0.99, float32(steps)/float32(steps+10)))
		}
		e := Epoch{Number: epoch, Train: total / float64(len(rows))}
		if math.IsNaN(e.Train) || math.IsInf(e.Train, 0) {
			return nil, fmt.Errorf("fit epoch %d: loss is %v; lower learnRate", epoch, e.Train)
		}
		if len(stop) > 0 || epoch == c.MaxEpochs {
			file, err := c.Size.marshal(average, mean, deviation)
			if err != nil {
				return nil, fmt.Errorf("fit epoch %d: %w", epoch, err)
			}
			scorer, err := model.ParseScorer(file)
			if err != nil {
				return nil, fmt.Errorf("fit epoch %d: %w", epoch, err)
			}
			if len(stop) > 0 {
				if e.HeldOut, err = heldOutLoss(scorer, stop, deviation); err != nil {
					return nil, fmt.Errorf("fit epoch %d: %w", epoch, err)
				}
			}
			if len(stop) == 0 || e.HeldOut < least*(1-leastImprovement) {
				least = e.HeldOut
				result.file, result.scorer, result.best = file, scorer, epoch
			}
		}
		result.curve = append(result.curve, e)
		if progress != nil {
			progress(e)
		}
		if len(stop) > 0 && epoch-result.best >= c.Patience {
			break
		}
	}
	return result, nil
}

// fill writes the rows with the given indices into the inputs, and weight 0 behind them.
func (b *graph) fill(rows []example, counts [][model.MaxHeads]uint8, indices []int, mean, deviation float64) {
	heads := b.size.Heads
	for n, i := range indices {
		e := &rows[i]
		model.ContextFeatures(&e.context, b.context[n*model.ContextWidth:(n+1)*model.ContextWidth])
		model.ActionFeatures(e.action, b.action[n*model.ActionWidth:(n+1)*model.ActionWidth])
		target := (e.reward - float32(mean)) / float32(deviation)
		weight := e.weight / float32(b.batch*heads)
		for k := range heads {
			b.target[n*heads+k] = target
			b.weight[n*heads+k] = weight * float32(counts[i][k])
		}
	}
	clear(b.weight[len(indices)*heads:])
}

// bootstrap draws n_k for each row from its call, so that all rows of a call count equally often.
func bootstrap(rows []example, heads int, seed uint64) [][model.MaxHeads]uint8 {
	counts := make([][model.MaxHeads]uint8, len(rows))
	for i := range rows {
		for k := range heads {
			u := float64(mix(seed+uint64(k)<<32+0x626f6f74, uint64(rows[i].call))>>11) / (1 << 53)
			// Poisson(1) by inversion; beyond 8 the chance is one in a million.
			p := math.Exp(-1)
			for n := uint8(1); u >= p && n <= 8; n++ {
				counts[i][k] = n
				u -= p
				p /= float64(n)
			}
		}
	}
	return counts
}

// toward moves w a share of the way to the values of v.
func (w weights) toward(v weights, share float32) {
	for i := range w {
		for j := range w[i] {
			w[i][j] += share * (v[i][j] - w[i][j])
		}
	}
}
