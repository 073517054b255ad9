package telemetry

import (
	"encoding/binary"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/attune-calls/attune/model"
)

// Unmarshal reads an encoded report into r and uses the capacity of r.Segments. It checks sizes before it parses, skips
// fields it does not know, and leaves what the values mean to Validate. Its error is a RejectError, or a
// NewerSchemaError when the report must wait for a newer reader; what r holds is then undefined.
func Unmarshal(b []byte, r *Report) error {
	if len(b) > MaxReportSize {
		return reject(RejectTooLarge, "%d bytes, at most %d are taken", len(b), MaxReportSize)
	}
	schema, err := schemaOf(b)
	switch {
	case err != nil:
		return err
	case schema > SchemaVersion:
		return &NewerSchemaError{Schema: schema}
	case schema == 0:
		return reject(RejectSchema, "no schema version")
	}
	*r = Report{Schema: uint16(schema), Segments: r.Segments[:0]}

	s := sheets.Get().(*sheet)
	defer sheets.Put(s)
	s.begin()
	if err := eachField(b, func(f field) error { return r.take(s, f) }); err != nil {
		return err
	}
	if len(s.situations) > 0 {
		s.situations[0].describe(&r.Context)
	}
	return s.restore(r)
}

// schemaOf finds the schema version before anything else is believed.
func schemaOf(b []byte) (schema uint64, err error) {
	err = eachField(b, func(f field) error {
		if f.number == fieldSchema {
			schema = f.value
			return f.want(protowire.VarintType)
		}
		return nil
	})
	return schema, err
}

// take reads one field of the message Report.
func (r *Report) take(s *sheet, f field) error {
	switch f.number {
	case fieldSchema:
		return nil
	case fieldIDHigh:
		binary.BigEndian.PutUint64(r.ID[:8], f.value)
		return f.want(protowire.Fixed64Type)
	case fieldIDLow:
		binary.BigEndian.PutUint64(r.ID[8:], f.value)
		return f.want(protowire.Fixed64Type)
	case fieldHour:
		return number(f, RejectHour, &r.Hour)
	case fieldOrigin:
		return number(f, RejectCall, &r.Origin)
	case fieldStack:
		return number(f, RejectCall, &r.Stack)
	case fieldStage:
		return number(f, RejectCall, &r.Stage)
	case fieldDropped:
		r.Dropped = protowire.DecodeBool(f.value)
		return f.want(protowire.VarintType)
	case fieldDuration:
		return number(f, RejectCall, &r.Duration)
	case fieldRating:
		return number(f, RejectCall, &r.Rating)
	case fieldProblems:
		return number(f, RejectCall, &r.Problems)
	case fieldRefusals:
		return r.takeRefusals(s, f)
	case fieldSituations:
		return row(f, &s.situations, maxSituations, takeSituation)
	case fieldActions:
		return row(f, &s.actions, maxActions, takeAction)
	case fieldDeciders:
		return row(f, &s.deciders, maxDeciders, takeDecider)
	case fieldSegments:
		if err := f.want(protowire.BytesType); err != nil {
			return err
		}
		return eachField(f.bytes, s.takeColumn)
	case fieldLostSegments:
		return number(f, RejectCounter, &r.LostSegments)
	case fieldLostReports:
		return number(f, RejectCounter, &r.LostReports)
	case fieldStars:
		return number(f, RejectCall, &r.Stars)
	case fieldProblem:
		return number(f, RejectCall, &r.Problem)
	}
	return nil
}

// takeRefusals counts by reason; reasons this reader does not know yet are skipped. Column 0 is no column of segments
// and free for it.
func (r *Report) takeRefusals(s *sheet, f field) error {
	if err := s.takePacked(0, f); err != nil {
		return err
	}
	for i, n := range s.columns[0][:min(s.length[0], RefusalReasons)] {
		if n > 0xff {
			return reject(RejectCounter, "%d refusals of reason %d, at most 255 can be told", n, i)
		}
		r.Refusals[i] = uint8(n)
	}
	return nil
}

func takeSituation(f field, v *situation) error {
	switch f.number {
	case fieldSituationNetwork:
		return number(f, RejectContext, &v.network)
	case fieldSituationMetered:
		return number(f, RejectContext, &v.metered)
	case fieldSituationRegion:
		return number(f, RejectContext, &v.region)
	case fieldSituationDevice:
		return number(f, RejectContext, &v.device)
	case fieldSituationTimeOfDay:
		return number(f, RejectContext, &v.timeOfDay)
	case fieldSituationReach:
		return number(f, RejectContext, &v.reach)
	}
	return nil
}

func takeAction(f field, v *model.Action) error {
	switch f.number {
	case fieldActionCodec:
		return number(f, RejectAction, &v.Codec)
	case fieldActionBitrateKbps:
		return number(f, RejectAction, &v.BitrateKbps)
	case fieldActionBandwidth:
		return number(f, RejectAction, &v.Bandwidth)
	case fieldActionFrameMillis:
		return number(f, RejectAction, &v.FrameMillis)
	case fieldActionExpectedLoss:
		return number(f, RejectAction, &v.ExpectedLoss)
	case fieldActionREDDepth:
		return number(f, RejectAction, &v.REDDepth)
	case fieldActionDTX:
		v.DTX = protowire.DecodeBool(f.value)
		return f.want(protowire.VarintType)
	case fieldActionTransport:
		return number(f, RejectAction, &v.Transport)
	case fieldActionSite:
		return number(f, RejectAction, &v.Site)
	}
	return nil
}

func takeDecider(f field, v *decider) error {
	switch f.number {
	case fieldDeciderPolicy:
		return number(f, RejectSegment, &v.policy)
	case fieldDeciderExperiment:
		return number(f, RejectSegment, &v.experiment)
	case fieldDeciderArm:
		return number(f, RejectSegment, &v.arm)
	}
	return nil
}

// row reads one message of a table.
func row[T any](f field, table *[]T, limit int, take func(field, *T) error) error {
	if err := f.want(protowire.BytesType); err != nil {
		return err
	}
	if len(*table) == limit {
		return reject(RejectSegments, "more than %d entries of field %d", limit, f.number)
	}
	var zero T
	*table = append(*table, zero)
	v := &(*table)[len(*table)-1]
	return eachField(f.bytes, func(f field) error { return take(f, v) })
}

// narrowColumns are those whose values fit a byte, with the reason to refuse one that does not.
var narrowColumns = [columnEnd]RejectReason{
	columnCause: RejectSegment, columnSeconds: RejectSegment,
	columnContextRoundTripTime: RejectContext, columnContextJitter: RejectContext, columnContextLoss: RejectContext,
	columnContextBurst: RejectContext, columnContextBandwidth: RejectContext,
	columnMOS: RejectOutcome, columnLossBefore: RejectOutcome, columnLossAfter: RejectOutcome,
	columnConcealed: RejectOutcome, columnRoundTripTime: RejectOutcome, columnJitterBufferDelay: RejectOutcome,
	columnRate: RejectOutcome,
}

// restore turns the columns back into segments.
func (s *sheet) restore(r *Report) error {
	n := s.length[columnPropensity]
	for column := columnPropensity + 1; column < columnEnd; column++ {
		switch length := s.length[column]; {
		case column == columnExplored || column == columnPrevious && length == 0 || length == n:
		case length == 0:
			clear(s.columns[column][:n])
		default:
			return reject(RejectMalformed, "column %d has %d values for %d segments", column, length, n)
		}
	}
	for column, reason := range narrowColumns {
		if reason == RejectUnknown {
			continue
		}
		for i, v := range s.columns[column][:n] {
			if v > 0xff {
				return reject(reason, "column %d of segment %d holds %d, which no list or scale reaches", column, i, v)
			}
		}
	}
	r.Segments = slices.Grow(r.Segments, n)[:n]
	for i := range r.Segments {
		if err := s.segment(i, r.Segments); err != nil {
			return err
		}
	}
	for _, i := range s.columns[columnExplored][:s.length[columnExplored]] {
		if int(i) >= n {
			return reject(RejectMalformed, "explored segment %d of %d", i, n)
		}
		r.Segments[i].Explored = true
	}
	return nil
}

// segment restores segment i; those before it are complete.
func (s *sheet) segment(i int, segments []model.Segment) error {
	c := &s.columns
	situation, err := pick(s.situations, "situation", c[columnSituation][i])
	if err != nil {
		return err
	}
	decider, err := pick(s.deciders, "decider", c[columnDecider][i])
	if err != nil {
		return err
	}
	action, err := pick(s.actions, "action", c[columnAction][i])
	if err != nil {
		return err
	}
	g := &segments[i]
	*g = model.Segment{
		Propensity: c[columnPropensity][i], Action: action,
		Policy: decider.policy, Experiment: decider.experiment, Arm: decider.arm,
	}
	situation.describe(&g.Context)
	switch previous := c[columnPrevious][i]; {
	case s.length[columnPrevious] == 0 && i > 0:
		g.Context.Previous = segments[i-1].Action
	case s.length[columnPrevious] > 0 && previous > 0:
		if g.Context.Previous, err = pick(s.actions, "previous action", previous-1); err != nil {
			return err
		}
	}

	g.Cause, g.Seconds = model.Cause(c[columnCause][i]), uint8(c[columnSeconds][i])
	g.Context.RoundTripTime = model.Bucket(c[columnContextRoundTripTime][i])
	g.Context.Jitter = model.Bucket(c[columnContextJitter][i])
	g.Context.Loss = model.Bucket(c[columnContextLoss][i])
	g.Context.Burst = model.Bucket(c[columnContextBurst][i])
	g.Context.Bandwidth = model.Bucket(c[columnContextBandwidth][i])
	g.Outcome = model.Outcome{
		MOS:               model.Bucket(c[columnMOS][i]),
		LossBefore:        model.Bucket(c[columnLossBefore][i]),
		LossAfter:         model.Bucket(c[columnLossAfter][i]),
		Concealed:         model.Bucket(c[columnConcealed][i]),
		RoundTripTime:     model.Bucket(c[columnRoundTripTime][i]),
		JitterBufferDelay: model.Bucket(c[columnJitterBufferDelay][i]),
		Rate:              model.Bucket(c[columnRate][i]),
	}
	return nil
}

func pick[T any](table []T, name string, i uint32) (v T, err error) {
	if int64(i) >= int64(len(table)) {
		return v, reject(RejectMalformed, "%s %d of %d", name, i, len(table))
	}
	return table[i], nil
}
