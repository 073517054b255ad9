package policy_test

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/attune-calls/attune/model"
	"github.com/attune-calls/attune/policy"
)

func TestValidateNamesEveryFault(t *testing.T) {
	longSites := make([]policy.Site, policy.MaxSites+1)
	for i := range longSites {
		longSites[i] = policy.Site{ID: model.Site(i + 1), Name: fmt.Sprint("s", i), URLs: []string{"turn:a.example"}}
	}
	for _, c := range []struct {
		field string
		spoil func(*policy.Document)
	}{
		{"format", func(d *policy.Document) { d.Format = 2 }},
		{"featureSpec", func(d *policy.Document) { d.FeatureSpec++ }},
		{"version", func(d *policy.Document) { d.Version = 0 }},
		{"version", func(d *policy.Document) { d.Version = 20261123 }},
		{"experiment.number", func(d *policy.Document) { d.Experiment.Number = 1 << 20 }},
		{"created", func(d *policy.Document) { d.Created = d.Created.Add(time.Millisecond) }},
		{"created", func(d *policy.Document) { d.Created = d.Created.In(time.FixedZone("CET", 3600)) }},
		{"expires", func(d *policy.Document) { d.Expires = d.Created }},
		{"expires", func(d *policy.Document) { d.Expires = time.Time{} }},
		{"sites", func(d *policy.Document) { d.Sites = longSites }},
		{"sites[0].id", func(d *policy.Document) { d.Sites[0].ID = 0 }},
		{"sites[1].id", func(d *policy.Document) { d.Sites[1].ID = 1 }},
		{"sites[0].name", func(d *policy.Document) { d.Sites[0].Name = "" }},
		{"sites[0].name", func(d *policy.Document) { d.Sites[0].Name = "a b" }},
		{"sites[0].urls", func(d *policy.Document) { d.Sites[0].URLs = nil }},
		{"sites[0].urls[0]", func(d *policy.Document) { d.Sites[0].URLs[0] = "turn:user:secret@fra.example.org" }},
		{"sites[0].urls[0]", func(d *policy.Document) { d.Sites[0].URLs[0] = "https://fra.example.org" }},
		{"sites[0].urls[0]", func(d *policy.Document) { d.Sites[0].URLs[0] = "stun:fra.example.org" }},
		{"catalogue", func(d *policy.Document) { d.Catalogue = nil }},
		{"catalogue", func(d *policy.Document) { d.Catalogue = make(model.Catalogue, model.MaxCatalogue+1) }},
		{"catalogue[0]", func(d *policy.Document) { d.Catalogue[0] = model.Action{} }},
		{"catalogue[0]", func(d *policy.Document) { d.Catalogue[0].BitrateKbps = 65 }},
		{"catalogue[0]", func(d *policy.Document) { d.Catalogue[0].ExpectedLoss = 41 }},
		{"catalogue[0]", func(d *policy.Document) {
			d.Catalogue[0].Codec, d.Catalogue[0].REDDepth = model.CodecOpusRED, 3
		}},
		{"catalogue[1]", func(d *policy.Document) { // 3 x 64 kbps: each bound holds, the wire rate does not
			d.Catalogue[1].Codec, d.Catalogue[1].REDDepth, d.Catalogue[1].BitrateKbps = model.CodecOpusRED, 2, 64
		}},
		{"catalogue[0]", func(d *policy.Document) { d.Catalogue[0].Codec = model.CodecPCMU }},
		{"catalogue[1]", func(d *policy.Document) { d.Catalogue[1] = d.Catalogue[0] }},
		{"catalogue[2].site", func(d *policy.Document) { d.Catalogue[2].Site = 9 }},
		{"catalogue[2].site", func(d *policy.Document) { d.Catalogue[2].Site = 0 }},
		{"price", func(d *policy.Document) { d.Price.MOSPerKbps = -1 }},
		{"intervalSeconds", func(d *policy.Document) { d.IntervalSeconds = 1 }},
		{"intervalSeconds", func(d *policy.Document) { d.IntervalSeconds = 61 }},
		{"envelope.minBitrateKbps", func(d *policy.Document) { d.Envelope.MinBitrateKbps = 5 }},
		{"envelope.minBitrateKbps", func(d *policy.Document) { d.Envelope.MinBitrateKbps, d.Envelope.MaxBitrateKbps = 33, 32 }},
		{"envelope.maxBitrateKbps", func(d *policy.Document) { d.Envelope.MaxBitrateKbps = 65 }},
		{"envelope.maxFrameMillis", func(d *policy.Document) { d.Envelope.MaxFrameMillis = 121 }},
		{"envelope.maxFrameMillis", func(d *policy.Document) { d.Envelope.MaxFrameMillis = 10 }},
		{"envelope.maxExpectedLoss", func(d *policy.Document) { d.Envelope.MaxExpectedLoss = 41 }},
		{"envelope.maxRedDepth", func(d *policy.Document) { d.Envelope.MaxREDDepth = 3 }},
		{"envelope.transports", func(d *policy.Document) { d.Envelope.Transports = nil }},
		{"envelope.transports[0]", func(d *policy.Document) { d.Envelope.Transports[0] = model.TransportUnknown }},
		{"envelope.transports[1]", func(d *policy.Document) { d.Envelope.Transports[1] = model.TransportDirect }},
		{"experiment.salt", func(d *policy.Document) { d.Experiment.Salt = "" }},
		{"experiment.salt", func(d *policy.Document) { d.Experiment.Number = 0 }},
		{"arms", func(d *policy.Document) { d.Experiment = policy.Experiment{} }},
		{"arms", func(d *policy.Document) { d.Arms = nil }},
		{"arms", func(d *policy.Document) { d.Arms = append(d.Arms, d.Arms...); d.Arms = append(d.Arms, d.Arms[0]) }},
		{"arms", func(d *policy.Document) { d.Arms[0].Weight++ }},
		{"arms[1].name", func(d *policy.Document) { d.Arms[1].Name = d.Arms[0].Name }},
		{"arms[0].name", func(d *policy.Document) { d.Arms[0].Name = "two words" }},
		{"arms[1].model", func(d *policy.Document) { d.Arms[1].Model = "../model.safetensors" }},
		{"arms[0].default.unknown", func(d *policy.Document) { delete(d.Arms[0].Default, model.NetworkUnknown) }},
		{"arms[0].default.2g", func(d *policy.Document) { d.Arms[0].Default[model.Network2G] = 5 }},
		{"arms[0].default.2g", func(d *policy.Document) { d.Arms[0].Default[model.Network2G] = -1 }},
		{"arms[0].default.unknown", func(d *policy.Document) { d.Envelope.MaxBitrateKbps = 16 }},
		{"arms[0].default.invalid(99)", func(d *policy.Document) { d.Arms[0].Default[99] = 0 }},
		{"arms[1].exploration.share.4g", func(d *policy.Document) { d.Arms[1].Exploration.Share[model.Network4G] = 1.5 }},
		{"arms[1].exploration.share.4g", func(d *policy.Document) { d.Arms[1].Exploration.Share[model.Network4G] = math.NaN() }},
		{"arms[1].exploration.share.invalid(8)", func(d *policy.Document) { d.Arms[1].Exploration.Share[8] = 0 }},
		{"arms[1].exploration.bound", func(d *policy.Document) { d.Arms[1].Exploration.Bound = -1 }},
		{"arms[1].exploration.gamma", func(d *policy.Document) { d.Arms[1].Exploration.Gamma = math.Inf(1) }},
		{"arms[0].exploration", func(d *policy.Document) { d.Arms[0].Exploration.Gamma = 1 }},
	} {
		d, _ := experimentDocument(t)
		if err := d.Validate(); err != nil {
			t.Fatal(err)
		}
		c.spoil(&d)
		err := d.Validate()
		if err == nil {
			t.Errorf("%s: not found", c.field)
			continue
		}
		found := false
		for line := range strings.Lines(err.Error()) {
			found = found || strings.HasPrefix(line, c.field+": ")
		}
		if !found {
			t.Errorf("%s: not named in:\n%v", c.field, err)
		}
		if b, err := d.Marshal(); err == nil || b != nil {
			t.Errorf("%s: marshalled all the same", c.field)
		}
	}
}

func TestValidateReportsAllFaultsAtOnce(t *testing.T) {
	d, _ := experimentDocument(t)
	d.Version, d.IntervalSeconds, d.Arms[0].Name = 0, 0, ""
	err := d.Validate()
	for _, field := range []string{"version: ", "intervalSeconds: ", "arms[0].name: "} {
		if err == nil || !strings.Contains(err.Error(), field) {
			t.Errorf("no %q in: %v", field, err)
		}
	}
}

func TestSafeEnvelopeHoldsTheDefaults(t *testing.T) {
	safe := policy.SafeEnvelope()
	for _, a := range append(model.DefaultCatalogue(), model.DefaultAction()) {
		if err := safe.Check(a); err != nil {
			t.Error(a, err)
		}
	}
}

func TestLimitsValidate(t *testing.T) {
	all := policy.SafeEnvelope().Transports
	for _, c := range []struct {
		limits policy.Limits
		want   string
	}{
		{policy.Limits{}, ""},
		{policy.Limits{ForbiddenTransports: all[:3], ForbiddenCodecs: []model.Codec{model.CodecOpus}, MaxBitrateKbps: 6}, ""},
		{policy.Limits{ForbiddenTransports: all}, "every transport"},
		{policy.Limits{ForbiddenCodecs: []model.Codec{model.CodecPCMU, model.CodecOpus}}, "opus and pcmu"},
		{policy.Limits{MaxBitrateKbps: 5}, "5 kbps"},
	} {
		err := c.limits.Validate()
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v, want %q", c.limits, err, c.want)
		}
	}
}
