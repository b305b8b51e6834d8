package moduleservice

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"go.uber.org/zap"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/moduleservice/marchproxypb"
)

// SetTrafficWeight implements marchproxypb.ModuleServiceServer.
func (s *service) SetTrafficWeight(_ context.Context, in *marchproxypb.TrafficWeightRequest) (*marchproxypb.TrafficWeightResponse, error) {
	name := in.GetRouteName()
	split, err := splitOf(in.GetWeights())
	if err == nil {
		err = s.options.Store.Update(config.SourceModuleService, func(snapshot *config.Snapshot) (config.Delta, error) {
			return layWeights(snapshot, name, split)
		})
	}
	if err != nil && !errors.Is(err, errUnchanged) {
		s.options.Logger.Info("traffic weights refused", zap.String("route", quote(name)), zap.Error(err))
		return &marchproxypb.TrafficWeightResponse{Message: validText(err.Error())}, nil
	}
	message := fmt.Sprintf("route %s is split as its configuration says", quote(name))
	if len(split) > 0 {
		message = fmt.Sprintf("route %s is split over %d clusters", quote(name), len(split))
	}
	s.options.Logger.Info(message, zap.Any("weights", shares(split)))
	return &marchproxypb.TrafficWeightResponse{Success: true, Message: message, AppliedWeights: in.GetWeights()}, nil
}

// shares shows a split in a log.
func shares(split []config.WeightedCluster) map[string]uint32 {
	m := make(map[string]uint32, len(split))
	for i := range split {
		m[split[i].Name] = split[i].Weight
	}
	return m
}

// splitOf returns the split that is asked for, as far as it can be judged without a configuration.
func splitOf(weights []*marchproxypb.BackendWeight) ([]config.WeightedCluster, error) {
	if len(weights) > maxWeights {
		return nil, fmt.Errorf("weights: has %d entries, want at most %d", len(weights), maxWeights)
	}
	split := make([]config.WeightedCluster, 0, len(weights))
	first := make(map[string]int, len(weights))
	total := uint64(0)
	for i, w := range weights {
		name, weight := w.GetBackendName(), w.GetWeight()
		if name == "" {
			return nil, fmt.Errorf("weights[%d].backend_name: is empty, want the name of a cluster", i)
		}
		if weight < 0 {
			return nil, fmt.Errorf("weights[%d].weight: is %d for %s, want 0 or more", i, weight, quote(name))
		}
		if other, ok := first[name]; ok {
			return nil, fmt.Errorf("weights[%d].backend_name: %s is in weights[%d] already, want each cluster once", i, quote(name), other)
		}
		first[name] = i
		total += uint64(weight)
		split = append(split, config.WeightedCluster{Name: name, Weight: uint32(weight)})
	}
	if len(weights) > 0 && total == 0 {
		return nil, errors.New("weights: all are 0, want at least one above, or no entries to hand the route back to its configuration")
	}
	if total > math.MaxUint32 {
		return nil, fmt.Errorf("weights: add up to %d, want at most %d", total, uint32(math.MaxUint32))
	}
	return split, nil
}

// layWeights returns the change that gives a route the split, or hands it back when there is none. A route that is gone
// can be handed back.
func layWeights(s *config.Snapshot, name string, split []config.WeightedCluster) (config.Delta, error) {
	before, laid := s.Overlay.Weights[name]
	if !(laid && len(split) == 0) {
		if err := forwards(s, name); err != nil {
			return config.Delta{}, err
		}
	}
	for i := range split {
		if s.Clusters[split[i].Name] == nil {
			return config.Delta{}, fmt.Errorf("weights[%d].backend_name: there is no cluster %s, want %s",
				i, quote(split[i].Name), oneOf(s.ClusterNames()))
		}
	}
	switch {
	case sameSplit(before, split):
		return config.Delta{}, errUnchanged
	case !laid && len(s.Overlay.Weights) >= maxOverlays:
		return config.Delta{}, fmt.Errorf("route_name: %d routes have weights already, which is the most", maxOverlays)
	}
	overlay := s.Overlay
	if len(split) > 0 {
		overlay.Weights = with(overlay.Weights, name, &split)
	} else {
		overlay.Weights = with(overlay.Weights, name, nil)
	}
	return config.Delta{Overlay: &overlay}, nil
}

// forwards returns why weights have no meaning for the routes of that name, nil when one of them forwards.
func forwards(s *config.Snapshot, name string) error {
	found := false
	for _, r := range routes(s) {
		if r.Name != name {
			continue
		}
		if r.Forward != nil {
			return nil
		}
		found = true
	}
	if !found {
		return unknownRoute(s, name)
	}
	return fmt.Errorf("route_name: route %s answers by itself, want one that forwards to clusters", quote(name))
}

func sameSplit(a, b []config.WeightedCluster) bool {
	return slices.EqualFunc(a, b, func(x, y config.WeightedCluster) bool { return x.Name == y.Name && x.Weight == y.Weight })
}
