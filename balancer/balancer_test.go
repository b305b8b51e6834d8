package balancer

import (
	"math"
	"testing"
)

func TestPolicyDefaults(t *testing.T) {
	for _, tt := range []struct {
		policy    Policy
		choices   uint32
		threshold uint32
		factor    uint32
		bias      float64
	}{
		{Policy{}, 2, 0, 140, 0},
		{Policy{ChoiceCount: 1, PanicThreshold: 101, OverprovisioningFactor: 100, ActiveRequestBias: -0.5}, 2, 100, 100, 1},
		{Policy{ChoiceCount: 7, PanicThreshold: 50, OverprovisioningFactor: 1, ActiveRequestBias: math.NaN()}, 7, 50, 1, 1},
		{Policy{ChoiceCount: math.MaxUint32, ActiveRequestBias: 2.5}, 128, 0, 140, 2.5},
	} {
		p := tt.policy
		if c := p.choiceCount(); c != tt.choices {
			t.Errorf("%+v: %d choices, want %d", p, c, tt.choices)
		}
		if c := p.panicThreshold(); c != tt.threshold {
			t.Errorf("%+v: panic threshold %d, want %d", p, c, tt.threshold)
		}
		if f := p.overprovisioningFactor(); f != tt.factor {
			t.Errorf("%+v: overprovisioning factor %d, want %d", p, f, tt.factor)
		}
		if b := p.activeRequestBias(); b != tt.bias {
			t.Errorf("%+v: bias %v, want %v", p, b, tt.bias)
		}
	}
}

func TestNames(t *testing.T) {
	if s := RoundRobin.String() + LeastRequest.String() + Random.String(); s != "ROUND_ROBINLEAST_REQUESTRANDOM" {
		t.Errorf("got %s", s)
	}
	if s := Healthy.String() + Degraded.String() + Unhealthy.String(); s != "healthydegradedunhealthy" {
		t.Errorf("got %s", s)
	}
}
