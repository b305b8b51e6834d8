package resource

import (
	"math"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	commonlbv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/load_balancing_policies/common/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/penguintechinc/marchproxy-alb/config"
)

// defaultMinWeight is min_weight_percent where it is not set, as a fraction.
const defaultMinWeight = 0.1

// slowStart decodes how hosts get their share little by little. Without a window they get it at once.
func (a *at) slowStart(c *commonlbv3.SlowStartConfig, out *config.Cluster) {
	if c != nil {
		place := a.in("slow_start_config")
		place.only(c, slowStartFields)
		out.SlowStart = place.ramp(c.GetSlowStartWindow(), c.GetAggression(), c.GetMinWeightPercent())
	}
}

// legacySlowStart is slowStart for the cluster's older fields.
func (a *at) legacySlowStart(c *clusterv3.Cluster_SlowStartConfig, out *config.Cluster) {
	if c != nil {
		place := a.in("slow_start_config")
		place.only(c, legacySlowStartFields)
		out.SlowStart = place.ramp(c.GetSlowStartWindow(), c.GetAggression(), c.GetMinWeightPercent())
	}
}

func (a *at) ramp(window *durationpb.Duration, aggression *corev3.RuntimeDouble, least *typev3.Percent) config.SlowStart {
	out := config.SlowStart{Window: a.duration("slow_start_window", window, 0), Aggression: 1, MinWeight: defaultMinWeight}
	if aggression != nil {
		out.Aggression = aggression.GetDefaultValue()
		if !(out.Aggression > 0) || math.IsInf(out.Aggression, 1) {
			a.in("aggression.default_value").errorf("%v must be a number above 0", out.Aggression)
		}
	}
	if least != nil {
		out.MinWeight = least.GetValue() / 100
	}
	if out.Window == 0 {
		return config.SlowStart{}
	}
	return out
}
