package main

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/attune-calls/attune/codec"
	"github.com/attune-calls/attune/policy"
	"github.com/attune-calls/attune/training/lab/compare"
	"github.com/attune-calls/attune/training/lab/internal/inorder"
	"github.com/attune-calls/attune/training/lab/sim"
	"github.com/attune-calls/attune/training/lab/speech"
	"github.com/attune-calls/attune/training/lab/suite"
)

// Result is the file.
type Result struct {
	Cores     int     `json:"cores"`
	CPU       string  `json:"cpu"`
	Go        string  `json:"go"`
	Load      string  `json:"loadAverageBefore"` // one, five and fifteen minutes: what else the machine did
	Speech    string  `json:"speech"`
	Networks  []Speed `json:"networks"`
	Overall   Speed   `json:"overall"`
	Catalogue Speed   `json:"catalogue"`
	Memory    Memory  `json:"memory"`
	Method    string  `json:"method"`
}

// Speed is how fast calls are simulated.
type Speed struct {
	Network        string  `json:"network"`
	Calls          int64   `json:"calls"`
	Seconds        float64 `json:"seconds"`
	CallsPerSecond float64 `json:"callsPerSecond"`
	// CPUSecondsPerCall does not depend on what else the machine does, but for caches.
	CPUSecondsPerCall float64 `json:"cpuSecondsPerCall"`
}

// Memory is what a comparison takes.
type Memory struct {
	Calls        int     `json:"calls"` // of a comparison of two policies
	Before       int64   `json:"residentBytesBefore"`
	HighWater    int64   `json:"residentBytesHighWater"` // VmHWM of the process, everything included
	FewCalls     int     `json:"fewCalls"`
	FewHighWater int64   `json:"residentBytesHighWaterFewCalls"` // the same with few calls: the difference is what calls cost
	Seconds      float64 `json:"seconds"`
}

const method = "Calls of one minute, two ways, on all cores; both sides run the compiled-in default policy, whose settings are those of model.DefaultAction. " +
	"Networks: the built-in suite, each for the same time; overall: calls drawn from it by weight; catalogue: one call after the other with the " +
	"actions of the oracle's catalogue, TCP and TLS relays included, on networks drawn by weight. Each measurement follows a warm-up in " +
	"which libopus codes the speech. Memory: VmHWM of this process after a comparison (package compare) of few calls, then after one of many, both of default and " +
	"tgcalls with calls of one minute."

// session is what all measurements share.
type session struct {
	ctx     context.Context
	frames  *sim.Frames
	workers int
	each    time.Duration
}

func measure(ctx context.Context, each time.Duration, calls int) (*Result, error) {
	voice, err := speech.Find(ctx)
	if err != nil {
		return nil, err
	}
	const most = 24 * speech.SampleRate
	frames, err := sim.NewFrames(voice.Samples[:min(len(voice.Samples), most)])
	if err != nil {
		return nil, err
	}
	s := &session{ctx: ctx, frames: frames, workers: runtime.GOMAXPROCS(0), each: each}
	r := &Result{Cores: s.workers, CPU: cpu(), Go: runtime.Version(), Load: load(), Speech: voice.Source, Method: method}
	all := suite.Builtin()
	if r.Memory, err = s.memory(all, calls, voice.Source); err != nil {
		return nil, err
	}
	standard := func(int) []policy.Option { return nil }
	for _, n := range all.Networks {
		one := &suite.Suite{Name: n.Name, Networks: []suite.Network{n}}
		speed, err := s.speed(one, standard)
		if err != nil {
			return nil, err
		}
		r.Networks = append(r.Networks, speed)
	}
	if r.Overall, err = s.speed(all, standard); err != nil {
		return nil, err
	}
	catalogue := compare.Catalogue()
	r.Catalogue, err = s.speed(all, func(i int) []policy.Option {
		return compare.Always(catalogue[i%len(catalogue)])
	})
	return r, err
}

// speed makes calls for a while, after a round that fills the tables of frames.
func (s *session) speed(on *suite.Suite, options func(i int) []policy.Option) (Speed, error) {
	call := func(i int) (struct{}, error) {
		const drawn = 10_000 // together, each network with its share
		c := compare.Draw(on, 1+uint64(i/drawn), i%drawn, drawn)
		leg := append([]policy.Option{policy.WithContext(c.Context()), policy.WithQuality(codec.Measured{})}, options(i)...)
		_, err := sim.Call(sim.Plan{
			Profile: c.Network.Profile, Seed: c.Seed, Duration: time.Minute, Frames: s.frames, Caller: leg, Callee: leg,
		})
		return struct{}{}, err
	}
	none := func(int, struct{}) error { return nil }
	const warmUp = 300
	if err := inorder.Each(s.ctx, s.workers, 0, warmUp, call, none); err != nil {
		return Speed{}, err
	}
	runtime.GC()
	var made atomic.Int64
	ctx, cancel := context.WithTimeout(s.ctx, s.each)
	defer cancel()
	began, used := time.Now(), processorTime()
	err := inorder.Each(ctx, s.workers, warmUp, 1<<40, func(i int) (struct{}, error) {
		if err := ctx.Err(); err != nil {
			return struct{}{}, err
		}
		v, err := call(i)
		made.Add(1)
		return v, err
	}, none)
	if s.ctx.Err() != nil || ctx.Err() == nil {
		return Speed{}, err
	}
	seconds, n := time.Since(began).Seconds(), made.Load()
	return Speed{
		Network: on.Name, Calls: n, Seconds: seconds, CallsPerSecond: float64(n) / seconds,
		CPUSecondsPerCall: (processorTime() - used).Seconds() / float64(n),
	}, nil
}

// memory compares two policies over many calls.
func (s *session) memory(on *suite.Suite, calls int, voice string) (Memory, error) {
	m := Memory{Calls: calls, FewCalls: min(calls, 1000)}
	began := time.Now()
	var err error
	if m.Before, _, err = resident(); err != nil {
		return m, err
	}
	for _, step := range []struct {
		calls int
		into  *int64
	}{{m.FewCalls, &m.FewHighWater}, {calls, &m.HighWater}} {
		rule, err := compare.Named("tgcalls")
		if err != nil {
			return m, err
		}
		if _, err = compare.Run(s.ctx, compare.Config{
			Suite: on, Contenders: []compare.Contender{rule}, Frames: s.frames, Speech: voice, Calls: step.calls, Seeds: 1,
		}); err != nil {
			return m, err
		}
		if _, *step.into, err = resident(); err != nil {
			return m, err
		}
	}
	m.Seconds = time.Since(began).Seconds()
	return m, nil
}

// processorTime is what this process has used so far.
func processorTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// resident is what the process has in memory now, and had at most.
func resident() (now, most int64, err error) {
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, 0, err
	}
	for line := range strings.Lines(string(text)) {
		name, value, _ := strings.Cut(line, ":")
		kB, _ := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 10, 64)
		switch name {
		case "VmRSS":
			now = kB << 10
		case "VmHWM":
			most = kB << 10
		}
	}
	if most == 0 {
		return 0, 0, fmt.Errorf("/proc/self/status tells no VmHWM")
	}
	return now, most, nil
}

func cpu() string {
	text, _ := os.ReadFile("/proc/cpuinfo") // only told, never needed
	for line := range strings.Lines(string(text)) {
		if name, value, _ := strings.Cut(line, ":"); strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return "unknown"
}

func load() string {
	text, _ := os.ReadFile("/proc/loadavg")
	fields := strings.Fields(string(text))
	return strings.Join(fields[:min(3, len(fields))], " ")
}
