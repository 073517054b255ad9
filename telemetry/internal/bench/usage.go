package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// ownCPU is the processor time of this process so far.
func ownCPU() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// tick is USER_HZ, which Linux fixes at 100 for everything it tells programs.
const tick = 10 * time.Millisecond

// cpuOf is the processor time of another process so far.
func cpuOf(pid int) (time.Duration, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	// The second field is a name in parentheses that may hold anything; user and system time are fields 14 and 15.
	_, rest, _ := strings.Cut(string(text[strings.LastIndexByte(string(text), ')'):]), " ")
	fields := strings.Fields(rest)
	if len(fields) < 13 {
		return 0, fmt.Errorf("/proc/%d/stat has %d fields", pid, len(fields))
	}
	var total time.Duration
	for _, field := range fields[11:13] {
		n, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return 0, err
		}
		total += time.Duration(n) * tick
	}
	return total, nil
}

// memoryOf is what a process has in memory now and had at most, in bytes.
func memoryOf(pid int) (now, most int64, err error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
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
		return 0, 0, fmt.Errorf("/proc/%d/status tells no VmHWM", pid)
	}
	return now, most, nil
}

// cpuMeter adds up the processor time of this process and of others from its start.
type cpuMeter struct {
	pids  map[string]int // by name
	began time.Time
	own   time.Duration
	first map[string]time.Duration
}

func startMeter(pids map[string]int) (*cpuMeter, error) {
	m := &cpuMeter{pids: pids, began: time.Now(), own: ownCPU(), first: map[string]time.Duration{}}
	for name, pid := range pids {
		var err error
		if m.first[name], err = cpuOf(pid); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// read is the processor seconds by process since the start, and the wall-clock seconds.
func (m *cpuMeter) read() (cpu map[string]float64, wall float64, err error) {
	cpu = map[string]float64{"generator": (ownCPU() - m.own).Seconds()}
	for name, pid := range m.pids {
		now, err := cpuOf(pid)
		if err != nil {
			return nil, 0, err
		}
		cpu[name] = (now - m.first[name]).Seconds()
	}
	return cpu, time.Since(m.began).Seconds(), nil
}
