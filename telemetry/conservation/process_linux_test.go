package conservation

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"syscall"
	"testing"
	"time"
)

// event is what a child tells on its standard output, one JSON object a line.
type event struct {
	Ready       bool   `json:",omitempty"`
	URL         string `json:",omitempty"` // of NATS, for operators
	Fatal       string `json:",omitempty"` // the child ends
	Redelivered int    `json:",omitempty"` // messages delivered for the second time or more
	Retried     int    `json:",omitempty"` // inserts that failed and will be tried again
	Reconnected int    `json:",omitempty"`
	Doubted     int    `json:",omitempty"` // reports that would have been refused by a clock that nobody confirms
	Struck      string `json:",omitempty"` // a blow the child was told to deal has fallen
}

// command is what a child is told on its standard input; the end of it means: stop in good order.
type command struct {
	Strike string // when the next block of reports is stored: strikeSelf, strikeServer
	Server int    // process id of ClickHouse
	Until  time.Time

	Ahead *time.Duration // how far its clock is to be wrong, and nothing else
}

// process is a child: this test binary in another role.
type process struct {
	cmd   *exec.Cmd
	done  chan struct{} // closed when it has ended
	mu    sync.Mutex    // guards stdin
	stdin io.WriteCloser
}

// startProcess runs a child and returns when it is ready. heard gets its events, also those before a sudden end.
func startProcess(ctx context.Context, role string, config any, log string, heard func(event)) (*process, error) {
	text, err := json.Marshal(config)
	if err != nil {
		return nil, err
	}
	stderr, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer func() { _ = stderr.Close() }()
	p := &process{cmd: exec.Command("/proc/self/exe"), done: make(chan struct{})}
	p.cmd.Env = append(os.Environ(), roleVariable+"="+role, configVariable+"="+string(text))
	p.cmd.Stderr = stderr
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	if p.stdin, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	ready, started := make(chan struct{}), make(chan error, 1)
	go func() {
		runtime.LockOSThread() // the kernel kills the child when the thread that forked it ends
		defer runtime.UnlockOSThread()
		if err := p.cmd.Start(); err != nil {
			started <- err
			return
		}
		started <- nil
		var once sync.Once
		for lines := bufio.NewScanner(stdout); lines.Scan(); {
			var e event
			if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
				e = event{Fatal: "says " + lines.Text()}
			}
			if e.Ready {
				once.Do(func() { close(ready) })
			}
			heard(e)
		}
		_ = p.cmd.Wait()
		close(p.done)
	}()
	if err := <-started; err != nil {
		return nil, err
	}
	select {
	case <-ready:
		return p, nil
	case <-p.done:
		return nil, fmt.Errorf("%s ended before it was ready, see %s", role, log)
	case <-time.After(time.Minute):
	case <-ctx.Done():
	}
	p.kill()
	return nil, fmt.Errorf("%s is not ready, see %s", role, log)
}

func (p *process) alive() bool {
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

func (p *process) signal(s syscall.Signal) {
	if p.alive() {
		_ = syscall.Kill(p.cmd.Process.Pid, s)
	}
}

// kill ends it at once.
func (p *process) kill() {
	p.signal(syscall.SIGKILL)
	<-p.done
}

// stop ends it in good order, or with force when that takes longer than patience.
func (p *process) stop(patience time.Duration) bool {
	p.mu.Lock()
	_ = p.stdin.Close()
	p.mu.Unlock()
	select {
	case <-p.done:
		return true
	case <-time.After(patience):
		p.kill()
		return false
	}
}

func (p *process) tell(c command) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return json.NewEncoder(p.stdin).Encode(c)
}

// voice is a child's standard output.
type voice struct{ mu sync.Mutex }

func (v *voice) say(e event) {
	v.mu.Lock()
	defer v.mu.Unlock()
	_ = json.NewEncoder(os.Stdout).Encode(e) // nobody is left to tell of an error
}

// child runs a role until the parent closes standard input.
func child(role func(ctx context.Context, config []byte, say func(event), commands <-chan command) error) int {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	commands := make(chan command)
	go func() {
		defer cancel()
		for d := json.NewDecoder(os.Stdin); ; {
			var c command
			if err := d.Decode(&c); err != nil {
				return
			}
			commands <- c
		}
	}()
	var v voice
	if err := role(ctx, []byte(os.Getenv(configVariable)), v.say, commands); err != nil && !errors.Is(err, context.Canceled) {
		fmt.Fprintln(os.Stderr, err)
		v.say(event{Fatal: err.Error()})
		return 1
	}
	return 0
}

// tails shows the end of each log.
func tails(t *testing.T, dir string) {
	logs, _ := filepath.Glob(filepath.Join(dir, "*.log"))
	for _, log := range logs {
		content, err := os.ReadFile(log)
		if err != nil {
			t.Log(err)
			continue
		}
		const most = 4000
		t.Logf("the end of %s:\n%s", filepath.Base(log), content[max(0, len(content)-most):])
	}
}
