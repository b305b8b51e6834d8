package config

import "testing"

func TestParseRetryOn(t *testing.T) {
	for list, want := range map[string]RetryOn{
		"":                         0,
		",":                        0,
		"5xx":                      RetryOn5xx,
		" 5xx\t, gateway-error ,,": RetryOn5xx | RetryOnGatewayError,
		"5XX,503,unavailable":      0,
		"reset,reset-before-request,connect-failure,refused-stream,retriable-4xx,retriable-status-codes,retriable-headers," +
			"envoy-ratelimited,http3-post-connect-failure": RetryOnReset | RetryOnResetBeforeRequest | RetryOnConnectFailure | RetryOnRefusedStream |
			RetryOnRetriable4xx | RetryOnRetriableStatusCodes | RetryOnRetriableHeaders | RetryOnEnvoyRateLimited | RetryOnHTTP3PostConnect,
	} {
		if got := ParseRetryOn([]byte(list)); got != want {
			t.Errorf("%q: got %b, want %b", list, got, want)
		}
	}
	const grpc = "cancelled,deadline-exceeded,internal,resource-exhausted,unavailable,5xx"
	if got := ParseRetryOnGRPC([]byte(grpc)); got != RetryOnGRPC {
		t.Errorf("%q: got %b, want %b", grpc, got, RetryOnGRPC)
	}
}

func FuzzNextItem(f *testing.F) {
	f.Add([]byte("a, b,,c "))
	f.Fuzz(func(t *testing.T, list []byte) {
		left := len(list)
		for item, rest, ok := NextItem(list); ok; item, rest, ok = NextItem(rest) {
			if len(item) == 0 || len(item)+len(rest) > left {
				t.Fatalf("item %q and rest %q of %d bytes", item, rest, left)
			}
			left = len(rest)
		}
	})
}
