package codec_test

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"math"
	"os"
	"slices"
	"strconv"
	"testing"

	"github.com/attune-calls/attune/codec"
	"github.com/attune-calls/attune/model"
)

// heard is one line of testdata/surface.csv: what metrics said of one condition, mean over the clips of its split.
type heard struct {
	split string
	in    model.QualityInput
	mos   float64
}

// fitness is how well an estimate agrees with what was heard.
type fitness struct {
	RankCorrelation float64 `json:"rankCorrelation"`
	RMSE            float64 `json:"rmse"`
	Bias            float64 `json:"bias"`
}

// TestSurfaceErrors computes the error table of docs/quality.md again and fails when the surface has become worse than
// stated, or than the E-model.
func TestSurfaceErrors(t *testing.T) {
	var stated map[string]struct {
		Conditions       int
		Measured, Emodel fitness
	}
	data, err := os.ReadFile("testdata/surface_errors.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &stated); err != nil {
		t.Fatal(err)
	}
	all := readHeard(t)
	const rounding = 0.003 // of the scores in the file
	for _, split := range []string{"fit", "held-out"} {
		rows := slices.DeleteFunc(slices.Clone(all), func(h heard) bool { return h.split != split })
		want := stated[split]
		if len(rows) != want.Conditions || len(rows) < 100 {
			t.Errorf("%s: %d conditions, %d stated", split, len(rows), want.Conditions)
			continue
		}
		surface, emodel := fit(rows, codec.Measured{}.MOS), fit(rows, codec.Fullband{}.MOS)
		t.Logf("%-8s  %d conditions  surface %+v  e-model %+v", split, len(rows), surface, emodel)
		if surface.RankCorrelation < want.Measured.RankCorrelation-rounding || surface.RMSE > want.Measured.RMSE+rounding {
			t.Errorf("%s: %+v, stated %+v", split, surface, want.Measured)
		}
		if surface.RankCorrelation < 0.95 || surface.RMSE > 0.3 || math.Abs(surface.Bias) > 0.1 {
			t.Errorf("%s: %+v is no surface to trust", split, surface)
		}
		if surface.RMSE >= emodel.RMSE || surface.RankCorrelation <= emodel.RankCorrelation {
			t.Errorf("%s: the surface, %+v, is no better than the e-model, %+v", split, surface, emodel)
		}
	}
}

func fit(rows []heard, estimate func(model.QualityInput) float64) fitness {
	said, mos := make([]float64, len(rows)), make([]float64, len(rows))
	var f fitness
	for i, h := range rows {
		said[i], mos[i] = estimate(h.in), h.mos
		f.Bias += said[i] - mos[i]
		f.RMSE += (said[i] - mos[i]) * (said[i] - mos[i])
	}
	f.Bias /= float64(len(rows))
	f.RMSE = math.Sqrt(f.RMSE / float64(len(rows)))
	f.RankCorrelation = correlation(ranks(said), ranks(mos))
	return f
}

// ranks are 1..n, ties sharing their mean rank.
func ranks(values []float64) []float64 {
	sorted := slices.Sorted(slices.Values(values))
	out := make([]float64, len(values))
	for i, v := range values {
		first, found := slices.BinarySearch(sorted, v)
		last := first
		for found && last < len(sorted) && sorted[last] == v {
			last++
		}
		out[i] = float64(first+1+last) / 2
	}
	return out
}

func correlation(a, b []float64) float64 {
	var meanA, meanB, ab, aa, bb float64
	for i := range a {
		meanA += a[i] / float64(len(a))
		meanB += b[i] / float64(len(a))
	}
	for i := range a {
		x, y := a[i]-meanA, b[i]-meanB
		ab, aa, bb = ab+x*y, aa+x*x, bb+y*y
	}
	return ab / math.Sqrt(aa*bb)
}

func readHeard(t *testing.T) []heard {
	t.Helper()
	data, err := os.ReadFile("testdata/surface.csv")
	if err != nil {
		t.Fatal(err)
	}
	records, err := csv.NewReader(bytes.NewReader(data)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	column := make(map[string]int)
	for i, name := range records[0] {
		column[name] = i
	}
	rows := make([]heard, 0, len(records))
	for _, record := range records[1:] {
		number := func(name string) float64 {
			v, err := strconv.ParseFloat(record[column[name]], 64)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			return v
		}
		h := heard{split: record[column["split"]], mos: number("mos")}
		h.in.Action = opusAction(uint8(number("kbps")), model.BandwidthUnknown)
		if err := h.in.Action.Bandwidth.UnmarshalText([]byte(record[column["band"]])); err != nil {
			t.Fatal(err)
		}
		h.in.Action.FrameMillis, h.in.Action.ExpectedLoss = uint8(number("frame")), uint8(number("fec"))
		h.in.Action.DTX = number("dtx") > 0
		if depth := uint8(number("red")); depth > 0 {
			h.in.Action.Codec, h.in.Action.REDDepth = model.CodecOpusRED, depth
		}
		h.in.Loss, h.in.BurstRatio = number("loss"), number("burst")
		rows = append(rows, h)
	}
	return rows
}
