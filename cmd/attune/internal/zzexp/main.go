package main

import (
	"context"
	"encoding/gob"
	"flag"
	"fmt"
	"math"
	"os"
	"runtime/pprof"
	"strings"
	"sync"
	"time"

	"github.com/attune-calls/attune/cmd/attune/internal/config"
	"github.com/attune-calls/attune/cmd/attune/internal/loop"
	"github.com/attune-calls/attune/codec"
	"github.com/attune-calls/attune/model"
	"github.com/attune-calls/attune/policy"
	"github.com/attune-calls/attune/telemetry"
	"github.com/attune-calls/attune/training"
	"github.com/attune-calls/attune/training/lab"
	"github.com/attune-calls/attune/training/lab/compare"
	"github.com/attune-calls/attune/training/lab/history"
	"github.com/attune-calls/attune/training/lab/network"
	"github.com/attune-calls/attune/training/lab/sim"
	"github.com/attune-calls/attune/training/lab/speech"
	"github.com/attune-calls/attune/training/lab/suite"
)

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

var demoNetworks = []string{"ethernet", "wifi", "4g", "3g", "2g", "satellite", "4g-udp-throttled"}

type stored struct {
	Day  int
	Died bool
	Segs []model.Segment
}

func main() {
	mode := flag.String("mode", "eval", "")
	file := flag.String("file", "/tmp/demo/history.gob", "")
	calls := flag.Int("calls", 20000, "")
	seed := flag.Uint64("seed", 1, "")
	duration := flag.Duration("duration", time.Minute, "")
	explore := flag.Float64("explore", 0.6, "")
	hold := flag.Float64("hold", 0.75, "")
	use := flag.Int("use", 0, "reports")
	out := flag.String("out", "/tmp/demo/runs", "")
	epochs := flag.Int("epochs", 0, "")
	patience := flag.Int("patience", 0, "")
	lr := flag.Float64("lr", 0, "")
	wd := flag.Float64("wd", 0, "")
	clip := flag.Float64("clip", 0, "")
	batch := flag.Int("batch", 0, "")
	hidden := flag.Int("hidden", 0, "")
	ahidden := flag.Int("ahidden", 0, "")
	emb := flag.Int("emb", 0, "")
	folds := flag.Int("folds", 0, "")
	policies := flag.String("policies", "", "")
	seeds := flag.Int("seeds", 5, "")
	each := flag.Int("each", 40, "calls per network and seed")
	useOracle := flag.Bool("oracle", false, "")
	only := flag.String("networks", "", "")
	horizon := flag.Int("horizon", 0, "")
	flag.Parse()
	ctx := context.Background()
	voice, err := speech.Find(ctx)
	check(err)
	frames, err := sim.NewFrames(voice.Samples[:min(len(voice.Samples), 24*48000)])
	check(err)
	c := config.Default()
	c.Policy.Explore = *explore
	base, err := loop.First(c.Policy, c.Training.Price.Model(), []policy.Site{lab.Site()}, time.Now())
	check(err)
	base.Arms[0].Exploration.Hold = *hold
	text, err := base.Marshal()
	check(err)
	first, err := policy.Parse(text, nil)
	check(err)

	names := demoNetworks
	if *only != "" {
		names = strings.Split(*only, ",")
	}
	s := &suite.Suite{Name: "demo", About: "x"}
	for _, name := range names {
		if name == "builtin" || name == "validation" {
			for _, n := range suite.Builtin().Networks {
				if (name == "builtin") == (n.Split == suite.Train) {
					s.Networks = append(s.Networks, n)
				}
			}
			continue
		}
		p, err := network.Load(name)
		check(err)
		s.Networks = append(s.Networks, suite.Network{Name: p.Name, Source: "profile " + p.Name, Type: p.Network, Weight: 1, Profile: p})
	}
	switch *mode {
	case "make":
		k, err := compare.Policy("default", first)
		check(err)
		f, err := os.Create(*file)
		check(err)
		enc := gob.NewEncoder(f)
		begin := time.Now()
		sum, err := history.Make(ctx, history.Config{Suite: s, Contender: k, Frames: frames, Calls: *calls, Seed: *seed, Duration: *duration, Over: 7 * 24 * time.Hour},
			func(id telemetry.ReportID, report []byte) error {
				var r telemetry.Report
				if err := telemetry.Unmarshal(report, &r); err != nil {
					return err
				}
				return enc.Encode(stored{Day: int(r.Hour / 24), Died: r.Dropped || r.Stage < model.StageMedia, Segs: r.Segments})
			})
		check(err)
		check(f.Close())
		fmt.Printf("%+v in %v\n", sum, time.Since(begin))
	case "train":
		f, err := os.Open(*file)
		check(err)
		dec := gob.NewDecoder(f)
		var d training.Dataset
		for n := 0; *use == 0 || n < *use; n++ {
			var r stored
			if dec.Decode(&r) != nil {
				break
			}
			for i, seg := range r.Segs {
				d.Add(uint32(n), r.Day, seg, r.Died && i == len(r.Segs)-1)
			}
		}
		cfg := training.Config{HorizonSeconds: *horizon, Seed: *seed, Price: c.Training.Price.Model(), Dataset: &d, Base: base, Logging: []*policy.Policy{first}, MinRows: 100, Out: *out, Folds: *folds,
			Fit: training.FitConfig{LearnRate: *lr, WeightDecay: *wd, Batch: *batch, MaxEpochs: *epochs, Patience: *patience, PropensityClip: *clip,
				Size: training.Size{Hidden: *hidden, ActionHidden: *ahidden, Embedding: *emb}}}
		cfg.Gate.PoisonedShare = 0.001
		cfg.Exploration = policy.Exploration{Share: map[model.NetworkType]float64{model.NetworkUnknown: 0.02}, Bound: 0.5, Gamma: 20}
		if pf, err := os.Create("/tmp/demo/cpu.prof"); err == nil {
			pprof.StartCPUProfile(pf)
			defer pprof.StopCPUProfile()
		}
		begin := time.Now()
		r, err := training.Train(ctx, cfg)
		check(err)
		m := r.Metrics
		fmt.Fprintf(os.Stderr, "%s\nrows %d calls %d in %v, %.0f seg/s, final epochs %d explained %.3f bound %d unexplained %d refused %v\n%v", r.Dir, m.Segments, m.Calls, time.Since(begin), m.SegmentsPerSecond, len(m.Final), m.Explained, m.Bound, m.Unexplained, m.Refused, m.Verdict)
		for _, cv := range m.Curves {
			fmt.Fprintf(os.Stderr, "curve")
			for _, e := range cv {
				if e.Number%5 == 0 || e.Number < 4 {
					fmt.Fprintf(os.Stderr, " %d:%.4f/%.4f", e.Number, e.Train, e.HeldOut)
				}
			}
			fmt.Fprintln(os.Stderr)
		}
		for _, n := range m.Networks {
			fmt.Fprintf(os.Stderr, "  %v %d -> %v %.2f\n", n.Network, n.Segments, n.After, n.AfterShare)
		}
		for _, e := range m.Gate.Overall.Gain.All() {
			fmt.Fprintf(os.Stderr, "  %s %+.4f %+.4f..%+.4f\n", e.Name, e.Value, e.Low, e.High)
		}
		fmt.Println(r.Dir)
	case "stat": // refused and mean MOS by network type and action
		f, err := os.Open(*file)
		check(err)
		dec := gob.NewDecoder(f)
		type key struct {
			n model.NetworkType
			a string
		}
		type cell struct {
			n, none, first, firstNone, last, lastNone int
			mos                                       float64
		}
		cells := map[key]*cell{}
		for {
			var r stored
			if dec.Decode(&r) != nil {
				break
			}
			for i, seg := range r.Segs {
				k := key{seg.Context.Network, seg.Action.String()}
				if cells[k] == nil {
					cells[k] = &cell{}
				}
				c := cells[k]
				c.n++
				none := 0
				if seg.Outcome.MOS == 0 {
					none = 1
				} else {
					c.mos += model.ScaleMOS.Value(seg.Outcome.MOS)
				}
				c.none += none
				if i == 0 {
					c.first++
					c.firstNone += none
				}
				if i == len(r.Segs)-1 {
					c.last++
					c.lastNone += none
				}
			}
		}
		for k, c := range cells {
			fmt.Printf("%-10v %-48s n %6d none %5.1f%% first %5d none %5.1f%% last %5d none %5.1f%% mos %.2f\n", k.n, k.a, c.n, 100*float64(c.none)/float64(c.n), c.first, 100*float64(c.firstNone)/float64(c.first), c.last, 100*float64(c.lastNone)/float64(c.last), c.mos/float64(c.n-c.none))
		}
	case "statics":
		for _, n := range s.Networks {
			for _, a := range base.Catalogue {
				sum, cnt, none, segs := 0.0, 0.0, 0, 0
				for i := 0; i < *each; i++ {
					opts := func() []policy.Option {
						return append([]policy.Option{policy.WithQuality(codec.Fullband{})}, compare.Always(a)...)
					}
					r, err := sim.Call(sim.Plan{Profile: n.Profile, Seed: uint64(i)*7919 + *seed, Duration: *duration, Frames: frames, Caller: opts(), Callee: opts()})
					check(err)
					for _, seg := range append(r.Caller.Segments, r.Callee.Segments...) {
						segs++
						if seg.Outcome.MOS == 0 {
							none++
							continue
						}
						sum += model.ScaleMOS.Value(seg.Outcome.MOS) * float64(seg.Seconds)
						cnt += float64(seg.Seconds)
					}
				}
				fmt.Printf("%-10s %-48s %.3f none %.1f%%\n", n.Name, a.String(), sum/cnt, 100*float64(none)/float64(segs))
			}
		}
	case "trace":
		for _, n := range s.Networks {
			for _, spec := range strings.Split(*policies, ",") {
				k, err := compare.Named(spec)
				check(err)
				type cell struct {
					n   int
					mos float64
				}
				by := map[int]map[string]*cell{}
				for i := 0; i < *each; i++ {
					opts := func() []policy.Option {
						return append([]policy.Option{policy.WithQuality(codec.Fullband{}), policy.WithContext(model.Context{Network: n.Type, Metered: n.Profile.Metered, Reach: n.Profile.Reach, Device: 1, TimeOfDay: 2})}, k.Options()...)
					}
					r, err := sim.Call(sim.Plan{Profile: n.Profile, Seed: uint64(i)*7919 + *seed, Duration: *duration, Frames: frames, Caller: opts(), Callee: opts()})
					check(err)
					for j, seg := range r.Caller.Segments {
						if by[j] == nil {
							by[j] = map[string]*cell{}
						}
						a := seg.Action.String()
						if by[j][a] == nil {
							by[j][a] = &cell{}
						}
						by[j][a].n++
						by[j][a].mos += model.ScaleMOS.Value(seg.Outcome.MOS)
					}
				}
				fmt.Println(n.Name, spec)
				for j := 0; j < len(by) && j < 8; j++ {
					fmt.Printf("  seg %d:", j)
					for a, c := range by[j] {
						if c.n*20 > *each {
							fmt.Printf("  [%s %d%% %.2f]", a, 100*c.n / *each, c.mos/float64(c.n))
						}
					}
					fmt.Println()
				}
			}
		}
	case "eval":
		type row struct{ gain, lo, hi, share float64 }
		var ks []compare.Contender
		k0, err := compare.Named("default")
		check(err)
		ks = append(ks, k0)
		for i, p := range strings.Split(*policies, ",") {
			k, err := compare.Named(p)
			check(err)
			if strings.Contains(p, ":") {
				k.Name = fmt.Sprintf("p%d", i)
			}
			ks = append(ks, k)
		}
		if *useOracle {
			k, _ := compare.Named("oracle")
			ks = append(ks, k)
		}
		fmt.Printf("%-18s", "network")
		for _, k := range ks {
			fmt.Printf("%22s", k.Name)
		}
		fmt.Println()
		sums := make([][]float64, len(ks)) // per contender, per seed sum over networks
		for i := range sums {
			sums[i] = make([]float64, *seeds)
		}
		_ = sync.Mutex{}
		_ = row{}
		mean := make([]float64, len(ks))
		for _, n := range s.Networks {
			one := &suite.Suite{Name: "one", About: "x", Networks: []suite.Network{n}}
			one.Networks[0].Split = suite.Train
			r, err := compare.Run(ctx, compare.Config{Suite: one, Contenders: ks, Frames: frames, Calls: *each, Seeds: *seeds, Seed: 1000 + *seed, Duration: *duration, Catalogue: base.Catalogue})
			check(err)
			sc := r.Slices[0].Scores
			fmt.Printf("%-18s", n.Name)
			for i, x := range sc {
				g, sh := "", ""
				if x.Gain.Low != nil && i > 0 {
					g = fmt.Sprintf("%+.2f±%.2f", *x.Gain.Value, (*x.Gain.High-*x.Gain.Low)/2)
				}
				if x.GapShare.Value != nil && i > 0 {
					sh = fmt.Sprintf("%4.0f%%", 100**x.GapShare.Value)
				}
				fmt.Printf("%5.2f %-11s%-5s", *x.Mean.Value, g, sh)
				mean[i] += *x.Mean.Value / float64(len(s.Networks))
			}
			fmt.Println()
			if *useOracle {
				for _, ch := range r.Slices[0].Choices[:min(3, len(r.Slices[0].Choices))] {
					fmt.Printf("      oracle %s %.2f\n", ch.Action, ch.Share)
				}
			}
		}
		fmt.Printf("%-18s", "mean")
		last := mean[len(mean)-1]
		for i := range ks {
			share := math.NaN()
			if *useOracle {
				share = 100 * (mean[i] - mean[0]) / (last - mean[0])
			}
			fmt.Printf("%6.3f %+.3f %4.0f%%   ", mean[i], mean[i]-mean[0], share)
		}
		fmt.Println()
	}
}
