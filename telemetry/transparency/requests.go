package transparency

import (
	"cmp"
	"slices"
)

// requestsOf verifies the log and counts. A log that does not verify is not counted at all: its figures could be anybody's.
func requestsOf(text []byte, trusted []PublicKey, since, until Day) Requests {
	r := Requests{State: LogVerified, Keys: []string{}, Jurisdictions: []JurisdictionCount{}, List: []NumberedRequest{}}
	for _, key := range trusted {
		r.Keys = append(r.Keys, key.String())
	}
	log, err := ReadLog(text, trusted...)
	switch {
	case err != nil:
		r.State, r.Fault = LogAltered, err.Error()
	case len(log) == 0:
		r.State = LogEmpty
	case len(trusted) == 0:
		r.State = LogUnanchored
		for i := range log {
			if !slices.Contains(r.Keys, log[i].Key) {
				r.Keys = append(r.Keys, log[i].Key)
			}
		}
	}
	if len(log) > 0 {
		r.Entries, r.Head = len(log), log.Head()
	}
	kinds, places := make(map[Kind]*KindCount), make(map[string]*JurisdictionCount)
	for _, k := range Kinds() {
		kinds[k] = &KindCount{Kind: k.String()}
	}
	for _, q := range log.Requests() {
		kind, place := kinds[q.Kind], places[q.Jurisdiction]
		if place == nil {
			place = &JurisdictionCount{Jurisdiction: q.Jurisdiction}
			places[q.Jurisdiction] = place
		}
		kind.Ever++
		place.Ever++
		if q.Answer == AnswerNone {
			kind.Open++
		}
		if q.Answer == AnswerReports {
			kind.Handed++
		}
		within := func(day Day) bool { return day >= since && day < until }
		if within(q.Received) {
			kind.Period++
			place.Period++
		}
		if within(q.Received) || within(q.Answered) {
			r.List = append(r.List, q)
		}
	}
	for _, k := range Kinds() {
		r.Kinds = append(r.Kinds, *kinds[k])
	}
	for _, place := range places {
		r.Jurisdictions = append(r.Jurisdictions, *place)
	}
	slices.SortFunc(r.Jurisdictions, func(a, b JurisdictionCount) int { return cmp.Compare(a.Jurisdiction, b.Jurisdiction) })
	return r
}

// ever is how many requests there were, and how many of them were answered with stored reports.
func (r *Requests) ever() (requests, handed int) {
	for _, k := range r.Kinds {
		requests += k.Ever
		handed += k.Handed
	}
	return requests, handed
}
