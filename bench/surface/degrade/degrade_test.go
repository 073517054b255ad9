package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/attune-calls/attune/codec/wav"
	"github.com/attune-calls/attune/model"
)

// buzz writes bursts of a tone with overtones.
func buzz(t *testing.T, seconds int) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "buzz.wav")
	w, err := wav.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	pcm := make([]int16, 48000*seconds)
	for i := range pcm {
		at := float64(i) / 48000
		loud := math.Max(0, math.Sin(2*math.Pi*0.7*at))
		pcm[i] = int16(5000 * loud * (math.Sin(2*math.Pi*180*at) + 0.5*math.Sin(2*math.Pi*720*at)))
	}
	if err := w.Write(pcm); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

func do(t *testing.T, j job) (answer, []byte) {
	t.Helper()
	line, err := json.Marshal(j)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := run(bytes.NewReader(line), &out); err != nil {
		t.Fatal(err)
	}
	var a answer
	if err := json.Unmarshal(out.Bytes(), &a); err != nil {
		t.Fatal(err)
	}
	sound, err := os.ReadFile(j.Out)
	if err != nil {
		t.Fatal(err)
	}
	return a, sound
}

func TestLossAndRepair(t *testing.T) {
	in, out := buzz(t, 12), filepath.Join(t.TempDir(), "out.wav")
	plain := model.DefaultAction()
	plain.BitrateKbps, plain.ExpectedLoss = 24, 0
	fec, red := plain, plain
	fec.ExpectedLoss = 20
	red.Codec, red.REDDepth = model.CodecOpusRED, 2
	independent := lossModel{Mean: 0.15}
	for _, test := range []struct {
		name         string
		action       model.Action
		loss         lossModel
		sent, played [2]float64 // bounds of the loss on the way and after repair
		burst        [2]float64
	}{
		{"nothing lost", plain, lossModel{}, [2]float64{0, 0}, [2]float64{0, 0}, [2]float64{1, 1}},
		{"no protection", plain, independent, [2]float64{0.1, 0.2}, [2]float64{0.1, 0.2}, [2]float64{1, 1.3}},
		{"bursts", plain, lossModel{Mean: 0.15, Burst: 4}, [2]float64{0.05, 0.25}, [2]float64{0.05, 0.25}, [2]float64{2, 7}},
		{"fec", fec, independent, [2]float64{0.1, 0.2}, [2]float64{0, 0.09}, [2]float64{1, 1.3}},
		{"red", red, independent, [2]float64{0.1, 0.2}, [2]float64{0, 0.02}, [2]float64{1, 1.3}},
	} {
		j := job{In: in, Out: out, Action: test.action, Loss: test.loss, Seed: 5}
		a, sound := do(t, j)
		between := func(what string, v float64, bounds [2]float64) {
			if !(v >= bounds[0] && v <= bounds[1]) {
				t.Errorf("%s: %s %v, want %v", test.name, what, v, bounds)
			}
		}
		between("sent loss", a.SentLoss, test.sent)
		between("loss", a.Loss, test.played)
		between("burst ratio", a.Burst, test.burst)
		between("kbps", a.Kbps, [2]float64{float64(test.action.BitrateKbps) / 2, float64(test.action.BitrateKbps) * 1.2 * float64(1+test.action.REDDepth)})
		if _, again := do(t, j); !bytes.Equal(sound, again) {
			t.Errorf("%s: the same job sounds different", test.name)
		}
	}
}

func TestMask(t *testing.T) {
	mask := filepath.Join(t.TempDir(), "mask.txt")
	if err := os.WriteFile(mask, []byte(strings.Repeat("0\n0\n0\n1\n", 10)), 0o600); err != nil {
		t.Fatal(err)
	}
	a, _ := do(t, job{In: buzz(t, 8), Out: filepath.Join(t.TempDir(), "out.wav"), Action: model.DefaultAction(), Loss: lossModel{Mask: mask}, Seed: 1})
	if math.Abs(a.SentLoss-0.25) > 0.01 || a.Burst != 1 {
		t.Errorf("every fourth packet lost: %+v", a)
	}
}

func TestRefuses(t *testing.T) {
	in := buzz(t, 8)
	action, err := json.Marshal(model.DefaultAction())
	if err != nil {
		t.Fatal(err)
	}
	for name, line := range map[string]string{
		"no json":       "loud",
		"unknown field": `{"volume":11}`,
		"no file":       `{"in":"nowhere.wav","out":"x.wav","action":` + string(action) + `}`,
		"no action":     fmt.Sprintf(`{"in":%q,"out":"x.wav"}`, in),
		"no process":    fmt.Sprintf(`{"in":%q,"out":"x.wav","action":%s,"loss":{"mean":1.5}}`, in, action),
		"no mask":       fmt.Sprintf(`{"in":%q,"out":"x.wav","action":%s,"loss":{"mask":"nowhere.txt"}}`, in, action),
		"too short":     fmt.Sprintf(`{"in":%q,"out":"x.wav","action":%s}`, buzz(t, 1), action),
	} {
		if err := run(strings.NewReader(line), &bytes.Buffer{}); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
