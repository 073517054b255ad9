package policy

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"time"

	"github.com/attune-calls/attune/model"
)

var (
	namePattern  = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,31}$`)
	saltPattern  = regexp.MustCompile(`^[!-~]{1,64}$`)
	modelPattern = regexp.MustCompile(`^model-[0-9a-f]{64}\.safetensors$`)
	// RFC 7065, section 3.1, without the user part that RFC 7065 forbids too.
	turnPattern = regexp.MustCompile(`^turns?:([A-Za-z0-9][A-Za-z0-9.-]{0,252}|\[[0-9A-Fa-f:.]{2,45}\])(:[0-9]{1,5})?(\?transport=(udp|tcp))?$`)
)

// Validate reports every fault of d, each with its field; errors.Join holds them. A nil error means that Parse takes
// what Marshal writes, given the models.
func (d *Document) Validate() error {
	v := validator{}
	if d.Format != Format {
		v.report("format", "%d, want %d", d.Format, Format)
	}
	if d.FeatureSpec != model.FeatureSpec {
		v.report("featureSpec", "%d, this program computes %d", d.FeatureSpec, model.FeatureSpec)
	}
	if d.Version == 0 {
		v.report("version", "0 is the compiled-in default; published ones start at 1")
	}
	if d.Version > model.MaxPolicyVersion {
		v.report("version", "%d is above %d, the largest that reports can tell; count from 1", d.Version, model.MaxPolicyVersion)
	}
	v.time("created", d.Created)
	v.time("expires", d.Expires)
	if !d.Expires.After(d.Created) {
		v.report("expires", "%s is not after created, %s", d.Expires.Format(time.RFC3339), d.Created.Format(time.RFC3339))
	}
	v.sites(d.Sites)
	v.catalogue(d.Catalogue, d.Sites)
	if err := d.Price.Validate(); err != nil {
		v.report("price", "%w", err)
	}
	if d.IntervalSeconds < 2 || d.IntervalSeconds > 60 {
		v.report("intervalSeconds", "%d is outside 2..60", d.IntervalSeconds)
	}
	d.Envelope.validate(SafeEnvelope(), v.report)
	v.arms(d)
	return errors.Join(v.faults...)
}

type validator struct{ faults []error }

func (v *validator) report(field, format string, args ...any) {
	v.faults = append(v.faults, fmt.Errorf("%s: "+format, append([]any{field}, args...)...))
}

func (v *validator) time(field string, t time.Time) {
	if _, offset := t.Zone(); offset != 0 || t.Location() != time.UTC || t.Nanosecond() != 0 || t.Year() < 2000 || t.Year() > 9999 {
		v.report(field, "%s is not a whole second in UTC from 2000 on; use t.UTC().Truncate(time.Second)", t.Format(time.RFC3339Nano))
	}
}

func (v *validator) sites(sites []Site) {
	if len(sites) > MaxSites {
		v.report("sites", "%d sites, at most %d", len(sites), MaxSites)
	}
	for i, s := range sites {
		field := fmt.Sprintf("sites[%d]", i)
		if s.ID == 0 {
			v.report(field+".id", "0 means a direct path; sites start at 1")
		}
		if i > 0 && s.ID <= sites[i-1].ID {
			v.report(field+".id", "%d does not follow %d: sites ascend by id", s.ID, sites[i-1].ID)
		}
		if !namePattern.MatchString(s.Name) {
			v.report(field+".name", "%q does not match %s", s.Name, namePattern)
		}
		if len(s.URLs) == 0 || len(s.URLs) > 4 {
			v.report(field+".urls", "%d URLs, want 1..4", len(s.URLs))
		}
		for j, url := range s.URLs {
			if !turnPattern.MatchString(url) {
				v.report(fmt.Sprintf("%s.urls[%d]", field, j), "%q is not a turn: or turns: URL without credentials (RFC 7065)", url)
			}
		}
	}
}

func (v *validator) catalogue(c model.Catalogue, sites []Site) {
	if len(c) == 0 || len(c) > model.MaxCatalogue {
		v.report("catalogue", "%d actions, want 1..%d", len(c), model.MaxCatalogue)
		return
	}
	safe := SafeEnvelope()
	seen := make(map[model.Action]int, len(c))
	for i, a := range c {
		field := fmt.Sprintf("catalogue[%d]", i)
		if err := safe.Check(a); err != nil {
			v.report(field, "%w", err)
		} else if a.Codec == model.CodecPCMU && (a.BitrateKbps != 64 || a.Bandwidth != model.BandwidthNarrow || a.FEC()) {
			v.report(field, "%v: pcmu is 64 kbps narrowband without in-band FEC", a)
		}
		if j, twice := seen[a]; twice {
			v.report(field, "the same as catalogue[%d]: %v", j, a)
		}
		seen[a] = i
		known := slices.ContainsFunc(sites, func(s Site) bool { return s.ID == a.Site })
		if a.Transport != model.TransportDirect && !known {
			v.report(field+".site", "%d is not one of the sites", a.Site)
		}
	}
}

func (v *validator) arms(d *Document) {
	switch {
	case len(d.Arms) == 0 || len(d.Arms) > MaxArms:
		v.report("arms", "%d arms, want 1..%d", len(d.Arms), MaxArms)
	case d.Experiment.Number == 0 && len(d.Arms) > 1:
		v.report("arms", "%d arms without an experiment; set experiment.number", len(d.Arms))
	}
	switch {
	case d.Experiment.Number > model.MaxExperiment:
		v.report("experiment.number", "%d is above %d, the largest that reports can tell", d.Experiment.Number, model.MaxExperiment)
	case d.Experiment.Number == 0 && d.Experiment.Salt != "":
		v.report("experiment.salt", "set without an experiment; set experiment.number")
	case d.Experiment.Number != 0 && !saltPattern.MatchString(d.Experiment.Salt):
		v.report("experiment.salt", "%q does not match %s", d.Experiment.Salt, saltPattern)
	}
	var sum uint64
	for i := range d.Arms {
		arm := &d.Arms[i]
		field := fmt.Sprintf("arms[%d]", i)
		sum += uint64(arm.Weight)
		if !namePattern.MatchString(arm.Name) {
			v.report(field+".name", "%q does not match %s", arm.Name, namePattern)
		}
		if slices.ContainsFunc(d.Arms[:i], func(a Arm) bool { return a.Name == arm.Name }) {
			v.report(field+".name", "%q names two arms", arm.Name)
		}
		if arm.Model != "" && !modelPattern.MatchString(arm.Model) {
			v.report(field+".model", "%q does not match %s", arm.Model, modelPattern)
		}
		v.defaults(field+".default", d, arm)
		v.exploration(field+".exploration", arm)
	}
	if len(d.Arms) > 0 && sum != WeightScale {
		v.report("arms", "weights sum to %d, want %d", sum, WeightScale)
	}
}

func (v *validator) defaults(field string, d *Document, arm *Arm) {
	if _, ok := arm.Default[model.NetworkUnknown]; !ok {
		v.report(field+".unknown", "missing: it serves every network type not listed")
	}
	for _, network := range slices.Sorted(maps.Keys(arm.Default)) {
		at := fmt.Sprintf("%s.%v", field, network)
		index := arm.Default[network]
		switch {
		case !network.Valid():
			v.report(at, "not a network type")
		case index < 0 || index >= len(d.Catalogue):
			v.report(at, "%d is not an index of the catalogue of %d actions", index, len(d.Catalogue))
		default:
			if err := d.Envelope.Check(d.Catalogue[index]); err != nil {
				v.report(at, "%w", err)
			}
		}
	}
}

func (v *validator) exploration(field string, arm *Arm) {
	e := &arm.Exploration
	for _, network := range slices.Sorted(maps.Keys(e.Share)) {
		at := fmt.Sprintf("%s.share.%v", field, network)
		if !network.Valid() {
			v.report(at, "not a network type")
		}
		if share := e.Share[network]; !(share >= 0 && share <= 1) {
			v.report(at, "%v is outside 0..1", share)
		}
	}
	if !(e.Bound >= 0 && e.Bound <= 4) {
		v.report(field+".bound", "%v is outside 0..4", e.Bound)
	}
	if !(e.Gamma >= 0 && e.Gamma <= 1e6) {
		v.report(field+".gamma", "%v is outside 0..1000000", e.Gamma)
	}
	if !(e.Hold >= 0 && e.Hold <= 0.95) {
		v.report(field+".hold", "%v is outside 0..0.95", e.Hold)
	}
	if arm.Model != "" && e.Hold != 0 {
		v.report(field+".hold", "%v, but an arm with a model does not hold", e.Hold)
	}
	if arm.Model == "" && (e.Bound != 0 || e.Gamma != 0) {
		v.report(field, "bound and gamma need a model; a static arm explores uniformly")
	}
}
