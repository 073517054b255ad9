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

// searchStatic finds the best action for each network type of the training split, and for all of it as
// model.NetworkUnknown, which serves the types that are not in it.
func (r *runner) searchStatic(ctx context.Context) error {
	train := r.config.Suite.Train()
	if len(train) == 0 {
		return errors.New(`best-static learns from the training split, and the suite has no network there`)
	}
	r.state.Static = map[model.NetworkType]model.Action{}
	for _, t := range typesOf(train) {
		part := &suite.Suite{Name: r.config.Suite.Name, Networks: train}
		if t != model.NetworkUnknown {
			part.Networks = slices.DeleteFunc(slices.Clone(train), func(n suite.Network) bool { return n.Type != t })
		}
		best, err := r.bestAction(ctx, part, uint64(t))
		if err != nil {
			return err
		}
		r.state.Static[t] = best
	}
	return nil
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

func (r *runner) bestAction(ctx context.Context, part *suite.Suite, stream uint64) (model.Action, error) {
	type arm struct {
		action  model.Action
		quality float64 // sum
	}
	arms := make([]arm, len(r.config.Catalogue))
	for i, a := range r.config.Catalogue {
		arms[i].action = a
	}
	made := 0
	for _, round := range searchRounds {
		n := round.calls * len(arms)
		err := inorder.Each(ctx, r.config.Workers, 0, n, func(i int) (float64, error) {
			c := Draw(part, searchSeed+r.config.Seed, stream<<32|uint64(made+i/len(arms)))
			o, err := r.scale.call(c, func() []policy.Option { return Always(arms[i%len(arms)].action) })
			return o.Quality, err
		}, func(i int, quality float64) error {
			arms[i%len(arms)].quality += quality
			r.count(1)
			return nil
		})
		if err != nil {
			return model.Action{}, err
		}
		made += round.calls
		slices.SortStableFunc(arms, func(a, b arm) int { return cmp.Compare(b.quality, a.quality) })
		arms = arms[:min(round.keep, len(arms))]
	}
	return arms[0].action, nil
}

// searchCalls is how many calls the search makes.
func (r *runner) searchCalls() int64 {
	total, actions := int64(0), len(r.config.Catalogue)
	for _, round := range searchRounds {
		total += int64(round.calls) * int64(actions)
		actions = min(actions, round.keep)
	}
	return total * int64(len(typesOf(r.config.Suite.Train())))
}

// static is the action of "best-static" on a network.
func (r *runner) static(t model.NetworkType) model.Action {
	if a, ok := r.state.Static[t]; ok {
		return a
	}
	return r.state.Static[model.NetworkUnknown]
}

// tryAll is what the oracle does: what came of each action of the catalogue, and which is the best. Of equals it is the
// first. The courses are only there where a per-segment oracle needs them.
func (r *runner) tryAll(c Case) (all []attempt, best int, err error) {
	courses := r.has(oracleBySegment)
	all = make([]attempt, len(r.config.Catalogue))
	for i, a := range r.config.Catalogue {
		if courses {
			held := make([]model.Action, r.scale.intervals())
			for k := range held {
				held[k] = a
			}
			all[i], err = r.scale.follow(c, held)
		} else {
			all[i].Outcome, err = r.scale.call(c, func() []policy.Option { return Always(a) })
		}
		if err != nil {
			return nil, 0, err
		}
		if all[i].Quality > all[best].Quality {
			best = i
		}
	}
	return all, best, nil
}
