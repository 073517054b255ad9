package compare

import (
	"cmp"
	"math"
	"slices"

	"gonum.org/v1/gonum/stat/distuv"

	"github.com/attune-calls/attune/model"
	"github.com/attune-calls/attune/training/lab/suite"
)

// alpha makes 95 % intervals.
const alpha = 0.05

// Result is what came of a comparison. All of its calls are simulated.
type Result struct {
	Suite       string          `json:"suite"`
	Speech      string          `json:"speech"`
	Networks    []NetworkInfo   `json:"networks"`
	Calls       int             `json:"callsPerSeed"`
	Seeds       int             `json:"seeds"`
	FirstSeed   uint64          `json:"firstSeed"`
	CallSeconds float64         `json:"callSeconds"`
	Simulated   int64           `json:"simulatedCalls"` // those of the oracle and of the search for the best static action included
	Method      string          `json:"method"`
	Contenders  []ContenderInfo `json:"contenders"`
	Static      []StaticChoice  `json:"bestStatic,omitempty"`
	Slices      []Slice         `json:"slices"`
	ByNetwork   []Slice         `json:"byNetwork,omitempty"` // by name; no quantiles, and nothing of the oracle's choices
	Catalogue   []string        `json:"catalogue,omitempty"` // where it was used
}

// NetworkInfo names a network of the suite.
type NetworkInfo struct {
	Name   string            `json:"name"`
	Source string            `json:"source"`
	Type   model.NetworkType `json:"type"`
	Region model.Region      `json:"region"`
	Weight float64           `json:"weight"`
	Split  suite.Split       `json:"split"`
}

// ContenderInfo names a contender.
type ContenderInfo struct {
	Name  string `json:"name"`
	About string `json:"about"`
}

// StaticChoice is the best single action of a network type; of "unknown" for types the training split lacks.
type StaticChoice struct {
	Type   model.NetworkType `json:"type"`
	Action string            `json:"action"`
}

// Slice is the calls of some of the networks.
type Slice struct {
	Name    string   `json:"name"` // "all", "train", "validation" or a network type
	Calls   int64    `json:"calls"`
	Scores  []Score  `json:"scores"` // by contender
	Choices []Choice `json:"oracleChoices,omitempty"`
	// BySegment is what the per-segment oracle did; nil without one.
	BySegment *Schedules `json:"oracleSegment,omitempty"`
}

// Schedules is how often changing the action within a call was worth it.
type Schedules struct {
	Changed float64 `json:"changedCalls"`   // share of the calls
	Changes float64 `json:"changesPerCall"` // in those, on average; 0 without one
}

// Score is how a contender did on a slice. Each estimate is the mean over seeds of a figure of the seed's calls, weighted by
// how many they are, with Student's t interval over the seeds, within what the figure can be; a single seed has none.
type Score struct {
	Name          string   `json:"name"`
	Mean          Estimate `json:"meanMOS"`
	Median        Estimate `json:"medianMOS"`
	P5            Estimate `json:"p5MOS"`
	Poor          Estimate `json:"poorRatio"`    // quality below PoorMOS
	PoorVIA       Estimate `json:"poorRatioVIA"` // by VIA's definition
	Kbps          Estimate `json:"kbps"`         // on the wire, of a leg, of calls that were set up
	SetupFailures Estimate `json:"setupFailures"`
	Dropped       Estimate `json:"dropped"`
	Gain          Estimate `json:"gain"`         // of mean quality over the default, seed by seed
	GapShare      Estimate `json:"gapShare"`     // (policy - default) / (oracle - default), above 1 for the per-segment oracle; unknown without an oracle
	PoorGapShare  Estimate `json:"poorGapShare"` // the same of the poor-call ratio: how much of the oracle's cut
}

// Estimate is a figure with the bounds of its 95 % interval over seeds; bounds that are not known are null in JSON.
type Estimate struct {
	Value *float64 `json:"value"`
	Low   *float64 `json:"low"`
	High  *float64 `json:"high"`
}

// Choice is how often the oracle chose an action.
type Choice struct {
	Action string  `json:"action"`
	Share  float64 `json:"share"`
}

const mostChoices = 8

// method says how the figures come about, for the reader of a result.
const method = "Simulated calls. Everybody makes the same calls: same networks, same seeds. Quality of a call: mean MOS (estimated, fitted to measured speech) of " +
	"windows of 4 s of both legs, the same ones however often a policy decides; 1.0 when it was not set up or dropped. Poor: quality below 3.1. Poor (VIA): mean round " +
	"trip above 320 ms, loss above 1.2 % or jitter above 12 ms (SIGCOMM 2016), or failed. Each figure is the mean over seeds of the " +
	"seed's figure, weighted by its calls; intervals are 95 % Student's t over the seeds, cut off where the figure cannot be. Of each seed's " +
	"calls every network has its share to within one call."

// slice is a part of the networks.
type slice struct {
	name    string
	has     func(n *suite.Network) bool
	network bool // it is a single one
}

// slicesOf lists the slices of a suite, and by name of a network those it is in.
func slicesOf(s *suite.Suite) ([]slice, map[string][]int) {
	all := []slice{{name: "all", has: func(*suite.Network) bool { return true }}}
	if len(s.Train()) > 0 && len(s.Validation()) > 0 {
		for _, split := range []suite.Split{suite.Train, suite.Validation} {
			all = append(all, slice{name: split.String(), has: func(n *suite.Network) bool { return n.Split == split }})
		}
	}
	for _, t := range typesOf(s.Networks) {
		if t != model.NetworkUnknown {
			all = append(all, slice{name: t.String(), has: func(n *suite.Network) bool { return n.Type == t }})
		}
	}
	of := map[string][]int{}
	parts := len(all)
	for i := range s.Networks {
		n := &s.Networks[i]
		for j := range all[:parts] {
			if all[j].has(n) {
				of[n.Name] = append(of[n.Name], j)
			}
		}
		if len(s.Networks) > 1 {
			of[n.Name] = append(of[n.Name], len(all))
			all = append(all, slice{name: n.Name, network: true})
		}
	}
	return all, of
}

func (r *runner) result() *Result {
	c := &r.config
	result := &Result{
		Suite: c.Suite.Name, Speech: c.Speech, Calls: c.Calls, Seeds: c.Seeds, FirstSeed: c.Seed,
		CallSeconds: c.Duration.Seconds(), Simulated: r.done.Of - r.state.Spared, Method: method,
	}
	for i := range c.Suite.Networks {
		n := &c.Suite.Networks[i]
		result.Networks = append(result.Networks, NetworkInfo{n.Name, n.Source, n.Type, n.Region, n.Weight, n.Split})
	}
	base, best := 0, -1
	for i := range c.Contenders {
		k := &c.Contenders[i]
		result.Contenders = append(result.Contenders, ContenderInfo{k.Name, k.About})
		switch {
		case k.kind == oracle:
			best = i
		case k.Name == NameDefault:
			base = i
		}
	}
	if best >= 0 || r.has(bestStatic) || r.has(oracleBySegment) {
		for _, a := range c.Catalogue {
			result.Catalogue = append(result.Catalogue, a.String())
		}
	}
	for _, t := range typesOf(c.Suite.Networks) {
		if a, ok := r.state.Search.Found[t]; ok {
			result.Static = append(result.Static, StaticChoice{t, a.String()})
		}
	}
	for s := range r.slices {
		switch out := r.slice(s, base, best); {
		case out.Calls == 0:
		case r.slices[s].network:
			result.ByNetwork = append(result.ByNetwork, out)
		default:
			result.Slices = append(result.Slices, out)
		}
	}
	return result
}

// slice scores all contenders on a slice.
func (r *runner) slice(s, base, best int) Slice {
	out := Slice{Name: r.slices[s].name}
	var seeds [][]sums // those with calls of the slice
	for _, seed := range r.state.Seeds {
		if seed[s][base].Calls > 0 {
			seeds = append(seeds, seed[s])
			out.Calls += seed[s][base].Calls
		}
	}
	calls := func(v *sums) float64 { return float64(v.Calls) }
	setUp := func(v *sums) float64 { return float64(v.Calls) * (1 - v.SetupFailed) }
	for j := range r.config.Contenders {
		score := Score{Name: r.config.Contenders[j].Name}
		for _, field := range []struct {
			into   *Estimate
			figure func(*sums) float64
			weight func(*sums) float64
			low    float64 // what the figure can be
			high   float64
		}{
			{&score.Mean, func(v *sums) float64 { return v.Mean }, calls, model.WorstMOS, mostMOS},
			{&score.Median, func(v *sums) float64 { return v.Median }, calls, model.WorstMOS, mostMOS},
			{&score.P5, func(v *sums) float64 { return v.P5 }, calls, model.WorstMOS, mostMOS},
			{&score.Poor, func(v *sums) float64 { return v.Poor }, calls, 0, 1},
			{&score.PoorVIA, func(v *sums) float64 { return v.PoorVIA }, calls, 0, 1},
			{&score.Kbps, func(v *sums) float64 { return v.Kbps }, setUp, 0, math.Inf(1)},
			{&score.SetupFailures, func(v *sums) float64 { return v.SetupFailed }, calls, 0, 1},
			{&score.Dropped, func(v *sums) float64 { return v.Dropped }, calls, 0, 1},
		} {
			if r.slices[s].network && (field.into == &score.Median || field.into == &score.P5) {
				continue
			}
			var figures, weights []float64
			for _, seed := range seeds {
				w := field.weight(&seed[j])
				if w > 0 {
					figures, weights = append(figures, w*field.figure(&seed[j])), append(weights, w)
				}
			}
			*field.into = ratio(figures, weights).within(field.low, field.high)
		}
		// of is a share of a gap: of the sum over all calls, seed by seed.
		of := func(figure func(*sums) float64) Estimate {
			gains, gaps := make([]float64, len(seeds)), make([]float64, len(seeds))
			total := 0.0
			for i, seed := range seeds {
				n, from := float64(seed[base].Calls), figure(&seed[base])
				gains[i], gaps[i] = n*(figure(&seed[j])-from), n*(figure(&seed[best])-from)
				total += gaps[i]
			}
			if math.Abs(total) < leastGap*float64(out.Calls) {
				return Estimate{}
			}
			return ratio(gains, gaps)
		}
		gains, weights := make([]float64, len(seeds)), make([]float64, len(seeds))
		for i, seed := range seeds {
			weights[i] = calls(&seed[base])
			gains[i] = weights[i] * (seed[j].Mean - seed[base].Mean)
		}
		score.Gain = ratio(gains, weights)
		if best >= 0 {
			score.GapShare = of(func(v *sums) float64 { return v.Mean })
			score.PoorGapShare = of(func(v *sums) float64 { return v.Poor })
		}
		out.Scores = append(out.Scores, score)
	}
	if r.slices[s].network {
		return out
	}
	if best >= 0 {
		out.Choices = r.choices(s, out.Calls)
	}
	if len(r.state.BySegment) > 0 && out.Calls > 0 {
		n := r.state.BySegment[s]
		out.BySegment = &Schedules{Changed: float64(n.Changed) / float64(n.Calls)}
		if n.Changed > 0 {
			out.BySegment.Changes = float64(n.Changes) / float64(n.Changed)
		}
	}
	return out
}

// leastGap is the distance between default and oracle below which shares of it mean nothing.
const leastGap = 0.001

// mostMOS is the end of the scale.
const mostMOS = 5

// ratio is the sum of figures over the sum of weights, each of one seed, with the interval of a ratio estimator: Student's t
// for the linearized seeds (Cochran, Sampling Techniques, section 6.4). With equal weights it is the interval of a mean.
func ratio(figures, weights []float64) Estimate {
	var sum, total float64
	for i := range figures {
		sum, total = sum+figures[i], total+weights[i]
	}
	if total == 0 {
		return Estimate{}
	}
	value, n := sum/total, float64(len(figures))
	e := Estimate{Value: &value}
	if len(figures) < 2 {
		return e
	}
	squares := 0.0
	for i := range figures {
		off := figures[i] - value*weights[i]
		squares += off * off
	}
	half := distuv.StudentsT{Mu: 0, Sigma: 1, Nu: n - 1}.Quantile(1-alpha/2) * math.Sqrt(squares*n/(n-1)) / math.Abs(total)
	low, high := value-half, value+half
	e.Low, e.High = &low, &high
	return e
}

// within cuts the interval off where the figure cannot be.
func (e Estimate) within(low, high float64) Estimate {
	if e.Low != nil && e.High != nil {
		l, h := max(*e.Low, low), min(*e.High, high)
		e.Low, e.High = &l, &h
	}
	return e
}

// choices lists the actions the oracle chose most often.
func (r *runner) choices(s int, calls int64) []Choice {
	type count struct {
		index int
		n     int64
	}
	var counts []count
	for i, n := range r.state.Chosen[s] {
		if n > 0 {
			counts = append(counts, count{i, n})
		}
	}
	slices.SortStableFunc(counts, func(a, b count) int { return cmp.Compare(b.n, a.n) })
	var out []Choice
	for _, c := range counts[:min(len(counts), mostChoices)] {
		out = append(out, Choice{r.config.Catalogue[c.index].String(), float64(c.n) / float64(calls)})
	}
	return out
}
