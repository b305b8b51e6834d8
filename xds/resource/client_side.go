package resource

import (
	"math"
	"time"

	clientsidev3 "github.com/envoyproxy/go-control-plane/envoy/extensions/load_balancing_policies/client_side_weighted_round_robin/v3"

	"github.com/penguintechinc/marchproxy-alb/config"
)

const clientSideMessage = lbPackage + "client_side_weighted_round_robin.v3.ClientSideWeightedRoundRobin"

const (
	// minLoadUpdate is the least weight_update_period; shorter ones are taken for it, as in Envoy.
	minLoadUpdate = 100 * time.Millisecond
	// maxLoadMetrics bounds the metrics that each entry of each report is compared with.
	maxLoadMetrics = 64
)

var clientSideFields = fields{
	"enable_oob_load_report": onlyFalse, "blackout_period": decoded, "weight_expiration_period": decoded, "weight_update_period": decoded,
	"error_utilization_penalty": decoded, "metric_names_for_computing_utilization": decoded, "slow_start_config": decoded,
	"oob_reporting_period": noEffect, // for reports out of band only
	"oob_reporting_config": noEffect, // for reports out of band only
}

// clientSide decodes the policy ClientSideWeightedRoundRobin: round robin by weights that the hosts' reports make.
func (a *at) clientSide(m *clientsidev3.ClientSideWeightedRoundRobin, out *config.Cluster) {
	a.only(m, clientSideFields)
	reports := &config.LoadReports{
		Blackout:     a.duration("blackout_period", m.GetBlackoutPeriod(), config.DefaultLoadBlackout),
		Expiration:   a.duration("weight_expiration_period", m.GetWeightExpirationPeriod(), config.DefaultLoadExpiration),
		Update:       max(a.duration("weight_update_period", m.GetWeightUpdatePeriod(), config.DefaultLoadUpdate), minLoadUpdate),
		ErrorPenalty: config.DefaultLoadErrorPenalty,
		Metrics:      m.GetMetricNamesForComputingUtilization(),
	}
	if p := m.GetErrorUtilizationPenalty(); p != nil {
		reports.ErrorPenalty = float64(p.GetValue())
		if !(reports.ErrorPenalty >= 0) || math.IsInf(reports.ErrorPenalty, 1) {
			a.in("error_utilization_penalty").errorf("%v must be a number that is not negative", reports.ErrorPenalty)
		}
	}
	if n := len(reports.Metrics); n > maxLoadMetrics {
		a.in("metric_names_for_computing_utilization").errorf("has %d entries, at most %d are allowed", n, maxLoadMetrics)
	}
	a.slowStart(m.GetSlowStartConfig(), out)
	out.LB, out.LoadReports = config.RoundRobin, reports
}
