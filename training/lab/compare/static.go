package compare

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"github.com/attune-calls/attune/model"
	"github.com/attune-calls/attune/policy"
	"github.com/attune-calls/attune/training/lab/internal/inorder"
	"github.com/attune-calls/attune/training/lab/suite"
)

// The best static action of a network type is found by sequential halving (Karnin, Koren, Somekh, "Almost optimal
// exploration in multi-armed bandits", ICML 2013), here quartering: each round makes further calls with the actions
// that are left, all on the same networks and seeds, and keeps those of the highest mean quality so far.
var searchRounds = []struct{ calls, keep int }{{16, 64}, {32, 16}, {80, 4}, {128, 1}}

// searchSeed keeps the calls of the search apart from those of the comparison.
const searchSeed = 0x626573745f737461

// search is how far the search for the best static actions is. It is kept in the journal after each round.
type search struct {
	Found  map[model.NetworkType]model.Action `json:"found,omitempty"`  // complete
	Rounds int                                `json:"rounds,omitempty"` // complete of the type under way
	Left   []contested                        `json:"left,omitempty"`   // actions that they left, the best first
}

// contested is an action of the catalogue and the sum of the qualities it had so far.
type contested struct {
	Index   int     `json:"index"`
	Quality float64 `json:"quality"`
}

// searchStatic finds the best action for each network type of the training split, and for all of it as
// model.NetworkUnknown, which serves the types that are not in it. It goes on from the last complete round.
func (r *runner) searchStatic(ctx context.Context) error {
	train := r.config.Suite.Train()
	if len(train) == 0 {
		return errors.New(`best-static learns from the training split, and the suite has no network there`)
	}
	s := &r.state.Search
	if s.Found == nil {
		s.Found = map[model.NetworkType]model.Action{}
	}
	for _, t := range typesOf(train) {
		part := &suite.Suite{Name: r.config.Suite.Name, Networks: train}
		if t != model.NetworkUnknown {
			part.Networks = slices.DeleteFunc(slices.Clone(train), func(n suite.Network) bool { return n.Type != t })
		}
		for !s.has(t) {
			left, err := r.searchRound(ctx, part, uint64(t))
			if err != nil {
				return err
			}
			s.Rounds, s.Left = s.Rounds+1, left
			if s.Rounds == len(searchRounds) {
				s.Found[t] = r.config.Catalogue[left[0].Index]
				s.Rounds, s.Left = 0, nil
			}
			if err := r.save(); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *search) has(t model.NetworkType) bool {
	_, found := s.Found[t]
	return found
}

// typesOf lists model.NetworkUnknown and the types that occur, ascending.
func typesOf(networks []suite.Network) []model.NetworkType {
	types := []model.NetworkType{model.NetworkUnknown}
	for i := range networks {
		types = append(types, networks[i].Type)
	}
	slices.Sort(types)
	return slices.Compact(types)
}

// searchRound makes the calls of the next round, and gives the actions that it leaves, the best first.
func (r *runner) searchRound(ctx context.Context, part *suite.Suite, stream uint64) ([]contested, error) {
	left := slices.Clone(r.state.Search.Left)
	if len(left) == 0 {
		for i := range r.config.Catalogue {
			left = append(left, contested{Index: i})
		}
	}
	made, of := 0, 0
	for i, round := range searchRounds {
		if of += round.calls; i < r.state.Search.Rounds {
			made += round.calls
		}
	}
	round := searchRounds[r.state.Search.Rounds]
	err := inorder.Each(ctx, r.config.Workers, 0, round.calls*len(left), func(i int) (float64, error) {
		c := Draw(part, searchSeed+r.config.Seed+stream<<32, made+i/len(left), of)
		o, err := r.scale.call(c, func() []policy.Option { return Always(r.config.Catalogue[left[i%len(left)].Index]) })
		return o.Quality, err
	}, func(i int, quality float64) error {
		left[i%len(left)].Quality += quality
		r.count(1)
		return nil
	})
	if err != nil {
		return nil, err
	}
	slices.SortStableFunc(left, func(a, b contested) int { return cmp.Compare(b.Quality, a.Quality) })
	return left[:min(round.keep, len(left))], nil
}

// searchedCalls is how many calls the complete rounds of the search made, and searchCalls how many all of them make.
func (r *runner) searchedCalls() int64 {
	s := &r.state.Search
	return int64(len(s.Found))*r.roundCalls(len(searchRounds)) + r.roundCalls(s.Rounds)
}

func (r *runner) searchCalls() int64 {
	return r.roundCalls(len(searchRounds)) * int64(len(typesOf(r.config.Suite.Train())))
}

// roundCalls is how many calls the first rounds of the search for one type make.
func (r *runner) roundCalls(rounds int) int64 {
	total, actions := int64(0), len(r.config.Catalogue)
	for _, round := range searchRounds[:rounds] {
		total += int64(round.calls) * int64(actions)
		actions = min(actions, round.keep)
	}
	return total
}

// static is the action of "best-static" on a network.
func (r *runner) static(t model.NetworkType) model.Action {
	if a, ok := r.state.Search.Found[t]; ok {
		return a
	}
	return r.state.Search.Found[model.NetworkUnknown]
}
