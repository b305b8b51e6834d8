package peer

import (
	"fmt"

	"google.golang.org/protobuf/proto"

	"github.com/penguintechinc/marchproxy-alb/moduleservice/marchproxypb"
)

// limitedRoute is the name of the route that a limit is for.
const limitedRoute = "bench"

// Call is a unary call of gRPC.
type Call struct {
	Path    string
	Message []byte
	// Check reads the message of the answer.
	Check func(message []byte) error
}

// StatusPath is that of the call that asks how a module is.
const StatusPath = marchproxypb.ModuleService_GetStatus_FullMethodName

// limitCall sets the limit of requests of the traffic, as the manager of a module does.
func limitCall(t Traffic) (Call, error) {
	message, err := proto.Marshal(&marchproxypb.RateLimitRequest{
		RouteName: limitedRoute,
		Config:    &marchproxypb.RateLimitConfig{RequestsPerSecond: int32(t.RateLimit), BurstSize: int32(t.RateBurst()), Enabled: true},
	})
	return Call{Path: marchproxypb.ModuleService_ApplyRateLimit_FullMethodName, Message: message, Check: checkLimit}, err
}

func checkLimit(message []byte) error {
	var answer marchproxypb.RateLimitResponse
	if err := proto.Unmarshal(message, &answer); err != nil {
		return err
	}
	if !answer.GetSuccess() {
		return fmt.Errorf("limit of requests: %s", answer.GetMessage())
	}
	return nil
}
