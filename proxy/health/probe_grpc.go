package health

import (
	"context"
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"
	"time"

	"golang.org/x/net/http2/hpack"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/protobuf/proto"

	"github.com/penguintechinc/marchproxy-alb/config"
)

// grpcProber calls grpc.health.v1.Health/Check of a host. Any answer but SERVING is that of a host that is not well, a status of
// gRPC too: a host that does not know the service or the method has no health to tell of. What tells it from a failure of
// the network is that there was an answer, which grpc-go's client does not say.
type grpcProber struct {
	keeper
	head    []hpack.HeaderField
	message []byte
}

// prefixBytes is the length of what comes before each message of gRPC: whether it is compressed, and its length.
const prefixBytes = 5

func newGRPCProber(k keeper, check *config.HealthCheck, authority string) *grpcProber {
	p := &grpcProber{keeper: k}
	p.head = requestHead("POST", authority, healthpb.Health_Check_FullMethodName, append([]field{
		{"te", "trailers"}, {"content-type", "application/grpc"}, {"grpc-timeout", grpcTimeout(check.Timeout)},
	}, requestFields(check.GRPC.Headers, nil)...))
	// An encoder of the generated message with a string in it cannot fail: the decoder has seen that it is UTF-8.
	text, _ := proto.Marshal(&healthpb.HealthCheckRequest{Service: check.GRPC.Service})
	p.message = append(binary.BigEndian.AppendUint32([]byte{0}, uint32(len(text))), text...)
	return p
}

// grpcTimeout returns d as gRPC has it: at most 8 digits and a unit, the finest that fits, rounded up.
func grpcTimeout(d time.Duration) string {
	const most = 99999999
	for _, unit := range []struct {
		name string
		is   time.Duration
	}{{"m", time.Millisecond}, {"S", time.Second}, {"M", time.Minute}} {
		if n := (d + unit.is - 1) / unit.is; n <= most {
			return strconv.FormatInt(int64(n), 10) + unit.name
		}
	}
	return strconv.FormatInt(int64((d+time.Hour-1)/time.Hour), 10) + "H"
}

func (p *grpcProber) probe(ctx context.Context) result { return p.keeper.probe(ctx, p.speak) }

func (p *grpcProber) speak(c *conn) attempt { return exchange(c, p.head, p.message, judgeGRPC) }

// judgeGRPC says what the answer to the call means.
func judgeGRPC(s *http2Stream) result {
	fail := func(format string, args ...any) result {
		return result{outcome: failed, why: fmt.Sprintf(format, args...)}
	}
	if s.status != 200 {
		return fail("status %d of HTTP", s.status)
	}
	if kind, _ := value(s.fields, "content-type"); !isGRPC(kind) {
		return fail("content-type %q is not gRPC's", kind)
	}
	last := s.trailers
	if len(last) == 0 {
		last = s.fields // trailers alone
	}
	status, ok := value(last, "grpc-status")
	if !ok {
		return fail("no grpc-status")
	}
	if status != "0" {
		text, _ := value(last, "grpc-message")
		return fail("grpc-status %s %q", status, text)
	}
	return judgeMessage(s.body)
}

// judgeMessage says what the one message of the answer means.
func judgeMessage(body []byte) result {
	if len(body) < prefixBytes || body[0] != 0 || uint64(binary.BigEndian.Uint32(body[1:])) != uint64(len(body)-prefixBytes) {
		return result{outcome: failed, why: "the answer is not one uncompressed message"}
	}
	var answer healthpb.HealthCheckResponse
	if err := proto.Unmarshal(body[prefixBytes:], &answer); err != nil {
		return result{outcome: failed, why: err.Error()}
	}
	if answer.GetStatus() != healthpb.HealthCheckResponse_SERVING {
		return result{outcome: failed, why: answer.GetStatus().String()}
	}
	return result{outcome: passed}
}

// isGRPC reports whether a content-type is application/grpc or one of its kinds.
func isGRPC(kind string) bool {
	rest, ok := strings.CutPrefix(kind, "application/grpc")
	return ok && (rest == "" || rest[0] == '+' || rest[0] == ';')
}
